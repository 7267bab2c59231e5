"""The measures of structure see the faults that they are for, and agree with what is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from backend.measures import terrain_structure as measures

PIXEL_M = 30.0


def land(side: int = 160, seed: int = 3) -> np.ndarray:
    """Hills of several sizes on a slope."""
    random = np.random.default_rng(seed)
    layers = [gaussian_filter(random.standard_normal((side, side)), size) * size**2 for size in (2.0, 5.0, 12.0)]
    return sum(layers, np.zeros((side, side))) * 20.0 + 8.0 * np.arange(side)[:, None]


def test_a_map_is_like_itself() -> None:
    figures = measures.compare(land(), land(), PIXEL_M)
    assert figures.passes()
    assert (figures.hand, figures.geomorphons) == (0.0, 0.0)


def test_the_exponent_of_a_law_comes_back() -> None:
    area = 10 ** np.random.default_rng(1).uniform(1.0, 4.5, 20000)
    slope = 0.3 * area**-0.4
    assert measures.concavity(area, slope) == pytest.approx(0.4, abs=0.01)
    assert np.isnan(measures.concavity(area[:50], slope[:50]))


def test_trenches_are_slots_and_valleys_are_none() -> None:
    valley = 2.0 * np.abs(np.arange(121) - 60.0)[None] + 1.0 * np.arange(160.0)[:, None]
    assert measures.structure(valley, PIXEL_M).slots == 0.0
    trench = valley.copy()
    trench[:, 60] -= 200.0
    assert measures.structure(trench, PIXEL_M).slots > 0.3


def test_height_above_a_river_is_that_above_the_floor_of_its_valley() -> None:
    valley = 2.0 * np.abs(np.arange(121) - 60.0)[None] + 0.1 * np.arange(200.0)[:, None]
    hand = measures.structure(valley, PIXEL_M).hand
    assert np.median(hand) == pytest.approx(np.median(2.0 * np.abs(np.arange(4, 117) - 60.0)), rel=0.1)


def test_elements_of_simple_forms() -> None:
    y, x = np.mgrid[-50.0:51, -50.0:51]

    def shares(height: np.ndarray) -> dict[str, float]:
        return dict(zip(measures.ELEMENTS, measures.geomorphons(height, 1.0), strict=True))

    assert shares(np.zeros_like(x))["flat"] == 1.0
    assert shares(0.5 * x)["slope"] == 1.0
    ridge, valley = shares(-np.abs(x)), shares(np.abs(x))
    assert ridge["ridge"] == valley["valley"] > 0.0
    assert ridge["valley"] == valley["ridge"] == 0.0
    assert shares(-np.hypot(x, y))["peak"] > 0.0
    assert shares(np.hypot(x, y))["pit"] > 0.0
