"""NeuralTexGen's descent with its gradient in one loop over pixels, three times as fast as PyTorch's: for the run ten times
as long. The objective, the schedule and Adam are those of neuraltexgen.py, whose gradient this one is held to at every start.
"""

from __future__ import annotations

from collections.abc import Callable

import numba
import numpy as np
import torch

from benchmarks.peers.neuraltexgen import LEVEL_WEIGHTS, NeuralTexGen, schedule

SAME = 5e-3  # of the gradient's length: the sign of a difference near 0 hangs on the order of float32 sums


class FusedNeuralTexGen:
    """As NeuralTexGen: photographs uint8 [V, H, W, 3]; uv_maps [H, W, 2] each, NaN where there is no surface."""

    def __init__(self, photographs: np.ndarray, uv_maps: list[np.ndarray], size: int) -> None:
        self.size, self.photographs, self.uv = size, photographs, np.stack(uv_maps).astype(np.float32)
        self.levels = [torch.zeros(size >> k, size >> k, 3) for k in range(len(LEVEL_WEIGHTS))]

    def check(self, photographs: int = 2) -> None:
        """Compare the gradient of a few photographs at a random texture with PyTorch's; ArithmeticError where they differ."""
        torch.manual_seed(1)
        plain = NeuralTexGen(self.photographs[:photographs], list(self.uv[:photographs]), self.size)
        with torch.no_grad():
            plain.data.copy_(0.3 * torch.randn_like(plain.data))
        for batch in zip(plain.grids, plain.targets, plain.masks, strict=True):
            plain.loss(*batch).backward()
        assert plain.data.grad is not None
        levels = [level.detach()[0].permute(1, 2, 0).contiguous() for level in plain.levels(plain.data)]
        wanted = [level[0].permute(1, 2, 0) for level in plain.levels(plain.data.grad)]
        for made, want in zip(self._gradient(levels, photographs), wanted, strict=True):
            if float((made - want).norm()) > SAME * float(want.norm()):
                raise ArithmeticError("The fused gradient differs from PyTorch's.")

    def run(self, epochs: int, look: Callable[[int], None] | None = None) -> None:
        adam = torch.optim.Adam(self.levels, lr=0.01, betas=(0.5, 0.999))
        rate = torch.optim.lr_scheduler.LambdaLR(adam, schedule(epochs))
        for epoch in range(epochs):
            for level, gradient in zip(self.levels, self._gradient(self.levels, len(self.photographs)), strict=True):
                level.grad = gradient
            adam.step()
            rate.step()
            if look:
                look(epoch + 1)

    def texture(self) -> np.ndarray:
        """float32 [S, S, 3] 0..1, as NeuralTexGen.texture."""
        total = torch.zeros(1, 3, self.size, self.size)
        for level in self.levels:
            planes = level.permute(2, 0, 1)[None]
            total += torch.nn.functional.interpolate(planes, size=total.shape[2:], mode="bilinear", align_corners=False)
        return ((total[0].permute(1, 2, 0) + 1) / 2).clamp(0, 1).contiguous().numpy()

    def _gradient(self, levels: list[torch.Tensor], photographs: int) -> list[torch.Tensor]:
        made = [
            2 * 0.1 * photographs * weight / level.numel() * level
            for level, weight in zip(levels, LEVEL_WEIGHTS, strict=True)
        ]
        values, sums = tuple(level.numpy() for level in levels), tuple(level.numpy() for level in made)
        for index in range(photographs):
            _descend(self.photographs[index], self.uv[index], values, sums)
        return made


@numba.njit(cache=True, nogil=True)
def _descend(
    photograph: np.ndarray, uv: np.ndarray, levels: tuple[np.ndarray, ...], sums: tuple[np.ndarray, ...]
) -> None:
    """Add one photograph's gradient to the levels' sums."""
    height, width = uv.shape[0], uv.shape[1]
    made, pull = np.zeros((height, width, 3), np.float32), np.zeros((height, width, 3), np.float32)
    valid = 0
    for i in range(height):
        for j in range(width):
            seen = not np.isnan(uv[i, j, 0])
            valid += seen
            for level in levels:
                p, q, b, a = _place(uv, i, j, seen, level.shape[0])
                for c in range(3):
                    upper = (1 - a) * level[p, q, c] + a * level[p, q + 1, c]
                    made[i, j, c] += (1 - b) * upper + b * ((1 - a) * level[p + 1, q, c] + a * level[p + 1, q + 1, c])
    share = np.float32(valid / (height * width))
    color = share * np.float32(10 / (3 * height * width))
    across, down = (
        share * np.float32(20 / (3 * height * (width - 1))),
        share * np.float32(20 / (3 * (height - 1) * width)),
    )
    for i in range(height):
        for j in range(width):
            for c in range(3):
                here = _wanted(photograph, uv, i, j, c)
                if not np.isnan(uv[i, j, 0]):
                    pull[i, j, c] += color * np.sign(made[i, j, c] - here)
                if j + 1 < width:
                    step = across * np.sign(
                        made[i, j + 1, c] - made[i, j, c] - (_wanted(photograph, uv, i, j + 1, c) - here)
                    )
                    pull[i, j + 1, c] += step
                    pull[i, j, c] -= step
                if i + 1 < height:
                    step = down * np.sign(
                        made[i + 1, j, c] - made[i, j, c] - (_wanted(photograph, uv, i + 1, j, c) - here)
                    )
                    pull[i + 1, j, c] += step
                    pull[i, j, c] -= step
    for i in range(height):
        for j in range(width):
            seen = not np.isnan(uv[i, j, 0])
            for level in sums:
                p, q, b, a = _place(uv, i, j, seen, level.shape[0])
                for c in range(3):
                    g = pull[i, j, c]
                    level[p, q, c] += (1 - a) * (1 - b) * g
                    level[p, q + 1, c] += a * (1 - b) * g
                    level[p + 1, q, c] += (1 - a) * b * g
                    level[p + 1, q + 1, c] += a * b * g


@numba.njit(cache=True, inline="always")
def _place(uv: np.ndarray, i: int, j: int, seen: bool, side: int) -> tuple[int, int, np.float32, np.float32]:
    """Row, column and the fractions beyond them; what sees nothing looks at the top left corner, as published."""
    if not seen:
        return 0, 0, np.float32(0), np.float32(0)
    x = min(max(uv[i, j, 0] * np.float32(side) - np.float32(0.5), np.float32(0)), np.float32(side - 1))
    y = min(max((1 - uv[i, j, 1]) * np.float32(side) - np.float32(0.5), np.float32(0)), np.float32(side - 1))
    p, q = min(int(y), side - 2), min(int(x), side - 2)
    return p, q, np.float32(y - p), np.float32(x - q)


@numba.njit(cache=True, inline="always")
def _wanted(photograph: np.ndarray, uv: np.ndarray, i: int, j: int, c: int) -> np.float32:
    return np.float32(0) if np.isnan(uv[i, j, 0]) else photograph[i, j, c] / np.float32(127.5) - np.float32(1)
