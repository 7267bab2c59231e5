"""Photographs made smaller by whole numbers: each pixel the mean of a block, in whole numbers and so exact."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose


def pixel_means(pixels: Tensor, times: int, *, impl: Impl = "auto") -> Tensor:
    """[H // times, W // times, 3]: means of times x times pixels of [H, W, 3] uint8 or uint16, a half rounded up; rows and
    columns that do not fill a block fall away. Of B photographs at once, [B, H, W, 3], too."""
    if times == 1:
        return pixels
    chosen, height, width = choose(impl, pixels.device), pixels.shape[-3] // times, pixels.shape[-2] // times
    if chosen == "cpu" and pixels.ndim == 4:
        return torch.stack([pixel_means(own, times, impl=chosen) for own in pixels])
    if chosen == "cpu":
        from backend.ops.photos.pixel_means_cpu import means

        result = torch.empty((height, width, 3), dtype=pixels.dtype)
        means(pixels.numpy(), times, result.numpy())
        return result
    blocks = pixels[..., : height * times, : width * times, :].to(torch.int32)
    blocks = blocks.unflatten(-3, (height, times)).unflatten(-2, (width, times))
    count = times * times
    return ((blocks.sum(dim=(-4, -2), dtype=torch.int64) + count // 2) // count).to(pixels.dtype)
