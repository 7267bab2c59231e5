"""Pictures -> an MP4 file by Blender's own encoder: frames in the sequencer of a scene of their own, which goes away afterwards.

In background mode as in a window. Selects nothing, pushes no undo step, and leaves the last render of the user's scene alone.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np

from ... import compat, typed
from ...shared.errors import InvalidInput
from ...shared.srgb import linear_to_srgb

NAME = "Relievo Film"
FADE_S, HOLD_S = 0.5, 1.0  # how long the finished picture takes to appear, and how long it stays


def save(path: Path, pictures: Iterable[np.ndarray], shape: tuple[int, int], fps: int) -> None:
    """Write pictures in linear light, float32 [rows, columns, 3] of this even shape, top row first, in the place of what is there
    once all is done. Raises InvalidInput in a Blender without an encoder, and where the file cannot be written.
    """
    if not compat.can_encode():
        raise InvalidInput(
            "This Blender was built without FFmpeg, so it encodes no films.",
            hint="`relievo.py painting timelapse` makes a GIF or PNG frames of saved strokes.",
        )
    if not path.parent.is_dir():
        raise InvalidInput(f"There is no folder {path.parent}.", hint="Choose another place for the film.")
    try:
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
            written = Path(folder) / f"film{path.suffix}"
            frames = _write_frames(Path(folder), pictures, shape)
            with _scene(frames, shape, fps) as scene:
                compat.output_as_film(scene, str(written))
                bpy.ops.render.render(animation=True, scene=scene.name)
            os.replace(written, path)
    except (OSError, RuntimeError) as error:
        raise InvalidInput(
            f"The film could not be written: {str(error).strip()}", hint="Check the folder and its free space."
        ) from error


def finished(last: np.ndarray, picture: np.ndarray | None, fps: int) -> Iterator[np.ndarray]:
    """How a film ends: the finished picture, appears over the last frame and stays; without one the last frame stays."""
    over = last if picture is None else _resized(picture, (last.shape[0], last.shape[1]))
    fade = max(1, round(FADE_S * fps))
    for number in range(fade + round(HOLD_S * fps)):
        share = min(1.0, (number + 1) / fade)
        yield last * (1 - share) + over * share


def _write_frames(folder: Path, pictures: Iterable[np.ndarray], shape: tuple[int, int]) -> list[Path]:
    """PNG files, with Blender's progress cursor."""
    manager = typed.present(bpy.context.window_manager)
    image = bpy.data.images.new(NAME, shape[1], shape[0])
    image.file_format = "PNG"
    pixels = np.ones((*shape, 4), np.float32)
    made = []
    manager.progress_begin(0, 10000)
    try:
        for number, picture in enumerate(pictures, 1):
            pixels[..., :3] = linear_to_srgb(np.clip(picture[::-1], 0.0, 1.0))
            typed.write_pixels(image, pixels)
            made.append(folder / f"{number:06d}.png")
            image.filepath_raw = str(made[-1])
            image.save()
            manager.progress_update(number)
    finally:
        manager.progress_end()
        bpy.data.images.remove(image)
    return made


@contextmanager
def _scene(frames: list[Path], shape: tuple[int, int], fps: int) -> Iterator[bpy.types.Scene]:
    """A scene whose sequencer shows the frames one after the other."""
    results = [image for image in bpy.data.images if image.type == "RENDER_RESULT"]
    scene = bpy.data.scenes.new(NAME)
    try:
        strip = compat.strips(scene).new_image(NAME, str(frames[0]), 1, 1)
        for frame in frames[1:]:
            strip.elements.append(frame.name)
        render, view = scene.render, typed.present(scene.view_settings)
        render.resolution_y, render.resolution_x, render.resolution_percentage = *shape, 100
        render.fps, render.fps_base = fps, 1.0
        render.use_sequencer, render.use_compositing = True, False
        scene.frame_start, scene.frame_end = 1, len(frames)
        look: Any = view
        look.view_transform = "Standard"  # colours are as they are seen already
        yield scene
    finally:
        bpy.data.scenes.remove(scene)
        if not results:  # nothing had been rendered in this file
            bpy.data.batch_remove([image for image in bpy.data.images if image.type == "RENDER_RESULT"])


def _resized(picture: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """[H, W, 3] at another size, by the mean over what each of its pixels covers."""
    for axis, side in enumerate(shape):
        sums = np.cumsum(picture, axis=axis, dtype=np.float64)
        sums = np.concatenate([np.zeros_like(sums.take([0], axis)), sums], axis=axis)
        edge = np.linspace(0.0, picture.shape[axis], side + 1)
        low = np.minimum(edge.astype(int), picture.shape[axis] - 1)
        rest = (edge - low).reshape((-1, 1, 1) if axis == 0 else (1, -1, 1))
        at_edges = sums.take(low, axis) * (1 - rest) + sums.take(low + 1, axis) * rest
        picture = np.diff(at_edges, axis=axis) * (side / picture.shape[axis])
    return picture.astype(np.float32)
