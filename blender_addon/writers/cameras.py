"""Posed photographs -> Blender's cameras: place, lens and shift, with the photograph behind them.

What Blender's camera cannot hold goes into custom properties (datablocks/camera.py), where readers/cameras.py finds it. The
photograph as it was taken is what the backend gets, whatever the backdrop shows. Selects nothing and pushes no undo step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from .. import typed
from ..datablocks.camera import (
    ASPECT_KEY,
    COEFFICIENTS_KEY,
    LENS_KEY,
    PHOTOGRAPH_KEY,
    SIZE_KEY,
    Frame,
    frame_of,
    matrix,
    set_lens,
)
from ..shared.cameras import Camera
from . import record

COLLECTION = "Cameras"


@dataclass(frozen=True, kw_only=True)
class Posed:
    """A camera and what is shown behind it. photograph: the file as it was taken, None where it was not found. backdrop: the
    picture to show, None to show the photograph itself.
    """

    camera: Camera
    photograph: Path | None = None
    backdrop: Path | None = None


def make(posed: Sequence[Posed], scene: bpy.types.Scene, frame: Frame | None = None) -> bpy.types.Collection:
    """New cameras in a new collection "Cameras" below the scene's collection Relievo, in the given order.

    Raises RuntimeError for a picture that Blender cannot open; then nothing is left of what was made.
    """
    frame = frame or Frame()
    above = record.collection_of(scene)
    collection = bpy.data.collections.new(COLLECTION)
    made: list[bpy.types.Object] = []
    spread = _spread([entry.camera for entry in posed]) * frame.scale
    try:
        for entry in posed:
            made.append(_object(entry, frame, scene, spread))
            collection.objects.link(made[-1])
    except Exception:
        for item in made:
            bpy.data.cameras.remove(typed.camera(item))  # and the object with it
        bpy.data.collections.remove(collection)
        if not above.objects and not above.children:
            bpy.data.collections.remove(above)
        raise
    above.children.link(collection)
    return collection


def _object(entry: Posed, frame: Frame, scene: bpy.types.Scene, spread: float) -> bpy.types.Object:
    camera = entry.camera
    data = bpy.data.cameras.new(Path(camera.name).stem)
    try:
        set_lens(data, camera)
        _remember(data, entry)
        data.display_size = spread / 20.0
        data.clip_start, data.clip_end = min(0.1, spread / 1000.0), max(1000.0, 100.0 * spread)
        shown = entry.backdrop or entry.photograph
        if shown is not None:
            show(data, bpy.data.images.load(str(shown), check_existing=True), camera, scene)
    except Exception:
        bpy.data.cameras.remove(data)
        raise
    item = bpy.data.objects.new(data.name, data)
    item.matrix_world = matrix(camera, frame)
    return item


def _remember(data: bpy.types.Camera, entry: Posed) -> None:
    camera = entry.camera
    data[SIZE_KEY] = [camera.width, camera.height]
    if camera.fy != camera.fx:
        data[ASPECT_KEY] = camera.fy / camera.fx
    if not camera.distortion.is_none:
        data[LENS_KEY] = camera.distortion.model
        data[COEFFICIENTS_KEY] = [float(value) for value in camera.distortion.coefficients]
    if entry.photograph is not None and entry.backdrop is not None:
        data[PHOTOGRAPH_KEY] = str(entry.photograph)


def show(data: bpy.types.Camera, image: bpy.types.Image, camera: Camera, scene: bpy.types.Scene) -> None:
    """The image behind the camera, as wide as its frame: sensor fit and image then agree at the scene's present render size."""
    aspect = camera.fy / camera.fx
    if aspect != 1.0:
        image.display_aspect = (1.0, 1.0 / aspect) if aspect <= 1.0 else (aspect, 1.0)
    backdrop = data.background_images.new()
    backdrop.image = image
    backdrop.display_depth = "FRONT"
    backdrop.alpha = 0.5
    wide, high = frame_of(scene)
    is_taller = camera.height / aspect / camera.width > high / wide
    backdrop.frame_method = "CROP" if is_taller else "FIT"
    data.show_background_images = True


def _spread(cameras: Sequence[Camera]) -> float:
    """How far apart the cameras stand, in the file's units; 1 for one alone."""
    centers = np.array([camera.center for camera in cameras])
    return float(np.linalg.norm(np.ptp(centers, axis=0))) or 1.0
