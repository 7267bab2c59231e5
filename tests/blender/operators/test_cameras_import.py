"""Import Cameras and Unwrap in a real Blender: what they make of files, of wrong files, and of the user's scene."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np
import pytest

from benchmarks import bloster_capture
from blender_addon.operators import cameras as operators
from blender_addon.readers import cameras, photographs, scans, uv_maps
from blender_addon.shared.cameras import Camera, Distortion, write
from blender_addon.shared.cameras.distortion import distort
from blender_addon.shared.cameras.flips import FLIPS
from blender_addon.writers import undistorted_backgrounds
from tests.support import bloster

LENS = Distortion("perspective", (-0.2, 0.05, 1e-3, -5e-4, 0.0, 0.0, 0.0, 0.0))


pytestmark = pytest.mark.usefixtures("addon_alone")


def digest_of_file() -> str:
    """Everything that an import could leave behind."""
    kinds = ("objects", "cameras", "images", "collections", "meshes", "scenes", "materials")
    contents = [sorted((kind, item.name) for item in getattr(bpy.data, kind)) for kind in kinds]
    return hashlib.sha256(repr(contents).encode()).hexdigest()


def save_picture(path: Path, width: int, height: int, pixels: np.ndarray | None = None) -> None:
    """A PNG or JPEG of float values [H, W, 3], top row first, stored as they are."""
    image = bpy.data.images.new(path.name, width, height, alpha=False)
    full = np.ones((height, width, 4), np.float32)
    full[..., :3] = pixels if pixels is not None else 0.5
    image.pixels.foreach_set(full[::-1].ravel())
    image.filepath_raw, image.file_format = str(path), "JPEG" if path.suffix == ".jpg" else "PNG"
    image.save()
    bpy.data.images.remove(image)


def camera(name: str, *, size=(64, 48), distortion: Distortion | None = None, place=(0.0, 0.0, 3.0), fy=80.0) -> Camera:
    """Above the origin, looking down."""
    rotation = np.diag([1.0, -1.0, -1.0])
    return Camera(
        name=name,
        width=size[0],
        height=size[1],
        fx=80.0,
        fy=fy,
        cx=size[0] / 2,
        cy=size[1] / 2,
        rotation=rotation,
        translation=-rotation @ np.array(place),
        distortion=distortion or Distortion(),
    )


def write_set(folder: Path, cameras_: list[Camera]) -> Path:
    folder.mkdir(exist_ok=True)
    write(cameras_, folder / "cameras.json")
    for entry in cameras_:
        save_picture(folder / entry.name, entry.width, entry.height)
    return folder / "cameras.json"


def import_cameras(**options) -> bpy.types.Collection:
    assert bpy.ops.relievo.import_cameras(
        **{key: str(v) if isinstance(v, Path) else v for key, v in options.items()}
    ) == {"FINISHED"}
    bpy.context.view_layer.update()
    return bpy.context.scene.relievo.scan_texture.from_cameras.collection


def refusal(**options) -> str:
    """What the import says when it refuses, having left the file as it was."""
    before = digest_of_file()
    with pytest.raises(RuntimeError) as raised:
        bpy.ops.relievo.import_cameras(**{key: str(value) for key, value in options.items()})
    assert digest_of_file() == before, "nothing is half imported"
    assert operators.problem()
    assert operators.problem() in str(raised.value)
    return str(raised.value)


# The real scan ------------------------------------------------------------------------------------------------------


@pytest.fixture
def scan(shared_data) -> Path:
    return shared_data / "scans/bloster"


def test_a_real_scans_cameras_see_its_mesh_where_its_depth_camera_did(scan, tmp_path):
    """The depth maps were measured by another sensor, to some millimetres: a pose that is wrong is off by far more."""
    model = bloster.write_colmap(scan, tmp_path / "sparse")
    collection = import_cameras(filepath=model, images=scan / bloster_capture.PHOTOGRAPHS)
    assert [item.name for item in collection.objects] == [f"color_{number:02d}" for number in range(14)]
    bpy.ops.wm.ply_import(filepath=str(scan / bloster_capture.MESH))
    item = bpy.context.active_object
    assert bpy.ops.relievo.unwrap() == {"FINISHED"}
    size = bloster_capture.WIDTH // 4, bloster_capture.HEIGHT // 4
    for number in (0, 5, 9, 13):
        eye = collection.objects[number]
        eye.data[cameras.SIZE_KEY] = size  # a quarter of the pixels of the same picture
        (view,) = uv_maps.draw(item, [], [(eye, size)], bpy.context)
        measured = depth_map(scan / bloster_capture.PHOTOGRAPHS / f"depth_{number:02d}.png")[1::2, 1::2]
        both = np.isfinite(view.depth) & (measured > 0)
        assert both.mean() > 0.05
        assert np.median(np.abs(view.depth - measured)[both]) < 0.02


def depth_map(path: Path) -> np.ndarray:
    """Metres [540, 960], 0 where nothing was measured."""
    image = bpy.data.images.load(str(path))
    image.colorspace_settings.name = "Non-Color"
    values = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(values)
    columns, rows = image.size
    return values.reshape(rows, columns, image.channels)[::-1, :, 0] * 65.535


def test_imported_cameras_say_what_their_files_say(scan, tmp_path):
    collection = import_cameras(
        filepath=bloster.write_colmap(scan, tmp_path / "sparse"), images=scan / bloster_capture.PHOTOGRAPHS
    )
    depsgraph = bpy.context.evaluated_depsgraph_get()
    fx, fy, cx, cy = bloster_capture.intrinsics(scan)
    for item, (name, (rotation, translation)) in zip(
        collection.objects, bloster_capture.poses(scan).items(), strict=True
    ):
        taken = photographs.read(item)
        found = cameras.camera(item, depsgraph, taken.size, name=taken.name)
        assert (found.name, found.width, found.height) == (name, bloster_capture.WIDTH, bloster_capture.HEIGHT)
        assert (found.fx, found.fy, found.cx, found.cy) == pytest.approx((fx, fy, cx, cy), abs=1e-3)
        np.testing.assert_allclose(found.rotation, rotation, atol=1e-5)  # six digits in the file
        np.testing.assert_allclose(found.translation, translation, atol=2e-5)
        assert taken.data.tobytes() == (scan / bloster_capture.PHOTOGRAPHS / name).read_bytes()


# What an import makes -------------------------------------------------------------------------------------------------


def test_one_undo_step_takes_it_away_and_redo_brings_it_back(tmp_path):
    path = write_set(tmp_path / "set", [camera("a.png"), camera("b.png", place=(0.5, 0, 3))])
    bpy.ops.ed.undo_push(message="before")
    import_cameras(filepath=path)
    bpy.ops.ed.undo_push(message="Import Cameras")  # what the window does for an operator with UNDO
    assert len(bpy.data.cameras) == 2
    bpy.ops.ed.undo()
    assert len(bpy.data.cameras) == 0
    assert not len(bpy.data.collections)
    bpy.ops.ed.redo()
    assert sorted(item.name for item in bpy.data.collections["Cameras"].objects) == ["a", "b"]
    assert "UNDO" in operators.RELIEVO_OT_import_cameras.bl_options


def test_each_camera_shows_its_photograph_as_wide_as_its_frame(tmp_path):
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 640, 360
    path = write_set(tmp_path / "set", [camera("wide.png", size=(96, 32)), camera("tall.png", size=(48, 64))])
    wide, tall = import_cameras(filepath=path).objects
    for item, method in ((wide, "FIT"), (tall, "CROP")):
        (backdrop,) = item.data.background_images
        assert Path(backdrop.image.filepath).name == f"{item.name}.png"
        assert item.data.show_background_images
        assert (item.data.sensor_fit, backdrop.frame_method) == ("HORIZONTAL", method)
    assert bpy.context.scene.render.resolution_x == 640, "the render size is the user's"
    import_cameras(filepath=path, set_render_size=True)
    assert (bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y) == (96, 32)


def test_a_bent_photograph_is_shown_straight_and_sent_bent(tmp_path):
    """A straight line of the world: bent in the photograph, straight again in the backdrop."""
    entry = camera("bent.png", size=(320, 240), distortion=LENS)
    path = write_set(tmp_path / "set", [entry])
    x, line = np.linspace(-2.5, 2.5, 2000), np.full(2000, 1.1)
    bent = distort(np.stack([x, line], axis=-1), LENS) * (entry.fx, entry.fy) + (entry.cx, entry.cy)
    pixels = np.zeros((240, 320, 3), np.float32)
    columns, rows = np.floor(bent).astype(int).T
    inside = (columns >= 0) & (columns < 320) & (rows >= 1) & (rows < 239)
    for off in (-1, 0, 1):
        pixels[rows[inside] + off, columns[inside]] = 1.0
    save_picture(tmp_path / "set/bent.png", 320, 240, pixels)
    (item,) = import_cameras(filepath=path).objects
    shown = item.data.background_images[0].image
    assert Path(shown.filepath).parent == tmp_path / "data" / undistorted_backgrounds.FOLDER
    assert rows[inside].max() - rows[inside].min() > 8, "the lens bends the line"
    values = np.empty(len(shown.pixels), np.float32)
    shown.pixels.foreach_get(values)
    rows_seen = np.nonzero(values.reshape(240, 320, -1)[::-1, 60:260, 0] > 0.5)[0]
    assert rows_seen.min() >= 1.1 * 80 + 120 - 3
    assert rows_seen.max() <= 1.1 * 80 + 120 + 3
    taken = photographs.read(item)
    assert taken.data.tobytes() == (tmp_path / "set/bent.png").read_bytes()
    found = cameras.camera(item, bpy.context.evaluated_depsgraph_get(), taken.size)
    assert found.distortion == LENS


def test_backdrops_lie_beside_the_blend_and_are_made_once(tmp_path):
    path = write_set(tmp_path / "set", [camera("bent.png", distortion=LENS)])
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "scene.blend"))
    import_cameras(filepath=path)
    (made,) = (tmp_path / undistorted_backgrounds.FOLDER).iterdir()
    made_at = made.stat().st_mtime_ns
    import_cameras(filepath=path)
    assert [entry.stat().st_mtime_ns for entry in (tmp_path / undistorted_backgrounds.FOLDER).iterdir()] == [made_at]
    bpy.ops.wm.read_factory_settings(use_empty=True)


def test_pixels_that_are_not_square_are_kept_and_told(tmp_path, capfd):
    path = write_set(tmp_path / "set", [camera("a.png", fy=96.0)])
    (item,) = import_cameras(filepath=path).objects
    assert "1.2000" in capfd.readouterr().out
    found = cameras.camera(item, bpy.context.evaluated_depsgraph_get(), (64, 48))
    assert (found.fx, found.fy) == pytest.approx((80.0, 96.0), abs=1e-4)
    assert item.data.background_images[0].image.display_aspect[:] == pytest.approx((1.2, 1.0))


def test_missing_photographs_are_named_and_the_others_come(tmp_path, capfd):
    path = write_set(tmp_path / "set", [camera("a.png"), camera("b.png")])
    (tmp_path / "set/b.png").unlink()
    import_cameras(filepath=path)
    printed = capfd.readouterr().out
    assert "1 photographs were not found: b.png" in printed
    assert not photographs.has_photograph(bpy.data.objects["b"])


def test_a_mesh_that_needs_another_convention_is_told(tmp_path, capfd):
    looks_away = replace(camera("a.png"), rotation=np.eye(3), translation=np.array([0.0, 0.0, -3.0]))
    path = write_set(tmp_path / "set", [looks_away])
    bpy.ops.mesh.primitive_grid_add(size=1.0)
    import_cameras(filepath=path)
    assert "with the convention opengl they would" in capfd.readouterr().out
    import_cameras(filepath=path, flip="opengl")
    assert "convention" not in capfd.readouterr().out
    option = bpy.ops.relievo.import_cameras.get_rna_type().properties["flip"]
    assert option.name == "Convention", "as messages of the add-on and the backend call it"
    assert {item.name for item in option.enum_items} > set(FLIPS)


# Wrong files ----------------------------------------------------------------------------------------------------------


def test_wrong_files_give_a_sentence_and_leave_nothing(tmp_path):
    assert "does not exist" in refusal(filepath=tmp_path / "nowhere.json")
    (tmp_path / "cameras.json").write_text("{")
    assert "cameras.json" in refusal(filepath=tmp_path / "cameras.json")
    (tmp_path / "text.txt").write_text("hello")
    assert "not a recognised camera file" in refusal(filepath=tmp_path / "text.txt")
    path = write_set(tmp_path / "set", [camera("a.png"), camera("b.png")])
    assert "There is no folder" in refusal(filepath=path, images=tmp_path / "none")
    save_picture(tmp_path / "set/b.png", 32, 24)
    assert "Photo b.png is 32 x 24, its camera has 64 x 48" in refusal(filepath=path)
    (tmp_path / "set/b.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 4)
    assert "b.png" in refusal(filepath=path)
    for name in ("a.png", "b.png"):
        (tmp_path / "set" / name).unlink()
    assert "None of the 2 photographs" in refusal(filepath=path)


def test_a_broken_photograph_that_has_to_be_straightened_leaves_nothing(tmp_path):
    path = write_set(tmp_path / "set", [camera("a.png"), camera("b.png", distortion=LENS)])
    whole = (tmp_path / "set/b.png").read_bytes()
    (tmp_path / "set/b.png").write_bytes(whole[:40])  # the header with the size, and no pixels
    assert "b.png" in refusal(filepath=path)
    assert not list((tmp_path / "data" / undistorted_backgrounds.FOLDER).iterdir())


def test_the_last_problem_is_forgotten_after_an_import_that_works(tmp_path):
    refusal(filepath=tmp_path / "nowhere.json")
    import_cameras(filepath=write_set(tmp_path / "set", [camera("a.png")]))
    assert operators.problem() == ""


# Unwrapping -----------------------------------------------------------------------------------------------------------


def test_unwrap_gives_every_corner_a_place_of_its_own_and_leaves_the_rest():
    bpy.ops.mesh.primitive_monkey_add()
    mesh = bpy.context.active_object
    while mesh.data.uv_layers:
        mesh.data.uv_layers.remove(mesh.data.uv_layers[0])
    mesh.data.polygons[3].hide = True
    bpy.ops.mesh.primitive_cube_add(location=(5, 0, 0))
    other = bpy.context.active_object
    select = [polygon.select for polygon in mesh.data.polygons]
    assert bpy.ops.relievo.unwrap(mesh=mesh.name) == {"FINISHED"}
    assert bpy.context.view_layer.objects.active == other
    assert list(bpy.context.selected_objects) == [other]
    assert bpy.context.mode == "OBJECT"
    assert [polygon.hide for polygon in mesh.data.polygons].count(True) == 1
    assert [polygon.select for polygon in mesh.data.polygons] == select
    assert mesh.data.uv_layers.active.name == "Relievo"
    uv = scans.surface(mesh, bpy.context.evaluated_depsgraph_get()).uv
    assert uv.min() >= 0.0
    assert uv.max() <= 1.0
    a, b, c = np.moveaxis(uv.astype(float), 1, 0)
    area = np.abs((b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])) / 2
    assert 0.3 < area.sum() <= 1.0, "pieces lie beside each other"
    assert (area > 0).mean() > 0.99


def test_unwrapping_again_takes_the_same_layer():
    bpy.ops.mesh.primitive_cube_add()
    for _ in range(2):
        assert bpy.ops.relievo.unwrap() == {"FINISHED"}
    assert [layer.name for layer in bpy.context.active_object.data.uv_layers] == ["UVMap", "Relievo"]


def test_unwrap_says_what_it_needs():
    with pytest.raises(RuntimeError, match="No mesh is picked"):
        bpy.ops.relievo.unwrap()
    with pytest.raises(RuntimeError, match="no mesh 'Nobody'"):
        bpy.ops.relievo.unwrap(mesh="Nobody")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="only be unwrapped in Object Mode"):
        bpy.ops.relievo.unwrap()
    bpy.ops.object.mode_set(mode="OBJECT")
    item = bpy.context.active_object
    away = bpy.data.collections.new("Away")
    bpy.context.scene.collection.children.link(away)
    away.objects.link(item)
    for collection in [other for other in item.users_collection if other != away]:
        collection.objects.unlink(item)
    away.hide_viewport = True
    with pytest.raises(RuntimeError, match="hidden with its collection"):
        bpy.ops.relievo.unwrap(mesh=item.name)


def test_the_import_is_in_the_file_menu():
    text = json.dumps([function.__module__ for function in bpy.types.TOPBAR_MT_file_import._dyn_ui_initialize()])
    assert "operators.cameras" in text
