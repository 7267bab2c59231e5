"""Visual working memory (de Guevara et al. 2023, section 3.3): the windows of a picture that differ most from what is painted."""

from __future__ import annotations

import torch
from torch import Tensor

from backend.algorithms.painting.patch_cover import PATCH, cut

APART_PX = 50  # rows or columns between two windows at least
TRIES = 500
LEAST_WITH_MASK = 10
MASKED_PX = 100  # a patch of the grid with more pixels of a mask than this counts for it


def attended(
    difference: Tensor, corners: Tensor, level: int, mask: Tensor | None, generator: torch.Generator
) -> Tensor:
    """Top left corners [K, 2] of windows, those that differ most first.

    difference: absolute, mean over channels, of a padded picture [H, W]. corners: of the grid that covers it [P, 2]. level: of the
    pass, from 0. mask: where the windows' centres must lie [H, W], True inside; None for anywhere.
    """
    if mask is None:
        most = max(1, int(len(corners) * (0.7 - level / 10)))
    else:
        covered = cut(mask[..., None], corners).flatten(1).sum(1) > MASKED_PX
        most = max(LEAST_WITH_MASK, int(covered.sum()))
    windows = torch.tensor(_proposed(tuple(difference.shape), len(corners), mask, generator), dtype=torch.int64)
    if not len(windows):
        return windows.reshape(0, 2)
    score = cut(difference[..., None], windows).flatten(1).mean(1).cpu()
    return windows[torch.argsort(score, descending=True, stable=True)[:most]]


def _proposed(
    shape: tuple[int, ...], count: int, mask: Tensor | None, generator: torch.Generator
) -> list[tuple[int, int]]:
    """Up to `count` random windows that keep apart; with a mask those whose centres lie where no earlier window has been."""
    free = None if mask is None else mask.cpu().clone()
    found: list[tuple[int, int]] = []
    for _ in range(TRIES):
        if len(found) == count:
            break
        top, left = (int(torch.randint(0, side - PATCH + 1, (), generator=generator)) for side in (shape[0], shape[1]))
        if any(abs(top - row) < APART_PX and abs(left - column) < APART_PX for row, column in found):
            continue
        if free is not None:
            if not free[top + PATCH // 2, left + PATCH // 2]:
                continue
            free[top : top + PATCH, left : left + PATCH] = False
        found.append((top, left))
    return found
