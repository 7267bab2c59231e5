"""The .cam files of MVE and texrecon: NAME.cam beside NAME.jpg, two lines of numbers.

    tx ty tz R00 R01 R02 R10 R11 R12 R20 R21 R22
    f d0 d1 paspect ppx ppy

The pose maps from world to camera (x right, y down, z forward). f is divided by the larger side of the image, paspect is the
pixel's width by its height, ppx and ppy are divided by the image's width and height and count from its outer corner. d0 and d1 are
Bundler's radial factors, 1 + d0 r^2 + d1 r^4; d0 alone is VisualSFM's, which bends the other way and is refused (`texrecon`, help).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..read_files import read_text
from .camera import Camera, Distortion
from .limits import MOST_PLAIN_BYTES
from .photographs import Photographs
from .pose import posed

SUFFIX = ".cam"
_POSE, _LENS = 12, 6  # numbers


def files(folder: Path) -> list[Path]:
    """The camera files of a folder, by name."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.is_file())


def parse(paths: Sequence[Path], photographs: Photographs) -> list[Camera]:
    """A camera a file, for the photograph of its name; the size is the photograph's, so that one missing is left out."""
    made = []
    for path in paths:
        size, found = photographs.size(path.stem), photographs.find(path.stem)
        if size is not None and found is not None:
            made.append(_camera(path, found.name, size))
    return made


def _camera(path: Path, name: str, size: tuple[int, int]) -> Camera:
    values = _numbers(path)
    flen, d0, d1, aspect, x, y = values[_POSE:].tolist()
    if d0 and not d1:
        raise InvalidInput(
            f"{path} has one distortion coefficient, which stands for VisualSFM's lens; that is not supported.",
            hint="Undistort the photographs and write 0 for d0, or give two coefficients of Bundler's lens.",
            field="cameras",
        )
    if not aspect > 0:
        raise InvalidInput(f"{path} has the pixel aspect {aspect:g}; it must be above 0.", field="cameras")
    width, height = size
    fx, fy = (
        (flen * height / aspect, flen * height) if width * aspect < height else (flen * width, flen * width * aspect)
    )
    return posed(
        name=name,
        size=size,
        focal=(fx, fy),
        center=(x * width, y * height),
        rotation=values[3:_POSE].reshape(3, 3),
        translation=values[:3],
        distortion=Distortion(coefficients=(d0, d1)),
    )


def _numbers(path: Path) -> np.ndarray:
    words = read_text(path, field="cameras", most=MOST_PLAIN_BYTES).split()
    try:
        values = np.array(words, np.float64)
    except ValueError as error:
        raise InvalidInput(f"{path} has a word that is not a number ({error}).", field="cameras") from error
    if len(values) != _POSE + _LENS:
        raise InvalidInput(
            f"{path} has {len(values)} numbers; a .cam file has {_POSE} of the pose and {_LENS} of the lens.",
            hint="Line 1: tx ty tz R00 ... R22. Line 2: f d0 d1 paspect ppx ppy.",
            field="cameras",
        )
    return values
