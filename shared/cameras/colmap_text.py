"""COLMAP's images.txt as people write it too: with or without the line of points under each image.

COLMAP writes two lines an image: its pose and name, and the points it sees, which may be an empty line. Poses that were written by
hand often leave the second out. A line is taken for what it is; nothing is skipped by counting.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

Image = tuple[str, int, Sequence[float], Sequence[float]]  # name, number of its lens, quaternion, translation

_POSE = 9  # words before the name: id, quaternion, translation, camera
_LOOKED_AT = 12  # words of a line of points: more than an image has before its name
UNIT_TOLERANCE = 0.05  # of a quaternion's length, where a line could be points as well


def rows(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are no comment, with their numbers from 1."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.lstrip().startswith("#"):
            yield number, line.strip()


def images(text: str) -> Iterator[Image]:
    """The images in the order of the file. Raises ValueError, with the line's number, for a line that is neither."""
    after_image = False  # the line may be the points of the image before it
    for number, line in rows(text):
        words = line.split(maxsplit=_POSE)
        if after_image and (not line or (_are_points(line) and not _is_surely_image(words))):
            after_image = False
        elif line:
            yield _image(words, number)
            after_image = True


def _image(words: Sequence[str], number: int) -> Image:
    if len(words) <= _POSE:
        raise ValueError(
            f"line {number} has {len(words)} words; an image has ID, QW QX QY QZ, TX TY TZ, CAMERA_ID, NAME"
        )
    try:
        numbers = [float(word) for word in words[1:8]]
        lens = int(words[8])
    except ValueError as error:
        commas = any("," in word for word in words[1:8])
        reason = "has decimal commas, where COLMAP has points" if commas else f"is no image: {error}"
        raise ValueError(f"line {number} {reason}") from error
    return words[9].strip(), lens, numbers[:4], numbers[4:]


def _are_points(line: str) -> bool:
    """X, Y and the number of the point in space, three by three. Only the first are looked at: there may be a hundred thousand."""
    words = line.split(maxsplit=_LOOKED_AT)[:_LOOKED_AT]
    return len(words) % 3 == 0 and all(map(_is_real, words)) and all(map(_is_integer, words[2::3]))


def _is_surely_image(words: Sequence[str]) -> bool:
    """For lines that read as points: an image whose name is a number, such as 7 in `1 1 0 0 0 0 0 5 1 7 8 9`."""
    if len(words) <= _POSE or not (_is_integer(words[0]) and _is_integer(words[8])):
        return False
    return math.isclose(math.hypot(*map(float, words[1:5])), 1.0, abs_tol=UNIT_TOLERANCE)


def _is_real(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _is_integer(word: str) -> bool:
    return word.lstrip("+-").isdigit()
