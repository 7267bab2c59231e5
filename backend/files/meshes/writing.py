"""A MESH into a file that other programs open with its texture: OBJ with a material file, or GLB with the picture inside.

Corners at one place become one vertex again. The same array makes the same bytes.
"""

from __future__ import annotations

import io
import json
import logging
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
import rasterio.errors
from PIL import Image

from backend.files.meshes.unwrapping import weld
from backend.files.rasters.writing import write_bytes
from shared.arrays import Array
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

WRITTEN = (".obj", ".glb")
UDIM = "<UDIM>"  # stands for the tile's number in a texture's name
_FLOAT, _UINT = 5126, 5125  # glTF's component types
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963
_CLAMP_TO_EDGE, _LINEAR, _LINEAR_MIPMAP_LINEAR = 33071, 9729, 9987


def write(array: Array, path: str | Path, *, texture_name: str | None = None) -> None:
    """Writes a MESH as .obj (with .mtl beside it) or .glb, by the path's ending.

    texture_name: file of the texture, in the same folder; "texture.<UDIM>.png" for one a UDIM tile: each tile's triangles then
    have a material of their own. OBJ names the file; GLB takes the picture in, as PNG or JPEG of 8 bits, and needs it to be there.
    Without one the mesh is written bare, with its UVs. Raises InvalidInput and StorageFull.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITTEN:
        raise InvalidInput(
            f"{path.name} has no ending that a mesh can be written with.",
            hint=f"Known are: {', '.join(WRITTEN)}.",
            field=str(path),
        )
    parts = list(_by_texture(array.values, texture_name))
    if path.suffix.lower() == ".obj":
        material_file = path.with_suffix(".mtl")
        if texture_name:
            write_bytes(material_file, _materials(name for name, _ in parts).encode())
        write_bytes(path, _wavefront(parts, material_file.name))
    else:
        write_bytes(path, _glb(parts, path.parent))


def _by_texture(mesh: np.ndarray, texture_name: str | None) -> Iterator[tuple[str, np.ndarray]]:
    """Each texture file's name ("" for none) and the triangles that it is for, tiles in rising order."""
    if texture_name is None or UDIM not in texture_name:
        yield texture_name or "", mesh
        return
    middle = np.nan_to_num(mesh[:, :, 3:].mean(axis=1))
    column, row = np.floor(middle).astype(int).T
    tiles = 1001 + column + 10 * row
    for tile in np.unique(tiles):
        yield texture_name.replace(UDIM, str(tile)), mesh[tiles == tile]


# Wavefront ----------------------------------------------------------------------------------------------------------------------


def _materials(names: Iterator[str]) -> str:
    return "\n".join(
        f"newmtl {_material(name)}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {name}\n" for name in names
    )


def _material(texture_name: str) -> str:
    return Path(texture_name).stem.replace(" ", "_")


def _wavefront(parts: list[tuple[str, np.ndarray]], material_file: str) -> bytes:
    mesh = np.concatenate([triangles for _, triangles in parts])
    places, corners = weld(mesh[:, :, :3])
    textured = not np.isnan(mesh[:, :, 3:]).any()
    out = io.StringIO()
    if parts[0][0]:
        out.write(f"mtllib {material_file}\n")
    _rows(out, "v", places)
    columns = [corners + 1]
    if textured:
        uvs, uv_corners = weld(mesh[:, :, 3:])
        _rows(out, "vt", uvs)
        columns.append(uv_corners + 1)
    else:
        logger.warning("%d triangles have no UVs: the OBJ has none", len(mesh))
    faces, begin = np.stack(columns, axis=-1).reshape(len(mesh), -1), 0
    line = "f " + " ".join(["/".join(["%d"] * len(columns))] * 3)
    for name, triangles in parts:
        if name:
            out.write(f"usemtl {_material(name)}\n")
        np.savetxt(out, faces[begin : begin + len(triangles)], fmt=line)
        begin += len(triangles)
    return out.getvalue().encode()


def _rows(out: io.StringIO, word: str, values: np.ndarray) -> None:
    np.savetxt(out, values, fmt=f"{word} " + " ".join(["%.9g"] * values.shape[1]))  # 9 digits carry a float32 whole


# GLB ----------------------------------------------------------------------------------------------------------------------------


def _glb(parts: list[tuple[str, np.ndarray]], folder: Path) -> bytes:
    """One primitive and one material a texture, in one buffer. glTF repeats textures, so that UDIM tiles need no shift."""
    binary = bytearray()
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Relievo"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": []}],
        "accessors": [],
        "bufferViews": [],
    }
    for name, triangles in parts:
        primitive = _primitive(document, binary, triangles)
        if name:
            primitive["material"] = _picture(document, binary, folder / name)
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
    else:
        logger.warning("%d triangles have no UVs: the GLB has none", len(triangles))
    return {"attributes": attributes, "indices": _accessor(document, binary, corners.astype("<u4"), _INDEX_BUFFER)}


def _accessor(document: dict[str, Any], binary: bytearray, values: np.ndarray, target: int) -> int:
    view = _append(document, binary, np.ascontiguousarray(values).tobytes())
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


def _append(document: dict[str, Any], binary: bytearray, content: bytes) -> int:
    document["bufferViews"].append({"buffer": 0, "byteOffset": len(binary), "byteLength": len(content)})
    binary += content + b"\0" * (-len(content) % 4)
    return len(document["bufferViews"]) - 1


def _picture(document: dict[str, Any], binary: bytearray, path: Path) -> int:
    content, media_type = _embeddable(path)
    view = _append(document, binary, content)
    images = document.setdefault("images", [])
    images.append({"bufferView": view, "mimeType": media_type, "name": path.stem})
    document["samplers"] = [
        {"magFilter": _LINEAR, "minFilter": _LINEAR_MIPMAP_LINEAR, "wrapS": _CLAMP_TO_EDGE, "wrapT": _CLAMP_TO_EDGE}
    ]
    document.setdefault("textures", []).append({"source": len(images) - 1, "sampler": 0})
    document.setdefault("materials", []).append(
        {
            "name": path.stem,
            "doubleSided": True,  # a scan is open below, and seen from there too
            "pbrMetallicRoughness": {
                "baseColorTexture": {"index": len(images) - 1},
                "metallicFactor": 0.0,
                "roughnessFactor": 1.0,
            },
        }
    )
    return len(images) - 1


def _embeddable(path: Path) -> tuple[bytes, str]:
    """A picture's bytes as glTF takes them, and their media type: PNG and JPEG only, and viewers expect 8 bits."""
    try:
        content = path.read_bytes()
        if content[:3] == b"\xff\xd8\xff":
            return content, "image/jpeg"
        if content[:8] == b"\x89PNG\r\n\x1a\n" and content[24] == 8:  # bits a sample
            return content, "image/png"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", rasterio.errors.NotGeoreferencedWarning)
            with rasterio.open(path) as source:
                levels = source.read(source.indexes[:3])
        if levels.dtype != np.uint16:
            raise ValueError(f"its pixels are {levels.dtype}")
    except (OSError, ValueError, rasterio.errors.RasterioError) as error:
        raise InvalidInput(
            f"The texture {path.name} cannot be put into a GLB ({error}).",
            hint="Write the texture as PNG, or the mesh as OBJ.",
            field=str(path),
        ) from error
    buffer = io.BytesIO()
    levels_8 = ((levels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    Image.fromarray(np.ascontiguousarray(levels_8.transpose(1, 2, 0))).save(buffer, "PNG")
    return buffer.getvalue(), "image/png"
