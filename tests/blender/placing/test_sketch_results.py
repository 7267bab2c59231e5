"""A sketch through the engine that makes ground, water and colour of classes: what of it lies in the scene, and its variations."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import requests
from blender_addon.placing import variations
from blender_addon.settings import scattering
from blender_addon.shared.algorithm import AlgorithmSpec
from blender_addon.shared.arrays import CLASS_MAP
from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.writers import scatter, water
from tests.blender.support import live_addon

SIDE = 64
KINDS = ("objects", "meshes", "materials", "images")


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), threads=2) as addon:
        yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()


def engine() -> AlgorithmSpec:
    """The engine that makes a terrain of a map of named classes."""
    return next(
        spec
        for spec in ALGORITHMS
        if spec.makes == "terrain" and any(port.kind is CLASS_MAP and port.classes for port in spec.inputs)
    )


def generate(*, wet: bool = True) -> bpy.types.Object:
    """Forest, with a lake in it and rock on the right."""
    spec = engine()
    port = next(port for port in spec.inputs if port.kind is CLASS_MAP and port.classes)
    names = [name for name, _ in port.classes]
    r, c = np.mgrid[0:SIDE, 0:SIDE]
    numbers = np.where(c > 44, names.index("Rock"), names.index("Forest"))
    if wet:
        numbers[np.hypot(r - 32, c - 20) < 9] = names.index("Water")
    image = bpy.data.images.new("Sketch", SIDE, SIDE)
    pixels = np.ones((SIDE, SIDE, 4), np.float32)
    pixels[..., :3] = np.array([rgb for _, rgb in port.classes])[numbers][::-1]
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    getattr(bpy.ops.relievo, spec.name)(**{port.name: "Sketch", "size_m": 4000.0, "seed": 5})
    return bpy.context.active_object


def test_ground_water_classes_and_colour_are_in_the_scene():
    item = generate()
    names = {attribute.name for attribute in item.data.attributes}
    assert {"classes", "flow", "slope", "water", "roughness", "density_forest"} <= names
    assert not {"density_water", "density_snow_and_ice"} & names, "they grow nowhere"
    lake = water.of(item)
    levels = np.unique([round(vertex.co.z, 3) for vertex in lake.data.vertices])
    assert len(levels) == 1, "a lake is flat"
    assert bpy.data.images[f"{item.name} albedo"].packed_file or bpy.data.images[f"{item.name} albedo"].packed_files
    rough = np.empty(SIDE * SIDE, np.float32)
    item.data.attributes["roughness"].data.foreach_get("value", rough)
    rough = rough.reshape(SIDE, SIDE)
    assert rough[32, 20] < 0.2 < np.median(rough[:, 48:]) < np.median(rough[:, :8]), "water, rock, forest"
    assert list(scattering.entries_of(item))[:1] != [], "the panel offers collections at once"


def test_a_tree_stands_in_the_forest_and_none_in_the_lake():
    item = generate()
    trees = bpy.data.collections.new("Trees")
    trees.objects.link(bpy.data.objects.new("Tree", bpy.data.meshes.new("Tree")))
    bpy.ops.relievo.scatter(density="forest", collection="Trees")
    bpy.context.view_layer.update()
    found = bpy.context.evaluated_depsgraph_get().object_instances
    places = np.array([one.matrix_world.translation[:] for one in found if one.is_instance])
    assert len(places) > scatter.EXPECTED / 2
    local = places - np.array(item.location)
    pixel = item.dimensions.x / (SIDE - 1)
    column = local[:, 0] / pixel + (SIDE - 1) / 2
    row = (SIDE - 1) / 2 - local[:, 1] / pixel
    assert np.hypot(row - 32, column - 20).min() > 7.5, "the shore, and not the lake"
    assert (column < 47).mean() > 0.99


def test_regenerated_without_water_it_is_hidden_and_variations_leave_nothing():
    item = generate()
    before = {kind: sorted(one.name for one in getattr(bpy.data, kind)) for kind in KINDS}
    bpy.ops.relievo.variations()
    strip = variations.strip_of(item)
    assert len(strip) == 4
    assert all(water.of(one) is not None for one in strip)
    bpy.ops.relievo.discard_variations()
    assert {kind: sorted(one.name for one in getattr(bpy.data, kind)) for kind in KINDS} == before
    pixels = np.tile(np.float32([60 / 255, 120 / 255, 70 / 255, 1.0]), SIDE * SIDE)  # forest alone
    bpy.data.images["Sketch"].pixels.foreach_set(pixels)
    bpy.data.images["Sketch"].pack()
    bpy.ops.relievo.regenerate()
    assert water.of(item).hide_viewport
    assert not len(water.of(item).data.vertices)
    assert requests.recipe_on(item) is not None
