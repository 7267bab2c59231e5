"""Terrain that obeys drawn lines: rivers fall along them, ridges stand, cliffs step, coasts lie at the water's level, roads are
cut and filled.

Landforms come first, then rivers, then roads, each on the ground that the ones before have left: a river cuts through a ridge, a
road fords a river. On and beside a line the heights are what its section asks for; from there the displacement, not the ground,
fades out over the line's reach, so that the terrain keeps its own detail. Farther away not a bit changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.smoothing import gaussian
from backend.ops.terrain import curve_sections as sections
from backend.ops.terrain import displacement
from backend.ops.terrain.curve_samples import Run, runs
from backend.ops.terrain.curve_sections import Ground, Wanted
from backend.ops.terrain.depressions import check_grid
from backend.ops.terrain.shores import shores
from shared.curves import Line

FADES = 2.6, 3.6  # reaches beside a line between which the last of its displacement goes
ORGANIC = 0.8  # how much a flank follows the spurs and hollows of the ground: 0 is as smooth as a tent
FORM_SHARE = 4.0  # small forms, which stay as they are, are shorter than this part of the reach
LANDFORMS = ("ridge", "cliff", "coast")

FREE = 1e-7  # a pull that is none

Window = tuple[slice, slice]


@dataclass(frozen=True)
class Bent:
    """height float32 [H, W] in metres, and what lines have made of it, bool [H, W]: the beds of rivers, the surfaces of roads.

    Of coasts: land is the shore on their left; sea_m, float32, the water's level on their right where the ground is no higher, as
    far as they reach; NaN elsewhere. courses: the flat pixels under each river's middle, in the direction of its flow.
    """

    height: Tensor
    river: Tensor
    road: Tensor
    land: Tensor
    sea_m: Tensor
    courses: tuple[Tensor, ...] = ()


def bend(height: Tensor, lines: Sequence[Line], pixel_size_m: float, *, rivers: Tensor | None = None) -> Bent:
    """The map float32 [H, W] bent so that it obeys the lines, which lie on it in shares of its sides (shared.curves.Line).

    rivers [H, W] bool: beds from an earlier call, which roads ford and leave as they are.

    At strength 1: along a river, heights fall from pixel to pixel and its banks are higher; a road is nowhere steeper than its
    slope; a ridge is not below the ground beside it; a cliff's left is higher than its right by its amount; a coast is at its
    level, with the land on its left. Raises InvalidInput for lines of unreasonable length.
    """
    check_grid(height)
    if not pixel_size_m > 0:
        raise ValueError(f"pixel_size_m must be above 0, not {pixel_size_m}")
    shape = (int(height.shape[0]), int(height.shape[1]))
    given = runs([line for line in lines if line.strength > 0], shape, pixel_size_m)
    ground = height.detach().cpu().numpy().astype(np.float32)
    relief = float(np.subtract(*np.quantile(_thinned(ground), (0.98, 0.02)))) if given else 0.0

    def of(*types: str) -> list[Run]:
        return [run for run in given if run.line.type in types]

    road, land, sea_m = np.zeros(shape, bool), np.zeros(shape, bool), np.full(shape, np.nan, np.float32)
    river = np.zeros(shape, bool) if rivers is None else rivers.cpu().numpy().copy()
    held, courses = river.copy(), ()
    if own := of(*LANDFORMS):
        wanted = sections.land(own, Ground(ground, pixel_size_m, relief))
        ground = _moved(ground, wanted, None, height.device)
        if of("coast"):
            land, sea_m = shores(wanted, ground)
            held.ravel()[wanted.pixel[wanted.shore != 0]] = True
    if own := of("river"):
        wanted = sections.rivers(own, Ground(ground, pixel_size_m, relief, sea_m))
        ground = _moved(ground, wanted, held, height.device)
        river.ravel()[wanted.pixel[wanted.core]] = True
        held.ravel()[wanted.pixel] = True
        courses = tuple(torch.from_numpy(run.course(shape)) for run in wanted.near.runs)
    if own := of("road"):
        pinned = np.where(river, ground, np.nan) if river.any() else None
        wanted = sections.roads(own, Ground(ground, pixel_size_m, relief), pinned)
        ground = _moved(ground, wanted, held, height.device)
        road.ravel()[wanted.pixel] = True

    def on_device(values: np.ndarray) -> Tensor:
        return torch.from_numpy(values).to(height.device)

    return Bent(on_device(ground), on_device(river), on_device(road), on_device(land), on_device(sea_m), courses)


def _thinned(values: np.ndarray) -> np.ndarray:
    step = max(1, max(values.shape) // 512)
    return values[::step, ::step]


def _moved(ground: np.ndarray, wanted: Wanted, held: np.ndarray | None, device: torch.device) -> np.ndarray:
    """The ground with the wanted heights, and a displacement that fades out around them. held [H, W]: pixels that stay."""
    near = wanted.near
    pixel = near.pixel_size_m
    target, fixed = ground.copy(), np.zeros(ground.shape, bool)
    target.ravel()[wanted.pixel], fixed.ravel()[wanted.pixel] = wanted.height, True
    reach_px = (wanted.reach_m / pixel).astype(np.float32)[near.owner]
    beyond_px = np.maximum(near.distance_px - (wanted.zone_m / pixel).astype(np.float32)[near.owner], 0.0)
    window = _window(beyond_px < FADES[1] * reach_px)
    maps = (ground, target, fixed, beyond_px, reach_px, fixed if held is None else fixed | held)
    here, there, is_fixed, beyond, reach, stays = (
        torch.from_numpy(np.ascontiguousarray(values[window])).to(device) for values in maps
    )
    rises = torch.from_numpy((target - ground).ravel()[near.pixel][near.owner[window]]).to(device)
    form = here - _without_forms(here, float(np.median(reach_px[window])) / FORM_SHARE)
    pull = (beyond / reach).square() / reach.square() * _organic(form, rises)
    shift, nearness = displacement.spread(torch.stack([there - here, is_fixed.float()]), stays, pull)
    shift = shift * _smoothstep((FADES[1] - beyond / reach) / (FADES[1] - FADES[0]))
    moved = torch.where(shift != 0, here + shift, here)
    if wanted.share.any():
        strips = (wanted.rise_m, wanted.share, wanted.form)
        rise, share, kept = (torch.from_numpy(_on_strip(wanted, v, ground.shape)[window]).to(device) for v in strips)
        moved = _beside(moved, torch.stack([there - kept * form, rise, share, kept]), nearness, stays, form)
    result = ground.copy()
    result[window] = torch.where(is_fixed, there, torch.where(stays, here, moved)).cpu().numpy()
    return result


def _beside(moved: Tensor, own: Tensor, nearness: Tensor, fixed: Tensor, form: Tensor) -> Tensor:
    """Beside a line, its level and rise take the place of the ground's large forms, to its share; small forms stay.

    own [4, H, W]: level, rise, share, and share of the small forms that stay, on the strips. nearness [H, W]: 1 on a strip, 0 out
    of reach.
    """
    middle = own[0][fixed].double().mean().float()
    own = torch.stack([own[0] - middle, own[1], own[2], own[3]])
    level, rise, share, kept = displacement.spread(own, fixed, torch.full_like(form, FREE))
    shaped = level + middle + rise * (1.0 - nearness) + kept * form
    return moved + share * _smoothstep(nearness) * (shaped - moved)


def _on_strip(wanted: Wanted, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Values of a strip's pixels on the map, 0 elsewhere."""
    made = np.zeros(shape, np.float32)
    made.ravel()[wanted.pixel] = values
    return made


def _window(inside: np.ndarray) -> Window:
    """The rectangle around all true pixels."""
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    return slice(int(rows[0]), int(rows[-1]) + 1), slice(int(columns[0]), int(columns[-1]) + 1)


def _without_forms(ground: Tensor, length_px: float) -> Tensor:
    """The ground without forms smaller than a length; long lengths on a thinned map."""
    length_px = max(1.0, min(length_px, min(ground.shape) / 4.0))
    step = max(1, int(length_px / 4.0))
    mean = F.avg_pool2d(ground[None, None], step, ceil_mode=True, count_include_pad=False)[0, 0]
    mean = gaussian(mean, 0.5 * length_px / step, edge="nearest")
    if step == 1:
        return mean
    return F.interpolate(mean[None, None], size=ground.shape, mode="bicubic", align_corners=False)[0, 0]


def _organic(form: Tensor, rises: Tensor) -> Tensor:
    """A factor [H, W] on the pull: flanks of what rises reach out along spurs, those of what sinks along hollows."""
    spread = float(np.sqrt(np.mean(np.square(form.numpy(force=True), dtype=np.float64)))) + 1e-6
    way = (10.0 * rises / (rises.abs().max() + 1e-6)).clamp(-1.0, 1.0)
    return torch.exp(-ORGANIC * way * (form / spread).clamp(-2.0, 2.0))


def _smoothstep(share: Tensor) -> Tensor:
    share = share.clamp(0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)
