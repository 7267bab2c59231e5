"""The landscapes that come with Relievo, as the add-on finds and reads them: simulated by the project's own code."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import bpy

from .. import typed
from ..install.installation import payload_dir
from ..shared.arrays import Array
from ..shared.errors import InvalidInput
from . import images

SAVED_ORDER = (
    "alpine", "badlands", "canyon", "dunes", "glacial", "volcanic", "hills", "ridges", "mesas", "fans", "domes", "karst", "lava",
    "drumlins", "star-dunes",
)  # fmt: skip
"""Their places are the numbers that .blend files hold: a new landscape goes to the end, and none ever moves."""


FIRST = "first"  # the folder of the first edition, which older files and recipes mean


def _folder() -> Path:
    return payload_dir() / "backend" / "shipped" / "exemplars"


@cache
def names() -> tuple[str, ...]:
    """Read once: the folder is part of the add-on and draw() asks for it."""
    return tuple(sorted(path.stem for path in _folder().glob("*.tif")))


def items() -> list[tuple[str, str, str, str, int]]:
    """The landscapes as items of an enumeration, with numbers that never change."""
    order = [*SAVED_ORDER, *(name for name in names() if name not in SAVED_ORDER)]
    return [
        (name, name.replace("-", " ").title(), help_of(name).capitalize(), "NONE", order.index(name))
        for name in names()
    ]


@cache
def help_of(name: str) -> str:
    """What a landscape shows, in a few words."""
    return str(_recipe(name).get("help", ""))


@cache
def size_of(name: str) -> tuple[int, float]:
    """Pixels along a side and metres per pixel of a landscape; 0, 0.0 for a name that there is not. Read once."""
    if name not in names():
        return 0, 0.0
    recipe = _recipe(name)
    return int(recipe.get("side_px", 0)), float(recipe["pixel_size_m"])


def _recipe(name: str) -> dict[str, Any]:
    return json.loads((_folder() / f"{name}.json").read_text(encoding="utf-8"))


def read(name: str, edition: str = "") -> Array:
    """A shipped landscape as a HEIGHT_MAP, of the first edition where that is "1". Raises InvalidInput for a name that there is
    not."""
    folder = _folder() / FIRST if edition == "1" else _folder()
    path = folder / f"{name}.tif"
    if not path.is_file():
        there = sorted(path.stem for path in folder.glob("*.tif"))
        of = " in its first edition" if edition == "1" else ""
        raise InvalidInput(
            f"No landscape {name!r} comes with Relievo{of}.", hint=f"There are: {', '.join(there)}.", field=name
        )
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        typed.set_color_space(image, "Non-Color")
        recipe = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        return images.height_map(image, pixel_size_m=float(recipe["pixel_size_m"]))
    finally:
        bpy.data.images.remove(image)
