"""Water as a surface of its own: where it is, how high, how it is renewed and hidden, and what a render shows of it."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon.shared.arrays import AREA_MAP, CLASS_MAP, COLOR_IMAGE, MASK, Array, height_map
from blender_addon.writers import ground, terrain, water, water_edges

ROWS, COLUMNS, PIXEL_M = 40, 60, 20.0
SEA, LAKE = 0.0, 130.0


def island() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Heights, where water is, and its level: a sea at the left, and a lake at 130 m in a hollow on the right."""
    r, c = np.mgrid[0:ROWS, 0:COLUMNS].astype(np.float32)
    heights = 8.0 * (c - 22.5)
    lake = np.hypot(r - 15, c - 48) < 6
    heights[lake] = LAKE - 12.0
    is_water = (c < 23) | lake
    level = np.where(lake, np.float32(LAKE), np.where(is_water, np.float32(SEA), heights))
    return heights, is_water, level


def outputs(**changes) -> dict[str, Array]:
    heights, is_water, level = island()
    r = np.mgrid[0:ROWS, 0:COLUMNS][0]
    classes = np.where(is_water, 0, np.where(r < 20, 3, 5)).astype(np.uint8)
    return {
        "height": height_map(heights, PIXEL_M),
        "albedo": Array(COLOR_IMAGE, np.full((ROWS, COLUMNS, 3), 0.3, np.float32)),
        "water": Array(MASK, is_water.astype(np.float32)),
        "water_level": height_map(level, PIXEL_M),
        "flow": Array(AREA_MAP, np.full((ROWS, COLUMNS), 400.0, np.float32), {"pixel_size_m": PIXEL_M}),
        "classes": Array(CLASS_MAP, classes, {"names": ["Water", "Sand", "Grass", "Forest", "Hills", "Rock"]}),
        "density_forest": Array(MASK, (classes == 3).astype(np.float32)),
        "density_snow": Array(MASK, heights * 0),
        **changes,
    }


def dry() -> dict[str, Array]:
    heights, _, _ = island()
    return outputs(water=Array(MASK, heights * 0), water_level=height_map(heights, PIXEL_M))


def vertices(item: bpy.types.Object) -> np.ndarray:
    values = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.vertices.foreach_get("co", values)
    return values.reshape(-1, 3)


def values_of(mesh: bpy.types.Mesh, name: str) -> np.ndarray:
    attribute = mesh.attributes[name]
    values = np.empty(len(attribute.data), np.int32 if attribute.data_type == "INT" else np.float32)
    attribute.data.foreach_get("value", values)
    return values


@pytest.mark.parametrize("kind", ["MESH", "GEOMETRY_NODES", "DISPLACE", "ADAPTIVE"])
def test_water_is_a_level_child_that_lies_only_over_water(kind):
    item = terrain.make(outputs(), kind=kind, name="Terrain", location=(5.0, 6.0, 7.0))
    made = water.of(item)
    assert (made.parent, made.users_collection) == (item, item.users_collection)
    bpy.context.view_layer.update()
    assert tuple(made.matrix_world.translation) == (5.0, 6.0, 7.0)
    assert not made.data.validate(verbose=True)
    level_faces = [polygon for polygon in made.data.polygons if polygon.normal.z > 0.5]
    places = vertices(made)[sorted({corner for polygon in level_faces for corner in polygon.vertices})]
    assert set(np.unique(places[:, 2])) == {np.float32(SEA), np.float32(LAKE)}, "the sea and the lake are flat"
    _, is_water, level = island()
    row, column = np.rint((ROWS - 1) / 2 - places[:, 1] / PIXEL_M), np.rint(places[:, 0] / PIXEL_M + (COLUMNS - 1) / 2)
    row, column = row.astype(int), column.astype(int)
    padded = np.pad(is_water, 1)
    around = np.any([padded[r : r + ROWS, c : c + COLUMNS] for r in range(3) for c in range(3)], axis=0)
    assert around[row, column].all(), "nothing lies farther than a pixel from the water"
    on_water = is_water[row, column]
    np.testing.assert_array_equal(places[on_water, 2], level[row, column][on_water])
    areas = [polygon.area for polygon in level_faces]
    cells = is_water[:-1, :-1] | is_water[1:, :-1] | is_water[1:, 1:] | is_water[:-1, 1:]
    assert sum(areas) == pytest.approx(cells.sum() * PIXEL_M**2, rel=1e-5), (
        "no cell is missing, and none is there twice"
    )
    assert len(areas) < cells.sum() / 1.5, "open water is made of large faces"
    assert all(polygon.normal.z > 0.999 for polygon in level_faces)


def test_at_the_border_water_goes_down_to_its_bed():
    made = water.of(terrain.make(outputs(), kind="MESH", name="Terrain"))
    sides = [polygon for polygon in made.data.polygons if polygon.normal.z < 0.5]
    assert all(abs(polygon.normal.z) < 1e-5 and polygon.normal.dot(polygon.center) > 0 for polygon in sides), "outwards"
    deep_m, shore = 8.0 * 22.5, 22.5  # the bed falls evenly from the shore to the left border
    area = deep_m * (ROWS - 1) * PIXEL_M + 2 * 0.5 * deep_m * shore * PIXEL_M
    assert sum(polygon.area for polygon in sides) == pytest.approx(area, rel=1e-5)
    heights = vertices(made)[[corner for polygon in sides for corner in polygon.vertices]][:, 2]
    assert (heights.min(), heights.max()) == (-deep_m, SEA)


def test_a_lake_away_from_the_border_has_no_sides():
    heights, is_water, level = island()
    heights[:, :23], is_water[:, :23], level[:, :23] = 5.0, False, 5.0
    assert not len(water_edges.sides(heights, is_water, level, PIXEL_M))


def test_the_depth_of_water_is_an_attribute():
    made = water.of(terrain.make(outputs(), kind="MESH", name="Terrain"))
    places, depth = vertices(made), values_of(made.data, water.DEPTH)
    lake = places[:, 2] == np.float32(LAKE)
    assert depth[lake].max() == pytest.approx(12.0)
    assert depth.min() == 0.0
    assert depth[~lake].max() == pytest.approx(8.0 * 22.5, rel=1e-3)


def test_bodies_that_meet_in_a_face_keep_their_levels():
    is_water = np.zeros((4, 4), bool)
    is_water[1, 1] = is_water[2, 2] = True
    level = np.where(is_water, np.float32([[10.0, 10, 10, 10]] * 2 + [[50.0] * 4] * 2), 0)
    made = water.surface(np.full((4, 4), -5.0, np.float32), is_water, level, 1.0)
    flat = [face for face in made.corners if np.ptp(made.positions[face, 2]) == 0]
    assert len(flat) == 8
    assert sorted(made.positions[face[0], 2] for face in flat) == [10.0] * 4 + [50.0] * 4


def test_a_river_is_one_smooth_surface_from_lake_to_sea():
    r, c = np.mgrid[0:20, 0:64]
    is_water = (np.abs(r - 10 - np.rint(4 * np.sin(c / 9))) < 3) | (c < 8) | (c > 55)
    is_water &= (r > 1) & (r < 18) & (c > 1) & (c < 62)  # at the border water has sides
    level = np.clip(c - 8, 0, 48).astype(np.float32) * np.float32(0.12)  # 12 % of a pixel: a mountain stream
    made = water.surface(np.where(is_water, level - 1, level + 1).astype(np.float32), is_water, level, 1.0)
    places = made.positions
    column, row = np.rint(places[:, 0] + 31.5).astype(int), np.rint(9.5 - places[:, 1]).astype(int)
    assert len(np.unique(row * 64 + column)) == len(places), "a vertex per pixel: no seams"
    on_water = is_water[row, column]
    np.testing.assert_array_equal(places[on_water, 2], level[row, column][on_water])
    assert np.ptp(places[made.corners, 2], axis=1).max() < 0.4, "no stairs"
    assert set(np.unique(places[column < 7, 2])) == {0.0}
    assert np.ptp(places[column > 57, 2]) == 0.0


def test_water_comes_changes_hides_and_comes_again_with_the_users_material():
    item = terrain.make(dry(), kind="MESH", name="Terrain")
    assert water.of(item) is None
    terrain.replace(item, outputs(), kind="MESH")
    made = water.of(item)
    mine = bpy.data.materials.new("Mine")
    made.data.materials[0] = mine
    terrain.replace(item, dry(), kind="MESH")
    assert water.of(item) == made
    assert (len(made.data.vertices), made.hide_render, made.hide_viewport) == (0, True, True)
    terrain.replace(item, outputs(), kind="MESH")
    assert len(made.data.vertices)
    assert (made.hide_render, made.hide_viewport, made.data.materials[0]) == (False, False, mine)
    assert len(item.children) == 1


def test_images_alone_have_the_water_too():
    image = terrain.make(outputs(), kind="IMAGES", name="Terrain")
    assert image.name == "Terrain height"
    assert {"Terrain water", "Terrain water_level", "Terrain density_forest"} <= set(bpy.data.images.keys())
    assert not bpy.data.objects


@pytest.mark.parametrize("kind", ["MESH", "GEOMETRY_NODES", "DISPLACE"])
def test_class_flow_slope_and_density_lie_on_the_mesh(kind):
    mesh = terrain.make(outputs(), kind=kind, name="Terrain").data
    given = outputs()
    for name in ("classes", "flow", "density_forest", "water"):
        np.testing.assert_array_equal(values_of(mesh, name).reshape(ROWS, COLUMNS), given[name].values)
    assert mesh.attributes["classes"].data_type == "INT"
    slope = values_of(mesh, "slope").reshape(ROWS, COLUMNS)
    assert slope[2, 30] == pytest.approx(np.arctan(8.0 / PIXEL_M), rel=1e-5), "radians"
    assert "water_level" not in mesh.attributes
    assert "density_snow" not in mesh.attributes, "it grows nowhere"


def test_slope_is_the_same_over_the_bands():
    heights = np.random.default_rng(0).normal(0, 50, (600, 7)).astype(np.float32)
    down, right = np.gradient(heights.astype(np.float64), 3.0)
    np.testing.assert_allclose(ground.slope(heights, 3.0), np.arctan(np.hypot(down, right)), atol=1e-5)


def test_roughness_follows_class_and_water():
    given = outputs()
    flow = np.full((ROWS, COLUMNS), 1.0, np.float32)
    flow[5, 30:40] = ROWS * COLUMNS * PIXEL_M**2 * 0.05  # a river on gentle ground
    given["flow"] = Array(AREA_MAP, flow, {"pixel_size_m": PIXEL_M})
    rough = ground.roughness(given, np.zeros((ROWS, COLUMNS), np.float32))
    assert rough[5, 35] == pytest.approx(ground.WET)
    assert rough[8, 30] == pytest.approx(ground.DRY)
    assert rough[30, 40] == pytest.approx(ground.CLASS_ROUGHNESS["rock"])
    assert rough[30, 3] == pytest.approx(ground.WATER)
    steep = ground.roughness(given, np.full((ROWS, COLUMNS), np.radians(40), np.float32))
    assert steep[5, 35] == pytest.approx(ground.DRY), "a steep face sheds its water"


def shot(samples: int = 8) -> np.ndarray:
    """Linear colours [40, 60, 3], top row first, seen straight from above in white light by Cycles."""
    scene = bpy.context.scene
    camera = bpy.data.objects.new("shot", bpy.data.cameras.new("shot"))
    camera.data.type, camera.data.ortho_scale, camera.data.clip_end = "ORTHO", COLUMNS * PIXEL_M, 1e5
    camera.location.z = 5000.0
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.world = bpy.data.worlds.new("shot")
    scene.world.use_nodes = True
    scene.world.node_tree.nodes["Background"].inputs["Color"].default_value = (1, 1, 1, 1)
    scene.render.engine, scene.cycles.samples, scene.cycles.device = "CYCLES", samples, "CPU"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = COLUMNS, ROWS, 100
    scene.view_settings.view_transform = "Standard"
    scene.render.filepath = f"{bpy.app.tempdir}shot.png"
    bpy.ops.render.render(write_still=True)
    image = bpy.data.images.load(scene.render.filepath, check_existing=False)
    pixels = np.empty(COLUMNS * ROWS * 4, np.float32)
    image.pixels.foreach_get(pixels)
    return pixels.reshape(ROWS, COLUMNS, 4)[::-1, :, :3]


@pytest.mark.parametrize("kind", ["MESH", "ADAPTIVE"])
def test_a_render_shows_dark_water_and_the_albedo_of_the_ground(kind):
    terrain.make(outputs(), kind=kind, name="Terrain")
    seen = shot()
    sea, lake, land = seen[20, 5], seen[15, 48], seen[32, 40]
    assert land.mean() > 0.4
    assert lake.mean() < 0.6 * land.mean()
    assert sea.mean() < 0.5 * land.mean()
    assert sea[2] > sea[0], "it is bluish"
