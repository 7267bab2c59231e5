"""A scan that Blender makes of itself: a textured mesh, photographed by Cycles from all sides, and textured again from nothing but
the photographs, the cameras and the bare mesh. What comes out is held to the texture that was photographed.
"""

from __future__ import annotations

import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Vector

from blender_addon import requests
from blender_addon.writers import report, texture_images, textures
from tests.blender.support import live_addon
from tests.blender.support.photography import camera, directions, photograph, pixels, set_up_rendering, wear

VIEWS, SIDE_PX, SAMPLES = 24, 320, 8
SIZE = 512
pytestmark = (
    pytest.mark.any_version
)  # test_scan_results.py has what the scene gets; here it is what the backend computes


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), threads=2) as addon:
        yield addon


@pytest.fixture(scope="module")
def scan(addon, shared_data, tmp_path_factory) -> Path:
    """A saved file with the bare mesh "Spot" and the collection "Cameras", each with its photograph; rendered once."""
    folder = tmp_path_factory.mktemp("scan")
    bpy.ops.wm.read_factory_settings(use_empty=True)
    spot = load_spot(shared_data)
    wear(spot, bpy.data.images.load(str(shared_data / "meshes/spot/spot_texture.png")), glowing=True)
    set_up_rendering(SIDE_PX, SIDE_PX, SAMPLES)
    cameras = bpy.data.collections.new("Cameras")
    bpy.context.scene.collection.children.link(cameras)
    for number, direction in enumerate(directions(VIEWS)):
        item = camera(f"photograph-{number:02}", cameras, Vector((0.0, 0.0, 0.1)), 3.2 * direction, lens_mm=60.0)
        photograph(item, folder / f"{item.name}.png")
    while spot.data.materials:
        spot.data.materials.pop()
    for unused in (*bpy.data.materials, *(image for image in bpy.data.images if "spot_texture" in image.name)):
        bpy.data.batch_remove([unused])
    bpy.ops.wm.save_as_mainfile(filepath=str(folder / "scan.blend"))
    return folder / "scan.blend"


def load_spot(shared_data: Path) -> bpy.types.Object:
    bpy.ops.wm.obj_import(filepath=str(shared_data / "meshes/spot/spot_triangulated.obj"))
    (spot,) = bpy.context.selected_objects
    spot.name = "Spot"
    return spot


@pytest.fixture
def opened(scan, addon):
    live_addon.discard_jobs()
    bpy.ops.wm.open_mainfile(filepath=str(scan))
    return bpy.data.objects["Spot"]


def original(shared_data: Path, size: int) -> np.ndarray:
    """The texture that was photographed at the recovered size: each texel the mean of those it covers, in sRGB."""
    image = bpy.data.images.load(str(shared_data / "meshes/spot/spot_texture.png"))
    full = pixels(image)
    factor = len(full) // size
    return full.reshape(size, factor, size, factor, 3).mean(axis=(1, 3))


def test_the_photographed_texture_comes_back(opened, shared_data):
    assert bpy.ops.relievo.scan_texture(mesh="Spot", cameras="Cameras", size=SIZE) == {"FINISHED"}
    (material,) = opened.data.materials
    found = pixels(textures.image_of(material))
    coverage = bpy.data.images["Spot coverage"]
    seen = pixels(coverage)[..., 0] * coverage[texture_images.WHITE_KEY] > 0.5
    assert found.shape == (SIZE, SIZE, 3)
    assert seen.mean() > 0.3, "most of the mesh is seen by some camera"
    error = found[seen] - original(shared_data, SIZE)[seen]
    psnr = -10.0 * math.log10(float(np.mean(error.astype(np.float64) ** 2)))
    print(f"PSNR {psnr:.2f} dB over {seen.mean():.1%} of the texture")
    assert psnr >= 30.0
    shown = report.read(material)
    assert [photograph.name for photograph in shown.photographs if not photograph.used] == []
    assert len(shown.photographs) == VIEWS
    assert requests.recipe_on(material)["scene"]["sources"]["mesh"][0]["name"] == "Spot"


def test_regenerate_repeats_it_to_the_byte_though_the_mesh_was_renamed(opened):
    bpy.ops.relievo.scan_texture(mesh="Spot", cameras="Cameras", size=128)
    first = pixels(textures.image_of(opened.data.materials[0])).copy()
    bpy.context.view_layer.objects.active = opened
    opened.name = "Cow"
    assert bpy.ops.relievo.regenerate() == {"FINISHED"}
    assert len(opened.data.materials) == 1
    assert np.array_equal(pixels(textures.image_of(opened.data.materials[0])), first)


def test_a_photograph_of_something_else_is_named(opened, tmp_path):
    """Its camera says that it shows the mesh; nothing of it agrees with the others."""
    wrong = tmp_path / "wrong.png"
    image = bpy.data.images.new("wrong", SIDE_PX, SIDE_PX)
    noise = np.random.default_rng(0).random((SIDE_PX // 16, SIDE_PX // 16, 4)).astype(np.float32)
    image.pixels.foreach_set(np.kron(noise, np.ones((16, 16, 1), np.float32)).ravel())
    image.filepath_raw, image.file_format = str(wrong), "PNG"
    image.save()
    camera = bpy.data.objects["photograph-05"].data
    camera.background_images[0].image = bpy.data.images.load(str(wrong))
    bpy.ops.relievo.scan_texture(mesh="Spot", cameras="Cameras", size=128)
    shown = report.read(opened.data.materials[0])
    assert [photograph.name for photograph in shown.misfits] == ["wrong.png"], "and the others stay"
    assert any("wrong.png" in sentence for sentence in shown.summary)
