"""How a terrain looks with the sun on it, and how far two look apart: what a person compares first.

Heights are numpy [H, W] in metres of any real dtype. Nothing here is used to make terrain, only to judge and to show it.
"""

from __future__ import annotations

import numpy as np

from backend.measures.texture_statistics import feature_distance

SUN_HEIGHT_DEG = 40.0


def hillshade(height: np.ndarray, pixel_size_m: float, sun_height_deg: float = SUN_HEIGHT_DEG) -> np.ndarray:
    """Lambert shading from the north-west, without cast shadows, float64 [H, W] 0..1."""
    down, across = np.gradient(np.asarray(height, np.float64), pixel_size_m)
    elevation = np.deg2rad(sun_height_deg)
    light = (across + down) * np.sqrt(0.5) * np.cos(elevation) + np.sin(elevation)
    return np.clip(light / np.sqrt(across**2 + down**2 + 1), 0, 1)


def shading_distance(height: np.ndarray, real: np.ndarray, pixel_size_m: float) -> float:
    """Fréchet distance between what fixed random filters answer to the hillshades of two terrains of one pixel size, of any sizes.

    The mean over three scales, whose pixels are one, two and four of the terrain's: 32 filters of 7 x 7 pixels each, and their
    absolute answers averaged over 5 x 5 pixels, are one sample for each place; the distance is that of the Gaussians fitted to
    the two sets of samples (backend.measures.texture_statistics). A filter sees ridges and gullies up to 28 pixels long, the
    averages how they vary from place to place. Two pieces of one landscape are not at 0: what is no farther than they are looks as
    alike as they do.
    """
    return feature_distance(*(hillshade(terrain, pixel_size_m)[None] for terrain in (height, real)))
