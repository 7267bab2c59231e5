"""Removing closed depressions from a height grid on the CPU: priority-flood fill and least-cost breaching.

Both walk the grid with one binary heap whose keys are single 64-bit integers: the order-preserving bits of a
float32 in the upper half, the cell index in the lower. Comparing integers is fast, and because no two keys are
equal the order of the walk, and so every byte of the result, is fixed. Cells on the edge of the grid are outlets.

The kernels release Python's lock: on a large map one call takes seconds, in which an interrupt must still be handled.
They know only flat arrays; arguments are checked in backend.ops.terrain.depressions.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.terrain.routing_cpu import hash_bits

INDEX_MASK = np.int64(0xFFFFFFFF)


@njit(cache=True, inline="always")
def _sift_up(heap, position):
    """Restore the heap after heap[position] was made smaller."""
    key = heap[position]
    while position > 0:
        parent = (position - 1) >> 1
        if heap[parent] <= key:
            break
        heap[position] = heap[parent]
        position = parent
    heap[position] = key


@njit(cache=True, inline="always")
def _sift_down(heap, size):
    """Restore the heap of `size` keys after heap[0] was replaced."""
    key = heap[0]
    position = 0
    child = 1
    while child < size:
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if heap[child] >= key:
            break
        heap[position] = heap[child]
        position = child
        child = 2 * position + 1
    heap[position] = key


@njit(cache=True, nogil=True)
def order_bits(height):
    """Flat int64 keys [N] whose upper 32 bits sort as the float32 heights do and whose lower 32 are the cell index."""
    bits = height.ravel().view(np.int32)
    keys = np.empty(bits.size, np.int64)
    for i in range(bits.size):
        b = np.int64(bits[i])
        if b < 0:  # negative floats sort backwards by their magnitude bits
            b = -(b & np.int64(0x7FFFFFFF))
        keys[i] = (b << 32) | np.int64(i)
    return keys


@njit(cache=True, nogil=True)
def priority_flood(height, epsilon):
    """Raise every cell of `height` [H, W] float32 in place to the lowest level from which it drains to the edge.

    Barnes, Lehman and Mulla (2014), "Priority-flood", algorithms 2 (epsilon = 0) and 3 (epsilon > 0): cells at or
    below the current water level go through a plain queue instead of the heap. With epsilon > 0 each flooded cell
    ends at least `epsilon` metres above the cell it drains to. Returns the number of cells raised.
    """
    rows, cols = height.shape
    flat = height.ravel()
    keys = order_bits(height)
    heap = np.empty(rows * cols, np.int64)
    queue = np.empty(rows * cols, np.int32)
    closed = np.zeros(rows * cols, np.bool_)
    size = 0
    for r in range(rows):
        step = 1 if r == 0 or r == rows - 1 else max(cols - 1, 1)
        for c in range(0, cols, step):
            cell = r * cols + c
            closed[cell] = True
            heap[size] = keys[cell]
            _sift_up(heap, size)
            size += 1
    head = tail = 0
    raised = 0
    while size > 0 or head < tail:
        # The queue holds flooded cells. With epsilon its head may stand above the heap's top: take the lower one.
        if head < tail and (size == 0 or epsilon == 0.0 or flat[queue[head]] <= flat[heap[0] & INDEX_MASK]):
            cell = np.int64(queue[head])
            head += 1
            if head == tail:
                head = tail = 0
        else:
            cell = heap[0] & INDEX_MASK
            size -= 1
            heap[0] = heap[size]
            _sift_down(heap, size)
        level = np.float32(flat[cell] + epsilon)
        row = cell // cols
        col = cell - row * cols
        for dr in range(-1, 2):
            rr = row + dr
            if rr < 0 or rr >= rows:
                continue
            for dc in range(-1, 2):
                cc = col + dc
                if cc < 0 or cc >= cols:
                    continue
                n = rr * cols + cc
                if closed[n]:
                    continue
                closed[n] = True
                if flat[n] <= level:
                    if flat[n] < level:
                        flat[n] = level
                        raised += 1
                    queue[tail] = np.int32(n)
                    tail += 1
                else:
                    heap[size] = keys[n]
                    _sift_up(heap, size)
                    size += 1
    return raised


def undrained(height):
    """Mask [H, W] of the inner cells none of whose eight neighbours is strictly lower (pits and flats)."""
    mask = np.zeros(height.shape, np.bool_)
    run_in_threads(_undrained_rows, len(height), height, mask)
    return mask


@njit(cache=True, nogil=True)
def _undrained_rows(begin, end, height, mask):
    rows, cols = height.shape
    for r in range(max(begin, 1), min(end, rows - 1)):
        for c in range(1, cols - 1):
            z = height[r, c]
            low = min(height[r - 1, c - 1], height[r - 1, c], height[r - 1, c + 1], height[r, c - 1])
            low = min(low, height[r, c + 1], height[r + 1, c - 1], height[r + 1, c], height[r + 1, c + 1])
            mask[r, c] = low >= z


def pit_cells(height, mask):
    """One cell for each level patch without an outlet, as flat indices [P] in order of height, lowest first.

    `mask` is that of `undrained` and is used up. A patch of equal height that touches a lower cell or the edge is a
    flat that drains: it needs no channel, only the tilt that a final epsilon fill gives it.
    """
    found = np.flatnonzero(mask)
    found = found[: _find_pits(height, mask, found)]
    return found[np.argsort(height.ravel()[found], kind="stable")]  # by NumPy: numba compiles its sort for seconds


@njit(cache=True, nogil=True)
def _find_pits(height, mask, found):
    """pit_cells without their order, into the front of `found`, which holds all cells of the mask; how many."""
    rows, cols = height.shape
    flat = height.ravel()
    todo = mask.ravel()
    stack = np.empty(1024, np.int32)
    seen = np.zeros(rows * cols, np.bool_)
    count = 0
    for start in found:
        if not todo[start]:
            continue
        z = flat[start]
        closed = True
        size = 1
        stack[0] = np.int32(start)
        seen[start] = True
        while size > 0:
            size -= 1
            cell = np.int64(stack[size])
            todo[cell] = False
            row = cell // cols
            col = cell - row * cols
            if row == 0 or col == 0 or row == rows - 1 or col == cols - 1:
                closed = False
                continue
            for k in range(9):
                n = cell + (k // 3 - 1) * cols + k % 3 - 1
                if flat[n] < z:
                    closed = False
                elif flat[n] == z and not seen[n]:
                    seen[n] = True
                    if size == stack.size:
                        larger = np.empty(2 * size, np.int32)
                        for place in range(size):
                            larger[place] = stack[place]
                        stack = larger
                    stack[size] = np.int32(n)
                    size += 1
        if closed:
            found[count] = start
            count += 1
    return count


@njit(cache=True, nogil=True)
def breach_pits(height, pits, epsilon, max_cost, max_length, wander, seed):
    """Carve a channel from each pit to lower ground, in place on `height` [H, W] float32; returns how many failed.

    Least-cost breaching after Lindsay and Dhun (2015) and Lindsay (2016): Dijkstra's search from the pit, where
    entering a cell costs the metres it must be lowered so that the channel falls `epsilon` a step from the pit; it
    ends at the first cell already lower than that, or at the edge. A cell is only ever lowered, and always gets a
    lower next cell, so no channel makes a new pit. `max_cost` bounds the summed lowering of one channel in metres,
    `max_length` its cells; a pit that finds no way within them is left as it is. `wander` mixes each cell's cost with
    an exponentially distributed hardness of mean 1: the cheapest ways through such ground wind.
    """
    rows, cols = height.shape
    flat = height.ravel()
    stamp = np.full(rows * cols, -1, np.int32)  # which pit's search last reached the cell
    cost = np.empty(rows * cols, np.float32)
    parent = np.empty(rows * cols, np.int32)
    steps = np.empty(rows * cols, np.int32)
    heap = np.empty(4096, np.int64)
    bits = np.empty(1, np.float32)
    as_int = bits.view(np.int32)
    offsets = np.array([-cols, -1, 1, cols, -cols - 1, -cols + 1, cols - 1, cols + 1], np.int64)
    failed = 0
    for number in range(pits.size):
        pit = pits[number]
        base = np.float64(flat[pit])
        drained = False
        for k in range(8):
            drained |= flat[pit + offsets[k]] < flat[pit]
        if drained:  # an earlier channel came past
            continue
        stamp[pit] = number
        cost[pit] = 0.0
        parent[pit] = -1
        steps[pit] = 0
        heap[0] = pit
        size = 1
        outlet = np.int64(-1)
        while size > 0 and outlet < 0:
            key = heap[0]
            size -= 1
            heap[0] = heap[size]
            _sift_down(heap, size)
            cell = key & INDEX_MASK
            as_int[0] = np.int32(key >> 32)
            here = bits[0]
            if here > cost[cell]:
                continue  # reached more cheaply since
            row = cell // cols
            col = cell - row * cols
            if row == 0 or col == 0 or row == rows - 1 or col == cols - 1:
                outlet = cell
                break
            if steps[cell] >= max_length:
                continue
            level = base - epsilon * (steps[cell] + 1)
            for k in range(8):
                n = cell + offsets[k]
                rise = np.float64(flat[n]) - level
                if rise < 0.0:
                    parent[n] = np.int32(cell)
                    steps[n] = steps[cell] + 1
                    outlet = n
                    break
                if wander > 0.0 and rise > 0.0:
                    chance = (np.float64(hash_bits(n, seed) >> np.uint64(11)) + 0.5) / 9007199254740992.0
                    rise *= 1.0 - wander - wander * np.log(chance)
                total = np.float32(here + rise)
                if total > max_cost or (stamp[n] == number and cost[n] <= total):
                    continue
                stamp[n] = number
                cost[n] = total
                parent[n] = np.int32(cell)
                steps[n] = steps[cell] + 1
                if size == heap.size:
                    heap = np.append(heap, np.empty_like(heap))
                bits[0] = total
                heap[size] = (np.int64(as_int[0]) << 32) | n
                _sift_up(heap, size)
                size += 1
        if outlet < 0:
            failed += 1
            continue
        cell = outlet
        while cell != pit:
            level32 = np.float32(base - epsilon * steps[cell])
            if flat[cell] > level32:
                flat[cell] = level32
            cell = np.int64(parent[cell])
    return failed
