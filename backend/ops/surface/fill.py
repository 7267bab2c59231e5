"""Colours for the texels between charts, so that no mip level of the texture shows what lies outside of a chart.

A renderer halves a texture by averaging 2 x 2 texels, again and again. Two things keep the gutter out of sight. A texel
that no chart has takes the mean of the known ones of its block, at the finest level where its block has any: then every
box mean, at every level, is a mean of known texels alone, exactly (push-pull, Gortler et al. 1996, with binary weights). And before
each halving every chart grows by rings of its own colours, so that bilinear filtering at a chart's border finds the
chart's colours beyond it, at every level. Unseen texels inside charts are the solver's; nothing here looks at a mesh.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.surface import fill_plain
from backend.ops.surface.constants import UNREACHED
from shared.errors import InvalidInput

RINGS = 2  # texels of growth before each halving: bilinear filtering reaches 1, Blender's cubic interpolation 2


def fill_gutter(texture: Tensor, known: Tensor, rings: int = RINGS, *, impl: Impl = "auto") -> Tensor:
    """The texture with colours in all texels that are not known; in place, and returned.

    texture: [3, H, W] float32, contiguous; what unknown texels hold is not looked at, be it NaN. known: [H, W] bool.
    rings: 1 to 254. Takes a third of the texture's memory beside it. Raises InvalidInput where no texel is known.
    """
    return mip_chain(texture, known, rings, impl=impl)[0]


def mip_chain(texture: Tensor, known: Tensor, rings: int = RINGS, *, impl: Impl = "auto") -> list[Tensor]:
    """Every level [3, H_k, W_k] of the filled texture down to one texel; H_k = ceil(H_k-1 / 2). Level 0 is `texture` itself,
    filled in place; each level is the box mean of the one before.

    Arguments and errors as fill_gutter.
    """
    if not 1 <= rings < UNREACHED:
        raise ValueError(f"rings is {rings}; it must be 1 to {UNREACHED - 1}")
    if not known.any():
        raise InvalidInput("No texel of the texture has a colour: its gutter cannot be filled.")
    compiled = choose(impl, texture.device) == "cpu"
    levels, states = [texture], [torch.where(known, 0, UNREACHED).to(torch.uint8)]
    while True:
        for ring in range(1, rings + 1):
            _grow(levels[-1], states[-1], ring, compiled)
        if states[-1].numel() == 1:
            break
        mean, state = _halve(levels[-1], states[-1], compiled)
        levels.append(mean)
        states.append(state)
    for finer in range(len(levels) - 2, -1, -1):
        _take_from_coarser(levels[finer], states[finer], levels[finer + 1], compiled)
    return levels


def _grow(texture: Tensor, state: Tensor, ring: int, compiled: bool) -> None:
    if not compiled:
        fill_plain.grow(texture, state, ring)
        return
    from backend.ops.surface import fill_cpu

    fill_cpu.grow(texture.numpy(), state.numpy(), ring)


def _halve(texture: Tensor, state: Tensor, compiled: bool) -> tuple[Tensor, Tensor]:
    if not compiled:
        return fill_plain.halve(texture, state)
    from backend.ops.surface import fill_cpu

    mean, reached = fill_cpu.halve(texture.numpy(), state.numpy())
    return torch.from_numpy(mean), torch.from_numpy(reached)


def _take_from_coarser(texture: Tensor, state: Tensor, coarser: Tensor, compiled: bool) -> None:
    if not compiled:
        fill_plain.take_from_coarser(texture, state, coarser)
        return
    from backend.ops.surface import fill_cpu

    fill_cpu.take_from_coarser(texture.numpy(), state.numpy(), coarser.numpy())
