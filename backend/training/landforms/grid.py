"""The square that a landscape grows on: noise and planes over it, finer copies of it, and the map that is cut out of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from backend.ops.terrain.noise import NoiseField, Window, evaluate

TURN_DEG = 27.0  # far from all eight directions of the grid
MARGIN_PX = 40  # rows near the outlets that never ship
NOISE_DEVIATION = 0.35  # of a fractal sum of Perlin noise


@dataclass(frozen=True)
class Grid:
    """n x n cells of pixel_size_m metres. Everything below is an array [n, n] of float64."""

    n: int
    pixel_size_m: float

    @staticmethod
    def around(side_px: int, pixel_size_m: float, coarse: int = 1) -> Grid:
        """What a map of side_px pixels is cut out of, in cells `coarse` times as wide."""
        return Grid(whole_side(side_px) // coarse, pixel_size_m * coarse)

    def roughness(self, wavelength_m: float, seed: int, octaves: int = 5) -> np.ndarray:
        """Fractal noise of deviation about 1; the same for cells of every size, but for what those cannot show."""
        return rough(self.n, max(wavelength_m / self.pixel_size_m, 2.5), seed, octaves)

    def ridges(self, wavelength_m: float, seed: int, octaves: int = 4) -> np.ndarray:
        """0..1, 1 along winding lines about half a wavelength apart."""
        return np.exp(-((self.roughness(wavelength_m, seed, octaves) / 0.15) ** 2))

    def axes(self, direction_deg: float) -> tuple[np.ndarray, np.ndarray]:
        """Metres from the middle along a direction (0 is east, 90 is south) and across it."""
        offsets = (np.arange(self.n) - (self.n - 1) / 2.0) * self.pixel_size_m
        south, east = np.meshgrid(offsets, offsets, indexing="ij")
        cosine, sine = np.cos(np.radians(direction_deg)), np.sin(np.radians(direction_deg))
        return cosine * east + sine * south, cosine * south - sine * east

    @property
    def side_m(self) -> float:
        return self.n * self.pixel_size_m

    def blur(self, values: np.ndarray, sigma_m: float) -> np.ndarray:
        return np.asarray(ndimage.gaussian_filter(values, sigma_m / self.pixel_size_m, mode="nearest"))


def rough(side: int, wavelength_px: float, seed: int, octaves: int = 4) -> np.ndarray:
    """Fractal noise [side, side] of deviation about 1."""
    field = NoiseField(wavelength_px=(wavelength_px, wavelength_px), octaves=octaves, seed=seed)
    return evaluate(field, Window(0, 0, side, side)).numpy()[0, 0].astype(np.float64) / NOISE_DEVIATION


def refine(z: np.ndarray) -> np.ndarray:
    """Twice the rows and columns, cubic, pixel centres kept in place."""
    return np.asarray(ndimage.zoom(z, 2, order=3, mode="nearest", grid_mode=True))


def cut_out(z: np.ndarray, side: int, mode: str = "constant") -> np.ndarray:
    """The middle [side, side], turned by TURN_DEG."""
    offsets = np.arange(side) - (side - 1) / 2.0
    rows, columns = np.meshgrid(offsets, offsets, indexing="ij")
    cosine, sine, middle = np.cos(np.radians(TURN_DEG)), np.sin(np.radians(TURN_DEG)), (z.shape[0] - 1) / 2.0
    where = [middle + rows * cosine - columns * sine, middle + rows * sine + columns * cosine]
    return np.asarray(ndimage.map_coordinates(z, where, order=3, mode=mode))


def whole_side(side: int) -> int:
    """Pixels of the square from which cut_out takes its own, a multiple of four for the coarse levels."""
    turn = np.cos(np.radians(TURN_DEG)) + np.sin(np.radians(TURN_DEG))
    return int(np.ceil((side * turn + 2 * MARGIN_PX) / 4.0)) * 4


def soft_min(a: np.ndarray, b: np.ndarray | float, blend_m: float) -> np.ndarray:
    """The lower of two surfaces, rounded where they meet within blend_m."""
    return 0.5 * (a + b - np.sqrt((a - b) ** 2 + blend_m**2))


def soft_max(a: np.ndarray, b: np.ndarray | float, blend_m: float) -> np.ndarray:
    """The higher of two surfaces, rounded where they meet within blend_m."""
    return 0.5 * (a + b + np.sqrt((a - b) ** 2 + blend_m**2))
