"""A painted sketch: the plane and its image, Texture Paint as it is set up, what is read of it, and the terrain made of it."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import compat, pump, requests
from blender_addon.datablocks import sketch
from blender_addon.inputs import sources
from blender_addon.placing import paint_mode
from blender_addon.readers import sketches
from blender_addon.readers.source import Source
from blender_addon.settings import map_extent
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import algorithms
from blender_addon.shared.errors import InvalidInput
from blender_addon.ui import input_panel, panels
from tests.blender.support import live_addon, paper

WATER, SAND, GRASS, ROCK, SNOW = range(5)


@pytest.fixture(scope="module")
def backend(tmp_path_factory):
    with live_addon.registered(
        tmp_path_factory.mktemp("data"), threads=2, extra_algorithms="tests.support.toy_engines"
    ) as addon:
        yield addon


@pytest.fixture(autouse=True)
def toy(backend, empty_file):
    live_addon.discard_jobs()
    bpy.context.scene.relievo.algorithm = "toy_terrain"
    yield
    live_addon.discard_jobs()


def spec():
    return find(algorithms(), "toy_terrain")


def classes():
    return spec().inputs[0].classes


def new_sketch(**arguments) -> bpy.types.Object:
    bpy.ops.relievo.new_sketch(**arguments)
    return bpy.context.active_object


def paint(item: bpy.types.Object, rows: slice, columns: slice, color) -> None:
    """What a stroke leaves: pixels of one sRGB colour. rows from the top."""
    image = sketch.image_of(item)
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    seen = pixels.reshape(image.size[1], image.size[0], 4)[::-1]
    seen[rows, columns, :3] = color
    image.pixels.foreach_set(pixels)
    image.update()


def read(item: bpy.types.Object, **options) -> np.ndarray:
    return sources.read(Source("sketch", item.name, options), spec().inputs[0], bpy.context).values


def test_a_new_sketch_has_a_real_size_and_one_class() -> None:
    item = new_sketch(size_m=8000.0, width_px=64, height_px=32, fill=str(GRASS))
    assert tuple(item.dimensions)[:2] == pytest.approx((8000.0, 4000.0))
    image = sketch.image_of(item)
    assert (tuple(image.size), image.channels, image.packed_file is not None) == ((64, 32), 4, True)
    assert image.colorspace_settings.name == "sRGB"
    node = item.data.materials[0].node_tree.nodes[sketch.NODE]
    assert (node.interpolation, node.image) == ("Closest", image)
    assert (read(item) == GRASS).all()
    assert read(item).shape == (32, 64)
    picker = bpy.context.scene.relievo.toy_terrain.from_sketch
    assert (picker.source, picker.object) == ("SKETCH", item)
    assert "64 x 32 px, 8 km, 125 m per pixel" in paper.draw(input_panel.RELIEVO_PT_inputs)


def test_texture_paint_is_set_up_for_exact_colours() -> None:
    item = new_sketch(width_px=32, height_px=32)
    assert (bpy.context.mode, bpy.context.active_object) == ("PAINT_TEXTURE", item)
    settings = bpy.context.scene.tool_settings
    brush, shared = settings.image_paint.brush, compat.unified_paint(settings)
    assert brush.name == paint_mode.BRUSH
    assert (brush.strength, brush.use_pressure_strength, brush.use_paint_antialiasing) == (1.0, False, False)
    falloff = "curve_distance_falloff_preset" if compat.IS_5 else "curve_preset"
    assert getattr(brush, falloff) == "CONSTANT"
    assert (settings.image_paint.use_normal_falloff, settings.image_paint.dither) == (False, 0.0)
    held = [tuple(entry.color) for entry in settings.image_paint.palette.colors]
    np.testing.assert_allclose(held, [compat.paint_color(rgb) for _, rgb in classes()], atol=1e-6)
    bpy.ops.relievo.paint_class(number=ROCK)
    color = shared.color if shared.use_unified_color else brush.color
    np.testing.assert_allclose(color, compat.paint_color(classes()[ROCK][1]), atol=1e-6)
    assert paint_mode.chosen_class(bpy.context.scene, classes()) == ROCK
    names = [name for name, _ in classes()]
    lines = paper.draw(input_panel.RELIEVO_PT_inputs)
    assert [line for line in lines if line in names] == names
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.relievo.paint_class(number=SNOW)
    assert bpy.context.mode == "PAINT_TEXTURE", "a class is a way back to painting"
    assert len([brush for brush in bpy.data.brushes if brush.name.startswith(paint_mode.BRUSH)]) == 1


def test_a_colour_that_is_no_class_is_refused_or_snapped() -> None:
    item = new_sketch(width_px=40, height_px=20)
    paint(item, slice(5, 7), slice(30, 33), (0.95, 0.95, 0.9))
    with pytest.raises(
        InvalidInput, match=r"6 of 800 pixels have a colour that is no class; .* at x 30, y 5"
    ) as refused:
        read(item)
    assert "Snap to Nearest Class" in refused.value.hint
    assert (read(item, snap=True)[5:7, 30:33] == SNOW).all()
    bpy.context.scene.relievo.toy_terrain.from_sketch.snap = True
    (source,) = sources.chosen(bpy.context.scene, spec(), spec().inputs[0], item)
    assert source == Source("sketch", item.name, {"snap": True})


@pytest.mark.parametrize("harm", ["no faces", "uneven", "no image", "no pixels", "flat"])
def test_a_sketch_that_cannot_be_read_says_why(harm: str) -> None:
    item = new_sketch(width_px=32, height_px=32)
    bpy.ops.object.mode_set(mode="OBJECT")
    if harm == "no faces":
        item.data.clear_geometry()
    elif harm == "no pixels":
        gone = bpy.data.images.new("gone", 4, 4)
        gone.source, gone.filepath = "FILE", "//gone.png"
        item.data.materials[0].node_tree.nodes[sketch.NODE].image = gone
    elif harm == "no image":
        item.data.materials[0].node_tree.nodes[sketch.NODE].image = None
    else:
        item.scale.x = 2.0 if harm == "uneven" else 0.0
    bpy.context.view_layer.update()
    expected = {
        "no faces": "has no faces",
        "uneven": "must be square",
        "no image": "was deleted",
        "no pixels": "has no pixels",
        "flat": "has no size",
    }[harm]
    assert expected in requests.why_not(bpy.context, spec())
    assert expected in " ".join(paper.draw(panels.RELIEVO_PT_generate))
    with pytest.raises(InvalidInput, match=expected):
        read(item)


def test_a_draft_has_fewer_pixels_of_the_same_ground() -> None:
    item = new_sketch(size_m=6400.0, width_px=64, height_px=32)
    paint(item, slice(0, 16), slice(0, 64), classes()[ROCK][1])
    values = read(item, longest_px=16)
    assert values.shape == (8, 16)
    assert (values[:4] == ROCK).all()
    assert (values[4:] == WATER).all()
    source = {"sketch": (Source("sketch", item.name, {"longest_px": 16}),)}
    size = map_extent.extent(bpy.context.scene, spec(), source)
    assert (size.rows, size.columns, size.pixel_size_m) == (8, 16, 400.0)
    assert sketches.fewer(values, 100) is values


def test_the_sketch_says_how_large_the_map_is() -> None:
    item = new_sketch(size_m=3200.0, width_px=32, height_px=32)
    scene = bpy.context.scene
    scene.relievo.toy_terrain.ground_m = 7.0
    request = requests.from_settings(bpy.context, spec())
    assert request.params["ground_m"] == 100.0
    lines = paper.draw(panels.RELIEVO_PT_settings)
    assert lines[lines.index("Pixel Size") + 1] == "100 m, as drawn"
    item.scale = (2.0, 2.0, 2.0)
    bpy.context.view_layer.update()
    assert requests.from_settings(bpy.context, spec()).params["ground_m"] == 200.0
    scene.unit_settings.scale_length = 0.5
    assert requests.from_settings(bpy.context, spec()).params["ground_m"] == 100.0
    scene.relievo.toy_terrain.from_sketch.source = "IMAGE"
    scene.relievo.toy_terrain.from_sketch.image = sketch.image_of(item)
    assert requests.from_settings(bpy.context, spec()).params["ground_m"] == 3.5, (
        "the setting, in units of half a metre"
    )


def test_painted_classes_become_a_terrain_beside_the_sketch() -> None:
    item = new_sketch(size_m=3200.0, width_px=32, height_px=32)
    paint(item, slice(0, 16), slice(16, 32), classes()[SNOW][1])
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    made = bpy.context.active_object
    assert made != item
    assert not item.hide_get()
    assert made.location.x - item.location.x >= 3200.0
    assert made.dimensions.x == pytest.approx(3100.0)
    heights = np.empty(len(made.data.vertices) * 3, np.float32)
    made.data.attributes["position"].data.foreach_get("vector", heights)
    high = heights.reshape(32, 32, 3)[..., 2] > 300.0
    assert high[:13, 19:].all()
    assert not high[19:].any()
    recipe = requests.recipe_on(made)
    assert recipe["scene"]["sources"]["sketch"] == [{"kind": "sketch", "name": item.name, "options": {}}]
    assert recipe["params"]["ground_m"] == 100.0
    bpy.ops.relievo.toy_terrain(sketch=item.name, ground_m=10.0)
    assert bpy.context.active_object.dimensions.x == pytest.approx(310.0), "a size that a script gives comes first"


def test_paint_survives_a_save(tmp_path) -> None:
    item = new_sketch(width_px=32, height_px=32)
    paint(item, slice(0, 8), slice(0, 8), classes()[ROCK][1])
    assert sketch.image_of(item).is_dirty
    before = read(item)
    assert pump.session() is not None
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "a.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "a.blend"))
    (found,) = sketch.sketches(bpy.context.scene)
    np.testing.assert_array_equal(read(found), before)
    assert found == bpy.context.scene.relievo.toy_terrain.from_sketch.object
