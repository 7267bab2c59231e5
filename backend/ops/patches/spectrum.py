"""The radial power spectrum of a height map brought to that of exemplars, by a smooth gain that keeps every phase.

Patches of 7 x 7 pixels see relief through the windows of one level: what the levels above and draining add in
between is nobody's, and power runs up to half too high. Here each third of an octave gets its gain, by a cosine
transform: mirrored edges have no seam, and every place counts alike. (Under a window the middle of the map would
count most, and the gain would make up for where the mountains happen to stand: slopes came out wrong by a tenth.)
This module knows no pyramid; backend.measures.terrain_statistics judges by a definition of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import fft

BANDS_AN_OCTAVE = 3
HIGHEST = 0.5  # cycles a pixel, along an axis
MOST_GAIN = 1.6


@dataclass(frozen=True)
class Spectrum:
    """Log power in bands that fall from HIGHEST by a third of an octave; nan where a band holds no frequency."""

    log_power: np.ndarray  # [bands], natural log

    @staticmethod
    def of(heights: Sequence[np.ndarray], longest_px: float) -> Spectrum:
        """The mean of several maps [h, w] float32, down to a wavelength of longest_px."""
        bands = max(1, round(BANDS_AN_OCTAVE * np.log2(longest_px * HIGHEST)))
        power = np.mean([_band_power(_transform(height), bands) for height in heights], axis=0)
        with np.errstate(divide="ignore"):
            return Spectrum(np.log(power))

    def matched(self, height: np.ndarray, strength: float) -> np.ndarray:
        """A map [H, W] float32 whose spectrum lies `strength` (0..1) of the way nearer to this one, in the log."""
        transformed = _transform(height)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = 0.5 * strength * (self.log_power - np.log(_band_power(transformed, len(self.log_power))))
        gain = np.clip(np.where(np.isfinite(gain), gain, 0.0), -np.log(MOST_GAIN), np.log(MOST_GAIN))
        at = (np.arange(len(gain)) + 0.5) / BANDS_AN_OCTAVE
        # above the lowest band the gain goes on level for one band and then fades out: the largest forms are the map's
        log_factor = np.interp(_octaves(height.shape), [*at, at[-1] + 1 / BANDS_AN_OCTAVE], [*gain, 0.0])
        return np.asarray(fft.idctn(transformed * np.exp(log_factor).astype(np.float32), norm="ortho"), np.float32)


def _transform(height: np.ndarray) -> np.ndarray:
    return np.asarray(fft.dctn(np.asarray(height, np.float32), norm="ortho"))


def _band_power(transformed: np.ndarray, bands: int) -> np.ndarray:
    """Mean power in each band of a cosine transform [H, W]; orthonormal, so maps of unlike size compare."""
    band = np.floor(_octaves(transformed.shape) * BANDS_AN_OCTAVE).astype(np.int64).ravel()
    band[(band < 0) | (band >= bands)] = bands
    counts = np.bincount(band, minlength=bands + 1)[:bands]
    power = np.bincount(band, np.square(transformed, dtype=np.float64).ravel(), minlength=bands + 1)[:bands]
    with np.errstate(invalid="ignore"):
        return power / counts


def _octaves(shape: tuple[int, ...]) -> np.ndarray:
    """Octaves below HIGHEST of the coefficients of a cosine transform, the corners (above it) counted as HIGHEST."""
    down, across = (np.arange(side) / (2 * side) for side in shape)
    radius = np.hypot(down[:, None], across[None])
    radius[0, 0] = 1e-9
    return np.maximum(np.log2(HIGHEST / radius), 0.0)
