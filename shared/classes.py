"""Colours to class numbers and back, by the palette that a port declares (Port.classes): the same in files and in Blender."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

Classes = Sequence[tuple[str, tuple[float, float, float]]]

PIXELS_AT_ONCE = 1 << 18


def in_names(name: str) -> str:
    """A class's name as part of a file's or an attribute's: "Beach and Sand" is beach_and_sand."""
    return "_".join(re.findall(r"[^\W_]+", name.lower()))


def nearest_class(colors: np.ndarray, classes: Classes) -> np.ndarray:
    """The number of the class whose colour is nearest, for colours [..., 3] in sRGB 0..1: uint8 [...].

    Distance is the Euclidean one in sRGB, so that a palette's own colours are matched exactly, and one that compression or a soft
    brush has changed a little is matched to the class it came from. Of equally near classes the first one is taken.
    """
    palette = np.array([rgb for _, rgb in classes], np.float32)
    flat = np.ascontiguousarray(colors, np.float32).reshape(-1, 3)
    numbers = np.empty(len(flat), np.uint8)
    for start in range(0, len(flat), PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        # |c - p|² without |c|², which is the same for every class
        scores = np.square(palette).sum(axis=1) - 2.0 * (flat[part] @ palette.T)
        numbers[part] = scores.argmin(axis=1)
    return numbers.reshape(colors.shape[:-1])


def class_colors(numbers: np.ndarray, classes: Classes) -> np.ndarray:
    """sRGB colours [..., 3] float32 of class numbers [...]. A number without a class is black."""
    palette = np.zeros((256, 3), np.float32)
    palette[: len(classes)] = [rgb for _, rgb in classes]
    return palette[numbers]
