"""The plain form of charts.py: UV triangles on the texel grid by torch operations on any device, in whole numbers and so exact.

Corners are int64 [N, 3, 2]: x, y in 1/SUBTEXELS texel, y downwards, as the kernel takes them.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from backend.ops.surface.constants import SUBTEXELS
from backend.ops.surface.fragments import fragments


def cover_counts(corners: Tensor, rows: int, columns: int) -> Tensor:
    """uint8 [rows, columns]: triangles over each texel's centre, 255 and more as 255."""
    counts = torch.zeros(rows * columns, dtype=torch.int32, device=corners.device)
    turned = _turned(corners)
    for triangle, row, column in _texels(turned, rows, columns, touched=False):
        inside = _covers(turned[triangle], column, row)
        counts.index_add_(0, row * columns + column, inside.to(torch.int32))
    return counts.clamp(max=255).to(torch.uint8).reshape(rows, columns)


def chart_map(corners: Tensor, numbers: Tensor, rows: int, columns: int) -> Tensor:
    """int32 [rows, columns]: the chart of each texel, 0 where no triangle has a share of it. numbers: int32 [N], 1 and up."""
    turned, none = _turned(corners), len(corners)
    over, beside = (
        torch.full((rows * columns,), none, dtype=torch.int64, device=corners.device) for _ in range(2)
    )  # of the triangles over a texel's centre, and of those that touch it, the first
    for triangle, row, column in _texels(turned, rows, columns, touched=True):
        texel, own = row * columns + column, turned[triangle]
        over.scatter_reduce_(0, texel, torch.where(_covers(own, column, row), triangle, none), "amin")
        beside.scatter_reduce_(0, texel, torch.where(_touches(own, column, row), triangle, none), "amin")
    owner = torch.where(over < none, over, beside)
    known = torch.cat([numbers.to(torch.int32), numbers.new_zeros(1, dtype=torch.int32)])
    return known[owner].reshape(rows, columns)


def _turned(corners: Tensor) -> Tensor:
    """The corners in the order that makes the edge functions positive inside."""
    first, second, third = corners.unbind(1)
    to_second, to_third = second - first, third - first
    area = to_second[:, 0] * to_third[:, 1] - to_second[:, 1] * to_third[:, 0]
    return torch.where((area < 0)[:, None, None], corners[:, [0, 2, 1]], corners)


def _texels(turned: Tensor, rows: int, columns: int, *, touched: bool) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Triangle, row and column of the texels within each triangle's bounds; touched: a bound on a texel's edge does not
    reach the texel beyond it. Triangles without area have none."""
    low, high = turned.amin(1), turned.amax(1) - int(touched)
    first = (low // SUBTEXELS).clamp(min=0)
    last = torch.minimum(high // SUBTEXELS, high.new_tensor([columns - 1, rows - 1]))
    step, other = turned[:, 1] - turned[:, 0], turned[:, 2] - turned[:, 0]
    empty = step[:, 0] * other[:, 1] == step[:, 1] * other[:, 0]
    bottom = last[:, 1].masked_fill(empty, -1)
    yield from fragments(torch.stack([first[:, 0], last[:, 0], first[:, 1], bottom], 1))


def _covers(own: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Whether triangles [n, 3, 2] have the texels' centres, points on their edges by the top-left rule."""
    x, y = column * SUBTEXELS + SUBTEXELS // 2, row * SUBTEXELS + SUBTEXELS // 2
    inside = torch.ones_like(row, dtype=torch.bool)
    for start in range(3):
        a, b = own[:, start], own[:, (start + 1) % 3]
        dx, dy = (b - a).unbind(1)
        value = dx * (y - a[:, 1]) - dy * (x - a[:, 0])
        inside &= (value > 0) | ((value == 0) & ((dy < 0) | ((dy == 0) & (dx > 0))))
    return inside


def _touches(own: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Whether triangles [n, 3, 2] have a share of the texels: each edge function is positive somewhere in the texel."""
    left, top = column * SUBTEXELS, row * SUBTEXELS
    inside = torch.ones_like(row, dtype=torch.bool)
    for start in range(3):
        a, b = own[:, start], own[:, (start + 1) % 3]
        dx, dy = (b - a).unbind(1)
        x = torch.where(dy > 0, left, left + SUBTEXELS)
        y = torch.where(dx > 0, top + SUBTEXELS, top)
        inside &= dx * (y - a[:, 1]) - dy * (x - a[:, 0]) > 0
    return inside
