"""Nearest-neighbour field between the 7 x 7 patches of an image and of exemplars, and the image that its patches vote
for, on the CPU.

PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330) with two departures, both for the sake of the same
bytes on any number of threads: neighbours propose from the field of the sweep before (as in jump flooding), and
random candidates are a hash of the patch's place and the sweep. How much a difference in mean counts is the caller's choice.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backend.ops.kernel_threads import run_in_threads
from backend.ops.patches.constants import HASH_FACTORS, HASH_MIX, PATCH
from backend.ops.patches.patch_distance_cpu import AREA, LANES, distance, lanes_of_row, pack_rows, squared_distance
from backend.ops.simd import fetch_ahead, njit_no_refcount

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


@njit(inline="always")
def _drawn(gy, gx, seed, turn, reach):
    """Rows and columns, at most `reach`, by which a random candidate lies off the best match."""
    h = _hash(gy, gx, seed, turn)
    low, high = np.int64(h & np.uint32(0xFFFF)), np.int64(h >> np.uint32(16))
    return ((low * (2 * reach + 1)) >> 16) - reach, ((high * (2 * reach + 1)) >> 16) - reach


@njit_no_refcount
def _cost(image, qy, qx, atlas, cy, cx, mean_weight, penalty, strip, packed, last, bound):
    """The distance, and what is asked for using that patch of the atlas; anything from `bound` on where it is no less."""
    asked = penalty[cy, cx] if penalty.size else np.float32(0)
    if not packed.size:
        return distance(image, qy, qx, atlas, cy, cx, mean_weight) + asked
    channels, width, atlas_width = image.shape[0], image.shape[2], atlas.shape[2]
    return asked + squared_distance(
        strip, qx * channels, width * channels, packed, (cy * atlas_width + cx) * channels, atlas_width * channels,
        (PATCH * channels + LANES - 1) // LANES, last, bound - asked,
    )  # fmt: skip


def improve(
    image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, penalty, seed, jump, draws, radius, packed
):
    """One sweep: each patch keeps the best of its match, four neighbours' matches moved along, and `draws` random
    ones near it.

    image [C, H, W], atlas [C, A, B] float32; field_y, field_x int32 [h, w]: top left in the atlas for the patch at
    (stride*i, stride*j). zones int32 [S, 4]: first and last top-left row and column that exemplar s offers; zone_of
    uint8 [h, w]: the exemplar to use. penalty float32 [A, B]: added to the distance of the patch whose top left is there; pass an
    array of shape (0, 0) for none. The random radius starts at `radius` pixels and halves at each draw. packed: the atlas as
    packed_atlas() lays it, where mean_weight is 1; pass an array of shape (0,) otherwise. Returns the new field_y, field_x.
    """
    new_y, new_x = np.empty_like(field_y), np.empty_like(field_x)
    run_in_threads(
        _improve_rows, field_y.shape[0],
        image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, penalty, seed, jump, draws, radius, packed,
        lanes_of_row(len(image)), new_y, new_x,
    )  # fmt: skip
    return new_y, new_x


@njit(cache=True, nogil=True, error_model="numpy")
def _improve_rows(
    begin, end, image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, penalty, seed, jump, draws, radius,
    packed, last, new_y, new_x,
):  # fmt: skip
    strip = np.zeros(PATCH * image.shape[2] * image.shape[0] + LANES, np.float32)
    for gy in range(begin, end):
        if packed.size:
            pack_rows(image, gy * stride, strip)
        _improve_row(
            gy, image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, penalty, seed, jump, draws, radius, packed,
            last, strip, new_y, new_x,
        )  # fmt: skip


@njit_no_refcount
def _fetch_draws(gy, gx, by, bx, y0, y1, x0, x1, seed, draws, radius, packed, atlas, penalty):
    """Ask for the first two rows of what will be drawn, if no neighbour knows better: large samples lie in no cache."""
    channels, width, reach = atlas.shape[0], atlas.shape[2], radius
    for turn in range(draws):
        down, across = _drawn(gy, gx, seed, turn, reach)
        at = min(max(by + down, y0), y1) * width + min(max(bx + across, x0), x1)
        for corner in (at, at + PATCH - 1, at + width, at + width + PATCH - 1):
            fetch_ahead(packed, corner * channels)
        if penalty.size:
            fetch_ahead(penalty, at)
        reach = max(1, reach >> 1)


@njit_no_refcount
def _improve_row(
    gy, image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, penalty, seed, jump, draws, radius, packed, last,
    strip, new_y, new_x,
):  # fmt: skip
    rows, columns = field_y.shape
    unbound = np.float32(np.inf)
    for gx in range(columns):
        zone = zone_of[gy, gx]
        y0, y1, x0, x1 = zones[zone, 0], zones[zone, 1], zones[zone, 2], zones[zone, 3]
        qy, qx = gy * stride, gx * stride
        by, bx = min(max(field_y[gy, gx], y0), y1), min(max(field_x[gy, gx], x0), x1)
        if packed.size:
            _fetch_draws(gy, gx, by, bx, y0, y1, x0, x1, seed, draws, radius, packed, atlas, penalty)
        best = _cost(image, qy, qx, atlas, by, bx, mean_weight, penalty, strip, packed, last, unbound)
        for side in range(4):
            dy = (side - 1) * jump if side % 2 == 0 else 0
            dx = (side - 2) * jump if side % 2 == 1 else 0
            ny, nx = gy + dy, gx + dx
            if 0 <= ny < rows and 0 <= nx < columns:
                cy = min(max(field_y[ny, nx] - dy * stride, y0), y1)
                cx = min(max(field_x[ny, nx] - dx * stride, x0), x1)
                if cy != by or cx != bx:
                    d = _cost(image, qy, qx, atlas, cy, cx, mean_weight, penalty, strip, packed, last, best)
                    if d < best:
                        best, by, bx = d, cy, cx
        reach = radius
        for turn in range(draws):
            down, across = _drawn(gy, gx, seed, turn, reach)
            cy, cx = min(max(by + down, y0), y1), min(max(bx + across, x0), x1)
            d = _cost(image, qy, qx, atlas, cy, cx, mean_weight, penalty, strip, packed, last, best)
            if d < best:
                best, by, bx = d, cy, cx
            reach = max(1, reach >> 1)
        new_y[gy, gx] = by
        new_x[gy, gx] = bx


def vote(image, atlas, field_y, field_x, stride, window, mean_weight):
    """The image [C, H, W] whose pixel is the weighted mean over the patches on it of their match, lifted towards the patch's own
    mean as far as a difference in mean does not count.

    window float32 [7, 7] weighs a patch's pixels; a pixel under no patch keeps its value.
    """
    lift, out = np.zeros((image.shape[0], *field_y.shape), np.float32), np.empty_like(image)
    if mean_weight < 1:
        run_in_threads(_lift_rows, field_y.shape[0], image, atlas, field_y, field_x, stride, lift)
    run_in_threads(_vote_rows, image.shape[1], image, atlas, field_y, field_x, stride, window, lift, out)
    return out


@njit(cache=True, nogil=True, error_model="numpy")
def _lift_rows(begin, end, image, atlas, field_y, field_x, stride, lift):
    """By how much each patch of the image lies above its match, on average."""
    columns = field_y.shape[1]
    for channel in range(image.shape[0]):
        for gy in range(begin, end):
            for gx in range(columns):
                y, x = field_y[gy, gx], field_x[gy, gx]
                total = np.float32(0)
                for i in range(PATCH):
                    for j in range(PATCH):
                        total += image[channel, gy * stride + i, gx * stride + j] - atlas[channel, y + i, x + j]
                lift[channel, gy, gx] = total / AREA


@njit(cache=True, nogil=True, error_model="numpy")
def _vote_rows(begin, end, image, atlas, field_y, field_x, stride, window, lift, out):
    rows, columns = field_y.shape
    for channel in range(image.shape[0]):
        for y in range(begin, end):
            first_y, last_y = max(0, (y - PATCH + stride) // stride), min(rows - 1, y // stride)
            for x in range(image.shape[2]):
                first_x, last_x = max(0, (x - PATCH + stride) // stride), min(columns - 1, x // stride)
                total, weight = np.float32(0), np.float32(0)
                for gy in range(first_y, last_y + 1):
                    for gx in range(first_x, last_x + 1):
                        i, j = y - gy * stride, x - gx * stride
                        w = window[i, j]
                        value = atlas[channel, field_y[gy, gx] + i, field_x[gy, gx] + j]
                        total += w * (value + lift[channel, gy, gx])
                        weight += w
                out[channel, y, x] = total / weight if weight > 0 else image[channel, y, x]
