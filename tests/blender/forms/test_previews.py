"""What is seen while an engine works: several ports at once, from coarse to fine, in each form that has something to show."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon.shared import texture_set
from blender_addon.shared.arrays import COLOR_IMAGE, Array, height_map
from blender_addon.writers import materials, textures
from blender_addon.writers.paintings import canvas_materials
from blender_addon.writers.table import WRITERS


def preview(side: int) -> dict:
    """Heights and colours of a slope [side, 2 side], and a set of maps in the same colour."""
    slope = np.linspace(0.0, 1.0, side * side * 2, dtype=np.float32).reshape(side, side * 2)
    colors = np.stack([slope, 0.5 * slope, 0.25 * slope], axis=-1)
    return {
        "height": (height_map(100.0 * slope, 10.0),),
        "albedo": (Array(COLOR_IMAGE, colors),),
        "material": (texture_set.stack({"base_color": colors, "roughness": slope}),),
    }


def first_pixel_row(image: bpy.types.Image) -> np.ndarray:
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)[-1, :, :3]


def shown_by(form: str, made: bpy.types.Object) -> bpy.types.Image:
    if form == "terrain":
        return materials.color_image_of(made)
    return textures.image_of(made.data.materials[0]) if form == "surface" else canvas_materials.picture_of(made)


@pytest.mark.parametrize("form", ["terrain", "surface", "painting"])
def test_a_stand_in_follows_all_of_its_ports(form: str) -> None:
    bpy.ops.mesh.primitive_plane_add()
    wall = bpy.context.active_object
    look = WRITERS[form].look(preview(4))
    assert look is not None
    made = look.make("Preview", {"uv_layer": "UVMap"}, wall if form == "surface" else None)
    assert made != wall
    untouched = look.fingerprint(made)
    assert look.fingerprint(made) == untouched
    fine = preview(16)
    look.update(made, fine)
    image = shown_by(form, made)
    assert tuple(image.size) == (32, 16)
    wanted = fine["albedo"][0].values[0]
    if form == "surface":  # as sRGB, in 8 bits
        wanted = np.where(wanted <= 0.0031308, 12.92 * wanted, 1.055 * wanted ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(first_pixel_row(image), wanted, atol=0.003)
    if form == "terrain":
        assert len(made.data.vertices) == 16 * 32
    look.leave(made)
    assert image.packed_file or image.packed_files, "what a person keeps is saved with the file"


def test_maps_have_no_stand_in_and_a_form_without_its_arrays_waits() -> None:
    assert WRITERS["maps"].look(preview(4)) is None
    assert WRITERS["terrain"].look({"albedo": (Array(COLOR_IMAGE, np.zeros((2, 2, 3), np.float32)),)}) is None
