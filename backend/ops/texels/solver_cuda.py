"""A grid's matrix times a texture, on a card: a thread a texel, a launch a level; the plain form is solver_plain.Grid.multiply.

Every sum has one order: the same bytes every run. Memory is taken once, so that the descent can be replayed as a CUDA graph.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, device_function, kernel

_HALF, _ONE, _ZERO = np.float32(0.5), np.float32(1), np.float32(0)


class Product:
    """The product with one grid; arguments are solver_plain.Grid's."""

    def __init__(
        self, planes: list[Tensor], smoothness: float, right_ties: Tensor, down_ties: Tensor, corners: Tensor, amounts: Tensor
    ) -> None:  # fmt: skip
        self.planes, self.smoothness, self.ties = planes, smoothness, (right_ties, down_ties)
        shapes = [(3, *part.shape[:2]) for part in planes]
        self.means = [torch.empty(shape, device=right_ties.device) for shape in shapes[1:]]
        self.results = [torch.empty(shape, device=right_ties.device) for shape in shapes]
        self.corners, self.amounts = corners, amounts
        self.differences = torch.empty((3, len(corners)), device=right_ties.device)
        # the seam rows' corners by texel, those of a texel in their order
        self.order = torch.argsort(corners.flatten(), stable=True)
        self.texels, counts = torch.unique_consecutive(corners.flatten()[self.order], return_counts=True)
        self.ends = counts.cumsum(0)

    def __call__(self, texture: Tensor) -> Tensor:
        """The matrix times a texture [3, n, n]; good until the next one is asked for."""
        values = [texture, *self.means]
        for finer, mean in zip(values, self.means, strict=False):
            halve.launch(tuple(mean.shape[1:]), finer, mean)
        for level in range(len(values) - 1, -1, -1):
            planes, result = self.planes[level], self.results[level]
            coarser = self.results[min(level + 1, len(values) - 1)]
            smoothness = self.smoothness if level == 0 else 0.0
            multiply.launch(
                tuple(result.shape[1:]),
                planes,
                values[level],
                coarser,
                level + 1 < len(values),
                smoothness,
                *self.ties,
                result,
            )
        if len(self.corners):
            differ.launch(len(self.corners), self.corners, self.amounts, texture, self.differences)
            join.launch(
                len(self.texels), self.texels, self.ends, self.order, self.amounts, self.differences, self.results[0]
            )
        return self.results[0]


@kernel
def halve(finer, mean):
    """Means of the 2 x 2 texels that exist."""
    column, row = cuda.grid(2)
    if row >= mean.shape[1] or column >= mean.shape[2]:
        return
    down, right = min(2, finer.shape[1] - 2 * row), min(2, finer.shape[2] - 2 * column)
    share = _ONE / np.float32(down * right)
    for channel in range(3):
        total = _ZERO
        for y in range(down):
            for x in range(right):
                total += finer[channel, 2 * row + y, 2 * column + x]
        mean[channel, row, column] = total * share


@kernel
def multiply(planes, values, coarser, has_coarser, smoothness, right_ties, down_ties, result):
    """A level's nine-point matrix times its values, with what the coarser levels pass on and, for smoothness, the ties."""
    column, row = cuda.grid(2)
    side = values.shape[1]
    if row >= side or column >= side:
        return
    own, right, down, down_right, down_left = (
        planes[row, column, 0], planes[row, column, 1], planes[row, column, 2], planes[row, column, 3], planes[row, column, 4]
    )  # fmt: skip
    before = planes[row, column - 1, 1] if column > 0 else _ZERO
    above = planes[row - 1, column, 2] if row > 0 else _ZERO
    up_left = planes[row - 1, column - 1, 3] if row > 0 and column > 0 else _ZERO
    up_right = planes[row - 1, column + 1, 4] if row > 0 and column + 1 < side else _ZERO
    if smoothness > 0.0:
        tie = np.float32(smoothness)
        tie_right, tie_down = tie * right_ties[row, column], tie * down_ties[row, column]
        tie_left = tie * right_ties[row, column - 1] if column > 0 else _ZERO
        tie_up = tie * down_ties[row - 1, column] if row > 0 else _ZERO
        own += tie_right + tie_left + tie_down + tie_up
        right, down, before, above = right - tie_right, down - tie_down, before - tie_left, above - tie_up
    share = _part(row, side) * _part(column, side) if has_coarser else _ZERO
    for channel in range(3):
        total = own * values[channel, row, column]
        total += right * _value(values, channel, row, column + 1) + before * _value(values, channel, row, column - 1)
        total += down * _value(values, channel, row + 1, column) + above * _value(values, channel, row - 1, column)
        total += down_right * _value(values, channel, row + 1, column + 1)
        total += up_left * _value(values, channel, row - 1, column - 1)
        total += down_left * _value(values, channel, row + 1, column - 1)
        total += up_right * _value(values, channel, row - 1, column + 1)
        if has_coarser:
            total += share * coarser[channel, row >> 1, column >> 1]
        result[channel, row, column] = total


@device_function
def _value(values, channel, row, column):
    if row < 0 or column < 0 or row >= values.shape[1] or column >= values.shape[2]:
        return _ZERO
    return values[channel, row, column]


@device_function
def _part(place, side):
    """A texel's share of its parent along one axis."""
    return _ONE if side % 2 == 1 and place == side - 1 else _HALF


@kernel
def differ(corners, amounts, texture, differences):
    """What each seam row says of the texture."""
    row = cuda.grid(1)
    if row >= corners.shape[0]:
        return
    side = texture.shape[2]
    for channel in range(3):
        total = _ZERO
        for corner in range(8):
            texel = corners[row, corner]
            total += amounts[row, corner] * texture[channel, texel // side, texel % side]
        differences[channel, row] = total


@kernel
def join(texels, ends, order, amounts, differences, result):
    """Add what the seam rows of a texel ask of it."""
    place = cuda.grid(1)
    if place >= texels.size:
        return
    begin, side = ends[place - 1] if place > 0 else 0, result.shape[2]
    for channel in range(3):
        total = _ZERO
        for entry in range(begin, ends[place]):
            row, corner = order[entry] // 8, order[entry] % 8
            total += amounts[row, corner] * differences[channel, row]
        result[channel, texels[place] // side, texels[place] % side] += total
