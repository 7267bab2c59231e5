"""Bundler's bundle.out (version 0.3) with the list of its photographs.

Its cameras look along -z with y up; the picture's origin is its middle; the radial factor 1 + k1 r^2 + k2 r^4 is that of
PERSPECTIVE. The file tells no size, so that the photographs must be there (Snavely, Bundler user's manual, "Output format").
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..read_files import read_text
from .camera import Camera, Distortion
from .limits import MOST_BYTES
from .photographs import Photographs
from .pose import OPENGL, posed

SIGNATURE = "# Bundle file v0.3"
LISTS = ("list.txt", "image_list.txt", "pictures.txt")
_NUMBERS = 15  # of a camera: f k1 k2, rotation by rows, translation


def parse(path: Path, photographs: Photographs) -> list[Camera]:
    """The cameras that Bundler could pose, in the list's order; those with a focal length of 0 it could not.

    A camera whose photograph is missing has no size and is left out; photographs.missing then names it. Raises InvalidInput.
    """
    names = _names(path)
    lines = read_text(path, field="cameras", most=MOST_BYTES).split("\n", 1)
    if not lines[0].startswith(SIGNATURE):
        raise InvalidInput(
            f"{path} is a Bundler file of another version ({lines[0].strip('# ')}).",
            hint="Version 0.3 is supported.",
            field="cameras",
        )
    try:
        lines = [lines[0], _without_comments(lines[1])]
        count = int(lines[1].split(maxsplit=1)[0])
        words = lines[1].split(maxsplit=2 + count * _NUMBERS)  # the points after them may be millions
        numbers = np.array(words[2 : 2 + count * _NUMBERS], float)
        cameras = numbers.reshape(count, _NUMBERS)
    except (ValueError, IndexError) as error:
        raise InvalidInput(
            f"{path} is damaged or cut short ({error}).", hint="Export it again.", field="cameras"
        ) from error
    if len(names) != count:
        raise InvalidInput(
            f"{path} has {count} cameras and its list {len(names)} photographs.",
            hint="Use both from the same run.",
            field="cameras",
        )
    made = [_camera(row, name, photographs) for row, name in zip(cameras, names, strict=True) if row[0] != 0]
    return [camera for camera in made if camera is not None]


def _without_comments(text: str) -> str:
    """Comments stand only before the numbers."""
    while text.lstrip().startswith("#"):
        text = text.lstrip().partition("\n")[2]
    return text


def list_of(path: Path) -> Path:
    """The file that names the photographs: beside the bundle, or one folder up, as Bundler leaves it."""
    folders = (path.parent, path.parent.parent)
    for folder in folders:
        for name in (*LISTS, path.stem + ".list.txt"):
            if (folder / name).is_file():
                return folder / name
    raise InvalidInput(
        f"{path} has no list of photographs beside it.", hint="Put Bundler's list.txt there.", field="cameras"
    )


def _names(path: Path) -> list[str]:
    """The first word of a line is the name; a focal length from EXIF may follow: "IMG_1.jpg 0 1520.4"."""
    names = []
    for line in read_text(list_of(path), field="cameras", most=MOST_BYTES).split("\n"):
        words = line.split()
        if len(words) >= 3 and words[-2] == "0":
            words = words[:-2]
        if words and not words[0].startswith("#"):
            names.append(" ".join(words).removeprefix("./"))
    return names


def _camera(row: np.ndarray, name: str, photographs: Photographs) -> Camera | None:
    size = photographs.size(name)
    if size is None:
        return None
    return posed(
        name=name.replace("\\", "/"),
        size=size,
        focal=(row[0], row[0]),
        center=(size[0] / 2, size[1] / 2),
        rotation=OPENGL @ row[3:12].reshape(3, 3),
        translation=OPENGL @ row[12:15],
        distortion=Distortion(coefficients=(float(row[1]), float(row[2]))),
    )
