"""The spectrum of a map and its correction on the CPU, by NumPy and SciPy on several threads: see backend.ops.patches.spectrum.

A chunk of rows at a time: no byte depends on the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence

import numba
import numpy as np
from scipy import fft

from backend.ops.kernel_threads import run_in_threads
from backend.ops.patches.constants import BANDS_PER_OCTAVE, HIGHEST_FREQUENCY, MOST_GAIN

CHUNK = 32  # rows
LEAST_PX = 1 << 16  # below, SciPy's threads cost more than they bring


def log_power(heights: Sequence[np.ndarray], bands: int) -> np.ndarray:
    """Natural log of the mean power [bands] float64 of several maps [h, w] float32; nan where a band is empty."""
    power = np.mean([_band_power(_transform(h), _octaves(h.shape), bands) for h in heights], axis=0)
    with np.errstate(divide="ignore"):
        return np.log(power)


def match(height: np.ndarray, wanted: np.ndarray, strength: float) -> np.ndarray:
    """A map [H, W] float32 whose log power lies `strength` of the way nearer to `wanted` [bands]."""
    transformed, octaves = _transform(height), _octaves(height.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = 0.5 * strength * (wanted - np.log(_band_power(transformed, octaves, len(wanted))))
    gain = np.clip(np.where(np.isfinite(gain), gain, 0.0), -np.log(MOST_GAIN), np.log(MOST_GAIN))
    at = (np.arange(len(gain)) + 0.5) / BANDS_PER_OCTAVE
    at, gain = np.array([*at, at[-1] + 1 / BANDS_PER_OCTAVE]), np.array([*gain, 0.0])
    run_in_threads(_amplify, _chunks(height), transformed, octaves, at, gain)
    return np.asarray(fft.idctn(transformed, norm="ortho", overwrite_x=True, workers=_workers(height)), np.float32)


def _transform(height: np.ndarray) -> np.ndarray:
    return np.asarray(fft.dctn(height, norm="ortho", workers=_workers(height)))


def _workers(values: np.ndarray) -> int:
    return numba.get_num_threads() if values.size >= LEAST_PX else 1


def _chunks(values: np.ndarray) -> int:
    return -(-len(values) // CHUNK)


def _band_power(transformed: np.ndarray, octaves: np.ndarray, bands: int) -> np.ndarray:
    """One number after the other is added: the sum of threads' sums would be another."""
    band, squares = np.empty(octaves.shape, np.int64), np.empty(octaves.shape)
    run_in_threads(_sort_into_bands, _chunks(octaves), transformed, octaves, bands, band, squares)
    counts = np.bincount(band.ravel(), minlength=bands + 1)[:bands]
    power = np.bincount(band.ravel(), squares.ravel(), minlength=bands + 1)[:bands]
    with np.errstate(invalid="ignore"):
        return power / counts


def _octaves(shape: tuple[int, ...]) -> np.ndarray:
    """Octaves below HIGHEST_FREQUENCY [H, W] float64 of the coefficients of a cosine transform."""
    down, across = (np.arange(side) / (2 * side) for side in shape)
    octaves = np.empty(shape)
    run_in_threads(_measure_octaves, _chunks(octaves), down, across, octaves)
    return octaves


def _measure_octaves(begin: int, end: int, down: np.ndarray, across: np.ndarray, octaves: np.ndarray) -> None:
    for rows in _slices(begin, end):
        radius = np.hypot(down[rows, None], across[None])
        if rows.start == 0:
            radius[0, 0] = 1e-9
        np.maximum(np.log2(HIGHEST_FREQUENCY / radius), 0.0, out=octaves[rows])


def _sort_into_bands(
    begin: int,
    end: int,
    transformed: np.ndarray,
    octaves: np.ndarray,
    bands: int,
    band: np.ndarray,
    squares: np.ndarray,
) -> None:
    """The band of each coefficient, `bands` for none, and its square."""
    for rows in _slices(begin, end):
        found = np.floor(octaves[rows] * BANDS_PER_OCTAVE).astype(np.int64)
        found[(found < 0) | (found >= bands)] = bands
        band[rows] = found
        np.square(transformed[rows], dtype=np.float64, out=squares[rows])


def _amplify(
    begin: int, end: int, transformed: np.ndarray, octaves: np.ndarray, at: np.ndarray, gain: np.ndarray
) -> None:
    for rows in _slices(begin, end):
        transformed[rows] *= np.exp(np.interp(octaves[rows], at, gain)).astype(np.float32)


def _slices(begin: int, end: int) -> list[slice]:
    return [slice(chunk * CHUNK, (chunk + 1) * CHUNK) for chunk in range(begin, end)]
