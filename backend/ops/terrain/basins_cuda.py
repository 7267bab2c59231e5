"""Parts of leading basins out that are many launches in plain torch, as kernels for a card: see basins_plain for what they are.

Ways over passes take a thread a cell, the order of two cells a thread a pair, which walks down the tree from both: within one basin
that is never far. The spanning tree is walked from the outside inwards by one block of threads, a generation of basins between two
barriers.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel

THREADS = 8 if SIMULATED else 1024  # of the block that walks the spanning tree


def ways_of(height: Tensor, label: Tensor) -> Tensor:
    """[8, H, W] bool: see basins_plain.pass_ways."""
    ways = torch.empty((8, *height.shape), dtype=torch.bool, device=height.device)
    pass_ways.launch(tuple(height.shape), height, label, ways)
    return ways


@kernel
def pass_ways(height, label, ways):
    c, r = cuda.grid(2)
    rows, columns = height.shape
    if r >= rows or c >= columns:
        return
    z, own = height[r, c], label[r, c]
    other, level, lower = 0, 0, 0  # bits in the order round the ring: neighbouring bits are neighbouring cells
    for ring in range(8):
        rr, cc = r + _down(ring), c + _down((ring + 6) & 7)
        if rr < 0 or cc < 0 or rr >= rows or cc >= columns or height[rr, cc] > z:
            continue
        if label[rr, cc] != own:
            other |= 1 << ring
            if height[rr, cc] == z:
                level |= 1 << ring
        elif height[rr, cc] < z:
            lower |= 1 << ring
    axial = lower & 0b10101010  # cells above, right, below and left of the centre also touch each other
    near = (lower << 1) | (lower << 7) | (lower >> 1) | (lower >> 7)
    near |= (axial << 2) | (axial << 6) | (axial >> 2) | (axial >> 6)
    open_ways = other & (~near | level)
    for ring in range(8):
        dr, dc = _down(ring), _down((ring + 6) & 7)
        place = 3 * (dr + 1) + dc + 1
        ways[place if place < 4 else place - 1, r, c] = (open_ways >> ring) & 1 != 0


@device_function
def _down(ring):
    """Rows from the centre to a place of the ring, which begins above on the left and goes clockwise; six places back: columns."""
    return -1 if ring < 3 else (1 if 4 <= ring < 7 else 0)


def order_of(a: Tensor, b: Tensor, ahead: list[Tensor], depth: Tensor) -> Tensor:
    """Whether each a precedes its b [E] bool: see basins_plain.comes_first."""
    first = torch.empty(len(a), dtype=torch.bool, device=a.device)
    comes_first.launch(len(a), a, b, ahead[0], depth, first)
    return first


@kernel
def comes_first(a, b, receiver, depth, first):
    pair = cuda.grid(1)
    if pair >= a.size:
        return
    x, y = a[pair], b[pair]
    above_a, above_b = 0, 0  # how far below both the walk has come
    while depth[x] > depth[y]:
        x = receiver[x]
        above_a += 1
    while depth[y] > depth[x]:
        y = receiver[y]
        above_b += 1
    if x == y:
        first[pair] = depth[a[pair]] < depth[b[pair]]
        return
    while (
        receiver[x] != receiver[y] and depth[x] > 0
    ):  # two trees of the outside, whose order nobody asks for, never meet
        x, y = receiver[x], receiver[y]
        above_a += 1
        above_b += 1
    if above_a == above_b:
        near = x < y
    else:
        near = above_a == 0
    first[pair] = near if above_a == 0 or above_b == 0 else x > y


def directions_of(cell: Tensor, neighbour: Tensor, labels: Tensor, pits: int) -> tuple[Tensor, Tensor]:
    """The two cells [B] of each edge of the spanning tree, the one that leaves first: see basins_plain.outwards."""
    known = torch.zeros(pits + 1, dtype=torch.int32, device=cell.device)
    start, out, of_cell, of_neighbour = cell.clone(), neighbour.clone(), labels[cell], labels[neighbour]
    outwards.launch(THREADS, cell, neighbour, of_cell, of_neighbour, known, start, out, block=(THREADS,))
    return start, out


@kernel
def outwards(cell, neighbour, of_cell, of_neighbour, known, start, out):
    """known: int32 [basins], all 0: the generation in which each basin was reached, the outside in the first, 1."""
    if cuda.threadIdx.x == 0:
        known[0] = 1
    found, generation = 1, 1
    cuda.syncthreads()
    while found != 0:
        turned = 0
        for edge in range(cuda.threadIdx.x, cell.size, cuda.blockDim.x):
            there, here = known[of_cell[edge]], known[of_neighbour[edge]]
            if there == generation and here == 0:
                start[edge], out[edge] = neighbour[edge], cell[edge]
                known[of_neighbour[edge]] = generation + 1
                turned = 1
            elif here == generation and there == 0:
                known[of_cell[edge]] = generation + 1
                turned = 1
        generation += 1
        found = cuda.syncthreads_or(np.int32(turned))
