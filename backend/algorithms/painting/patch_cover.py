"""Patches of 128 x 128 pixels that overlap by 20 and cover a picture, and how painted patches become a picture again.

As de Guevara et al. 2023 cut pictures up, but a picture whose sides do not fit is continued at its right and lower edge.
Knows no stroke.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PATCH = 128
OVERLAP = 20
STRIDE = PATCH - OVERLAP


@dataclass(frozen=True)
class Cover:
    """The grid of patches over a picture of `shape` (H, W). grid: how many down and across."""

    shape: tuple[int, int]
    grid: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int]) -> Cover:
        down, across = (max(1, -(-(side - OVERLAP) // STRIDE)) for side in shape)
        return cls(shape, (down, across))

    @property
    def corners(self) -> Tensor:
        """Top left of each patch [P, 2] (row, column), row by row."""
        rows, columns = (torch.arange(count) * STRIDE for count in self.grid)
        return torch.cartesian_prod(rows, columns).reshape(-1, 2)

    def padded(self, image: Tensor) -> Tensor:
        """[H, W, C] -> as far as the patches reach; the last row and column go on."""
        down, across = (STRIDE * count + OVERLAP - side for count, side in zip(self.grid, self.shape, strict=True))
        return F.pad(image.movedim(2, 0)[None], (0, across, 0, down), mode="replicate")[0].movedim(0, 2)

    def cropped(self, image: Tensor) -> Tensor:
        """The picture's part of a padded image."""
        return image[: self.shape[0], : self.shape[1]]

    def composed(self, patches: Tensor) -> Tensor:
        """Patches [P, 128, 128, C] of the grid as a picture [H, W, C]: across an overlap one turns linearly into the next."""
        down, across = self.grid
        whole = patches.new_zeros(STRIDE * down + OVERLAP, STRIDE * across + OVERLAP, patches.shape[3])
        for number, (top, left) in enumerate(self.corners.tolist()):
            weight = _ramp(top // STRIDE, down)[:, None] * _ramp(left // STRIDE, across)[None]
            whole[top : top + PATCH, left : left + PATCH] += weight[..., None].to(whole) * patches[number]
        return self.cropped(whole)


def cut(image: Tensor, corners: Tensor) -> Tensor:
    """Patches [P, 128, 128, C] of a padded image [H, W, C]."""
    return torch.stack([image[top : top + PATCH, left : left + PATCH] for top, left in corners.tolist()])


def laid_over(image: Tensor, patches: Tensor, corners: Tensor) -> Tensor:
    """A padded image [H, W, C] with patches painted over it one after the other, each fading out over a frame of 20 px."""
    place = torch.arange(PATCH, dtype=image.dtype, device=image.device) + 0.5
    edge = (torch.minimum(place, PATCH - place) / OVERLAP).clamp(0, 1)
    weight = (edge[:, None] * edge[None])[..., None]
    image = image.clone()
    for patch, (top, left) in zip(patches, corners.tolist(), strict=True):
        below = image[top : top + PATCH, left : left + PATCH]
        below += weight * (patch - below)
    return image


def _ramp(place: int, count: int) -> Tensor:
    """Weight of the pixels along a side of the place-th patch of a row [128]; those of the whole row add up to 1."""
    rise = (torch.arange(OVERLAP, dtype=torch.float64) + 0.5) / OVERLAP
    weight = torch.ones(PATCH, dtype=torch.float64)
    if place > 0:
        weight[:OVERLAP] = rise
    if place < count - 1:
        weight[-OVERLAP:] = rise.flip(0)
    return weight
