"""Hillshades are lit as the sun stands, and terrains of one kind look nearer than terrains of two."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from backend.measures.shading import hillshade, shading_distance

PIXEL_M = 30.0


def hills(side: int, seed: int, size_px: float, height_m: float) -> np.ndarray:
    draw = gaussian_filter(np.random.default_rng(seed).standard_normal((side, side)), size_px, mode="wrap")
    return height_m * draw / draw.std()


def test_slopes_towards_the_sun_are_bright_and_level_ground_is_as_bright_as_the_sun_is_high() -> None:
    y, x = np.mgrid[:8, :8] * PIXEL_M
    level, towards, away = (hillshade(slope * (x + y), PIXEL_M)[4, 4] for slope in (0.0, 0.4, -0.4))
    assert level == pytest.approx(np.sin(np.deg2rad(40.0)))
    assert away < level < towards <= 1.0


def test_pieces_of_one_land_look_nearer_than_two_lands() -> None:
    land = hills(256, 1, 4.0, 60.0)
    here, there = land[:, :128], land[:, 128:]
    apart = shading_distance(here, there, PIXEL_M)
    assert shading_distance(here, here, PIXEL_M) == pytest.approx(0.0, abs=1e-9)
    assert apart < 0.2 * shading_distance(here, hills(256, 2, 8.0, 60.0)[:, :128], PIXEL_M)
    assert apart < 0.2 * shading_distance(here, 2.0 * there, PIXEL_M)


def test_a_height_above_the_sea_changes_nothing() -> None:
    land = hills(96, 3, 3.0, 40.0)
    assert shading_distance(land, land + 500.0, PIXEL_M) == pytest.approx(0.0, abs=1e-9)
