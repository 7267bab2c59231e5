"""Photographs made smaller by whole numbers: each pixel the mean of a block, in whole numbers and so exact."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose


def pixel_means(pixels: Tensor, times: int, *, impl: Impl = "auto") -> Tensor:
    """[H // times, W // times, 3]: means of times x times pixels of [H, W, 3] uint8 or uint16, a half rounded up; rows and
    columns that do not fill a block fall away."""
    if times == 1:
        return pixels
    height, width = pixels.shape[0] // times, pixels.shape[1] // times
    if choose(impl, pixels.device) == "cpu":
        from backend.ops.photos.pixel_means_cpu import means

        result = torch.empty((height, width, 3), dtype=pixels.dtype)
        means(pixels.numpy(), times, result.numpy())
        return result
    blocks = pixels[: height * times, : width * times].to(torch.int32).reshape(height, times, width, times, 3)
    count = times * times
    return ((blocks.sum(dim=(1, 3), dtype=torch.int64) + count // 2) // count).to(pixels.dtype)
