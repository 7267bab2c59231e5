"""Strokes with a colour at each end, tile by tile on a card; the op is backend.ops.strokes.end_colors."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, kernel
from backend.ops.strokes.compositing_plain import Scene
from backend.ops.strokes.constants import TILE
from backend.ops.strokes.coverage_cuda import shape_at
from backend.ops.strokes.tiles_cuda import (
    BLOCK,
    LANE,
    PARTS,
    UNTOUCHED,
    WHOLLY,
    add_parts,
    as_floats,
    bands,
    cover_pixel,
    pixel_of,
    together,
    total_of,
)

COLORS = 6  # of both ends
_ZERO, _ONE = np.float32(0), np.float32(1)


def paint(scene: Scene, ends: Tensor) -> Tensor:
    """The image [H, W, 3]; the scene's colours are those of the starts, ends [N, 3]."""
    colors = torch.cat((as_floats(scene.color), as_floats(ends)))
    ground = as_floats(scene.canvas)
    image = torch.empty_like(ground)
    for tiles in bands(scene):
        _gather.launch(
            tiles.threads, *tiles.lists, colors, ground, image, True, image.new_empty(1, COLORS), block=BLOCK
        )
    return image


class Gathering:
    """Strokes sorted into tiles once for all steps."""

    def __init__(self, scene: Scene) -> None:
        self.bands = bands(scene)

    def gather(self, colors: Tensor, ground: Tensor, wanted: Tensor) -> Tensor:
        """[2 N, 3], of the starts, then of the ends: their shares of each pixel that shows times (painting on ground - wanted)."""
        paint, ground, wanted = as_floats(colors), as_floats(ground), as_floats(wanted)
        parts = []
        for tiles in self.bands:
            sums = tiles.sums(COLORS)
            _gather.launch(tiles.threads, *tiles.lists, paint, ground, wanted, False, sums, block=BLOCK)
            parts.append(tiles.of_strokes(sums))
        made = together(parts)
        return torch.cat((made[:, :3], made[:, 3:]))


@kernel
def _gather(shapes, first, order, stroke, skipped, color, ground, image, paints, sums):
    """color [2 N, 3]. paints: write the painting to the image; else compare it with that and go back."""
    tile, i = cuda.blockIdx.x, cuda.threadIdx.x
    values = cuda.shared.array((COLORS, LANE), np.float32)
    parts = cuda.shared.array((COLORS, PARTS), np.float32)
    row, column = pixel_of(tile + skipped, i, (ground.shape[1] + TILE - 1) // TILE)
    there = row < ground.shape[0] and column < ground.shape[1]
    red = green = blue = _ZERO
    if there:
        red, green, blue = ground[row, column, 0], ground[row, column, 1], ground[row, column, 2]
    begin, count = first[tile], shapes.shape[0]
    depth = first[tile + 1] - begin
    for step in range(depth if paints else 2 * depth):
        painting = step < depth  # then the way back
        k = begin + step if painting else begin + 2 * depth - 1 - step
        if step == depth and there:
            red, green, blue = red - image[row, column, 0], green - image[row, column, 1], blue - image[row, column, 2]
        n = stroke[order[k]]
        alpha, t = _ZERO, UNTOUCHED
        if there:
            alpha, t = cover_pixel(row, column, shape_at(shapes, n), _ONE, True)
            if t >= WHOLLY:
                t -= WHOLLY
        if t == UNTOUCHED:
            t = _ZERO
        left, end = _ONE - alpha, n + count
        if painting:
            red = red * left + alpha * (color[n, 0] + t * (color[end, 0] - color[n, 0]))
            green = green * left + alpha * (color[n, 1] + t * (color[end, 1] - color[n, 1]))
            blue = blue * left + alpha * (color[n, 2] + t * (color[end, 2] - color[n, 2]))
        else:
            later = alpha * t
            start = alpha - later
            values[0, i], values[1, i], values[2, i] = red * start, green * start, blue * start
            values[3, i], values[4, i], values[5, i] = red * later, green * later, blue * later
            red, green, blue = red * left, green * left, blue * left
            cuda.syncthreads()
            add_parts(values, parts, i, COLORS)
            cuda.syncthreads()
            if i < COLORS:
                sums[order[k], i] = total_of(parts, i)
    if paints and there:
        image[row, column, 0], image[row, column, 1], image[row, column, 2] = red, green, blue
