"""How well a terrain keeps to its sketch, and faults that generators have: light in the colour, lattices, seams, pits.

All take NumPy maps [H, W] and compute in float64. Likeness to real ground is in terrain_statistics. Nothing here is used to make
terrain, only to judge it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from scipy.ndimage import gaussian_filter, maximum_filter

from backend.ops.dispatch import choose

LUMA = np.array((0.2126, 0.7152, 0.0722))
DARKEST = 0.01  # added to albedo before its logarithm
HIGH_PASS_PX = 8.0
LEAST_LAG_PX = 8.0
SEAM_NEAR_PX = 24  # lines beside a border that it is compared with
LEAST_PIXELS = 64  # of a class, for a regression within it


def confusion(made: np.ndarray, wanted: np.ndarray, count: int) -> np.ndarray:
    """Pixels [count, count] int64: rows are the wanted class, columns the made one. Maps of integers of one shape."""
    if made.shape != wanted.shape:
        raise ValueError(f"class maps of shapes {made.shape} and {wanted.shape}")
    both = wanted.astype(np.int64).ravel() * count + made.astype(np.int64).ravel()
    return np.bincount(both, minlength=count * count).reshape(count, count)


def intersection_over_union(table: np.ndarray) -> np.ndarray:
    """IoU [count] of each class of a confusion(), 0..1; NaN for a class that is neither wanted nor made."""
    hits = np.diag(table).astype(np.float64)
    union = table.sum(0) + table.sum(1) - hits
    return np.divide(hits, union, out=np.full(len(table), np.nan), where=union > 0)


def mean_iou(table: np.ndarray) -> float:
    """Mean IoU over the classes that are wanted at all."""
    return float(np.mean(intersection_over_union(table)[table.sum(1) > 0]))


def baked_light(
    albedo: np.ndarray,
    height: np.ndarray,
    pixel_size_m: float,
    classes: np.ndarray,
    exaggeration: float = 1.0,
    detail_px: float = 0.0,
) -> float:
    """Partial R² 0..1 of log albedo on the horizontal part of the surface normal, given class, height and slope.

    albedo: linear RGB [H, W, 3]. Within each class, log luminance and both parts of the normal are regressed on height and slope
    and their squares; then what is left of the first is regressed on what is left of the others, over all classes together.
    0: no direction is brighter than another. exaggeration: of the heights for the normals, as painted relief has it.
    detail_px: above 0, tone and normals are taken without their Gaussian averages of that size, which shows light much more
    clearly: between patches of other ground it is lost.
    """
    down, across = np.gradient(np.asarray(height, np.float64) * exaggeration, pixel_size_m)
    up = 1.0 / np.sqrt(1.0 + down**2 + across**2)
    steepness = np.hypot(down, across)
    tone = np.log(np.asarray(albedo, np.float64) @ LUMA + DARKEST)
    maps = [tone, -across * up, -down * up]
    if detail_px > 0.0:
        maps = [values - gaussian_filter(values, detail_px) for values in maps]
    values = np.stack(maps, axis=-1)
    rests = []
    for number in np.unique(classes):
        here = classes == number
        if here.sum() >= LEAST_PIXELS:
            rests.append(_residuals(values[here], np.asarray(height, np.float64)[here], steepness[here]))
    if not rests:
        raise ValueError(f"no class has {LEAST_PIXELS} pixels")
    rest = np.concatenate(rests)
    total = float(rest[:, 0] @ rest[:, 0])
    if total <= 1e-12 * len(rest):
        return 0.0
    weights = np.linalg.lstsq(rest[:, 1:], rest[:, 0], rcond=None)[0]
    left = rest[:, 0] - rest[:, 1:] @ weights
    return 1.0 - float(left @ left) / total


def _residuals(values: np.ndarray, height: np.ndarray, steepness: np.ndarray) -> np.ndarray:
    """Values [N, 3] without what height and slope [N] explain."""
    known = [np.ones(len(values))]
    for given in (height, steepness):
        unit = (given - given.mean()) / max(float(given.std()), 1e-9)
        known += [unit, unit**2]
    design = np.stack(known, axis=1)
    return values - design @ np.linalg.lstsq(design, values, rcond=None)[0]


def autocorrelation_peak(height: np.ndarray, sigma_px: float = HIGH_PASS_PX) -> float:
    """The highest local maximum off the centre of the autocorrelation, -1..1, after taking off a Gaussian average of sigma_px.

    Lags from LEAST_LAG_PX to a quarter of the shorter side; each lag is divided by the cells that overlap.
    """
    z = np.asarray(height, np.float64)
    fine = z - gaussian_filter(z, sigma_px)
    fine -= fine.mean()
    rows, columns = z.shape
    padded = (2 * rows, 2 * columns)
    sums = np.fft.irfft2(np.abs(np.fft.rfft2(fine, padded)) ** 2, padded)
    most = min(rows, columns) // 4
    lags = np.arange(-most - 1, most + 2)
    overlap = (rows - np.abs(lags))[:, None] * (columns - np.abs(lags))[None]
    correlation = sums[np.ix_(lags, lags)] / overlap
    correlation /= max(float(correlation[most + 1, most + 1]), 1e-30)
    radius = np.hypot(lags[:, None], lags[None])
    peaks = (correlation == maximum_filter(correlation, 3)) & (radius >= LEAST_LAG_PX) & (radius <= most)
    return float(correlation[peaks].max()) if peaks.any() else 0.0


def axis_alignment(height: np.ndarray, shortest_px: float = 4.0, longest_px: float = 24.0) -> float:
    """Mean spectral power of forms that run along rows or columns over that of diagonal ones, within 15 degrees each; 1: no grid.

    Forms of shortest_px to longest_px. Finds woven textures whose forms do not repeat, which have no autocorrelation peak.
    """
    z = np.asarray(height, np.float64)
    rows, columns = z.shape
    fine = (z - gaussian_filter(z, longest_px)) * np.hanning(rows)[:, None] * np.hanning(columns)[None]
    power = np.abs(np.fft.fft2(fine)) ** 2
    down, across = np.fft.fftfreq(rows)[:, None], np.fft.fftfreq(columns)[None]
    frequency = np.hypot(down, across)
    angle = np.degrees(np.arctan2(np.abs(down), np.abs(across)))
    rings = np.rint(
        np.log2(np.maximum(frequency, 1e-9)) * 8.0
    )  # each ring counts alike: power falls steeply with frequency
    band = (frequency >= 1.0 / longest_px) & (frequency <= 1.0 / shortest_px)
    straight, slanted = band & (np.abs(angle - 45.0) >= 30.0), band & (np.abs(angle - 45.0) <= 15.0)
    shares = [
        power[straight & (rings == ring)].mean() / power[slanted & (rings == ring)].mean()
        for ring in np.unique(rings[slanted])
        if (straight & (rings == ring)).any()
    ]
    return float(np.exp(np.mean(np.log(shares))))


def seam_energy(height: np.ndarray, rows: Iterable[int], columns: Iterable[int]) -> float:
    """Mean departure of the step across tile borders from the steps on both sides, over that across the lines nearby; 1: no seam.

    rows, columns: the first line after each border.
    """
    borders, nearby = [], []
    for z, places in ((np.asarray(height), list(rows)), (np.asarray(height).T, list(columns))):
        for place in places:
            around = [line for line in range(place - SEAM_NEAR_PX, place + SEAM_NEAR_PX + 1) if 2 <= line < len(z) - 1]
            if place in around:
                borders.append(_departure(z, place))
                nearby += [_departure(z, line) for line in around if abs(line - place) > 2]
    if not borders:
        raise ValueError("no border lies inside the map")
    return float(np.mean(borders) / max(np.mean(nearby), 1e-30))


def _departure(z: np.ndarray, line: int) -> float:
    before, across, after = np.diff(z[line - 2 : line + 2].astype(np.float64), axis=0)
    return float(np.abs(across - (before + after) / 2.0).mean())


def pits(surface: np.ndarray, outlets: np.ndarray | None = None) -> float:
    """Share 0..1 of all cells that lie below the lowest way out, to the edge or to outlets (bool [H, W]) such as lakes."""
    z = np.ascontiguousarray(surface, np.float32)
    ends = np.zeros(z.shape, bool) if outlets is None else np.ascontiguousarray(outlets, bool)
    parent = _towards_outlets(z, ends)
    cells = np.arange(z.size)
    parent = np.where(parent < 0, cells, parent)
    level = z.ravel().copy()
    while not np.array_equal(parent[parent], parent):  # the greatest height on the way out, by doubling
        level = np.maximum(level, level[parent])
        parent = parent[parent]
    level = np.maximum(level, level[parent])
    return float((level > z.ravel()).mean())


def _towards_outlets(z: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The next cell [N] on the way out of each; below 0 where the way ends."""
    if choose("auto") == "cpu":
        from backend.ops.terrain import drainage_cpu

        return drainage_cpu.drainage_tree(z, ends)[1]
    from backend.ops.terrain import drainage_plain

    return np.asarray(drainage_plain.drainage_tree(z, ends)).ravel()
