"""Textures from samples by the operators of Blender: from an image, from a material, from several, as a person picks them."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon import compat, requests
from blender_addon.inputs import sources
from blender_addon.readers.source import Source
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import algorithms
from blender_addon.ui import input_panel, panels
from blender_addon.writers import surface_nodes, textures
from tests.blender.support import live_addon, paper

ENGINE = "texture"
QUICK = {"width": 64, "height": 64, "steps": 4, "seed": 3}


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()


def photograph(name: str, *, hue: int = 0, side: int = 48, is_kept: bool = True) -> bpy.types.Image:
    """Stones in one hue, an 8-bit sRGB image; is_kept: saved with the file whatever happens."""
    rng = np.random.default_rng(hue)
    waves = sum(np.sin(rng.uniform(0.2, 0.9, 2) @ np.mgrid[0:side, 0:side].reshape(2, -1) + n) for n in range(6))
    bright = np.clip(0.5 + 0.12 * waves.reshape(side, side), 0, 1)
    pixels = np.ones((side, side, 4), np.float32)
    pixels[..., :3] = 0.3 * bright[..., None]
    pixels[..., hue] = bright
    image = bpy.data.images.new(name, side, side)
    image.pixels.foreach_set(pixels.ravel())
    if is_kept:
        image.pack()
        image.use_fake_user = True  # nothing that is saved uses it
    return image


def plain_material(name: str) -> bpy.types.Material:
    """Colour and roughness from images of its own."""
    material = bpy.data.materials.new(name)
    tree = compat.use_nodes(material)
    shader = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    for hue, socket in enumerate(("Base Color", "Roughness")):
        node = tree.nodes.new("ShaderNodeTexImage")
        node.image = photograph(f"{name} {socket}", hue=hue)
        node.image.colorspace_settings.name = "Non-Color" if hue else "sRGB"
        tree.links.new(node.outputs["Color"], shader.inputs[socket])
    return material


def wall() -> bpy.types.Object:
    bpy.ops.mesh.primitive_plane_add(size=4.0)
    bpy.context.active_object.name = "Wall"
    return bpy.context.active_object


def labels(material: bpy.types.Material) -> set[str]:
    return {node.label for node in material.node_tree.nodes if node.type == "TEX_IMAGE"}


def test_an_image_becomes_a_tiling_material_on_the_active_mesh(tmp_path: Path) -> None:
    photograph("Stones")
    item = wall()
    assert bpy.ops.relievo.texture(exemplar="Stones", **QUICK) == {"FINISHED"}
    material = textures.worn_by(item)
    assert labels(material) == {"Base Color", "Height", "Normal"}
    assert surface_nodes.TILE_WIDTH_NODE in material.node_tree.nodes
    assert tuple(textures.image_of(material).size) == (64, 64)
    assert requests.recipe_on(material)["params"]["seed"] == 3
    colors = np.empty(64 * 64 * 4, np.float32)
    textures.image_of(material).pixels.foreach_get(colors)
    mean = colors.reshape(-1, 4)[:, :3].mean(axis=0)
    assert mean[0] > 2 * mean[1], "as red as the sample"
    lines = paper.draw(panels.RELIEVO_PT_main)
    assert {"Tile Width", "Relief", "Displace"} <= set(lines), lines
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.context.view_layer.objects.active = bpy.data.objects["Wall"]
    bpy.ops.relievo.regenerate(of_texture=True)
    again = np.empty(64 * 64 * 4, np.float32)
    textures.image_of(textures.worn_by(bpy.data.objects["Wall"])).pixels.foreach_get(again)
    np.testing.assert_array_equal(again, colors)


def test_a_material_gives_all_of_its_maps_and_stays_as_it_is() -> None:
    sample = plain_material("Moss")
    before = {node.name: node.image.name for node in sample.node_tree.nodes if node.type == "TEX_IMAGE"}
    item = wall()
    item.data.materials.append(sample)
    bpy.ops.relievo.texture(exemplar="Moss", **QUICK)
    assert labels(textures.worn_by(item)) == {"Base Color", "Roughness", "Height", "Normal"}
    assert {node.name: node.image.name for node in sample.node_tree.nodes if node.type == "TEX_IMAGE"} == before
    assert requests.recipe_on(textures.worn_by(item))["scene"]["sources"]["exemplar"][0]["kind"] == "material"


def test_without_a_mesh_it_is_a_material_alone() -> None:
    photograph("Stones")
    bpy.ops.relievo.texture(exemplar="image:Stones", **QUICK)
    (material,) = bpy.data.materials
    assert material.use_fake_user
    assert {node.extension for node in material.node_tree.nodes if node.type == "TEX_IMAGE"} == {"REPEAT"}


def test_several_samples_are_picked_one_below_the_other() -> None:
    """Images and materials, each picker with its own; the mask lies between two."""
    scene, spec = bpy.context.scene, find(algorithms(), ENGINE)
    scene.relievo.algorithm = ENGINE
    settings = scene.relievo.texture
    assert settings.from_exemplar.source == "IMAGE"
    assert "Pick or open an image" in paper.draw(input_panel.RELIEVO_PT_inputs)
    settings.from_exemplar.image = photograph("Stones")
    bpy.ops.relievo.add_input(algorithm=ENGINE, port="exemplar")
    settings.more_exemplar[0].source = "MATERIAL"
    assert "Pick a material" in paper.draw(input_panel.RELIEVO_PT_inputs)
    assert "no material is picked" in sources.what_is_missing(scene, spec, None)
    settings.more_exemplar[0].material = plain_material("Moss")
    picked = sources.collect(scene, spec, None)["exemplar"]
    assert [(source.kind, source.name) for source in picked] == [("image", "Stones"), ("material", "Moss")]
    settings.more_exemplar[0].source, settings.more_exemplar[0].image = "IMAGE", photograph("Grass", hue=1)
    ramp = bpy.data.images.new("Mask", 16, 16, is_data=True)
    pixels = np.ones((16, 16, 4), np.float32)
    pixels[..., :3] = (np.arange(16) > 7)[None, :, None]
    ramp.pixels.foreach_set(pixels.ravel())
    settings.from_mask.source, settings.from_mask.image = "IMAGE", ramp
    settings.width = settings.height = 64
    settings.steps, settings.transition = 4, 4.0
    item = wall()
    bpy.ops.relievo.generate()
    colors = np.empty(64 * 64 * 4, np.float32)
    textures.image_of(textures.worn_by(item)).pixels.foreach_get(colors)
    half = (
        colors.reshape(64, 64, 4)[:, 8:24, :3].mean(axis=(0, 1)),
        colors.reshape(64, 64, 4)[:, 40:56, :3].mean(axis=(0, 1)),
    )
    assert half[0][0] > half[0][1], "stones where the mask is black"
    assert half[1][1] > half[1][0], "grass where it is white"


def test_three_samples_lie_where_an_image_of_flat_colours_says_on_the_uvs_that_they_fill() -> None:
    """Painted from below: black, grey and white, which are the classes 0, 1 and 2."""
    scene = bpy.context.scene
    scene.relievo.algorithm = ENGINE
    settings, output = scene.relievo.texture, scene.relievo.output
    settings.from_exemplar.image = photograph("Stones")
    for index, name in enumerate(("Grass", "Sky")):
        bpy.ops.relievo.add_input(algorithm=ENGINE, port="exemplar")
        settings.more_exemplar[index].image = photograph(name, hue=index + 1)
    assert {"Samples", "2", "3"} <= set(paper.draw(input_panel.RELIEVO_PT_inputs))
    classes = bpy.data.images.new("Painted", 24, 24)
    classes.pixels.foreach_set(np.repeat(np.arange(24) // 8 / 2, 24 * 4).astype(np.float32))
    settings.from_classes.source, settings.from_classes.image = "IMAGE", classes
    settings.steps, settings.transition = 4, 4.0
    output.fill_uvs, output.texel_density = True, 24.0
    item = wall()
    bpy.ops.relievo.generate()
    image = textures.image_of(textures.worn_by(item))
    assert tuple(image.size) == (96, 96)
    assert surface_nodes.TILE_WIDTH_NODE not in textures.worn_by(item).node_tree.nodes
    colors = np.empty(96 * 96 * 4, np.float32)
    image.pixels.foreach_get(colors)
    bands = colors.reshape(3, 32, 96, 4)[:, 10:22, :, :3].mean(axis=(1, 2))
    assert bands.argmax(axis=1).tolist() == [0, 1, 2], bands


def test_names_that_are_none_are_refused_with_what_to_do() -> None:
    plain_material("Moss")
    spec = find(algorithms(), ENGINE)
    given = sources.collect(bpy.context.scene, spec, None, {"exemplar": "Moss;image:Moss Roughness"})["exemplar"]
    assert given == (Source("material", "Moss"), Source("image", "Moss Roughness"))
    with pytest.raises(RuntimeError, match="There is no image or material 'Nothing'"):
        bpy.ops.relievo.texture(exemplar="Nothing", **QUICK)
    bpy.data.materials.new("Bare")
    with pytest.raises(RuntimeError, match=r"'Bare' has no (image textures|Principled BSDF)"):
        bpy.ops.relievo.texture(exemplar="Bare", **QUICK)


def test_the_panel_of_the_result_is_drawn_for_materials_of_any_kind() -> None:
    photograph("Stones")
    item = wall()
    bpy.ops.relievo.texture(exemplar="Stones", tile="none", estimate=False, **QUICK)
    assert labels(textures.worn_by(item)) == {"Base Color"}
    lines = paper.draw(panels.RELIEVO_PT_main)
    assert not {"Tile Width", "Relief", "Displace"} & set(lines)


def test_a_sample_that_only_the_operator_named_is_saved_with_the_result(tmp_path: Path) -> None:
    """It was painted in Blender: nothing uses it, and it is in no file."""
    photograph("Stones", is_kept=False)
    wall()
    bpy.ops.relievo.texture(exemplar="Stones", estimate=False, **QUICK)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    kept = bpy.data.images["Stones"]
    assert kept.packed_file
    assert max(kept.pixels[:64]) > 0.2
    bpy.context.view_layer.objects.active = bpy.data.objects["Wall"]
    assert bpy.ops.relievo.regenerate(of_texture=True) == {"FINISHED"}
    bpy.data.materials.remove(textures.worn_by(bpy.data.objects["Wall"]))
    bpy.data.orphans_purge(do_recursive=True)
    assert "Stones" not in bpy.data.images, "it goes with the last result that was made from it"


def test_a_result_becomes_an_asset_with_its_picture_and_none_again(tmp_path: Path) -> None:
    photograph("Stones")
    item = wall()
    bpy.ops.relievo.texture(exemplar="Stones", **QUICK)
    material = textures.worn_by(item)
    assert "Mark as Asset" in paper.draw(panels.RELIEVO_PT_main)
    bpy.ops.relievo.mark_asset()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    item = bpy.data.objects["Wall"]
    material = textures.worn_by(item)
    assert material.asset_data.description == "Made by Relievo from Stones"
    assert {tag.name for tag in material.asset_data.tags} == {"relievo", "tiling"}
    assert material.node_tree.nodes[surface_nodes.UV_NODE].uv_map == "", "it fits UV maps of other names"
    picture = np.array(material.preview.image_pixels_float).reshape(256, 256, 4)
    assert picture[..., 0].mean() > 1.5 * picture[..., 1].mean(), "as red as the texture"
    assert picture[..., 0].std() > 0.02
    bpy.context.view_layer.objects.active = item
    bpy.ops.relievo.mark_asset()
    assert material.asset_data is None
    assert textures.worn_by(item) == material
