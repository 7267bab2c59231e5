"""Which site is nearest to each cell of a grid, on the CPU: first within each column, then along each row.

The second pass keeps the lower envelope of the columns' parabolas (Maurer, Qi and Raghavan 2003, doi:10.1109/TPAMI.2003.1177156).
Every column and every row belongs to one thread. Arguments are checked in backend.ops.terrain.nearest_site.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads


def nearest(site):
    """For sites [H, W] int32, -1 where there is none: the nearest one's number [H, W] int32 and its distance [H, W] float32."""
    found = np.empty_like(site)
    distance = np.empty(site.shape, np.float32)
    run_in_threads(_in_columns, site.shape[1], site, found)
    run_in_threads(_in_rows, site.shape[0], site, found, distance)
    return found, distance


@njit(cache=True, nogil=True)
def _in_columns(first, last, site, found):
    """found: the row of the nearest site in the same column, the upper of two; -1 in columns without one."""
    rows = site.shape[0]
    near = np.full(last - first, -1, np.int32)
    for r in range(rows):  # a row at a time, as the map lies in memory
        for c in range(first, last):
            if site[r, c] >= 0:
                near[c - first] = r
            found[r, c] = near[c - first]
    near[:] = -1
    for r in range(rows - 1, -1, -1):
        for c in range(first, last):
            if site[r, c] >= 0:
                near[c - first] = r
            below, above = near[c - first], found[r, c]
            if below >= 0 and (above < 0 or below - r < r - above):
                found[r, c] = below


@njit(cache=True, nogil=True)
def _in_rows(first, last, site, found, distance):
    """found: rows of the nearest sites by column, replaced by the nearest sites of all; the left one of two columns."""
    columns = site.shape[1]
    kept = np.empty(columns, np.int64)
    off = np.empty(columns, np.float64)  # squared distance to a column's site
    at = np.empty(columns, np.int32)
    for r in range(first, last):
        count = 0
        for c in range(columns):
            at[c] = found[r, c]
            if at[c] < 0:
                continue
            off[c] = np.float64(at[c] - r) * np.float64(at[c] - r)
            while count >= 2:
                middle, left = kept[count - 1], kept[count - 2]
                a, b = np.float64(middle - left), np.float64(c - middle)
                if (a + b) * off[middle] - b * off[left] - a * off[c] - a * b * (a + b) <= 0.0:
                    break
                count -= 1
            kept[count] = c
            count += 1
        place = 0
        for c in range(columns):
            best = kept[place]
            least = off[best] + np.float64(best - c) * np.float64(best - c)
            while place + 1 < count:
                after = kept[place + 1]
                other = off[after] + np.float64(after - c) * np.float64(after - c)
                if least <= other:
                    break
                least, best = other, after
                place += 1
            found[r, c] = site[at[best], best]
            distance[r, c] = np.sqrt(least)
