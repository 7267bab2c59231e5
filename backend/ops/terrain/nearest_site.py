"""Which of the sites on a grid is nearest to each of its cells: exact, on the host, without maps in double precision.

A distance transform that also says whose distance it is. What the sites are is the caller's business.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import distance_transform_edt

from backend.ops.dispatch import Impl, choose
from backend.ops.terrain.bands import row_bands


def nearest_site(site: np.ndarray, *, impl: Impl = "auto") -> tuple[np.ndarray, np.ndarray]:
    """For sites [H, W] int32, numbered from 0 and -1 where there is none: the nearest one [H, W] int32, and the distance to it in
    cells [H, W] float32.

    Of sites that are equally near it is the one farthest left, and of those the uppermost. Raises ValueError without a site.
    """
    if site.ndim != 2 or site.dtype != np.int32:
        raise ValueError(f"sites are a map [H, W] int32, not {site.dtype} of shape {site.shape}")
    if not (site >= 0).any():
        raise ValueError("no cell of the map is a site")
    if choose(impl) == "cpu":
        from backend.ops.terrain import nearest_site_cpu

        return nearest_site_cpu.nearest(np.ascontiguousarray(site))
    places = np.empty((2, *site.shape), np.int32)
    distance_transform_edt(site < 0, return_distances=False, return_indices=True, indices=places)
    found, distance = places[0], np.empty(site.shape, np.float32)
    columns = np.arange(site.shape[1])
    for band in row_bands(site.shape):
        row, column = places[0, band], places[1, band]
        down, across = (row - np.arange(band.start, band.stop)[:, None]), column - columns
        distance[band] = np.sqrt((down * down + across * across).astype(np.float64))
        found[band] = site[row, column]
    return found.copy(), distance
