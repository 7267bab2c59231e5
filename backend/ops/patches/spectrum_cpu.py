"""The spectrum of a map and its correction on the CPU, by NumPy and SciPy: see backend.ops.patches.spectrum."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import fft

from backend.ops.patches.constants import BANDS_PER_OCTAVE, HIGHEST_FREQUENCY, MOST_GAIN


def log_power(heights: Sequence[np.ndarray], bands: int) -> np.ndarray:
    """Natural log of the mean power [bands] float64 of several maps [h, w] float32; nan where a band is empty."""
    power = np.mean([_band_power(_transform(height), bands) for height in heights], axis=0)
    with np.errstate(divide="ignore"):
        return np.log(power)


def match(height: np.ndarray, wanted: np.ndarray, strength: float) -> np.ndarray:
    """A map [H, W] float32 whose log power lies `strength` of the way nearer to `wanted` [bands]."""
    transformed = _transform(height)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = 0.5 * strength * (wanted - np.log(_band_power(transformed, len(wanted))))
    gain = np.clip(np.where(np.isfinite(gain), gain, 0.0), -np.log(MOST_GAIN), np.log(MOST_GAIN))
    at = (np.arange(len(gain)) + 0.5) / BANDS_PER_OCTAVE
    log_factor = np.interp(_octaves(height.shape), [*at, at[-1] + 1 / BANDS_PER_OCTAVE], [*gain, 0.0])
    return np.asarray(fft.idctn(transformed * np.exp(log_factor).astype(np.float32), norm="ortho"), np.float32)


def _transform(height: np.ndarray) -> np.ndarray:
    return np.asarray(fft.dctn(height, norm="ortho"))


def _band_power(transformed: np.ndarray, bands: int) -> np.ndarray:
    band = np.floor(_octaves(transformed.shape) * BANDS_PER_OCTAVE).astype(np.int64).ravel()
    band[(band < 0) | (band >= bands)] = bands
    counts = np.bincount(band, minlength=bands + 1)[:bands]
    power = np.bincount(band, np.square(transformed, dtype=np.float64).ravel(), minlength=bands + 1)[:bands]
    with np.errstate(invalid="ignore"):
        return power / counts


def _octaves(shape: tuple[int, ...]) -> np.ndarray:
    down, across = (np.arange(side) / (2 * side) for side in shape)
    radius = np.hypot(down[:, None], across[None])
    radius[0, 0] = 1e-9
    return np.maximum(np.log2(HIGHEST_FREQUENCY / radius), 0.0)
