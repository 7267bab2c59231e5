"""Photographs as a pinhole would have taken them, where the lens bends them: pictures to look at behind a camera.

Blender shows a background image as it is, and straight lines of the mesh would miss the bent ones of the photograph. A backdrop is
for the eye: no longer than SIDE_PX, kept as a file under a name that tells what it was made from, so that it is made once.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path

import bpy
import numpy as np

from .. import typed
from ..shared import png
from ..shared.cameras import Camera
from ..shared.cameras.distortion import undistorted
from ..shared.errors import InvalidInput

SIDE_PX = 2048
FOLDER = "relievo_backdrops"  # beside the .blend


def folder(cache: Path) -> Path:
    """Where backdrops are kept: beside the .blend, or in the cache while it has no place of its own."""
    return Path(bpy.data.filepath).parent / FOLDER if bpy.data.filepath else cache / FOLDER


def make(photograph: Path, camera: Camera, into: Path) -> Path:
    """The file with the straightened photograph, made unless it is there.

    Raises InvalidInput for a photograph that Blender cannot decode, OSError for a folder that cannot be written.
    """
    status = photograph.stat()
    lens = [camera.distortion.model, *camera.distortion.coefficients, camera.fx, camera.fy, camera.cx, camera.cy]
    identity = json.dumps([str(photograph), status.st_mtime_ns, status.st_size, SIDE_PX, *lens])
    path = into / f"{photograph.stem}-{hashlib.sha256(identity.encode()).hexdigest()[:12]}.jpg"
    if not path.is_file():
        into.mkdir(parents=True, exist_ok=True)
        pixels, _ = _pixels(photograph, longest_px=SIDE_PX)
        part = path.with_suffix(".part.jpg")
        _write_jpeg(undistorted(pixels, camera)[0], part)
        part.replace(path)
    return path


def straightened(data: np.ndarray, camera: Camera) -> np.ndarray:
    """A photograph's file (bytes, uint8 [N]) at its full size as the bytes of a PNG of what a pinhole would have taken."""
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "photograph"
        path.write_bytes(data.data)
        pixels, is_float = _pixels(path)
        return png.from_values(undistorted(pixels, camera)[0], bits=16 if is_float else 8)


def _pixels(path: Path, *, longest_px: int = 0) -> tuple[np.ndarray, bool]:
    """float32 [H, W, 3] as the file stores them, top row first, and whether that is finer than 8 bits."""
    try:
        image = bpy.data.images.load(str(path))
    except RuntimeError as error:
        raise InvalidInput(
            f"The photograph {path.name} cannot be read: {str(error).strip()}", field=path.name
        ) from error
    try:
        typed.set_color_space(image, "Non-Color")
        if not typed.size(image)[0]:
            raise InvalidInput(f"The photograph {path.name} cannot be decoded.", hint="Copy it again.", field=path.name)
        longest = max(typed.size(image))
        if longest_px and longest > longest_px:
            image.scale(*(max(1, round(side * longest_px / longest)) for side in typed.size(image)))
        values = typed.read_pixels(image)
        columns, rows = typed.size(image)
        return values.reshape(rows, columns, image.channels)[::-1, :, :3], image.is_float
    finally:
        bpy.data.images.remove(image)


def _write_jpeg(pixels: np.ndarray, path: Path) -> None:
    """Values 0..1 [H, W, 3], stored as they are. Raises OSError."""
    rows, columns = pixels.shape[:2]
    image = bpy.data.images.new(path.name, columns, rows, alpha=False)
    try:
        full = np.ones((rows, columns, 4), np.float32)
        full[..., :3] = pixels[::-1]
        typed.write_pixels(image, full)
        image.filepath_raw, image.file_format = str(path), "JPEG"
        image.save(quality=92)
    except RuntimeError as error:
        raise OSError(f"{path} cannot be written: {str(error).strip()}") from error
    finally:
        bpy.data.images.remove(image)
