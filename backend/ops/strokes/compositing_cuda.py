"""Painting strokes tile by tile on a card, and the way back; the op is backend.ops.strokes.compositing.

A block of threads has a tile, its pixels' colours in registers, and takes its strokes one after the other. For the way back the
colours before every RUN-th stroke are kept: each run of strokes is painted again from there, then taken back from its last one.
Each pair of tile and stroke has its own place for what it adds to a sum, and each stroke's are added up in one order.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, kernel
from backend.ops.strokes.compositing_plain import Scene
from backend.ops.strokes.constants import TILE
from backend.ops.strokes.coverage_cuda import alpha_derivative, shape_at
from backend.ops.strokes.tiles_cuda import (
    BLOCK,
    LANE,
    PARTS,
    UNTOUCHED,
    WHOLLY,
    Tiles,
    add_parts,
    as_floats,
    bands,
    bounds_of,
    cover_pixel,
    is_outside,
    pixel_of,
    together,
    total_of,
)

RUN = 16  # strokes
SHAPES = 10  # sums of a pair that alpha_derivative makes
SUMS = SHAPES + 3  # and the colour's
_ZERO, _HALF, _ONE = np.float32(0), np.float32(0.5), np.float32(1)


class Painting:
    """Strokes sorted into tiles once for both ways."""

    def __init__(self, scene: Scene, *, placed: bool = False) -> None:
        """placed: whether the opacity's derivative is asked for, which wants the place along a stroke everywhere."""
        self.scene, self.bands, self.placed = scene, bands(scene), placed
        self.color, self.canvas = as_floats(scene.color), as_floats(scene.canvas)
        self.bounds = bounds_of(scene)
        self._marks: Tensor | None = None

    def paint(self, *, keep: bool) -> tuple[Tensor, Tensor]:
        """The image [H, W, 3] and the leak, a scalar. keep: what the way back needs, where the canvas is a single band."""
        image = torch.empty_like(self.canvas)
        leaks = []
        for tiles in self.bands:
            marks, leak = self._painted(tiles, image, keep=keep and len(self.bands) == 1)
            leaks.append(leak)
            if keep and len(self.bands) == 1:
                self._marks = marks
        if not self.bounds[2] or self.scene.clip:
            return image, image.new_zeros(())
        return image, torch.cat(leaks).sum(dtype=torch.float64).float()

    def marks(self, tiles: Tiles) -> Tensor:
        """The colours before every RUN-th stroke of a band's tiles [M, 3, TILE TILE]: 192 bytes for each pair."""
        if self._marks is not None:
            return self._marks
        return self._painted(tiles, torch.empty_like(self.canvas), keep=True)[0]

    def _painted(self, tiles: Tiles, image: Tensor, *, keep: bool) -> tuple[Tensor, Tensor]:
        """Paint a band of the image; its marks, and the leak of each tile."""
        marks = image.new_empty(len(tiles.order) // RUN + 1 if keep else 1, 3, BLOCK[0])
        leaks = image.new_empty(len(tiles.first) - 1)
        _paint.launch(
            tiles.threads, *tiles.lists, self.color, self.canvas, *self.bounds, keep, marks, image, leaks, block=BLOCK
        )
        return marks, leaks

    def gradients(self, image: Tensor, leak: Tensor, *, shapes: bool) -> tuple[Tensor | None, Tensor | None, Tensor]:
        """dL/dgeometry, dL/dopacity (None without `shapes`) and dL/dcolor of dL/dimage [H, W, 3] and dL/dleak."""
        wanted, by_leak = as_floats(image), as_floats(leak).reshape(1)
        made = together([self._slopes(tiles, wanted, by_leak, shapes) for tiles in self.bands])
        return (made[:, :8] if shapes else None), (made[:, 8:10] if shapes else None), made[:, 10:]

    def _slopes(self, tiles: Tiles, wanted: Tensor, leak: Tensor, shapes: bool) -> Tensor:
        """[N, SUMS] of one band."""
        sums = tiles.sums(SUMS)
        _gradients.launch(
            tiles.threads, *tiles.lists, self.color, self.canvas, *self.bounds, self.marks(tiles), wanted, leak, shapes,
            self.placed, sums, block=BLOCK,
        )  # fmt: skip
        made = sums.new_empty(len(self.color), SUMS)
        _add_up.launch(len(made) * PARTS, sums, tiles.own, made, block=BLOCK)
        return made


@kernel
def _paint(
    shapes,
    first,
    order,
    stroke,
    skipped,
    color,
    canvas,
    labels,
    segments,
    bounded,
    clip,
    softness,
    keep,
    marks,
    image,
    leaks,
):
    tile, i = cuda.blockIdx.x, cuda.threadIdx.x
    values = cuda.shared.array((1, LANE), np.float32)
    parts = cuda.shared.array((1, PARTS), np.float32)
    row, column = pixel_of(tile + skipped, i, (canvas.shape[1] + TILE - 1) // TILE)
    there = row < canvas.shape[0] and column < canvas.shape[1]
    red = green = blue = leak = _ZERO
    if there:
        red, green, blue = canvas[row, column, 0], canvas[row, column, 1], canvas[row, column, 2]
    begin = first[tile]
    for k in range(begin, first[tile + 1]):
        if keep and k > begin and (k - begin) % RUN == 0:
            mark = begin // RUN + (k - begin) // RUN - 1
            marks[mark, 0, i], marks[mark, 1, i], marks[mark, 2, i] = red, green, blue
        n = stroke[order[k]]
        if there:
            alpha, _ = cover_pixel(row, column, shape_at(shapes, n), softness, False)
            if bounded and is_outside(labels, row, column, segments[n]):
                if clip:
                    alpha = _ZERO
                else:
                    leak += alpha
            left = _ONE - alpha
            red, green, blue = (
                red * left + alpha * color[n, 0], green * left + alpha * color[n, 1], blue * left + alpha * color[n, 2],
            )  # fmt: skip
    if there:
        image[row, column, 0], image[row, column, 1], image[row, column, 2] = red, green, blue
    if bounded and not clip:
        values[0, i] = leak
        cuda.syncthreads()
        add_parts(values, parts, i, 1)
        cuda.syncthreads()
        if i == 0:
            leaks[tile] = total_of(parts, 0)


@kernel
def _gradients(
    shapes, first, order, stroke, skipped, color, canvas, labels, segments, bounded, clip, softness, marks, wanted, leak,
    by_shape, placed, sums,
):  # fmt: skip
    tile, i = cuda.blockIdx.x, cuda.threadIdx.x
    values = cuda.shared.array((SUMS, LANE), np.float32)
    parts = cuda.shared.array((SUMS, PARTS), np.float32)
    alphas = cuda.local.array(RUN, np.float32)
    places = cuda.local.array(RUN, np.float32)
    reds = cuda.local.array(RUN, np.float32)
    greens = cuda.local.array(RUN, np.float32)
    blues = cuda.local.array(RUN, np.float32)
    row, column = pixel_of(tile + skipped, i, (canvas.shape[1] + TILE - 1) // TILE)
    there = row < canvas.shape[0] and column < canvas.shape[1]
    d_red = d_green = d_blue = _ZERO
    if there:
        d_red, d_green, d_blue = wanted[row, column, 0], wanted[row, column, 1], wanted[row, column, 2]
    for j in range(SUMS):
        values[j, i] = _ZERO
    begin, depth = first[tile], first[tile + 1] - first[tile]
    for run in range((depth - 1) // RUN, -1, -1):
        start, count = begin + run * RUN, min(depth - run * RUN, RUN)
        red = green = blue = _ZERO
        if run > 0:
            mark = begin // RUN + run - 1
            red, green, blue = marks[mark, 0, i], marks[mark, 1, i], marks[mark, 2, i]
        elif there:
            red, green, blue = canvas[row, column, 0], canvas[row, column, 1], canvas[row, column, 2]
        for d in range(count):
            n = stroke[order[start + d]]
            alpha, t = _ZERO, UNTOUCHED
            if there:
                alpha, t = cover_pixel(row, column, shape_at(shapes, n), softness, placed)
                if bounded and clip and is_outside(labels, row, column, segments[n]):
                    alpha, t = _ZERO, UNTOUCHED
            alphas[d], places[d], reds[d], greens[d], blues[d] = alpha, t, red, green, blue
            left = _ONE - alpha
            red, green, blue = (
                red * left + alpha * color[n, 0], green * left + alpha * color[n, 1], blue * left + alpha * color[n, 2],
            )  # fmt: skip
        for d in range(count - 1, -1, -1):
            p = order[start + d]
            n = stroke[p]
            alpha, t = alphas[d], places[d]
            values[SHAPES, i], values[SHAPES + 1, i], values[SHAPES + 2, i] = (
                d_red * alpha,
                d_green * alpha,
                d_blue * alpha,
            )
            if by_shape:
                given = _ZERO
                if t != UNTOUCHED:
                    given = d_red * (color[n, 0] - reds[d]) + d_green * (color[n, 1] - greens[d])
                    given += d_blue * (color[n, 2] - blues[d])
                    if bounded and not clip and is_outside(labels, row, column, segments[n]):
                        given += leak[0]
                s = shape_at(shapes, n)
                deep = t >= WHOLLY
                if deep:
                    t -= WHOLLY
                if given != _ZERO and not (deep and s[9] == _ZERO):
                    y, x = np.float32(row) + _HALF - s[0], np.float32(column) + _HALF - s[1]
                    alpha_derivative(y, x, t, s, softness, given, values, i)
                else:
                    for j in range(SHAPES - 2):
                        values[j, i] = _ZERO
                    values[SHAPES - 2, i], values[SHAPES - 1, i] = given, given * t
            left = _ONE - alpha
            d_red, d_green, d_blue = d_red * left, d_green * left, d_blue * left
            cuda.syncthreads()
            add_parts(values, parts, i, SUMS)
            cuda.syncthreads()
            if i < SUMS:
                sums[p, i] = total_of(parts, i)


@kernel
def _add_up(sums, own, made):
    """made [N, SUMS]: by geometry, opacity and colour. Sixteen threads are a stroke."""
    totals = cuda.shared.array((PARTS, PARTS), np.float64)
    at, j = cuda.threadIdx.x // PARTS, cuda.threadIdx.x % PARTS
    n = cuda.grid(1) // PARTS
    total = 0.0
    if n < made.shape[0] and j < SUMS:
        for p in range(own[n], own[n + 1]):
            total += sums[p, j]
    totals[at, j] = total
    cuda.syncthreads()
    if n >= made.shape[0] or j >= SUMS:
        return
    axis = j % 2
    start, along, turn = totals[at, axis], totals[at, 2 + axis], totals[at, 4 + axis]  # by p, a and c
    if j < 2:
        total = start - 2.0 * along + turn
    elif j < 4:
        total = 2.0 * (along - turn)
    elif j < 6:
        total = turn
    elif j == 6 or j == 8:
        total = totals[at, j] - totals[at, j + 1]
    made[n, j] = total
