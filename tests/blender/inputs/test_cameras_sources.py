"""What of the scene goes to the backend for a scan: pickers, operators and recipes to arrays, or a sentence that says why not."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon import requests
from blender_addon.inputs import scan_reading, sources
from blender_addon.readers import cameras, masks, photographs, scans
from blender_addon.shared.algorithm import check_inputs, find
from blender_addon.shared.arrays import CAMERAS, MESH
from blender_addon.shared.cameras import Distortion, from_array
from blender_addon.shared.cameras.distortion import distort
from blender_addon.shared.cameras.image_header import image_size
from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.shared.errors import InvalidInput

SPEC = find(ALGORITHMS, "scan_texture")
SIZE = (64, 48)


@pytest.fixture(autouse=True)
def addon(addon_alone):
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 640, 480
    return addon_alone


def photograph(path: Path, size=SIZE, *, file_format: str = "PNG", seed: int = 0) -> bpy.types.Image:
    image = bpy.data.images.new(path.name, *size, alpha=False)
    pixels = np.random.default_rng(seed).random(size[0] * size[1] * 4).astype(np.float32)
    image.pixels.foreach_set(pixels)
    image.filepath_raw, image.file_format = str(path), file_format
    image.save()
    bpy.data.images.remove(image)
    return bpy.data.images.load(str(path))


def eye(name: str, image: bpy.types.Image | None = None, **settings) -> bpy.types.Object:
    data = bpy.data.cameras.new(name)
    for key, value in settings.items():
        setattr(data, key, value)
    if image is not None:
        data.background_images.new().image = image
    item = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(item)
    item.matrix_world = Matrix.Translation((0.2, -0.1, 4.0))
    bpy.context.view_layer.update()
    return item


@pytest.fixture
def scan(tmp_path) -> bpy.types.Object:
    """A grid with UVs, active, and two cameras over it with photographs."""
    for number in (1, 2):
        eye(f"Eye {number}", photograph(tmp_path / f"photo_{number}.png", seed=number), lens=30.0 + number)
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=4, y_subdivisions=3, size=2.0)
    bpy.context.active_object.name = "Scan"
    return bpy.context.active_object


def collect(**texts):
    return sources.collect(bpy.context.scene, SPEC, bpy.context.active_object, texts)


def read(given=None, **params):
    arrays = sources.read_all(given or collect(), SPEC, bpy.context, params)
    check_inputs(SPEC, {port: value for port, value in arrays.items() if value})
    return arrays


def missing() -> str:
    return sources.what_is_missing(bpy.context.scene, SPEC, bpy.context.active_object)


def pickers():
    return bpy.context.scene.relievo.scan_texture


def fingerprint() -> str:
    kinds = ("objects", "meshes", "materials", "images", "collections", "node_groups", "cameras", "scenes")
    layer, render = bpy.context.view_layer, bpy.context.scene.render
    entry_list = [
        sorted((kind, item.name, item.users) for kind in kinds for item in getattr(bpy.data, kind)),
        [(item.name, item.matrix_world[:], item.select_get(), item.mode) for item in layer.objects],
        (layer.objects.active.name, render.engine, render.resolution_x, render.resolution_y, render.film_transparent),
    ]
    return hashlib.sha256(repr(entry_list).encode()).hexdigest()


# What goes out --------------------------------------------------------------------------------------------------------


def test_an_open_scene_with_photographs_needs_nothing_picked(scan, tmp_path):
    assert missing() == ""
    before = fingerprint()
    arrays = read()
    assert fingerprint() == before
    assert {port for port, given in arrays.items() if given} == {"images", "mesh", "cameras"}
    for number, sent in enumerate(arrays["images"], 1):
        assert sent.values.tobytes() == (tmp_path / f"photo_{number}.png").read_bytes()
        assert sent.attributes["name"] == f"photo_{number}.png"
    (posed,) = arrays["cameras"]
    assert [camera.name for camera in from_array(posed)] == ["photo_1.png", "photo_2.png"]
    assert sources.summary(bpy.context.scene, SPEC, scan) == ["2 cameras with photographs"]


def test_mesh_and_cameras_are_counted_from_one_point(scan):
    """What a camera sees of a vertex is the same wherever the scan stands, to a fraction of a pixel, and the numbers are small."""

    def projected():
        arrays = read()
        points = arrays["mesh"][0].values[..., :3].reshape(-1, 3).astype(np.float64)
        assert np.abs(points).max() < 10
        local = [points @ camera.rotation.T + camera.translation for camera in from_array(arrays["cameras"][0])]
        return [p[:, :2] / p[:, 2:] * 50 for p in local]

    near = projected()
    for item in bpy.context.scene.objects:
        item.matrix_world = Matrix.Translation((4096.0, -8192.0, 1024.0)) @ item.matrix_world
    bpy.context.view_layer.update()
    for here, there in zip(near, projected(), strict=True):
        np.testing.assert_allclose(there, here, atol=0.05)


def test_the_mesh_is_as_it_is_seen_with_its_modifiers_and_the_active_uvs(scan):
    scan.modifiers.new("Sub", "SUBSURF").subdivision_type = "SIMPLE"
    scan.scale, scan.rotation_euler = (1.0, 2.0, 1.0), (0.0, 0.0, math.pi / 2)
    bpy.context.view_layer.update()
    (sent,) = read()["mesh"]
    points, uv = sent.values[..., :3], sent.values[..., 3:]
    assert len(sent.values) == 4 * 3 * 2 * 4
    np.testing.assert_allclose(np.ptp(points.reshape(-1, 3), axis=0), (4.0, 2.0, 0.0), atol=1e-5)
    # turned a quarter: u runs along +y, v along -x
    np.testing.assert_allclose(points[..., 1] / 2 + 0.5, uv[..., 0], atol=1e-5)
    np.testing.assert_allclose(0.5 - points[..., 0] / 4, uv[..., 1], atol=1e-5)
    a, b, c = np.moveaxis(points, 1, 0)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all(), "counter-clockwise from above"


def test_a_mirrored_mesh_still_faces_outwards(scan):
    scan.scale.x = -1.0
    bpy.context.view_layer.update()
    a, b, c = np.moveaxis(read()["mesh"][0].values[..., :3], 1, 0)
    assert (np.cross(b - a, c - a)[:, 2] > 0).all()


def test_edits_that_are_not_finished_count(scan):
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.duplicate()
    assert len(read()["mesh"][0].values) == 2 * 4 * 3 * 2
    bpy.ops.object.mode_set(mode="OBJECT")


def test_selected_cameras_a_collection_and_names_given_to_an_operator(scan):
    collection = bpy.data.collections.new("Set")
    collection.objects.link(bpy.data.objects["Eye 2"])
    pickers().from_cameras.source, pickers().from_cameras.collection = "COLLECTION", collection
    assert collect()["cameras"][0].options["names"] == ["Eye 2"]
    pickers().from_cameras.source = "SELECTED"
    for item in bpy.context.scene.objects:
        item.select_set(item.name == "Eye 1")
    assert collect()["cameras"][0].options["names"] == ["Eye 1"]
    assert collect(cameras="Set")["cameras"][0].options["names"] == ["Eye 2"]
    given = collect(cameras="Eye 2;Eye 1", mesh="object:Scan")
    assert [source.name for source in given["images"]] == ["Eye 2", "Eye 1"], "photographs follow the cameras"
    with pytest.raises(InvalidInput, match="come with the cameras"):
        collect(images="photo_1.png")
    with pytest.raises(InvalidInput, match="no camera and no collection 'Nobody'"):
        collect(cameras="Nobody")
    with pytest.raises(InvalidInput, match="no mesh 'Eye 1'"):
        collect(mesh="Eye 1")


def test_a_recipe_finds_everything_again(scan):
    given = collect()
    entry_list = json.loads(
        json.dumps({port: [source.to_json() for source in entries] for port, entries in given.items()})
    )
    recipe = {"format": 1, "algorithm": "scan_texture", "params": {}, "scene": {"sources": entry_list}}
    again = requests.from_recipe(recipe)
    first, second = read(given), read(dict(again.sources))
    for port in ("images", "mesh", "cameras"):
        assert [array.sha256 for array in first[port]] == [array.sha256 for array in second[port]]
    bpy.data.objects.remove(bpy.data.objects["Eye 1"])
    with pytest.raises(InvalidInput, match="camera 'Eye 1' is gone"):
        read(dict(again.sources))


def test_occluders_come_without_uvs_and_from_the_same_point(scan):
    bpy.ops.mesh.primitive_cube_add(size=0.5, location=(0, 0, 1))
    cube = bpy.context.active_object
    props = bpy.data.collections.new("Props")
    props.objects.link(cube)
    props.objects.link(scan)
    pickers().from_mesh.object = scan
    for pick in ("COLLECTION", "OBJECT"):
        pickers().from_occluders.source = pick
        pickers().from_occluders.collection, pickers().from_occluders.object = props, cube
        (sent,) = read()["occluders"]
        assert sent.values.shape == (12, 3, 5), "the scan itself hides nothing twice"
        assert np.isnan(sent.values[..., 3:]).all()
        np.testing.assert_allclose(sent.values[..., 2].reshape(-1), np.round(sent.values[..., 2].reshape(-1) * 4) / 4)
        assert sent.values[..., 2].max() == pytest.approx(1.25)
    assert collect(occluders="collection:Props")["occluders"][0].kind == "collection"


# Photographs ----------------------------------------------------------------------------------------------------------


def test_packed_photographs_are_sent_as_they_were_packed(scan, tmp_path):
    image = bpy.data.objects["Eye 1"].data.background_images[0].image
    whole = (tmp_path / "photo_1.png").read_bytes()
    image.pack()
    (tmp_path / "photo_1.png").unlink()
    assert photographs.read(bpy.data.objects["Eye 1"]).data.tobytes() == whole


def test_a_backdrop_that_was_changed_is_the_one_that_counts(scan, tmp_path):
    backdrop = bpy.data.objects["Eye 1"].data.background_images[0]
    backdrop.image = photograph(tmp_path / "retouched.png", seed=9)
    assert photographs.read(bpy.data.objects["Eye 1"]).name == "retouched.png"
    backdrop.image.pixels[0] = 0.25  # painted on and not saved
    assert photographs.read(bpy.data.objects["Eye 1"]).data.tobytes() != (tmp_path / "retouched.png").read_bytes()


def test_files_are_mapped_and_not_read(scan, tmp_path):
    from blender_addon.shared.handoff import mapped_file

    data = photographs.read(bpy.data.objects["Eye 1"]).data
    assert mapped_file(data) == tmp_path / "photo_1.png"
    assert not data.flags.writeable


def test_paintings_and_other_formats_go_as_png(tmp_path):
    made = bpy.data.images.new("Painted", *SIZE)
    pixels = np.random.default_rng(3).random((SIZE[1], SIZE[0], 4)).astype(np.float32)
    pixels[..., 3] = 1.0
    made.pixels.foreach_set(pixels.ravel())
    other = photograph(tmp_path / "photo.tga", file_format="TARGA")
    light = bpy.data.images.new("Light", *SIZE, float_buffer=True)
    light.pixels.foreach_set(np.full(SIZE[0] * SIZE[1] * 4, 0.5, np.float32))
    for item in (eye("Painter", made), eye("Targa", other), eye("Renderer", light)):
        found = photographs.read(item)
        assert found.data[:4].tobytes() == b"\x89PNG"
        assert image_size(found.data) == found.size == SIZE
    np.testing.assert_allclose(stored(tmp_path, "Painter"), pixels[..., :3], atol=0.5 / 255 + 1e-6)
    np.testing.assert_allclose(stored(tmp_path, "Renderer"), 0.7353570, atol=1e-5)  # linear light as sRGB, in 16 bits


def stored(folder: Path, camera: str) -> np.ndarray:
    """The values in the file that is sent for a camera, bottom row first."""
    path = folder / f"{camera}.png"
    path.write_bytes(photographs.read(bpy.data.objects[camera]).data.tobytes())
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(SIZE[1], SIZE[0], -1)[..., :3]


# Masks ------------------------------------------------------------------------------------------------------------------


def mask_of(values: np.ndarray, name: str) -> bpy.types.Image:
    image = bpy.data.images.new(name, values.shape[1], values.shape[0], float_buffer=True, is_data=True)
    pixels = np.ones((*values.shape, 4), np.float32)
    pixels[..., :3] = values[::-1, :, None]
    image.pixels.foreach_set(pixels.ravel())
    return image


def test_one_mask_makes_a_mask_for_every_photograph(scan):
    values = np.zeros((SIZE[1], SIZE[0]), np.float32)
    values[:10, :20] = 1.0
    mask_of(values, "photo_2_mask.png")
    first, second = read()["masks"]
    assert first.values.shape == (1, 1)
    assert first.values == 1.0
    np.testing.assert_array_equal(second.values, values)
    assert "1 of them with a mask" in sources.summary(bpy.context.scene, SPEC, scan)
    backdrop = bpy.data.objects["Eye 1"].data.background_images.new()
    backdrop.image = mask_of(1 - values, "hand")
    np.testing.assert_array_equal(read()["masks"][0].values, 1 - values)
    backdrop.image = mask_of(np.ones((5, 5), np.float32), "small")
    with pytest.raises(InvalidInput, match=r"mask 'small' of the camera 'Eye 1' is 5 x 5, its photograph is 64 x 48"):
        read()


def test_a_mask_over_a_straightened_backdrop_is_bent_back(scan):
    """A disc painted over what is shown covers, in the photograph as it was taken, what the lens makes of it."""
    lens = Distortion("perspective", (-0.25, 0.08, 0.002, -0.001, 0.0, 0.0, 0.0, 0.0))
    item = bpy.data.objects["Eye 1"]
    item.data[cameras.SIZE_KEY] = SIZE
    item.data[cameras.LENS_KEY], item.data[cameras.COEFFICIENTS_KEY] = lens.model, list(lens.coefficients)
    camera = cameras.camera(item, bpy.context.evaluated_depsgraph_get(), SIZE)
    y, x = np.mgrid[:480, :640] + 0.5
    ideal = np.stack([(x / 10 - camera.cx) / camera.fx, (y / 10 - camera.cy) / camera.fy], axis=-1)
    disc = ((ideal[..., 0] - 0.2) ** 2 + (ideal[..., 1] - 0.1) ** 2 < 0.2**2).astype(np.float32)
    item.data.background_images.new().image = mask_of(disc, "disc")
    found = read()["masks"][0].values
    assert found.shape == (SIZE[1], SIZE[0])
    inside = distort(ideal[disc > 0], lens) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    expected = np.zeros_like(found)
    columns, rows = np.floor(inside).astype(int).T
    seen = (columns >= 0) & (columns < SIZE[0]) & (rows >= 0) & (rows < SIZE[1])
    np.add.at(expected, (rows[seen], columns[seen]), 1.0)
    whole, none = expected > 0.9 * np.percentile(expected[expected > 0], 50), expected == 0
    assert found[whole].mean() > 0.98
    assert found[none].mean() < 0.02


# Cameras that the backend cannot draw -----------------------------------------------------------------------------------


def test_one_orthographic_camera_has_all_maps_drawn_here(scan, tmp_path):
    eye("Flat", photograph(tmp_path / "photo_3.png", seed=3), type="ORTHO", ortho_scale=3.0)
    bpy.context.view_layer.objects.active = scan
    before = fingerprint()
    arrays = read()
    assert fingerprint() == before
    assert not arrays["cameras"]
    assert len(arrays["mesh"]) == 1
    for port in ("images", "uv_maps", "depth_maps", "facing_maps"):
        assert len(arrays[port]) == 3
    for uv, depth, facing in zip(arrays["uv_maps"], arrays["depth_maps"], arrays["facing_maps"], strict=True):
        assert uv.values.shape == (SIZE[1], SIZE[0], 2)
        seen = np.isfinite(uv.values[..., 0])
        assert seen.mean() > 0.2
        np.testing.assert_allclose(depth.values[seen], 4.0, atol=1e-4)
        assert facing.values[seen].min() > 0.8
        assert facing.values[~seen].max(initial=0.0) == 0.0
    assert "Cycles draws" in " ".join(sources.summary(bpy.context.scene, SPEC, scan))


def test_a_bent_photograph_beside_drawn_maps_is_straightened(scan, tmp_path):
    """Maps drawn here are a pinhole's, and no camera is sent that would tell the backend the lens."""
    eye("Flat", photograph(tmp_path / "photo_3.png", seed=3), type="ORTHO", ortho_scale=3.0)
    bpy.context.view_layer.objects.active = scan
    item = bpy.data.objects["Eye 1"]
    item.data[cameras.SIZE_KEY] = SIZE
    item.data[cameras.COEFFICIENTS_KEY] = [-0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    first, second, _ = read()["images"]
    assert first.values.tobytes() != (tmp_path / "photo_1.png").read_bytes()
    assert image_size(first.values) == SIZE
    assert second.values.tobytes() == (tmp_path / "photo_2.png").read_bytes()


def test_maps_that_are_too_large_to_send_are_refused_before_drawing(scan, tmp_path, monkeypatch):
    eye("Flat", photograph(tmp_path / "photo_3.png"), type="ORTHO")
    bpy.context.view_layer.objects.active = scan
    monkeypatch.setattr(scan_reading, "MAX_TOTAL_BYTES", 100_000)
    with pytest.raises(InvalidInput, match="UV maps of these photographs take more"):
        read()


# What is wrong ----------------------------------------------------------------------------------------------------------


def test_what_is_missing_is_said_where_the_user_is(scan, tmp_path):
    bpy.context.view_layer.objects.active = None
    assert "Select a mesh" in missing()
    bpy.context.view_layer.objects.active = scan
    collection = bpy.data.collections.new("Set")
    bpy.context.scene.collection.children.link(collection)
    pickers().from_cameras.source = "COLLECTION"
    assert "no collection is picked" in missing()
    pickers().from_cameras.collection = collection
    assert "no camera in the collection 'Set'" in missing()
    bare = eye("Bare")
    collection.objects.link(bare)
    collection.objects.link(bpy.data.objects["Eye 1"])
    assert "1 of 2 cameras in 'Set' have no photograph: Bare" in missing()
    pickers().from_cameras.source = "SELECTED"
    bpy.ops.object.select_all(action="DESELECT")
    assert "No selected camera has a photograph" in missing()
    bpy.context.scene.relievo.algorithm = "scan_texture"
    assert not bpy.ops.relievo.generate.poll()


def test_meshes_that_cannot_be_textured_say_so(scan):
    hole = bpy.data.objects.new("Hole", bpy.data.meshes.new("Hole"))
    bpy.context.scene.collection.objects.link(hole)
    pickers().from_mesh.object = hole
    assert "'Hole' has no faces" in missing()
    pickers().from_mesh.object = scan
    while scan.data.uv_layers:
        scan.data.uv_layers.remove(scan.data.uv_layers[0])
    assert "Press Unwrap" in missing()
    assert bpy.ops.relievo.unwrap() == {"FINISHED"}
    assert missing() == ""
    scan.data.vertices[3].co.x = math.nan
    with pytest.raises(InvalidInput, match="1 of 20 vertices of 'Scan' have no position"):
        read()


def test_triangles_without_uvs_go_out_without(scan):
    while scan.data.uv_layers:
        scan.data.uv_layers.remove(scan.data.uv_layers[0])
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.quads_convert_to_tris()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert missing() == ""
    assert "Scan has no UVs yet" in sources.summary(bpy.context.scene, SPEC, scan)
    assert np.isnan(read()["mesh"][0].values[..., 3:]).all()


def test_photographs_that_do_not_fit_or_are_gone_are_named(scan, tmp_path):
    item = bpy.data.objects["Eye 1"]
    item.data[cameras.SIZE_KEY] = (640, 480)
    with pytest.raises(InvalidInput, match=r"Photo photo_1\.png is 64 x 48, its camera 'Eye 1' says 640 x 480"):
        read()
    del item.data[cameras.SIZE_KEY]
    (tmp_path / "photo_1.png").write_bytes(b"")
    with pytest.raises(InvalidInput, match=r"photo_1.png of the camera 'Eye 1' is empty"):
        read()
    (tmp_path / "photo_1.png").unlink()
    with pytest.raises(InvalidInput, match=r"photo_1.png of the camera 'Eye 1' cannot be read: No such file"):
        read()
    item.data.background_images.clear()
    given = collect(cameras="Eye 2")
    assert [source.name for source in given["images"]] == ["Eye 2"]
    with pytest.raises(InvalidInput, match="'Eye 1' has no photograph"):
        photographs.read(item)


def test_every_port_of_the_engine_is_fed_or_followed():
    for port in SPEC.inputs:
        assert sources.follows_cameras(SPEC, port) or port.kind in (MESH, CAMERAS)


# UVs that come back -----------------------------------------------------------------------------------------------------


def soup_with(scan, uv) -> np.ndarray:
    depsgraph = bpy.context.evaluated_depsgraph_get()
    soup = scans.mesh(scan, depsgraph, np.zeros(3)).values.copy()
    soup[..., 3:] = uv(soup[..., 3:])
    return soup


def test_new_uvs_come_back_to_their_own_corners(scan):
    before = scans.surface(scan, bpy.context.evaluated_depsgraph_get()).uv
    scans.write_uvs(scan, soup_with(scan, lambda uv: 1.0 - uv / 2), "Relievo")
    assert scan.data.uv_layers.active.name == "Relievo"
    assert len(scan.data.uv_layers) == 2
    after = scans.surface(scan, bpy.context.evaluated_depsgraph_get()).uv
    np.testing.assert_array_equal(after, 1.0 - before / 2)
    scans.write_uvs(scan, soup_with(scan, lambda uv: uv / 2), "Relievo")
    assert len(scan.data.uv_layers) == 2


def test_uvs_that_do_not_fit_the_mesh_any_more_change_nothing(scan):
    soup = soup_with(scan, lambda uv: uv)
    with pytest.raises(InvalidInput, match="had 25 triangles and has 24"):
        scans.write_uvs(scan, np.concatenate([soup, soup[:1]]), "Relievo")
    cut = soup.copy()
    cut[0, :, 3:] += 0.25  # one half of a quad goes elsewhere
    with pytest.raises(InvalidInput, match="cut through faces"):
        scans.write_uvs(scan, cut, "Relievo")
    scan.modifiers.new("Sub", "SUBSURF").subdivision_type = "SIMPLE"
    with pytest.raises(InvalidInput, match="modifiers of 'Scan' make other faces"):
        scans.write_uvs(scan, soup_with(scan, lambda uv: uv), "Relievo")
    assert [layer.name for layer in scan.data.uv_layers] == ["UVMap"]


def test_a_mesh_that_cannot_keep_new_uvs_is_refused_before_anything_is_computed(scan):
    read(unwrap="missing")
    with pytest.raises(
        InvalidInput, match=r"'Scan' is to get new UVs, and faces with more than three.*Smart UV Project"
    ):
        read(unwrap="always")
    scan.modifiers.new("Triangles", "TRIANGULATE")
    with pytest.raises(InvalidInput, match="'Scan' is to get new UVs, and modifiers that make other faces"):
        read(unwrap="always")
    bpy.ops.mesh.uv_texture_remove()
    with pytest.raises(InvalidInput, match="'Scan' has no UVs, and modifiers that make other faces"):
        read(unwrap="missing")
    bpy.ops.object.modifier_apply(modifier="Triangles")
    scan.modifiers.new("Bend", "SIMPLE_DEFORM")
    (sent,) = read(unwrap="always")["mesh"]
    sent.values[..., 3:] = sent.values[..., :2]
    scans.write_uvs(scan, sent.values, "Relievo")


def test_the_straight_pixels_of_a_mask_are_followed_to_a_tenth_of_a_pixel():
    lens = Distortion("perspective", (-0.15, 0.03, 0.001, 0.0005, 0.0, 0.0, 0.0, 0.0))
    item = eye("Eye")
    item.data[cameras.COEFFICIENTS_KEY] = list(lens.coefficients)
    camera = cameras.camera(item, bpy.context.evaluated_depsgraph_get(), (400, 300))
    straight = masks._straight_pixels(camera).astype(np.float64)
    ideal = (straight - (camera.cx, camera.cy)) / (camera.fx, camera.fy)
    bent = distort(ideal, lens) * (camera.fx, camera.fy) + (camera.cx, camera.cy)
    y, x = np.mgrid[:300, :400] + 0.5
    np.testing.assert_allclose(bent, np.stack([x, y], axis=-1), atol=0.1)
