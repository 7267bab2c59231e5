"""Crops of a map of the whole globe in degrees, square on the ground: each row is widened by its latitude. The map goes to the
device once, a batch is one sampling of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.terrain import generator_units
from backend.training.data import class_maps, pack
from backend.training.data.batches import MARGIN_PX, Batch, inner, strengths, without_steps
from shared.errors import InvalidInput

GLOBE_STEP_M = 33.0  # the global map was eight bits deep
EQUATOR_M = 40_075_017.0


class GlobeCrops:
    """Crops of the globe at 4 to 10 km per pixel, square on the ground: each row is widened by its latitude."""

    def __init__(self, folder: Path, side: int, device: torch.device, *, leave_out: Sequence[Window] = ()) -> None:
        found = [region for region in pack.regions(folder) if region.is_globe]
        if not found:
            raise InvalidInput(f"{folder} has no map of a globe.", field="data")
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
        self.colored = True
        self.side, self.canvas, self.device = side, side + 2 * MARGIN_PX, device

    def batch(self, count: int, generator: torch.Generator) -> Batch:
        pixel_m = 4000.0 * 2.5 ** float(torch.rand((), generator=generator))
        places = self._choose(count, pixel_m, generator)
        return self.at(places, pixel_m, *strengths(generator))

    def at(self, places: Tensor, pixel_m: float, sigma: float, blob_sigma: float) -> Batch:
        """Crops around these places (latitude, longitude in degrees) [B, 2]; sigma, blob_sigma: see class_maps.continental()."""
        count = len(places)
        grid = self._grid(places, pixel_m, self.canvas, 1)
        source = self._half if pixel_m > 7500.0 else self._globe
        values = _sample(source, grid).float()
        height_m, color, water = values[:, :1] * 1000.0, values[:, 1:4], values[:, 4:5]
        height_m = without_steps(height_m, GLOBE_STEP_M)
        height_m = height_m.clamp_min(0.0) * (1.0 - ((water > 0.9) & (height_m < 60.0)).float())
        classes = class_maps.continental(height_m, color, water, sigma, blob_sigma)
        scale = torch.full((count,), generator_units.continental_scale(pixel_m), device=self.device)
        return Batch(
            height=inner(generator_units.to_continental(height_m)),
            height_m=inner(height_m),
            color=inner(color),
            classes=classes,
            shares=generator_units.class_shares(classes, class_maps.CLASSES),
            pixel_size_m=torch.full((count,), pixel_m, device=self.device),
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


HELD_OUT = (  # what no training sees: South America, Australia
    Window(south=-57.0, north=14.0, west=-84.0, east=-33.0),
    Window(south=-45.0, north=-9.0, west=111.0, east=156.0),
)


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
