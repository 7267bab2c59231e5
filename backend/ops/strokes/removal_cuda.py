"""What each stroke is worth, tile by tile on a card; the op is backend.ops.strokes.removal."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, kernel
from backend.ops.strokes.compositing_cuda import RUN, Painting
from backend.ops.strokes.compositing_plain import Scene
from backend.ops.strokes.constants import TILE
from backend.ops.strokes.coverage_cuda import shape_at
from backend.ops.strokes.tiles_cuda import (
    BLOCK,
    LANE,
    PARTS,
    add_parts,
    as_floats,
    cover_pixel,
    is_outside,
    pixel_of,
    together,
    total_of,
)

_ZERO, _ONE, _TWO = np.float32(0), np.float32(1), np.float32(2)


def removal_costs(scene: Scene, target: Tensor, weight: Tensor | None) -> Tensor:
    """[N]. target [H, W, 3]; weight [H, W]."""
    painting = Painting(scene)
    image, _ = painting.paint(keep=True)
    area = torch.ones_like(image[..., 0]) if weight is None else as_floats(weight)
    error, costs = image - as_floats(target), []
    for tiles in painting.bands:
        sums = tiles.sums(1)
        _costs.launch(
            tiles.threads, *tiles.lists, painting.color, painting.canvas, *painting.bounds, painting.marks(tiles), error,
            area, sums, block=BLOCK,
        )  # fmt: skip
        costs.append(tiles.of_strokes(sums))
    return together(costs)[:, 0]


@kernel
def _costs(
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
    marks,
    error,
    weight,
    sums,
):
    """Runs of strokes from the last one on, each painted again from the colours that were kept before it."""
    tile, i = cuda.blockIdx.x, cuda.threadIdx.x
    values = cuda.shared.array((1, LANE), np.float32)
    parts = cuda.shared.array((1, PARTS), np.float32)
    alphas = cuda.local.array(RUN, np.float32)
    reds = cuda.local.array(RUN, np.float32)
    greens = cuda.local.array(RUN, np.float32)
    blues = cuda.local.array(RUN, np.float32)
    row, column = pixel_of(tile + skipped, i, (canvas.shape[1] + TILE - 1) // TILE)
    there = row < canvas.shape[0] and column < canvas.shape[1]
    shown = e_red = e_green = e_blue = factor = _ZERO
    if there:
        shown, factor = _ONE, weight[row, column]
        e_red, e_green, e_blue = error[row, column, 0], error[row, column, 1], error[row, column, 2]
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
            alpha = _ZERO
            if there:
                alpha, _ = cover_pixel(row, column, shape_at(shapes, n), softness, False)
                if bounded and clip and is_outside(labels, row, column, segments[n]):
                    alpha = _ZERO
            alphas[d], reds[d], greens[d], blues[d] = alpha, red - color[n, 0], green - color[n, 1], blue - color[n, 2]
            left = _ONE - alpha
            red, green, blue = (
                red * left + alpha * color[n, 0], green * left + alpha * color[n, 1], blue * left + alpha * color[n, 2],
            )  # fmt: skip
        for d in range(count - 1, -1, -1):
            share = shown * alphas[d]
            red, green, blue = share * reds[d], share * greens[d], share * blues[d]
            cost = red * (red + _TWO * e_red) + green * (green + _TWO * e_green) + blue * (blue + _TWO * e_blue)
            values[0, i] = cost * factor
            shown *= _ONE - alphas[d]
            cuda.syncthreads()
            add_parts(values, parts, i, 1)
            cuda.syncthreads()
            if i == 0:
                sums[order[start + d], 0] = total_of(parts, 0)
