"""Values of pixels mixed by a matrix: products that do not depend on the number of threads, and limits in the space of the values.

Plain torch on any device, a numba twin of limit() on the CPU; they agree to rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose

STRIP_ROWS = 128  # taken at a time: a large image fills the memory


def mixed(matrix: Tensor, values: Tensor) -> Tensor:
    """[n, H, W] of a matrix [n, m] and values [m, H, W], added one by one: a library's product may differ with its threads."""
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
    low and high [V] and turned back by mixing [C, V]. The matrices and bounds are on the CPU, float32."""
    if choose(impl, image.device) == "cpu":
        from backend.ops import mixing_cpu

        mixing_cpu.limit(image.numpy(), *(part.numpy() for part in (mixing, inverse, mean, low, high)))
        return
    mean, low, high = (bound.to(image.device)[:, None, None] for bound in (mean, low, high))
    for rows in image.split(STRIP_ROWS, dim=1):
        within = torch.minimum(torch.maximum(mixed(inverse, rows).add_(mean), low), high)
        rows.copy_(mixed(mixing, within.sub_(mean)))
