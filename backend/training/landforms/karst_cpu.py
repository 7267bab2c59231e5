"""Rain that sinks into the hollows of limestone, on one thread in a fixed order."""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.training.landforms.erosion_cpu import chance

_ROWS = np.array((0, 1, 1, 1, 0, -1, -1, -1), np.int64)
_COLS = np.array((1, 1, 0, -1, -1, -1, 0, 1), np.int64)
_DISTANCE = np.array((1.0, 2.0**0.5, 1.0, 2.0**0.5, 1.0, 2.0**0.5, 1.0, 2.0**0.5))


@njit(cache=True)
def sinking(z, power, seed):
    """Cells whose rain passes each cell [H, W], itself included, down to the lowest cell of each hollow, where it sinks.

    The way down is drawn among the lower neighbours by slope^power.
    """
    height, width = z.shape
    water = np.ones((height, width))
    weights = np.empty(8)
    order = np.argsort(z.ravel())
    for position in range(order.size - 1, -1, -1):
        y, x = order[position] // width, order[position] % width
        if y in (0, height - 1) or x in (0, width - 1):
            continue
        total = 0.0
        for k in range(8):
            fall = (z[y, x] - z[y + _ROWS[k], x + _COLS[k]]) / _DISTANCE[k]
            weights[k] = fall**power if fall > 0 else 0.0
            total += weights[k]
        if total <= 0.0:
            continue
        draw = chance(y * width + x, seed) * total
        for k in range(8):
            draw -= weights[k]
            if weights[k] > 0 and draw <= 0:
                water[y + _ROWS[k], x + _COLS[k]] += water[y, x]
                break
    return water
