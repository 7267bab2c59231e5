"""A 3x3 convolution from many features to one or a few numbers per pixel, in float32: the last step of the terrain generators.

Its result must not be bfloat16, whose eight bits would be seen as steps in heights. Libraries convert all features for that, which
takes longer than the convolution; the numba twin reads them as they are.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.layers.elements import elements, fits_kernels


def narrow_convolution(values: Tensor, weight: Tensor, bias: Tensor, *, impl: Impl = "auto") -> Tensor:
    """[B, K, h, w] float32 of features [B, C, h, w], weight [K, C, 3, 3] and bias [K]; beyond the border features are 0.

    The twin takes bfloat16 or float32 features, a multiple of eight, and gives no gradient.
    """
    if fits_kernels(values) and choose(impl, values.device) == "cpu":
        return _twin(values, weight, bias)
    with torch.autocast(values.device.type, enabled=False):
        return F.conv2d(values.float(), weight.float(), bias.float(), padding=1)


def _twin(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    from backend.ops.layers import narrow_convolution_cpu

    made = torch.empty(values.shape[0], weight.shape[0], *values.shape[2:])
    taps = weight.float().permute(0, 2, 3, 1).flatten()  # [K, 3, 3, C]: as features lie in memory
    features = elements(values.contiguous(memory_format=torch.channels_last))
    narrow_convolution_cpu.narrow_convolution(features, taps.numpy(), bias.float().contiguous().numpy(), made.numpy())
    return made
