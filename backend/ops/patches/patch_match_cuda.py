"""PatchMatch on NVIDIA cards: a thread for each patch of a sweep, for each place of the atlas, and for each pixel of the vote.

The candidates and their order are those of patch_match_cpu: neighbours propose from the field of the sweep before, so that all
patches are improved at once and two runs give the same bytes. Where a difference in mean counts as any other, a candidate is given
up after the row of pixels by which it is no nearer.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.cuda_kernels import cuda, device_function, kernel
from backend.ops.patches.constants import HASH_FACTORS, HASH_MIX, PATCH

AREA = PATCH * PATCH
HALF = PATCH // 2
WORD = 0xFFFF_FFFF
OF_A, OF_B, OF_SEED, OF_TURN = HASH_FACTORS
MIX_1, MIX_2 = HASH_MIX


def improve(
    image: Tensor, atlas: Tensor, field_y: Tensor, field_x: Tensor, zones: Tensor, zone_of: Tensor, stride: int,
    mean_weight: float, penalty: Tensor | None, seed: int, jump: int, draws: int, radius: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """One sweep; arguments and result as in patch_match_cpu.improve."""
    new_y, new_x = torch.empty_like(field_y), torch.empty_like(field_x)
    asked = image.new_empty(0, 0) if penalty is None else penalty
    _improve.launch(
        tuple(field_y.shape), image, atlas, field_y, field_x, zones, zone_of, stride, np.float32(mean_weight), asked, seed,
        jump, draws, radius, new_y, new_x,
    )  # fmt: skip
    return new_y, new_x


def usage_penalty(field_y: Tensor, field_x: Tensor, fair: Tensor, most: float, cost: Tensor) -> Tensor:
    """Float32 [A, B]: cost [1] for each time more than its fair share, at most `most` of them, that the patches about a place of
    the atlas are used. fair [A, B]: how often these would be if all were used alike."""
    used = torch.zeros(fair.shape, dtype=torch.int32, device=fair.device)
    made = torch.empty_like(fair)
    _count.launch(tuple(field_y.shape), field_y, field_x, used)
    _penalty.launch(tuple(fair.shape), used, fair, np.float32(most), cost, made)
    return made


def vote(
    image: Tensor, atlas: Tensor, field_y: Tensor, field_x: Tensor, stride: int, window: Tensor, mean_weight: float
) -> Tensor:
    """The image [C, H, W] that the matches vote for, as patch_match_cpu.vote."""
    lift, made = image.new_empty(0, 0, 0), torch.empty_like(image)
    if mean_weight < 1:
        lift = image.new_empty(len(image), *field_y.shape)
        _lift.launch(tuple(lift.shape), image, atlas, field_y, field_x, stride, lift)
    _vote.launch(tuple(image.shape), image, atlas, field_y, field_x, stride, window, lift, made)
    return made


@device_function
def _hash(a, b, seed, turn):
    """32 well-mixed bits of four integers, those of the other forms."""
    h = (a * OF_A) ^ (b * OF_B) ^ (seed * OF_SEED) ^ (turn * OF_TURN)
    h = ((h ^ (h >> 15)) * MIX_1) & WORD
    h = ((h ^ (h >> 12)) * MIX_2) & WORD
    return h ^ (h >> 15)


@device_function
def _cost(image, qy, qx, atlas, cy, cx, mean_weight, penalty, bound):
    """The distance of two patches, and what is asked for using that one of the atlas; anything from `bound` on where it is no
    less."""
    cost = penalty[cy, cx] if penalty.size else np.float32(0)
    if mean_weight == np.float32(1):
        for i in range(PATCH):
            for channel in range(image.shape[0]):
                for j in range(PATCH):
                    apart = image[channel, qy + i, qx + j] - atlas[channel, cy + i, cx + j]
                    cost += apart * apart
            if cost >= bound:
                return cost
        return cost
    for channel in range(image.shape[0]):
        total = squares = np.float32(0)
        for i in range(PATCH):
            for j in range(PATCH):
                apart = image[channel, qy + i, qx + j] - atlas[channel, cy + i, cx + j]
                total += apart
                squares += apart * apart
        cost += squares - (np.float32(1) - mean_weight) * total * total / np.float32(AREA)
    return cost


@kernel
def _improve(
    image, atlas, field_y, field_x, zones, zone_of, stride, mean_weight, penalty, seed, jump, draws, radius, new_y, new_x,
):  # fmt: skip
    gx, gy = cuda.grid(2)
    rows, columns = field_y.shape
    if gy >= rows or gx >= columns:
        return
    zone = zone_of[gy, gx]
    y0, y1, x0, x1 = zones[zone, 0], zones[zone, 1], zones[zone, 2], zones[zone, 3]
    qy, qx = gy * stride, gx * stride
    by, bx = min(max(field_y[gy, gx], y0), y1), min(max(field_x[gy, gx], x0), x1)
    best = _cost(image, qy, qx, atlas, by, bx, mean_weight, penalty, np.float32(np.inf))
    for side in range(4):
        dy = (side - 1) * jump if side % 2 == 0 else 0
        dx = (side - 2) * jump if side % 2 == 1 else 0
        ny, nx = gy + dy, gx + dx
        if 0 <= ny < rows and 0 <= nx < columns:
            cy = min(max(field_y[ny, nx] - dy * stride, y0), y1)
            cx = min(max(field_x[ny, nx] - dx * stride, x0), x1)
            if cy != by or cx != bx:
                cost = _cost(image, qy, qx, atlas, cy, cx, mean_weight, penalty, best)
                if cost < best:
                    best, by, bx = cost, cy, cx
    reach = radius
    for turn in range(draws):
        bits, span = _hash(gy, gx, seed, turn), 2 * reach + 1
        cy = min(max(by + (((bits & 0xFFFF) * span) >> 16) - reach, y0), y1)
        cx = min(max(bx + (((bits >> 16) * span) >> 16) - reach, x0), x1)
        cost = _cost(image, qy, qx, atlas, cy, cx, mean_weight, penalty, best)
        if cost < best:
            best, by, bx = cost, cy, cx
        reach = max(1, reach >> 1)
    new_y[gy, gx] = by
    new_x[gy, gx] = bx


@kernel
def _count(field_y, field_x, used):
    gx, gy = cuda.grid(2)
    if gy < field_y.shape[0] and gx < field_y.shape[1]:
        cuda.atomic.add(used, (field_y[gy, gx], field_x[gy, gx]), 1)


@kernel
def _penalty(used, fair, most, cost, made):
    x, y = cuda.grid(2)
    rows, columns = used.shape
    if y < rows and x < columns:
        count = 0
        for v in range(max(y - HALF, 0), min(y + HALF + 1, rows)):
            for u in range(max(x - HALF, 0), min(x + HALF + 1, columns)):
                count += used[v, u]
        over = np.float32(count) / max(fair[y, x], np.float32(1e-12)) - np.float32(1)
        made[y, x] = min(max(over, np.float32(0)), most) * cost[0]


@kernel
def _lift(image, atlas, field_y, field_x, stride, lift):
    """By how much each patch of the image lies above its match, on average."""
    gx, gy, channel = cuda.grid(3)
    if channel < lift.shape[0] and gy < lift.shape[1] and gx < lift.shape[2]:
        y, x, total = field_y[gy, gx], field_x[gy, gx], np.float32(0)
        for i in range(PATCH):
            for j in range(PATCH):
                total += image[channel, gy * stride + i, gx * stride + j] - atlas[channel, y + i, x + j]
        lift[channel, gy, gx] = total / np.float32(AREA)


@kernel
def _vote(image, atlas, field_y, field_x, stride, window, lift, made):
    x, y, channel = cuda.grid(3)
    if channel >= image.shape[0] or y >= image.shape[1] or x >= image.shape[2]:
        return
    rows, columns = field_y.shape
    total, weight = np.float32(0), np.float32(0)
    for gy in range(max(0, (y - PATCH + stride) // stride), min(rows - 1, y // stride) + 1):
        for gx in range(max(0, (x - PATCH + stride) // stride), min(columns - 1, x // stride) + 1):
            i, j = y - gy * stride, x - gx * stride
            value = atlas[channel, field_y[gy, gx] + i, field_x[gy, gx] + j]
            if lift.size:
                value += lift[channel, gy, gx]
            total += window[i, j] * value
            weight += window[i, j]
    made[channel, y, x] = total / weight if weight > 0 else image[channel, y, x]
