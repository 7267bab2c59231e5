"""The ground textures that come with Relievo, as the add-on finds and reads them: drawn by the project's own code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import bpy
import numpy as np

from ..install.installation import payload_dir
from ..shared.errors import InvalidInput
from . import images

SAVED_ORDER = ("grass", "rock", "scree", "sand", "snow")
"""Their places are the numbers that .blend files hold: a new one goes to the end, and none ever moves."""


@dataclass(frozen=True)
class Shipped:
    """tile_m: width of the tile. relief_m: from its lowest to its highest point. sight: how wide the tile may look from afar, over
    the distance.
    """

    help: str
    tile_m: float
    relief_m: float
    sight: float


def _folder() -> Path:
    return payload_dir() / "backend" / "shipped" / "grounds"


@cache
def about(name: str) -> Shipped:
    """What is known of a ground without its pixels. Raises InvalidInput for a name that there is not."""
    path = _folder() / f"{name}.json"
    if name not in SAVED_ORDER or not path.is_file():
        raise InvalidInput(
            f"No texture {name!r} comes with Relievo.", hint=f"There are: {', '.join(SAVED_ORDER)}.", field=name
        )
    found = json.loads(path.read_text(encoding="utf-8"))
    return Shipped(str(found["help"]), float(found["tile_m"]), float(found["relief_m"]), float(found["sight"]))


def read(name: str) -> dict[str, np.ndarray]:
    """The maps of a ground, float32 [H, W, C] by the names of shared/texture_set.py: linear colours, height 0..1, roughness.

    Raises InvalidInput for a name that there is not.
    """
    about(name)
    height, roughness = _numbers(f"{name}-height.png"), _numbers(f"{name}-roughness.jpg")
    return {"base_color": _colors(name), "height": height, "roughness": roughness}


def _colors(name: str) -> np.ndarray:
    image = bpy.data.images.load(str(_folder() / f"{name}-color.jpg"), check_existing=False)
    try:
        return images.color_image(image).values
    finally:
        bpy.data.images.remove(image)


def _numbers(file: str) -> np.ndarray:
    image = bpy.data.images.load(str(_folder() / file), check_existing=False)
    try:
        return images.channel(image, 0)[..., None]
    finally:
        bpy.data.images.remove(image)
