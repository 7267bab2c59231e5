"""What covers the ground, colour and plants, made in bands of rows so that memory does not grow with the map."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backend.algorithms.sketch import ground_color
from backend.algorithms.sketch.ground_color import GRID_PX, REACH_PX
from backend.algorithms.sketch.ground_form import Whole, steepness_deg
from backend.ops.terrain.generator_units import class_shares
from shared.painted_classes import PAINTED_CLASSES

BAND_PIXELS = 192 * 4096
STEEPEST_GROWTH_DEG = 45.0

Observe = Callable[[int, int], None]  # rows done, rows in all


def cover(
    classes: Tensor,
    surface: Tensor,
    ground: Tensor,
    pixel_size_m: float,
    flow_m2: Tensor,
    seed: int,
    *,
    bare: Tensor,
    colored: bool,
    observe: Observe,
) -> tuple[Tensor | None, list[Tensor]]:
    """Albedo float32 [H, W, 3] (where `colored`) and how densely what grows on each class can stand, float32 [H, W] 0..1 each.

    classes [H, W] integers; surface, of ground and water, and ground [H, W] in metres; flow_m2 [H, W]: the area that drains
    through. bare: bool [H, W], where nothing grows whatever the class: the soft edge of a forest does not reach into a lake.
    """
    rows, columns = surface.shape
    whole = Whole.of(surface, pixel_size_m) if colored else None
    color = torch.empty(rows, columns, 3) if colored else None
    densities = [torch.zeros(rows, columns) for _ in PAINTED_CLASSES]  # zeros that nobody writes to take no memory
    band = max(1, BAND_PIXELS // columns)
    for top in range(0, rows, band):
        observe(top, rows)
        bottom = min(top + band, rows)
        first = max(0, top - REACH_PX) // GRID_PX * GRID_PX
        wide = slice(first, min(rows, bottom + REACH_PX))
        inner = slice(top - first, bottom - first)
        shares = class_shares(classes[wide].long()[None], len(PAINTED_CLASSES))[0]
        if color is not None and whole is not None:
            depth = surface[wide] - ground[wide]
            made = ground_color.albedo(classes[wide], shares, surface[wide], depth, flow_m2[wide], seed, first, whole)
            color[top:bottom] = made[inner]
        room = (1.0 - steepness_deg(surface[wide], pixel_size_m) / STEEPEST_GROWTH_DEG).clamp(0.0, 1.0)
        for entry, share, density in zip(PAINTED_CLASSES, shares, densities, strict=True):
            if entry.growth:
                density[top:bottom] = (share * room)[inner].mul_(entry.growth).masked_fill_(bare[top:bottom], 0.0)
    return color, densities
