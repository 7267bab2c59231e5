"""Posed cameras from every format that shared/cameras reads, and to Relievo's own cameras.json."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from backend.files.kinds import Reading, Writing
from backend.files.whole_files import storage_error
from shared import cameras
from shared.arrays import Array
from shared.cameras.flips import apply_flip


def read(path: Path, reading: Reading) -> Array:
    """The cameras whose photographs are there, in the order of the photographs, turned as --flip says."""
    found = cameras.read(path, files=[Path(item["path"]) for item in reading.photographs])
    pairs = zip(found.cameras, found.photographs, strict=True)
    chosen = [camera for camera, photograph in pairs if photograph is not None or not reading.photographs]
    array = cameras.to_array(apply_flip(chosen, reading.flip))
    cameras.from_array(array)  # raises for what is no camera
    return array


def write(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    try:
        cameras.write(cameras.from_array(array), path)
    except OSError as error:
        raise storage_error(path, error) from error
    return {path.name: {}}
