"""Faces of many corners into triangles: ear clipping, which keeps to the face even where it is concave.

Ordinary faces are clipped one after another in compiled code, with a budget: a face whose ears are too costly to find that way, by
its size or its shape, goes to large_faces.py, so that a file of one face with 200,000 corners takes no longer than one of as many
triangles. Positions only; what the corners refer to is not looked at.
"""

from __future__ import annotations

import numpy as np

from backend.files.meshes.compiling import njit
from backend.files.meshes.large_faces import clip_large

STEPS_A_CORNER = 1024  # that the search for the ears of one face may take


def cut(points: np.ndarray, corners: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """The corners (indices into `corners`) of the triangles that all faces are cut into, three after three, int64.

    points: [V, 3] float64. corners: [C] into points, face after face. sizes: [F] corners of each face; those of fewer than three
    vanish.
    """
    chosen, costly = _cut(points, corners, sizes)
    starts, written = np.cumsum(sizes) - sizes, np.cumsum(3 * np.maximum(sizes - 2, 0))
    for face in costly.tolist():
        start, size = int(starts[face]), int(sizes[face])
        flat = np.empty((size, 2))
        _flatten(points, corners, start, size, flat)
        chosen[written[face] - 3 * (size - 2) : written[face]] = start + clip_large(flat)
    return chosen


@njit(cache=True)
def _cut(points, corners, sizes):
    """The triangles' corners, and which faces were given up: theirs are still to be filled in."""
    total, longest, large = 0, 0, 0
    for size in sizes:
        total += max(size - 2, 0)
        longest = max(longest, size)
        large += 1 if size > 3 else 0
    chosen = np.empty(3 * total, np.int64)
    costly = np.empty(large, np.int64)
    ring, flat = np.empty(longest, np.int64), np.empty((longest, 2))
    written, start, given_up = 0, 0, 0
    for face, size in enumerate(sizes):
        if size == 3:
            for corner in range(3):
                chosen[written + corner] = start + corner
            written += 3
        elif size > 3:
            _flatten(points, corners, start, size, flat)
            if not _clip_ears(flat, start, size, ring, chosen, written):
                costly[given_up] = face
                given_up += 1
            written += 3 * (size - 2)
        start += size
    return chosen, costly[:given_up]


@njit(cache=True)
def _flatten(points, corners, start, size, flat):
    """A face seen along its Newell normal's longest axis, counter-clockwise."""
    nx, ny, nz = 0.0, 0.0, 0.0
    for corner in range(size):
        a, b = points[corners[start + corner]], points[corners[start + (corner + 1) % size]]
        nx += (a[1] - b[1]) * (a[2] + b[2])
        ny += (a[2] - b[2]) * (a[0] + b[0])
        nz += (a[0] - b[0]) * (a[1] + b[1])
    if abs(nx) >= abs(ny) and abs(nx) >= abs(nz):
        first, second, normal = 1, 2, nx
    elif abs(ny) >= abs(nz):
        first, second, normal = 2, 0, ny
    else:
        first, second, normal = 0, 1, nz
    for corner in range(size):
        point = points[corners[start + corner]]
        flat[corner, 0] = point[first]
        flat[corner, 1] = point[second] if normal >= 0.0 else -point[second]


@njit(cache=True)
def _turn(flat, a, b, c):
    """Twice the signed area of a triangle."""
    return (flat[b, 0] - flat[a, 0]) * (flat[c, 1] - flat[a, 1]) - (flat[b, 1] - flat[a, 1]) * (flat[c, 0] - flat[a, 0])


@njit(cache=True)
def _search_ear(flat, ring, left, at):
    """Whether the corner at `at` is an ear, and how many others were looked at to know that."""
    a, b, c = ring[at - 1 if at else left - 1], ring[at], ring[(at + 1) % left]
    if _turn(flat, a, b, c) <= 0.0:
        return False, 1
    steps = 1
    for other in ring[:left]:
        steps += 1
        if other in (a, b, c):
            continue
        if _turn(flat, a, b, other) >= 0.0 and _turn(flat, b, c, other) >= 0.0 and _turn(flat, c, a, other) >= 0.0:
            return False, steps
    return True, steps


@njit(cache=True)
def _clip_ears(flat, start, size, ring, chosen, written):
    """Meisters' theorem: a simple polygon has an ear. One that crosses itself may have none; its next corner goes then.

    False where the budget was too small.
    """
    for corner in range(size):
        ring[corner] = corner
    if size > 2 * STEPS_A_CORNER:  # too large even where each corner is an ear at once
        return False
    left, budget = size, STEPS_A_CORNER * size
    while left >= 3:
        ear = 1
        for turn in range(left):
            at = (1 + turn) % left
            if left == 3:
                ear = at
                break
            found, steps = _search_ear(flat, ring, left, at)
            budget -= steps
            if found:
                ear = at
                break
            if budget < 0:
                return False
        chosen[written] = start + ring[ear - 1 if ear else left - 1]
        chosen[written + 1] = start + ring[ear]
        chosen[written + 2] = start + ring[(ear + 1) % left]
        written += 3
        for corner in range(ear, left - 1):
            ring[corner] = ring[corner + 1]
        budget -= left - ear
        left -= 1
        if budget < 0 and left > 3:
            return False
    return True
