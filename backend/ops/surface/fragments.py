"""Lists the pixels of many boxes one after the other, in batches of bounded size: what triangles are tested against."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

FRAGMENTS = 1 << 21  # in a batch: about 200 bytes each while they are tested


def fragments(boxes: Tensor) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Box, row and column, int64 [n] each, of every pixel of boxes [N, 4] int64: first and last column, first and last row.

    A box whose last column or row lies before its first one is empty. The order is that of the boxes.
    """
    columns = (boxes[:, 1] - boxes[:, 0] + 1).clamp(min=0)
    counts = columns * (boxes[:, 3] - boxes[:, 2] + 1).clamp(min=0)
    ends = counts.cumsum(0)
    total = int(ends[-1]) if len(ends) else 0
    for begin in range(0, total, FRAGMENTS):
        fragment = torch.arange(begin, min(begin + FRAGMENTS, total), device=boxes.device)
        box = torch.searchsorted(ends, fragment, right=True)
        within = fragment - (ends[box] - counts[box])
        yield box, boxes[box, 2] + within // columns[box], boxes[box, 0] + within % columns[box]
