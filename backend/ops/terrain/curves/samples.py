"""Lines on a map as dense samples, and for each pixel the place on the lines that is nearest to it.

Geometry alone: nothing here knows heights or what a river is. On the host, in float64. Positions are pixels: (0, 0) is the centre
of the top left one; lengths along and across a line are metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backend.ops.terrain.bands import row_bands
from backend.ops.terrain.nearest_site import nearest_site
from shared.curves import Line
from shared.errors import InvalidInput

SPACING_PX = 0.5
MOST_SAMPLES = 1 << 24
AROUND = 3  # samples on each side of the nearest one in which the nearest place is looked for


@dataclass(frozen=True)
class Run:
    """A part of a line that lies on the map, with one sample per half pixel or less.

    row, column [n] in pixels, along [n] metres from its start. z_m [n] (NaN: free), width_m [n] (NaN: automatic).
    cut: whether its start and its end are where the map's edge cuts the line.
    """

    line: Line
    row: np.ndarray
    column: np.ndarray
    along: np.ndarray
    z_m: np.ndarray
    width_m: np.ndarray
    cut: tuple[bool, bool]

    @property
    def length_m(self) -> float:
        return float(self.along[-1])

    def turned(self) -> Run:
        """The same, in the other direction."""
        back = slice(None, None, -1)
        return Run(
            self.line,
            self.row[back],
            self.column[back],
            self.length_m - self.along[back],
            self.z_m[back],
            self.width_m[back],
            (self.cut[1], self.cut[0]),
        )

    def pixels(self, shape: tuple[int, int]) -> np.ndarray:
        """The flat pixel under each sample [n]."""
        rows = np.clip(np.rint(self.row).astype(np.int64), 0, shape[0] - 1)
        return rows * shape[1] + np.clip(np.rint(self.column).astype(np.int64), 0, shape[1] - 1)

    def course(self, shape: tuple[int, int]) -> np.ndarray:
        """The flat pixels that it goes through, one after the other."""
        pixels = self.pixels(shape)
        return pixels[np.flatnonzero(np.diff(pixels, prepend=-1))]


def runs(lines: Sequence[Line], shape: tuple[int, int], pixel_size_m: float) -> list[Run]:
    """The parts of the lines within the map's outer edge; lines that miss the map or have no length give none."""
    made: list[Run] = []
    total = 0
    for line in lines:
        for places, extra, cut in _clipped(line, shape):
            run = _sampled(line, places, extra, cut, pixel_size_m)
            if run is not None:
                made.append(run)
                total += len(run.row)
                if total > MOST_SAMPLES:
                    raise InvalidInput(
                        f"The lines are longer than {MOST_SAMPLES // 2} pixels in all.", hint="Leave some out."
                    )
    return made


def _clipped(line: Line, shape: tuple[int, int]) -> list[tuple[np.ndarray, np.ndarray, tuple[bool, bool]]]:
    """The line's parts on the map: points [n, 2] (row, column), their z and width [n, 2], and which ends the edge cut."""
    points = line.points[:, ::-1] * np.array(shape, np.float64) - 0.5
    extra = np.stack(np.broadcast_arrays(line.z_m, line.width_m, points[:, 0])[:2], axis=1).astype(np.float64)
    start, step = points[:-1], np.diff(points, axis=0)
    low, high = np.zeros(len(step)), np.ones(len(step))
    for axis in (0, 1):  # Liang and Barsky
        with np.errstate(divide="ignore", invalid="ignore"):
            first = (-0.5 - start[:, axis]) / step[:, axis]
            second = (shape[axis] - 0.5 - start[:, axis]) / step[:, axis]
        inside = (start[:, axis] >= -0.5) & (start[:, axis] <= shape[axis] - 0.5)
        still = step[:, axis] == 0
        low = np.maximum(low, np.where(still, np.where(inside, 0.0, 2.0), np.fmin(first, second)))
        high = np.minimum(high, np.where(still, 1.0, np.fmax(first, second)))
    kept = np.flatnonzero(low <= high)
    if not kept.size:
        return []
    breaks = np.flatnonzero((np.diff(kept) > 1) | (high[kept[:-1]] < 1) | (low[kept[1:]] > 0)) + 1
    parts = []
    for own in np.split(kept, breaks):
        first, last = own[0], own[-1]
        places = np.concatenate([points[first : first + 1], points[own + 1]])
        values = np.concatenate([extra[first : first + 1], extra[own + 1]])
        places[0] = points[first] + low[first] * step[first]
        places[-1] = points[last] + high[last] * step[last]
        parts.append((places, values, (bool(low[first] > 0), bool(high[last] < 1))))
    return parts


def _sampled(
    line: Line, places: np.ndarray, extra: np.ndarray, cut: tuple[bool, bool], pixel_size_m: float
) -> Run | None:
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(places, axis=0).T))])
    if along[-1] <= 0:
        return None
    knots, first = np.unique(along, return_index=True)
    count = max(4, int(np.ceil(along[-1] / SPACING_PX)) + 1)
    at = np.linspace(0.0, along[-1], count)
    z, width = (_between(at, knots, extra[first, column]) for column in (0, 1))
    row, column = (np.interp(at, knots, places[first, axis]) for axis in (0, 1))
    return Run(line, row, column, at * pixel_size_m, z, width, cut)


def _between(at: np.ndarray, knots: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Values between those that are known; NaN where none is."""
    known = ~np.isnan(values)
    return np.interp(at, knots[known], values[known]) if known.any() else np.full(len(at), np.nan)


@dataclass(frozen=True)
class Nearest:
    """The samples of several runs together, and for every pixel the nearest of them.

    owner [H, W]: sample; distance_px [H, W]: to its pixel, in whole steps of the grid. first [runs + 1]: each run's first sample.
    pixel [samples]: the flat pixel under each.
    """

    runs: Sequence[Run]
    first: np.ndarray
    row: np.ndarray
    column: np.ndarray
    pixel: np.ndarray
    owner: np.ndarray
    distance_px: np.ndarray
    pixel_size_m: float

    def run_of(self, sample: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.first, sample, side="right") - 1


def nearest(given: Sequence[Run], shape: tuple[int, int], pixel_size_m: float) -> Nearest:
    """Which place on the runs is nearest to each pixel of a map."""
    row, column = (np.concatenate([getattr(run, name) for run in given]) for name in ("row", "column"))
    pixels = np.concatenate([run.pixels(shape) for run in given])
    off = np.hypot(row - pixels // shape[1], column - pixels % shape[1])
    order = np.lexsort((np.arange(len(off)), off))[::-1]  # the nearest to the pixel's centre is written last
    site = np.full(shape, -1, np.int32)
    site.ravel()[pixels[order]] = order
    owner, distance = nearest_site(site)
    first = np.cumsum([0, *(len(run.row) for run in given)])
    return Nearest(given, first, row, column, pixels, owner, distance, pixel_size_m)


@dataclass(frozen=True)
class Places:
    """Pixels beside the runs: flat pixel, the sample before the nearest place and the share of the way to the next, metres across
    (above 0 on the left of the direction), all [n].
    """

    pixel: np.ndarray
    sample: np.ndarray
    share: np.ndarray
    across_m: np.ndarray

    def at(self, values: np.ndarray) -> np.ndarray:
        """What values [samples] are at the places."""
        following = np.minimum(self.sample + 1, len(values) - 1)
        return values[self.sample] + np.where(self.share > 0, self.share * (values[following] - values[self.sample]), 0)


def places_within(near: Nearest, radius_m: np.ndarray) -> Places:
    """The exact nearest place for the pixels within a radius, which is given per sample; in the order of the pixels."""
    radius_px = radius_m / near.pixel_size_m
    parts = [_places_in(near, radius_px, rows) for rows in row_bands(near.owner.shape)]
    pixel, sample, share, across = (np.concatenate([part[n] for part in parts]) for n in range(4))
    return Places(pixel, sample, share, across)


def _places_in(
    near: Nearest, radius_px: np.ndarray, rows: slice
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """What Places holds, of the pixels in some rows."""
    owners = near.owner[rows].ravel()
    chosen = np.flatnonzero(near.distance_px[rows].ravel() <= radius_px[owners] + 1.0)
    owner = owners[chosen].astype(np.int64)
    row, column = chosen // near.owner.shape[1] + rows.start, chosen % near.owner.shape[1]
    run = near.run_of(owner)
    low, high = near.first[run], near.first[run + 1] - 2
    best = np.full(len(chosen), np.inf)
    sample, share, across = np.zeros(len(chosen), np.int64), np.zeros(len(chosen)), np.zeros(len(chosen))
    for step in range(-AROUND, AROUND):
        start = np.clip(owner + step, low, high)
        dr, dc = near.row[start + 1] - near.row[start], near.column[start + 1] - near.column[start]
        pr, pc = row - near.row[start], column - near.column[start]
        length2 = np.maximum(dr * dr + dc * dc, 1e-12)
        at = np.clip((pr * dr + pc * dc) / length2, 0.0, 1.0)
        distance = np.hypot(pr - at * dr, pc - at * dc)
        better = distance < best - 1e-9
        best = np.where(better, distance, best)
        sample, share = np.where(better, start, sample), np.where(better, at, share)
        across = np.where(better, np.where(dr * pc - dc * pr >= 0, distance, -distance), across)
    inside = best <= radius_px[owner]
    pixel = chosen[inside] + rows.start * near.owner.shape[1]
    return pixel, sample[inside], share[inside], across[inside] * near.pixel_size_m
