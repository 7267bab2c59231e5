"""glTF 2.0 and GLB: every mesh of the scene where its node puts it, joined, with TEXCOORD_0.

glTF's v runs down and is turned round here. Its axes (y up) stay as they are: the cameras of a scan use the same ones.
UVs are those at which the material shows its texture: of the set that it names, moved as KHR_texture_transform says. Pictures,
skins and animations are passed over. Buffers are data, plain files in the model's folder or below it; nothing else is opened.
"""

from __future__ import annotations

import base64
import re
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from backend.files.meshes.gltf_uvs import in_one_square, texture_coordinates
from backend.files.meshes.polygons import BrokenMesh, Polygons, with_vertex_uvs
from backend.runtime.memory import available_bytes
from shared.errors import InvalidInput
from shared.read_files import TooDeep, parse_json, read_bytes

_JSON, _BINARY = 0x4E4F534A, 0x004E4942  # GLB names its chunks in four letters
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression", "KHR_meshopt_compression")
_INSTANCES = "EXT_mesh_gpu_instancing"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
LEAST_ROOM = 1 << 30  # bytes that a buffer may take where nobody says how much memory there is
MOST_VERTICES = 1 << 28  # of one accessor; 6 GB of positions

_Part = tuple[np.ndarray, np.ndarray, np.ndarray, int]  # positions [V, 3], uvs [V, 2], triangles [N, 3], material


def decode(data: bytes, folder: Path) -> Polygons:
    """folder: where the buffers of a .gltf are looked for. Raises BrokenMesh for bytes that are no glTF."""
    try:
        document, binary = _chunks(data)
        file = _File(document, binary, folder)
        parts = [part for mesh, matrix in file.placed() for part in file.primitives(mesh, matrix)]
    except TooDeep as error:
        raise BrokenMesh("is nested too deeply to be glTF") from error
    except (
        KeyError,
        IndexError,
        TypeError,
        ValueError,
        AttributeError,
        struct.error,
        RecursionError,
        OverflowError,
    ) as error:
        if isinstance(error, BrokenMesh):
            raise
        raise BrokenMesh(f"is not a valid glTF file ({type(error).__name__}: {error})") from error
    return _join(parts, document.get("materials", []))


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON document and GLB's own buffer."""
    if data[:4] != b"glTF":
        return parse_json(data), b""
    _, version, length = struct.unpack_from("<3I", data)
    if version != 2 or length > len(data):
        raise BrokenMesh("is cut short" if version == 2 else f"is glTF of version {version}; version 2 is supported")
    document, binary, at = {}, b"", 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<2I", data, at)
        chunk = data[at + 8 : at + 8 + size]
        if kind == _JSON:
            document = parse_json(chunk)
        elif kind == _BINARY:
            binary = chunk
        at += 8 + size
    return document, binary


class _File:
    def __init__(self, document: dict[str, Any], binary: bytes, folder: Path) -> None:
        self._document = document
        self._binary = binary
        self._folder = folder
        self._buffers: dict[int, bytes] = {}

    def placed(self) -> Iterator[tuple[dict[str, Any], np.ndarray]]:
        """Every mesh of the scene with the matrix [4, 4] that brings it into the world; all meshes where there is no scene."""
        nodes, scenes = self._document.get("nodes", []), self._document.get("scenes", [])
        roots = scenes[self._document.get("scene", 0)].get("nodes", []) if scenes else range(len(nodes))
        inner = set() if scenes else {child for node in nodes for child in node.get("children", [])}
        waiting = [(index, np.eye(4)) for index in reversed(roots) if index not in inner]
        visits = 0
        while waiting:
            index, above = waiting.pop()
            visits += 1
            if visits > len(nodes):
                raise BrokenMesh("has nodes that are their own ancestors")
            matrix = above @ _matrix(nodes[index])
            if _INSTANCES in nodes[index].get("extensions", {}):
                raise BrokenMesh(
                    f"repeats its meshes ({_INSTANCES}), which is not supported; export it with real copies"
                )
            if "mesh" in nodes[index]:
                yield self._document["meshes"][nodes[index]["mesh"]], matrix
            waiting += [(child, matrix) for child in reversed(nodes[index].get("children", []))]

    def primitives(self, mesh: dict[str, Any], matrix: np.ndarray) -> Iterator[_Part]:
        for primitive in mesh["primitives"]:
            _refuse_compressed(primitive)
            mode = primitive.get("mode", _TRIANGLES)
            if mode not in (_TRIANGLES, _STRIP, _FAN):
                continue  # points and lines
            attributes = primitive["attributes"]
            local = self._accessor(attributes["POSITION"]).astype(np.float64)
            positions = local @ matrix[:3, :3].T + matrix[:3, 3]
            uvs = np.full((len(positions), 2), np.nan)
            coordinates = texture_coordinates(self._document, primitive)
            if f"TEXCOORD_{coordinates.set}" in attributes:
                uvs = coordinates.moved(self._accessor(attributes[f"TEXCOORD_{coordinates.set}"]))
                uvs = uvs * [1.0, -1.0] + [0.0, 1.0]
            has_order = "indices" in primitive
            order = self._accessor(primitive["indices"])[:, 0] if has_order else np.arange(len(positions))
            triangles = _assemble(order.astype(np.int64), mode)
            if np.linalg.det(matrix[:3, :3]) < 0:
                triangles = triangles[:, ::-1]  # a mirror turns the outside in
            yield positions, uvs, triangles, primitive.get("material", -1)

    def _accessor(self, index: int) -> np.ndarray:
        """[count, width]; normalized integers as what they stand for."""
        accessor = self._document["accessors"][index]
        kind, width, count = (
            np.dtype(_COMPONENTS[accessor["componentType"]]),
            _WIDTHS[accessor["type"]],
            accessor["count"],
        )
        if not 0 < count <= MOST_VERTICES:
            raise BrokenMesh(f"has an accessor of {count} values")
        if "bufferView" in accessor:
            values = self._view(accessor["bufferView"], accessor.get("byteOffset", 0), kind, width, count)
        elif "sparse" in accessor:
            values = np.zeros((count, width), kind)
        else:
            raise BrokenMesh("refers to data that it does not contain")
        if "sparse" in accessor:
            sparse, values = accessor["sparse"], values.copy()
            places, fresh = sparse["indices"], sparse["values"]
            place_kind = np.dtype(_COMPONENTS[places["componentType"]])
            rows = self._view(places["bufferView"], places.get("byteOffset", 0), place_kind, 1, sparse["count"])
            values[rows[:, 0]] = self._view(
                fresh["bufferView"], fresh.get("byteOffset", 0), kind, width, sparse["count"]
            )
        if accessor.get("normalized") and kind.kind != "f":
            return np.maximum(values / np.float32(np.iinfo(kind).max), -1.0)
        return values

    def _view(self, index: int, offset: int, kind: np.dtype, width: int, count: int) -> np.ndarray:
        view = self._document["bufferViews"][index]
        _refuse_compressed(view)
        data = self._buffer(view["buffer"])
        stride = view.get("byteStride", width * kind.itemsize)
        start = view.get("byteOffset", 0) + offset
        if stride < width * kind.itemsize:
            raise BrokenMesh(f"has a byteStride of {stride}, less than one of its values takes")
        if count < 1 or start < 0 or start + (count - 1) * stride + width * kind.itemsize > len(data):
            raise BrokenMesh("ends before the data that it refers to")
        return np.ndarray((count, width), kind, data, start, (stride, kind.itemsize))

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            buffer = self._document["buffers"][index]
            uri = buffer.get("uri")
            if uri is None and index:
                raise BrokenMesh(f"has no data for its buffer {index}")
            if uri is None:
                self._buffers[index] = self._binary
            elif uri.startswith("data:"):
                self._buffers[index] = base64.b64decode(uri.partition(",")[2])
            else:
                self._buffers[index] = self._beside(uri, int(buffer["byteLength"]))
        return self._buffers[index]

    def _beside(self, uri: str, length: int) -> bytes:
        """The bytes of a plain file in the model's folder or below it, `length` of them at most; nothing else is opened."""
        if _SCHEME.match(uri):
            raise BrokenMesh(f"refers to {uri[:60]}; only files beside it are read")
        name = unquote(uri)
        try:
            folder = self._folder.resolve()
            path = (folder / name.replace("\\", "/")).resolve()
            inside = path.is_relative_to(folder)
            there = inside and path.exists()
        except (OSError, ValueError, RuntimeError) as error:
            raise BrokenMesh(f"refers to the file {name[:60]!r}, which cannot be one ({error})") from error
        if not inside:
            raise BrokenMesh(f"refers to {name[:60]}, which is outside of its folder")
        if not there:
            raise BrokenMesh(f"needs {name[:60]} beside it, which is not there")
        try:
            return read_bytes(path, field=name, most=max(available_bytes(), LEAST_ROOM), first=max(length, 0))
        except InvalidInput as error:
            raise BrokenMesh(f"needs {name[:60]} beside it: {error.message.rstrip('.')}") from error


def _refuse_compressed(part: dict[str, Any]) -> None:
    compressed = [name for name in _COMPRESSED if name in part.get("extensions", {})]
    if compressed:
        raise BrokenMesh(f"is compressed ({compressed[0]}), which is not supported; export it without compression")


def _matrix(node: dict[str, Any]) -> np.ndarray:
    if "matrix" in node:
        return np.array(node["matrix"], float).reshape(4, 4).T  # by columns in the file
    x, y, z, w = node.get("rotation", (0.0, 0.0, 0.0, 1.0))
    rotation = np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )
    matrix = np.eye(4)
    matrix[:3, :3] = rotation * np.array(node.get("scale", (1.0, 1.0, 1.0)), float)
    matrix[:3, 3] = node.get("translation", (0.0, 0.0, 0.0))
    return matrix


def _assemble(order: np.ndarray, mode: int) -> np.ndarray:
    """Triangles [N, 3] of a list, a strip (every second one turned) or a fan."""
    if mode == _TRIANGLES:
        return order[: len(order) // 3 * 3].reshape(-1, 3)
    if len(order) < 3:
        return np.empty((0, 3), np.int64)
    if mode == _FAN:
        return np.stack([np.repeat(order[:1], len(order) - 2), order[1:-1], order[2:]], axis=1)
    strip = np.stack([order[:-2], order[1:-1], order[2:]], axis=1)
    strip[1::2, :2] = strip[1::2, 1::-1]
    return strip


def _join(parts: list[_Part], materials: list[dict[str, Any]]) -> Polygons:
    positions = np.concatenate([np.empty((0, 3)), *(part[0] for part in parts)])
    uvs = np.concatenate([np.empty((0, 2)), *(part[1] for part in parts)])
    offsets = np.cumsum([0, *(len(part[0]) for part in parts)])
    faces = [part[2] + offset for part, offset in zip(parts, offsets, strict=False)]
    triangles = np.concatenate([np.empty((0, 3), np.int64), *faces])
    polygons = with_vertex_uvs(positions, in_one_square(uvs), np.full(len(triangles), 3), triangles.ravel())
    used = sorted({part[3] for part in parts})
    if len(used) < 2:
        return polygons
    names = tuple(str(materials[n].get("name", f"material {n}")) if n >= 0 else "" for n in used)
    which = np.repeat([used.index(part[3]) for part in parts], [len(part[2]) for part in parts])
    return replace(polygons, materials=names, face_materials=which)
