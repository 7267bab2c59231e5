"""Values of pixels turned by a matrix, kept within bounds and turned back, on NVIDIA cards, a thread for each pixel; the op is
backend.ops.mixing."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from backend.ops.cuda_kernels import cuda, kernel

MOST_CHANNELS = 16  # those that a thread holds; see backend.ops.mixing


def limit(image: Tensor, mixing: Tensor, inverse: Tensor, mean: Tensor, low: Tensor, high: Tensor) -> None:
    """An image [C, H, W] of at most MOST_CHANNELS channels, in place; everything on one device, float32."""
    _limit.launch(image[0].numel(), image.flatten(1), mixing, inverse, mean, low, high)


@kernel
def _limit(image, mixing, inverse, mean, low, high):
    pixel = cuda.grid(1)
    made = cuda.local.array(MOST_CHANNELS, image.dtype)
    if pixel < image.shape[1]:
        for channel in range(image.shape[0]):
            made[channel] = 0
        for v in range(inverse.shape[0]):
            value = np.float32(0)
            for channel in range(image.shape[0]):
                value += inverse[v, channel] * image[channel, pixel]
            value = min(max(value + mean[v], low[v]), high[v]) - mean[v]
            for channel in range(image.shape[0]):
                made[channel] += mixing[channel, v] * value
        for channel in range(image.shape[0]):
            image[channel, pixel] = made[channel]
