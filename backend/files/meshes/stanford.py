"""PLY, the Stanford format: ascii and binary of either byte order, UVs a vertex (s t, u v, texture_u texture_v) or a corner of a
face (MeshLab's texcoord list), faces or triangle strips. Colours, normals and other elements are passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import numpy as np

from backend.files.meshes.compiling import njit
from backend.files.meshes.plain_text import with_points
from backend.files.meshes.polygons import BrokenMesh, Polygons, with_vertex_uvs, without_uvs

_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4", "float": "f4", "double": "f8",
    "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4", "float32": "f4",
    "float64": "f8",
}  # fmt: skip
_ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
_UV_NAMES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"))
_FACE_NAMES = ("vertex_indices", "vertex_index")
_MARK = b"\xef\xbb\xbf"  # of UTF-8, which an editor leaves
_EVERYTHING = re.compile(rb".+", re.DOTALL)


@dataclass(frozen=True)
class _Property:
    name: str
    type: str  # NumPy's, without the byte order
    count_type: str = ""  # of a list


@dataclass
class _Element:
    name: str
    count: int
    properties: list[_Property] = field(default_factory=list)


@dataclass
class _Columns:
    """What stands in an element's rows: an array [count] a number, lists as their sizes and all their values in a row."""

    numbers: dict[str, np.ndarray] = field(default_factory=dict)
    lists: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


def decode(data: bytes) -> Polygons:
    """Raises BrokenMesh for a header that is none and for a body that ends early."""
    data = data.removeprefix(_MARK)
    encoding, elements, body = _header(data)
    found: dict[str, _Columns] = {}
    if encoding == "ascii":
        tokens, at = _numbers(with_points(data[body:], _EVERYTHING)), 0
        for element in elements:
            found[element.name], at = _read_text(tokens, at, element)
    else:
        for element in elements:
            found[element.name], body = _read_binary(data, body, element, _ORDERS[encoding])
    return _polygons(found)


def _header(data: bytes) -> tuple[str, list[_Element], int]:
    """Encoding, elements and where the body starts."""
    end = data.find(b"end_header")
    newline = b"\r" if data[3:4] == b"\r" and data[4:5] != b"\n" else b"\n"  # old Macs end lines with \r alone
    body = data.find(newline, end) + 1
    if not data.startswith(b"ply") or end < 0 or body == 0:
        raise BrokenMesh("has no PLY header")
    encoding, elements = "", []
    for line in data[:end].decode("ascii", "replace").splitlines():
        words = line.split()
        try:
            if words[:1] == ["format"]:
                encoding = words[1]
            elif words[:1] == ["element"]:
                elements.append(_Element(words[1], int(words[2])))
            elif words[:2] == ["property", "list"]:
                elements[-1].properties.append(_Property(words[4], _TYPES[words[3]], _TYPES[words[2]]))
            elif words[:1] == ["property"]:
                elements[-1].properties.append(_Property(words[2], _TYPES[words[1]]))
        except (IndexError, KeyError, ValueError) as error:
            raise BrokenMesh(f"has the line {line!r} in its header") from error
    if encoding not in ("ascii", *_ORDERS) or any(one.count < 0 or not one.properties for one in elements):
        raise BrokenMesh("has a PLY header of an unknown format")
    for element in elements:
        if len({given.name for given in element.properties}) < len(element.properties):
            raise BrokenMesh(f"has a property of its element {element.name!r} twice in its header")
    return encoding, elements, body


def _ends_within(element: _Element) -> BrokenMesh:
    return BrokenMesh(f"ends within its {element.count} rows of {element.name!r}")


def _polygons(found: dict[str, _Columns]) -> Polygons:
    vertices, faces = found.get("vertex", _Columns()), found.get("face", _Columns())
    if not all(axis in vertices.numbers for axis in "xyz"):
        raise BrokenMesh("has no vertices with x, y and z")
    positions = np.column_stack([vertices.numbers[axis] for axis in "xyz"])
    sizes, corners = _corners(faces)
    strips = _strips(found.get("tristrips", _Columns()))
    if "texcoord" in faces.lists and not len(strips):
        uv_sizes, uvs = faces.lists["texcoord"]
        polygons = Polygons(
            positions, sizes, corners, uvs[: len(uvs) // 2 * 2].reshape(-1, 2), _wedges(sizes, uv_sizes)
        )
        return _with_textures(polygons, faces)
    sizes = np.concatenate([sizes, np.full(len(strips), 3)])
    corners = np.concatenate([corners, strips.ravel()])
    for names in _UV_NAMES:
        if all(name in vertices.numbers for name in names):
            uvs = np.column_stack([vertices.numbers[name] for name in names])
            return with_vertex_uvs(positions, uvs, sizes, corners)
    return without_uvs(positions, sizes, corners)


def _corners(faces: _Columns) -> tuple[np.ndarray, np.ndarray]:
    """Sizes and corners of the faces; a list of another name is taken where it is the only one."""
    others = [name for name in faces.lists if name != "texcoord"]
    named = [name for name in _FACE_NAMES if name in faces.lists] or (others if len(others) == 1 else [])
    if not named and faces.lists:
        raise BrokenMesh(f"has faces with the lists {', '.join(faces.lists)}; vertex_indices is missing")
    sizes, corners = faces.lists[named[0]] if named else (np.empty(0, np.int64), np.empty(0, np.int64))
    return sizes, corners.astype(np.int64)


def _strips(columns: _Columns) -> np.ndarray:
    """[N, 3] of triangle strips: -1 begins a new one, every second triangle is turned, those without area are joints."""
    named = [name for name in _FACE_NAMES if name in columns.lists]
    if not named:
        return np.empty((0, 3), np.int64)
    sizes, values = columns.lists[named[0]]
    joined = np.insert(values.astype(np.int64), np.cumsum(sizes)[:-1], -1)  # each row begins a new strip
    if len(joined) < 3:
        return np.empty((0, 3), np.int64)
    last_break = np.maximum.accumulate(np.where(joined < 0, np.arange(len(joined)), -1))
    triangles = np.stack([joined[:-2], joined[1:-1], joined[2:]], axis=1)
    turned = (np.arange(len(triangles)) - last_break[:-2] - 1) % 2 == 1
    triangles[turned] = triangles[turned][:, [1, 0, 2]]
    a, b, c = triangles.T
    return triangles[(triangles >= 0).all(axis=1) & (a != b) & (b != c) & (c != a)]


def _with_textures(polygons: Polygons, faces: _Columns) -> Polygons:
    """MeshLab's number of a texture per face stands for a material."""
    numbers = faces.numbers.get("texnumber")
    if numbers is None or not len(numbers) or numbers.min() == numbers.max():
        return polygons
    kept, which = np.unique(numbers, return_inverse=True)
    return replace(polygons, materials=tuple(f"texture {int(number)}" for number in kept), face_materials=which)


def _wedges(sizes: np.ndarray, uv_sizes: np.ndarray) -> np.ndarray:
    """The UV of each corner: faces whose texcoord list does not have two numbers a corner have none."""
    textured = uv_sizes == 2 * sizes
    starts = np.repeat(np.cumsum(uv_sizes) - uv_sizes, sizes) // 2
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.where(np.repeat(textured, sizes), starts + within, -1)


# Text ---------------------------------------------------------------------------------------------------------------------------


def _numbers(text: bytes) -> np.ndarray:
    try:
        return np.array(text.split(), dtype=np.float64)
    except ValueError as error:
        raise BrokenMesh("has something in its body that is not a number") from error


def _read_text(tokens: np.ndarray, at: int, element: _Element) -> tuple[_Columns, int]:
    if element.count * len(element.properties) > len(tokens) - at:
        raise _ends_within(element)
    is_list = np.array([bool(given.count_type) for given in element.properties], np.bool_)
    starts, sizes, end = _walk_tokens(tokens, at, element.count, is_list)
    if end < 0:
        raise _ends_within(element)
    columns = _Columns()
    for index, given in enumerate(element.properties):
        if given.count_type:
            columns.lists[given.name] = sizes[index], tokens[_ranges(starts[index], sizes[index])]
        else:
            columns.numbers[given.name] = tokens[starts[index]]
    return columns, end


@njit(cache=True)
def _walk_tokens(tokens, at, count, is_list):
    """Where each property of each row starts and how many values it has, [properties, count], and where the rows end: -1 if
    the tokens do first."""
    starts, sizes = np.empty((is_list.size, count), np.int64), np.ones((is_list.size, count), np.int64)
    for row in range(count):
        for index in range(is_list.size):
            if at >= tokens.size:
                return starts, sizes, -1
            if is_list[index]:
                value = tokens[at]
                if not 0.0 <= value <= tokens.size:
                    return starts, sizes, -1
                sizes[index, row] = np.int64(value)
                at += 1
            starts[index, row] = at
            at += sizes[index, row]
    return starts, sizes, (at if at <= tokens.size else -1)


# Binary -------------------------------------------------------------------------------------------------------------------------


def _read_binary(data: bytes, at: int, element: _Element, order: str) -> tuple[_Columns, int]:
    if not any(given.count_type for given in element.properties):
        row = np.dtype([(given.name, order + given.type) for given in element.properties])
        if at + row.itemsize * element.count > len(data):
            raise _ends_within(element)
        rows = np.frombuffer(data, row, element.count, at)
        return _Columns({name: rows[name] for name in row.names or ()}), at + rows.nbytes
    count_sizes = np.array([_size(given.count_type) for given in element.properties])
    sizes_of = np.array([_size(given.type) for given in element.properties])
    least = int(np.where(count_sizes, count_sizes, sizes_of).sum())  # of a row, in bytes
    if element.count * least > len(data) - at:
        raise _ends_within(element)
    raw = np.frombuffer(data, np.uint8)
    starts, sizes, end = _walk_bytes(raw, at, element.count, count_sizes, sizes_of, order == "<")
    if end < 0:
        raise _ends_within(element)
    columns = _Columns()
    for index, given in enumerate(element.properties):
        gathered = raw[_ranges(starts[index], sizes[index] * sizes_of[index])].view(order + given.type)
        if given.count_type:
            columns.lists[given.name] = sizes[index], gathered
        else:
            columns.numbers[given.name] = gathered
    return columns, end


def _size(name: str) -> int:
    return np.dtype(name).itemsize if name else 0


@njit(cache=True)
def _walk_bytes(raw, at, count, count_sizes, value_sizes, little):
    """As _walk_tokens, over bytes: count_sizes are those of the lists' counts, 0 for a plain number."""
    starts, sizes = np.empty((count_sizes.size, count), np.int64), np.ones((count_sizes.size, count), np.int64)
    for row in range(count):
        for index in range(count_sizes.size):
            width = count_sizes[index]
            if at + width > raw.size:
                return starts, sizes, -1
            if width:
                value = np.int64(0)
                for byte in range(width):
                    value = value * 256 + np.int64(raw[at + (width - 1 - byte if little else byte)])
                sizes[index, row] = value
                at += width
            starts[index, row] = at
            at += sizes[index, row] * value_sizes[index]
    return starts, sizes, (at if at <= raw.size else -1)


def _ranges(starts: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """starts[0], starts[0] + 1, ... sizes[0] of them, then those of starts[1], in one array."""
    return np.repeat(starts - (np.cumsum(sizes) - sizes), sizes) + np.arange(int(sizes.sum()))
