"""One face of very many corners into triangles in about n log n: ears are found from a queue, and what might lie in an ear is
looked up in a tree of boxes.

Only a corner that is not convex can lie in an ear of a simple polygon, so the tree holds those alone and forgets each that is
clipped or becomes convex. A face that crosses itself, or whose corners fall together, may have no ear; its next corner goes then,
as in cutting.py. The work is bounded for any input: beyond the bound corners are clipped unchecked.
"""

from __future__ import annotations

import numpy as np

from backend.files.meshes.compiling import njit

_LEAF = 8  # corners to a box of the lowest level
_CELLS = 1 << 16  # to a side of the grid that the corners are put in order on
_STEPS_A_CORNER = 2048  # boxes and corners that may be looked at, all in all
_WAITING, _LATER, _TRIED, _GONE = (
    0,
    1,
    2,
    3,
)  # of a corner: in the queue, to go to its end once more, not an ear, clipped
_MOST_POSTPONED = 4  # times, so that no corner waits until all others have made a fan around it


def clip_large(flat: np.ndarray) -> np.ndarray:
    """The corners of the triangles [3 (n - 2)] int64 of a counter-clockwise face, flat [n, 2] float64, n >= 3.

    A convex face becomes a fan from its first corner, as cutting.py makes it.
    """
    if _is_convex(flat):
        n = len(flat)
        return np.stack([np.zeros(n - 2, np.int64), np.arange(1, n - 1), np.arange(2, n)], axis=1).ravel()
    reflex = np.flatnonzero(_turns(flat) <= 0.0)
    order = reflex[np.argsort(_along_a_curve(flat[reflex]), kind="stable")]
    return _clip(flat, order, *_boxes(flat, order))


def _turns(flat: np.ndarray) -> np.ndarray:
    """Twice the signed area of the triangle at each corner."""
    ahead, behind = np.roll(flat, -1, axis=0) - flat, flat - np.roll(flat, 1, axis=0)
    return behind[:, 0] * ahead[:, 1] - behind[:, 1] * ahead[:, 0]


def _is_convex(flat: np.ndarray) -> bool:
    """Whether every corner turns left and all of them together turn round once."""
    if not (_turns(flat) > 0.0).all():
        return False
    edges = np.roll(flat, -1, axis=0) - flat
    angles = np.arctan2(edges[:, 1], edges[:, 0])
    turned = (np.roll(angles, -1) - angles) % (2 * np.pi)
    return bool(turned.sum() < 3 * np.pi)


def _along_a_curve(points: np.ndarray) -> np.ndarray:
    """Morton numbers: corners that are near on the plane are mostly near in this order."""
    low, high = points.min(axis=0), points.max(axis=0)
    side = np.maximum(high - low, np.finfo(np.float64).tiny)
    cell = np.nan_to_num(np.clip((points - low) / side, 0.0, 1.0) * (_CELLS - 1)).astype(np.uint64)
    for shift, mask in ((8, 0x00FF00FF), (4, 0x0F0F0F0F), (2, 0x33333333), (1, 0x55555555)):
        cell = (cell | (cell << np.uint64(shift))) & np.uint64(mask)
    return cell[:, 0] | (cell[:, 1] << np.uint64(1))


def _boxes(flat: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A complete binary tree as in a heap, root 1: boxes [nodes, 4] (low x, low y, high x, high y) and corners within [nodes]."""
    leaves = 1
    while leaves * _LEAF < len(order):
        leaves *= 2
    padded = np.full((leaves * _LEAF, 4), (np.inf, np.inf, -np.inf, -np.inf))
    padded[: len(order)] = flat[order][:, [0, 1, 0, 1]]
    within = np.zeros(2 * leaves, np.int64)
    boxes = np.empty((2 * leaves, 4))
    grouped = padded.reshape(leaves, _LEAF, 4)
    boxes[leaves:, :2], boxes[leaves:, 2:] = grouped[:, :, :2].min(axis=1), grouped[:, :, 2:].max(axis=1)
    within[leaves:] = np.clip(len(order) - _LEAF * np.arange(leaves), 0, _LEAF)
    level = leaves
    while level > 1:
        level //= 2
        left, right = boxes[2 * level : 4 * level : 2], boxes[2 * level + 1 : 4 * level : 2]
        boxes[level : 2 * level, :2] = np.minimum(left[:, :2], right[:, :2])
        boxes[level : 2 * level, 2:] = np.maximum(left[:, 2:], right[:, 2:])
        within[level : 2 * level] = within[2 * level : 4 * level : 2] + within[2 * level + 1 : 4 * level : 2]
    return boxes, within


@njit(cache=True)
def _turn(flat, a, b, c):
    return (flat[b, 0] - flat[a, 0]) * (flat[c, 1] - flat[a, 1]) - (flat[b, 1] - flat[a, 1]) * (flat[c, 0] - flat[a, 0])


@njit(cache=True)
def _box_is_beside(flat, a, b, box):
    """Whether a box lies wholly to the right of the line from a to b, outside of the triangle."""
    dx, dy = flat[b, 0] - flat[a, 0], flat[b, 1] - flat[a, 1]
    x = box[0] if dy > 0.0 else box[2]  # the corner of the box that is farthest to the left
    y = box[3] if dx > 0.0 else box[1]
    return dx * (y - flat[a, 1]) - dy * (x - flat[a, 0]) < 0.0


@njit(cache=True)
def _same(flat, a, b):
    return flat[a, 0] == flat[b, 0] and flat[a, 1] == flat[b, 1]


@njit(cache=True)
def _is_free(flat, a, b, c, order, place, boxes, within, stack):
    """Whether no corner of the tree lies in the triangle, its edges included, and the steps that took. Corners that fall together
    with the triangle's own do not count: a face with holes runs along the same bridge twice."""
    leaves = boxes.shape[0] // 2
    steps, waiting = 0, 1
    stack[0] = 1
    while waiting:
        waiting -= 1
        node = stack[waiting]
        steps += 1
        if within[node] == 0:
            continue
        box = boxes[node]
        if _box_is_beside(flat, a, b, box) or _box_is_beside(flat, b, c, box) or _box_is_beside(flat, c, a, box):
            continue
        if node < leaves:
            stack[waiting] = 2 * node
            stack[waiting + 1] = 2 * node + 1
            waiting += 2
            continue
        first = (node - leaves) * 8
        for slot in range(first, min(first + 8, order.size)):
            other = order[slot]
            steps += 1
            if place[other] < 0 or other in (a, b, c):
                continue
            if _turn(flat, a, b, other) >= 0.0 and _turn(flat, b, c, other) >= 0.0 and _turn(flat, c, a, other) >= 0.0:
                if _same(flat, other, a) or _same(flat, other, b) or _same(flat, other, c):
                    continue
                return False, steps
    return True, steps


@njit(cache=True)
def _forget(corner, place, within):
    """Takes a corner out of the tree."""
    node = within.size // 2 + place[corner] // 8
    place[corner] = -1
    while node:
        within[node] -= 1
        node //= 2


@njit(cache=True)
def _clip(flat, order, boxes, within):
    size = flat.shape[0]
    after, before = np.empty(size, np.int64), np.empty(size, np.int64)
    queue, state, postponed = np.empty(size, np.int64), np.full(size, _WAITING, np.int8), np.zeros(size, np.int8)
    for corner in range(size):
        after[corner], before[corner] = corner + 1, corner - 1
        queue[corner] = (corner + 1) % size
    after[size - 1], before[0] = 0, size - 1
    place = np.full(size, -1, np.int64)  # in `order`; -1 for what the tree does not hold
    for slot in range(order.size):
        place[order[slot]] = slot
    chosen, stack = np.empty(3 * (size - 2), np.int64), np.empty(256, np.int64)
    budget, written, left, alive, head, waiting, found = _STEPS_A_CORNER * size, 0, size, 0, 0, size, 0
    while left > 3:
        if waiting:
            at = queue[head]
            head = head + 1 if head + 1 < size else 0
            waiting -= 1
            budget -= 1
            if state[at] == _GONE:
                continue
            if state[at] == _LATER and budget > 0:
                state[at] = _WAITING
                postponed[at] += 1
                queue[(head + waiting) % size] = at
                waiting += 1
                continue
            state[at], postponed[at] = _TRIED, 0
            a, c = before[at], after[at]
            if budget > 0:
                if _turn(flat, a, at, c) <= 0.0:
                    continue
                free, steps = _is_free(flat, a, at, c, order, place, boxes, within, stack)
                budget -= steps
                if not free:
                    continue
                found += 1
        elif found and budget > 0:  # what touched an ear may be gone
            found, at = 0, alive
            for _ in range(left):
                state[at] = _WAITING
                queue[(head + waiting) % size] = at
                waiting += 1
                at = after[at]
            continue
        else:  # no ear is left: the face crosses itself, or its corners fall together
            at = alive
            a, c = before[at], after[at]
        chosen[written], chosen[written + 1], chosen[written + 2] = a, at, c
        written += 3
        after[a], before[c] = c, a
        left -= 1
        state[at] = _GONE
        alive = c
        if place[at] >= 0:
            _forget(at, place, within)
        for corner in (a, c):
            if place[corner] >= 0 and _turn(flat, before[corner], corner, after[corner]) > 0.0:
                _forget(corner, place, within)
        for corner in (a, c):
            if state[corner] == _TRIED:
                state[corner] = _WAITING
                queue[(head + waiting) % size] = corner
                waiting += 1
        if state[c] == _WAITING and postponed[c] < _MOST_POSTPONED:
            state[c] = _LATER  # every second corner first: triangles stay short
    at = alive
    chosen[written], chosen[written + 1], chosen[written + 2] = before[at], at, after[at]
    return chosen
