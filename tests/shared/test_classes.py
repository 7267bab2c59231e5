"""Colours to classes by a declared palette: a class keeps its number whatever else is in the picture."""

from __future__ import annotations

import numpy as np
import pytest

from shared.classes import class_colors, class_numbers, nearest_class
from shared.errors import InvalidInput
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


def test_a_colour_that_is_no_class_is_refused_with_its_count_and_place() -> None:
    numbers = np.random.default_rng(3).integers(0, len(CLASSES), (600, 700)).astype(np.uint8)
    levels = np.rint(class_colors(numbers, CLASSES) * 255) / 255  # as an image of 8 bits holds them
    np.testing.assert_array_equal(class_numbers(levels, CLASSES), numbers)
    levels[500, 20:23], levels[590, 699] = (0.2, 0.2, 0.2), (0.5, 0.5, 0.49)
    with pytest.raises(InvalidInput) as refused:
        class_numbers(levels, CLASSES, what="a.png", hint="Snap it.", field="a")
    assert "a.png: 4 of 420,000 pixels have a colour that is no class; the first is #333333 at x 20, y 500" in str(
        refused.value
    )
    assert (refused.value.hint, refused.value.field) == ("Snap it.", "a")
    snapped = class_numbers(levels, CLASSES, snap=True)
    np.testing.assert_array_equal(snapped, nearest_class(levels, CLASSES))


def test_a_number_without_a_class_is_black() -> None:
    np.testing.assert_array_equal(class_colors(np.array([200], np.uint8), CLASSES), np.zeros((1, 3)))
