"""Meshes read from every format, written, welded and unwrapped; trimesh is the second opinion."""

from __future__ import annotations

import base64
import json
import logging
import struct
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from backend.files.meshes.polygons import Polygons, to_triangles, without_uvs
from backend.files.meshes.reading import FORMATS, read
from backend.files.meshes.unwrapping import unwrap, weld
from backend.files.meshes.wavefront import decode
from backend.files.meshes.writing import write
from shared.arrays import MESH, Array
from shared.errors import InvalidInput

ROOT = Path(__file__).resolve().parents[3]
# A cube by its six sides, each with a UV square of its own: corners that share a place and not a UV.
CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], float)
SIDES = np.array([[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]])
SQUARE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]])
SIDE_UVS = (SQUARE[None] + np.stack(np.divmod(np.arange(6), 3), -1)[:, None, ::-1]) / 3.0
TRIANGLES = np.array([0, 1, 2, 0, 2, 3])


def cube() -> np.ndarray:
    corners = np.concatenate([CUBE[SIDES], SIDE_UVS], -1)
    return corners[:, TRIANGLES].reshape(-1, 3, 5).astype(np.float32)


def sphere(rings: int = 24) -> np.ndarray:
    """A UV sphere with a seam, without its poles' needles."""
    u, v = np.meshgrid(np.arange(2 * rings + 1) / (2 * rings), (np.arange(rings - 1) + 1) / rings)
    places = np.stack([np.cos(2 * np.pi * u) * np.sin(np.pi * v), np.sin(2 * np.pi * u) * np.sin(np.pi * v)], -1)
    grid = np.concatenate([places, -np.cos(np.pi * v)[..., None], u[..., None], v[..., None]], -1)
    grid[:, -1, :3] = grid[:, 0, :3]
    a, b, c, d = grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]
    return np.concatenate([np.stack(t, 2).reshape(-1, 3, 5) for t in ((a, b, c), (a, c, d))]).astype(np.float32)


def areas(mesh: np.ndarray) -> np.ndarray:
    a, b = mesh[:, 1, :3] - mesh[:, 0, :3], mesh[:, 2, :3] - mesh[:, 0, :3]
    return np.linalg.norm(np.cross(a.astype(float), b.astype(float)), axis=-1) / 2


def volume(mesh: np.ndarray) -> float:
    """Above 0 for a closed mesh whose triangles turn counter-clockwise from outside."""
    a, b, c = mesh[:, :, :3].astype(float).swapaxes(0, 1)
    return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6)


def obj_cube(face: Callable[[int, int, int], str]) -> str:
    lines = [f"v {x} {y} {z}" for x, y, z in CUBE] + [f"vt {u:.9g} {v:.9g}" for u, v in SIDE_UVS.reshape(-1, 2)]
    lines += ["f " + " ".join(face(side, corner, SIDES[side, corner]) for corner in range(4)) for side in range(6)]
    return "\n".join(lines) + "\n"


def binary_ply(order: str, rows: bytes, header: str) -> bytes:
    return f"ply\nformat binary_{order}_endian 1.0\n{header}end_header\n".encode() + rows


def gltf(*, material: bool, wide: bool = False) -> tuple[dict, bytes]:
    """The cube's 24 corners under two nodes: one moved and turned, one mirrored. wide: normalized 16-bit UVs, 8-bit indices."""
    places = CUBE[SIDES].reshape(-1, 3).astype("<f4")
    uvs = (SIDE_UVS.reshape(-1, 2) * [1, -1] + [0, 1]).astype("<f4")
    packed_uvs = np.round(uvs * 65535).astype("<u2") if wide else uvs
    order = (4 * np.arange(6)[:, None] + TRIANGLES).ravel().astype("<u1" if wide else "<u4")
    binary = places.tobytes() + packed_uvs.tobytes() + order.tobytes()
    ends = np.cumsum([0, places.nbytes, packed_uvs.nbytes, order.nbytes]).tolist()
    primitive = {"attributes": {"POSITION": 0, "TEXCOORD_0": 1}, "indices": 2}
    if material:
        primitive["material"] = 0
    kinds = [(5126, 24, "VEC3"), (5123 if wide else 5126, 24, "VEC2"), (5121 if wide else 5125, 36, "SCALAR")]
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0, 2]}],
        "nodes": [
            {"children": [1], "translation": [10, 0, 0]},
            {"mesh": 0, "rotation": [0, 0, 2**-0.5, 2**-0.5], "scale": [2, 2, 2]},
            {"mesh": 0, "scale": [-1, 1, 1]},
        ],
        "meshes": [{"primitives": [primitive]}],
        "materials": [{}],
        "accessors": [
            {"bufferView": i, "componentType": kind, "count": count, "type": shape, "normalized": wide and i == 1}
            for i, (kind, count, shape) in enumerate(kinds)
        ],
        "bufferViews": [{"buffer": 0, "byteOffset": a, "byteLength": b - a} for a, b in pairwise(ends)],
        "buffers": [{"byteLength": len(binary)}],
    }
    return document, binary


def glb(document: dict, binary: bytes) -> bytes:
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text + struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<2I", 2, 12 + len(body)) + body


def save(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


# Wavefront -----------------------------------------------------------------------------------------------------------------------


def test_obj_keeps_the_uv_of_every_corner(tmp_path: Path) -> None:
    text = obj_cube(lambda side, corner, vertex: f"{vertex + 1}/{4 * side + corner + 1}")
    mesh = read(save(tmp_path, "cube.obj", text)).values
    np.testing.assert_array_equal(mesh, cube())
    assert volume(mesh) == pytest.approx(1.0)


@pytest.mark.parametrize(
    "face",
    [
        lambda side, corner, vertex: f"{vertex + 1}/{4 * side + corner + 1}/7",
        lambda side, corner, vertex: f"{vertex - 8}/{4 * side + corner - 24}",
        lambda side, corner, vertex: f"{vertex - 8}/{4 * side + corner + 1}/-1",
    ],
    ids=["normals", "from the last", "both"],
)
def test_obj_faces_in_every_spelling(tmp_path: Path, face: Callable[[int, int, int], str]) -> None:
    np.testing.assert_array_equal(read(save(tmp_path, "cube.obj", obj_cube(face))).values, cube())


@pytest.mark.parametrize("face", [lambda s, c, v: f"{v + 1}", lambda s, c, v: f"{v + 1}//3"], ids=["bare", "normals"])
def test_obj_without_uvs_says_so_in_nan(tmp_path: Path, face: Callable[[int, int, int], str]) -> None:
    mesh = read(save(tmp_path, "cube.obj", obj_cube(face))).values
    np.testing.assert_array_equal(mesh[..., :3], cube()[..., :3])
    assert np.isnan(mesh[..., 3:]).all()


def test_obj_as_programs_really_write_it(tmp_path: Path) -> None:
    """Several objects and materials, comments, Windows line ends, continued lines, colours behind positions, exponents, a third
    texture coordinate, lines and points between the faces, faces with and without UVs."""
    text = (
        "# made by hand\r\nmtllib a b.mtl\r\no first\r\n\tv  -1.5e-1 +2.5E+1 .5 1 0 0\r\nv 1 0 0 0.2 0.2 0.2\r\nv 0 1 0\r\n"
        "vt 0.25 0.5 0.0\r\nvt 1\r\nvn 0 0 1\r\nusemtl red\r\ns off\r\nf 1/1/1 2/2/1 \\\r\n 3/1/1 \r\nl 1 2\r\np 1\r\n"
        "o second\r\nv 123456789.123456789 0 0\r\nusemtl blue\r\nf 2 3 4\r\ng end"
    )
    mesh = read(save(tmp_path, "odd.obj", text)).values
    expected = [[-0.15, 25.0, 0.5, 0.25, 0.5], [1, 0, 0, 1, 0], [0, 1, 0, 0.25, 0.5]]
    np.testing.assert_allclose(mesh[0], np.array(expected, np.float32), rtol=0)
    np.testing.assert_array_equal(mesh[1, 2, :3], np.array([123456789.123456789, 0, 0], np.float32))
    assert np.isnan(mesh[1, :, 3:]).all()


@given(values=st.lists(st.floats(-(2.0**100), 2.0**100, width=32), min_size=9, max_size=9))
def test_obj_numbers_are_read_to_the_last_bit(values: list[float]) -> None:
    text = "".join(f"v {a!r} {b!r} {c!r}\n" for a, b, c in zip(*[iter(values)] * 3)) + "f 1 2 3\n"
    np.testing.assert_array_equal(
        decode(text.encode()).positions.ravel().astype(np.float32), np.array(values, np.float32)
    )


@given(content=st.binary(max_size=200) | st.text("vtf /-.0123e\n\\", max_size=200).map(str.encode))
def test_any_bytes_are_a_mesh_or_an_error_that_says_so(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("any")
    for ending in FORMATS:
        heads = {".ply": b"ply\n", ".off": b"OFF\n", ".glb": b"glTF\2\0\0\0", ".stl": b"solid facet "}
        path = save(folder, f"any{ending}", heads.get(ending, b"") + content)
        try:
            values = read(path).values
        except InvalidInput as error:
            raised = error
        else:
            assert np.isfinite(values[..., :3]).all()
            continue
        assert path.name in raised.message
        assert raised.hint


# PLY -----------------------------------------------------------------------------------------------------------------------------

SCALARS = "element vertex 8\nproperty float x\nproperty double y\nproperty float z\nproperty uchar red\n"
WEDGES = (
    "element face 6\nproperty uchar flags\nproperty list uchar int vertex_indices\nproperty list uchar float texcoord\n"
)


@pytest.mark.parametrize("order", ["little", "big"])
def test_binary_ply_with_a_uv_a_corner(tmp_path: Path, order: str) -> None:
    sign = "<" if order == "little" else ">"
    rows = b"".join(struct.pack(f"{sign}fdfB", *place, 200) for place in CUBE)
    for side, uvs in zip(SIDES, SIDE_UVS):
        rows += struct.pack(f"{sign}BB4iB8f", 0, 4, *side, 8, *uvs.ravel())
    mesh = read(save(tmp_path, "cube.ply", binary_ply(order, rows, SCALARS + WEDGES))).values
    np.testing.assert_allclose(mesh, cube(), atol=1e-7)


def test_text_ply_with_mixed_faces_and_some_uvs(tmp_path: Path) -> None:
    text = (
        "ply\nformat ascii 1.0\ncomment made by hand\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 3\nproperty list uchar int vertex_index\nproperty list uchar float texcoord\nelement edge 1\n"
        "property int vertex1\nproperty int vertex2\nend_header\n"
        "0 0 0\n1 0 0\n1 1 0\n0 1 0\n2 2 2\n"
        "3 0 1 4 6 0 0 1 0 1 1\n4 0 1 2 3 8 0 0 .5 0 .5 .5 0 .5\n3 2 3 4 0\n0 1\n"
    )
    mesh = read(save(tmp_path, "mixed.ply", text)).values
    assert len(mesh) == 4
    np.testing.assert_array_equal(mesh[0, :, 3:], [[0, 0], [1, 0], [1, 1]])
    np.testing.assert_array_equal(
        mesh[1:3, :, 3:], np.array([[0, 0], [0.5, 0], [0.5, 0.5], [0, 0.5]])[TRIANGLES.reshape(2, 3)]
    )
    assert np.isnan(mesh[3, :, 3:]).all()


@pytest.mark.parametrize("names", [("s", "t"), ("u", "v"), ("texture_u", "texture_v")])
def test_ply_with_a_uv_a_vertex(tmp_path: Path, names: tuple[str, str]) -> None:
    properties = "".join(f"property float {name}\n" for name in ("x", "y", "z", *names))
    header = f"element vertex 3\n{properties}element face 1\nproperty list uchar uint vertex_indices\n"
    rows = np.arange(15, dtype="<f4").tobytes() + struct.pack("<B3I", 3, 0, 1, 2)
    mesh = read(save(tmp_path, "one.ply", binary_ply("little", rows, header))).values
    np.testing.assert_array_equal(mesh[0], np.arange(15).reshape(3, 5))


@pytest.mark.parametrize("encoding", ["ascii", "binary_little_endian"])
def test_a_ply_property_named_twice_is_told(tmp_path: Path, encoding: str) -> None:
    head = f"ply\nformat {encoding} 1.0\nelement vertex 1\nproperty float x\nproperty float x\nend_header\n"
    with pytest.raises(InvalidInput, match="property of its element 'vertex' twice"):
        read(save(tmp_path, "twice.ply", head.encode() + b"1 2     "))


HEADER_LINES = (
    "format ascii 1.0", "format binary_little_endian 1.0", "element vertex 2", "element vertex 99999999999", "element face 1",
    "element face 99999999999", "property float x", "property double y", "property float z", "property float s",
    "property float t", "property list uchar int vertex_indices", "property list int float texcoord", "comment",
)  # fmt: skip


@given(
    lines=st.lists(st.sampled_from(HEADER_LINES), max_size=12),
    body=st.binary(max_size=80) | st.from_regex(rb"[0-9 .-]{0,80}"),
)
def test_any_ply_header_is_a_mesh_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], body: bytes
) -> None:
    head = "\n".join(["ply", *lines, "end_header", ""]).encode()
    path = save(tmp_path_factory.mktemp("ply"), "any.ply", head + body)
    try:
        values = read(path).values
    except InvalidInput as error:
        answer = error.hint
    else:
        answer = "read"
        assert np.isfinite(values[..., :3]).all()
    assert answer


# OFF, STL, glTF ------------------------------------------------------------------------------------------------------------------


def test_off_and_stoff(tmp_path: Path) -> None:
    faces = "".join(f"4 {a} {b} {c} {d} 255 0 0\n" for a, b, c, d in SIDES)
    places = "".join(f"{x} {y} {z}\n" for x, y, z in CUBE)
    mesh = read(save(tmp_path, "cube.off", f"OFF # cube\n\n8 6 12\n{places}{faces}")).values
    np.testing.assert_array_equal(mesh[..., :3], cube()[..., :3])
    textured = "".join(f"{x} {y} {z} {x / 2} {y / 4}\n" for x, y, z in CUBE)
    mesh = read(save(tmp_path, "cube.stoff", f"STOFF 8 6 0\n{textured}{faces}")).values
    np.testing.assert_array_equal(mesh[..., 3:], mesh[..., :2] / [2, 4])


@pytest.mark.parametrize("text", [False, True])
def test_stl(tmp_path: Path, text: bool) -> None:
    shape = trimesh.Trimesh(CUBE, SIDES[:, TRIANGLES].reshape(-1, 3), process=False)
    content = trimesh.exchange.stl.export_stl_ascii(shape) if text else trimesh.exchange.stl.export_stl(shape)
    mesh = read(save(tmp_path, "cube.stl", content)).values
    np.testing.assert_array_equal(mesh[..., :3], cube()[..., :3])


@pytest.mark.parametrize("material", [False, True], ids=["bare", "material"])
@pytest.mark.parametrize("wide", [False, True], ids=["float", "packed"])
def test_glb_is_placed_by_its_nodes_and_its_v_turned(tmp_path: Path, material: bool, wide: bool) -> None:
    mesh = read(save(tmp_path, "two.glb", glb(*gltf(material=material, wide=wide)))).values
    assert len(mesh) == 24
    first, second = mesh[:12], mesh[12:]
    turned = cube()[..., :3] @ np.array([[0, 1, 0], [-1, 0, 0], [0, 0, 1]]) * 2 + [10, 0, 0]
    np.testing.assert_allclose(first[..., :3], turned, atol=1e-6)
    np.testing.assert_allclose(first[..., 3:], cube()[..., 3:], atol=1e-5)
    np.testing.assert_allclose(second[:, ::-1], cube() * [-1, 1, 1, 1, 1], atol=1e-5)
    assert volume(first) == pytest.approx(8.0)
    assert volume(second) == pytest.approx(1.0)


def test_gltf_with_its_buffer_beside_it_or_inside(tmp_path: Path) -> None:
    document, binary = gltf(material=False)
    whole = read(save(tmp_path, "a.glb", glb(document, binary))).values
    save(tmp_path, "a b.bin", binary)
    for uri in ("a%20b.bin", "data:application/octet-stream;base64," + base64.b64encode(binary).decode()):
        document["buffers"][0]["uri"] = uri
        np.testing.assert_array_equal(read(save(tmp_path, "a.gltf", json.dumps(document))).values, whole)
    document["buffers"][0]["uri"] = "gone.bin"
    with pytest.raises(InvalidInput, match=r"gone\.bin"):
        read(save(tmp_path, "a.gltf", json.dumps(document)))


def test_gltf_strips_fans_and_sparse_accessors(tmp_path: Path) -> None:
    document, binary = gltf(material=False)
    document["nodes"], document["scenes"] = [{"mesh": 0}], [{"nodes": [0]}]
    patch = struct.pack("<H2x3f", 1, 5.0, 6.0, 7.0)
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(patch)})
    document["accessors"][0]["sparse"] = {
        "count": 1,
        "indices": {"bufferView": 3, "componentType": 5123},
        "values": {"bufferView": 3, "byteOffset": 4},
    }
    for mode, expected in ((5, [[0, 1, 2], [2, 1, 3]]), (6, [[0, 1, 2], [0, 2, 3]])):
        primitive = {"attributes": {"POSITION": 0}, "mode": mode}
        document["meshes"] = [{"primitives": [primitive, {"attributes": {"POSITION": 0}, "mode": 1}]}]
        mesh = read(save(tmp_path, "s.glb", glb(document, binary + patch))).values
        places = CUBE[SIDES].reshape(-1, 3)
        places[1] = [5, 6, 7]
        assert len(mesh) == 22
        np.testing.assert_array_equal(mesh[:2, :, :3], places[np.array(expected)])


# What is no surface --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\n", "3 points and no faces"),
        ("a.obj", "", "nothing in it"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 4\n", "1 face corners that refer to missing vertices"),
        ("a.obj", "v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1/1 2/1 3/1\n", "3 face corners that refer to missing vertices"),
        ("a.obj", "v 0 0 nan\nv 1 0 0\nv 0 1 0\nf 1 2 3\n", "1 vertices with NaN or infinite coordinates"),
        ("a.obj", "v 0 0\nv 1 0 0\n", "line 1"),
        ("a.obj", "v 0 0 0\nf 1 two 3\n", "line 2"),
        ("a.ply", "solid", "no PLY header"),
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex\nend_header\n", "element vertex"),
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex 2\nproperty float x\nend_header\n1\n", "ends within"),
        ("a.ply", "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nend_header\nx\n", "not a number"),
        ("a.off", "OFF\n3 1 0\n0 0 0\n", "ends before"),
        ("a.off", "PLY\n", "no supported OFF header"),
        ("a.off", "STOFF\n1 0 0\n0 0 0\n", "no u and v"),
        ("a.stl", "nothing", "not an STL"),
        ("a.glb", "nothing", "glTF"),
        ("a.3ds", "", "not a supported mesh format"),
    ],
)
def test_what_is_no_mesh_is_told_in_a_sentence(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as raised:
        read(save(tmp_path, name, content))
    assert raised.value.message.endswith(".")
    assert raised.value.hint
    assert raised.value.field


def test_missing_files_and_folders(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        read(tmp_path / "gone.obj")
    (tmp_path / "folder.obj").mkdir()
    with pytest.raises(InvalidInput, match="cannot be read"):
        read(tmp_path / "folder.obj")


def test_compressed_gltf_is_named(tmp_path: Path) -> None:
    document, binary = gltf(material=False)
    document["meshes"][0]["primitives"][0]["extensions"] = {"KHR_draco_mesh_compression": {}}
    with pytest.raises(InvalidInput, match="KHR_draco_mesh_compression"):
        read(save(tmp_path, "a.glb", glb(document, binary)))


def test_nodes_in_a_circle_end(tmp_path: Path) -> None:
    document, binary = gltf(material=False)
    document["nodes"][1]["children"] = [0]
    with pytest.raises(InvalidInput, match="own ancestors"):
        read(save(tmp_path, "a.glb", glb(document, binary)))


# Polygons ------------------------------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32 - 1), corners=st.integers(4, 12))
def test_concave_faces_are_cut_within_themselves(seed: int, corners: int) -> None:
    """A star-shaped polygon, turned in space: its triangles all face as it does and sum up to its area."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.random(corners) * 0.8 + np.arange(corners)) * 2 * np.pi / corners
    rim = np.stack([np.cos(angles), np.sin(angles), 0 * angles], -1) * rng.uniform(0.2, 1.0, (corners, 1))
    area = np.cross(rim, np.roll(rim, -1, axis=0))[:, 2].sum() / 2
    axes, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    axes *= np.linalg.det(axes)
    polygon = without_uvs(rim @ axes, np.array([corners]), np.arange(corners))
    mesh = to_triangles(polygon, "star").astype(float)[:, :, :3]
    assert len(mesh) == corners - 2
    normals = np.cross(mesh[:, 1] - mesh[:, 0], mesh[:, 2] - mesh[:, 0]) @ axes[2] / 2
    assert (normals > -1e-6).all()
    assert normals.sum() == pytest.approx(area, abs=1e-6)


def test_lines_and_points_among_faces_are_passed_over() -> None:
    polygons = Polygons(
        CUBE, np.array([2, 3, 1, 4]), np.array([0, 1, 0, 1, 2, 5, 0, 1, 3, 2]), np.empty((0, 2)), np.full(10, -1)
    )
    assert len(to_triangles(polygons, "some")) == 3


# Writing -------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".obj", ".glb"])
def test_what_is_written_is_read_again_by_us_and_by_others(tmp_path: Path, ending: str) -> None:
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(tmp_path / "texture.png")
    mesh = sphere()
    path = tmp_path / f"scan{ending}"
    write(Array(MESH, mesh), path, pictures={"base_color": "texture.png"})
    np.testing.assert_allclose(read(path).values, mesh, atol=1e-7)
    other = trimesh.load(path, process=False, force="mesh")
    np.testing.assert_allclose(other.vertices[other.faces], mesh[..., :3], atol=1e-6)
    np.testing.assert_allclose(other.visual.uv[other.faces], mesh[..., 3:], atol=1e-6)
    picture = getattr(other.visual.material, "image", None) or other.visual.material.baseColorTexture
    assert np.array_equal(np.asarray(picture)[..., :3], np.arange(48).reshape(4, 4, 3))
    first = path.read_bytes()
    write(Array(MESH, mesh), path, pictures={"base_color": "texture.png"})
    assert path.read_bytes() == first


def test_neighbours_share_their_vertices_again(tmp_path: Path) -> None:
    write(Array(MESH, cube()), tmp_path / "cube.obj", pictures={"base_color": "texture.png"})
    lines = (tmp_path / "cube.obj").read_text().splitlines()
    assert sum(line.startswith("v ") for line in lines) == 8
    assert sum(line.startswith("vt ") for line in lines) == len(np.unique(cube()[..., 3:].reshape(-1, 2), axis=0))
    assert sum(line.startswith("f ") for line in lines) == 12
    assert "map_Kd texture.png" in (tmp_path / "cube.mtl").read_text()


@pytest.mark.parametrize("ending", [".obj", ".glb"])
def test_each_tile_has_its_own_material(tmp_path: Path, ending: str) -> None:
    mesh = np.concatenate([cube() + np.float32([0, 0, 0, 0, 0]), cube() + np.float32([3, 0, 0, 1, 1])]).astype(
        np.float32
    )
    for tile in (1001, 1012):
        Image.new("RGB", (2, 2), (tile - 1000, 0, 0)).save(tmp_path / f"texture.{tile}.png")
    path = tmp_path / f"two{ending}"
    write(Array(MESH, mesh), path, pictures={"base_color": "texture.<UDIM>.png"})
    np.testing.assert_allclose(read(path).values, mesh, atol=3e-7)
    if ending == ".obj":
        assert path.read_text().count("usemtl") == 2
        assert "texture.1012.png" in (tmp_path / "two.mtl").read_text()
    else:
        assert len(trimesh.load_scene(path, process=False).geometry) == 2


def test_a_mesh_without_uvs_is_written_bare_and_said_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    mesh = cube()
    mesh[..., 3:] = np.nan
    for ending in (".obj", ".glb"):
        with caplog.at_level(logging.WARNING):
            write(Array(MESH, mesh), tmp_path / f"bare{ending}")
        assert "no UVs" in caplog.text
        np.testing.assert_array_equal(read(tmp_path / f"bare{ending}").values, mesh)


def test_sixteen_bits_go_into_a_glb_as_eight(tmp_path: Path) -> None:
    import rasterio

    levels = np.array([0, 128, 129, 257, 32768, 65535] * 2, np.uint16).reshape(1, 3, 4).repeat(3, 0)
    with rasterio.open(tmp_path / "t.png", "w", driver="PNG", width=4, height=3, count=3, dtype="uint16") as file:
        file.write(levels)
    write(Array(MESH, cube()), tmp_path / "a.glb", pictures={"base_color": "t.png"})
    texture = trimesh.load(tmp_path / "a.glb", process=False, force="mesh").visual.material.baseColorTexture
    np.testing.assert_array_equal(np.asarray(texture)[..., 0], np.round(levels[0] / 257.0))


def test_what_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="written in"):
        write(Array(MESH, cube()), tmp_path / "cube.fbx")
    with pytest.raises(InvalidInput, match=r"texture\.exr") as raised:
        write(Array(MESH, cube()), tmp_path / "cube.glb", pictures={"base_color": "texture.exr"})
    assert "OBJ" in raised.value.hint


# Unwrapping ----------------------------------------------------------------------------------------------------------------------


def uv_areas(mesh: np.ndarray) -> np.ndarray:
    a, b = (mesh[:, corner, 3:].astype(float) - mesh[:, 0, 3:] for corner in (1, 2))
    return (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / 2


@pytest.mark.parametrize("make", [cube, sphere], ids=["cube", "sphere"])
def test_unwrapped_meshes_fill_the_square_evenly_and_never_twice(make: Callable[[], np.ndarray]) -> None:
    mesh = make()
    mesh[..., 3:] = np.nan
    unfolded = unwrap(mesh, size=512)
    np.testing.assert_array_equal(unfolded[..., :3], mesh[..., :3])
    uvs = unfolded[..., 3:]
    assert uvs.min() >= 0.0
    assert uvs.max() <= 1.0
    signed = uv_areas(unfolded)
    assert (signed > 0).all(), "a triangle lies on its back"
    density = np.sqrt(signed / areas(mesh))
    assert density.max() / density.min() < 2.0, "some of the surface gets far more texels"
    assert signed.sum() > 0.4, "most of the texture is unused"
    covered = np.zeros((512, 512), int)
    for triangle in uvs.astype(float):
        left, top = np.floor(triangle.min(axis=0) * 512).astype(int)
        right, bottom = np.ceil(triangle.max(axis=0) * 512).astype(int)
        y, x = (np.mgrid[top:bottom, left:right] + 0.5) / 512
        sides = [
            (q[0] - p[0]) * (y - p[1]) - (q[1] - p[1]) * (x - p[0])
            for p, q in zip(triangle, np.roll(triangle, -1, axis=0))
        ]
        covered[top:bottom, left:right] += np.min(sides, axis=0) > 1e-9
    assert covered.max() == 1, "charts overlap"


def test_unwrapping_is_the_same_every_time_and_counts_its_charts(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        first = unwrap(sphere())
    np.testing.assert_array_equal(first, unwrap(sphere()))
    assert "charts" in caplog.text


def test_triangles_without_area_get_a_uv_as_well() -> None:
    mesh = np.concatenate([cube(), cube()[:1]])
    mesh[-1, 2] = mesh[-1, 1]
    assert np.isfinite(unwrap(mesh)).all()


def test_welding_joins_what_is_equal_and_nothing_else() -> None:
    rows = np.float32([[0.0, 1.0], [-0.0, 1.0], [0.0, np.nextafter(np.float32(1), np.float32(2))], [0.0, 1.0]])
    found, which = weld(rows)
    assert len(found) == 2
    np.testing.assert_array_equal(found[which], rows)
    assert len(set(which[[0, 1, 3]])) == 1


# Real files ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "triangles", "has_uvs"),
    [
        ("meshes/spot/spot_triangulated.obj", 5856, True),
        ("meshes/fuze/fuze.obj", 1000, True),
        ("meshes/duck/Duck.glb", 4212, True),
        ("scans/bloster/Data/bloster/bloster.ply", 12712, False),
    ],
)
def test_real_meshes_are_what_trimesh_reads(shared_data: Path, name: str, triangles: int, has_uvs: bool) -> None:
    mesh = read(shared_data / name).values
    assert len(mesh) == triangles
    other = trimesh.load_scene(shared_data / name, process=False).to_geometry()
    np.testing.assert_allclose(mesh[..., :3], other.vertices[other.faces], atol=1e-6)
    if has_uvs:
        np.testing.assert_allclose(mesh[..., 3:], other.visual.uv[other.faces], atol=1e-6)
    else:
        assert np.isnan(mesh[..., 3:]).all()


def test_a_real_scan_unwraps(shared_data: Path) -> None:
    mesh = unwrap(read(shared_data / "scans/bloster/Data/bloster/bloster.ply").values)
    assert np.isfinite(mesh).all()
    assert uv_areas(mesh).sum() > 0.5


# Without a compiler ---------------------------------------------------------------------------------------------------

READ_ALL = """
import sys
sys.modules |= {"numba": None, "llvmlite": None}
from pathlib import Path
import numpy as np
from backend.files.meshes.reading import read
folder = Path(sys.argv[1])
np.savez(folder / "read.npz", **{path.name: read(path).values for path in sorted(folder.glob("mesh.*"))})
"""


def test_a_machine_without_numba_reads_the_same_meshes(tmp_path: Path) -> None:
    """Every loop that is compiled elsewhere: lines of OBJ, lists of PLY in text and bytes, faces of many corners."""
    turn = 2 * np.pi * np.arange(9) / 9
    rim = np.stack([np.cos(turn), np.sin(turn), 0.1 * np.cos(3 * turn)], -1) * (1.0 - 0.4 * (np.arange(9) % 2))[:, None]
    lines = [f"v {x:.9g} {y:.9e} {z}" for x, y, z in rim] + ["f " + " ".join(f"{n + 9}" for n in range(9))]
    save(
        tmp_path,
        "mesh.obj",
        "\n".join([obj_cube(lambda side, corner, vertex: f"{vertex + 1}/{4 * side + corner + 1}"), *lines]),
    )
    header = "element vertex 9\nproperty float x\nproperty float y\nproperty float z\n"
    header += "element face 1\nproperty list uchar int vertex_indices\n"
    rows = rim.astype("<f4").tobytes() + struct.pack("<B9i", 9, *range(9))
    save(tmp_path, "mesh.ply", binary_ply("little", rows, header))
    text = "\n".join(" ".join(f"{value:.9g}" for value in row) for row in rim) + "\n9 " + " ".join(map(str, range(9)))
    (tmp_path / "text").mkdir()
    other = save(tmp_path / "text", "mesh.ply", f"ply\nformat ascii 1.0\n{header}end_header\n{text}\n")
    done = [
        subprocess.run(
            [sys.executable, "-c", READ_ALL, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        for folder in (tmp_path, other.parent)
    ]
    assert [process.returncode for process in done] == [0, 0], done[0].stderr + done[1].stderr
    for path in (tmp_path / "mesh.obj", tmp_path / "mesh.ply", other):
        with np.load(path.parent / "read.npz") as found:
            np.testing.assert_array_equal(found[path.name], read(path).values)
