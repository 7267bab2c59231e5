"""The landscapes that come with Relievo, as the add-on finds and reads them: simulated by the project's own code."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import bpy

from .draw import images
from .process import payload_dir
from .shared.arrays import Array
from .shared.errors import InvalidInput


def _folder() -> Path:
    return payload_dir() / "backend" / "exemplars"


@cache
def names() -> tuple[str, ...]:
    """Read once: the folder is part of the add-on and draw() asks for it."""
    return tuple(sorted(path.stem for path in _folder().glob("*.tif")))


def read(name: str) -> Array:
    """A shipped landscape as a HEIGHT_MAP. Raises InvalidInput for a name that there is not."""
    path = _folder() / f"{name}.tif"
    if not path.is_file():
        raise InvalidInput(
            f"No landscape {name!r} comes with Relievo.", hint=f"There are: {', '.join(names())}.", field=name
        )
    recipe = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        return images.height_map(image, pixel_size_m=float(recipe["pixel_size_m"]))
    finally:
        bpy.data.images.remove(image)
