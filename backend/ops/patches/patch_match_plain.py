"""PatchMatch with plain torch operations on any device: every patch of the image at once, candidate by candidate.

The candidates and their order are those of patch_match_cpu; a loop runs over candidates, never over patches or pixels, and nothing
waits for a GPU.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.patches.constants import HASH_FACTORS, HASH_MIX, PATCH

AREA = PATCH * PATCH
MOST_VALUES = 2**26  # of patches that are compared at once: 256 MiB of float32
WORD = 0xFFFF_FFFF


def improve(
    image: Tensor,
    atlas: Tensor,
    field_y: Tensor,
    field_x: Tensor,
    zones: Tensor,
    zone_of: Tensor,
    stride: int,
    mean_weight: float,
    penalty: Tensor | None,
    seed: int,
    jump: int,
    draws: int,
    radius: int,
) -> tuple[Tensor, Tensor]:
    """One sweep; arguments and result as in patch_match_cpu.improve."""
    rows, columns = field_y.shape
    y0, y1, x0, x1 = zones.long()[zone_of.long()].unbind(-1)
    patches = _patches(image, rows, columns, stride)
    gy, gx = torch.arange(rows, device=image.device)[:, None], torch.arange(columns, device=image.device)[None]

    def inside(y: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        return torch.minimum(torch.maximum(y, y0), y1), torch.minimum(torch.maximum(x, x0), x1)

    by, bx = inside(field_y.long(), field_x.long())

    def cost(y: Tensor, x: Tensor) -> Tensor:
        distance = _distance(patches, atlas, y, x, mean_weight)
        return distance if penalty is None else distance + penalty[y, x]

    best = cost(by, bx)
    for dy, dx in ((-jump, 0), (0, -jump), (jump, 0), (0, jump)):
        there = (gy + dy >= 0) & (gy + dy < rows) & (gx + dx >= 0) & (gx + dx < columns)
        at = (gy + dy).clamp(0, rows - 1), (gx + dx).clamp(0, columns - 1)
        candidate = inside(field_y[at].long() - dy * stride, field_x[at].long() - dx * stride)
        best, by, bx = _better(cost, candidate, there, best, by, bx)
    reach = radius
    for turn in range(draws):
        bits = _hash(gy, gx, seed, turn)
        span = 2 * reach + 1
        candidate = inside(by + (((bits & 0xFFFF) * span) >> 16) - reach, bx + (((bits >> 16) * span) >> 16) - reach)
        best, by, bx = _better(cost, candidate, None, best, by, bx)
        reach = max(1, reach >> 1)
    return by.int(), bx.int()


def vote(
    image: Tensor, atlas: Tensor, field_y: Tensor, field_x: Tensor, stride: int, window: Tensor, mean_weight: float
) -> Tensor:
    """The image [C, H, W] that the matches vote for; a pixel under no patch keeps its value."""
    rows, columns = field_y.shape
    start = field_y.long() * atlas.shape[2] + field_x.long()
    matched = _atlas_patches(atlas, start, slice(0, PATCH))  # [C, h, w, 7, 7]
    if mean_weight < 1:
        lift = (_patches(image, rows, columns, stride) - matched).sum((3, 4)) / AREA
        matched = matched + lift[..., None, None]
    window = window.to(image)
    total = _laid(matched * window, image, stride)
    weight = _laid(window.expand(1, rows, columns, PATCH, PATCH), image, stride)[0]
    return torch.where(weight > 0, total / weight.clamp_min(torch.finfo(weight.dtype).tiny), image)


def _better(
    cost: Callable[[Tensor, Tensor], Tensor], candidate: tuple[Tensor, Tensor], allowed: Tensor | None,
    best: Tensor, by: Tensor, bx: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    distance = cost(*candidate)
    nearer = distance < best if allowed is None else (distance < best) & allowed
    return (
        torch.where(nearer, distance, best), torch.where(nearer, candidate[0], by), torch.where(nearer, candidate[1], bx)
    )  # fmt: skip


def _distance(patches: Tensor, atlas: Tensor, y: Tensor, x: Tensor, mean_weight: float) -> Tensor:
    """Sum of squared differences of patches [C, h, w, 7, 7] and those of the atlas at (y, x), the difference in mean counted
    mean_weight times in each channel. As many rows of the patches at once as MOST_VALUES allows: a card waits for each
    operation longer than it takes."""
    start = y * atlas.shape[2] + x
    total, squares = torch.zeros_like(patches[..., 0, 0]), torch.zeros_like(patches[..., 0, 0])
    together = max(1, min(PATCH, MOST_VALUES // (total.numel() * PATCH)))
    for first in range(0, PATCH, together):
        rows = slice(first, min(first + together, PATCH))
        difference = patches[..., rows, :] - _atlas_patches(atlas, start, rows)
        total += difference.sum((-2, -1))
        squares += difference.square_().sum((-2, -1))
    return (squares - (1.0 - mean_weight) * total * total / AREA).sum(0)


def _patches(image: Tensor, rows: int, columns: int, stride: int) -> Tensor:
    """A view [C, rows, columns, 7, 7] of the image."""
    return image.unfold(1, PATCH, stride).unfold(2, PATCH, stride)[:, :rows, :columns]


def _atlas_patches(atlas: Tensor, start: Tensor, rows: slice) -> Tensor:
    """Some rows [C, h, w, n, 7] of the patches whose corners lie at `start`, flat."""
    down = torch.arange(rows.start, rows.stop, device=atlas.device)[:, None] * atlas.shape[2]
    places = start[..., None, None] + (down + torch.arange(PATCH, device=atlas.device))
    return atlas.flatten(1)[:, places]


def _laid(patches: Tensor, image: Tensor, stride: int) -> Tensor:
    """Patches [C, h, w, 7, 7] laid over one another, every stride-th pixel: sums [C, H, W] of the image's size."""
    channels, rows, columns = patches.shape[:3]
    size = (stride * (rows - 1) + PATCH, stride * (columns - 1) + PATCH)
    flat = patches.permute(0, 3, 4, 1, 2).reshape(channels * AREA, rows * columns)
    made = F.fold(flat, size, PATCH, stride=stride)
    return F.pad(made, (0, image.shape[2] - size[1], 0, image.shape[1] - size[0]))


def _hash(a: Tensor, b: Tensor, seed: int, turn: int) -> Tensor:
    """32 well-mixed bits of four integers, in int64; the first products keep all their bits, as in the kernel."""
    of_a, of_b, of_seed, of_turn = HASH_FACTORS
    h = (a * of_a) ^ (b * of_b) ^ (seed * of_seed) ^ (turn * of_turn)
    h = ((h ^ (h >> 15)) * HASH_MIX[0]) & WORD
    h = ((h ^ (h >> 12)) * HASH_MIX[1]) & WORD
    return h ^ (h >> 15)
