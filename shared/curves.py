"""Lines on a map: what each column of a CURVES array means, and lines to rows and back. They bend a terrain, or are its rivers.

Rows are points; the points of one line follow each other and share its number. Places are shares of the map, as those of strokes
are: x from 0 at its left edge to 1 at its right, y from 0 at its top edge to 1 at its bottom, so that they survive another
resolution and another size in metres; both may lie outside, where nothing happens. NaN stands for "automatic". What the engine
makes of a line is backend/ops/terrain/curves/bending.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InvalidInput

TYPES = ("river", "ridge", "cliff", "coast", "road")
"""By their number in a row, which files and jobs keep: a new one goes to the end."""

RIVER, RIDGE, CLIFF, COAST, ROAD = range(len(TYPES))

COLUMNS = (
    "x",
    "y",
    "z_m",
    "line",
    "type",
    "width_m",
    "amount_m",
    "reach_m",
    "slope",
    "strength",
    "as_drawn",
    "drained_m2",
)
"""z_m: height there in metres, NaN where it is free. width_m: across the river's bed, the crest, the cliff's face, the shore, the
road; may change along the line. amount_m: depth of the bed, height of the ridge above its surroundings, of the cliff's step, level
of the coast's water. reach_m: how far beside the line the ground follows. slope: rise per run that a road may have. strength: 1
obeys the line, 0 leaves the ground. as_drawn: 1 lets a river flow in the direction of its points instead of to its lower end.
drained_m2: the land whose water a river brings, in m2; changes along the line. From amount_m to as_drawn a line's first row speaks
for all of it."""

WITHOUT_DRAINED = len(COLUMNS) - 1
"""Columns of lines whose drained land nobody knows, such as drawn ones."""

INDEX = {name: number for number, name in enumerate(COLUMNS)}

FARTHEST = 1000.0  # maps away from the map: beyond, the coordinates are of something else
MOST_POINTS = 1 << 21
BOUNDS = {"width_m": (0.0, 1e6), "reach_m": (0.0, 1e7), "slope": (1e-4, 10.0), "drained_m2": (0.0, 1e15)}
HIGHEST_M = 1e5

DISCHARGE_PER_M2 = 1e-8
"""m3/s of water from each m2 of drained land: 315 mm a year, about what runs off all land on the mean (Fekete, Vorosmarty and Grabs
2002, doi:10.1029/1999GB001254: 299 mm)."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """One line: type as its name, points [n, 2] as shares of the map; z_m, width_m and drained_m2 a number or one per point, see
    COLUMNS."""

    type: str
    points: np.ndarray
    z_m: Any = np.nan
    width_m: Any = np.nan
    amount_m: float = np.nan
    reach_m: float = np.nan
    slope: float = np.nan
    strength: float = 1.0
    as_drawn: bool = False
    drained_m2: Any = np.nan


def rows_of(lines: Iterable[Line]) -> np.ndarray:
    """The values of a CURVES array, float32 [N, 12], or [N, 11] where no line knows what land it drains. Raises ValueError for a
    type that is none."""
    parts = []
    for number, line in enumerate(lines):
        rows = np.empty((len(line.points), len(COLUMNS)), np.float32)
        rows[:, :2] = line.points
        rows[:, INDEX["z_m"]], rows[:, INDEX["width_m"]] = line.z_m, line.width_m
        rows[:, INDEX["line"]], rows[:, INDEX["type"]] = number, TYPES.index(line.type)
        rows[:, INDEX["amount_m"] : INDEX["strength"]] = line.amount_m, line.reach_m, line.slope
        rows[:, INDEX["strength"]], rows[:, INDEX["as_drawn"]] = line.strength, line.as_drawn
        rows[:, INDEX["drained_m2"]] = line.drained_m2
        parts.append(rows)
    every = np.concatenate(parts) if parts else np.empty((0, len(COLUMNS)), np.float32)
    is_known = not np.isnan(every[:, INDEX["drained_m2"]]).all()
    return every if is_known else np.ascontiguousarray(every[:, :WITHOUT_DRAINED])


def lines_of(rows: np.ndarray) -> list[Line]:
    """The lines of rows that check_rows() has passed, in float64."""
    starts = np.flatnonzero(np.diff(rows[:, INDEX["line"]], prepend=-1.0))
    knows_drained = rows.shape[1] > WITHOUT_DRAINED
    lines = []
    for own in np.split(np.asarray(rows, np.float64), starts[1:]) if len(rows) else ():
        first = own[0]
        lines.append(
            Line(
                type=TYPES[int(first[INDEX["type"]])],
                points=own[:, :2],
                z_m=own[:, INDEX["z_m"]],
                width_m=own[:, INDEX["width_m"]],
                amount_m=float(first[INDEX["amount_m"]]),
                reach_m=float(first[INDEX["reach_m"]]),
                slope=float(first[INDEX["slope"]]),
                strength=float(first[INDEX["strength"]]),
                as_drawn=bool(first[INDEX["as_drawn"]]),
                drained_m2=own[:, INDEX["drained_m2"]] if knows_drained else np.nan,
            )
        )
    return lines


def check_rows(rows: np.ndarray, what: str, name: str) -> None:
    """Raises InvalidInput, which begins with `what` and names the port `name`, unless rows [N, 11 or 12] are lines; there may be
    none."""
    if rows.shape[1] not in (WITHOUT_DRAINED, len(COLUMNS)):
        raise InvalidInput(
            f"{what} has {rows.shape[1]} columns; lines have {WITHOUT_DRAINED} or {len(COLUMNS)}.", field=name
        )
    if len(rows) > MOST_POINTS:
        raise InvalidInput(f"{what} has {len(rows)} points; at most {MOST_POINTS} are taken.", field=name)
    if not len(rows):
        return
    columns = {column: rows[:, number] for column, number in INDEX.items() if number < rows.shape[1]}
    places = rows[:, :2]
    if not np.isfinite(places).all():
        bad = int(np.count_nonzero(~np.isfinite(places).all(axis=1)))
        raise InvalidInput(f"{what} has {bad} of {len(rows)} points that are nowhere (NaN or infinite).", field=name)
    if np.abs(places).max() > FARTHEST:
        raise InvalidInput(
            f"{what} has points {np.abs(places).max():g} maps away; places are shares of the map, 0 to 1 on it.",
            hint="Are they in other units?",
            field=name,
        )
    _check_numbers(columns, what, name)
    line = columns["line"]
    if not (np.isfinite(line).all() and (line >= 0).all() and (np.diff(line) >= 0).all()):
        raise InvalidInput(f"{what} is not in the order of their lines' numbers.", field=name)
    counts = np.diff(np.flatnonzero(np.diff(line, prepend=-1.0, append=-2.0)))
    if counts.min() < 2:
        raise InvalidInput(
            f"{what} has a line of one point (the {int(np.argmin(counts)) + 1}.).",
            hint="A line has two points or more.",
            field=name,
        )


def _check_numbers(columns: dict[str, np.ndarray], what: str, name: str) -> None:
    kind = columns["type"]
    if not np.isin(kind, np.arange(len(TYPES))).all():
        bad = kind[~np.isin(kind, np.arange(len(TYPES)))][0]
        numbered = ", ".join(f"{number} {entry}" for number, entry in enumerate(TYPES))
        raise InvalidInput(f"{what} has the type {bad:g}, which is none: {numbered}.", field=name)
    for column, (low, high) in {**BOUNDS, "z_m": (-HIGHEST_M, HIGHEST_M), "amount_m": (-HIGHEST_M, HIGHEST_M)}.items():
        values = columns.get(column, columns["x"][:0])
        known = values[~np.isnan(values)]
        if known.size and not (known.min() >= low and known.max() <= high):
            raise InvalidInput(
                f"{what} has {column} from {known.min():g} to {known.max():g}; it is {low:g} to {high:g}.", field=name
            )
    strength = columns["strength"]
    if not ((strength >= 0) & (strength <= 1)).all():
        raise InvalidInput(f"{what} has a strength that is not 0 to 1.", field=name)
    if not np.isin(columns["as_drawn"], (0, 1)).all():
        raise InvalidInput(f"{what} has as_drawn that is neither 0 nor 1.", field=name)
