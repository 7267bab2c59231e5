"""A material's picture for the Asset Browser, made of its own maps: the colours, lit from the top left by its normals.

Blender renders previews of materials on a ball or a plane that has neither the size nor the UV map that a texture of ours goes by,
and without a window it may not have rendered them when the file is saved. This picture is there at once, and shows one repetition.
"""

from __future__ import annotations

import bpy
import numpy as np

from .. import typed
from ..shared.sampling import bilinear
from . import surface_nodes, texture_images

SIDE_PX = 256  # of Blender's large previews
LIGHT = np.array([-0.5, 0.5, 0.7]) / np.linalg.norm([-0.5, 0.5, 0.7])  # towards it; x right, y up


def renew(material: bpy.types.Material) -> None:
    """Give a material made here its picture. One without a base colour is left to Blender."""
    colors = _shown_by(material, surface_nodes.TEXTURE_NODE)
    if colors is None:
        return
    picture = np.ones((SIDE_PX, SIDE_PX, 4), np.float32)
    picture[..., :3] = texture_images.encoded(_light(colors) * _shade(material)[..., None])
    preview = typed.present(material.preview_ensure())
    preview.image_size = (SIDE_PX, SIDE_PX)  # pyright: ignore[reportAttributeAccessIssue]  # as for Image.size
    preview.image_pixels_float.foreach_set(picture.ravel())  # pyright: ignore[reportArgumentType, reportAttributeAccessIssue]


def _light(image: bpy.types.Image) -> np.ndarray:
    """Linear colours of the middle square, bottom row first as Blender's previews are."""
    pixels = _square(image)[..., :3]
    if typed.color_space(image) != "sRGB":
        return pixels
    return np.where(pixels <= 0.04045, pixels / 12.92, ((pixels + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1


def _shade(material: bpy.types.Material) -> np.ndarray:
    """[SIDE_PX, SIDE_PX], 1 where the surface is flat; 1 everywhere without a normal map."""
    normals = _shown_by(material, f"{surface_nodes.PREFIX}Normal")
    if normals is None:
        return np.ones((SIDE_PX, SIDE_PX))
    return np.clip((2.0 * _square(normals)[..., :3] - 1.0) @ LIGHT / LIGHT[2], 0.0, 1.6)


def _shown_by(material: bpy.types.Material, node: str) -> bpy.types.Image | None:
    found = typed.tree_of(material).nodes.get(node)
    image = found.image if isinstance(found, bpy.types.ShaderNodeTexImage) else None
    return image if image is not None and image.source != "TILED" and typed.size(image)[0] else None


def _square(image: bpy.types.Image) -> np.ndarray:
    """[SIDE_PX, SIDE_PX, C] of the middle square: the mean over whole pixels first, then linearly between centres."""
    columns, rows = typed.size(image)
    pixels = typed.read_pixels(image).reshape(rows, columns, -1)
    side = min(rows, columns)
    top, left = (rows - side) // 2, (columns - side) // 2
    pixels, step = pixels[top : top + side, left : left + side], max(1, side // SIDE_PX)
    kept = side // step * step
    pixels = pixels[:kept, :kept].reshape(kept // step, step, kept // step, step, -1).mean(axis=(1, 3))
    y, x = np.meshgrid(*2 * [(np.arange(SIDE_PX) + 0.5) / SIDE_PX * len(pixels)], indexing="ij")
    return bilinear(pixels, x.ravel(), y.ravel()).reshape(SIDE_PX, SIDE_PX, -1)
