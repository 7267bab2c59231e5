"""Stream power and settling on a card, walked level by level along the flow network by one block of threads: see stream_power_cpu.

A level is a few hundred cells, and there are hundreds of them: the threads of one block meet at a barrier between two levels, which
takes a fraction of a launch, and blocks cannot wait for one another. So a whole step with its rounds of deposition is one launch,
and the host waits for nothing. Arrays are in the order of forest.Walk: what a thread needs for its own cell lies beside its
neighbours'. Sums over donors have one order. Equal to stream_power_plain to the rounding of float64."""

from __future__ import annotations

import math

import numpy as np

from backend.ops.cuda_kernels import SIMULATED, cuda, device_function, kernel

THREADS = 4 if SIMULATED else 512  # of the block


@kernel
def wear(starts, parent, donors, first_donor, before, factor, length, steepest, n, tilt, lakes, share, rounds, enough, supplied,
         supply, passing, made, water):  # fmt: skip
    """Heights after a step into `made`, and what settles on the way into `supply`, which is a guess at first where `supplied`.

    All [N] float64 by rank: before, heights; factor, K A^m times years over length^n; length, of the step downstream; share, of
    what passes that settles. rounds: of deposition, which end when no height moves by more than `enough` of the largest change; 0
    for none. tilt: by how much a lake rises a cell, where `lakes`. passing, water: room for [N]."""
    across = cuda.shared.array(THREADS, np.float64)
    _incise(starts, parent, before, factor, length, steepest, n, tilt, lakes, supplied, supply, made, water)
    for _ in range(rounds):
        _settle(starts, donors, first_donor, before, made, share, passing, supply)
        moved, changed = _incise(
            starts, parent, before, factor, length, steepest, n, tilt, lakes, True, supply, made, water
        )
        most_moved, most_changed = _largest(moved, across), _largest(changed, across)
        if most_moved <= enough * most_changed:
            break


@device_function
def _incise(starts, parent, before, factor, length, steepest, n, tilt, lakes, supplied, supply, made, water):
    """One walk upstream; how far the heights of this thread moved from what `made` held, and how far they are from `before`."""
    moved, changed, level = 0.0, 0.0, 0
    while starts[level] < starts[level + 1]:
        for rank in range(starts[level] + cuda.threadIdx.x, starts[level + 1], cuda.blockDim.x):
            z = before[rank]
            height, surface = z, z
            if level > 0:
                below = parent[rank]
                laid = z + supply[rank] if supplied else z
                if z <= water[below] or before[below] > z:
                    if supplied:
                        height = max(z, min(laid, water[below] + tilt))
                    surface = max(height, water[below] + tilt) if lakes else height
                else:
                    height = _worn(laid, made[below], factor[rank], n, steepest * length[rank])
                    surface = height
            moved = max(moved, abs(height - made[rank]))
            changed = max(changed, abs(height - z))
            made[rank], water[rank] = height, surface
        level += 1
        cuda.syncthreads()
    return moved, changed


@device_function
def _worn(z, floor, factor, n, rise):
    """A height that wears down towards its receiver's, and stands no more than `rise` above it."""
    if factor <= 0.0:
        return z
    worn = (z + factor * floor) / (1.0 + factor) if n == 1.0 else floor + _solve_fall(z - floor, factor, n)
    return max(min(worn, floor + rise), floor)


@device_function
def _solve_fall(before, factor, n):
    """The root x in (0, before] of x + factor x^n = before: Newton, halving the bracket where it would leave it."""
    low, high = 0.0, before
    x = before / (1.0 + factor * math.pow(before, n - 1.0))
    for _ in range(60):
        power = factor * math.pow(x, n)
        value = x + power - before
        if abs(value) <= 1e-14 * before:
            break
        if value > 0.0:
            high = x
        else:
            low = x
        x -= value / (1.0 + n * power / x)
        if not low < x < high:
            x = 0.5 * (low + high)
    return x


@device_function
def _settle(starts, donors, first_donor, before, made, share, passing, supply):
    """One walk downstream: what was worn away above passes by, and a share of it settles."""
    level = 0
    while starts[level] < starts[level + 1]:
        level += 1
    while level > 0:
        level -= 1
        for rank in range(starts[level] + cuda.threadIdx.x, starts[level + 1], cuda.blockDim.x):
            total = 0.0
            for place in range(first_donor[rank], first_donor[rank + 1]):
                donor = donors[place]
                total += passing[donor] + before[donor] - made[donor]
            passing[rank] = total
            supply[rank] = max(total, 0.0) * share[rank]
        cuda.syncthreads()


@device_function
def _largest(value, across):
    """The largest of all threads' values; across: shared, a place a thread."""
    place = cuda.threadIdx.x
    across[place] = value
    cuda.syncthreads()
    reach = THREADS // 2
    while reach > 0:
        if place < reach:
            across[place] = max(across[place], across[place + reach])
        cuda.syncthreads()
        reach //= 2
    largest = across[0]
    cuda.syncthreads()
    return largest
