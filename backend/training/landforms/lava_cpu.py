"""One lava flow over a height map, in a fixed order on one thread."""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.training.landforms.erosion_cpu import chance

LEVEE = 0.35  # of a flow's thickness, above its middle


@njit(cache=True)
def flow(z, hard, receiver, vent, thick_m, wide_px, pixel_size_m, seed):
    """A flow from the cell `vent` down to where it stops, in place: z [H, W] m rises by about thick_m, more at its levees, and
    hard [H, W] grows to 1 where it lies.

    receiver: the way down from each cell (erosion_cpu.drain). It widens where the ground is level, and ends at the edge or when it
    has run as far as its thickness lets it.
    """
    height, width = z.shape
    length = int(thick_m * (120.0 + 500.0 * chance(1, seed) ** 2) / pixel_size_m)
    added = np.zeros_like(z)
    mean_slope = 0.2
    cell = vent
    for step in range(length):
        down = receiver[cell]
        if down == cell:
            break
        y, x = cell // width, cell % width
        fall = (z[y, x] - z[down // width, down % width]) / pixel_size_m
        mean_slope = 0.9 * mean_slope + 0.1 * max(fall, 0.01)
        radius = wide_px * min(max((0.18 / mean_slope) ** 0.5, 0.6), 2.5) * (1.0 - 0.4 * step / length)
        thick = thick_m * min(max((0.18 / mean_slope) ** 0.4, 0.5), 1.8)
        r = int(radius) + 2
        for b in range(max(0, y - r), min(height, y + r + 1)):
            for a in range(max(0, x - r), min(width, x + r + 1)):
                share = np.sqrt(float((b - y) ** 2 + (a - x) ** 2)) / radius
                if share < 1.2:
                    edge = 1.0 if share < 0.85 else (1.2 - share) / 0.35
                    lift = thick * edge * (1.0 - LEVEE * (1.0 - min(share / 0.7, 1.0) ** 2))
                    added[b, a] = max(added[b, a], lift)
        cell = down
    for b in range(height):
        for a in range(width):
            if added[b, a] > 0.0:
                z[b, a] += added[b, a]
                hard[b, a] = max(hard[b, a] * 0.5, min(1.0, 2.0 * added[b, a] / thick_m))
