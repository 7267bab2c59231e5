"""Bare rock and scree: what steep ground is made of, whatever was painted on it, and what has fallen from it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from backend.algorithms.sketch.ground_paint import Paint, Place, ramp
from shared.painted_classes import PaintedClass

SCREE, DARK_ROCK, PALE_ROCK = (160, 152, 140), (80, 76, 72), (172, 166, 154)
STRATA_M, STRATA_PX = 60.0, 4.0  # thickness of layers of rock, in metres and in pixels of height, whichever is more


def paint_rock(paint: Paint, amount: Tensor, entry: PaintedClass, place: Place) -> None:
    """A class's two colours by height and layers, dark in cracks, pale on edges, with scree, on amount [h, W] of the pixels."""
    form, patches = place.form, place.patches
    scree = amount * scree_share(place).mul_(0.85)
    paint.add(scree, SCREE, 0.10, 0.1)
    left = amount - scree
    layer = place.height_m * (math.tau / max(STRATA_M, STRATA_PX * place.pixel_size_m)) + 2.2 * patches.fields
    strata = torch.sin(layer).mul_(0.5).add_(torch.sin(0.41 * layer + 2.0), alpha=0.35)
    dark = left * ramp(0.3 * form.hollow + 0.55 * patches.stands - 0.5 * strata, 0.3, 1.5).mul_(0.55)
    paint.add(dark, DARK_ROCK, 0.16, 0.12)
    left = left - dark
    pale = left * ramp(0.6 * strata - 0.3 * form.hollow + 0.5 * patches.stands, 0.5, 1.6).mul_(0.45)
    paint.add(pale, PALE_ROCK, 0.14, 0.15)
    mix = ramp(
        form.altitude + 0.4 * strata + 0.2 * patches.stands + 0.35 * patches.fields - 0.3 * form.hollow, -0.2, 1.2
    )
    paint.blend(left - pale, mix, entry.ground, entry.ground_high, 0.16, 0.15)


def scree_share(place: Place) -> Tensor:
    """0..1: concave ground of middling steepness below cliffs."""
    form = place.form
    foot = ramp(form.hollow + 0.5 * form.broad_hollow + 0.25 * place.patches.stands, -0.1, 0.4)
    return foot.mul_(place.cliffs).mul_(ramp(form.steepness, 16.0, 24.0)).mul_(ramp(form.steepness, 42.0, 34.0))
