"""Class-adaptive scale and offset of features, normalised per pixel: what the terrain generators do between convolutions.

As in CLADE (Tan et al. 2021), each class has one scale, one offset and one strength of noise per channel; where classes meet, they
are blended by share. Features are divided by their root mean square over the channels of a pixel (Karras et al. 2018).
Plain torch on any device and in training; one pass over memory by a numba twin on the CPU.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.layers.constants import EPSILON, SLOPE
from backend.ops.layers.elements import elements, fits_kernels


def class_affine(values: Tensor, shares: Tensor, noise: Tensor, table: Tensor, *, impl: Impl = "auto") -> Tensor:
    """Features [B, C, h, w] normalised, scaled, shifted and roughened by class, through a leaky ReLU; of the type of `values`.

    shares [B, classes, h, w]: how much of each class is at a pixel, adding up to 1. noise [B, 1, h, w]. table [3 C, classes]:
    scales, offsets and strengths of noise. The twin takes bfloat16 or float32, a multiple of eight channels, and gives no gradient.
    """
    if fits_kernels(values) and choose(impl, values.device) == "cpu":
        return _twin(values, shares, noise, table)
    return _plain(values, shares, noise, table)


def _twin(values: Tensor, shares: Tensor, noise: Tensor, table: Tensor) -> Tensor:
    from backend.ops.layers import class_affine_cpu

    values = values.contiguous(memory_format=torch.channels_last)
    made = torch.empty_like(values)  # channels last, too
    by_class = table.float().reshape(3, values.shape[1], -1).permute(2, 0, 1)  # what belongs to one class together
    class_affine_cpu.class_affine(
        elements(values), elements(shares.float().contiguous(memory_format=torch.channels_last)),
        noise.float().flatten().numpy(), by_class.flatten().numpy(), elements(made), values.shape[3],
    )  # fmt: skip
    return made


def _plain(values: Tensor, shares: Tensor, noise: Tensor, table: Tensor) -> Tensor:
    size = torch.rsqrt(values.square().mean(1, keepdim=True) + EPSILON).to(values.dtype)  # autocast makes it float32
    scale, offset, strength = F.conv2d(shares.to(values.dtype), table[:, :, None, None].to(values.dtype)).chunk(
        3, dim=1
    )
    values = torch.addcmul(offset, values * size, scale)
    return F.leaky_relu(torch.addcmul(values, strength, noise.to(values.dtype)), SLOPE)
