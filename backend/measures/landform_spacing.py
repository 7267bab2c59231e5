"""How evenly ridges and valleys follow one another: combed land looks like a fingerprint, real land does not.

Nothing here is used to make terrain, only to judge it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy import ndimage

WINDOW_PX = 128
STRIDE_PX = 32
BAND_PX = 4.0  # deviation of the Gaussian that parts ridges and valleys from the larger forms


def combing(height: np.ndarray) -> float:
    """0..1: how well ridges and valleys of a map [H, W] (any unit) fit those beside them when they are moved by one spacing.

    The forms smaller than a Gaussian of BAND_PX are taken in windows; the autocorrelation of each falls below zero half a spacing
    away from the middle, and what it rises to behind that is the height of its second peak: 1 for a washboard, about 0.3 for land
    without a rhythm, since the highest of many chance values counts. The mean over the windows; not a number for maps smaller than
    one.
    """
    return float(np.mean([_second_peak(window) for window in _windows(np.asarray(height, np.float64))] or [np.nan]))


def _windows(z: np.ndarray) -> list[np.ndarray]:
    band = ndimage.gaussian_filter(z, BAND_PX / 4.0) - ndimage.gaussian_filter(z, BAND_PX)
    rows, columns = (range(0, side - WINDOW_PX + 1, STRIDE_PX) for side in z.shape)
    return [band[y : y + WINDOW_PX, x : x + WINDOW_PX] for y in rows for x in columns]


def _second_peak(window: np.ndarray) -> float:
    """The highest autocorrelation beyond the valley around the middle, up to half a window away."""
    n = WINDOW_PX
    taper = np.hanning(n)[:, None] * np.hanning(n)[None]
    values = (window - np.average(window, weights=taper)) * taper
    power = np.abs(np.fft.rfft2(values, (2 * n, 2 * n))) ** 2
    overlap = np.fft.irfft2(np.abs(np.fft.rfft2(taper, (2 * n, 2 * n))) ** 2)
    share = np.fft.fftshift(np.fft.irfft2(power) / np.maximum(overlap, 1e-3 * overlap[0, 0]))
    middle = share[n, n]
    if middle <= 0:
        return 0.0
    near = share[n // 2 : n + n // 2 + 1, n // 2 : n + n // 2 + 1] / middle
    labelled: Any = ndimage.label(near > 0)  # typed as a number alone
    positive = labelled[0]
    beyond = near[(positive != positive[n // 2, n // 2]) & (_far(n) <= n // 2)]
    return float(max(beyond.max(initial=0.0), 0.0))


def _far(n: int) -> np.ndarray:
    offsets = np.arange(-(n // 2), n // 2 + 1)
    return np.hypot(offsets[:, None], offsets[None])
