"""Which strokes touch which tile of the canvas: pairs of tile and stroke, a tile's in painting order.

Plain torch, no loop over strokes. Boxes are those of the curve itself, not of its control points.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.ops.strokes.constants import REACH, TILE


@dataclass(frozen=True)
class Pairs:
    """Pairs sorted by tile, the tiles that most strokes touch first, and within a tile by painting order; int64."""

    stroke: Tensor  # [P]
    by_stroke: Tensor  # [P] where the pairs of stroke 0 stand, then those of stroke 1 ...
    per_stroke: Tensor  # [N] how many
    top: Tensor  # [T] px, the tile's upper edge
    left: Tensor  # [T] px
    first: list[int]  # T + 1: where a tile's pairs begin

    def chunks(self, most: int) -> Iterator[tuple[int, int]]:
        """Runs of tiles whose deepest tile's depth times their number is at most `most`, or single tiles."""
        begin, count = 0, len(self.top)
        while begin < count:
            depth = self.first[begin + 1] - self.first[begin]
            end = min(count, begin + max(1, most // depth))
            yield begin, end
            begin = end


def boxes(geometry: Tensor, softness: float = 1.0) -> Tensor:
    """[N, 4] top, left, bottom, right in px of all that a stroke covers at least a little of."""
    points = geometry[:, :6].reshape(-1, 3, 2)
    ends = torch.stack((points[:, 0], points[:, 2]), 1)
    turn = points[:, 0] - 2 * points[:, 1] + points[:, 2]
    t = ((points[:, 0] - points[:, 1]) / torch.where(turn == 0, torch.ones_like(turn), turn)).clamp(0.0, 1.0)
    extreme = points[:, 0] * (1 - t) ** 2 + points[:, 1] * 2 * t * (1 - t) + points[:, 2] * t**2
    every = torch.cat((ends, extreme[:, None]), 1)
    reach = geometry[:, 6:].amax(1, keepdim=True).clamp_min(0.0) + REACH * softness + 0.01
    return torch.cat((every.amin(1) - reach, every.amax(1) + reach), 1)


def pair_up(geometry: Tensor, size: tuple[int, int], softness: float) -> Pairs:
    """The pairs of strokes [N, 8] px and the tiles of a canvas (H, W) that their boxes touch."""
    device = geometry.device
    across, down = -(-size[1] // TILE), -(-size[0] // TILE)
    last = torch.tensor([size[0], size[1]], device=device)
    box = boxes(geometry.detach(), softness)
    low = (box[:, :2].clamp_min(0.0) / TILE).floor().long()
    high = (torch.minimum(box[:, 2:], last) / TILE).ceil().long()
    extent = (high - low).clamp_min(0)
    per_stroke = extent[:, 0] * extent[:, 1]
    stroke = torch.repeat_interleave(torch.arange(len(geometry), device=device), per_stroke)
    nth = torch.arange(len(stroke), device=device) - (per_stroke.cumsum(0) - per_stroke)[stroke]
    wide = extent[stroke, 1].clamp_min(1)
    tile = (low[stroke, 0] + nth // wide) * across + low[stroke, 1] + nth % wide
    depth = torch.zeros(across * down, dtype=torch.int64, device=device).scatter_add_(0, tile, torch.ones_like(tile))
    deepest = torch.argsort(depth, descending=True, stable=True)
    deepest = deepest[: int((depth > 0).sum())]
    rank = torch.empty_like(depth)
    rank[deepest] = torch.arange(len(deepest), device=device)
    order = torch.argsort(rank[tile], stable=True)
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=device)
    first = [0, *depth[deepest].cumsum(0).tolist()]
    return Pairs(stroke[order], place, per_stroke, deepest // across * TILE, deepest % across * TILE, first)
