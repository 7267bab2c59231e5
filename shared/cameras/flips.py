"""Conventions that programs disagree on, and which of them puts a mesh back in front of its cameras.

The readers know what their formats mean; a file that was converted on the way, or a mesh that was turned when it was written, needs
one of these. Nothing is turned without being asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from ..errors import InvalidInput
from ..params import suggestion
from .camera import Camera
from .distortion import project
from .pose import OPENGL, inverted

MOST_POINTS, MOST_CAMERAS = 20000, 32  # that are looked at
BLIND = 0.5  # fewer of the cameras than this see anything: then something is wrong with the convention
SEEING = 0.9  # of the cameras must see something with a flip that is an answer
SHOWN = 0.05  # of the mesh's points in the mean frame, too
NEARLY = 0.25  # of the best: then the flip that comes first in FLIPS is the likelier one; by chance a wrong one may show more

_Y_UP_TO_Z_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]])


def _opengl(camera: Camera) -> Camera:
    return replace(camera, rotation=OPENGL @ camera.rotation, translation=OPENGL @ camera.translation)


def _inverted(camera: Camera) -> Camera:
    rotation, translation = inverted(camera.rotation, camera.translation)
    return replace(camera, rotation=rotation, translation=translation)


def _in_world(turn: np.ndarray) -> Callable[[Camera], Camera]:
    """The cameras in a world whose points are turn @ those that the cameras were posed in."""
    return lambda camera: replace(camera, rotation=camera.rotation @ turn.T)


_TURNS: dict[str, Callable[[Camera], Camera]] = {
    "opengl": _opengl,
    "inverted": _inverted,
    "opengl-inverted": lambda camera: _opengl(_inverted(camera)),
    "mesh-opengl": _in_world(OPENGL),
    "mesh-z-up": _in_world(_Y_UP_TO_Z_UP),
    "mesh-y-up": _in_world(_Y_UP_TO_Z_UP.T),
}

FLIPS: Mapping[str, str] = MappingProxyType(
    {
        "opengl": "the poses' cameras look along -z with y up",
        "inverted": "the poses map from camera to world",
        "opengl-inverted": "both of these hold, as for the matrices of Blender and NeRF",
        "mesh-opengl": "the mesh was written with y and z negated, as Meshroom does",
        "mesh-z-up": "the mesh was turned from y up to z up",
        "mesh-y-up": "the mesh was turned from z up to y up",
    }
)
"""name -> what it says of the cameras or of the mesh"""


def apply_flip(cameras: Iterable[Camera], name: str) -> tuple[Camera, ...]:
    """The cameras of the world that the mesh is in, if what FLIPS says of the name is so; "" leaves them as they are.

    Raises InvalidInput for an unknown name.
    """
    if not name:
        return tuple(cameras)
    if name not in _TURNS:
        raise InvalidInput(f"There is no flip {name!r}.", hint=suggestion(name, FLIPS), field="cameras")
    return tuple(_TURNS[name](camera) for camera in cameras)


def fitting_flip(cameras: Iterable[Camera], points: np.ndarray) -> str:
    """The flip that puts points [N, 3] of the mesh into the frames; "" where they are there already, or none does.

    Cameras of which most see something are right: each may show a small part of a large mesh, and another convention more of it.
    """
    cameras = tuple(cameras)
    cameras = cameras[:: -(-len(cameras) // MOST_CAMERAS) or 1]
    points = np.asarray(points, np.float64).reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=1)]
    points = points[:: -(-len(points) // MOST_POINTS) or 1]
    if not cameras or not len(points) or np.mean(shares_in_frame(cameras, points) > 0) >= BLIND:
        return ""
    shares = {name: shares_in_frame(apply_flip(cameras, name), points) for name in _TURNS}
    fits = {name: float(share.mean()) for name, share in shares.items() if np.mean(share > 0) >= SEEING}
    best = max(fits.values(), default=0.0)
    return next((name for name, share in fits.items() if share >= max(SHOWN, NEARLY * best)), "")


def shares_in_frame(cameras: Iterable[Camera], points: np.ndarray) -> np.ndarray:
    """For each camera the share of points [N, 3] that lie within its frame, hidden ones too."""
    shares = []
    for camera in cameras:
        pixels, _ = project(camera, points)
        with np.errstate(invalid="ignore"):
            seen = (pixels >= 0).all(axis=1) & (pixels[:, 0] <= camera.width) & (pixels[:, 1] <= camera.height)
        shares.append(float(seen.mean()))
    return np.array(shares)
