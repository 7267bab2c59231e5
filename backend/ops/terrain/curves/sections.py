"""The ground that lines ask for on and beside them: beds with banks, crests with shoulders, steps, shores, road surfaces.

Each function takes the runs of one type and the ground as it stands, and gives `Wanted`: heights for the pixels of a strip along
the runs. Everything beyond the strips is left to backend.ops.terrain.curves.displacement. On the host, metres.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter

from backend.ops.terrain.curves import confluences as confluences
from backend.ops.terrain.curves import profiles as profiles
from backend.ops.terrain.curves.samples import Nearest, Places, Run, nearest, places_within
from shared.curves import CLIFF, COAST, RIDGE, TYPES

LEAST_PX = 0.75  # half the width of the narrowest line: enough that its pixels touch
SHOULDER_PX = 1.5  # of ground beside a line that is held to it
WIDTH_M = {"river": 10.0, "road": 8.0}  # where a line has none; the others are as sharp as pixels allow
REACH_SHARE = {"river": 0.05, "ridge": 0.08, "cliff": 0.06, "coast": 0.10, "road": 0.0}  # of the map's shorter side
FLANK = {
    "river": 2.2,
    "ridge": 1.8,
    "cliff": 1.2,
    "coast": 3.0,
    "road": 1.6,
}  # metres beside a line per metre that it moves
LONGEST_SHARE = 0.5  # of the map's shorter side that a line reaches
GRADE = 0.08  # of roads that have none: 8 %
BEACH = 0.03  # slope of the ground on both sides of a coast
BED_RISE = 0.35  # of a river's depth, from the middle of its bed to its bank
RISES = {
    "ridge": -0.8,
    "coast": 0.12,
    "river": 0.35,
}  # of the large forms beside, metres per metre of the reach; to the land
SHARES = {
    "ridge": 1.0,
    "coast": 1.0,
    "cliff": 0.6,
    "river": 0.8,
    "road": 0.0,
}  # to which a line's forms replace the ground's
FORM = {"ridge": 0.8, "river": 0.6, "coast": 0.25, "sea": 0.1}  # of the small forms that stays next to a line
RELIEF_SHARE = {"ridge": 0.06, "cliff": 0.12}  # of the map's relief: what they rise without an amount


@dataclass(frozen=True)
class Wanted:
    """Heights [n] wanted on flat pixels [n]; core: which of them are on the line itself.

    share: how far the ground's large forms beside are replaced by the line's level and a rise of rise_m over its reach; form: how
    much of the small ones stays. shore: 1 on a coast's line and its land, -1 on its water, 0 elsewhere. Per sample, half the
    strip's width (zone_m), and how far the ground beside follows (reach_m).
    """

    near: Nearest
    pixel: np.ndarray
    height: np.ndarray
    core: np.ndarray
    share: np.ndarray
    rise_m: np.ndarray
    form: np.ndarray
    zone_m: np.ndarray
    reach_m: np.ndarray
    shore: np.ndarray


@dataclass(frozen=True)
class Ground:
    """What sections are made of: heights float32 [H, W], the spread of heights that counts as the map's relief, and where a coast
    has made sea, its level (NaN elsewhere).
    """

    height: np.ndarray
    pixel_size_m: float
    relief_m: float
    sea_m: np.ndarray | None = None

    @property
    def side_m(self) -> float:
        return min(self.height.shape) * self.pixel_size_m

    @property
    def shape(self) -> tuple[int, int]:
        return self.height.shape  # pyright: ignore[reportReturnType]


def half_width_m(run: Run, ground: Ground) -> np.ndarray:
    """Half the line's width [n], at least what joins its pixels."""
    width = np.where(np.isnan(run.width_m), WIDTH_M.get(run.line.type, 0.0), run.width_m)
    return np.maximum(0.5 * width, LEAST_PX * ground.pixel_size_m)


def reach_m(run: Run, ground: Ground, moved_m: np.ndarray) -> np.ndarray:
    """How far beside the line the ground follows [n], for a line that moves the ground by so much."""
    if not np.isnan(run.line.reach_m):
        return np.full(len(run.along), max(run.line.reach_m, 2.0 * ground.pixel_size_m))
    base = max(REACH_SHARE[run.line.type] * ground.side_m, 2.0 * ground.pixel_size_m)
    wide = np.maximum(base, 1.5 * half_width_m(run, ground))
    moved = profiles.smoothed(np.abs(moved_m), run, base)
    return np.minimum(np.maximum(wide, FLANK[run.line.type] * moved), LONGEST_SHARE * ground.side_m)


def land(runs: Sequence[Run], ground: Ground) -> Wanted:
    """Ridges, cliffs and coasts together: each pixel goes with the line that is nearest."""
    near = nearest(runs, ground.shape, ground.pixel_size_m)
    shapes = [_LAND[run.line.type](run, ground) for run in runs]
    names = ("level", "moved", "amount", "half", "zone")
    level, moved, amount, half, zone = (np.concatenate([getattr(shape, name) for shape in shapes]) for name in names)
    places = places_within(near, zone)
    kind = np.concatenate([np.full(len(run.along), TYPES.index(run.line.type)) for run in runs])[places.sample]
    here = _Here(
        ground=ground.height.ravel()[places.pixel].astype(np.float64),
        level=places.at(level),
        moved=places.at(moved),
        amount=places.at(amount),
        half=places.at(half),
        across=places.across_m,
        pixel_size_m=ground.pixel_size_m,
    )
    height = np.select(
        [kind == RIDGE, kind == CLIFF, kind == COAST],
        [_ridge_section(here), _cliff_section(here), _coast_section(here)],
    )
    reach = np.concatenate([reach_m(run, ground, shape.asked) for run, shape in zip(runs, shapes, strict=True)])
    core = np.abs(places.across_m) <= here.half
    rise = np.select([kind == RIDGE, kind == COAST], [RISES["ridge"], RISES["coast"] * np.sign(here.across)], 0.0)
    form = np.where(kind == COAST, np.where(here.across > 0, FORM["coast"], FORM["sea"]), FORM["ridge"])
    shore = np.where(kind == COAST, np.where((here.across > 0) | core, 1, -1), 0)
    return _wanted(near, places, height, here.ground, core, rise, form, zone, reach, shore)


def _wanted(
    near: Nearest,
    places: Places,
    height: np.ndarray,
    ground: np.ndarray,
    core: np.ndarray,
    rise: np.ndarray,
    form: np.ndarray,
    zone: np.ndarray,
    reach: np.ndarray,
    shore: np.ndarray | None = None,
) -> Wanted:
    """With each line's strength, and with less of its forms towards its free ends."""
    strength = np.concatenate([np.full(len(run.along), run.line.strength) for run in near.runs])
    parts = np.split(reach, near.first[1:-1])
    share = [
        SHARES[run.line.type] * profiles.taper(run, float(own.mean()))
        for run, own in zip(near.runs, parts, strict=True)
    ]
    own = strength[places.sample]
    height = np.where(own < 1.0, ground + own * (height - ground), height)
    share_here = places.at(np.concatenate(share) * strength)
    shore = np.zeros(len(height), np.int8) if shore is None else shore
    return Wanted(near, places.pixel, height, core, share_here, rise * places.at(reach), form, zone, reach, shore)


@dataclass(frozen=True)
class _Shape:
    """Of one run, per sample: the line's level, how far the ground moves, the amount, half the width of line and strip."""

    level: np.ndarray
    moved: np.ndarray
    amount: np.ndarray
    half: np.ndarray
    zone: np.ndarray
    asked: np.ndarray


@dataclass(frozen=True)
class _Here:
    """The same at each pixel of the strips, with the ground there and the metres across (left above 0)."""

    ground: np.ndarray
    level: np.ndarray
    moved: np.ndarray
    amount: np.ndarray
    half: np.ndarray
    across: np.ndarray
    pixel_size_m: float


def _base(run: Run, ground: Ground, smooth_m: float) -> tuple[np.ndarray, np.ndarray]:
    """The ground along a run as it is, and the same without small forms."""
    along = profiles.ground_along(ground.height, run)
    return along, profiles.smoothed(along, run, smooth_m)


def _auto_reach(run: Run, ground: Ground) -> float:
    return float(reach_m(run, ground, np.zeros(len(run.along)))[0])


# Ridges --------------------------------------------------------------------------------------------------------------


def _ridge(run: Run, ground: Ground) -> _Shape:
    reach = _auto_reach(run, ground)
    along, smooth = _base(run, ground, 0.5 * reach)
    rises = profiles.taper(run, reach)
    if not np.isnan(run.z_m).any():
        level = run.z_m
    elif not np.isnan(run.line.amount_m):
        level = along + run.line.amount_m * rises
    else:
        around = profiles.smoothed(_highest_around(run, ground, 0.5 * reach), run, 0.5 * reach)
        level = along + rises * (np.maximum(around - smooth, 0.0) + RELIEF_SHARE["ridge"] * ground.relief_m)
    half = half_width_m(run, ground)
    zone = half + 2.0 * SHOULDER_PX * ground.pixel_size_m
    return _Shape(level, level - along, level * 0.0, half, zone, level - smooth)


def _highest_around(run: Run, ground: Ground, radius_m: float) -> np.ndarray:
    """The highest ground within a square around each sample, on a map thinned so that the square is a few cells."""
    step = max(1, int(radius_m / ground.pixel_size_m / 8))
    half = int(radius_m / ground.pixel_size_m / step)
    places, window = [], []
    for at, side in zip((run.row, run.column), ground.shape, strict=True):
        cells = -(-side // step)
        place = np.clip(((at + 0.5) / step).astype(int), 0, cells - 1)
        first, last = max(0, int(place.min()) - half), min(cells, int(place.max()) + half + 1)
        places.append(place - first)
        window.append(slice(first * step, last * step))
    part = ground.height[tuple(window)]
    rows, columns = part.shape
    padded = np.pad(part, ((0, -rows % step), (0, -columns % step)), mode="edge")
    blocks = padded.reshape(padded.shape[0] // step, step, padded.shape[1] // step, step).max(axis=(1, 3))
    highest: np.ndarray = np.asarray(maximum_filter(blocks, size=2 * half + 1, mode="nearest"))
    return highest[tuple(places)].astype(np.float64)


def _ridge_section(here: _Here) -> np.ndarray:
    """A crest, rounded over its width, and beside it the ground that is lifted with it and no higher than it."""
    across = np.abs(here.across)
    drop = 0.02 * here.pixel_size_m * np.minimum(across / here.half, 1.0) ** 2
    beside = np.minimum(here.ground + here.moved, here.level - drop - 0.1 * (across - here.half))
    return np.where(across <= here.half, here.level - drop, beside)


# Cliffs --------------------------------------------------------------------------------------------------------------


def _cliff(run: Run, ground: Ground) -> _Shape:
    reach = _auto_reach(run, ground)
    _, smooth = _base(run, ground, reach)
    amount = run.line.amount_m
    amount = RELIEF_SHARE["cliff"] * ground.relief_m if np.isnan(amount) else amount
    step = amount * profiles.taper(run, 1.5 * reach)
    level = smooth if np.isnan(run.z_m).any() else run.z_m - 0.5 * step
    half = half_width_m(run, ground)
    return _Shape(level, level - smooth, step, half, half + SHOULDER_PX * ground.pixel_size_m, 0.5 * step)


def _cliff_section(here: _Here) -> np.ndarray:
    """High on the left, low on the right, and a face between them."""
    face = np.clip(here.across / here.half, -1.0, 1.0)
    face = face * (1.5 - 0.5 * face * face)
    at_face = here.level + 0.5 * here.amount * face
    lifted = here.ground + here.moved + 0.5 * here.amount * np.sign(here.across)
    held = np.where(here.across > 0, np.maximum(lifted, at_face), np.minimum(lifted, at_face))
    return np.where(np.abs(here.across) <= here.half, at_face, held)


# Coasts --------------------------------------------------------------------------------------------------------------


def _coast(run: Run, ground: Ground) -> _Shape:
    _, smooth = _base(run, ground, 3.0 * ground.pixel_size_m)
    amount = 0.0 if np.isnan(run.line.amount_m) else run.line.amount_m
    level = np.full(len(run.along), amount) if np.isnan(run.z_m).any() else np.full(len(run.along), np.median(run.z_m))
    half = half_width_m(run, ground)
    return _Shape(level, level - smooth, level * 0.0, half, half + 2.0 * ground.pixel_size_m, level - smooth)


def _coast_section(here: _Here) -> np.ndarray:
    """Level on the line, land on the left of it, water on the right."""
    beach = BEACH * np.maximum(np.abs(here.across) - here.half, 0.0) + 0.01
    lifted = here.ground + here.moved
    sides = np.where(here.across > 0, np.maximum(lifted, here.level + beach), np.minimum(lifted, here.level - beach))
    return np.where(np.abs(here.across) <= here.half, here.level, sides)


_LAND: dict[str, Callable[[Run, Ground], _Shape]] = {"ridge": _ridge, "cliff": _cliff, "coast": _coast}


# Rivers --------------------------------------------------------------------------------------------------------------


def rivers(runs: Sequence[Run], ground: Ground) -> Wanted:
    """Beds that fall from end to end, with banks that hold the water."""
    runs = [profiles.downstream(ground.height, run) for run in runs]
    widths_px = [_width_px(half_width_m(run, ground), ground) for run in runs]
    runs = confluences.without_overshoot(runs, widths_px)
    halves = [half_width_m(run, ground) for run in runs]
    largest_m = max(float(ground.height.max()), -float(ground.height.min()))
    falls = [profiles.fall_per_sample(largest_m, run) for run in runs]
    beds, depths, alongs = [], [], []
    for run, half, fall in zip(runs, halves, falls, strict=True):
        smooth_m = max(float(2.0 * half.max()), 4.0 * ground.pixel_size_m)
        along, smooth = _base(run, ground, smooth_m)
        if ground.sea_m is not None:  # a river comes down to the water, not to the sea's floor
            along = np.fmax(along, ground.sea_m.ravel()[run.pixels(ground.shape)])
        along = along if np.isnan(run.z_m).any() else run.z_m
        depth = _depth(run, ground, half) * np.clip(run.along / (6.0 * half + 1e-9), 0.25, 1.0)
        beds.append(profiles.river_bed(along, depth, run, smooth_m, fall))
        depths.append(depth)
        alongs.append(smooth)
    if len(runs) > 1:
        confluences.joined(beds, runs, widths_px, falls)
        confluences.agreed(beds, [run.pixels(ground.shape) for run in runs], falls)
    near = nearest(runs, ground.shape, ground.pixel_size_m)
    bed, depth, along, half = (np.concatenate(parts) for parts in (beds, depths, alongs, halves))
    zone = half + SHOULDER_PX * ground.pixel_size_m + 0.5 * half
    places = places_within(near, zone)
    here = ground.height.ravel()[places.pixel].astype(np.float64)
    height = _river_section(here, places, bed, depth, along, half, LEAST_PX * ground.pixel_size_m)
    on_line = near.distance_px.ravel()[places.pixel] == 0
    height[on_line] = bed[near.owner.ravel()[places.pixel[on_line]]]  # so that they fall from pixel to pixel, strictly
    moved = np.split(bed + depth - along, near.first[1:-1])
    reach = np.concatenate([reach_m(run, ground, own) for run, own in zip(runs, moved, strict=True)])
    core = np.abs(places.across_m) <= places.at(half)
    form = np.full(len(here), FORM["river"])
    return _wanted(near, places, height, here, core, np.full(len(here), RISES["river"]), form, zone, reach)


def _width_px(half_m: np.ndarray, ground: Ground) -> float:
    return float(2.0 * half_m.max() / ground.pixel_size_m)


def _depth(run: Run, ground: Ground, half: np.ndarray) -> np.ndarray:
    if not np.isnan(run.line.amount_m):
        return np.full(len(half), abs(run.line.amount_m))
    return np.maximum(0.08 * 2.0 * half, 0.5)


def _river_section(
    here: np.ndarray,
    places: Places,
    bed: np.ndarray,
    depth: np.ndarray,
    along: np.ndarray,
    half: np.ndarray,
    middle_m: float,
) -> np.ndarray:
    """A bed that is level over its middle pixels and rises to its sides, and banks."""
    own_bed, own_depth, own_half = (places.at(values) for values in (bed, depth, half))
    across = np.abs(places.across_m)
    off = np.maximum(across - middle_m, 0.0) / np.maximum(own_half - middle_m, 1e-9)
    inside = own_bed + BED_RISE * own_depth * np.minimum(off, 1.0) ** 2
    bank = own_bed + own_depth * np.clip(BED_RISE + (across - own_half) / own_half, BED_RISE, 1.0)
    lifted = here + places.at(bed + depth - along)
    return np.where(across <= own_half, inside, np.maximum(lifted, bank))


# Roads ---------------------------------------------------------------------------------------------------------------


def roads(runs: Sequence[Run], ground: Ground, fords: np.ndarray) -> Wanted:
    """Surfaces that are level across and nowhere steeper than their slope. fords [H, W] bool: where roads keep the ground."""
    near = nearest(runs, ground.shape, ground.pixel_size_m)
    halves, wanted, slopes = [], [], []
    for run in runs:
        half = half_width_m(run, ground)
        _, smooth = _base(run, ground, max(4.0 * float(half.max()), 6.0 * ground.pixel_size_m))
        wanted.append(smooth if np.isnan(run.z_m).any() else run.z_m)
        halves.append(half)
        slopes.append(np.full(len(half), GRADE if np.isnan(run.line.slope) else run.line.slope))
    half, level, slope = (np.concatenate(parts) for parts in (halves, wanted, slopes))
    places = places_within(near, half)
    here = ground.height.ravel()[places.pixel].astype(np.float64)
    held = np.where(fords.ravel()[places.pixel], here, np.nan)
    height = profiles.graded(
        places.pixel, places.at(level), slope[places.sample], ground.shape, ground.pixel_size_m, held
    )
    moved = np.zeros(len(half))
    moved[places.sample] = height - here
    parts = np.split(moved, near.first[1:-1])
    reach = np.concatenate([reach_m(run, ground, own) for run, own in zip(runs, parts, strict=True)])
    core = np.ones(len(height), bool)
    return _wanted(near, places, height, here, core, np.zeros(len(height)), core.astype(np.float64), half, reach)
