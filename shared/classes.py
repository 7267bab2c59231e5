"""Colours to class numbers and back, by the palette that a port declares (Port.classes): the same in files and in Blender."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from .errors import InvalidInput

Classes = Sequence[tuple[str, tuple[float, float, float]]]

PIXELS_AT_ONCE = 1 << 18
EXACT = 1.01 / 255.0  # in each channel: rounding to 8 bits, and a colour space there and back, lose no more


def class_numbers(
    colors: np.ndarray,
    classes: Classes,
    *,
    snap: bool = False,
    what: str = "The image",
    hint: str = "",
    field: str = "",
) -> np.ndarray:
    """The number of the class that each colour stands for, for colours [H, W, 3] in sRGB 0..1, top row first: uint8 [H, W].

    snap: a colour that is no class counts as the nearest one, instead of being refused. what: the picture's name in the sentence.
    Raises InvalidInput with the count of such pixels and the first of them, x and y from the top left, then hint: how to snap.
    """
    numbers = nearest_class(colors, classes)
    if snap:
        return numbers
    count, first = _strangers(colors, numbers, classes)
    if not count:
        return numbers
    y, x = divmod(first, numbers.shape[1])
    many = "has a colour" if count == 1 else "have a colour"
    raise InvalidInput(
        f"{what}: {count:,} of {numbers.size:,} pixels {many} that is no class; the first is {hex_color(colors[y, x])} at x {x}, "
        f"y {y} from the top left.",
        hint=hint,
        field=field,
    )


def _strangers(colors: np.ndarray, numbers: np.ndarray, classes: Classes) -> tuple[int, int]:
    """How many of the colours are farther from their class than rounding goes, and the flat number of the first."""
    palette = np.array([rgb for _, rgb in classes], np.float32)
    flat, chosen = colors.reshape(-1, 3), numbers.reshape(-1)
    count, first = 0, -1
    for start in range(0, len(flat), PIXELS_AT_ONCE):
        part = slice(start, start + PIXELS_AT_ONCE)
        away = np.abs(flat[part] - palette[chosen[part]]).max(axis=1) > EXACT
        if first < 0 and away.any():
            first = start + int(away.argmax())
        count += int(np.count_nonzero(away))
    return count, first


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


def hex_color(color: Sequence[float] | np.ndarray) -> str:
    """ "#118DD7" for an sRGB colour 0..1."""
    return "#" + "".join(f"{round(255 * min(max(float(value), 0.0), 1.0)):02X}" for value in color)
