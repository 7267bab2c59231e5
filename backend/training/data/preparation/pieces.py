"""Pieces of a raster with square pixels in metres: the projection is undone per row, so that land is as wide in the north as at the
equator. Pieces with too little land or with holes are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from backend.training.data.preparation.sources import Ground

LEAST_PX = 128  # of a piece: the smallest crop and its margin
WIDEST = 8.0  # parts of a pixel's height by which a projection may widen it: what is farther north is left out


@dataclass(frozen=True)
class Piece:
    """height float32 [H, W] m, color uint8 [H, W, 3] or None. row, column: its place among the pieces of the raster. land: the
    share above the sea."""

    height: np.ndarray
    color: np.ndarray | None
    row: int
    column: int
    land: float


@dataclass
class Count:
    """Why pieces were left out."""

    kept: int = 0
    too_little_land: int = 0
    holes: int = 0
    too_small: bool = False


def pixel_size_of(ground: Ground) -> float:
    """Square pixels on the ground: the coarser of the two sides at the middle row, so that no detail is invented."""
    middle = ground.height.shape[0] // 2
    return float(max(ground.width_m[middle], ground.height_m[middle]))


def cut(
    ground: Ground, side: int, pixel_size_m: float, *, least_land: float, sea_level_m: float, count: Count
) -> Iterator[Piece]:
    """All pieces of the raster that can be used, of `side` to almost twice as many pixels, without overlap."""
    rows, columns = ground.height.shape
    usable = ground.width_m * WIDEST >= ground.height_m
    first, last = int(np.argmax(usable)), rows - int(np.argmax(usable[::-1]))
    edges_m = np.concatenate(
        [[0.0], np.cumsum(ground.height_m[first:last])]
    )  # north edge of each row, and the last south edge
    for row, (top, bottom) in enumerate(_parts(edges_m[-1] / pixel_size_m, side)):
        down_m = (np.arange(top, bottom) + 0.5) * pixel_size_m
        at_rows = first + np.interp(down_m, edges_m, np.arange(last - first + 1)) - 0.5
        steps = pixel_size_m / np.interp(at_rows, np.arange(rows), ground.width_m)  # columns per pixel of the piece
        for column, (left, right) in enumerate(_parts(columns / steps.max(), side)):
            if min(bottom - top, right - left) < LEAST_PX:
                count.too_small = True
                continue
            middle = columns / steps.max() / 2.0
            at_columns = (columns - 1) / 2.0 + (np.arange(left, right) + 0.5 - middle)[None] * steps[:, None]
            piece = _piece(ground, at_rows, at_columns, row, column, sea_level_m)
            if piece is None:
                count.holes += 1
            elif piece.land < least_land:
                count.too_little_land += 1
            else:
                count.kept += 1
                yield piece


def _parts(total: float, side: int) -> list[tuple[int, int]]:
    """`total` pixels in equal parts of at least `side`; one part where there are fewer."""
    number = max(1, int(total // side))
    return [(int(total * part / number), int(total * (part + 1) / number)) for part in range(number)]


def _piece(
    ground: Ground, at_rows: np.ndarray, at_columns: np.ndarray, row: int, column: int, sea_level_m: float
) -> Piece | None:
    """The raster at these rows [h] and columns [h, w]; None where it has a hole."""
    places = np.stack([np.broadcast_to(at_rows[:, None], at_columns.shape), at_columns])
    if _at(ground.valid.view(np.uint8), list(places)).min() < 1.0:
        return None
    height = _sampled(ground.height, places)
    color = None
    if ground.color is not None:
        bands = [_sampled(ground.color[..., band], places) for band in range(3)]
        color = np.rint(np.clip(np.stack(bands, axis=2), 0.0, 255.0)).astype(np.uint8)
    return Piece(height, color, row, column, float((height > sea_level_m).mean()))


def _sampled(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Bilinear values, averaged over as many samples as pixels are skipped from one place to the next."""
    across = float(np.abs(np.diff(places[1], axis=1)).max())
    down = float(np.abs(np.diff(places[0], axis=0)).max())
    many = [max(1, round(step)) for step in (down, across)]
    total = np.zeros(places.shape[1:], np.float32)
    steps = np.gradient(places[0], axis=0), np.gradient(places[1], axis=1)
    for i in range(many[0]):
        for j in range(many[1]):
            moved = [
                places[axis] + ((part + 0.5) / number - 0.5) * step
                for axis, (part, number, step) in enumerate(zip((i, j), many, steps, strict=True))
            ]
            total += _at(values, moved)
    return total / (many[0] * many[1])


def _at(values: np.ndarray, places: list[np.ndarray]) -> np.ndarray:
    """Bilinear values, float32, at rows and columns; the border is repeated."""
    return ndimage.map_coordinates(values, places, output=np.float32, order=1, mode="nearest")
