"""Meshes far from the origin, such as those in map coordinates: where they are counted from, so that float32 keeps their detail.

A MESH holds float32. Of 5,206,789.123 m that keeps half metres; so a point near the mesh is subtracted in float64 before
anything is rounded, and travels as the array's attribute "origin" [x, y, z]: the file's coordinates are the values plus this.
Near the origin nothing is subtracted.
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

logger = logging.getLogger(__name__)

FAR_RATIO = 64.0  # distance from the origin by the mesh's size: six of float32's 24 bits are lost
FAR, FAR_RATIO_THERE = 1e4, 4.0  # units from the origin, from where a smaller ratio is enough
SAMPLES = 100_000
COARSE = 0.01  # of an edge: steps of the file's own numbers that show


def origin_of(positions: np.ndarray, corners: np.ndarray) -> np.ndarray | None:
    """The point [3] float64 that positions [V, 3] should be counted from; None where they are near enough to the origin.

    corners: [C] into positions: points that no face uses do not count.
    """
    if not len(positions) or not len(corners):
        return None
    low, high = (join.reduce(positions, axis=0).astype(np.float64) for join in (np.fmin, np.fmax))
    reach = float(np.maximum(np.abs(low), np.abs(high)).max())
    if not np.isfinite(reach) or reach <= min(FAR, FAR_RATIO * float((high - low).max())):
        return None
    used = positions[corners[:: len(corners) // SAMPLES + 1] % len(positions)].astype(np.float64)
    used = used[np.isfinite(used).all(axis=1)]
    if not len(used):
        return None
    low, middle, high = np.percentile(used, (5, 50, 95), axis=0)
    distance, size = float(np.abs(middle).max()), float((high - low).max())
    if size == 0.0 or (distance <= FAR_RATIO * size and (distance <= FAR or distance <= FAR_RATIO_THERE * size)):
        return None
    step = 10.0 ** np.floor(np.log10(max(size, distance * 1e-12)))
    return np.round(middle / step) * step


def tell(path: Path, positions: np.ndarray, origin: np.ndarray, mesh: np.ndarray) -> None:
    """Says that the mesh stands far away, and warns where its file has already rounded it. mesh: [N, 3, 5] about the origin."""
    logger.info(
        "%s stands around %s; it is computed relative to that point.", path.name, " ".join(f"{x:.12g}" for x in origin)
    )
    sample = mesh[:: len(mesh) // SAMPLES + 1, :, :3].astype(np.float64)
    edges = np.linalg.norm(sample - np.roll(sample, 1, axis=1), axis=-1)
    rounded = np.array_equal(positions, positions.astype(np.float32))
    step = float(np.spacing(np.float32(np.abs(origin).max())))
    whole = positions.dtype.kind == "f" and positions.dtype.itemsize > 4 and bool((positions % 1.0 == 0.0).all())
    collapsed = float((edges == 0.0).any(axis=1).mean())
    if (rounded and not whole and step > COARSE * float(np.median(edges))) or collapsed > 0.1:
        logger.warning(
            "The coordinates in %s are rounded to about %.2g (%.3g from the origin): the mesh has lost detail. Export it with an "
            "offset near the origin, or with more digits.",
            path.name,
            step,
            np.abs(origin).max(),
        )
