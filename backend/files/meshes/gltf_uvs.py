"""At which UVs a glTF material shows its texture: of which set, and how KHR_texture_transform moves them.

UVs are glTF's own here, v down. The base colour's texture counts where there is one, as the texture of a scan is to take its place;
gltfpack and others keep quantised UVs that make sense only with the transform.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

TRANSFORM = "KHR_texture_transform"
_SPECULAR = "KHR_materials_pbrSpecularGlossiness"
NEAR = 1e-4  # of a texture; how far UVs may reach over a square by rounding


@dataclass(frozen=True)
class Coordinates:
    """set: the number of the TEXCOORD attribute. moved() as the extension says: scaled, rotated (radians), then shifted."""

    set: int = 0
    offset: tuple[float, float] = (0.0, 0.0)
    rotation: float = 0.0
    scale: tuple[float, float] = (1.0, 1.0)

    def moved(self, uvs: np.ndarray) -> np.ndarray:
        """[N, 2]. A rotation turns counter-clockwise as seen, v down: as three.js, Blender and the sample viewer do."""
        if self == Coordinates(set=self.set):
            return uvs
        u, v = uvs[:, 0] * self.scale[0], uvs[:, 1] * self.scale[1]
        c, s = math.cos(self.rotation), math.sin(self.rotation)
        return np.stack([c * u + s * v + self.offset[0], -s * u + c * v + self.offset[1]], axis=1)


def texture_coordinates(document: dict[str, Any], primitive: dict[str, Any]) -> Coordinates:
    """Those of the primitive's material: of its base colour, else of the first of its textures."""
    if "material" not in primitive:
        return Coordinates()
    material = document["materials"][primitive["material"]]
    surface, specular = material.get("pbrMetallicRoughness", {}), material.get("extensions", {}).get(_SPECULAR, {})
    candidates = (
        surface.get("baseColorTexture"),
        specular.get("diffuseTexture"),
        material.get("normalTexture"),
        surface.get("metallicRoughnessTexture"),
        material.get("emissiveTexture"),
        material.get("occlusionTexture"),
    )
    texture = next((candidate for candidate in candidates if candidate), None)
    if texture is None:
        return Coordinates()
    transform = texture.get("extensions", {}).get(TRANSFORM, {})
    scale, offset = transform.get("scale", (1.0, 1.0)), transform.get("offset", (0.0, 0.0))
    return Coordinates(
        set=int(transform.get("texCoord", texture.get("texCoord", 0))),
        offset=(float(offset[0]), float(offset[1])),
        rotation=float(transform.get("rotation", 0.0)),
        scale=(float(scale[0]), float(scale[1])),
    )


def in_one_square(uvs: np.ndarray) -> np.ndarray:
    """UVs (v up) that all lie in one unit square left of or below the first are moved into that: a texture repeats, and a rotation
    alone puts them there."""
    known = uvs[np.isfinite(uvs).all(axis=1)]
    if not len(known):
        return uvs
    low, high = np.floor(known.min(axis=0) + NEAR), np.ceil(known.max(axis=0) - NEAR)
    if (low >= 0).all() or (high - low > 1).any():
        return uvs
    return uvs - low
