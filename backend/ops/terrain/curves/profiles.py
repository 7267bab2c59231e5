"""The heights that lines ask for along their course: a river's bed, a road's grade, a ridge's crest.

One-dimensional, on the samples of samples.Run; metres, float64, on the host. What lies beside a line is
backend.ops.terrain.curves.sections.
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, map_coordinates
from scipy.optimize import isotonic_regression
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from backend.ops.terrain.curves.samples import Run

CUT_SHARE = 0.6  # how much of what stands in a river's way is cut; the rest of the height below it is filled
FALL = 1e-4  # of a river, at least, in metres per metre
END_SHARE = 0.1  # of a river at each end, whose heights say which way it flows
OCTILE = 1.0824  # the longest way over a grid's eight neighbours against the straight one


def ground_along(height: np.ndarray, run: Run) -> np.ndarray:
    """The ground [n] under each sample, bilinear."""
    return map_coordinates(height, [run.row, run.column], order=1, mode="nearest").astype(np.float64)


def smoothed(values: np.ndarray, run: Run, length_m: float) -> np.ndarray:
    """Values along a run without forms shorter than a length; its ends stay where they are."""
    if run.length_m <= 0 or length_m <= 0:
        return values
    sigma = min(length_m / (run.along[1] - run.along[0]), len(values) / 4.0)
    straight = np.linspace(values[0], values[-1], len(values))
    return straight + gaussian_filter1d(values - straight, sigma, mode="mirror", truncate=3.0)


def taper(run: Run, length_m: float) -> np.ndarray:
    """1 along the run, sinking to 0 at its free ends over a length; an end at the map's edge goes on beyond it."""
    length = max(min(length_m, 0.35 * run.length_m), 1e-9)
    share = np.ones(len(run.along))
    if not run.cut[0]:
        share = np.minimum(share, run.along / length)
    if not run.cut[1]:
        share = np.minimum(share, (run.length_m - run.along) / length)
    share = np.clip(share, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


# Rivers --------------------------------------------------------------------------------------------------------------


def downstream(height: np.ndarray, run: Run) -> Run:
    """The run in the direction of its flow: to its lower end, or as it was drawn."""
    ground = run.z_m if not np.isnan(run.z_m).any() else ground_along(height, run)
    count = max(1, int(END_SHARE * len(ground)))
    rises = np.median(ground[-count:]) > np.median(ground[:count])
    return run.turned() if rises and not run.line.as_drawn else run


def fall_per_sample(largest_m: float, run: Run) -> float:
    """Metres by which a bed falls from sample to sample: enough that float32 keeps it from pixel to pixel, at heights up to the
    largest, above or below 0.
    """
    finest = 8.0 * float(np.spacing(np.float32(largest_m)))
    return max(FALL * (run.along[1] - run.along[0]), finest)


def falling(values: np.ndarray, fall: float) -> np.ndarray:
    """The highest heights not above `values` that fall by `fall` per sample at least."""
    ramp = fall * np.arange(len(values))
    return np.minimum.accumulate(values + ramp) - ramp


def river_bed(ground: np.ndarray, depth: np.ndarray, run: Run, smooth_m: float, fall: float) -> np.ndarray:
    """The bed [n] of a river on this ground, falling all the way: what stands in its way is cut, what lies too low is filled."""
    fitted = np.asarray(isotonic_regression(ground, increasing=False).x)
    level = (1.0 - CUT_SHARE) * fitted + CUT_SHARE * np.minimum.accumulate(ground)
    return falling(smoothed(level, run, smooth_m) - depth, fall)


# Roads ---------------------------------------------------------------------------------------------------------------


def graded(
    pixels: np.ndarray,
    wanted: np.ndarray,
    slope: np.ndarray,
    shape: tuple[int, int],
    pixel_size_m: float,
    pinned: np.ndarray,
) -> np.ndarray:
    """Heights [n] of a road's pixels, near the wanted ones, that differ from neighbour to neighbour by no more than the slope.

    Midway between the lowest such heights above the wanted ones and the highest below: cut and fill balance, and the largest change
    is as small as can be. It holds on the road's pixels as a network, so crossings and hairpins are held to it as well. pinned [n]:
    heights that must be kept where the slope allows, NaN where free. pixels [n]: flat, in rising order.
    """
    rows, columns = pixels // shape[1], pixels % shape[1]
    starts, ends, rises = [], [], []
    for dr, dc in ((0, 1), (1, 0), (1, 1), (1, -1)):
        r, c = rows + dr, columns + dc
        inside = np.flatnonzero((r < shape[0]) & (c >= 0) & (c < shape[1]))
        beside = r[inside] * shape[1] + c[inside]
        other = np.searchsorted(pixels, beside).clip(max=len(pixels) - 1)
        is_road = pixels[other] == beside
        inside, other = inside[is_road], other[is_road]
        length = np.hypot(dr, dc) * pixel_size_m / OCTILE
        starts.append(inside)
        ends.append(other)
        rises.append(np.minimum(slope[inside], slope[other]) * length)
    edges = np.concatenate(starts), np.concatenate(ends), np.concatenate(rises)
    if not np.isnan(pinned).all():
        from_below = -_envelope(-np.where(np.isnan(pinned), -np.inf, pinned), edges)
        from_above = _envelope(np.where(np.isnan(pinned), np.inf, pinned), edges)
        wanted = np.clip(wanted, np.minimum(from_below, from_above), np.maximum(from_below, from_above))
        wanted = np.where(np.isnan(pinned), wanted, pinned)
    return 0.5 * (_envelope(wanted, edges) - _envelope(-wanted, edges))


def _envelope(values: np.ndarray, edges: tuple[np.ndarray, np.ndarray, np.ndarray]) -> np.ndarray:
    """The highest values [n] not above `values` (inf: free) that rise along no edge by more than its rise."""
    count = len(values)
    known = np.flatnonzero(np.isfinite(values))
    low = float(values[known].min()) - 1.0  # above 0, which a sparse graph takes for no edge
    start = np.concatenate([edges[0], np.full(len(known), count)])
    end = np.concatenate([edges[1], known])
    weight = np.concatenate([edges[2], values[known] - low])
    graph = csr_array((weight, (start, end)), shape=(count + 1, count + 1))
    return dijkstra(graph, directed=False, indices=count)[:count] + low
