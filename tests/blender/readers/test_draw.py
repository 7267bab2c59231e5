"""Scene and mesh -> arrays: exact at the samples, the right way round, modifiers and edit mode included, and clear
where it cannot be.
"""

from __future__ import annotations

import math

import bpy
import numpy as np
import pytest

from blender_addon.readers import classes, gaps, images, meshes, rasterizing
from blender_addon.shared.arrays import HEIGHT_MAP, check, height_map
from blender_addon.shared.errors import InvalidInput
from blender_addon.writers import terrain


def seen(item, **options):
    return meshes.height_map(item, bpy.context.evaluated_depsgraph_get(), **options)


@pytest.mark.parametrize("kind", ["MESH", "GEOMETRY_NODES", "DISPLACE"])
def test_a_built_terrain_gives_back_its_heights(ramp, kind):
    item = terrain.make({"height": height_map(ramp, 12.5)}, kind=kind, name="Terrain", location=(30, 40, 50))
    found = check(seen(item, longest_side_px=33))
    assert found.kind is HEIGHT_MAP
    assert found.pixel_size_m == 12.5
    np.testing.assert_allclose(found.values, ramp + 50, atol=6e-4)


def test_looking_at_triangles_agrees_with_taking_the_grid(ramp):
    item = terrain.make({"height": height_map(ramp, 12.5)}, kind="MESH", name="Terrain")
    where = meshes.footprint(meshes.triangles(item, bpy.context.evaluated_depsgraph_get()), longest_side_px=33)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    surfaces = meshes.triangles(item, depsgraph)
    looked = rasterizing.highest(meshes.in_samples(surfaces, where), surfaces.corners, where.shape)
    np.testing.assert_allclose(looked, ramp, atol=1e-3)
    assert where.middle_m == pytest.approx((0.0, 0.0))


def test_a_quarter_turn_turns_the_map(ramp):
    item = terrain.make({"height": height_map(ramp, 1.0)}, kind="MESH", name="Terrain")
    item.rotation_euler.z = math.pi / 2  # counterclockwise seen from above
    np.testing.assert_allclose(seen(item, longest_side_px=33).values, np.rot90(ramp), atol=0.02)


def test_units_of_the_scene_are_metres_of_the_map(ramp):
    bpy.context.scene.unit_settings.system, bpy.context.scene.unit_settings.scale_length = "METRIC", 0.001
    item = terrain.make({"height": height_map(ramp, 12.5)}, kind="MESH", name="Terrain")
    found = seen(item, longest_side_px=33)
    assert found.pixel_size_m == pytest.approx(12.5)
    np.testing.assert_allclose(found.values, ramp, atol=1e-2)


def test_planes_are_exact_between_vertices_and_the_highest_wins():
    vertices = [(0, 0, 0), (100, 0, 50), (100, 100, 150), (0, 100, 100), (20, 20, 500), (80, 20, 500), (50, 80, 500)]
    item = mesh_object("Two", vertices, [(0, 1, 2, 3), (4, 5, 6)])
    found = seen(item, pixel_size_m=1.0).values
    y, x = np.mgrid[100:-1:-1, 0:101].astype(np.float64)
    # the triangle's own half planes, edges included
    above = (y >= 20) & (y - 20 <= 2 * (x - 20)) & (y - 20 <= 2 * (80 - x))
    np.testing.assert_allclose(found, np.where(above, 500.0, 0.5 * x + y), atol=1e-4)


def mesh_object(name, vertices, faces):
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices, [], faces)
    item = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(item)
    return item


def test_random_triangles_against_the_plain_definition():
    rng = np.random.default_rng(3)
    points = np.concatenate([rng.uniform(-3, 23, (60, 2)), rng.uniform(0, 9, (60, 1))], axis=1)
    corners = np.arange(60).reshape(20, 3)
    expected = np.full((17, 21), np.nan)
    for row in range(17):
        for column in range(21):
            for a, b, c in points[corners]:
                matrix = np.array([[a[0], b[0], c[0]], [a[1], b[1], c[1]], [1, 1, 1]])
                weights = np.linalg.solve(matrix, [column, row, 1])
                if (weights >= 0).all():
                    expected[row, column] = np.fmax(expected[row, column], weights @ [a[2], b[2], c[2]])
    np.testing.assert_allclose(rasterizing.highest(points, corners, (17, 21)), expected, atol=1e-9)
    owner = rasterizing.topmost(points, corners, (17, 21))
    np.testing.assert_array_equal(owner >= 0, np.isfinite(expected))


def test_modifiers_and_edit_mode_are_seen():
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=4, size=8.0)
    item = bpy.context.object
    item.modifiers.new("Up", "DISPLACE").strength = 2.0  # along the normal, from a middle level of a half
    assert seen(item, longest_side_px=9).values == pytest.approx(1.0)
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.transform.translate(value=(0, 0, 5))
    assert seen(item, longest_side_px=9).values == pytest.approx(6.0)
    bpy.ops.object.mode_set(mode="OBJECT")


def test_gaps_are_counted_or_filled():
    bpy.ops.mesh.primitive_circle_add(vertices=64, radius=10.0, fill_type="NGON", location=(0, 0, 3))
    with pytest.raises(InvalidInput, match=r"\d+ of 10\d\d\d points"):
        seen(bpy.context.object, longest_side_px=101)
    found = seen(bpy.context.object, longest_side_px=101, fill_gaps=True).values
    np.testing.assert_allclose(found, 3.0, atol=1e-5)


def test_filled_gaps_leave_the_rest_and_stay_in_range(ramp):
    holed = ramp.astype(np.float64)
    holed[5:15, 10:20] = np.nan
    holed[0, 0] = np.nan
    closed = gaps.close(holed)
    known = np.isfinite(holed)
    np.testing.assert_array_equal(closed[known], holed[known])
    assert closed.min() >= ramp.min()
    assert closed.max() <= ramp.max()
    with pytest.raises(InvalidInput, match="no height at all"):
        gaps.close(np.full((4, 4), np.nan))


def test_meshes_that_cannot_be_seen_say_why():
    with pytest.raises(InvalidInput, match="no faces"):
        seen(mesh_object("Dots", [(0, 0, 0), (1, 1, 0)], []))
    with pytest.raises(InvalidInput, match="no extent"):
        seen(mesh_object("Wall", [(0, 0, 0), (1, 0, 0), (1, 0, 1)], [(0, 1, 2)]))
    with pytest.raises(InvalidInput, match="1 of 3 vertices"):
        seen(mesh_object("Broken", [(0, 0, 0), (1, 0, 0), (math.nan, 1, 1)], [(0, 1, 2)]))
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "SUN"))
    bpy.context.scene.collection.objects.link(lamp)
    with pytest.raises(InvalidInput, match="not a mesh"):
        seen(lamp)


def test_classes_by_object_and_by_material():
    low = mesh_object("Low", [(0, 0, 0), (10, 0, 0), (10, 10, 0), (0, 10, 0)], [(0, 1, 2, 3)])
    high = mesh_object("High", [(5, 5, 1), (10, 5, 1), (10, 10, 1), (5, 10, 1)], [(0, 1, 2, 3)])
    low.pass_index, high.pass_index = 3, 200
    for item, number in ((low, 1), (high, 2)):
        material = bpy.data.materials.new(item.name)
        material.pass_index = number
        item.data.materials.append(material)
    depsgraph = bpy.context.evaluated_depsgraph_get()
    found = classes.class_map([low, high], depsgraph, by="OBJECT", longest_side_px=11).values
    assert found.dtype == np.uint8
    assert set(found[:5, 6:].ravel()) == {200}  # top right
    assert set(found[7:].ravel()) == set(found[:, :4].ravel()) == {3}
    assert set(classes.class_map([low, high], depsgraph, by="MATERIAL", longest_side_px=11).values[:5, 6:].ravel()) == {
        2
    }
    low.pass_index = 256
    with pytest.raises(InvalidInput, match="256"):
        classes.class_map([low], depsgraph, by="OBJECT")


# Images --------------------------------------------------------------------------------------------------------------


def image_of(values, *, floats=True, data=True, name="Map"):
    rows, columns = values.shape
    image = bpy.data.images.new(name, columns, rows, alpha=False, float_buffer=floats, is_data=data)
    pixels = np.ones((rows, columns, 4), np.float32)
    pixels[..., :3] = values[::-1, :, None]
    image.pixels.foreach_set(pixels.ravel())
    return image


def test_float_heights_come_to_the_bit_and_upright(ramp):
    found = check(images.height_map(image_of(ramp), pixel_size_m=7.0))
    np.testing.assert_array_equal(found.values, ramp)
    assert found.pixel_size_m == 7.0
    np.testing.assert_allclose(
        images.height_map(image_of(ramp), pixel_size_m=7.0, scale=2.0, offset_m=-3.0).values, ramp * 2 - 3, rtol=1e-6
    )


def test_a_16_bit_png_is_read_as_stored_whatever_its_color_space(tmp_path):
    levels = np.linspace(0, 1, 64 * 48).reshape(48, 64).astype(np.float32)
    image = image_of(levels)
    image.filepath_raw, image.file_format = str(tmp_path / "map.png"), "PNG"
    image.save()
    loaded = bpy.data.images.load(str(tmp_path / "map.png"))
    assert loaded.is_float
    for space in ("Non-Color", "sRGB"):  # sRGB is what Blender takes a PNG for
        loaded.colorspace_settings.name = space
        np.testing.assert_allclose(
            images.height_map(loaded, pixel_size_m=1.0, scale=65535.0).values, levels * 65535, atol=0.51
        )
        assert loaded.colorspace_settings.name == space
    assert len(bpy.data.images) == 2


def test_eight_bits_of_height_get_a_warning(ramp, caplog):
    image = image_of(np.clip(ramp / 1000, 0, 1), floats=False)
    images.height_map(image, pixel_size_m=1.0, scale=1000.0)
    assert "8 bits" in caplog.text


def test_classes_masks_and_colors(ramp):
    levels = np.digitize(ramp, [0, 200, 400])
    np.testing.assert_array_equal(images.class_map(image_of(levels / 3, floats=False)).values, levels)
    with pytest.raises(InvalidInput, match="different colours"):
        images.class_map(image_of(np.linspace(0, 1, 200).reshape(10, 20), floats=False))
    values = check(images.mask(image_of(ramp / 500))).values
    assert (values.min(), values.max()) == (0.0, 1.0)
    half = images.color_image(image_of(np.full((4, 4), 0.5), floats=False, data=False)).values
    assert half == pytest.approx(0.2158605, abs=2e-3)  # 128 / 255 of sRGB as light


def test_images_without_pixels_say_so(tmp_path):
    missing = bpy.data.images.new("Gone", 4, 4)
    missing.source, missing.filepath = "FILE", str(tmp_path / "nowhere.png")
    with pytest.raises(InvalidInput, match="no pixels"):
        images.mask(missing)
    tiled = image_of(np.zeros((4, 4)))
    tiled.source = "TILED"
    with pytest.raises(InvalidInput, match="UDIM"):
        images.height_map(tiled, pixel_size_m=1.0)
