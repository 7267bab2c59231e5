"""Blender's cameras all the way to a texture, by both roads: mesh and cameras to the backend's rasteriser, or maps drawn here.

The photographs show a colour that is the surface's own UV, so that the texture is known: red grows to the right, green upwards.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
import pytest
from mathutils import Matrix

from blender_addon import pump, requests
from blender_addon.inputs import sources
from blender_addon.readers import cameras, scans, uv_maps
from blender_addon.shared.algorithm import find
from blender_addon.shared.cameras.distortion import distort, undistorted
from blender_addon.shared.catalog import ALGORITHMS
from tests.blender.support import live_addon

SPEC = find(ALGORITHMS, "scan_texture")
SIZE, PHOTOGRAPH = 64, (240, 160)
PARAMS = {"size": SIZE, "color_correction": "none", "alignment": "none"}
BARREL = [-0.15, 0.04, 0.002, -0.001, 0.0, 0.0, 0.0, 0.0]


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    """After the empty file, which has no settings yet."""
    live_addon.discard_jobs()


@pytest.fixture
def scan() -> bpy.types.Object:
    """A bent sheet, far from the world's origin, turned, active; the scene renders at the photographs' proportions."""
    bpy.context.scene.render.resolution_x, bpy.context.scene.render.resolution_y = 1200, 800
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=24, y_subdivisions=24, size=2.0)
    item = bpy.context.active_object
    for vertex in item.data.vertices:
        vertex.co.z = 0.12 * vertex.co.x**2 - 0.1 * vertex.co.y
    item.matrix_world = Matrix.Translation((40.0, -25.0, 7.0)) @ Matrix.Rotation(0.8, 4, (0.2, 0.1, 1.0))
    return item


def eye(number: int, scan, **settings) -> bpy.types.Object:
    """A camera over the sheet, each somewhere else, that sees all of it."""
    data = bpy.data.cameras.new(f"Eye {number}")
    for name, value in settings.items():
        setattr(data, name, value)
    item = bpy.data.objects.new(data.name, data)
    bpy.context.scene.collection.objects.link(item)
    tilt = Matrix.Rotation(0.35 * (number - 1), 4, "X") @ Matrix.Rotation(0.25 * (number - 1), 4, "Y")
    item.matrix_world = scan.matrix_world @ tilt @ Matrix.Translation((0.05 * number, 0.0, 4.5))
    bpy.context.view_layer.update()
    return item


def photograph(item, scan, path: Path, lens: list[float] | None = None) -> None:
    """Put a picture of the sheet's UVs behind a camera, bent by a lens where one is given."""
    (view,) = uv_maps.draw(scan, [], [(item, PHOTOGRAPH)], bpy.context)
    colors = np.full((PHOTOGRAPH[1], PHOTOGRAPH[0], 3), 0.5, np.float32)
    colors[..., :2] = np.where(np.isfinite(view.uv), view.uv, 0.0)
    if lens is not None:
        item.data[cameras.SIZE_KEY], item.data[cameras.COEFFICIENTS_KEY] = PHOTOGRAPH, lens
        colors = bent(colors, cameras.camera(item, bpy.context.evaluated_depsgraph_get(), PHOTOGRAPH))
    image = bpy.data.images.new(path.name, *PHOTOGRAPH, alpha=False)
    full = np.ones((PHOTOGRAPH[1], PHOTOGRAPH[0], 4), np.float32)
    full[..., :3] = colors
    image.pixels.foreach_set(full[::-1].ravel())
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    item.data.background_images.new().image = bpy.data.images.load(str(path))


def bent(pixels: np.ndarray, camera) -> np.ndarray:
    """What the lens would have taken: a picture whose straightened form is `pixels`, by fixed-point search for each pixel."""
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    focal, middle = np.array([camera.fx, camera.fy]), np.array([camera.cx, camera.cy])
    wanted = (np.stack([x, y], axis=-1) - middle) / focal
    ideal = wanted.copy()
    for _ in range(50):
        ideal += wanted - distort(ideal, camera.distortion)
    place = np.clip(ideal * focal + middle - 0.5, 0, np.array(PHOTOGRAPH) - 1.001)
    left, top = np.moveaxis(place.astype(int), -1, 0)
    a, b = np.moveaxis(place - place.astype(int), -1, 0)
    a, b = a[..., None], b[..., None]
    upper = pixels[top, left] * (1 - a) + pixels[top, left + 1] * a
    return (upper * (1 - b) + (pixels[top + 1, left] * (1 - a) + pixels[top + 1, left + 1] * a) * b).astype(np.float32)


def textured(**params) -> tuple[np.ndarray, np.ndarray]:
    """The texture as 0..1 and how many photographs have seen each texel, as the backend made them."""
    pump.connect()
    given = sources.collect(bpy.context.scene, SPEC, bpy.context.active_object)
    request = requests.Request(spec=SPEC, params={**PARAMS, **params}, sources=given, preview=False)
    job = requests.submit(pump.session(), bpy.context, request, generation=pump.generation())
    pump.session().wait(job)
    return job.outputs["texture"][0].values / 65535.0, job.outputs["coverage"][0].values


def assert_is_its_own_uv(texture: np.ndarray, coverage: np.ndarray) -> None:
    inner = np.zeros(coverage.shape, bool)
    inner[4:-4, 4:-4] = True
    assert (coverage[inner] > 0).mean() > 0.98
    seen = inner & (coverage > 0)
    right, up = (np.arange(SIZE) + 0.5) / SIZE, 1 - (np.arange(SIZE) + 0.5) / SIZE
    expected = np.stack([*np.broadcast_arrays(right[None, :], up[:, None]), np.full((SIZE, SIZE), 0.5)], axis=-1)
    error = np.abs(texture - expected).max(axis=-1)[seen]
    assert np.median(error) < 0.004, "an 8-bit step"
    assert np.percentile(error, 99) < 0.02


@pytest.mark.any_version
def test_perspective_cameras_are_drawn_by_the_backend(scan, tmp_path):
    for number in range(3):
        item = eye(
            number, scan, lens=50.0 + 5 * number, shift_x=0.05 * number, sensor_fit=("AUTO", "VERTICAL")[number % 2]
        )
        photograph(item, scan, tmp_path / f"{number}.png")
    assert_is_its_own_uv(*textured())


@pytest.mark.any_version
def test_a_lens_is_undone_by_the_backend(scan, tmp_path):
    for number in range(3):
        photograph(eye(number, scan, sensor_fit="HORIZONTAL"), scan, tmp_path / f"{number}.png", lens=BARREL)
    assert_is_its_own_uv(*textured())


def test_an_orthographic_and_a_bent_camera_together_are_drawn_by_blender(scan, tmp_path):
    photograph(eye(0, scan, type="ORTHO", ortho_scale=3.6), scan, tmp_path / "flat.png")
    photograph(eye(1, scan, sensor_fit="HORIZONTAL"), scan, tmp_path / "bent.png", lens=BARREL)
    photograph(eye(2, scan), scan, tmp_path / "plain.png")
    assert_is_its_own_uv(*textured())


@pytest.mark.any_version
def test_the_bent_pictures_of_these_tests_are_bent(scan, tmp_path):
    item = eye(1, scan, sensor_fit="HORIZONTAL")
    photograph(item, scan, tmp_path / "bent.png", lens=BARREL)
    camera = cameras.camera(item, bpy.context.evaluated_depsgraph_get(), PHOTOGRAPH)
    y, x = np.mgrid[: PHOTOGRAPH[1], : PHOTOGRAPH[0]].astype(np.float32)
    ramp = np.stack([x, y, x], axis=-1)
    taken = bent(ramp, camera)
    assert np.abs(taken - ramp).max() > 3, "pixels"
    back, inside = undistorted(taken, camera)
    middle = np.zeros(inside.shape, bool)
    middle[20:-20, 20:-20] = True
    np.testing.assert_allclose(back[inside & middle], ramp[inside & middle], atol=0.05)


@pytest.mark.any_version
def test_new_uvs_of_the_backend_fit_the_mesh_they_came_from(scan, tmp_path):
    """A mesh of triangles without UVs is unwrapped by the backend, and the UVs go back to the very corners."""
    for number in range(3):
        photograph(eye(number, scan), scan, tmp_path / f"{number}.png")
    bpy.ops.object.mode_set(mode="EDIT")
    bpy.ops.mesh.select_all(action="SELECT")
    bpy.ops.mesh.quads_convert_to_tris()
    bpy.ops.object.mode_set(mode="OBJECT")
    scan.data.uv_layers.remove(scan.data.uv_layers[0])
    pump.connect()
    given = sources.collect(bpy.context.scene, SPEC, scan)
    request = requests.Request(spec=SPEC, params=PARAMS, sources=given, preview=False)
    job = requests.submit(pump.session(), bpy.context, request, generation=pump.generation())
    assert job.purpose["uv_layer"] == ""
    assert (job.purpose["target"], job.purpose["target_uid"]) == (scan.name, scan.session_uid)
    pump.session().wait(job)
    (made,) = job.outputs["mesh"]
    scans.write_uvs(scan, made.values, "Relievo")
    surface = scans.surface(scan, bpy.context.evaluated_depsgraph_get())
    np.testing.assert_array_equal(surface.uv, made.values[..., 3:])
