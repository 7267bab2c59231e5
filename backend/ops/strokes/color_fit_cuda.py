"""What a step of the colour fit needs, tile by tile on a card; the op is backend.ops.strokes.color_fit.

A block paints a tile, compares it and takes it apart again; alphas are the same at every step and kept where they fit.
"""

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

MOST_KEPT_PAIRS = 2**20  # of tile and stroke: 1 GiB; of more, alphas are computed at every step
COLORS = 3
_ZERO, _ONE = np.float32(0), np.float32(1)


class Gathering:
    """Strokes sorted into tiles once for all steps."""

    def __init__(self, scene: Scene, weight: Tensor | None) -> None:
        self.bands, self.bounds = bands(scene), bounds_of(scene)
        count = len(self.bands[0].order)
        self.keep, self.known = len(self.bands) == 1 and count <= MOST_KEPT_PAIRS, False
        self.alphas = torch.empty(count if self.keep else 1, TILE * TILE, device=scene.canvas.device)
        self.weighted = weight is not None
        self.weight = self.alphas.new_empty(1, 1) if weight is None else as_floats(weight)

    def gather(self, colors: Tensor, ground: Tensor, wanted: Tensor) -> Tensor:
        """[N, 3]: of each stroke, its share of each pixel that shows times weight times (painting on ground - wanted)."""
        paint, ground, wanted, made = as_floats(colors), as_floats(ground), as_floats(wanted), []
        for tiles in self.bands:
            sums = tiles.sums(COLORS)
            _gather.launch(
                tiles.threads, *tiles.lists, paint, *self.bounds, self.alphas, self.keep, self.known, ground, wanted,
                self.weight, self.weighted, sums, block=BLOCK,
            )  # fmt: skip
            made.append(tiles.of_strokes(sums))
        self.known = self.keep
        return together(made)


@kernel
def _gather(
    shapes, first, order, stroke, skipped, color, labels, segments, bounded, clip, softness, alphas, keep, known, ground, wanted,
    weight, weighted, sums,
):  # fmt: skip
    tile, i = cuda.blockIdx.x, cuda.threadIdx.x
    values = cuda.shared.array((COLORS, LANE), np.float32)
    parts = cuda.shared.array((COLORS, PARTS), np.float32)
    row, column = pixel_of(tile + skipped, i, (ground.shape[1] + TILE - 1) // TILE)
    there = row < ground.shape[0] and column < ground.shape[1]
    red = green = blue = _ZERO
    if there:
        red, green, blue = ground[row, column, 0], ground[row, column, 1], ground[row, column, 2]
    begin, end = first[tile], first[tile + 1]
    for step in range(2 * (end - begin)):
        painting = step < end - begin  # then the way back
        k = begin + step if painting else 2 * end - begin - 1 - step
        if step == end - begin and there:
            factor = weight[row, column] if weighted else _ONE
            red, green, blue = (
                (red - wanted[row, column, 0]) * factor, (green - wanted[row, column, 1]) * factor,
                (blue - wanted[row, column, 2]) * factor,
            )  # fmt: skip
        n = stroke[order[k]]
        alpha = _ZERO
        if known or (keep and not painting):
            alpha = alphas[k, i]
        elif there:
            alpha, _ = cover_pixel(row, column, shape_at(shapes, n), softness, False)
            if bounded and clip and is_outside(labels, row, column, segments[n]):
                alpha = _ZERO
        if keep and painting and not known:
            alphas[k, i] = alpha
        left = _ONE - alpha
        if painting:
            red, green, blue = (
                red * left + alpha * color[n, 0], green * left + alpha * color[n, 1], blue * left + alpha * color[n, 2],
            )  # fmt: skip
        else:
            values[0, i], values[1, i], values[2, i] = red * alpha, green * alpha, blue * alpha
            red, green, blue = red * left, green * left, blue * left
            cuda.syncthreads()
            add_parts(values, parts, i, COLORS)
            cuda.syncthreads()
            if i < COLORS:
                sums[order[k], i] = total_of(parts, i)
