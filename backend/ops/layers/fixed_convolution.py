"""A convolution with fixed filters whose gradient is the same to the last bit whatever the number of threads.

oneDNN cuts the sums of a convolution's backward pass up by threads, not those of its forward pass. The gradient by the input is a
forward pass, too: of the output's gradient, padded, with the filters turned round. On the CPU it is computed so; from many
channels to one, where oneDNN is slow, by a product of matrices for the taps, which are then added where they belong.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def convolve(values: Tensor, filters: Tensor, bias: Tensor | None = None, *, stride: int = 1) -> Tensor:
    """[B, C, H, W], filters [K, C, h, w] -> [B, K, (H - h) // stride + 1, ...], no padding. Filters that are trained get torch's
    own gradient."""
    if values.device.type != "cpu" or filters.requires_grad or not (torch.is_grad_enabled() and values.requires_grad):
        return F.conv2d(values, filters, bias, stride)
    return _Convolution.apply(values, filters, bias, stride)  # pyright: ignore[reportReturnType]


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, values: Tensor, filters: Tensor, bias: Tensor | None, stride: int) -> Tensor:
        context.save_for_backward(filters)
        context.size, context.stride = values.shape[2:], stride
        return F.conv2d(values, filters, bias, stride)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (filters,), (gradient,) = context.saved_tensors, gradients
        if filters.shape[1] == 1 < filters.shape[0] and gradient.dtype == torch.float32:
            return _by_taps(gradient, filters, context.size, context.stride), None, None, None
        if context.stride > 1:
            gradient = _apart(gradient, context.stride)
        borders = []  # before and after each axis, the last axis first, as F.pad takes them
        for axis in (1, 0):
            reach = filters.shape[2 + axis] - 1
            borders += [reach, context.size[axis] - gradient.shape[2 + axis]]
        layout = (
            torch.channels_last if filters.is_contiguous(memory_format=torch.channels_last) else torch.contiguous_format
        )
        turned = filters.flip(2, 3).transpose(0, 1).contiguous(memory_format=layout)
        return F.conv2d(F.pad(gradient, borders), turned), None, None, None


def _by_taps(gradient: Tensor, filters: Tensor, size: Sequence[int], stride: int) -> Tensor:
    """[B, 1, *size] from [B, K, h, w]."""
    height, width = gradient.shape[2:]
    rows, columns = filters.shape[2:]
    parts = torch.matmul(filters.flatten(1).T, gradient.flatten(2)).unflatten(2, (height, width))
    made = gradient.new_zeros(len(gradient), 1, *size)
    for tap in range(rows * columns):
        top, left = divmod(tap, columns)
        bottom, right = top + (height - 1) * stride + 1, left + (width - 1) * stride + 1
        made[:, 0, top:bottom:stride, left:right:stride] += parts[:, tap]
    return made


def _apart(values: Tensor, step: int) -> Tensor:
    """[B, K, h, w] with step - 1 zeros between neighbours."""
    height, width = values.shape[2:]
    spaced = values.new_zeros(*values.shape[:2], (height - 1) * step + 1, (width - 1) * step + 1)
    spaced[..., ::step, ::step] = values
    return spaced
