"""Stream-power erosion and deposition on a height grid on the CPU, solved from the outlets upstream.

Walks along the pieces of walks_cpu. Units are the caller's, as long as they agree; the project
uses metres and years. Arguments are checked in backend.ops.terrain.erosion.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.terrain import walks_cpu
from backend.ops.terrain.constants import LAKE_SLOPE
from backend.ops.terrain.constants import POWERS_TABLE as TABLE
from backend.ops.terrain.routing_cpu import NONE, offsets


def area_powers(cells, cell_area, exponent):
    """(cells * cell_area)^exponent, [N] float64, for the whole or fractional numbers of cells [N] drained."""
    table, powers = np.empty(TABLE), np.empty(cells.size)
    _powers(0, TABLE, np.arange(TABLE, dtype=cells.dtype), cell_area, exponent, table[:0], table)
    run_in_threads(_powers, cells.size, cells, cell_area, exponent, table, powers)
    return powers


@njit(cache=True, nogil=True)
def _powers(begin, end, cells, cell_area, exponent, table, powers):
    """table: the powers of whole numbers from 0 on."""
    for cell in range(begin, end):
        a = cells[cell]
        whole = int(a)
        powers[cell] = table[whole] if whole == a and whole < table.size else (a * cell_area) ** exponent


def incise(height, supply, walk, rate, pixel_size, slope_exponent, steepest, lakes):
    """Heights [H, W] float64 after one step of dz/dt = -K A^m S^n, implicit in the slope (Braun and Willett 2013).

    `rate` [N] float64 is K A^m times the length of the step. n = 1 is solved in closed form (their eq. 22), other n by
    Newton's method kept between the heights that bound the root. A cell below its receiver is not eroded; outlets
    stay. With `lakes` nor is any other cell under the level at which its basin spills; without, the slopes of a lake's
    bed wear like dry ones, as they do in fastscapelib. `supply` [N] float64 (or [0]) is laid on each cell first, in a
    lake up to its level. No cell of rate above 0 is left steeper to its receiver than `steepest`.
    """
    result = np.empty(height.shape)
    water = (
        np.empty(height.shape) if lakes else result
    )  # the level of the lake over each cell, or the ground where it is dry
    constants = float(pixel_size), float(slope_exponent), float(steepest), bool(lakes)
    walks_cpu.upstream(_incise, walk, height, supply, walk.codes, rate, *constants, result, water)
    return result


@njit(cache=True, nogil=True)
def _incise(
    begin, end, bounds, order, height, supply, codes, rate, pixel_size, slope_exponent, steepest, lakes, results, waters
):
    flat = height.ravel()
    flow = codes.ravel()
    result = results.ravel()
    water = waters.ravel()
    step = offsets(height.shape[1])
    diagonal_size = np.sqrt(2.0 * pixel_size * pixel_size)
    axis = 1.0 / pixel_size**slope_exponent
    diagonal = 1.0 / diagonal_size**slope_exponent
    tilt = LAKE_SLOPE * pixel_size if lakes else 0.0
    supplied = supply.size > 0
    for position in range(bounds[end] - 1, bounds[begin] - 1, -1):
        cell = np.int64(order[position])
        code = flow[cell]
        if code == NONE:
            result[cell] = water[cell] = flat[cell]
            continue
        receiver = cell + step[code]
        z = flat[cell]
        floor = result[receiver]
        if z <= water[receiver] or flat[receiver] > z:
            result[cell] = max(z, min(z + supply[cell], water[receiver] + tilt)) if supplied else z
            water[cell] = max(result[cell], water[receiver] + tilt) if lakes else result[cell]
            continue
        if supplied:
            z += supply[cell]
        along_axis = code == 1 or code == 3 or code == 4 or code == 6
        factor = rate[cell] * (axis if along_axis else diagonal)
        if factor > 0.0:
            if slope_exponent == 1.0:
                z = (z + factor * floor) / (1.0 + factor)
            else:
                z = floor + solve_fall(z - floor, factor, slope_exponent)
            z = max(min(z, floor + steepest * (pixel_size if along_axis else diagonal_size)), floor)
        result[cell] = z
        water[cell] = z


@njit(cache=True)
def solve_fall(before, factor, n):
    """The root x in (0, before] of x + factor x^n = before: Newton, halving the bracket where it would leave it."""
    low = 0.0
    high = before
    x = before / (1.0 + factor * before ** (n - 1.0))
    for _ in range(60):
        power = factor * x**n
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


def settling(before, after, walk, upstream, rate, deposition):
    """Metres [N] float64 that settle on each cell out of what was worn away upstream (Yuan et al. 2019, eq. 5).

    deposition is their G: G / A times the upstream integral of `before` - `after` [H, W]. The cell's own wear is left
    out of its integral, which keeps the iteration stable, and no more settles than passes by. Nothing settles on
    outlets and where the `rate` of erosion is nought, which is protected ground.
    """
    passing, supply = np.zeros(before.size), np.empty(before.size)
    arrays = before, after, walk.codes, walk.ways, upstream, rate
    walks_cpu.downstream(_settle, walk, *arrays, float(deposition), passing, supply)
    return supply


@njit(cache=True, nogil=True)
def _settle(begin, end, bounds, joins, order, before, after, codes, ways, upstream, rate, deposition, passing, supply):
    flow = codes.ravel()
    step = offsets(codes.shape[1])
    old = before.ravel()
    new = after.ravel()
    trunk = bounds[-2]
    for place in range(bounds[begin], bounds[end]):
        cell = np.int64(order[place])
        if place >= trunk:
            packed = joins[place - trunk]
            for at in range(packed & 15):
                donor = cell + step[(packed >> (4 + 3 * at)) & 7]
                passing[cell] += passing[donor] + old[donor] - new[donor]
        settles = flow[cell] != NONE and rate[cell] > 0.0
        supply[cell] = max(passing[cell], 0.0) * min(deposition / upstream[cell], 1.0) if settles else 0.0
        if place < trunk and ways[cell] != NONE:
            passing[cell + step[ways[cell]]] += passing[cell] + old[cell] - new[cell]
