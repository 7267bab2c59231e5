"""A MESH into a file that other programs open with its texture: OBJ with a material file, or GLB with the picture inside.

Corners at one place become one vertex again. The same array makes the same bytes.
"""

from __future__ import annotations

import io
import json
import logging
import struct
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from backend.files.kinds import Writing
from backend.files.meshes.gltf_material import add_material, append
from backend.files.meshes.unwrapping import weld
from backend.files.whole_files import write_bytes
from shared.arrays import Array
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

WRITTEN = (".obj", ".glb")
UDIM = "<UDIM>"  # stands for the tile's number in a texture's name
PLAIN = "untextured"  # the material of triangles without UVs beside others
_FLOAT, _UINT = 5126, 5125  # glTF's component types
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963


def write_port(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    """An output mesh with the pictures of the same run; the files made, by name."""
    write(array, path, pictures=writing.pictures)
    beside = path.with_suffix(".mtl")
    return {path.name: {}} | ({beside.name: {}} if writing.format == "obj" and beside.is_file() else {})


def write(array: Array, path: str | Path, *, pictures: Mapping[str, str] = MappingProxyType({})) -> None:
    """Writes a MESH as .obj (with .mtl beside it) or .glb, by the path's ending.

    pictures: the files of its material's maps, in the same folder, by the names of shared/texture_set.py ("base_color");
    "texture.<UDIM>.png" for one per UDIM tile: each tile's triangles then have a material of their own. OBJ names the files; GLB
    takes the pictures in, as PNG or JPEG of 8 bits, and needs them to be there. Without any the mesh is written bare, with its UVs.
    Raises InvalidInput and StorageFull.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise InvalidInput(
            f"{path.name} does not name a format that meshes can be written in.",
            hint=f"Available: {', '.join(WRITTEN)}.",
            field=str(path),
        )
    parts = [part for part in _by_material(array.values, pictures) if len(part[1])]
    _tell_bare(path, array.values)
    origin = np.asarray(array.attributes.get("origin", (0.0, 0.0, 0.0)), np.float64)
    if path.suffix.lower() == ".obj":
        material_file = path.with_suffix(".mtl")
        if pictures:
            plain = "".join(f"\nnewmtl {PLAIN}\nKd 0.5 0.5 0.5\n" for material, _ in parts if not material)
            write_bytes(material_file, (_materials(material for material, _ in parts if material) + plain).encode())
        write_bytes(path, _wavefront(parts, material_file.name, origin))
    else:
        write_bytes(path, _glb(parts, path.parent, origin))


def _tell_bare(path: Path, mesh: np.ndarray) -> None:
    bare = int(np.isnan(mesh[:, :, 3:]).any(axis=(1, 2)).sum())
    what = f"{len(mesh)} triangles" if bare == len(mesh) else f"{bare} of the {len(mesh)} triangles"
    if bare:
        logger.warning("%s: %s have no UVs and are written without", path.name, what)


Pictures = Mapping[str, str]  # file names by map; empty for a bare mesh


def _by_material(mesh: np.ndarray, pictures: Pictures) -> Iterator[tuple[Pictures, np.ndarray]]:
    """Each material's picture files and the triangles that it is for, tiles in rising order; last those without UVs, which no
    picture fits."""
    bare = np.isnan(mesh[:, :, 3:]).any(axis=(1, 2))
    if bare.any():
        if not bare.all():
            yield from _by_material(mesh[~bare], pictures)
        yield {}, mesh[bare]
        return
    if not any(UDIM in name for name in pictures.values()):
        yield pictures, mesh
        return
    middle = np.nan_to_num(mesh[:, :, 3:].mean(axis=1))
    column, row = np.floor(middle).astype(int).T
    tiles = 1001 + column + 10 * row
    for tile in np.unique(tiles):
        yield {key: name.replace(UDIM, str(tile)) for key, name in pictures.items()}, mesh[tiles == tile]


# Wavefront ----------------------------------------------------------------------------------------------------------------------

_MTL = {
    "base_color": "map_Kd",
    "roughness": "map_Pr",  # this and the next: the PBR extension that Blender, three.js and others read
    "metallic": "map_Pm",
    "normal": "norm",
    "alpha": "map_d",
    "emission": "map_Ke",
}


def _materials(materials: Iterable[Pictures]) -> str:
    return "\n".join(
        f"newmtl {_material(pictures)}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\n"
        + "".join(f"{_MTL[key]} {name}\n" for key, name in pictures.items() if key in _MTL)
        for pictures in materials
    )


def _material(pictures: Pictures) -> str:
    """A material's name: its base colour's file without the ending."""
    name = pictures.get("base_color") or next(iter(pictures.values()))
    return Path(name).stem.replace(" ", "_")


def _wavefront(parts: list[tuple[Pictures, np.ndarray]], material_file: str, origin: np.ndarray) -> bytes:
    mesh = np.concatenate([triangles for _, triangles in parts])
    places, corners = weld(mesh[:, :, :3])
    out = io.StringIO()
    if any(pictures for pictures, _ in parts):
        out.write(f"mtllib {material_file}\n")
    _rows(out, "v", places, origin)
    faces = corners.reshape(-1, 3) + 1
    with_uvs = np.asarray(np.isfinite(mesh[:, :, 3:]).all(axis=(1, 2)))
    uv_faces = np.zeros_like(faces)
    if with_uvs.any():
        uvs, uv_corners = weld(mesh[with_uvs][:, :, 3:])
        _rows(out, "vt", uvs)
        uv_faces[with_uvs] = uv_corners.reshape(-1, 3) + 1
    begin, has_material = 0, False
    for pictures, triangles in parts:
        if pictures:
            out.write(f"usemtl {_material(pictures)}\n")
        elif has_material:
            out.write(f"usemtl {PLAIN}\n")
        has_material = has_material or bool(pictures)
        own = slice(begin, begin + len(triangles))
        columns = [faces[own], uv_faces[own]] if with_uvs[own].all() else [faces[own]]
        line = "f " + " ".join(["/".join(["%d"] * len(columns))] * 3)
        np.savetxt(out, np.stack(columns, axis=-1).reshape(len(triangles), -1), fmt=line)
        begin += len(triangles)
    return out.getvalue().encode()


def _rows(out: io.StringIO, word: str, values: np.ndarray, origin: np.ndarray | None = None) -> None:
    form = "%.9g"  # 9 digits carry a float32 whole
    if origin is not None and origin.any():
        form = f"%.{min(max(8 - int(np.floor(np.log10(np.abs(values).max(initial=1e-9)))), 0), 12)}f"
        values = values.astype(np.float64) + origin
    np.savetxt(out, values, fmt=f"{word} " + " ".join([form] * values.shape[1]))


# GLB ----------------------------------------------------------------------------------------------------------------------------


def _glb(parts: list[tuple[Pictures, np.ndarray]], folder: Path, origin: np.ndarray) -> bytes:
    """One primitive per material, in one buffer. glTF repeats textures, so that UDIM tiles need no shift. Positions are float32:
    what they are counted from is the node's translation."""
    binary = bytearray()
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Relievo"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "translation": origin.tolist()} if origin.any() else {"mesh": 0}],
        "meshes": [{"primitives": []}],
        "accessors": [],
        "bufferViews": [],
    }
    for pictures, triangles in parts:
        primitive = _primitive(document, binary, triangles)
        if pictures:
            primitive["material"] = add_material(document, binary, {k: folder / v for k, v in pictures.items()})
        document["meshes"][0]["primitives"].append(primitive)
    document["buffers"] = [{"byteLength": len(binary)}]
    header = json.dumps(document, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 4)
    chunks = b""
    for kind, chunk in ((b"JSON", header), (b"BIN\0", bytes(binary))):
        chunks += len(chunk).to_bytes(4, "little") + kind + chunk
    return b"glTF" + struct.pack("<2I", 2, 12 + len(chunks)) + chunks


def _primitive(document: dict[str, Any], binary: bytearray, triangles: np.ndarray) -> dict[str, Any]:
    textured = not np.isnan(triangles[:, :, 3:]).any()
    vertices, corners = weld(triangles if textured else triangles[:, :, :3])
    places = np.ascontiguousarray(vertices[:, :3])
    attributes = {"POSITION": _accessor(document, binary, places, _VERTEX_BUFFER)}
    document["accessors"][-1] |= {"min": places.min(axis=0).tolist(), "max": places.max(axis=0).tolist()}
    if textured:
        uvs = vertices[:, 3:] * np.array([1, -1], np.float32) + np.array([0, 1], np.float32)  # glTF's v runs down
        attributes["TEXCOORD_0"] = _accessor(document, binary, uvs, _VERTEX_BUFFER)
    return {"attributes": attributes, "indices": _accessor(document, binary, corners.astype("<u4"), _INDEX_BUFFER)}


def _accessor(document: dict[str, Any], binary: bytearray, values: np.ndarray, target: int) -> int:
    view = append(document, binary, np.ascontiguousarray(values).tobytes())
    document["bufferViews"][view]["target"] = target
    document["accessors"].append(
        {
            "bufferView": view,
            "componentType": _UINT if target == _INDEX_BUFFER else _FLOAT,
            "count": len(values),
            "type": "SCALAR" if values.ndim == 1 else f"VEC{values.shape[1]}",
        }
    )
    return len(document["accessors"]) - 1
