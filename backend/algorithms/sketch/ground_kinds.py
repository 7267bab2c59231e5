"""What ground of each class is made of: not one colour but plants, bare earth, stones and snow, by form and chance.

A class's own two colours, `ground` and `ground_high`, are most of it; a user's own class is made as the one it is like. Rock that
comes through is only counted here (`paint.rock`): all of it is painted at once, by ground_rock.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from backend.algorithms.sketch.ground_paint import Paint, Place, beside, darker, ramp
from backend.algorithms.sketch.ground_rock import paint_rock
from shared.painted_classes import PAINTED_CLASSES, PaintedClass, first_like
from shared.terrain_classes import FOREST, GRASS, HILLS, ROCK, SAND, SNOW, TERRAIN_CLASSES

SOFT_DEG = 17.0  # over which rock takes over as ground grows steeper
EARTH, DRY_GRASS, PALE_EARTH = (122, 104, 78), (164, 150, 104), (168, 152, 122)
BLOWN_SAND, PEBBLES, WADI = (222, 206, 172), (148, 125, 95), (108, 104, 68)
SHRUBS = (98, 100, 58)
THIN_GRASS, STRAW = (108, 106, 72), (132, 120, 88)
FIRN = (206, 216, 226)

Kind = Callable[[Paint, Tensor, PaintedClass, Place], None]


def sand(paint: Paint, amount: Tensor, entry: PaintedClass, place: Place) -> None:
    """Pale where wind has blown it together, stony in between, darker and overgrown along washes, wet by shores."""
    form, patches = place.form, place.patches
    wet = amount * (0.85 * place.shore)
    paint.add(wet, darker(entry.ground, 0.72), 0.04, 0.05)
    left = amount - wet
    washed = left * ramp(form.stream + 0.25 * form.hollow + 0.12 * patches.stands, 0.15, 0.9).mul_(0.75)
    paint.blend(washed, 0.5 * form.stream, beside(entry, PEBBLES), beside(entry, WADI), 0.12, 0.1)
    left = left - washed
    stony = left * ramp(patches.fields + 0.4 * patches.stands + form.steepness / 12.0, 0.7, 1.6).mul_(0.7)
    paint.add(stony, beside(entry, PEBBLES), 0.10, 0.2)
    left = left - stony
    blown = left * ramp(0.6 * patches.stands - 0.7 * form.hollow - 0.4 * patches.fields, 0.2, 1.5).mul_(0.6)
    paint.add(blown, beside(entry, BLOWN_SAND), 0.05, 0.1)
    mix = ramp(patches.fields - 0.3 * patches.stands, -1.5, 1.5)
    paint.blend(left - blown, mix, entry.ground, entry.ground_high, 0.06, 0.15)


def grass(paint: Paint, amount: Tensor, entry: PaintedClass, place: Place) -> None:
    """Green where moist, yellow on crests, with groves up gullies and bare earth on dry ground."""
    form, patches = place.form, place.patches
    groves = 1.5 * form.moisture + 0.9 * form.hollow + 0.45 * patches.stands + 0.3 * patches.fields
    trees = amount * ramp(groves, 1.35, 2.0).mul_(0.8)
    paint.blend(trees, ramp(groves, 2.2, 1.5), _trees().ground, _trees().ground_high, 0.28, 0.2)
    left = amount - trees
    dryness = 0.72 - 0.85 * form.moisture - 0.35 * form.hollow + 0.26 * patches.fields + 0.14 * patches.stands
    bare = left * ramp(dryness + 0.15 * patches.stands, 0.95, 1.35).mul_(0.5)
    paint.add(bare, beside(entry, EARTH), 0.15, 0.3)
    left = left - bare
    parched = left * ramp(dryness, 0.75, 1.2).mul_(0.6)
    paint.add(parched, beside(entry, DRY_GRASS), 0.10, 0.25)
    paint.blend(left - parched, ramp(dryness, 0.05, 1.0), entry.ground, entry.ground_high, 0.12, 0.3)


def forest(paint: Paint, amount: Tensor, entry: PaintedClass, place: Place) -> None:
    """Two kinds of trees in stands, darker in gullies, with clearings on crests and where chance has it."""
    form, patches = place.form, place.patches
    meadow = PAINTED_CLASSES[first_like(GRASS, FOREST)]
    bright = 0.55 * patches.stands + 0.5 * patches.fields - 0.6 * form.hollow
    clearing = amount * ramp(bright - 0.35 * form.broad_hollow - 0.5 * form.stream, 1.35, 1.8).mul_(0.65)
    drier = ramp(form.place + 0.2 * patches.fields, 0.1, 0.9)
    paint.blend(clearing, drier, meadow.ground, meadow.ground_high, 0.15, 0.25)
    mix = ramp(bright - 0.5 * form.moisture, -1.3, 1.1)
    paint.blend(amount - clearing, mix, darker(entry.ground, 0.88), entry.ground_high, 0.30, 0.24)


def hills(paint: Paint, amount: Tensor, entry: PaintedClass, place: Place) -> None:
    """Dry ground with shrubs up the gullies, outcrops on crests, and pale or stony patches."""
    form, patches = place.form, place.patches
    green = 1.3 * form.moisture + 0.9 * form.hollow + 0.35 * patches.stands + 0.2 * patches.fields
    shrubs = amount * ramp(green, 0.85, 1.6).mul_(0.75)
    paint.blend(shrubs, ramp(green, 1.2, 2.2), beside(entry, SHRUBS), _trees().ground_high, 0.28, 0.25)
    left = amount - shrubs
    outcrop = left * ramp(form.steepness / 18.0 - 1.1 * form.hollow + 0.5 * patches.stands, 1.7, 2.5).mul_(0.6)
    paint.rock += outcrop
    left = left - outcrop
    pale = left * ramp(0.6 * patches.fields + 0.5 * patches.stands - 0.6 * form.hollow, 0.7, 1.7).mul_(0.5)
    paint.add(pale, beside(entry, PALE_EARTH), 0.12, 0.3)
    mix = ramp(form.altitude - form.moisture + 0.3 * patches.fields, -0.4, 1.0)
    paint.blend(left - pale, mix, entry.ground, entry.ground_high, 0.14, 0.35)


def rock(paint: Paint, amount: Tensor, entry: PaintedClass, place: Place) -> None:
    """Bare on steep ground, thin grass where it is gentle and low."""
    form, patches = place.form, place.patches
    low = ramp(0.9 - form.place + 0.6 * form.moisture + 0.2 * patches.stands, 0.3, 0.9)
    grown = amount * ramp(form.steepness + 4.0 * patches.stands, 30.0, 12.0).mul_(low).mul_(0.7)
    paint.blend(grown, ramp(patches.fields, -1.0, 1.0), beside(entry, THIN_GRASS), beside(entry, STRAW), 0.16, 0.18)
    if entry is PAINTED_CLASSES[first_like(ROCK, HILLS)]:
        paint.rock += amount - grown
    else:
        paint_rock(paint, amount - grown, entry, place)


def snow(paint: Paint, amount: Tensor, entry: PaintedClass, place: Place) -> None:
    """Old and bluish low down, bright on top; off the steep faces and the sharpest crests."""
    form, patches = place.form, place.patches
    shed = form.steepness - 11.0 * form.hollow + 5.0 * patches.stands - 10.0 * form.altitude
    faces = amount * ramp(shed, entry.slope_deg - 17.0, entry.slope_deg - 5.0)
    paint.rock += faces
    left = amount - faces
    old = left * ramp(0.5 * patches.fields + 0.3 * patches.stands + 0.9 * form.stream - form.altitude, -0.8, 0.6).mul_(
        0.65
    )
    paint.add(old, beside(entry, FIRN), 0.02, 0.05)
    paint.blend(left - old, form.altitude, entry.ground, entry.ground_high, 0.025, 0.06)


def steep_to_rock(paint: Paint, amount: Tensor, entry: PaintedClass, place: Place) -> Tensor:
    """What is left of a class's ground where it is too steep to stay; the rest is rock."""
    form = place.form
    steep = form.steepness - 2.0 * form.hollow - 3.0 * form.broad_hollow + 3.5 * place.patches.stands
    bare = amount * ramp(steep, entry.slope_deg - SOFT_DEG / 2, entry.slope_deg + SOFT_DEG / 2)
    paint.rock += bare
    return amount - bare


def _trees() -> PaintedClass:
    """The trees of groves: the user's own, if one is like a forest."""
    found = PAINTED_CLASSES[first_like(FOREST)]
    return found if found.like == FOREST else PaintedClass(**vars(TERRAIN_CLASSES[FOREST]), like=FOREST)


KINDS: dict[int, Kind] = {SAND: sand, GRASS: grass, FOREST: forest, HILLS: hills, ROCK: rock, SNOW: snow}
KNOW_BARE = (ROCK, SNOW)  # kinds that know for themselves where they are bare
