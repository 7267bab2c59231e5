"""What form says about ground: steepness, hollows and crests of several sizes, the place between valley and summit, moisture.

None of it knows a direction: colours made from it hold no light. Coarse maps of the whole are made once; the rest is made in
bands of rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from backend.ops.smoothing import gaussian

COARSE_PX = 4
BROAD, VALLEY = (
    3.0,
    25,
)  # coarse pixels: deviation of the mean around a place; window in which valleys and summits are looked for
FINE_PX, BROADER_PX = 0.7, 2.2  # deviations of the averages whose difference tells hollows from crests
FINE_GAIN, BROAD_GAIN = 5.0, 0.9  # that bring hollows of mountains to about 1
SURVEYED_M, SMOOTHED = 60.0, 0.25  # slopes fall with the size of pixels, by this power from this size on
MOST_STEEPENED = 3.0
FLAT_RELIEF_PX = 0.5  # relief, in pixels of height, under which valleys and summits are no different
STREAM_CELLS = (
    5.0,
    13.0,
)  # powers of two: cells that drain through where moisture begins, and where it is all there is
REACH_PX = 12  # of the smoothing here


@dataclass(frozen=True)
class Whole:
    """What a band of rows needs to know of the whole map. mean, floor, crest: [H/4, W/4] metres, around each place."""

    low_m: float
    high_m: float
    pixel_size_m: float
    mean: Tensor
    floor: Tensor
    crest: Tensor

    @classmethod
    def of(cls, surface: Tensor, pixel_size_m: float) -> Whole:
        coarse = F.avg_pool2d(surface[None, None], COARSE_PX, ceil_mode=True)[0, 0].contiguous()
        floor, crest = (
            gaussian(torch.from_numpy(extreme(coarse.numpy(), VALLEY)), VALLEY / 5)
            for extreme in (ndimage.minimum_filter, ndimage.maximum_filter)
        )
        mean = gaussian(coarse, BROAD)
        return cls(float(surface.min()), float(surface.max()), pixel_size_m, mean, floor, crest)


@dataclass(frozen=True)
class Form:
    """Maps [h, W]. steepness: degrees, as on ground surveyed closely. hollow, broad_hollow: 1 in gullies, -1 on crests. place: 0 on
    valley floors to 1 on summits. altitude: 0..1 of the whole map. moisture: 0..1. stream: 0..1, along running water.
    """

    steepness: Tensor
    hollow: Tensor
    broad_hollow: Tensor
    place: Tensor
    altitude: Tensor
    moisture: Tensor
    stream: Tensor


def form_of(height_m: Tensor, flow_m2: Tensor, first_row: int, whole: Whole) -> Form:
    """The form of a band of rows that begins at first_row, a multiple of COARSE_PX."""
    pixel_m, shape = whole.pixel_size_m, (height_m.shape[0], height_m.shape[1])
    steepened = steepening(pixel_m)
    mean, floor, crest = (_spread(coarse, first_row, shape) for coarse in (whole.mean, whole.floor, whole.crest))
    fine = gaussian(height_m, BROADER_PX) - gaussian(height_m, FINE_PX)
    hollow = torch.tanh(fine.mul_(FINE_GAIN * steepened / pixel_m / BROADER_PX))
    broad = torch.tanh((mean - height_m).mul_(BROAD_GAIN * steepened / pixel_m / BROAD))
    relief = (crest - floor).clamp_min_(0.0) + FLAT_RELIEF_PX * pixel_m / steepened
    place = ((height_m - floor) / relief).clamp_(0.0, 1.0)
    steepness = steepness_deg(height_m * steepened, pixel_m)
    begin, end = STREAM_CELLS
    cells = gaussian(torch.log2(flow_m2 / pixel_m**2 + 1.0), 1.0)
    stream = ((cells - begin) / (end - begin)).clamp_(0.0, 1.0)
    gentle = (1.0 - steepness / 25.0).clamp_(0.0, 1.0)
    moisture = 0.3 * hollow + 0.25 * broad + 0.9 * stream + 0.35 * gentle * (1.0 - place) + 0.15 - 0.25 * place
    altitude = ((height_m - whole.low_m) / max(whole.high_m - whole.low_m, 1.0)).clamp_(0.0, 1.0)
    return Form(steepness, hollow, broad, place, altitude, moisture.clamp_(0.0, 1.0), stream)


def steepening(pixel_size_m: float) -> float:
    """By how much ground is steeper than pixels of this size show."""
    return min(max(pixel_size_m / SURVEYED_M, 1.0) ** SMOOTHED, MOST_STEEPENED)


def steepness_deg(height_m: Tensor, pixel_size_m: float) -> Tensor:
    """Slopes [H, W] in degrees, whichever way they face."""
    spacing = float(pixel_size_m)
    if min(height_m.shape) < 2:
        return torch.zeros_like(height_m)
    down, across = torch.gradient(height_m, spacing=spacing)
    return torch.rad2deg(torch.atan(torch.hypot(down, across)))


def _spread(coarse: Tensor, first_row: int, shape: tuple[int, int]) -> Tensor:
    """The rows [h, W] of a coarse map, between its pixels; the same for any band."""
    first = max(0, first_row // COARSE_PX - 1)
    last = min(coarse.shape[0], (first_row + shape[0] - 1) // COARSE_PX + 2)
    large = F.interpolate(coarse[None, None, first:last], scale_factor=COARSE_PX, mode="bilinear")[0, 0]
    top = first_row - first * COARSE_PX
    return large[top : top + shape[0], : shape[1]]
