"""Loops over what a photograph sees: how far its silhouettes are, and how much each pixel counts.

The rules and their reasons are in backend/ops/view_weights.py. Every row belongs to one thread, so that no byte depends on their
number.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


@njit(cache=True)
def _inverse(depth, y, x):
    """1/z of a pixel, NaN beyond the picture."""
    if y < 0 or y >= depth.shape[0] or x < 0 or x >= depth.shape[1]:
        return np.float32(np.nan)
    return np.float32(1) / depth[y, x]


@njit(cache=True, inline="always")
def _breaks(depth, y, x, dy, dx, step):
    """Whether the surface breaks between a pixel and its neighbour; depths may be NaN throughout."""
    near, far = depth[y, x], depth[y + dy, x + dx]
    return abs(near - far) > step * min(near, far) and _is_no_slope(depth, y, x, dy, dx, step)


@njit(cache=True)
def _is_no_slope(depth, y, x, dy, dx, step):
    """Whether one of two neighbours lies in front of the other, no crease or slope joining them.

    Along one surface 1/z changes by no more than its slopes to both sides say, on a plane by exactly that; across a break it
    changes by more than twice either, and by more than step of itself.
    """
    here, beside = _inverse(depth, y, x), _inverse(depth, y + dy, x + dx)
    steepest = np.float32(0)
    before, after = _inverse(depth, y - dy, x - dx), _inverse(depth, y + 2 * dy, x + 2 * dx)
    if not np.isnan(before):
        steepest = abs(here - before)
    if not np.isnan(after):
        steepest = max(steepest, abs(beside - after))
    return abs(beside - here) > np.float32(2) * steepest + step * max(here, beside)


@njit(cache=True, parallel=True)
def silhouettes(depth, facing, step, reach, distances):
    """Along its row, how far each pixel is from a seen one beside which the surface ends or another hides it.

    distances: uint8 [h, W], written, at most `reach` (which may be 255). step: the least relative change of 1/z that counts
    as a break.
    """
    height, width = distances.shape
    for y in prange(height):
        for x in range(width):
            distances[y, x] = reach
        for x in range(width - 1):
            left, right = facing[y, x] > 0, facing[y, x + 1] > 0
            if left and right:
                if _breaks(depth, y, x, 0, 1, step):
                    distances[y, x] = distances[y, x + 1] = 0
            elif left:
                distances[y, x] = 0
            elif right:
                distances[y, x + 1] = 0
        for dy in (-1, 1):
            if 0 <= y + dy < height:
                for x in range(width):
                    if facing[y, x] > 0 and (not facing[y + dy, x] > 0 or _breaks(depth, y, x, dy, 0, step)):
                        distances[y, x] = 0
        for x in range(1, width):
            distances[y, x] = min(distances[y, x], distances[y, x - 1] + 1)
        for x in range(width - 2, -1, -1):
            distances[y, x] = min(distances[y, x], distances[y, x + 1] + 1)


@njit(cache=True, parallel=True)
def weigh(facing, footprint, distances, radius, power, least_facing, least_weight, weights):
    """weights [h, W] float32, written: 0 where nothing is seen, else cos^power, faded towards silhouettes within radius px.

    distances: as from silhouettes with a reach of ceil(radius) + 1.
    """
    height, width = weights.shape
    reach = int(np.ceil(radius))
    most = np.float32(radius + 1) ** 2
    for y in prange(height):
        top, end = max(y - reach, 0), min(y + reach + 1, height)
        for x in range(width):
            cosine, size = facing[y, x], footprint[y, x]
            if not cosine > least_facing or not (0.0 < size < 1.0):
                weights[y, x] = 0
                continue
            weight = min(cosine, np.float32(1))
            if power != 1:
                weight = weight**power
            nearest = most
            for b in range(top, end):
                across = np.float32(distances[b, x])
                nearest = min(nearest, across * across + np.float32((b - y) * (b - y)))
            weights[y, x] = weight if nearest >= most else weight * max(nearest / most, least_weight)


@njit(cache=True, parallel=True)
def frame(weights, mask, has_mask, pixels, top, saturated, dim, first_row, height, border):
    """Fade weights [rows, W] towards the photograph's border, by its mask, and where its sensor was full. In place.

    pixels [rows, W, 3]: as decoded; top: what they count as 1; from `saturated` of it on a pixel keeps `dim` of its weight.
    """
    rows, width = weights.shape
    full = saturated * top
    for i in prange(rows):
        for j in range(width):
            weight = weights[i, j]
            if weight == 0:
                continue
            if border > 0:
                y = first_row + i
                inside = min(min(j, width - 1 - j), min(y, height - 1 - y)) + np.float32(0.5)
                weight *= min(np.float32(1), inside / np.float32(border))
            if has_mask:
                weight *= mask[i, j]
            if max(pixels[i, j, 0], max(pixels[i, j, 1], pixels[i, j, 2])) >= full:
                weight *= dim
            weights[i, j] = weight


@njit(cache=True, parallel=True)
def slopes(uv, footprint, stretch, most_jump):
    """Footprint and stretch of a given UV map [H, W, 2] by differences, NaN where no neighbour is of the same chart.

    The smaller of the two one-sided differences is taken on each axis: a chart's border spoils one side only. most_jump: a
    change of u or v above it is never within a chart.
    """
    height, width = footprint.shape
    for y in prange(height):
        for x in range(width):
            footprint[y, x] = stretch[y, x] = np.nan
            if np.isnan(uv[y, x, 0]):
                continue
            ux, vx = _smaller(uv, y, x, 0, 1)
            uy, vy = _smaller(uv, y, x, 1, 0)
            if not (max(abs(ux), abs(vx)) <= most_jump and max(abs(uy), abs(vy)) <= most_jump):
                continue
            area = abs(ux * vy - uy * vx)
            squares = ux * ux + vx * vx + uy * uy + vy * vy
            if area > 0:
                spread = np.sqrt(max(squares * squares - 4 * area * area, 0.0))
                footprint[y, x] = np.sqrt(area)
                stretch[y, x] = (squares + spread) / (2 * area)


@njit(cache=True)
def _smaller(uv, y, x, dy, dx):
    """The smaller of the differences to the next and from the previous pixel; infinite where neither is seen."""
    height, width = uv.shape[:2]
    best_u, best_v = np.inf, np.inf
    for side in (1, -1):
        b, a = y + side * dy, x + side * dx
        if b < 0 or b >= height or a < 0 or a >= width or np.isnan(uv[b, a, 0]):
            continue
        du, dv = side * (uv[b, a, 0] - uv[y, x, 0]), side * (uv[b, a, 1] - uv[y, x, 1])
        if abs(du) + abs(dv) < abs(best_u) + abs(best_v):
            best_u, best_v = du, dv
    return best_u, best_v


@njit(cache=True, parallel=True)
def reduce_maps(
    uv, depth, facing, footprint, stretch, times, same_chart, out_uv, out_depth, out_facing, out_footprint, out_stretch
):
    """Means of times x times pixels of drawn maps; NaN where a block sees nothing somewhere, or two charts."""
    rows, columns = out_depth.shape
    count = np.float32(times * times)
    for i in prange(rows):
        for j in range(columns):
            low_u, low_v, high_u, high_v = np.inf, np.inf, -np.inf, -np.inf
            u, v, z, cosine, size, longer, reach = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for y in range(i * times, (i + 1) * times):
                for x in range(j * times, (j + 1) * times):
                    low_u, high_u = min(low_u, uv[y, x, 0]), max(high_u, uv[y, x, 0])
                    low_v, high_v = min(low_v, uv[y, x, 1]), max(high_v, uv[y, x, 1])
                    u += uv[y, x, 0]
                    v += uv[y, x, 1]
                    z += depth[y, x]
                    cosine += facing[y, x]
                    size += footprint[y, x]
                    longer += stretch[y, x]
                    reach = max(reach, footprint[y, x] * np.sqrt(stretch[y, x]))
            out_depth[i, j], out_facing[i, j] = z / count, cosine / count
            if not max(high_u - low_u, high_v - low_v) <= same_chart * reach * (times - 1) or np.isnan(u + size):
                out_uv[i, j, 0] = out_uv[i, j, 1] = out_footprint[i, j] = out_stretch[i, j] = np.nan
                continue
            out_uv[i, j, 0], out_uv[i, j, 1] = u / count, v / count
            out_footprint[i, j], out_stretch[i, j] = size / count * times, longer / count
