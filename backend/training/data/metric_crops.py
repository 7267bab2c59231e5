"""Crops of metric maps, at their own pixel size and at half their size, cut on the device where they are learned from: the maps go
there once, a batch is a few gathers. Maps without colours are turned into all eight orientations; colours hold light from one side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.ops.terrain import generator_units
from backend.training.data import class_maps, pack
from backend.training.data.batches import MARGIN_PX, Batch, inner, strengths, without_steps
from shared.errors import InvalidInput
from shared.terrain_classes import WATER

ORIGIN_STEP = 24
FLAT_PX = 0.7  # range of heights in pixels below which a crop is flat: nine of ten are passed over
LEAST_LAND = 0.15  # of a crop, where a pack has classes: crops with less are hardly ever drawn
HARDLY_EVER = 1e-4
METRE_STEP_M = 1.0  # SRTM has whole metres


class MetricCrops:
    """colored: whether all maps have colours. Classes are the pack's own where all have them, else class_maps.regional()."""

    def __init__(
        self,
        folder: Path,
        side: int,
        device: torch.device,
        split: str = "train",
        scale: pack.Scale = "regional",
    ) -> None:
        found = [r for r in pack.regions(folder) if not r.is_globe and r.scale == scale and r.split == split]
        self.side, self.canvas = side, side + 2 * MARGIN_PX
        maps = [part for region in found for part in _halvings(pack.read(folder, region), region.pixel_size_m)]
        maps = [part for part in maps if _rooms(part.valid, self.canvas)]
        if not maps:
            raise InvalidInput(
                f"{folder} has no {scale} map with {self.canvas} x {self.canvas} px without holes for {split}.", field="data",
                hint="Smaller crops need smaller maps: --side.",
            )  # fmt: skip
        self._continental = scale == "continental"
        unit = generator_units.continental_scale if self._continental else generator_units.regional_scale
        self._scales = torch.tensor([unit(part.pixel_size_m) for part in maps], device=device)
        self._pixels_m = torch.tensor([part.pixel_size_m for part in maps], device=device)
        in_pixels = [
            without_steps(torch.from_numpy(part.height)[None, None], METRE_STEP_M)[0, 0] / part.pixel_size_m
            for part in maps
        ]
        self._heights = torch.cat([height.flatten() for height in in_pixels]).to(device)
        self._color, self._classes = _joined([part.color for part in maps], 3, device), None
        self.colored = self._color is not None
        classes = _joined([part.classes for part in maps], 1, device)
        self._classes = None if classes is None else classes[:, 0]
        if self._classes is None:
            self._relative = torch.cat([class_maps.relative(height.to(device)).flatten() for height in in_pixels])
        starts = np.cumsum([0] + [height.numel() for height in in_pixels])
        self._origins, self._weights = _origins(in_pixels, maps, starts, self.canvas)

    def batch(self, count: int, generator: torch.Generator) -> Batch:
        device = self._heights.device
        chosen = self._origins[torch.multinomial(self._weights, count, replacement=True, generator=generator)]
        turns = torch.randint(0, 8, (count,), generator=generator) * (not self.colored)
        places = _places(chosen.to(device), turns.to(device), self.canvas)
        numbers = chosen[:, 3].to(device)
        height = self._heights[places][:, None]
        classes = self._classes_at(places, height, *strengths(generator))
        height_m = inner(height) * self._pixels_m[numbers][:, None, None, None]
        color = None if self._color is None else self._color[places].permute(0, 3, 1, 2).float() / 255.0
        return Batch(
            height=self._in_unit(inner(height), height_m),
            height_m=height_m,
            color=None if color is None else inner(color),
            classes=classes,
            shares=generator_units.class_shares(classes, class_maps.CLASSES),
            pixel_size_m=self._pixels_m[numbers],
            scale=self._scales[numbers],
        )

    def _classes_at(self, places: Tensor, height: Tensor, sigma: float, blob_sigma: float) -> Tensor:
        if self._classes is None:
            return class_maps.regional(height, self._relative[places][:, None], sigma, blob_sigma)
        return class_maps.blobs(self._classes[places].long(), blob_sigma)

    def _in_unit(self, height_px: Tensor, height_m: Tensor) -> Tensor:
        if self._continental:
            return generator_units.to_continental(height_m)
        height = height_px / generator_units.REGIONAL_UNIT_PX
        return height - height.mean((2, 3), keepdim=True)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """A map of the pack, or that map at half its size."""

    height: np.ndarray
    valid: np.ndarray
    color: np.ndarray | None
    classes: np.ndarray | None
    pixel_size_m: float


def _halvings(maps: pack.Maps, pixel_size_m: float) -> list[_Part]:
    """A map and its average over 2 x 2 pixels, each with its pixel size and where it has no holes."""
    rows, columns = (side // 2 for side in maps.height.shape)

    def halved(values: np.ndarray) -> np.ndarray:
        return values[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, *values.shape[2:])

    color = None if maps.color is None else np.rint(halved(maps.color).mean((1, 3))).astype(np.uint8)
    classes = None if maps.classes is None else maps.classes[: 2 * rows : 2, : 2 * columns : 2]
    return [
        _Part(height=maps.height, valid=maps.valid, color=maps.color, classes=maps.classes, pixel_size_m=pixel_size_m),
        _Part(
            height=np.asarray(halved(maps.height).mean((1, 3))),
            valid=np.asarray(halved(maps.valid).all((1, 3))),
            color=color,
            classes=classes,
            pixel_size_m=2.0 * pixel_size_m,
        ),
    ]


def _joined(layers: Sequence[np.ndarray | None], channels: int, device: torch.device) -> Tensor | None:
    """Layers one after another, uint8 [pixels, channels]; None where a map lacks it."""
    there = [layer for layer in layers if layer is not None]
    if len(there) < len(layers):
        return None
    return torch.cat([torch.from_numpy(layer.reshape(-1, channels)) for layer in there]).to(device)


def _rooms(valid: np.ndarray, canvas: int) -> list[tuple[int, int]]:
    """Row and column of each crop of `canvas` pixels without a hole, every ORIGIN_STEP pixels."""
    rows, columns = valid.shape
    return [
        (y, x)
        for y in range(0, rows - canvas + 1, ORIGIN_STEP)
        for x in range(0, columns - canvas + 1, ORIGIN_STEP)
        if valid[y : y + canvas, x : x + canvas].all()
    ]


def _origins(
    heights: Sequence[Tensor], maps: Sequence[_Part], starts: np.ndarray, canvas: int
) -> tuple[Tensor, Tensor]:
    """Crops (start of the map, row, column, number of the map, its columns) [N, 5] and how often each is drawn [N]."""
    rows_of, weights = [], []
    for number, (height, part) in enumerate(zip(heights, maps, strict=True)):
        rooms = _rooms(part.valid, canvas)
        rows_of += [(int(starts[number]), y, x, number, int(height.shape[1])) for y, x in rooms]
        spans = [float(np.ptp(height[y : y + canvas, x : x + canvas].numpy())) for y, x in rooms]
        weight = np.where(np.array(spans) > FLAT_PX, 1.0, 0.1)
        if part.classes is not None:
            land = [float((part.classes[y : y + canvas, x : x + canvas] != WATER).mean()) for y, x in rooms]
            weight = np.where(np.array(land) >= LEAST_LAND, weight, HARDLY_EVER)
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
