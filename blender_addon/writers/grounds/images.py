"""The detail of a texture set as a packed image that terrain materials read, found again by what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import bpy
import numpy as np

from ... import typed
from ...shared import png
from . import detail
from .detail import Detail

SIGHT = 0.12  # of a set that does not say it
_KEY = "relievo_ground_detail"  # custom property of an image: digest of its pixels


@dataclass(frozen=True)
class Ground:
    """A texture set as a material wears it. tile_m: its width. relief_share: height range over tile_m. rough: how its roughness
    follows height and brightness. sight: how wide a tile may look from afar, over the distance.
    """

    image: bpy.types.Image
    tile_m: float
    strength: float
    relief_share: float
    mirrored: bool
    rough: tuple[float, float]
    sight: float = SIGHT


def ground(
    name: str,
    maps: Mapping[str, np.ndarray],
    *,
    tile_m: float,
    strength: float,
    relief_share: float = 0.0,
    sight: float = SIGHT,
) -> Ground:
    """What a material wears of a set's maps; relief_share: 0 where that is not known. name: for people, such as "Grass"."""
    found = detail.of(maps, relief_share=relief_share)
    image = _image(f"Relievo Ground {name}", found)
    return Ground(image, tile_m, strength, found.relief_share, found.mirrored, found.rough, sight)


def _image(name: str, made: Detail) -> bpy.types.Image:
    digest = hashlib.sha256(made.values.tobytes()).hexdigest()[:16]
    for image in bpy.data.images:
        if image.get(_KEY) == digest and image.library is None and image.packed_file is not None:
            return image
    file = png.encoded(made.values, level=png.FAST)
    image = bpy.data.images.new(name, 1, 1, alpha=True)
    image.pack(data=file, data_len=len(file))
    image.source = "FILE"
    image.alpha_mode = "CHANNEL_PACKED"
    typed.set_color_space(image, "Non-Color")
    image[_KEY] = digest
    return image
