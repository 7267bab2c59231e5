"""Heights as OBJ, GLB and PLY: every vertex and face, in the right place, read back by our own readers and by trimesh."""

from __future__ import annotations

import json
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import trimesh

from backend.commands import formats
from backend.files.meshes import heightfields, reading
from shared.arrays import COLOR_IMAGE, Array, height_map
from shared.errors import InvalidInput
from tests.support import prepared_python
from tests.support.toy_engines.catalog import toy_terrain

REPOSITORY = Path(__file__).resolve().parents[3]
ROWS, COLUMNS, PIXEL_M = 5, 7, 12.5
FORMATS = ("obj", "glb", "ply")
RNG = np.random.default_rng(3)
HEIGHTS = RNG.normal(900.0, 300.0, (ROWS, COLUMNS)).astype(np.float32)
COLORS = Array(COLOR_IMAGE, RNG.random((ROWS, COLUMNS, 3)).astype(np.float32))


def expected() -> np.ndarray:
    """Vertices [H * W, 3]: x to the right, y towards the top row, z up."""
    x = (np.arange(COLUMNS) - (COLUMNS - 1) / 2) * PIXEL_M
    y = ((ROWS - 1) / 2 - np.arange(ROWS)) * PIXEL_M
    return np.stack([*np.broadcast_arrays(x, y[:, None]), HEIGHTS], axis=-1).reshape(-1, 3)


def expected_uvs() -> np.ndarray:
    """Of the same vertices, v up: the centres of a picture's pixels."""
    u, v = (np.arange(COLUMNS) + 0.5) / COLUMNS, 1.0 - (np.arange(ROWS) + 0.5) / ROWS
    return np.stack(np.broadcast_arrays(u, v[:, None]), axis=-1).reshape(-1, 2)


def with_z_up(positions: np.ndarray, name: str) -> np.ndarray:
    """What a program with z up makes of a file whose y is up: a quarter turn, and no mirror."""
    return positions if name == "ply" else np.stack([positions[:, 0], -positions[:, 2], positions[:, 1]], axis=-1)


def written(folder: Path, name: str) -> Path:
    path = folder / f"height.{name}"
    heightfields.write(height_map(HEIGHTS, PIXEL_M), path, colors=COLORS, picture="albedo.png")
    return path


@pytest.mark.parametrize("name", FORMATS)
def test_our_own_reader_finds_every_triangle_where_it_belongs(tmp_path, name):
    mesh = reading.read(written(tmp_path, name)).values
    assert len(mesh) == 2 * (ROWS - 1) * (COLUMNS - 1)
    corners = with_z_up(mesh[..., :3].reshape(-1, 3), name)
    distances = np.abs(corners[:, None] - expected()).max(axis=2)
    nearest = distances.argmin(axis=1)
    assert distances.min(axis=1).max() < 1e-3, "each corner is a height, in metres"
    assert set(nearest) == set(range(ROWS * COLUMNS)), "each height is a corner"
    np.testing.assert_allclose(mesh[..., 3:].reshape(-1, 2), expected_uvs()[nearest], atol=1e-6)
    triangles = corners.reshape(-1, 3, 3)
    areas = np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])[:, 2] / 2
    np.testing.assert_allclose(areas, PIXEL_M**2 / 2, rtol=1e-4, err_msg="seen from above, counter-clockwise")


@pytest.mark.parametrize("name", FORMATS)
def test_another_program_reads_the_same(tmp_path, name):
    loaded = trimesh.load(written(tmp_path, name), process=False, force="mesh")
    assert isinstance(loaded, trimesh.Trimesh)
    assert len(loaded.faces) == 2 * (ROWS - 1) * (COLUMNS - 1)
    assert len(loaded.vertices) == ROWS * COLUMNS
    np.testing.assert_allclose(with_z_up(np.asarray(loaded.vertices), name), expected(), atol=1e-3)


@pytest.mark.parametrize("name", FORMATS)
def test_normals_are_those_of_the_heights(tmp_path, name):
    data = written(tmp_path, name).read_bytes()
    if name == "obj":
        given = np.array([line.split()[1:] for line in data.decode().splitlines() if line.startswith("vn ")], float)
    elif name == "ply":
        body = data[data.index(b"end_header\n") + 11 :]
        given = np.frombuffer(body[: ROWS * COLUMNS * 35], "<8f4,3u1")["f0"][:, 3:6]
    else:
        begin = 20 + struct.unpack("<I", data[12:16])[0] + 8 + 12 * ROWS * COLUMNS
        given = np.frombuffer(data[begin : begin + 12 * ROWS * COLUMNS], "<f4").reshape(-1, 3)
    np.testing.assert_allclose(with_z_up(given, name), expected_normals(), atol=1e-4)


def expected_normals() -> np.ndarray:
    down, right = np.gradient(HEIGHTS.astype(np.float64), PIXEL_M)
    made = np.stack([-right, down, np.ones_like(right)], axis=-1).reshape(-1, 3)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def test_bands_of_rows_join_without_a_trace(tmp_path, monkeypatch):
    whole = {name: written(tmp_path, name).read_bytes() for name in FORMATS}
    monkeypatch.setattr(heightfields, "BAND_VERTICES", 2 * COLUMNS)
    assert {name: written(tmp_path, name).read_bytes() for name in FORMATS} == whole


def test_an_obj_names_its_picture_and_every_line_is_one_of_the_format(tmp_path):
    lines = [line.split() for line in written(tmp_path, "obj").read_text().splitlines()]
    counts = {word: sum(line[0] == word for line in lines) for word in ("mtllib", "usemtl", "v", "vt", "vn", "f")}
    vertices = ROWS * COLUMNS
    assert counts == {"mtllib": 1, "usemtl": 1, "v": vertices, "vt": vertices, "vn": vertices, "f": 2 * 4 * 6}
    assert len(lines) == sum(counts.values())
    assert "map_Kd albedo.png" in (tmp_path / "height.mtl").read_text().splitlines()
    bare = heightfields.write(height_map(HEIGHTS, PIXEL_M), tmp_path / "bare.obj")
    assert bare == ["bare.obj"]
    assert "mtl" not in (tmp_path / "bare.obj").read_text()


def test_a_glb_has_whole_chunks_and_its_picture_inside(tmp_path):
    data = written(tmp_path, "glb").read_bytes()
    magic, version, length, json_length = struct.unpack("<4s3I", data[:16])
    assert (magic, version, length) == (b"glTF", 2, len(data))
    document = json.loads(data[20 : 20 + json_length])
    binary = data[20 + json_length + 8 :]
    assert len(binary) == document["buffers"][0]["byteLength"]
    view = document["bufferViews"][document["images"][0]["bufferView"]]
    assert binary[view["byteOffset"] :][:8] == b"\x89PNG\r\n\x1a\n"
    places = np.frombuffer(binary, "<f4", ROWS * COLUMNS * 3).reshape(-1, 3)
    assert document["accessors"][0]["min"] == places.min(axis=0).tolist()
    assert document["accessors"][0]["max"] == places.max(axis=0).tolist()


def test_a_ply_has_the_colours_of_its_vertices(tmp_path):
    data = written(tmp_path, "ply").read_bytes()
    begin = data.index(b"end_header\n") + 11
    light = np.frombuffer(data[begin : begin + ROWS * COLUMNS * 35], "<8f4,3u1")["f1"] / 255.0
    srgb = COLORS.values.reshape(-1, 3)
    srgb = np.where(srgb <= 0.0031308, 12.92 * srgb, 1.055 * srgb ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(light, srgb, atol=0.003)
    finer = Array(COLOR_IMAGE, np.zeros((10, 14, 3), np.float32))
    heightfields.write(height_map(HEIGHTS, PIXEL_M), tmp_path / "plain.ply", colors=finer)
    assert b"red" not in (tmp_path / "plain.ply").read_bytes()[:400]


@pytest.mark.parametrize("name", FORMATS)
def test_heights_without_data_or_faces_are_refused_and_leave_no_file(tmp_path, name):
    holed = HEIGHTS.copy()
    holed[1, 2] = np.nan
    with pytest.raises(InvalidInput, match="1 of 35 cells without data") as caught:
        heightfields.write(height_map(holed, PIXEL_M), tmp_path / f"height.{name}")
    assert "--fill-nodata" in caught.value.hint
    with pytest.raises(InvalidInput, match="1 x 7 have no faces"):
        heightfields.write(height_map(HEIGHTS[:1], PIXEL_M), tmp_path / f"height.{name}")
    assert not list(tmp_path.iterdir())


def test_a_glb_beyond_4_gib_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(heightfields, "GLB_BYTES", 2000)
    with pytest.raises(InvalidInput, match="the format ends at 4 GiB"):
        written(tmp_path, "glb")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", FORMATS)
def test_memory_stays_bounded(tmp_path, name, monkeypatch):
    """Eight times the rows take no more than the band that is being written."""
    monkeypatch.setattr(heightfields, "BAND_VERTICES", 1 << 11)

    def peak(rows: int) -> int:
        heights = height_map(np.zeros((rows, 64)), 1.0)
        tracemalloc.start()
        heightfields.write(heights, tmp_path / f"height.{name}")
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(640) < 1.2 * peak(80) + 60_000


def test_the_command_line_writes_them_beside_their_picture(tmp_path):
    np.save(tmp_path / "sketch.npy", RNG.integers(0, 5, (ROWS, COLUMNS)).astype(np.uint8))
    words = ["run", "toy_terrain", "--sketch", tmp_path / "sketch.npy", "--out", tmp_path / "out"]
    environ = {**os.environ, "RELIEVO_EXTRA_ALGORITHMS": "tests.support.toy_engines", "PYTHONPATH": str(REPOSITORY)}
    done = prepared_python.run([*words, "--format", "obj", "glb,ply,npy"], cwd=REPOSITORY, env=environ)
    assert done.returncode == 0, done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    meshes = {"height.obj", "height.mtl", "height.glb", "height.ply"}
    assert names == meshes | {"height.npy", "albedo.npy", "albedo.png", "recipe.json"}
    assert "map_Kd albedo.png" in (tmp_path / "out/height.mtl").read_text()
    files = json.loads((tmp_path / "out/recipe.json").read_text())["outputs"]["height"]
    assert meshes <= set(files)
    heights = np.load(tmp_path / "out/height.npy")
    mesh = reading.read(tmp_path / "out/height.obj").values
    assert len(mesh) == 2 * (ROWS - 1) * (COLUMNS - 1)
    np.testing.assert_allclose([mesh[..., 1].min(), mesh[..., 1].max()], [heights.min(), heights.max()], atol=1e-4)


def test_a_mesh_format_goes_to_heights_alone():
    made = formats.resolve(toy_terrain.SPEC, ["ply"])
    assert made == {"height": ["ply"], "albedo": ["png16"]}
    assert formats.resolve(toy_terrain.SPEC, ["obj", "npy"])["albedo"] == ["npy", "png16"]
    assert formats.resolve(toy_terrain.SPEC, None) == {"height": ["npy", "tif"], "albedo": ["png16"]}
