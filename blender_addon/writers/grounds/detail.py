"""What a terrain takes of a texture set: its detail alone, relative to the set's own mean, so that colours stay the terrain's.

Numbers alone, no bpy. What is longer than a third of the tile is left out: it is what makes a repetition visible from afar.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

MOST = 4.0  # times the mean: what a detail can be, and white in its image
LARGEST_PX = 1024  # a side of the detail: a terrain wears several sets
RELIEF_SHARE = 0.03  # of the tile's width: relief of a set that does not say how deep it is
FLAT = 1e-4  # deviation of a height map below which there is no height in it
SEAM = 1.8  # times the mean step inside: from here on the step across the border is seen, and the set is mirrored
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


@dataclass(frozen=True)
class Detail:
    """values: uint16 [H, W, 4], colour relative to the mean (65535 is MOST times it) and height. relief_share: height range over
    the tile's width. mirrored: whether it has to be mirrored because it does not tile. rough: how roughness follows height and
    brightness, (per height, per brightness).
    """

    values: np.ndarray
    relief_share: float
    mirrored: bool
    rough: tuple[float, float]


def of(maps: Mapping[str, np.ndarray], *, relief_share: float = 0.0) -> Detail:
    """The detail of a set's maps, float32 [H, W, C] by the names of shared/texture_set.py; relief_share: 0 where that is not known.

    Height comes from the height map, else from the normals, else from brightness: what is dark lies deep.
    """
    small = {name: _reduced(values) for name, values in maps.items()}
    shape = next(iter(small.values())).shape[:2]
    color = small.get("base_color", np.full((*shape, 3), 0.5, np.float32))
    mirrored = _has_seam(color)
    ratio = _leveled(color, mirrored)
    bright = ratio @ _LUMA
    height, share = _height(small, bright, mirrored)
    rough = _rough(small.get("roughness"), height, bright)
    values = np.empty((*shape, 4), np.uint16)
    values[..., :3] = np.rint(np.clip(ratio / MOST, 0.0, 1.0) * 65535.0)
    values[..., 3] = np.rint(height * 65535.0)
    return Detail(values, relief_share or share or RELIEF_SHARE, mirrored, rough)


def _reduced(values: np.ndarray) -> np.ndarray:
    """float32 [H, W, C] of at most LARGEST_PX a side, by the mean over whole pixels."""
    values = np.asarray(values, np.float32).reshape(*values.shape[:2], -1)
    step = -(-max(values.shape[:2]) // LARGEST_PX)
    if step == 1:
        return values
    rows, columns = max(1, values.shape[0] // step), max(1, values.shape[1] // step)
    kept = values[: rows * step, : columns * step] if min(values.shape[:2]) >= step else values
    if kept.shape[:2] != (rows * step, columns * step):
        return values
    return kept.reshape(rows, step, columns, step, -1).mean(axis=(1, 3))


def _has_seam(color: np.ndarray) -> bool:
    """Whether the step from one border to the opposite one is larger than the steps inside."""
    for axis in (0, 1):
        inside = float(np.abs(np.diff(color, axis=axis)).mean())
        across = float(np.abs(np.take(color, 0, axis) - np.take(color, -1, axis)).mean())
        if across > SEAM * inside + 1e-4:
            return True
    return False


def _leveled(color: np.ndarray, mirrored: bool) -> np.ndarray:
    """Colours over their own slow changes, of mean 1 in each channel."""
    slow = np.maximum(blurred(color, mirrored), 0.02)
    ratio = np.minimum(np.maximum(color, 0.0) / slow, MOST)
    return ratio / np.maximum(ratio.mean(axis=(0, 1)), 1e-3)


def blurred(values: np.ndarray, mirrored: bool) -> np.ndarray:
    """[H, W, C] without waves shorter than about a third of each side."""
    rows, columns = values.shape[:2]
    whole = values
    if mirrored:
        whole = np.concatenate([whole, whole[::-1]], axis=0)
        whole = np.concatenate([whole, whole[:, ::-1]], axis=1)
    v, u = np.meshgrid(np.fft.fftfreq(whole.shape[0]) * rows, np.fft.rfftfreq(whole.shape[1]) * columns, indexing="ij")
    keep = np.exp(-((v * v + u * u) / 9.0))
    spectrum = np.fft.rfft2(whole, axes=(0, 1)) * keep[..., None]
    return np.fft.irfft2(spectrum, whole.shape[:2], axes=(0, 1))[:rows, :columns].astype(np.float32)


def _height(maps: Mapping[str, np.ndarray], bright: np.ndarray, mirrored: bool) -> tuple[np.ndarray, float]:
    """Heights 0..1 of mean near a half, float32 [H, W], and how deep they are over the tile's width; 0 where that is not known."""
    share = 0.0
    if "height" in maps and float(maps["height"][..., 0].std()) > FLAT:
        height = _smoothed(maps["height"][..., 0])
    elif "normal" in maps and float(maps["normal"][..., :2].std()) > FLAT:
        height = _from_normals(maps["normal"])
        share = float(np.ptp(np.quantile(height, (0.005, 0.995)))) / height.shape[1]
    else:
        height = bright
    height = height - blurred(height[..., None], mirrored)[..., 0]
    spread = float(np.quantile(np.abs(height - height.mean()), 0.995))
    if spread < 1e-6:
        return np.full(height.shape, 0.5, np.float32), share
    return np.clip(0.5 + 0.5 * (height - height.mean()) / spread, 0.0, 1.0).astype(np.float32), share


def _smoothed(height: np.ndarray) -> np.ndarray:
    """Without the steps of 8 bits: the mean of each pixel and its neighbours, 1 2 1."""
    for axis in (0, 1):
        height = 0.5 * height + 0.25 * (np.roll(height, 1, axis) + np.roll(height, -1, axis))
    return height


def _from_normals(normals: np.ndarray) -> np.ndarray:
    """Heights in pixels whose slopes are nearest to the normals' (Frankot and Chellappa 1988), top row first, y up."""
    up = np.maximum(normals[..., 2], 0.1)
    right, down = -normals[..., 0] / up, normals[..., 1] / up
    v, u = np.meshgrid(np.fft.fftfreq(up.shape[0]), np.fft.fftfreq(up.shape[1]), indexing="ij")
    square = (2 * np.pi) ** 2 * (u * u + v * v)
    square[0, 0] = 1.0
    spectrum = -2j * np.pi * (u * np.fft.fft2(right) + v * np.fft.fft2(down)) / square
    spectrum[0, 0] = 0.0
    return np.real(np.fft.ifft2(spectrum)).astype(np.float32)


def _rough(roughness: np.ndarray | None, height: np.ndarray, bright: np.ndarray) -> tuple[float, float]:
    """The line through a set's roughness over height and brightness: (per height, per brightness)."""
    if roughness is None or float(roughness.std()) < 0.005:
        return 0.0, 0.0
    by = np.stack([height - height.mean(), bright - 1.0], axis=-1).reshape(-1, 2).astype(np.float64)
    found, *_ = np.linalg.lstsq(by, (roughness[..., 0] - roughness.mean()).ravel().astype(np.float64), rcond=None)
    return float(np.clip(found[0], -1.0, 1.0)), float(np.clip(found[1], -1.0, 1.0))
