"""NeuralTexGen's optimisation (Thies 2020, "NeuralTexGen", the loop that the Face2Face and NeuralVoicePuppetry projects use):
a texture of four additive levels in one tensor, fitted to all photographs by Adam, one step an epoch.

As published, with the script's values: L1 x 10 and L1 of differences x 20, both times the share of valid pixels, the
prediction unmasked in the differences; regulariser 0.1 (8, 2, 1, 0 a level); learning rate 0.01, beta1 0.5, constant for a
third of the epochs, then linear to 0; batch of one, gradients summed over all photographs. Without the VGG loss, which
would make it many times slower still. Kinder than published: no file is read twice, no photograph is drawn twice in an
epoch and none missed, and the texture is written without the half texel that the original loses. Kinder still where
several photographs share a backward pass (together > 1): the same gradient, summed in another order, without a dense
gradient of the whole texture for each photograph.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

LEVEL_WEIGHTS = (8.0, 2.0, 1.0, 0.0)
EPOCHS, CONSTANT_SHARE = 60, 1 / 3


def schedule(epochs: int) -> Callable[[int], float]:
    """Of the learning rate: constant for a third, then linear to nothing."""
    constant = round(epochs * CONSTANT_SHARE)
    return lambda epoch: 1.0 - max(0, epoch - constant) / (epochs - constant + 1)


class NeuralTexGen:
    """photographs: uint8 [V, H, W, 3]; uv_maps: [H, W, 2] each, NaN where there is no surface; size: of the texture."""

    def __init__(self, photographs: np.ndarray, uv_maps: list[np.ndarray], size: int, together: int = 1) -> None:
        self.size = size
        self.data = torch.zeros(1, 3, 2 * size, size, requires_grad=True)
        self.grids, self.targets, self.masks = [], [], []
        for first in range(0, len(photographs), together):
            uv = np.stack(uv_maps[first : first + together])
            valid = np.isfinite(uv[..., 0])
            grid = np.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], -1)  # grid_sample's y runs down, v up
            grid[~valid] = -1.0
            self.grids.append(torch.from_numpy(grid.astype(np.float32)))
            pixels = torch.from_numpy(photographs[first : first + together])
            self.targets.append(pixels.permute(0, 3, 1, 2).float() / 127.5 - 1)
            self.masks.append(torch.from_numpy(valid)[:, None])

    def run(self, epochs: int = EPOCHS, planned: int | None = None, look: Callable[[int], None] | None = None) -> float:
        """Seconds of `epochs` epochs of a schedule made for `planned` of them (default: the same number)."""
        adam = torch.optim.Adam([self.data], lr=0.01, betas=(0.5, 0.999))
        rate = torch.optim.lr_scheduler.LambdaLR(adam, schedule(planned or epochs))
        began = time.perf_counter()
        for epoch in range(epochs):
            adam.zero_grad()
            for grid, target, mask in zip(self.grids, self.targets, self.masks, strict=True):
                self.loss(grid, target, mask).backward()
            adam.step()
            rate.step()
            if look:
                look(epoch + 1)
        return time.perf_counter() - began

    def texture(self) -> np.ndarray:
        """float32 [S, S, 3] 0..1: the levels' sum at the texel centres."""
        with torch.no_grad():
            total = torch.zeros(1, 3, self.size, self.size)
            for level in self.levels(self.data):
                total += F.interpolate(level, size=(self.size, self.size), mode="bilinear", align_corners=False)
            return ((total[0].permute(1, 2, 0) + 1) / 2).clamp(0, 1).contiguous().numpy()

    def levels(self, data: torch.Tensor) -> list[torch.Tensor]:
        """The parts [1, 3, s, s] of the one tensor that they are stacked in, a quarter of which lies idle."""
        levels, top, side = [], 0, self.size
        for _ in LEVEL_WEIGHTS:
            levels.append(data[:, :, top : top + side, :side])
            top, side = top + side, side // 2
        return levels

    def loss(self, grid: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Summed over the photographs [B, ...] that share the pass."""
        count, _, height, width = target.shape
        tall = grid.reshape(1, count * height, width, 2)  # one picture below the other: the texture is looked up once
        made, regulariser = torch.zeros(()), torch.zeros(())
        for level, weight in zip(self.levels(self.data), LEVEL_WEIGHTS, strict=True):
            made = made + F.grid_sample(level, tall, mode="bilinear", padding_mode="border", align_corners=False)
            regulariser = regulariser + weight * (level**2).mean()
        made = made.reshape(3, count, height, width).transpose(0, 1)
        share = mask.float().mean((1, 2, 3))
        nothing = torch.zeros(())
        wanted, kept = torch.where(mask, target, nothing), torch.where(mask, made, nothing)
        across = _absolute(made[..., 1:] - made[..., :-1], wanted[..., 1:] - wanted[..., :-1])
        down = _absolute(made[..., 1:, :] - made[..., :-1, :], wanted[..., 1:, :] - wanted[..., :-1, :])
        each = 10 * _absolute(kept, wanted) + 20 * (across + down)
        return (each * share).sum() + count * 0.1 * regulariser


def _absolute(made: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of each photograph, [B]."""
    return (made - wanted).abs().mean((1, 2, 3))
