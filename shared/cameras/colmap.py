"""COLMAP's sparse models: cameras and images, as text or binary.

COLMAP counts pixels from the outer corner and poses map from world to camera (x right, y down, z forward), as here. Its
newer rigs and frames files repeat what the images file says; points are not read.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from ..read_files import read_bytes, read_text
from . import colmap_text
from .camera import FISHEYE, PERSPECTIVE, Camera, Distortion
from .colmap_text import Image
from .limits import MOST_BYTES
from .pose import posed, rotation_from_quaternion

MODELS = (  # by their number in the binary file: name, how many parameters
    ("SIMPLE_PINHOLE", 3),
    ("PINHOLE", 4),
    ("SIMPLE_RADIAL", 4),
    ("RADIAL", 5),
    ("OPENCV", 8),
    ("OPENCV_FISHEYE", 8),
    ("FULL_OPENCV", 12),
    ("FOV", 5),
    ("SIMPLE_RADIAL_FISHEYE", 4),
    ("RADIAL_FISHEYE", 5),
    ("THIN_PRISM_FISHEYE", 12),
    ("RAD_TAN_THIN_PRISM_FISHEYE", 16),
    ("SIMPLE_DIVISION", 4),
    ("DIVISION", 5),
    ("SIMPLE_FISHEYE", 3),
    ("FISHEYE", 4),
)
_ONE_FOCAL = {"SIMPLE_PINHOLE", "SIMPLE_RADIAL", "RADIAL", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "SIMPLE_FISHEYE"}
_FISHEYES = {"OPENCV_FISHEYE", "SIMPLE_RADIAL_FISHEYE", "RADIAL_FISHEYE", "SIMPLE_FISHEYE", "FISHEYE"}
_UNREAD = {"FOV", "THIN_PRISM_FISHEYE", "RAD_TAN_THIN_PRISM_FISHEYE", "SIMPLE_DIVISION", "DIVISION"}
_PARAMETERS = dict(MODELS)
_BYTES_A_POINT = 24  # of an image's points: x, y, and the number of the point in space


@dataclass(frozen=True)
class Lens:
    """What COLMAP calls a camera: one line of its cameras file."""

    model: str
    width: int
    height: int
    parameters: tuple[float, ...]


def parse(folder: Path) -> list[Camera]:
    """The cameras of a model's folder, in the order of its images. Raises InvalidInput."""
    ending = ".bin" if (folder / "cameras.bin").is_file() and (folder / "images.bin").is_file() else ".txt"
    lenses_path, images_path = folder / f"cameras{ending}", folder / f"images{ending}"
    for path in (lenses_path, images_path):
        if not path.is_file():
            raise InvalidInput(
                f"{folder} has no {path.name}; a COLMAP model has cameras and images side by side.",
                hint="Give the folder that has both, such as sparse/0.",
                field="cameras",
            )
    binary = ending == ".bin"
    with _broken_file(lenses_path):
        lenses = dict(_binary_lenses(lenses_path) if binary else _text_lenses(lenses_path))
    with _broken_file(images_path):
        images = list(_binary_images(images_path) if binary else _text_images(images_path))
    return [_camera(lenses, lens, quaternion, shift, name, images_path) for name, lens, quaternion, shift in images]


@contextmanager
def _broken_file(path: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, IndexError, struct.error) as error:
        raise InvalidInput(
            f"{path} cannot be read: it is damaged or cut short ({error}).", hint="Export it again.", field="cameras"
        ) from error


def _text_lenses(path: Path) -> Iterator[tuple[int, Lens]]:
    for row, line in colmap_text.rows(_text(path)):
        if line:
            number, model, width, height, *parameters = line.split()
            if any("," in word for word in parameters):
                raise ValueError(f"line {row} has decimal commas, where COLMAP has points")
            yield int(number), Lens(model, int(width), int(height), tuple(map(float, parameters)))


def _text_images(path: Path) -> Iterator[Image]:
    return colmap_text.images(_text(path))


def _text(path: Path) -> str:
    return read_text(path, field="cameras", most=MOST_BYTES)


def _binary_lenses(path: Path) -> Iterator[tuple[int, Lens]]:
    data = read_bytes(path, field="cameras", most=MOST_BYTES)
    (count,), at = struct.unpack_from("<Q", data), 8
    for _ in range(count):
        number, model, width, height = struct.unpack_from("<IiQQ", data, at)
        if not 0 <= model < len(MODELS):
            raise InvalidInput(f"{path} has a camera of the unknown model {model}.", hint=_hint(), field="cameras")
        name, parameters = MODELS[model]
        yield number, Lens(name, width, height, struct.unpack_from(f"<{parameters}d", data, at + 24))
        at += 24 + 8 * parameters


def _binary_images(path: Path) -> Iterator[Image]:
    data = read_bytes(path, field="cameras", most=MOST_BYTES)
    (count,), at = struct.unpack_from("<Q", data), 8
    for _ in range(count):
        *numbers, lens = struct.unpack_from("<7dI", data, at + 4)
        end = data.index(b"\0", at + 64)
        name = data[at + 64 : end].decode("utf-8")
        (points,) = struct.unpack_from("<Q", data, end + 1)
        at = end + 9 + points * _BYTES_A_POINT
        if at > len(data):
            raise ValueError(f"the points of {name} extend beyond its end")
        yield name, lens, numbers[:4], numbers[4:]


def _camera(
    lenses: dict[int, Lens], number: int, quaternion: Sequence[float], shift: Sequence[float], name: str, path: Path
) -> Camera:
    if number not in lenses:
        raise InvalidInput(
            f"{path} poses {name} with the camera {number}, which the cameras file does not have.",
            hint="Use both files of the same model.",
            field="cameras",
        )
    lens = lenses[number]
    if lens.model not in _PARAMETERS or lens.model in _UNREAD:
        raise InvalidInput(
            f"The camera of {name} is of the model {lens.model}, which is not supported.", hint=_hint(), field="cameras"
        )
    if len(lens.parameters) != _PARAMETERS[lens.model]:
        raise InvalidInput(
            f"The camera of {name} has {len(lens.parameters)} parameters; {lens.model} has {_PARAMETERS[lens.model]}.",
            field="cameras",
        )
    values = lens.parameters
    focal, rest = ((values[0], values[0]), values[1:]) if lens.model in _ONE_FOCAL else (values[:2], values[2:])
    return posed(
        name=name.replace("\\", "/"),
        size=(lens.width, lens.height),
        focal=(focal[0], focal[1]),
        center=(rest[0], rest[1]),
        rotation=rotation_from_quaternion(*quaternion),
        translation=np.array(shift),
        distortion=Distortion(FISHEYE if lens.model in _FISHEYES else PERSPECTIVE, tuple(rest[2:])),
    )


def _hint() -> str:
    return "Undistort the model with `colmap image_undistorter`, which makes PINHOLE cameras, or use OPENCV or FULL_OPENCV."
