"""Flow directions, and water that spreads over all lower neighbours, on a card: see routing_cpu for both.

Directions take a thread a cell. Spreading water is a walk: a cell is ready when all its higher neighbours are, which one block of
threads follows wave by wave, since blocks cannot wait for one another. Each cell adds up what its neighbours hand it, in one order,
so that results do not depend on which thread came first.
"""

from __future__ import annotations

import numpy as np

from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel
from backend.ops.hashing_constants import GOLDEN_64
from backend.ops.hashing_cuda import finalise64
from backend.ops.terrain.constants import NO_RECEIVER

THREADS = 8 if SIMULATED else 1024  # of the block that spreads water
_GOLDEN = np.uint64(GOLDEN_64)


@kernel
def receiver_codes(height, straight, diagonal, kept, jittered, seed, codes):
    """Direction codes [H, W] uint8 of steepest descent on height [H, W] float64: routing_cpu.random_receivers.

    straight, diagonal: lengths of a step. kept: float64 [256], what chance leaves of a slope; used where jittered.
    """
    c, r = cuda.grid(2)
    rows, columns = height.shape
    if r >= rows or c >= columns:
        return
    code = NO_RECEIVER
    if 0 < r < rows - 1 and 0 < c < columns - 1:
        z, best = height[r, c], 0.0
        bits = _hash_bits(r * columns + c, seed) if jittered else np.uint64(0)
        for k in range(8):
            step = k if k < 4 else k + 1
            dr, dc = step // 3 - 1, step % 3 - 1
            slope = (z - height[r + dr, c + dc]) / (diagonal if dr != 0 and dc != 0 else straight)
            if jittered:
                slope *= kept[np.int64((bits >> np.uint64(8 * k)) & np.uint64(255))]
            if slope > best:
                best, code = slope, k
    codes[r, c] = code


@device_function
def _hash_bits(cell, seed):
    """64 bits that depend on nothing but the arguments: SplitMix64."""
    return finalise64(((np.uint64(seed) << np.uint64(32)) + np.uint64(cell) + np.uint64(1)) * _GOLDEN)


@kernel
def spread_waiting(height, waiting, shares):
    """For each cell how many neighbours hand it water [N] int32, and the sum of its own falls by their weights [N] float64."""
    c, r = cuda.grid(2)
    rows, columns = height.shape
    if r >= rows or c >= columns:
        return
    z, cell = height[r, c], r * columns + c
    higher, sums = 0, 0.0
    for k in range(8):
        step = k if k < 4 else k + 1
        rr, cc = r + step // 3 - 1, c + step % 3 - 1
        if rr < 0 or cc < 0 or rr >= rows or cc >= columns:
            continue
        if height[rr, cc] > z and 0 < rr < rows - 1 and 0 < cc < columns - 1:
            higher += 1
        sums += _weight(k) * max(z - height[rr, cc], 0.0)
    waiting[cell] = higher
    shares[cell] = sums


@device_function
def _weight(k):
    """Contour length over distance by direction code: sqrt(2)/4 over sqrt(2) across a corner."""
    return 0.5 if k == 1 or k == 3 or k == 4 or k == 6 else 0.25


@kernel
def spread(height, waiting, shares, queue, ends, total):
    """Cells draining through each cell [N] float64, by one block of threads. queue: int32 [N], which begins with the cells that
    wait for none; ends: int32 [2], their number and room for another."""
    rows, columns = height.shape
    first, last = 0, ends[0]
    ends[1] = last
    cuda.syncthreads()
    while first < last:
        for place in range(first + cuda.threadIdx.x, last, cuda.blockDim.x):
            cell = np.int64(queue[place])
            r = cell // columns
            c = cell - r * columns
            z, gained = height[r, c], 1.0
            inside = 0 < r < rows - 1 and 0 < c < columns - 1
            for k in range(8):
                step = k if k < 4 else k + 1
                rr, cc = r + step // 3 - 1, c + step % 3 - 1
                if rr < 0 or cc < 0 or rr >= rows or cc >= columns:
                    continue
                fall = height[rr, cc] - z
                other = rr * columns + cc
                if fall > 0.0 and 0 < rr < rows - 1 and 0 < cc < columns - 1:
                    gained += total[other] * (_weight(k) * fall / shares[other])
                elif fall < 0.0 and inside and cuda.atomic.sub(waiting, other, 1) == 1:
                    queue[cuda.atomic.add(ends, 1, 1)] = other
            total[cell] = gained
        cuda.syncthreads()
        first, last = last, ends[1]
        cuda.syncthreads()
