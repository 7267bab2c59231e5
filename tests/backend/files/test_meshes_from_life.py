"""Meshes as people really have them: far from the origin, edited elsewhere, with faces of any size, made to harm."""

from __future__ import annotations

import itertools
import json
import logging
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import trimesh

from backend.files.meshes.cutting import cut
from backend.files.meshes.reading import FORMATS, read
from backend.files.meshes.writing import write
from shared.arrays import MESH, Array
from shared.errors import InvalidInput, RelievoError

UTM = np.array([432123.4, 5206789.1, 412.3])
SIDE = 6


def wall(offset: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions [V, 3], UVs [V, 2] and triangles of a wall of 4 m, in 2 SIDE^2 triangles."""
    x, y = np.meshgrid(np.linspace(-2, 2, SIDE + 1), np.linspace(-2, 2, SIDE + 1))
    places = np.stack([x, y, 0.1 * np.sin(x + 2 * y)], axis=-1).reshape(-1, 3)
    uvs = places[:, :2] / 4 + 0.5
    start = (np.arange(SIDE)[:, None] * (SIDE + 1) + np.arange(SIDE)).ravel()
    a, b, c, d = start, start + 1, start + SIDE + 2, start + SIDE + 1
    triangles = np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)])
    return places + (0 if offset is None else offset), uvs, triangles


def obj_text(places: np.ndarray, uvs: np.ndarray, triangles: np.ndarray, textured: slice = slice(None)) -> str:
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in places] + [f"vt {u:.6f} {v:.6f}" for u, v in uvs]
    has_uv = np.zeros(len(triangles), bool)
    has_uv[textured] = True
    lines += [
        "f " + " ".join(f"{i + 1}/{i + 1}" if known else f"{i + 1}" for i in triangle)
        for triangle, known in zip(triangles, has_uv, strict=True)
    ]
    return "\n".join(lines) + "\n"


def ply_bytes(places: np.ndarray, triangles: np.ndarray, kind: str) -> bytes:
    head = f"ply\nformat binary_little_endian 1.0\nelement vertex {len(places)}\n"
    head += "".join(f"property {kind} {axis}\n" for axis in "xyz")
    head += f"element face {len(triangles)}\nproperty list uchar int vertex_indices\nend_header\n"
    faces = b"".join(struct.pack("<B3i", 3, *row) for row in triangles.tolist())
    return head.encode() + places.astype("<f8" if kind == "double" else "<f4").tobytes() + faces


def glb_bytes(places: np.ndarray, uvs: np.ndarray, triangles: np.ndarray, **extra) -> bytes:
    """node, material, set: what the node and the material have, and the UVs' set."""
    uv_down = (uvs * [1, -1] + [0, 1]).astype("<f4")
    parts = [places.astype("<f4"), uv_down, triangles.astype("<u4")]
    ends = np.cumsum([0, *(part.nbytes for part in parts)]).tolist()
    kinds = [(5126, len(places), "VEC3"), (5126, len(uvs), "VEC2"), (5125, triangles.size, "SCALAR")]
    attributes = {"POSITION": 0, f"TEXCOORD_{extra.get('set', 0)}": 1}
    document = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, **extra.get("node", {})}],
        "meshes": [{"primitives": [{"attributes": attributes, "indices": 2, "material": 0}]}],
        "materials": [extra.get("material", {})],
        "accessors": [{"bufferView": i, "componentType": k, "count": n, "type": t} for i, (k, n, t) in enumerate(kinds)],
        "bufferViews": [
            {"buffer": 0, "byteOffset": a, "byteLength": b - a} for a, b in itertools.pairwise(ends)
        ],
        "buffers": [{"byteLength": ends[-1]}],
    }  # fmt: skip
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    body = struct.pack("<I4s", len(text), b"JSON") + text
    binary = b"".join(part.tobytes() for part in parts)
    body += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return b"glTF" + struct.pack("<2I", 2, 12 + len(body)) + body


def save(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def places_of(array: Array) -> np.ndarray:
    """The corners [N, 3, 3] float64 in the file's own frame."""
    return array.values[..., :3].astype(np.float64) + np.array(array.attributes.get("origin", (0, 0, 0)))


def area(mesh: np.ndarray) -> float:
    a, b = mesh[:, 1, :3].astype(float) - mesh[:, 0, :3], mesh[:, 2, :3].astype(float) - mesh[:, 0, :3]
    return float(np.linalg.norm(np.cross(a, b), axis=1).sum() / 2)


# Far from the origin -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["obj", "ply", "off", "glb"])
def test_map_coordinates_keep_their_detail(tmp_path: Path, format: str) -> None:
    places, uvs, triangles = wall(UTM)
    content: str | bytes
    if format == "obj":
        content = obj_text(places, uvs, triangles)
    elif format == "ply":
        content = ply_bytes(places, triangles, "double")
    elif format == "off":
        content = f"OFF\n{len(places)} {len(triangles)} 0\n" + "".join(
            f"{x!r} {y!r} {z!r}\n" for x, y, z in places.tolist()
        )
        content += "".join(f"3 {a} {b} {c}\n" for a, b, c in triangles)
    else:
        content = glb_bytes(wall()[0], uvs, triangles, node={"translation": UTM.tolist()})
    array = read(save(tmp_path, f"wall.{format}", content))
    np.testing.assert_allclose(places_of(array), places[triangles], atol=2e-6)
    assert np.abs(array.values[..., :3]).max() < 10


@pytest.mark.parametrize("ending", [".obj", ".glb"])
def test_a_far_mesh_is_written_where_it_stands(tmp_path: Path, ending: str) -> None:
    places, uvs, triangles = wall(UTM)
    array = read(save(tmp_path, "wall.obj", obj_text(places, uvs, triangles)))
    write(array, tmp_path / f"out{ending}")
    np.testing.assert_allclose(places_of(read(tmp_path / f"out{ending}")), places[triangles], atol=2e-6)
    other = trimesh.load(tmp_path / f"out{ending}", process=False, force="mesh")
    np.testing.assert_allclose(other.vertices[other.faces], places[triangles], atol=2e-6)


def test_a_mesh_near_the_origin_is_not_moved(tmp_path: Path) -> None:
    for offset in (np.zeros(3), np.array([30.0, -20.0, 100.0])):
        places, uvs, triangles = wall(offset)
        array = read(save(tmp_path, "wall.obj", obj_text(places, uvs, triangles)))
        assert "origin" not in array.attributes
        expected = np.round(places[triangles], 6).astype(np.float32)
        np.testing.assert_allclose(array.values[..., :3], expected, atol=1e-6)


def test_the_same_triangles_elsewhere_have_another_digest() -> None:
    values = np.zeros((1, 3, 5), np.float32)
    assert Array(MESH, values).sha256 != Array(MESH, values, {"origin": [1.0, 2.0, 3.0]}).sha256


def test_coordinates_that_a_file_has_rounded_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    places, _, triangles = wall(UTM)
    with caplog.at_level(logging.WARNING):
        read(save(tmp_path, "exact.ply", ply_bytes(places, triangles, "double")))
        assert "rounded" not in caplog.text
        read(save(tmp_path, "rounded.ply", ply_bytes(places, triangles, "float")))
    assert "rounded" in caplog.text


# Text as editors and other countries leave it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_loses_no_vertex(tmp_path: Path, encoding: str) -> None:
    places, uvs, triangles = wall()
    text = obj_text(places, uvs, triangles)
    plain = read(save(tmp_path, "plain.obj", text)).values
    np.testing.assert_array_equal(read(save(tmp_path, "mark.obj", text.encode(encoding))).values, plain)
    joined = "# a\n".encode("utf-8-sig") + text.encode("utf-8-sig")
    np.testing.assert_array_equal(read(save(tmp_path, "joined.obj", joined)).values, plain)


def test_a_byte_order_mark_in_every_other_text_mesh(tmp_path: Path) -> None:
    texts = {
        "a.off": "OFF\n3 1 0\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        "a.ply": "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 1\nproperty list uchar int vertex_indices\nend_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n",
        "a.stl": "solid a\nfacet normal 0 0 1\nouter loop\nvertex 0 0 0\nvertex 1 0 0\nvertex 0 1 0\nendloop\nendfacet\nendsolid\n",
    }
    for name, text in texts.items():
        for content in (
            text.encode("utf-8-sig"),
            text.replace("\n", "\r").encode(),
            text.replace("\n", "\r\n").encode(),
        ):
            np.testing.assert_array_equal(
                read(save(tmp_path, name, content)).values[0, :, :3], [[0, 0, 0], [1, 0, 0], [0, 1, 0]]
            )


def test_lines_that_end_in_cr_and_decimal_commas(tmp_path: Path) -> None:
    places, uvs, triangles = wall()
    text = obj_text(places, uvs, triangles)
    plain = read(save(tmp_path, "plain.obj", text)).values
    for other in (text.replace("\n", "\r"), text.replace(".", ","), text.replace("\n", "\r", 5)):
        np.testing.assert_array_equal(read(save(tmp_path, "other.obj", other)).values, plain)


@pytest.mark.parametrize("line", ["v 1,234.5 2 3", "v 1,500 2,500 3,250", "v 1,2,3 4 5"])
def test_commas_that_could_mean_two_things_are_named(tmp_path: Path, line: str) -> None:
    with pytest.raises(InvalidInput, match="has commas in its numbers"):
        read(save(tmp_path, "a.obj", f"{line}\nv 1 0 0\nv 0 1 0\nf 1 2 3\n"))


def test_triangle_strips_of_a_ply(tmp_path: Path) -> None:
    """Two strips of four corners, one after -1: every second triangle turned, all facing as the first of each does."""
    places = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 2, 0), (1, 2, 0)]
    head = "ply\nformat ascii 1.0\nelement vertex 6\nproperty float x\nproperty float y\nproperty float z\n"
    head += "element tristrips 1\nproperty list int int vertex_indices\nend_header\n"
    body = "".join(f"{x} {y} {z}\n" for x, y, z in places) + "9 0 1 2 3 -1 2 3 4 5\n"
    mesh = read(save(tmp_path, "strips.ply", head + body)).values
    corners = mesh[..., :3]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert len(mesh) == 4
    np.testing.assert_array_equal(normals, [[0, 0, 1]] * 4)


def test_a_ply_without_a_known_list_is_named(tmp_path: Path) -> None:
    head = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nelement face 1\n"
    head += "property list uchar int first\nproperty list uchar int second\nend_header\n"
    with pytest.raises(InvalidInput, match="lists first, second"):
        read(save(tmp_path, "a.ply", f"{head}0 0 0\n1 0 1 0\n"))


# Faces of many corners ----------------------------------------------------------------------------------------------------------


def comb(teeth: int) -> np.ndarray:
    x = 4.0 * np.arange(teeth)
    tops = np.stack([np.c_[x, 0 * x], np.c_[x, 0 * x + 1000], np.c_[x + 2, 0 * x + 1000], np.c_[x + 2, 0 * x]], axis=1)
    return np.concatenate([tops.reshape(-1, 2), [[4.0 * teeth, 0], [4.0 * teeth, -1], [0, -1]]])[::-1]


def star(corners: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    angles = (np.arange(corners) + 0.8 * rng.random(corners)) * 2 * np.pi / corners
    return np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.2, 1.0, (corners, 1))


@pytest.mark.parametrize(("rim", "seconds"), [(comb(50_000), 60), (star(6000), 60)], ids=["comb of 200,000", "star"])
def test_a_large_concave_face_is_cut_within_itself(rim: np.ndarray, seconds: float) -> None:
    corners = np.arange(len(rim))
    begin = time.monotonic()
    chosen = cut(np.c_[rim, np.zeros(len(rim))], corners, np.array([len(rim)]))
    assert time.monotonic() - begin < seconds
    a, b, c = (rim[chosen[start::3]] for start in range(3))
    signed = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    ahead = np.roll(rim, -1, axis=0)
    assert len(signed) == len(rim) - 2
    assert signed.min() > -1e-9
    assert signed.sum() == pytest.approx((rim[:, 0] * ahead[:, 1] - rim[:, 1] * ahead[:, 0]).sum() / 2)


def test_a_large_face_of_equal_corners_ends(tmp_path: Path) -> None:
    path = save(tmp_path, "equal.obj", b"v 0 0 0\nf " + b"1 " * 200_000 + b"\n")
    begin = time.monotonic()
    assert len(read(path).values) == 199_998
    assert time.monotonic() - begin < 60


def test_a_large_convex_face_is_a_fan_as_a_small_one_is() -> None:
    angles = np.linspace(0, 2 * np.pi, 5000, endpoint=False)
    rim = np.stack([np.cos(angles), np.sin(angles), 0 * angles], axis=1)
    chosen = cut(rim, np.arange(5000), np.array([5000])).reshape(-1, 3)
    np.testing.assert_array_equal(chosen[:, 0], 0)
    np.testing.assert_array_equal(chosen[:, 1] + 1, chosen[:, 2])


# glTF ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transform", "raw"),
    [
        ({"scale": [16, 16]}, lambda u, v: (u / 16, v / 16)),
        ({"offset": [0.25, -0.5]}, lambda u, v: (u - 0.25, v + 0.5)),
        ({"rotation": np.pi / 2}, lambda u, v: (-v, u)),  # counter-clockwise as seen: (u, v) of v down becomes (v, -u)
        ({"offset": [0.1, 0.2], "rotation": np.pi / 2, "scale": [2, 4]}, lambda u, v: ((0.2 - v) / 2, (u - 0.1) / 4)),
    ],
    ids=["scale", "offset", "rotation", "all"],
)
def test_the_transform_of_a_texture_is_applied(tmp_path: Path, transform: dict, raw) -> None:
    places, uvs, triangles = wall()
    stored = np.stack(raw(uvs[:, 0], 1 - uvs[:, 1]), axis=1) * [1, -1] + [0, 1]
    texture = {"index": 0, "texCoord": 0, "extensions": {"KHR_texture_transform": {**transform, "texCoord": 1}}}
    material = {"pbrMetallicRoughness": {"baseColorTexture": texture}}
    mesh = read(save(tmp_path, "a.glb", glb_bytes(places, stored, triangles, material=material, set=1)))
    np.testing.assert_allclose(mesh.values[..., 3:], uvs[triangles], atol=1e-6)


def gltf_with(uri: str, length: int = 100_000) -> str:
    accessor = {"bufferView": 0, "componentType": 5126, "count": 3, "type": "VEC3"}
    return json.dumps({
        "asset": {"version": "2.0"}, "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}], "nodes": [{"mesh": 0}],
        "accessors": [accessor], "bufferViews": [{"buffer": 0, "byteLength": 36}], "buffers": [{"uri": uri, "byteLength": length}],
    })  # fmt: skip


@pytest.mark.parametrize(
    "uri",
    ["/etc/passwd", "../secret.bin", "..%2Fsecret.bin", "..\\secret.bin", "sub/../../secret.bin", "link.bin", "/dev/zero",
     "file:///etc/passwd", "http://127.0.0.1:9/a.bin", "%00", "a" * 5000, "gone.bin"],
)  # fmt: skip
def test_a_gltf_reads_nothing_outside_its_folder(tmp_path: Path, uri: str) -> None:
    (tmp_path / "secret.bin").write_bytes(np.arange(9, dtype="<f4").tobytes())
    folder = tmp_path / "model"
    (folder / "sub").mkdir(parents=True)
    (folder / "link.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(InvalidInput) as raised:
        read(save(folder, "a.gltf", gltf_with(uri)))
    assert raised.value.message.endswith(".")


def test_a_gltf_reads_what_lies_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a b.bin").write_bytes(np.arange(9, dtype="<f4").tobytes())
    mesh = read(save(tmp_path, "a.gltf", gltf_with("sub/a%20b.bin", 36))).values
    np.testing.assert_array_equal(mesh[0, :, :3], np.arange(9).reshape(3, 3))


def test_gltf_that_asks_for_more_than_there_is(tmp_path: Path) -> None:
    document = json.loads(gltf_with("a.bin", 36))
    (tmp_path / "a.bin").write_bytes(bytes(36))
    for change in ({"count": 10**12}, {"count": -1}, {"count": 10**12, "bufferView": 0}):
        document["accessors"][0] = {"componentType": 5126, "type": "VEC3", "sparse": {}, **change}
        with pytest.raises(InvalidInput):
            read(save(tmp_path, "a.gltf", json.dumps(document)))
    document["accessors"][0] = {"componentType": 5126, "type": "VEC3", "bufferView": 0, "count": 10**8}
    document["bufferViews"][0]["byteStride"] = 0
    with pytest.raises(InvalidInput, match="byteStride"):
        read(save(tmp_path, "a.gltf", json.dumps(document)))
    document["bufferViews"][0] = {"buffer": 0, "byteLength": 36, "extensions": {"EXT_meshopt_compression": {}}}
    with pytest.raises(InvalidInput, match="EXT_meshopt_compression"):
        read(save(tmp_path, "a.gltf", json.dumps(document)))


def test_deeply_nested_gltf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="nested too deeply"):
        read(save(tmp_path, "a.gltf", '{"nodes":' + "[" * 200_000 + "]" * 200_000 + "}"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes")
def test_pipes_and_devices_are_no_meshes(tmp_path: Path) -> None:
    for ending in FORMATS:
        os.mkfifo(tmp_path / f"pipe{ending}")
        with pytest.raises(InvalidInput, match="is a named pipe"):
            read(tmp_path / f"pipe{ending}")
    (tmp_path / "zero.obj").symlink_to("/dev/zero")
    with pytest.raises(RelievoError, match="is a device"):
        read(tmp_path / "zero.obj")
    os.mkfifo(tmp_path / "buffer.bin")
    with pytest.raises(InvalidInput, match="is a named pipe"):
        read(save(tmp_path, "a.gltf", gltf_with("buffer.bin")))


# Materials and missing UVs -------------------------------------------------------------------------------------------------------


def test_materials_that_share_the_uv_square_are_named(tmp_path: Path) -> None:
    places, uvs, triangles = wall()
    one = obj_text(places, uvs, triangles).splitlines()
    numbers, faces = [line for line in one if line[0] == "v"], [line for line in one if line[0] == "f"]
    text = "\n".join([*numbers, "usemtl red brick", *faces, "usemtl blue", *faces, "usemtl red brick", *faces[:2]])
    assert read(save(tmp_path, "two.obj", text)).attributes["materials_sharing_uvs"] == ["red brick", "blue"]
    half = [face for face, triangle in zip(faces, triangles, strict=True) if uvs[triangle].mean(axis=0)[0] < 0.5]
    rest = [face for face in faces if face not in half]
    text = "\n".join([*numbers, "usemtl left", *half, "usemtl right", *rest])
    assert "materials_sharing_uvs" not in read(save(tmp_path, "apart.obj", text)).attributes


@pytest.mark.parametrize("ending", [".obj", ".glb"])
def test_parts_without_uvs_keep_the_others(tmp_path: Path, ending: str, caplog: pytest.LogCaptureFixture) -> None:
    places, uvs, triangles = wall()
    mesh = read(save(tmp_path, "part.obj", obj_text(places, uvs, triangles, slice(5, None))))
    with caplog.at_level(logging.WARNING):
        write(mesh, tmp_path / f"out{ending}")
    assert f"5 of the {len(triangles)} triangles have no UVs" in caplog.text
    again = read(tmp_path / f"out{ending}").values
    assert int(np.isnan(again[..., 3:]).any(axis=(1, 2)).sum()) == 5
    assert area(again) == pytest.approx(area(mesh.values), rel=1e-5)
