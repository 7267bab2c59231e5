"""Colours to class numbers and back, by the palette that a port declares (Port.classes), or by none: the same in files and in
Blender.
"""

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


def part_numbers(
    values: np.ndarray, *, snap: bool = False, what: str = "The image", hint: str = "", field: str = ""
) -> np.ndarray:
    """The parts of a picture that has one colour for each, whichever: uint8 [H, W].

    values: levels, [H, W] of grey or [H, W, 3] of colour, unsigned whole numbers. Grey levels up to 255 keep their numbers; higher
    ones, and colours, are numbered from 0 in ascending order. snap: colours that lie only along edges count as the nearest of the
    others, instead of being refused. Raises InvalidInput, with the count of colours, for soft edges and for too many parts.
    """
    flat = values.reshape(-1, 3).astype(np.uint64) if values.ndim == 3 else values.reshape(-1, 1).astype(np.uint64)
    packed = flat[:, 0] if flat.shape[1] == 1 else flat @ np.array([1 << 32, 1 << 16, 1], np.uint64)
    found, places, labels = np.unique(packed, return_index=True, return_inverse=True)
    labels = labels.reshape(values.shape[:2])
    count, highest = len(found), int(flat.max())
    solid = _solid(labels, count)
    soft = count - int(solid.sum())
    exact = flat.shape[1] == 1 and highest < 2 * count  # numbers of parts, and no levels of grey
    if soft > max(count - soft, 2) and not exact:
        if not snap or not solid.any():
            raise InvalidInput(
                f"{what} has {count:,} colours, {soft:,} of which lie only along edges: its edges are soft, or it was compressed.",
                hint=hint,
                field=field,
            )
        palette = flat[places].astype(np.float32)
        nearest = np.square(palette[:, None] - palette[None, solid]).sum(axis=2).argmin(axis=1)
        labels, count, exact = nearest[labels], int(solid.sum()), False
    elif flat.shape[1] == 1 and highest <= 255:
        return values.astype(np.uint8)
    if count > 256:
        raise InvalidInput(
            f"{what} has {count:,} colours; at most 256 parts are possible, each in one colour.", hint=hint, field=field
        )
    return labels.astype(np.uint8)


def _solid(labels: np.ndarray, count: int) -> np.ndarray:
    """Which labels have a block of 2 x 2 pixels somewhere: bool [count]."""
    solid = np.zeros(count, bool)
    first = labels[:-1, :-1]
    same = (first == labels[1:, :-1]) & (first == labels[:-1, 1:]) & (first == labels[1:, 1:])
    solid[first[same]] = True
    return solid


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
