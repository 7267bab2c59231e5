"""Values of pixels mixed by a matrix: products that do not depend on the number of threads, and limits in the space of the values.

Plain torch on any device, twins of limit() on the CPU and for CUDA; they agree to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose

STRIP_ROWS, STRIP_PX = 128, 2**22  # taken at a time, the more of them: a large image fills the memory
MOST_VALUES = 16  # per pixel, that a thread of the CUDA twin holds


def mixed(matrix: Tensor, values: Tensor) -> Tensor:
    """[n, H, W] of a matrix [n, m] and values [m, H, W], on the CPU added one by one: a library's product may differ with its
    threads."""
    if values.device.type != "cpu":
        return torch.tensordot(matrix.to(values.device), values, 1)
    made = torch.zeros(len(matrix), *values.shape[1:], device=values.device)
    for row, weights in zip(made, matrix.tolist(), strict=True):
        for weight, layer in zip(weights, values, strict=True):
            if weight:
                row.add_(layer, alpha=weight)
    return made


def limit(
    image: Tensor, mixing: Tensor, inverse: Tensor, mean: Tensor, low: Tensor, high: Tensor, *, impl: Impl = "auto"
) -> None:
    """An image [C, H, W] on any device, in place: the values that inverse [V, C] makes of each pixel, + mean [V], are kept within
    low and high [V] and turned back by mixing [C, V]. The matrices and bounds are on the CPU or on the image's device, float32."""
    chosen = choose(impl, image.device, cuda=True)
    parts = [part.to("cpu" if chosen == "cpu" else image.device) for part in (mixing, inverse, mean, low, high)]
    if chosen == "cpu":
        from backend.ops import mixing_cpu

        mixing_cpu.limit(image.numpy(), *(part.numpy() for part in parts))
    elif chosen == "cuda" and max(mixing.shape) <= MOST_VALUES:
        from backend.ops import mixing_cuda

        mixing_cuda.limit(image, *parts)
    else:
        _limit_plain(image, *parts)


def _limit_plain(image: Tensor, mixing: Tensor, inverse: Tensor, mean: Tensor, low: Tensor, high: Tensor) -> None:
    mean, low, high = (bound[:, None, None] for bound in (mean, low, high))
    for rows in image.split(max(STRIP_ROWS, STRIP_PX // image.shape[2]), dim=1):
        within = torch.minimum(torch.maximum(mixed(inverse, rows).add_(mean), low), high)
        rows.copy_(mixed(mixing, within.sub_(mean)))
