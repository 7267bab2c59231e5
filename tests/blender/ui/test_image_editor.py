"""The Image Editor's tab: a texture of the image that it shows, by the panels of the 3D view, shown in its place."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.datablocks import region
from blender_addon.link.job_records import Job
from blender_addon.placing import image_editors
from blender_addon.ui import image_panel
from blender_addon.writers import textures
from tests.blender.support import live_addon, paper

QUICK = {"width": 64, "height": 64, "steps": 4, "seed": 3}


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()
    bpy.context.scene.relievo.algorithm = "noise"  # another one is chosen in the 3D view
    for name, value in QUICK.items():
        setattr(bpy.context.scene.relievo.texture, name, value)


def photograph(name: str, color: tuple[float, float, float]) -> bpy.types.Image:
    """Stones of a colour in the left half, black ones in the right, 64 x 48 px."""
    grain = np.random.default_rng(0).uniform(0.5, 1.0, (48, 64, 1)).astype(np.float32)
    pixels = np.ones((48, 64, 4), np.float32)
    pixels[..., :3] = grain * np.asarray(color, np.float32) * (np.arange(64) < 32)[None, :, None]
    image = bpy.data.images.new(name, 64, 48)
    image.pixels.foreach_set(pixels.ravel())
    return image


def editor(image: bpy.types.Image) -> bpy.types.SpaceImageEditor:
    """An Image Editor that shows it."""
    areas = [area for screen in bpy.data.screens for area in screen.areas if area.type == "IMAGE_EDITOR"]
    space = areas[0].spaces.active
    space.image = image
    return space


class Shown:
    """The present context, in an Image Editor."""

    def __init__(self, space: bpy.types.SpaceImageEditor) -> None:
        self.space_data = space

    def __getattr__(self, name: str) -> Any:
        return getattr(bpy.context, name)


def drawn(space: bpy.types.SpaceImageEditor) -> list[str]:
    return [line for panel in image_panel.CLASSES for line in paper.draw(panel, Shown(space))]


def colors(image: bpy.types.Image) -> np.ndarray:
    values = np.empty(64 * 64 * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(-1, 4)[:, :3]


def test_a_texture_of_the_shown_image_takes_its_place_in_the_editor() -> None:
    image = photograph("Stones", (0.8, 0.1, 0.1))
    space, other = editor(image), bpy.data.images.new("Other", 8, 8)
    lines = drawn(space)
    assert {"Stones", "Draw Region", "Structure", "Texture", "Add Samples", "Mask"} <= set(lines), lines
    assert "It becomes an image and a material" in lines
    bpy.ops.relievo.draw_region(image="Stones", rectangle=(0, 0, 30, 48))
    bpy.ops.relievo.texture_from_image(image="Stones")
    (material,) = bpy.data.materials
    assert material.use_fake_user
    assert space.image == textures.image_of(material)
    assert colors(space.image)[:, 0].min() > 0.2, "of the region alone, which has nothing black"
    assert {"Repeat Image", "Texture from a Sample, seed 3"} <= set(drawn(space))
    assert bpy.context.scene.relievo.texture.from_exemplar.image is None, "the 3D view's picker is left alone"
    first = space.image
    assert "Stones" in drawn(space), "another texture is made from the same sample"
    bpy.ops.relievo.texture_from_image(image="Stones")
    assert space.image not in (first, image)
    space.image = other
    bpy.ops.relievo.texture_from_image(image="Stones")
    assert space.image == other, "what a person has turned to is left alone"


def test_on_request_the_selected_mesh_wears_it_and_more_samples_come_from_the_pickers() -> None:
    photograph("Grass", (0.1, 0.8, 0.1))
    space = editor(photograph("Stones", (0.8, 0.1, 0.1)))
    bpy.ops.mesh.primitive_plane_add()
    wall = bpy.context.active_object
    assert f"Put on {wall.name}" in drawn(space)
    bpy.ops.relievo.texture_from_image(image="Stones")
    assert textures.worn_by(wall) is None
    bpy.ops.relievo.add_input(algorithm="texture", port="exemplar")
    with pytest.raises(RuntimeError, match="no image is picked"):
        bpy.ops.relievo.texture_from_image(image="Stones")
    settings = bpy.context.scene.relievo.texture
    settings.model = "trained.safetensors"
    with pytest.raises(RuntimeError, match="the image would not be read"):
        bpy.ops.relievo.texture_from_image(image="Stones")
    settings.model = ""
    settings.more_exemplar[0].image = bpy.data.images["Grass"]
    for name in ("Stones", "Grass"):
        region.set_on(bpy.data.images[name], (0, 0, 30, 48))
    mask = bpy.data.images.new("Mask", 16, 16, is_data=True)
    mask.pixels.foreach_set(np.repeat((np.arange(256) % 16 > 7).astype(np.float32), 4))
    settings.from_mask.source, settings.from_mask.image, settings.transition = "IMAGE", mask, 4.0
    bpy.context.scene.relievo.output.wear = True
    bpy.ops.relievo.texture_from_image(image="Stones")
    made = colors(textures.image_of(textures.worn_by(wall))).reshape(64, 64, 3)
    assert made[:, 8:24, 0].mean() > 2 * made[:, 8:24, 1].mean(), "stones where the mask is black"
    assert made[:, 40:56, 1].mean() > 2 * made[:, 40:56, 0].mean(), "grass where it is white"


def test_previews_are_shown_repeated_and_what_was_shown_is_back_when_nothing_comes_of_them() -> None:
    sample, preview = photograph("Stones", (0.8, 0.1, 0.1)), bpy.data.images.new("Preview", 8, 8)
    space = editor(sample)
    purpose = {image_editors.EDITED: "Stones", "tiled_preview": True}
    job = Job(id="1", algorithm="texture", label="Texture 1", params={}, purpose=purpose)
    image_editors.follow(job, preview)
    assert (space.image, space.show_repeat) == (preview, True)
    assert "Stones" in drawn(space)
    bpy.data.images.remove(preview)
    image_editors.end(job)
    assert (space.image, space.show_repeat) == (sample, False)
