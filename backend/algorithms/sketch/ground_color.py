"""The colour of ground by class, form, wetness and chance: an albedo, with no light and no direction in it. Linear RGB.

Colours are those of shared/painted_classes.py. What form is, see ground_form; what each class's ground is made of, ground_kinds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.algorithms.sketch import ground_borders, ground_form, ground_kinds, ground_patches, ground_rock
from backend.algorithms.sketch.ground_form import Whole
from backend.algorithms.sketch.ground_paint import Paint, Place, beside, ramp
from backend.ops.smoothing import gaussian
from shared.painted_classes import PAINTED_CLASSES, PaintedClass, first_like, numbers_like
from shared.terrain_classes import HILLS, ROCK, WATER

GRID_PX = 16  # bands begin at multiples of this
REACH_PX = 32  # of the smoothing in all parts, a multiple of GRID_PX
CLIFF_DEG, CLIFFS_PX = 36.0, 3.0
CLEAR_M, CLEAR_SHARE = 9.0, 0.04  # depth of water at which its bed is lost to sight: this, and this share of a pixel
BED, SHALLOW, DEEPEST_SEEN = (150, 148, 116), (84, 124, 122), 0.6
STREAM_SHADE = 0.35
SHORES_PX = 1.2, 4.0  # deviations of wet ground, and of the coast that keeps its beaches


def albedo(
    classes: Tensor,
    shares: Tensor,
    height_m: Tensor,
    depth_m: Tensor,
    flow_m2: Tensor,
    seed: int,
    first_row: int,
    whole: Whole,
) -> Tensor:
    """Linear RGB [h, W, 3] float32 of a band of rows; its colours do not depend on what is more than REACH_PX away.

    classes integers [h, W], and shares [classes, h, W] of their strokes with soft borders, adding up to 1; height_m [h, W]: of the
    surface; depth_m [h, W]: of water; flow_m2 [h, W]: the area that drains through. first_row: the band's first row in the map, a
    multiple of GRID_PX.
    """
    shape = (height_m.shape[0], height_m.shape[1])
    wet = torch.isin(classes, torch.tensor(numbers_like(WATER), dtype=classes.dtype, device=classes.device))
    patches = ground_patches.patches(first_row, shape, seed, height_m.device)
    form = ground_form.form_of(height_m, flow_m2, first_row, whole)
    cliffs = gaussian(ramp(form.steepness, CLIFF_DEG, CLIFF_DEG + 8.0), CLIFFS_PX).mul_(2.5).clamp_(0.0, 1.0)
    shore, coast = (gaussian(wet.float(), reach).mul_(2.0).clamp_(0.0, 1.0) for reach in SHORES_PX)
    place = Place(form, patches, height_m, shore, cliffs, whole.pixel_size_m)
    paint = Paint(shape, height_m.device)
    weights = ground_borders.shares_by_form(shares, wet, coast, form, patches)
    for number, entry in enumerate(PAINTED_CLASSES):
        if number in weights:
            _ground(paint, weights[number], entry, place)
    ground_rock.paint_rock(paint, paint.rock, PAINTED_CLASSES[first_like(ROCK, HILLS)], place)
    for number in numbers_like(WATER):
        _water(paint, classes == number, depth_m, PAINTED_CLASSES[number], place)
    hollow = 0.7 * form.hollow + 0.3 * form.broad_hollow + STREAM_SHADE * form.stream
    tone = torch.exp(paint.grain * patches.speckles - paint.shade * hollow)
    return (paint.color * tone).clamp_(0.0, 1.0).permute(1, 2, 0)


def _ground(paint: Paint, weight: Tensor, entry: PaintedClass, place: Place) -> None:
    """A class's ground, and rock where it is too steep for it."""
    if entry.like not in ground_kinds.KNOW_BARE:
        weight = ground_kinds.steep_to_rock(paint, weight, entry, place)
    ground_kinds.KINDS[entry.like](paint, weight, entry, place)


def _water(paint: Paint, wet: Tensor, depth_m: Tensor, entry: PaintedClass, place: Place) -> None:
    """Water over its bed, which shows where it is shallow."""
    if not wet.any():
        return
    seen = torch.exp(depth_m / -(CLEAR_M + CLEAR_SHARE * place.pixel_size_m)) * DEEPEST_SEEN
    mix = ramp(0.5 * place.patches.fields, -1.5, 1.5)
    deep = wet * (1.0 - seen)
    paint.blend(deep, 0.5 * mix, entry.ground, entry.ground_high, 0.015, 0.0)
    shallow = wet * seen
    paint.blend(shallow, 0.6 * seen, beside(entry, SHALLOW), beside(entry, BED), 0.03, 0.0)
