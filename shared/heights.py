"""What heights cannot be: values that stand for no data without being declared, and heights that no world has.

Files and Blender's images are judged alike. Nothing is changed here; readers decide what to do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LOWEST_M, HIGHEST_M = -12_000.0, 30_000.0  # Challenger Deep is -10.9 km, Olympus Mons 22 km above its datum
BEYOND = 1e9  # no height, in whatever unit: float32's own limits, NetCDF's 9.97e36, a depth pass's 1e10

SENTINELS = (
    *(-9999.0, -32768.0, -32767.0, -99999.0, -999999.0, -999.0, -9999.9, -2147483648.0, -2147483647.0),
    *(65535.0, 32767.0, 99999.0, 999999.0, 9999.0, 2147483647.0, 4294967295.0),
)
"""Values that programs write where there is no data. They are taken for it only where they stand far apart from all others."""


@dataclass(frozen=True, kw_only=True)
class Sentinel:
    """A value that stands for no data, and where: hole is [H, W] bool."""

    value: float
    hole: np.ndarray


def undeclared_nodata(values: np.ndarray, known: np.ndarray, *, levels: bool = False) -> list[Sentinel]:
    """The values of [H, W] that must mean "no data", strangest first.

    known: [H, W] bool, False where there is no data anyway. levels: whole numbers of an image, whose white is 65535 and a height
    unless it is very far from all others. A value counts where it is further from its nearest neighbour in value than all
    others are from each other: a pit of -9999 m beside hills is none, the bottom of a sea is.
    """
    found: list[Sentinel] = []
    rest = known
    if values.dtype.kind == "f":
        with np.errstate(invalid="ignore"):
            beyond = rest & ~(np.abs(values) < BEYOND)
        if beyond.any():
            found.append(Sentinel(value=float(values[beyond][0]), hole=beyond))
            rest = rest & ~beyond
    while rest.any():
        low, high = float(values[rest].min()), float(values[rest].max())
        far = [v for v in (low, high) if low != high and _is_sentinel(v) and _apart(values, rest, v, levels)]
        if not far:
            break
        hole = rest & (values == far[0])
        found.append(Sentinel(value=far[0], hole=hole))
        rest = rest & ~hole
    return found


def _is_sentinel(value: float) -> bool:
    return any(abs(value - known) <= 1e-6 * abs(known) for known in SENTINELS)


def _apart(values: np.ndarray, rest: np.ndarray, value: float, levels: bool) -> bool:
    others = values[rest & (values != value)]
    low, high = float(others.min()), float(others.max())
    gap = low - value if value < low else value - high
    span = high - low
    if levels and value > 0:
        return 0 < 8.0 * span < gap
    return gap > max(span, 100.0)


def place(hole: np.ndarray) -> str:
    """ "rows 1 to 6, columns 1 to 6": the rectangle around the True pixels of [H, W], counted from 1 at the top left."""
    rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
    return f"{_span('row', rows)}, {_span('column', columns)}"


def _span(name: str, numbers: np.ndarray) -> str:
    first, last = int(numbers[0]) + 1, int(numbers[-1]) + 1
    return f"{name} {first}" if first == last else f"{name}s {first} to {last}"


def implausible(low_m: float, high_m: float) -> str:
    """ "from -481 to 65054 m, which no world has" and what the likely cause is; "" for heights of a world. Metres."""
    if low_m >= LOWEST_M and high_m <= HIGHEST_M:
        return ""
    return f"its heights run from {low_m:.7g} to {high_m:.7g} m, beyond any known terrain"


def likely_cause(low: float, high: float) -> str:
    """Why heights are beyond those of any world, from their range alone."""
    span, largest = high - low, max(abs(low), abs(high))
    if 65000 < high <= 65535 and low < 600:
        return "perhaps negative heights were stored as unsigned numbers, or the levels of an image are no metres"
    if largest > 1e8:
        return "perhaps the numbers are of another type or byte order than the file says"
    for unit, per_metre in (("feet", 3.2808), ("decimetres", 10.0), ("centimetres", 100.0), ("millimetres", 1000.0)):
        if largest / per_metre <= 9000 and span / per_metre >= 1:
            return f"perhaps they are in {unit}"
    return "perhaps a value stands for no data, or the unit is not the metre"
