"""Which strokes touch which tile, found on the card, and what the kernels share that take a tile by a block of threads.

A thread is a pixel of the tile; a warp is a piece of 8 x 4 of them. Sums over a tile's pixels go through shared memory in one
order, and those over a stroke's tiles too: the bytes are the same from run to run. Nothing here waits for other threads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, device_function, kernel
from backend.ops.strokes.compositing_plain import Scene
from backend.ops.strokes.constants import REACH, TILE
from backend.ops.strokes.coverage_cuda import SHAPE, cover, nearest_chord, set_shape, shape_at

BLOCK = (TILE * TILE,)
MOST_PAIRS = 2**22  # of tile and stroke in a band: some 300 bytes each, at the way back
NOT_FINITE = 2**40  # pairs: more than there can be
PARTS = 16  # that a sum over a tile is added up in
LANE = TILE * TILE + PARTS  # of shared memory for one sum; the rest keeps two of them apart
_ZERO, _HALF, _ONE, _TWO, _TILE = (np.float32(value) for value in (0, 0.5, 1, 2, TILE))
_REACH, _MARGIN, _FAR_PX, _INFINITE = np.float32(REACH), np.float32(0.01), np.float32(1e9), np.float32(np.inf)
_MIDDLE, _HALF_DIAGONAL = np.float32(TILE / 2), np.float32(TILE * 0.7072)
UNTOUCHED, WHOLLY = (
    np.float32(-1),
    np.float32(2),
)  # in the place of t*; where a pixel is wholly covered, WHOLLY is added to t*


@dataclass(frozen=True)
class Tiles:
    """Pairs of tile and stroke in a band of rows of tiles. Pairs are numbered stroke by stroke; a tile's are in painting order."""

    shapes: Tensor  # float32 [N, SHAPE]
    own: Tensor  # int64 [N + 1] a stroke's first pair
    stroke: Tensor  # int32 [P] of each pair
    order: Tensor  # int64 [P] pairs by tile; those whose stroke does not reach the tile after all stand last
    first: Tensor  # int32 [T + 1] where a tile's pairs begin in `order`
    skipped: int  # tiles above the band

    @property
    def threads(self) -> int:
        """Of a kernel that takes a tile by a block."""
        return (len(self.first) - 1) * TILE * TILE

    @property
    def lists(self) -> tuple[Tensor, Tensor, Tensor, Tensor, int]:
        """As the kernels take them."""
        return self.shapes, self.first, self.order, self.stroke, self.skipped

    def sums(self, width: int) -> Tensor:
        """Room for so many sums of each pair, 0 so far [P, width]."""
        return torch.zeros(len(self.order), width, device=self.order.device)

    def of_strokes(self, sums: Tensor) -> Tensor:
        """Sums [N, width] of the strokes from those of their pairs, in order."""
        made = sums.new_empty(len(self.own) - 1, sums.shape[1])
        _add_up.launch((len(made), sums.shape[1]), sums, self.own, made, block=(sums.shape[1], 32))
        return made


def bands(scene: Scene) -> list[Tiles]:
    """The canvas from the top on, as few bands as have MOST_PAIRS pairs at most or are a row of tiles.

    The host waits once for each, for the number of pairs. Raises ValueError for geometry that is not finite.
    """
    down, across = (-(-side // TILE) for side in scene.canvas.shape[:2])
    shapes = torch.empty(len(scene.geometry), SHAPE, device=scene.geometry.device)
    made, waiting = [], [(0, down)]
    while waiting:
        begin, end = waiting.pop()
        ranges, own = _measured(scene, begin, end, across, shapes)
        count = int(own[-1])
        if count >= NOT_FINITE:
            raise ValueError("geometry has values that are not finite")
        if count > MOST_PAIRS and end - begin > 1:
            middle = (begin + end) // 2
            waiting += [(middle, end), (begin, middle)]
        else:
            made.append(_listed(shapes, ranges, own, begin, end, across, count))
    return made


def _listed(shapes: Tensor, ranges: Tensor, own: Tensor, begin: int, end: int, across: int, count: int) -> Tiles:
    tiles = (end - begin) * across
    stroke, tile = (torch.empty(max(count, 1), dtype=torch.int32, device=own.device) for _ in range(2))
    _list.launch(len(tile), shapes, ranges, own, begin, across, tiles, stroke, tile)
    tile, order = torch.sort(tile, stable=True)
    bounds = torch.arange(tiles + 1, dtype=torch.int32, device=own.device)
    return Tiles(shapes, own, stroke, order, torch.searchsorted(tile, bounds, out_int32=True), begin * across)


def together(parts: list[Tensor]) -> Tensor:
    """The sum of what the bands have made, in their order."""
    made = parts[0]
    for part in parts[1:]:
        made += part
    return made


def bounds_of(scene: Scene) -> tuple[Tensor, Tensor, bool, bool, np.float32]:
    """Labels [H, W], the strokes' segments [N], whether there are any, clip and softness, as the kernels take them."""
    if scene.labels is None or scene.of_stroke is None:
        nothing = torch.zeros(1, 1, dtype=torch.int32, device=scene.geometry.device)
        return nothing, nothing[0], False, False, np.float32(scene.softness)
    labels, of_stroke = (values.to(torch.int32).contiguous() for values in (scene.labels, scene.of_stroke))
    return labels, of_stroke, True, scene.clip, np.float32(scene.softness)


def as_floats(values: Tensor) -> Tensor:
    """float32, contiguous: one compiled form of each kernel."""
    return values.detach().to(torch.float32).contiguous()


def _measured(scene: Scene, begin: int, end: int, across: int, shapes: Tensor) -> tuple[Tensor, Tensor]:
    """Fill shapes [N, SHAPE]; the tiles between two rows of them that a stroke's box touches [N, 4], and own [N + 1]."""
    geometry, count = as_floats(scene.geometry), len(scene.geometry)
    ranges = torch.empty(count, 4, dtype=torch.int32, device=geometry.device)
    own = torch.empty(count + 1, dtype=torch.int64, device=geometry.device)
    _measure.launch(
        count + 1,
        geometry,
        as_floats(scene.opacity),
        np.float32(scene.softness),
        begin,
        end,
        across,
        shapes,
        ranges,
        own,
    )
    return ranges, own.cumsum(0)


@kernel
def _measure(geometry, opacity, softness, begin, end, across, shapes, ranges, own):
    """A thread is a stroke; own[n + 1] gets the number of its tiles, or NOT_FINITE."""
    n = cuda.grid(1)
    if n >= geometry.shape[0]:
        if n == geometry.shape[0]:
            own[0] = 0
        return
    for j in range(8):
        if not abs(geometry[n, j]) < _INFINITE:
            own[n + 1] = NOT_FINITE
            return
    set_shape(geometry, opacity, n, softness, shapes)
    reach = max(max(geometry[n, 6], geometry[n, 7]), _ZERO) + _REACH * softness + _MARGIN
    top, bottom = span(geometry[n, 0], geometry[n, 2], geometry[n, 4], reach, begin, end)
    left, right = span(geometry[n, 1], geometry[n, 3], geometry[n, 5], reach, 0, across)
    ranges[n, 0], ranges[n, 1], ranges[n, 2], ranges[n, 3] = top, left, bottom, right
    own[n + 1] = (bottom - top) * (right - left)


@device_function
def span(start, control, end, reach, least, most):
    """The tiles along an axis that a curve comes near: the first, and the one behind the last. The box is that of tiles.boxes."""
    turn = start - _TWO * control + end
    t = min(max((start - control) / turn, _ZERO), _ONE) if turn != _ZERO else _ZERO
    left = _ONE - t
    extreme = start * left * left + control * _TWO * t * left + end * t * t
    low, high = min(min(start, end), extreme) - reach, max(max(start, end), extreme) + reach
    first = math.floor(min(max(low, -_FAR_PX), _FAR_PX) / _TILE)
    behind = math.ceil(min(max(high, -_FAR_PX), _FAR_PX) / _TILE)
    first, behind = max(np.int64(first), least), min(np.int64(behind), most)
    return first, max(behind, first)


@kernel
def _list(shapes, ranges, own, begin, across, tiles, stroke, tile):
    """A thread is a pair; a tile that its stroke does not reach is `tiles`."""
    p = cuda.grid(1)
    if p >= stroke.size:
        return
    tile[p], stroke[p] = tiles, 0
    if p >= own[own.size - 1]:
        return
    low, high = 0, own.size - 1  # own[low] <= p < own[high]
    while high - low > 1:
        middle = (low + high) // 2
        if own[middle] <= p:
            low = middle
        else:
            high = middle
    wide = ranges[low, 3] - ranges[low, 1]
    nth = p - own[low]
    row, column = ranges[low, 0] + nth // wide, ranges[low, 1] + nth % wide
    s = shape_at(shapes, low)
    y, x = np.float32(row * TILE) + _MIDDLE - s[0], np.float32(column * TILE) + _MIDDLE - s[1]
    _, away = nearest_chord(y, x, s)
    stroke[p] = low
    if away <= s[11] + _HALF_DIAGONAL:
        tile[p] = (row - begin) * across + column


@kernel
def _add_up(sums, own, made):
    """A thread is a sum of a stroke."""
    j, n = cuda.grid(2)
    if n < made.shape[0] and j < made.shape[1]:
        total = 0.0
        for p in range(own[n], own[n + 1]):
            total += sums[p, j]
        made[n, j] = total


@device_function
def pixel_of(tile, i, across):
    """Row and column of a tile's i-th pixel."""
    warp, lane = i // 32, i % 32
    return (
        tile // across * TILE + warp // 2 * 4 + lane // 8,
        tile % across * TILE + warp % 2 * 8 + lane % 8,
    )


@device_function
def cover_pixel(row, column, s, softness, placed):
    """Alpha and t* of a pixel: UNTOUCHED beyond the stroke, WHOLLY more where it covers the whole pixel."""
    y, x = np.float32(row) + _HALF - s[0], np.float32(column) + _HALF - s[1]
    alpha, t, touched, deep = cover(y, x, s, softness, placed)
    if not touched:
        return alpha, UNTOUCHED
    return alpha, t + WHOLLY if deep else t


@device_function
def is_outside(labels, row, column, segment):
    """Whether a pixel of the canvas is not of a stroke's segment."""
    return segment >= 0 and labels[row, column] != segment


@device_function
def add_parts(values, parts, i, width):
    """First half of the sums of values [width, LANE] over a tile's pixels; all threads wait before it and after it."""
    if i < width * PARTS:
        number, part = i // PARTS, i % PARTS
        total = _ZERO
        for k in range(part, TILE * TILE, PARTS):
            total += values[number, k]
        parts[number, part] = total


@device_function
def total_of(parts, number):
    """Second half, of one of the sums."""
    total = _ZERO
    for part in range(PARTS):
        total += parts[number, part]
    return total
