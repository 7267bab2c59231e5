"""Profiles along a drainage tree, and the membrane between them, on a card: see rivers_cpu.

A profile is eliminated from the leaves and filled in from the outlets by one block of threads, level by level, in one launch. The
membrane is swept in tiles that lie in shared memory with a border as wide as the sweeps of a launch reach: what a tile computes of
its neighbours' cells is what they compute themselves, so that tiles need not wait for one another.
"""

from __future__ import annotations

import numpy as np

from backend.ops.cuda_kernels import SIMULATED, cuda, kernel
from backend.ops.terrain.constants import OVER_RELAXATION

THREADS = 4 if SIMULATED else 512  # of the block that walks a tree
TILE, BORDER = (8, 4) if SIMULATED else (48, 8)  # cells; a half sweep reaches one cell
WIDE = TILE + 2 * BORDER  # of a tile in memory: 32 KB
TILE_THREADS = (4, 1) if SIMULATED else (32, 16)


@kernel
def profile(starts, parent, donors, first_donor, bed, fall, stiffness, own, sums, made):
    """Heights [N] float64 nearest to `bed` and to the falls, by the weights, into `made`. All by rank, see forest.Walk; own, sums:
    room for [N]."""
    level = 0
    while starts[level] < starts[level + 1]:
        level += 1
    while level > 0:
        level -= 1
        for rank in range(starts[level] + cuda.threadIdx.x, starts[level + 1], cuda.blockDim.x):
            weight = 1.0 + stiffness[rank]
            value = bed[rank] + stiffness[rank] * fall[rank]
            for place in range(first_donor[rank], first_donor[rank + 1]):
                donor = donors[place]
                pull = stiffness[donor]
                if pull > 0.0:
                    share = pull / own[donor]
                    weight += pull - share * pull
                    value += share * sums[donor] - pull * fall[donor]
            own[rank], sums[rank] = weight, value
        cuda.syncthreads()
    while starts[level] < starts[level + 1]:
        for rank in range(starts[level] + cuda.threadIdx.x, starts[level + 1], cuda.blockDim.x):
            pull = stiffness[rank]
            if level > 0 and pull > 0.0:
                below = made[parent[rank]]
                made[rank] = max((sums[rank] + pull * below) / own[rank], below)
            else:
                made[rank] = sums[rank] / own[rank]
        level += 1
        cuda.syncthreads()


@kernel
def sweep(held, pull, before, first, count, made):
    """`count` half sweeps, at most BORDER, of the membrane [H, W] float64 from `before`, the first one over colour `first`, 0 or 1.

    held: weight times target; pull: weight and the number of neighbours. A block a tile, TILE_THREADS threads.
    """
    tile = cuda.shared.array((WIDE, WIDE), np.float64)
    rows, columns = before.shape
    top, left = cuda.blockIdx.y * TILE - BORDER, cuda.blockIdx.x * TILE - BORDER
    for y in range(cuda.threadIdx.y, WIDE, cuda.blockDim.y):
        for x in range(cuda.threadIdx.x, WIDE, cuda.blockDim.x):
            r, c = top + y, left + x
            tile[y, x] = before[r, c] if 0 <= r < rows and 0 <= c < columns else 0.0
    cuda.syncthreads()
    for half in range(count):
        colour = (first + half) & 1
        for y in range(1 + cuda.threadIdx.y, WIDE - 1, cuda.blockDim.y):
            for x in range(1 + cuda.threadIdx.x, WIDE - 1, cuda.blockDim.x):
                r, c = top + y, left + x
                if 0 <= r < rows and 0 <= c < columns and (r + c + colour) & 1 == 0 and pull[r, c] > 0.0:
                    total = held[r, c] + tile[y - 1, x] + tile[y + 1, x] + tile[y, x - 1] + tile[y, x + 1]
                    tile[y, x] += OVER_RELAXATION * (total / pull[r, c] - tile[y, x])
        cuda.syncthreads()
    for y in range(cuda.threadIdx.y, TILE, cuda.blockDim.y):
        for x in range(cuda.threadIdx.x, TILE, cuda.blockDim.x):
            r, c = top + BORDER + y, left + BORDER + x
            if r < rows and c < columns:
                made[r, c] = tile[BORDER + y, BORDER + x]
