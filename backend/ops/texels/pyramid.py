"""A texture and its box mips, and what a pixel of a given width sees of them: the model that scan textures are solved in.

A pixel whose footprint is f UV units wide looks at texels of a size near f. Level k of a pyramid holds the means of
2^k x 2^k texels, and the pixel is a blend of bilinear look-ups in two neighbouring levels. That is a model of areas, not
of points: a texture solved in it may be finer than the photographs (several that are shifted by parts of a pixel
then tell its detail), and it is what a renderer with mip maps shows.

This is the plain torch side, on any device. It must not know observations or solvers; backend/ops/texels/stencil.py
accumulates the transpose of `sample`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.texels.constants import TEXELS_PER_PIXEL

LevelTable = np.ndarray  # int64 [2, L+1]: the side of each level, and where it starts in a flat array of all levels
MOST_LEVELS = 6


@dataclass(frozen=True)
class Pyramid:
    """texture [3, S, S] float32, level 0. coarse [3, N]: levels 1 and on, one after the other. sides: S, ceil(S/2) ..."""

    texture: Tensor
    coarse: Tensor
    sides: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.sides)

    def __getitem__(self, level: int) -> Tensor:
        """Level k as a view [3, n, n]."""
        if level == 0:
            return self.texture
        start = sum(side * side for side in self.sides[1:level])
        side = self.sides[level]
        return self.coarse[:, start : start + side * side].unflatten(1, (side, side))


def level_sides(size: int, levels: int) -> tuple[int, ...]:
    """The sides of levels 0 to `levels`: size / 2^k, rounded up."""
    return tuple(-(-size >> k) for k in range(levels + 1))


def default_levels(size: int) -> int:
    """The coarsest level worth having: texels of 2^k, at most 64, and at least four of them a side."""
    return max(0, min(MOST_LEVELS, int(math.log2(max(size, 1))) - 2))


def build_pyramid(texture: Tensor, levels: int) -> Pyramid:
    """The pyramid of a texture [3, S, S]: levels 0 (the texture itself, shared) to `levels`.

    A mean is over the texels that exist: where S is odd, the last column of the next level has children on one side.
    """
    sides = level_sides(texture.shape[-1], levels)
    coarse = texture.new_empty((3, sum(side * side for side in sides[1:])))
    pyramid = Pyramid(texture, coarse, sides)
    for level in range(1, levels + 1):
        for finer, own in zip(pyramid[level - 1], pyramid[level]):  # a channel at a time: a third of the memory
            own.copy_(halve(finer[None])[0])
    return pyramid


def halve(values: Tensor) -> Tensor:
    """Means [C, ceil(n/2), ceil(n/2)] of 2 x 2 of [C, n, n]: R of one level."""
    return F.avg_pool2d(values[None], 2, ceil_mode=True, count_include_pad=False)[0]


def spread(values: Tensor, side: int) -> Tensor:
    """The transpose of `halve`: [C, ceil(side/2), ceil(side/2)] to [C, side, side]; every child a share of its parent."""
    shares = torch.full((values.shape[-1],), 0.5, dtype=values.dtype, device=values.device)
    if side % 2:
        shares[-1] = 1.0
    shared = values * shares[:, None] * shares[None, :]
    return shared.repeat_interleave(2, 1)[:, :side].repeat_interleave(2, 2)[:, :, :side]


def add_spread(values: Tensor, coarser: Tensor) -> None:
    """Add the `spread` of coarser [ceil(n/2), ceil(n/2)] to values [n, n], in place and without another [n, n]."""
    shares = torch.full((len(coarser),), 0.5, dtype=values.dtype, device=values.device)
    if len(values) % 2:
        shares[-1] = 1.0
    shared = coarser * shares[:, None] * shares[None, :]
    for row in range(2):
        for column in range(2):
            children = values[row::2, column::2]
            children += shared[: children.shape[0], : children.shape[1]]


def choose_levels(footprint: Tensor, size: int, levels: int) -> tuple[Tensor, Tensor]:
    """For footprints (UV units): the finer of the two levels, int64, and how much of the coarser is mixed in, 0..1.

    With s = footprint * size / sqrt(3) in [2^k, 2^(k+1)) the finer level is k, and the share ((s/2^k)² - 1)/3 makes the
    mixed kernel's variance that of the footprint. Below one texel: level 0 alone; beyond the last level: that alone.
    """
    width = footprint * (size * TEXELS_PER_PIXEL)
    mantissa, exponent = torch.frexp(width.clamp(1.0, 2.0**levels))  # in [0.5, 1): one octave lower than ours
    level = (exponent - 1).to(torch.int64).clamp(max=levels)
    share = ((2 * mantissa) ** 2 - 1) / 3
    return level, torch.where(level < levels, share, torch.zeros_like(share))


def to_texels(uv: Tensor, size: int) -> Tensor:
    """uv [..., 2] as texels of level 0 to the right of and below the top left corner."""
    return torch.stack((uv[..., 0] * size, (1 - uv[..., 1]) * size), -1)


def cells(place: Tensor, level: int, side: int) -> tuple[Tensor, Tensor]:
    """Where places [..., 2] (`to_texels`) fall in a level: the flat index of the cell's top left texel, weights [..., 4].

    Weights are of the texels (y, x), (y, x+1), (y+1, x), (y+1, x+1). Beyond the outer texels' centres the border is
    repeated. `side` must be 2 or more.
    """
    x, y = (place * 2.0**-level - 0.5).clamp(0.0, side - 1.0).unbind(-1)
    column = x.to(torch.int64).clamp(max=side - 2)
    row = y.to(torch.int64).clamp(max=side - 2)
    right, down = x - column, y - row
    left, up = 1 - right, 1 - down
    return row * side + column, torch.stack((left * up, right * up, left * down, right * down), -1)


def sample(pyramid: Pyramid, uv: Tensor, footprint: Tensor) -> Tensor:
    """What pixels see of a texture: uv [..., 2] and footprint [...] (UV units) to colours [..., 3], in the texture's precision.

    NaN where uv is NaN. The definition of the model; an accumulating kernel computes the same on its way.
    """
    size, levels = pyramid.sides[0], len(pyramid) - 1
    seen = ~torch.isnan(uv).any(-1)
    result = torch.full((*uv.shape[:-1], 3), math.nan, dtype=pyramid.texture.dtype, device=uv.device)
    place, width = to_texels(uv[seen], size), footprint[seen]
    finer, share = choose_levels(width, size, levels)
    mixed = torch.zeros((len(place), 3), dtype=result.dtype, device=uv.device)
    for level, side in enumerate(pyramid.sides):
        amount = torch.where(finer == level, 1 - share, torch.where(finer == level - 1, share, torch.zeros_like(share)))
        index, weights = cells(place, level, side)
        flat = pyramid[level].reshape(3, -1)
        corners = torch.stack([flat[:, index + step] for step in (0, 1, side, side + 1)], -1)  # [3, n, 4]
        mixed += amount[:, None] * (corners * weights).sum(-1).T
    result[seen] = mixed
    return result


def level_table(sides: Sequence[int]) -> LevelTable:
    """The table of these levels, as the kernels take it."""
    table = np.zeros((2, len(sides)), np.int64)
    table[0] = sides
    table[1, 1:] = np.cumsum([side * side for side in sides[:-1]])
    return table
