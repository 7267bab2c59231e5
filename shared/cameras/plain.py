"""The plain camera files of NeuralTexGen: ID.txt with a 4 x 4 pose and a 4 x 4 matrix of intrinsics, by rows.

The pose is taken as world-to-camera (x right, y down, z forward); a set written the other way is what --flip is for. Intrinsics
count from pixel centres, as the renderer that wrote them does, and are moved by half a pixel.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..read_files import read_text
from .camera import Camera
from .limits import MOST_PLAIN_BYTES
from .photographs import Photographs
from .pose import posed

NUMBERS = 32
PIXEL_CENTER = 0.5


def is_plain(path: Path) -> bool:
    """Whether a .txt file holds the 32 numbers of a camera."""
    try:
        words = _text(path).split()
        return len(words) == NUMBERS and bool(np.array(words[:4], float).size)
    except (ValueError, OSError, InvalidInput):
        return False


def _text(path: Path) -> str:
    return read_text(path, field="cameras", most=MOST_PLAIN_BYTES)


def files(folder: Path) -> list[Path]:
    """The camera files of a folder, in the order of their numbers (2 before 10)."""
    return sorted((path for path in folder.glob("*.txt") if is_plain(path)), key=lambda path: _order(path.stem))


def parse(paths: Sequence[Path], photographs: Photographs) -> list[Camera]:
    """A camera a file, for the photograph of its name; the size is the photograph's, so that one missing is left out."""
    made = []
    for path in paths:
        size = photographs.size(path.stem)
        found = photographs.find(path.stem)
        if size is not None and found is not None:
            made.append(_camera(path, found.name, size))
    return made


def _camera(path: Path, name: str, size: tuple[int, int]) -> Camera:
    values = _numbers(path)
    pose, lens = values[:16].reshape(4, 4), values[16:].reshape(4, 4)
    if not np.allclose(pose[3], (0, 0, 0, 1)):
        raise InvalidInput(
            f"{path} has a pose whose last row is not 0 0 0 1.", hint="Matrices go by rows.", field="cameras"
        )
    if lens[0, 1] or not np.isfinite(lens).all():
        raise InvalidInput(f"{path} has intrinsics with a skew, or without numbers.", field="cameras")
    return posed(
        name=name,
        size=size,
        focal=(lens[0, 0], lens[1, 1]),
        center=(lens[0, 2] + PIXEL_CENTER, lens[1, 2] + PIXEL_CENTER),
        rotation=pose[:3, :3],
        translation=pose[:3, 3],
    )


def _numbers(path: Path) -> np.ndarray:
    try:
        return np.array(_text(path).split(), float)
    except ValueError as error:
        raise InvalidInput(f"{path} has a word that is not a number ({error}).", field="cameras") from error


def _order(stem: str) -> tuple[int, int, str]:
    return (0, int(stem), stem) if stem.isdigit() else (1, 0, stem)
