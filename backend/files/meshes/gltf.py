"""glTF 2.0 and GLB: every mesh of the scene where its node puts it, joined, with TEXCOORD_0.

glTF's v runs down and is turned round here. Its axes (y up) stay as they are: the cameras of a scan use the same ones.
Materials, pictures, skins and animations are passed over; UVs are read whether or not a material uses them.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from backend.files.meshes.polygons import BrokenMesh, Polygons, with_vertex_uvs

_JSON, _BINARY = 0x4E4F534A, 0x004E4942  # GLB names its chunks in four letters
_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4}
_TRIANGLES, _STRIP, _FAN = 4, 5, 6
_COMPRESSED = ("KHR_draco_mesh_compression", "EXT_meshopt_compression")

_Part = tuple[np.ndarray, np.ndarray, np.ndarray]  # positions [V, 3], uvs [V, 2], triangles [N, 3]


def decode(data: bytes, folder: Path) -> Polygons:
    """folder: where the buffers of a .gltf are looked for. Raises BrokenMesh for bytes that are no glTF."""
    try:
        document, binary = _chunks(data)
        file = _File(document, binary, folder)
        parts = [part for mesh, matrix in file.placed() for part in file.primitives(mesh, matrix)]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, struct.error, RecursionError) as error:
        if isinstance(error, BrokenMesh):
            raise
        raise BrokenMesh(f"is not a valid glTF file ({type(error).__name__}: {error})") from error
    return _join(parts)


def _chunks(data: bytes) -> tuple[dict[str, Any], bytes]:
    """The JSON document and GLB's own buffer."""
    if data[:4] != b"glTF":
        return json.loads(data), b""
    _, version, length = struct.unpack_from("<3I", data)
    if version != 2 or length > len(data):
        raise BrokenMesh("is cut short" if version == 2 else f"is glTF of version {version}; version 2 is supported")
    document, binary, at = {}, b"", 12
    while at + 8 <= length:
        size, kind = struct.unpack_from("<2I", data, at)
        chunk = data[at + 8 : at + 8 + size]
        if kind == _JSON:
            document = json.loads(chunk)
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
            if "mesh" in nodes[index]:
                yield self._document["meshes"][nodes[index]["mesh"]], matrix
            waiting += [(child, matrix) for child in reversed(nodes[index].get("children", []))]

    def primitives(self, mesh: dict[str, Any], matrix: np.ndarray) -> Iterator[_Part]:
        for primitive in mesh["primitives"]:
            compressed = [name for name in _COMPRESSED if name in primitive.get("extensions", {})]
            if compressed:
                raise BrokenMesh(
                    f"is compressed ({compressed[0]}), which is not supported; export it without compression"
                )
            mode = primitive.get("mode", _TRIANGLES)
            if mode not in (_TRIANGLES, _STRIP, _FAN):
                continue  # points and lines
            attributes = primitive["attributes"]
            local = self._accessor(attributes["POSITION"]).astype(np.float64)
            positions = local @ matrix[:3, :3].T + matrix[:3, 3]
            uvs = np.full((len(positions), 2), np.nan)
            if "TEXCOORD_0" in attributes:
                uvs = self._accessor(attributes["TEXCOORD_0"]) * [1.0, -1.0] + [0.0, 1.0]
            has_order = "indices" in primitive
            order = self._accessor(primitive["indices"])[:, 0] if has_order else np.arange(len(positions))
            triangles = _assemble(order.astype(np.int64), mode)
            if np.linalg.det(matrix[:3, :3]) < 0:
                triangles = triangles[:, ::-1]  # a mirror turns the outside in
            yield positions, uvs, triangles

    def _accessor(self, index: int) -> np.ndarray:
        """[count, width]; normalized integers as what they stand for."""
        accessor = self._document["accessors"][index]
        kind, width, count = (
            np.dtype(_COMPONENTS[accessor["componentType"]]),
            _WIDTHS[accessor["type"]],
            accessor["count"],
        )
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
        data = self._buffer(view["buffer"])
        stride = view.get("byteStride", width * kind.itemsize)
        start = view.get("byteOffset", 0) + offset
        if count < 1 or start < 0 or start + (count - 1) * stride + width * kind.itemsize > len(data):
            raise BrokenMesh("ends before the data that it refers to")
        return np.ndarray((count, width), kind, data, start, (stride, kind.itemsize))

    def _buffer(self, index: int) -> bytes:
        if index not in self._buffers:
            uri = self._document["buffers"][index].get("uri")
            if uri is None:
                self._buffers[index] = self._binary
            elif uri.startswith("data:"):
                self._buffers[index] = base64.b64decode(uri.partition(",")[2])
            else:
                self._buffers[index] = self._beside(unquote(uri))
        return self._buffers[index]

    def _beside(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise BrokenMesh(f"needs {name} beside it ({error.strerror or error})") from error


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


def _join(parts: list[_Part]) -> Polygons:
    positions = np.concatenate([np.empty((0, 3)), *(part[0] for part in parts)])
    uvs = np.concatenate([np.empty((0, 2)), *(part[1] for part in parts)])
    offsets = np.cumsum([0, *(len(part[0]) for part in parts)])
    faces = [part[2] + offset for part, offset in zip(parts, offsets, strict=False)]
    triangles = np.concatenate([np.empty((0, 3), np.int64), *faces])
    return with_vertex_uvs(positions, uvs, np.full(len(triangles), 3), triangles.ravel())
