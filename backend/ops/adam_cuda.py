"""One step of Adam on a map, on NVIDIA cards: two small launches for the numbers of the step, one over the map; the op is
backend.ops.adam.

How many steps were taken is known on the card alone, so that a step can be replayed from a graph.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel

THREADS = 32 if SIMULATED else 256
MOST_BLOCKS = 4 if SIMULATED else 256  # that add up the direction's squares


class Steps:
    """What the card knows of the steps that were taken."""

    def __init__(self, device: torch.device) -> None:
        self.taken = torch.zeros(1, dtype=torch.int64, device=device)
        self.factors = torch.zeros(3, dtype=torch.float32, device=device)


def adam_step(
    image: Tensor, ascent: Tensor, mean: Tensor, square: Tensor, steps: Steps, rate: Tensor, floor: float, epsilon: float,
    decay: tuple[float, float], patch: int,
) -> None:  # fmt: skip
    """One step along `ascent`, in place; maps float32 [H, W], rate float32 [1] on the device."""
    blocks = min(MOST_BLOCKS, math.ceil(ascent.numel() / THREADS)) if floor else 1
    sums = torch.empty(blocks, dtype=torch.float64, device=image.device)
    if floor:
        _add_squares.launch(blocks * THREADS, ascent.flatten(), sums, block=(THREADS,))
    _prepare.launch(
        THREADS, sums, ascent.numel(), steps.taken, rate, floor, epsilon, *decay, steps.factors, block=(THREADS,)
    )
    keep = [np.float32(part) for part in decay]  # double precision is slow on most cards
    _move.launch((image.shape[0], image.shape[1]), image, ascent, mean, square, steps.factors, *keep, patch)


@device_function
def _total(sums):
    """The sum of what all threads of the block have put there, in the same order every time."""
    thread, count = cuda.threadIdx.x, THREADS // 2
    cuda.syncthreads()
    while count:
        if thread < count:
            sums[thread] += sums[thread + count]
        cuda.syncthreads()
        count //= 2
    return sums[0]


@kernel
def _add_squares(values, made):
    """made float64 [blocks]: the sum of squares of each block's share of the values."""
    sums = cuda.shared.array(THREADS, made.dtype)
    place, total = cuda.grid(1), 0.0
    while place < values.size:
        total += values[place] * values[place]
        place += made.size * THREADS
    sums[cuda.threadIdx.x] = total
    total = _total(sums)
    if cuda.threadIdx.x == 0:
        made[cuda.blockIdx.x] = total


@kernel
def _prepare(squares, count, taken, rate, floor, epsilon, keep_mean, keep_square, factors):
    """The factors of a step, by one block: its length, what the root of the second moment is multiplied with, and what is added
    to it."""
    sums = cuda.shared.array(THREADS, squares.dtype)
    place, total = cuda.threadIdx.x, 0.0
    while place < squares.size and floor > 0:
        total += squares[place]
        place += THREADS
    sums[cuda.threadIdx.x] = total
    total = _total(sums)
    if cuda.threadIdx.x == 0:
        taken[0] += 1
        factors[0] = rate[0] / (1.0 - keep_mean ** taken[0])
        factors[1] = 1.0 / math.sqrt(1.0 - keep_square ** taken[0])
        factors[2] = max(floor * math.sqrt(total / count), epsilon)


@kernel
def _move(image, ascent, mean, square, factors, keep_mean, keep_square, patch):
    x, y = cuda.grid(2)
    height, width = image.shape
    if y < height and x < width:
        along, one = ascent[y, x], np.float32(1)
        first = keep_mean * mean[y, x] + (one - keep_mean) * along
        second = keep_square * square[y, x] + (one - keep_square) * along * along
        mean[y, x], square[y, x] = first, second
        patches = np.float32(min(y + 1, height - y, patch) * min(x + 1, width - x, patch))
        share = patches / np.float32(patch * patch)
        image[y, x] += share * factors[0] * first / (math.sqrt(second) * factors[1] + factors[2])
