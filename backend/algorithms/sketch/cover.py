"""What covers the ground, colour and plants, made in bands of rows so that memory does not grow with the map."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backend.algorithms.sketch import ground_color
from backend.ops.terrain.generator_units import class_shares
from shared.painted_classes import PAINTED_CLASSES

BAND_ROWS = 192
STEEPEST_GROWTH_DEG = 45.0

Observe = Callable[[int, int], None]  # rows done, rows in all


def cover(
    classes: Tensor,
    surface: Tensor,
    pixel_size_m: float,
    flow_m2: Tensor,
    seed: int,
    *,
    bare: Tensor,
    colored: bool,
    observe: Observe,
) -> tuple[Tensor | None, list[Tensor]]:
    """Albedo float32 [H, W, 3] (where `colored`) and how densely what grows on each class can stand, float32 [H, W] 0..1 each.

    classes [H, W] integers, surface [H, W] in metres, flow_m2 [H, W]: the area that drains through. bare: bool [H, W], where
    nothing grows whatever the class: the soft edge of a forest does not reach into a lake.
    """
    rows, columns = surface.shape
    whole = ground_color.Whole(float(surface.min()), float(surface.max()), surface.numel(), pixel_size_m)
    color = torch.empty(rows, columns, 3) if colored else None
    densities = [torch.zeros(rows, columns) for _ in PAINTED_CLASSES]  # zeros that nobody writes to take no memory
    for top in range(0, rows, BAND_ROWS):
        observe(top, rows)
        bottom = min(top + BAND_ROWS, rows)
        first, last = max(0, top - ground_color.REACH_PX), min(rows, bottom + ground_color.REACH_PX)
        wide, inner = slice(first, last), slice(top - first, bottom - first)
        shares = class_shares(classes[wide].long()[None], len(PAINTED_CLASSES))[0]
        steepness = ground_color.steepness_deg(surface[wide], pixel_size_m)
        if color is not None:
            color[top:bottom] = ground_color.albedo(
                shares, surface[wide], steepness, flow_m2[wide], seed, first, whole
            )[inner]
        room = (1.0 - steepness / STEEPEST_GROWTH_DEG).clamp(0.0, 1.0)
        for entry, share, density in zip(PAINTED_CLASSES, shares, densities, strict=True):
            if entry.growth:
                density[top:bottom] = (share * room)[inner].mul_(entry.growth).masked_fill_(bare[top:bottom], 0.0)
    return color, densities
