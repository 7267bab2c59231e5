"""Long profiles of a set concavity for the rivers of a map, and beds as wide as the water asks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.terrain import depressions, drainage, river_beds, rivers, routing
from backend.ops.terrain.grid import receiver_lengths
from shared.catalog.hydrology import HydrologyParams

LEAST_RIVER_CELLS = 30  # of the map: fewer have no law
LEVEL = 1e-6  # of the relief per pixel: less is standing water, which tells nothing about rivers
ROUNDS = 2  # rivers move when they get their profile
DECADES = 10.0  # of drained cells, more than any map has


def concave_law(height: Tensor, concavity: float) -> rivers.RiverLaw | None:
    """Fall = k cells^-concavity with the k of the map's own rivers [H, W]: the median over them. None where it has too few."""
    z = height.double().contiguous()
    flow = routing.route(z, 1.0)
    bed = drainage.falling(z, flow, cut_share=rivers.CUT_SHARE)
    fall = (bed - bed[flow.receiver]) / receiver_lengths(flow.codes).flatten()
    cells = flow.upstream.double()
    known = (cells >= rivers.LEAST_CELLS) & (fall > LEVEL * float(z.max() - z.min()))
    if int(known.sum()) < LEAST_RIVER_CELLS:
        return None
    steepness = float((fall[known].log10() + concavity * cells[known].log10()).median())
    return rivers.RiverLaw(np.array([0.0, DECADES]), steepness - concavity * np.array([0.0, DECADES]))


def with_rivers(height: Tensor, params: HydrologyParams, still: Tensor | None = None, rounds: int = ROUNDS) -> Tensor:
    """Heights float32 [H, W] whose rivers fall by the law of the settings; hollows are led out, or stay lakes if they are kept.

    still: bool [H, W], lakes, each of which ends at one level.
    """
    law = concave_law(height, params.area_exponent / params.slope_exponent)
    if law is None:
        return height.float()
    if params.depressions != "keep":
        return rivers.with_profiles(height, [law], still=still, rounds=rounds)
    surface = depressions.fill_depressions(height.float())
    hollow = surface > height.float()
    water = hollow if still is None else hollow | still
    moved = rivers.with_profiles(surface, [law], still=water, rounds=rounds) - surface
    return torch.where(hollow, height.float(), height.float() + moved)


def with_beds(height: Tensor, params: HydrologyParams) -> Tensor:
    """Heights float32 [H, W] with level beds and banks where a river is wider than a pixel."""
    if params.river_width == 0:
        return height
    cells = routing.route(height, 1.0).upstream
    widest = params.river_width / 100.0 * min(height.shape)
    return river_beds.with_beds(height.double(), river_beds.half_widths(cells, widest)).float()
