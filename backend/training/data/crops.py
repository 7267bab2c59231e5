"""Crops of a pack's maps, cut on the device where they are learned from: the maps go there once, a batch is a few gathers.

A crop is larger than what is compared with the real map by MARGIN_PX on each side, so that a network does not learn the zeros
beyond a border. Nothing here knows a network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.terrain import generator_units
from backend.training.data import class_maps, pack
from shared.errors import InvalidInput

MARGIN_PX = 32
NEARBY_PX = 129  # the surroundings in which a place is low or high
LEAST_RANGE_PX = 4.0  # of heights nearby, in pixels: flat land is low all over
ORIGIN_STEP = 24
FLAT_PX = 0.7  # range of heights in pixels below which a crop is flat: nine of ten are passed over
METRE_STEP_M = 1.0  # SRTM has whole metres
GLOBE_STEP_M = 33.0  # the global map was eight bits deep
EQUATOR_M = 40_075_017.0


@dataclass(frozen=True)
class Batch:
    """height [B, 1, S, S] in the model's unit, mean 0. color: sRGB 0..1 [B, 3, S, S] with its light, or None.

    shares [B, classes, S + 2 MARGIN_PX, ...]. scale [B]: the model's own unit of pixel size.
    """

    height: Tensor
    color: Tensor | None
    shares: Tensor
    scale: Tensor


class RegionalCrops:
    """Crops of metric maps, at their own pixel size and at half their size, in all eight orientations."""

    def __init__(self, folder: Path, side: int, device: torch.device, split: str = "train") -> None:
        found = [r for r in pack.regions(folder) if r.scale == "regional" and r.split == split]
        self.side, self.canvas = side, side + 2 * MARGIN_PX
        maps = [part for region in found for part in _halvings(pack.read(folder, region), region.pixel_size_m)]
        maps = [part for part in maps if _rooms(part[2], self.canvas)]
        if not maps:
            raise InvalidInput(
                f"{folder} has no regional map with {self.canvas} x {self.canvas} px without holes for {split}.", field="data",
                hint="Smaller crops need smaller maps: --side.",
            )  # fmt: skip
        self._scales = torch.tensor([generator_units.regional_scale(pixel) for _, pixel, _ in maps], device=device)
        in_pixels = [
            without_steps(torch.from_numpy(height)[None, None], METRE_STEP_M)[0, 0] / pixel for height, pixel, _ in maps
        ]
        self._heights = torch.cat([height.flatten() for height in in_pixels]).to(device)
        self._relative = torch.cat([_relative(height.to(device)).flatten() for height in in_pixels])
        starts = np.cumsum([0] + [height.numel() for height in in_pixels])
        self._origins, self._weights = _origins(in_pixels, [valid for _, _, valid in maps], starts, self.canvas)

    def batch(self, count: int, generator: torch.Generator) -> Batch:
        device = self._heights.device
        chosen = self._origins[torch.multinomial(self._weights, count, replacement=True, generator=generator)]
        turns = torch.randint(0, 8, (count,), generator=generator)
        places = _places(chosen.to(device), turns.to(device), self.canvas)
        height = self._heights[places][:, None]
        relative = self._relative[places][:, None]
        sigma, blob_sigma = _strengths(generator)
        classes = class_maps.regional(height, relative, sigma, blob_sigma)
        inner = _inner(height) / generator_units.REGIONAL_UNIT_PX
        return Batch(
            height=inner - inner.mean((2, 3), keepdim=True),
            color=None,
            shares=generator_units.class_shares(classes, class_maps.CLASSES),
            scale=self._scales[chosen[:, 3].to(device)],
        )


class ContinentalCrops:
    """Crops of the globe at 4 to 10 km per pixel, square on the ground: each row is widened by its latitude."""

    def __init__(self, folder: Path, side: int, device: torch.device, *, leave_out: Sequence[Window] = ()) -> None:
        found = [region for region in pack.regions(folder) if region.scale == "continental"]
        if not found:
            raise InvalidInput(f"{folder} has no continental map.", field="data")
        maps = pack.read(folder, found[0])
        assert maps.color is not None
        assert maps.water is not None
        valid = maps.valid.copy()
        for window in leave_out:
            valid[window.rows(valid.shape[0]), window.columns(valid.shape[1])] = False
        kind = torch.float16 if device.type == "cuda" else torch.float32
        layers = [
            torch.from_numpy(maps.height).to(device, kind)[None] / 1000.0,
            torch.from_numpy(maps.color).to(device).permute(2, 0, 1).to(kind) / 255.0,
            torch.from_numpy(maps.water).to(device).to(kind)[None] / 255.0,
            torch.from_numpy(valid).to(device, kind)[None],
        ]
        self._globe = torch.cat(layers)[None]
        self._half = F.avg_pool2d(self._globe, 2)
        self._coarse = F.avg_pool2d(self._globe[:, 4:].float(), 32)
        self.side, self.canvas, self.device = side, side + 2 * MARGIN_PX, device

    def batch(self, count: int, generator: torch.Generator) -> Batch:
        pixel_m = 4000.0 * 2.5 ** float(torch.rand((), generator=generator))
        places = self._choose(count, pixel_m, generator)
        grid = self._grid(places, pixel_m, self.canvas, 1)
        source = self._half if pixel_m > 7500.0 else self._globe
        values = _sample(source, grid).float()
        height_m, color, water = values[:, :1] * 1000.0, values[:, 1:4], values[:, 4:5]
        height_m = without_steps(height_m, GLOBE_STEP_M)
        height_m = height_m.clamp_min(0.0) * (1.0 - ((water > 0.9) & (height_m < 60.0)).float())
        sigma, blob_sigma = _strengths(generator)
        classes = class_maps.continental(height_m, color, water, sigma, blob_sigma)
        scale = torch.full((count,), generator_units.continental_scale(pixel_m), device=self.device)
        return Batch(
            height=_inner(generator_units.to_continental(height_m)),
            color=_inner(color),
            shares=generator_units.class_shares(classes, class_maps.CLASSES),
            scale=scale,
        )

    def _choose(self, count: int, pixel_m: float, generator: torch.Generator) -> Tensor:
        """Middles (latitude, longitude in degrees) [count, 2] of crops with land in them and no hole."""
        tries = 16 * count
        latitude = torch.rand(tries, generator=generator) * 122.0 - 58.0
        longitude = torch.rand(tries, generator=generator) * 360.0 - 180.0
        luck = torch.rand(tries, generator=generator)
        places = torch.stack([latitude, longitude], 1).to(self.device)
        seen = _sample(self._coarse, self._grid(places, pixel_m, self.canvas, 16))
        land, valid = 1.0 - seen[:, 0].mean((1, 2)), seen[:, 1].amin((1, 2))
        score = luck.to(self.device) * (0.1 + land.clamp(0.0, 0.6)) - 10.0 * (valid < 0.99) - 5.0 * (land < 0.15)
        return places[score.topk(count).indices]

    def _grid(self, places: Tensor, pixel_m: float, side: int, step: int) -> Tensor:
        """Coordinates -1..1 of grid_sample, [B, side / step, side / step, 2]."""
        offsets = (torch.arange(0, side, step, device=places.device, dtype=torch.float32) - (side - 1) / 2) * pixel_m
        degrees = offsets / EQUATOR_M * 360.0
        latitude = places[:, :1] - degrees  # [B, S]
        stretch = 1.0 / torch.cos(torch.deg2rad(latitude.clamp(-80, 80)))
        longitude = places[:, 1, None, None] + degrees[None, None, :] * stretch[:, :, None]
        longitude = (longitude + 180.0).remainder(360.0) - 180.0
        return torch.stack([longitude / 180.0, -(latitude / 90.0)[:, :, None].expand_as(longitude)], -1)


@dataclass(frozen=True, kw_only=True)
class Window:
    """A part of the globe in degrees."""

    south: float
    north: float
    west: float
    east: float

    def rows(self, count: int) -> slice:
        return slice(round((90.0 - self.north) / 180.0 * count), round((90.0 - self.south) / 180.0 * count))

    def columns(self, count: int) -> slice:
        return slice(round((self.west + 180.0) / 360.0 * count), round((self.east + 180.0) / 360.0 * count))


def without_steps(height_m: Tensor, step_m: float) -> Tensor:
    """Heights [B, 1, H, W] as smooth as their rounding to `step_m` allows: terraces in plains would be learned as landforms."""
    return class_maps.blur(height_m, 2.0).maximum(height_m - step_m / 2).minimum(height_m + step_m / 2)


def _halvings(maps: pack.Maps, pixel_size_m: float) -> list[tuple[np.ndarray, float, np.ndarray]]:
    """A map and its average over 2 x 2 pixels, each with its pixel size and where it has no holes."""
    rows, columns = (side // 2 for side in maps.height.shape)
    height, valid = (part[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2) for part in (maps.height, maps.valid))
    return [
        (maps.height, pixel_size_m, maps.valid),
        (np.asarray(height.mean((1, 3))), 2.0 * pixel_size_m, np.asarray(valid.all((1, 3)))),
    ]


def _rooms(valid: np.ndarray, canvas: int) -> list[tuple[int, int]]:
    """Row and column of each crop of `canvas` pixels without a hole, every ORIGIN_STEP pixels."""
    rows, columns = valid.shape
    return [
        (y, x)
        for y in range(0, rows - canvas + 1, ORIGIN_STEP)
        for x in range(0, columns - canvas + 1, ORIGIN_STEP)
        if valid[y : y + canvas, x : x + canvas].all()
    ]


def _relative(height: Tensor) -> Tensor:
    """The place of each height between the lowest and the highest ground nearby, 0..1, [H, W]."""
    smooth = class_maps.blur(height[None, None], 3.0)
    coarse = F.avg_pool2d(smooth, 4, ceil_mode=True)
    window = NEARBY_PX // 4 | 1
    low, high = (sign * F.max_pool2d(sign * coarse, window, 1, window // 2) for sign in (-1.0, 1.0))
    low, high = (
        F.interpolate(class_maps.blur(edge, 8.0), size=height.shape, mode="bilinear", align_corners=False)
        for edge in (low, high)
    )
    return ((smooth - low) / (high - low).clamp_min(LEAST_RANGE_PX))[0, 0].clamp(0.0, 1.0)


def _origins(
    heights: Sequence[Tensor], valid: Sequence[np.ndarray], starts: np.ndarray, canvas: int
) -> tuple[Tensor, Tensor]:
    """Crops (start of the map, row, column, number of the map, its columns) [N, 5] and how often each is drawn [N]."""
    rows_of, weights = [], []
    for number, height in enumerate(heights):
        columns = int(height.shape[1])
        found = [(int(starts[number]), y, x, number, columns) for y, x in _rooms(valid[number], canvas)]
        spans = [float(np.ptp(height[y : y + canvas, x : x + canvas].numpy())) for _, y, x, _, _ in found]
        weight = np.where(np.array(spans) > FLAT_PX, 1.0, 0.1)
        rows_of += found
        weights.append(weight / np.sqrt(weight.sum()))  # large maps more often, but not in proportion
    return torch.tensor(rows_of), torch.from_numpy(np.concatenate(weights))


def _places(chosen: Tensor, turns: Tensor, canvas: int) -> Tensor:
    """Indices [B, canvas, canvas] into the flat heights, turned and mirrored."""
    along = torch.arange(canvas, device=chosen.device)
    rows, columns = torch.meshgrid(along, along, indexing="ij")
    last = canvas - 1
    ways = [(rows, columns), (rows, last - columns), (last - rows, columns), (last - rows, last - columns)]
    ways += [(b, a) for a, b in ways]
    row_of = torch.stack([way[0] for way in ways])[turns]
    column_of = torch.stack([way[1] for way in ways])[turns]
    start, row, column, width = (chosen[:, n, None, None] for n in (0, 1, 2, 4))
    return start + (row + row_of) * width + column + column_of


def _sample(source: Tensor, grid: Tensor) -> Tensor:
    """[B, C, h, w] of one source [1, C, H, W]."""
    count, rows, columns, _ = grid.shape
    flat = grid.reshape(1, count * rows, columns, 2).to(
        source.dtype if source.dtype == torch.float32 else torch.float32
    )
    if source.dtype != torch.float32:
        return _sample_half(source, flat).reshape(source.shape[1], count, rows, columns).transpose(0, 1)
    values = F.grid_sample(source, flat, mode="bilinear", padding_mode="border", align_corners=False)
    return values.reshape(source.shape[1], count, rows, columns).transpose(0, 1)


def _sample_half(source: Tensor, grid: Tensor) -> Tensor:
    """Bilinear values [C, h, w] of a source in half precision, whose coordinates half precision could not hold."""
    rows, columns = (int(side) for side in source.shape[2:])
    x = ((grid[0, ..., 0] + 1) * columns - 1) / 2
    y = ((grid[0, ..., 1] + 1) * rows - 1) / 2
    left, top = x.floor(), y.floor()
    right, down = (x - left), (y - top)
    flat = source[0].flatten(1)
    total: Tensor | None = None
    for dy, wy in ((0, 1 - down), (1, down)):
        for dx, wx in ((0, 1 - right), (1, right)):
            index = (top + dy).clamp(0, rows - 1).long() * columns + (left + dx).clamp(0, columns - 1).long()
            part = flat[:, index].float() * (wy * wx)
            total = part if total is None else total + part
    assert total is not None
    return total


def _inner(values: Tensor) -> Tensor:
    return values[..., MARGIN_PX:-MARGIN_PX, MARGIN_PX:-MARGIN_PX]


def _strengths(generator: torch.Generator) -> tuple[float, float]:
    """How coarsely a class map is drawn: pixels of averaging, and of the smoothing into blobs."""
    draws = torch.rand(2, generator=generator)
    return 1.5 * 4.0 ** float(draws[0]), 1.0 * 8.0 ** float(draws[1])
