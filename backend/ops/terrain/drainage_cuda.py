"""The nearest heights that never rise along a flow network, on a card: one block of threads walks it level by level, there and
back.

Maxima and minima round nothing: the same bytes as drainage_cpu.settle where a card does not fuse the last product and sum.
"""

from __future__ import annotations

from backend.ops.cuda_kernels import SIMULATED, cuda, kernel

THREADS = 4 if SIMULATED else 512  # of the block


@kernel
def settle(starts, parent, donors, first_donor, height, cut_share, filled, made):
    """cut_share of the way from the least surface above to the greatest below height [N] float64 that never rise downstream, into
    `made`. All by rank, see forest.Walk; filled: room for [N]."""
    level = 0
    while starts[level] < starts[level + 1]:
        for rank in range(starts[level] + cuda.threadIdx.x, starts[level + 1], cuda.blockDim.x):
            z = height[rank]
            filled[rank] = max(z, filled[parent[rank]]) if level > 0 else z
        level += 1
        cuda.syncthreads()
    while level > 0:
        level -= 1
        for rank in range(starts[level] + cuda.threadIdx.x, starts[level + 1], cuda.blockDim.x):
            carved = height[rank]
            for place in range(first_donor[rank], first_donor[rank + 1]):
                carved = min(carved, made[donors[place]])
            made[rank] = carved
        cuda.syncthreads()
    for rank in range(cuda.threadIdx.x, height.size, cuda.blockDim.x):
        made[rank] = filled[rank] + cut_share * (made[rank] - filled[rank])
