"""OpenMVS's scenes in its exchange format (.mvs that begins with MVSI): platforms with their cameras and poses, and images.

Poses map from world to camera (x right, y down, z forward) by R (X - C); a camera may be mounted on its platform with a pose of
its own. K counts from pixel centres, whole numbers are such; without a resolution it is divided by the larger side of the image.
Little-endian; lists and texts have their length first, in 64 bits (OpenMVS, libs/MVS/Interface.h: format of versions 1 to 7).
Points, lines and depth ranges are not read. OpenMVS knows no distortion.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from ..errors import InvalidInput
from ..read_files import read_bytes
from .camera import Camera
from .limits import MOST_BYTES
from .photographs import Photographs
from .pose import posed

SIGNATURE, OWN_SIGNATURE = b"MVSI", b"MVS\0"
NEWEST = 7
_NONE = 0xFFFFFFFF  # the number of what an image does not have
_PIXEL_CENTER = 0.5
_SCORE_BYTES = 24  # of one neighbour of an image
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Pose:
    rotation: np.ndarray
    center: np.ndarray

    def on(self, platform: _Pose) -> _Pose:
        """This pose in the space of a platform that stands so in the world."""
        return _Pose(self.rotation @ platform.rotation, platform.center + platform.rotation.T @ self.center)


@dataclass(frozen=True)
class _Lens:
    width: int
    height: int
    k: np.ndarray
    pose: _Pose


@dataclass(frozen=True)
class _Platform:
    lenses: list[_Lens]
    poses: list[_Pose]


@dataclass(frozen=True)
class _Image:
    name: str
    platform: int
    lens: int
    pose: int


def parse(path: Path, photographs: Photographs) -> list[Camera]:
    """The cameras of the images that have a pose, in their order. One whose lens has no size is left out where its photograph is
    missing. Raises InvalidInput."""
    data = read_bytes(path, field="cameras", most=MOST_BYTES)
    if data.startswith(OWN_SIGNATURE):
        raise InvalidInput(
            f"{path} is a project in OpenMVS's own format, which changes with its version and is not supported.",
            hint="Save it in the exchange format: run the OpenMVS program with --archive-type -1.",
            field="cameras",
        )
    try:
        reader = _Reader(data)
        platforms = reader.items(reader.platform)
        images = reader.items(reader.image)
    except (struct.error, ValueError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"{path} cannot be read: it is damaged or cut short ({error}).", hint="Export it again.", field="cameras"
        ) from error
    if reader.version > NEWEST:
        raise InvalidInput(
            f"{path} has version {reader.version} of OpenMVS's format; versions up to {NEWEST} are supported.",
            field="cameras",
        )
    made = [_camera(image, platforms, path, photographs) for image in images if image.pose != _NONE]
    return [camera for camera in made if camera is not None]


class _Reader:
    """The values of a file in turn."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = len(SIGNATURE)
        self.version, _ = self._unpack("<2I")

    def items(self, one: Callable[[], _T]) -> list[_T]:
        """A list; every item takes some bytes, so that a count beyond the file's end is known at once."""
        (count,) = self._unpack("<Q")
        if self.version > NEWEST:
            return []
        if count > len(self._data) - self._at:
            raise ValueError(f"a list of {count} items extends beyond its end")
        return [one() for _ in range(count)]

    def platform(self) -> _Platform:
        self._text()
        return _Platform(self.items(self._lens), self.items(self._pose))

    def image(self) -> _Image:
        name = self._text()
        if self.version > 4:
            self._text()  # its mask
        platform, lens, pose = self._unpack("<3I")
        self._unpack("<I" if self.version > 2 else "<")
        if self.version > 6:
            self._unpack("<3f")
            (neighbours,) = self._unpack("<Q")
            self._skip(neighbours * _SCORE_BYTES)
        return _Image(name.replace("\\", "/"), platform, lens, pose)

    def _lens(self) -> _Lens:
        self._text()
        if self.version > 3:
            self._text()  # its band
        width, height = self._unpack("<2I") if self.version > 0 else (0, 0)
        return _Lens(width, height, self._matrix(), self._pose())

    def _pose(self) -> _Pose:
        return _Pose(self._matrix(), np.array(self._unpack("<3d")))

    def _matrix(self) -> np.ndarray:
        return np.array(self._unpack("<9d")).reshape(3, 3)

    def _text(self) -> str:
        (length,) = self._unpack("<Q")
        start = self._at
        self._skip(length)
        return self._data[start : self._at].decode("utf-8")

    def _skip(self, count: int) -> None:
        if count > len(self._data) - self._at:
            raise ValueError(f"{count} bytes extend beyond its end")
        self._at += count

    def _unpack(self, form: str) -> tuple:
        found = struct.unpack_from(form, self._data, self._at)
        self._at += struct.calcsize(form)
        return found


def _camera(image: _Image, platforms: list[_Platform], path: Path, photographs: Photographs) -> Camera | None:
    try:
        platform = platforms[image.platform]
        lens, pose = platform.lenses[image.lens], platform.poses[image.pose]
    except IndexError as error:
        raise InvalidInput(
            f"{path} refers for {image.name} to a camera or pose that it does not have.",
            hint="Export it again.",
            field="cameras",
        ) from error
    size = (lens.width, lens.height) if lens.width and lens.height else photographs.size(image.name)
    if size is None:
        return None
    if lens.k[0, 1]:
        raise InvalidInput(
            f"{path} has a camera with a skew for {image.name}, which is not supported.", field="cameras"
        )
    scale = 1.0 if lens.width and lens.height else float(max(size))
    center = (lens.k[:2, 2] + _PIXEL_CENTER) * scale
    if scale != 1.0 and not lens.k[:2, 2].any():
        center = np.array(size) / 2.0  # not given: the middle
    placed = lens.pose.on(pose)
    return posed(
        name=image.name,
        size=size,
        focal=(lens.k[0, 0] * scale, lens.k[1, 1] * scale),
        center=(center[0], center[1]),
        rotation=placed.rotation,
        translation=-placed.rotation @ placed.center,
        position=placed.center,
    )
