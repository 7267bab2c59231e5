"""Nearest-neighbour field between the 7 x 7 patches of a map and of exemplars, and the map that its patches vote
for, on the CPU.

PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330) with two departures, both for the sake of the same
bytes on any number of threads: neighbours propose from the field of the sweep before (as in jump flooding), and
random candidates are a hash of the patch's place and the sweep. Patches are compared mostly without their mean, so
that a landform may be used at another height than its own.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.patches.constants import HASH_FACTORS, HASH_MIX, PATCH

AREA = np.float32(PATCH * PATCH)
_OF_A, _OF_B, _OF_SEED, _OF_TURN = (np.uint32(factor) for factor in HASH_FACTORS)
_MIX_1, _MIX_2 = (np.uint32(factor) for factor in HASH_MIX)


@njit(inline="always")
def _hash(a, b, seed, turn):
    """32 well-mixed bits of four integers: a sum of odd multiples, then a finaliser in the manner of murmur3."""
    h = (np.uint32(a) * _OF_A) ^ (np.uint32(b) * _OF_B)
    h ^= (np.uint32(seed) * _OF_SEED) ^ (np.uint32(turn) * _OF_TURN)
    h = np.uint32((h ^ (h >> np.uint32(15))) * _MIX_1)
    h = np.uint32((h ^ (h >> np.uint32(12))) * _MIX_2)
    return np.uint32(h ^ (h >> np.uint32(15)))


@njit(cache=True, fastmath={"contract", "reassoc"})
def _distance(image, qy, qx, atlas, cy, cx, mean_weight):
    """Sum of squared differences of two patches, their difference in mean counted mean_weight times."""
    total = np.float32(0)
    squares = np.float32(0)
    for i in range(PATCH):
        for j in range(PATCH):
            e = image[qy + i, qx + j] - atlas[cy + i, cx + j]
            total += e
            squares += e * e
    return squares - (np.float32(1) - mean_weight) * total * total / AREA


def improve(image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, seed, jump, draws, radius):
    """One sweep: each patch keeps the best of its match, four neighbours' matches moved along, and `draws` random
    ones near it.

    image [H, W], atlas [A, B] float32; field_y, field_x int32 [h, w]: top left in the atlas for the patch at
    (stride*i, stride*j). zones int32 [S, 4]: first and last top-left row and column that exemplar s offers; zone_of
    uint8 [h, w]: the exemplar to use. The random radius starts at `radius` pixels and halves at each draw. Returns
    the new field_y, field_x.
    """
    new_y, new_x = np.empty_like(field_y), np.empty_like(field_x)
    run_in_threads(
        _improve_rows, field_y.shape[0],
        image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, seed, jump, draws, radius, new_y, new_x,
    )  # fmt: skip
    return new_y, new_x


@njit(cache=True, nogil=True, error_model="numpy")
def _improve_rows(
    begin, end, image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, seed, jump, draws, radius, new_y, new_x
):  # fmt: skip
    rows, columns = field_y.shape
    for gy in range(begin, end):
        for gx in range(columns):
            y0, y1, x0, x1 = zones[zone_of[gy, gx]]
            qy, qx = gy * stride, gx * stride
            by, bx = min(max(field_y[gy, gx], y0), y1), min(max(field_x[gy, gx], x0), x1)
            best = _distance(image, qy, qx, atlas, by, bx, mean_weight)
            for side in range(4):
                dy = (side - 1) * jump if side % 2 == 0 else 0
                dx = (side - 2) * jump if side % 2 == 1 else 0
                ny, nx = gy + dy, gx + dx
                if 0 <= ny < rows and 0 <= nx < columns:
                    cy = min(max(field_y[ny, nx] - dy * stride, y0), y1)
                    cx = min(max(field_x[ny, nx] - dx * stride, x0), x1)
                    if cy != by or cx != bx:
                        d = _distance(image, qy, qx, atlas, cy, cx, mean_weight)
                        if d < best:
                            best, by, bx = d, cy, cx
            reach = radius
            for turn in range(draws):
                h = _hash(gy, gx, seed, turn)
                low, high = np.int64(h & np.uint32(0xFFFF)), np.int64(h >> np.uint32(16))
                cy = min(max(by + ((low * (2 * reach + 1)) >> 16) - reach, y0), y1)
                cx = min(max(bx + ((high * (2 * reach + 1)) >> 16) - reach, x0), x1)
                d = _distance(image, qy, qx, atlas, cy, cx, mean_weight)
                if d < best:
                    best, by, bx = d, cy, cx
                reach = max(1, reach >> 1)
            new_y[gy, gx] = by
            new_x[gy, gx] = bx


def vote(image, atlas, field_y, field_x, stride, window):
    """The map [H, W] whose pixel is the mean over the patches on it of their match, at the patch's own mean height.

    window float32 [7, 7] weighs a patch's pixels; a pixel under no patch keeps its value.
    """
    lift, out = np.empty(field_y.shape, np.float32), np.empty_like(image)
    run_in_threads(_lift_rows, field_y.shape[0], image, atlas, field_y, field_x, stride, lift)
    run_in_threads(_vote_rows, image.shape[0], image, atlas, field_y, field_x, stride, window, lift, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _lift_rows(begin, end, image, atlas, field_y, field_x, stride, lift):
    """By how much each patch of the map lies above its match, on average."""
    columns = field_y.shape[1]
    for gy in range(begin, end):
        for gx in range(columns):
            total = np.float32(0)
            for i in range(PATCH):
                for j in range(PATCH):
                    total += image[gy * stride + i, gx * stride + j] - atlas[field_y[gy, gx] + i, field_x[gy, gx] + j]
            lift[gy, gx] = total / AREA


@njit(cache=True, nogil=True, error_model="numpy")
def _vote_rows(begin, end, image, atlas, field_y, field_x, stride, window, lift, out):
    rows, columns = field_y.shape
    for y in range(begin, end):
        first_y, last_y = max(0, (y - PATCH + stride) // stride), min(rows - 1, y // stride)
        for x in range(image.shape[1]):
            first_x, last_x = max(0, (x - PATCH + stride) // stride), min(columns - 1, x // stride)
            total, weight = np.float32(0), np.float32(0)
            for gy in range(first_y, last_y + 1):
                for gx in range(first_x, last_x + 1):
                    i, j = y - gy * stride, x - gx * stride
                    w = window[i, j]
                    total += w * (atlas[field_y[gy, gx] + i, field_x[gy, gx] + j] + lift[gy, gx])
                    weight += w
            out[y, x] = total / weight if weight > 0 else image[y, x]
