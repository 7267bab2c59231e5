"""Colours to classes by a declared palette: a class keeps its number whatever else is in the picture."""

from __future__ import annotations

import numpy as np

from shared.classes import class_colors, nearest_class
from tests.support.toy_engines.catalog.toy_terrain import CLASSES


def test_a_palettes_own_colours_come_back() -> None:
    numbers = np.random.default_rng(0).integers(0, len(CLASSES), (700, 900)).astype(np.uint8)
    np.testing.assert_array_equal(nearest_class(class_colors(numbers, CLASSES), CLASSES), numbers)


def test_a_missing_class_renumbers_nobody() -> None:
    numbers = np.array([[4, 4, 2]], np.uint8)  # no water, no sand
    colors = class_colors(numbers, CLASSES) + np.random.default_rng(1).normal(0, 0.03, (1, 3, 3))
    np.testing.assert_array_equal(nearest_class(colors, CLASSES), numbers)


def test_nearest_is_by_brute_force() -> None:
    colors = np.random.default_rng(2).random((50, 3))
    palette = np.array([rgb for _, rgb in CLASSES])
    expected = np.linalg.norm(colors[:, None] - palette[None], axis=-1).argmin(axis=1)
    np.testing.assert_array_equal(nearest_class(colors, CLASSES), expected)


def test_a_number_without_a_class_is_black() -> None:
    np.testing.assert_array_equal(class_colors(np.array([200], np.uint8), CLASSES), np.zeros((1, 3)))
