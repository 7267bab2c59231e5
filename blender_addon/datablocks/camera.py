"""A posed camera as one of Blender's: its custom properties, its lens and where it stands.

Blender's camera holds a pinhole with square pixels. What it cannot hold goes into custom properties under the keys below.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix

from ..shared.cameras import Camera

PHOTOGRAPH_KEY = "relievo_photograph"  # path of the file as it was taken, where the backdrop is a straightened one
SIZE_KEY = "relievo_size"  # [width, height] px of that file
ASPECT_KEY = "relievo_pixel_aspect"  # fy / fx, where they differ
LENS_KEY, COEFFICIENTS_KEY = "relievo_lens", "relievo_lens_coefficients"  # of shared/cameras Distortion

SENSOR_MM = 36.0
UP = {
    "FILE": np.eye(3),
    "Y_UP": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -1.0], [0.0, 1.0, 0.0]]),  # as Blender's OBJ and glTF importers
    "Y_DOWN": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]]),
}


@dataclass(frozen=True, kw_only=True)
class Frame:
    """How the file's world comes into Blender's: turned by `up`, then scaled. scale: Blender units per unit of the file."""

    up: str = "FILE"
    scale: float = 1.0


def set_lens(data: bpy.types.Camera, camera: Camera) -> None:
    """Lens, sensor and shift of a camera's pinhole, to be drawn at its own size; fy / fx is the pixels' own affair."""
    data.type, data.sensor_fit = "PERSP", "HORIZONTAL"
    data.lens_unit = "MILLIMETERS"
    data.sensor_width = SENSOR_MM
    data.lens = camera.fx * SENSOR_MM / camera.width
    data.shift_x = (camera.width / 2.0 - camera.cx) / camera.width
    # a unit of shift is the frame's width, which in rows is that many times the pixels' aspect
    data.shift_y = (camera.cy - camera.height / 2.0) / (camera.width * camera.fy / camera.fx)


def matrix(camera: Camera, frame: Frame) -> Matrix:
    """Where Blender's camera stands: along -Z with +Y up, which is the photograph's turned half about x."""
    turn = UP[frame.up]
    world = np.eye(4)
    world[:3, :3] = turn @ camera.rotation.T @ np.diag([1.0, -1.0, -1.0])
    world[:3, 3] = turn @ camera.center * frame.scale
    return Matrix(world.tolist())


def frame_of(scene: bpy.types.Scene) -> tuple[float, float]:
    """Width and height of what the scene renders, in units that are square."""
    render = scene.render
    return render.resolution_x * render.pixel_aspect_x, render.resolution_y * render.pixel_aspect_y
