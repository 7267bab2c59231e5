"""NeuralTexGen's optimisation (Thies 2020, "NeuralTexGen", the loop that the Face2Face and NeuralVoicePuppetry projects use):
a texture of four additive levels in one tensor, fitted to all photographs by Adam, one step an epoch.

As published, with the script's values: L1 x 10 and L1 of differences x 20, both times the share of valid pixels, the
prediction unmasked in the differences; regulariser 0.1 (8, 2, 1, 0 a level); learning rate 0.01, beta1 0.5, constant for a
third of the epochs, then linear to 0; batch of one, gradients summed over all photographs. Without the VGG loss, which
would make it many times slower still. Kinder than published: no file is read twice, no photograph is drawn twice in an
epoch and none missed, and the texture is written without the half texel that the original loses.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

LEVEL_WEIGHTS = (8.0, 2.0, 1.0, 0.0)
EPOCHS, CONSTANT_SHARE = 60, 1 / 3


class NeuralTexGen:
    """photographs: uint8 [V, H, W, 3]; uv_maps: [H, W, 2] each, NaN where there is no surface; size: of the texture."""

    def __init__(self, photographs: np.ndarray, uv_maps: list[np.ndarray], size: int) -> None:
        self.size = size
        self.data = torch.zeros(1, 3, 2 * size, size, requires_grad=True)
        self.grids, self.targets, self.masks = [], [], []
        for photograph, uv in zip(photographs, uv_maps, strict=True):
            valid = np.isfinite(uv[..., 0])
            grid = np.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], -1)  # grid_sample's y runs down, v up
            grid[~valid] = -1.0
            self.grids.append(torch.from_numpy(grid.astype(np.float32))[None])
            self.targets.append(torch.from_numpy(photograph).permute(2, 0, 1)[None].float() / 127.5 - 1)
            self.masks.append(torch.from_numpy(valid)[None, None])

    def run(
        self, epochs: int = EPOCHS, schedule: int | None = None, look: Callable[[int], None] | None = None
    ) -> float:
        """Seconds of `epochs` epochs of a schedule made for `schedule` of them (default: the same number)."""
        schedule = schedule or epochs
        constant = round(schedule * CONSTANT_SHARE)
        adam = torch.optim.Adam([self.data], lr=0.01, betas=(0.5, 0.999))
        rate = torch.optim.lr_scheduler.LambdaLR(
            adam, lambda epoch: 1.0 - max(0, epoch - constant) / (schedule - constant + 1)
        )
        began = time.perf_counter()
        for epoch in range(epochs):
            adam.zero_grad()
            for grid, target, mask in zip(self.grids, self.targets, self.masks, strict=True):
                self._loss(grid, target, mask).backward()
            adam.step()
            rate.step()
            if look:
                look(epoch + 1)
        return time.perf_counter() - began

    def texture(self) -> np.ndarray:
        """float32 [S, S, 3] 0..1: the levels' sum at the texel centres."""
        with torch.no_grad():
            total = torch.zeros(1, 3, self.size, self.size)
            for level in self._levels():
                total += F.interpolate(level, size=(self.size, self.size), mode="bilinear", align_corners=False)
            return ((total[0].permute(1, 2, 0) + 1) / 2).clamp(0, 1).contiguous().numpy()

    def _levels(self) -> list[torch.Tensor]:
        levels, top, side = [], 0, self.size
        for _ in LEVEL_WEIGHTS:
            levels.append(self.data[:, :, top : top + side, :side])
            top, side = top + side, side // 2
        return levels

    def _loss(self, grid: torch.Tensor, target: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        made, regulariser = torch.zeros_like(target), torch.zeros(())
        for level, weight in zip(self._levels(), LEVEL_WEIGHTS, strict=True):
            made = made + F.grid_sample(level, grid, mode="bilinear", padding_mode="border", align_corners=False)
            regulariser = regulariser + weight * (level**2).mean()
        share = mask.float().mean()
        wanted = torch.where(mask, target, torch.zeros_like(target))
        kept = torch.where(mask, made, torch.zeros_like(made))
        across = F.l1_loss(made[..., 1:] - made[..., :-1], wanted[..., 1:] - wanted[..., :-1])
        down = F.l1_loss(made[..., 1:, :] - made[..., :-1, :], wanted[..., 1:, :] - wanted[..., :-1, :])
        return 10 * F.l1_loss(kept, wanted) * share + 20 * (across + down) * share + 0.1 * regulariser
