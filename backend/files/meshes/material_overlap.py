"""Which materials of a mesh have their UVs over each other's, so that one texture cannot serve them both.

A coarse look at a grid: enough to name them. How much of the UVs overlaps is measured by the engine.
"""

from __future__ import annotations

import numpy as np

CELLS = 64  # to a side of the unit square
MOST_STEPS = 64  # points along a triangle's side
SHARED = 0.25  # of the cells of the smaller material: what touches along a border is less


def overlapping_materials(mesh: np.ndarray, materials: np.ndarray) -> list[int]:
    """The numbers of the materials that share their part of UV space with another one, rising.

    mesh: [N, 3, 5]; materials: [N] numbers from 0.
    """
    has_uv = np.isfinite(mesh[..., 3:]).all(axis=(1, 2))
    uv, materials = mesh[has_uv][..., 3:].astype(np.float64), materials[has_uv]
    places = {int(number): _cells(uv[materials == number]) for number in np.unique(materials)}
    shared: set[int] = set()
    for number, own in places.items():
        for other, theirs in places.items():
            if other > number and len(np.intersect1d(own, theirs)) > SHARED * min(len(own), len(theirs)):
                shared |= {number, other}
    return sorted(shared)


def _cells(uv: np.ndarray) -> np.ndarray:
    """The numbers of the grid's cells that triangles [N, 3, 2] lie in, by points within them as close as the grid."""
    longest = np.abs(uv - np.roll(uv, 1, axis=1)).max(axis=(1, 2), initial=0.0)
    steps = np.clip(2 ** np.ceil(np.log2(np.maximum(longest * CELLS, 1.0))), 1, MOST_STEPS).astype(int)
    found = []
    for count in np.unique(steps):
        a, b = np.meshgrid(np.arange(count), np.arange(count))
        a, b = (x[a + b < count] for x in (a, b))
        weights = (np.stack([a, b, count - 1 - a - b], axis=1) + 1 / 3) / count
        chosen = uv[steps == count]
        for start in range(0, len(chosen), 4096):
            points = np.einsum("pk,nkc->npc", weights, chosen[start : start + 4096]).reshape(-1, 2)
            cell = np.floor(points * CELLS).astype(np.int64)
            found.append(np.unique(cell[:, 0] + (cell[:, 1] << 24)))
    return np.unique(np.concatenate(found)) if found else np.empty(0, np.int64)
