"""Colours of a stack of texture levels at UV positions, and the gradient back into the levels.

Either all levels are summed (the additive pyramid of NeuralTexGen) or each sample takes the two mips around its own level.
There is no align_corners: a texel's centre is at half a texel from its border, and beyond the outermost centres the last
texel goes on. A sample without a position (NaN) has colour 0 and no gradient.

`scatter` adds to a buffer that is kept over all photographs: an autograd backward would make a
gradient as large as the texture for every photograph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose


@dataclass(frozen=True)
class Layout:
    """Square levels one after another in one list of texels. sizes: texels to a side, finest first, each half of the one
    before, rounded up; a texel of level k is 2^k of level 0 wide, also where the last one then reaches over the border."""

    sizes: tuple[int, ...]

    @property
    def offsets(self) -> tuple[int, ...]:
        """Where each level begins, and where the last ends."""
        ends = np.cumsum([size * size for size in self.sizes])
        return (0, *(int(end) for end in ends))


def layout_of(size: int, levels: int) -> Layout:
    """Levels each half as large as the one before, rounded up; never more than there are down to one texel."""
    sizes = [size]
    while len(sizes) < levels and sizes[-1] > 1:
        sizes.append((sizes[-1] + 1) // 2)
    return Layout(tuple(sizes))


def pack(levels: Sequence[Tensor]) -> Tensor:
    """Levels [3, S_k, S_k] as texels [P, 3]."""
    return torch.cat([level.permute(1, 2, 0).reshape(-1, 3) for level in levels])


def unpack(texels: Tensor, layout: Layout) -> list[Tensor]:
    """Texels [P, 3] as levels [3, S_k, S_k]."""
    starts = layout.offsets
    return [
        texels[start:end].reshape(size, size, 3).permute(2, 0, 1)
        for size, start, end in zip(layout.sizes, starts, starts[1:], strict=False)
    ]


def gather(texels: Tensor, layout: Layout, uv: Tensor, level: Tensor | None, *, impl: Impl = "auto") -> Tensor:
    """Colours [..., 3] at uv [..., 2]. texels: [P, 3]. level: [...], 0 the finest, fractions between two levels; None sums
    all levels."""
    if choose(impl, texels.device) == "plain":
        return _gather_plain(texels, layout, uv, level)
    from backend.ops.texels import sampling_cpu as kernel

    flat, chosen = _flat(uv, level, texels.dtype)
    out = np.empty((len(flat), 3), flat.dtype)
    kernel.gather(_array(texels), *_arrays(layout), flat, chosen, out)
    return torch.from_numpy(out).reshape(*uv.shape[:-1], 3)


def scatter(
    texels: Tensor, layout: Layout, uv: Tensor, level: Tensor | None, values: Tensor, *, impl: Impl = "auto"
) -> None:
    """Add the transpose of `gather`, applied to values [..., 3], to texels [P, 3], in place."""
    if choose(impl, texels.device) == "plain":
        _scatter_plain(texels, layout, uv, level, values)
        return
    from backend.ops.texels import sampling_cpu as kernel

    flat, chosen = _flat(uv, level, texels.dtype)
    kernel.scatter(_array(texels), *_arrays(layout), flat, chosen, _array(values.reshape(-1, 3).contiguous()))


def _gather_plain(texels: Tensor, layout: Layout, uv: Tensor, level: Tensor | None) -> Tensor:
    """`gather` in plain torch."""
    total = torch.zeros(*uv.shape[:-1], 3, dtype=texels.dtype, device=texels.device)
    for index, weight in _all_taps(layout, uv, level, texels.dtype):
        total += weight[..., None] * texels[index]
    return total


def _scatter_plain(texels: Tensor, layout: Layout, uv: Tensor, level: Tensor | None, values: Tensor) -> None:
    """`scatter` in plain torch. On CUDA index_put_ sorts its indices: the same bytes at every run."""
    for index, weight in _all_taps(layout, uv, level, texels.dtype):
        texels.index_put_((index.reshape(-1),), (weight[..., None] * values).reshape(-1, 3), accumulate=True)


def _all_taps(layout: Layout, uv: Tensor, level: Tensor | None, dtype: torch.dtype):
    """(indices of texels, their weights), of the shape of uv, four for every level."""
    known = ~uv.isnan().any(dim=-1)
    u, v = torch.nan_to_num(uv).to(dtype).unbind(dim=-1)
    place = None if level is None else torch.nan_to_num(level).to(dtype).clamp(0, len(layout.sizes) - 1)
    for k, (size, start) in enumerate(zip(layout.sizes, layout.offsets, strict=False)):
        share = known.to(dtype) if place is None else known * (1 - (place - k).abs()).clamp(min=0)
        scale = layout.sizes[0] / 2**k
        x = (u * scale - 0.5).clamp(0, size - 1)
        y = ((1 - v) * scale - 0.5).clamp(0, size - 1)
        left, top = x.floor(), y.floor()
        for rows, down in ((top, 1 - (y - top)), ((top + 1).clamp(max=size - 1), y - top)):
            for columns, across in ((left, 1 - (x - left)), ((left + 1).clamp(max=size - 1), x - left)):
                yield start + rows.long() * size + columns.long(), share * down * across


class _Sample(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, texels: Tensor, layout: Layout, uv: Tensor, level: Tensor | None) -> Tensor:
        ctx.layout, ctx.uv, ctx.level, ctx.shape = layout, uv, level, texels.shape
        return gather(texels, layout, uv, level)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        gradient = torch.zeros(ctx.shape, dtype=grad_outputs[0].dtype, device=grad_outputs[0].device)
        scatter(gradient, ctx.layout, ctx.uv, ctx.level, grad_outputs[0])
        return gradient, None, None, None


def sample(texels: Tensor, layout: Layout, uv: Tensor, level: Tensor | None = None) -> Tensor:
    """`gather` with a gradient for texels."""
    return _Sample.apply(texels, layout, uv, level)


def _flat(uv: Tensor, level: Tensor | None, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    positions = _array(uv.reshape(-1, 2).to(dtype).contiguous())
    return positions, np.empty(0, positions.dtype) if level is None else _array(
        level.reshape(-1).to(dtype).contiguous()
    )


def _array(values: Tensor) -> np.ndarray:
    return values.detach().numpy()


def _arrays(layout: Layout) -> tuple[np.ndarray, np.ndarray]:
    return np.array(layout.offsets[:-1], np.int64), np.array(layout.sizes, np.int64)
