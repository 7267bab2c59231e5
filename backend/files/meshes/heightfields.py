"""A height map into a mesh file that other programs open: OBJ with a material file, GLB with its picture inside, or binary PLY.

One vertex per pixel and two triangles per cell, nothing dropped, thinned or moved; in metres, the map's middle at x = 0 and y = 0
as in Blender. Written in bands of rows, so that memory stays bounded however large the map is. Meshes that are made of triangles
already are writing.py's.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from backend.files.kinds import Writing
from backend.files.rasters import writing as rasters
from backend.files.whole_files import put, whole, write_bytes
from shared.arrays import Array, check
from shared.errors import InvalidInput
from shared.srgb import linear_to_srgb

BAND_VERTICES = 1 << 18  # written at once
GLB_BYTES = 1 << 32  # its lengths have 32 bits
_FLOAT, _UINT = 5126, 5125  # glTF's component types
_VERTEX_BUFFER, _INDEX_BUFFER = 34962, 34963


def write_port(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    """An output of heights, as a mesh or as a raster, whichever format was asked for; the files made, by name."""
    if writing.format not in _WRITERS:
        return rasters.write_port(array, path, writing)
    return {
        name: {} for name in write(array, path, colors=writing.colors, picture=writing.pictures.get("base_color", ""))
    }


def write(heights: Array, path: str | Path, *, colors: Array | None = None, picture: str = "") -> list[str]:
    """Writes a HEIGHT_MAP [H, W] as .obj (and .mtl beside it), .glb or .ply, by the path's ending; returns the files' names.

    colors: a COLOR_IMAGE over the same ground, of any size; GLB takes it in as a picture, PLY as the vertices' colours where it has
    the heights' size. picture: the file with it in the same folder, which the OBJ's material names. OBJ and GLB have y up (x to the
    map's right, z towards its bottom row), PLY z up (y towards its top row); all are right-handed and carry normals and texture
    coordinates at the centres of the picture's pixels. Raises InvalidInput for heights without data, fewer than 2 x 2 of them, or a
    GLB of more than 4 GiB, and StorageFull.
    """
    path, grid = Path(path), _grid(heights)
    writer = _WRITERS.get(path.suffix.lower().lstrip("."))
    if writer is None:
        raise InvalidInput(
            f"{path.name} does not name a format that heights can be written in as a mesh.",
            hint=f"Available: {', '.join(f'.{name}' for name in _WRITERS)}.",
            field=str(path),
        )
    return writer(grid, path, colors, picture)


@dataclass(frozen=True)
class _Grid:
    """The vertices of a height map. Axes: x to the right, y towards the top row, z up; metres."""

    heights: np.ndarray
    pixel_size_m: float

    @property
    def x(self) -> np.ndarray:
        columns = self.heights.shape[1]
        return (np.arange(columns) - 0.5 * (columns - 1)) * self.pixel_size_m

    @property
    def y(self) -> np.ndarray:
        rows = self.heights.shape[0]
        return (0.5 * (rows - 1) - np.arange(rows)) * self.pixel_size_m

    @property
    def vertices(self) -> int:
        return self.heights.size

    @property
    def faces(self) -> int:
        rows, columns = self.heights.shape
        return 2 * (rows - 1) * (columns - 1)

    def bands(self) -> Iterator[slice]:
        rows, columns = self.heights.shape
        step = max(1, BAND_VERTICES // columns)
        return (slice(first, min(first + step, rows)) for first in range(0, rows, step))

    def normals(self, band: slice) -> np.ndarray:
        """Unit normals float32 [rows, W, 3] by central differences, one-sided at the border."""
        first, last = max(band.start - 1, 0), min(band.stop + 1, len(self.heights))
        near = self.heights[first:last]
        down, right = np.gradient(near, self.pixel_size_m)
        own = slice(band.start - first, band.stop - first)
        normals = np.stack([-right[own], down[own], np.ones_like(near[own])], axis=-1)
        return (normals / np.linalg.norm(normals, axis=-1, keepdims=True)).astype(np.float32)

    def triangles(self, band: slice) -> np.ndarray:
        """Corners [cells, 2, 3] of the cells whose upper row lies in the band: counter-clockwise from above, numbered from 0."""
        rows, columns = self.heights.shape
        upper = np.arange(band.start, min(band.stop, rows - 1))[:, None] * columns + np.arange(columns - 1)
        top_left = upper.reshape(-1)
        lower_left = top_left + columns
        corners = (top_left, lower_left, lower_left + 1, top_left, lower_left + 1, top_left + 1)
        return np.stack(corners, axis=-1).reshape(-1, 2, 3)


def _grid(heights: Array) -> _Grid:
    values = check(heights, "height").values  # a mesh of heights without data would have holes
    if min(values.shape) < 2:
        raise InvalidInput(
            f"Heights of {values.shape[0]} x {values.shape[1]} have no faces.",
            hint="It takes at least 2 x 2.",
            field="height",
        )
    return _Grid(np.asarray(values, np.float32), heights.pixel_size_m)


# Wavefront: lines as one template per row, filled in by C -------------------------------------------------------------------------


def _obj(grid: _Grid, path: Path, colors: Array | None, picture: str) -> list[str]:
    material = path.with_suffix(".mtl")
    if picture:
        text = f"newmtl {_material(picture)}\nKa 1 1 1\nKd 1 1 1\nKs 0 0 0\nillum 1\nmap_Kd {picture}\n"
        write_bytes(material, text.encode())
    with whole(path) as temporary:
        put(temporary, _obj_parts(grid, material.name, picture))
    return [path.name, *([material.name] if picture else [])]


def _material(picture: str) -> str:
    return Path(picture).stem.replace(" ", "_")


def _obj_parts(grid: _Grid, material: str, picture: str) -> Iterator[bytes]:
    if picture:
        yield f"mtllib {material}\nusemtl {_material(picture)}\n".encode()
    rows, columns = grid.heights.shape
    x, z = [f"{value:.9g}" for value in grid.x], [f"{-value:.9g}" for value in grid.y]
    places = "".join(f"v {value} %.9g {{0}}\n" for value in x)
    for row in range(rows):
        yield (places.replace("{0}", z[row]) % tuple(grid.heights[row].tolist())).encode()
    across = "".join(f"vt {(column + 0.5) / columns:.9g} {{0}}\n" for column in range(columns))
    for row in range(rows):
        yield across.replace("{0}", f"{1.0 - (row + 0.5) / rows:.9g}").encode()
    for band in grid.bands():
        normals = grid.normals(band)
        turned = np.stack([normals[..., 0], normals[..., 2], -normals[..., 1]], axis=-1)
        lines = "vn %.4f %.4f %.4f\n" * (turned.size // 3)
        yield (lines % tuple(turned.ravel().tolist())).encode()
    corner = "%d/%d/%d"
    cell = f"f {corner} {corner} {corner}\n" * 2
    for band in grid.bands():
        for row in range(band.start, min(band.stop, rows - 1)):
            numbers = np.repeat(grid.triangles(slice(row, row + 1)) + 1, 3)
            yield (cell * (columns - 1) % tuple(numbers.tolist())).encode()


# PLY ------------------------------------------------------------------------------------------------------------------------------


def _ply(grid: _Grid, path: Path, colors: Array | None, picture: str) -> list[str]:
    painted = colors if colors is not None and colors.values.shape[:2] == grid.heights.shape else None
    with whole(path) as temporary:
        put(temporary, _ply_parts(grid, painted))
    return [path.name]


def _ply_parts(grid: _Grid, colors: Array | None) -> Iterator[bytes]:
    floats = ("x", "y", "z", "nx", "ny", "nz", "s", "t")
    channels = ("red", "green", "blue") if colors is not None else ()
    header = [
        "ply",
        "format binary_little_endian 1.0",
        "comment Relievo, metres, z up",
        f"element vertex {grid.vertices}",
    ]
    header += [f"property float {name}" for name in floats] + [f"property uchar {name}" for name in channels]
    header += [f"element face {grid.faces}", "property list uchar int vertex_indices", "end_header"]
    yield ("\n".join(header) + "\n").encode()
    rows, columns = grid.heights.shape
    kind = np.dtype([(name, "<f4") for name in floats] + [(name, "u1") for name in channels])
    for band in grid.bands():
        made = np.empty((band.stop - band.start, columns), kind)
        made["x"], made["y"], made["z"] = grid.x, grid.y[band, None], grid.heights[band]
        made["nx"], made["ny"], made["nz"] = np.moveaxis(grid.normals(band), -1, 0)
        made["s"] = (np.arange(columns) + 0.5) / columns
        made["t"] = 1.0 - (np.arange(rows)[band, None] + 0.5) / rows
        if colors is not None:
            for name, channel in zip(channels, np.moveaxis(_levels(colors.values[band]), -1, 0), strict=True):
                made[name] = channel
        yield made.tobytes()
    for band in grid.bands():
        corners = grid.triangles(band).reshape(-1, 3)
        faces = np.empty(len(corners), np.dtype([("count", "u1"), ("corners", "<i4", 3)]))
        faces["count"], faces["corners"] = 3, corners
        yield faces.tobytes()


def _levels(colors: np.ndarray) -> np.ndarray:
    """Linear colours as sRGB of 8 bits."""
    return np.rint(linear_to_srgb(np.clip(colors, 0.0, 1.0)) * 255.0).astype(np.uint8)


# GLB ------------------------------------------------------------------------------------------------------------------------------


def _glb(grid: _Grid, path: Path, colors: Array | None, picture: str) -> list[str]:
    image = _png(colors.values) if colors is not None else b""
    header, length = _glb_header(grid, len(image))
    if length >= GLB_BYTES:
        raise InvalidInput(
            f"Heights of {grid.heights.shape[1]} x {grid.heights.shape[0]} make a GLB of {length / 2**30:.1f} GiB; the format "
            "ends at 4 GiB.",
            hint="Write it as PLY, or make a smaller map.",
            field="format",
        )
    with whole(path) as temporary:
        put(temporary, _glb_parts(grid, header, length, image))
    return [path.name]


def _png(colors: np.ndarray) -> bytes:
    levels = np.empty(colors.shape, np.uint8)
    for row in range(0, len(colors), 256):
        levels[row : row + 256] = _levels(colors[row : row + 256])
    buffer = io.BytesIO()
    Image.fromarray(levels).save(buffer, "PNG")
    return buffer.getvalue()


def _glb_header(grid: _Grid, image_bytes: int) -> tuple[bytes, int]:
    """The JSON chunk, and the length of the whole file."""
    count = grid.vertices
    low, high = float(grid.heights.min()), float(grid.heights.max())
    x, y = np.asarray(grid.x, np.float32), np.asarray(grid.y, np.float32)
    views = [(12 * count, _VERTEX_BUFFER), (12 * count, _VERTEX_BUFFER), (8 * count, _VERTEX_BUFFER)]
    views += [(12 * grid.faces, _INDEX_BUFFER), *([(image_bytes, 0)] if image_bytes else [])]
    starts = np.cumsum([0, *(size + -size % 4 for size, _ in views)]).tolist()
    document: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "Relievo"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [
            {"primitives": [{"attributes": {"POSITION": 0, "NORMAL": 1, "TEXCOORD_0": 2}, "indices": 3, "material": 0}]}
        ],
        "accessors": [
            {
                "min": [float(x[0]), low, float(-y[0])],
                "max": [float(x[-1]), high, float(-y[-1])],
                **_accessor(0, _FLOAT, count, "VEC3"),
            },
            _accessor(1, _FLOAT, count, "VEC3"),
            _accessor(2, _FLOAT, count, "VEC2"),
            _accessor(3, _UINT, 3 * grid.faces, "SCALAR"),
        ],
        "bufferViews": [
            {"buffer": 0, "byteOffset": start, "byteLength": size, **({"target": target} if target else {})}
            for start, (size, target) in zip(starts, views, strict=False)
        ],
        "materials": [{"name": "terrain", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.9}}],
        "buffers": [{"byteLength": starts[-1]}],
    }
    if image_bytes:
        document["materials"][0]["pbrMetallicRoughness"]["baseColorTexture"] = {"index": 0}
        document["images"] = [{"bufferView": 4, "mimeType": "image/png", "name": "albedo"}]
        document["samplers"] = [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}]
        document["textures"] = [{"source": 0, "sampler": 0}]
    header = json.dumps(document, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 4)
    return header, 12 + 8 + len(header) + 8 + starts[-1]


def _accessor(view: int, component: int, count: int, form: str) -> dict[str, Any]:
    return {"bufferView": view, "componentType": component, "count": count, "type": form}


def _glb_parts(grid: _Grid, header: bytes, length: int, image: bytes) -> Iterator[bytes]:
    """The file in the order of its buffer views."""
    binary = length - 12 - 8 - len(header) - 8
    yield b"glTF" + struct.pack("<2I", 2, length) + struct.pack("<I", len(header)) + b"JSON" + header
    yield struct.pack("<I", binary) + b"BIN\0"
    rows, columns = grid.heights.shape
    for band in grid.bands():
        places = np.empty((band.stop - band.start, columns, 3), "<f4")
        places[..., 0], places[..., 1], places[..., 2] = grid.x, grid.heights[band], -grid.y[band, None]
        yield places.tobytes()
    for band in grid.bands():
        normals = grid.normals(band)
        yield np.stack([normals[..., 0], normals[..., 2], -normals[..., 1]], axis=-1).astype("<f4").tobytes()
    for band in grid.bands():
        uvs = np.empty((band.stop - band.start, columns, 2), "<f4")
        uvs[..., 0] = (np.arange(columns) + 0.5) / columns
        uvs[..., 1] = (np.arange(rows)[band, None] + 0.5) / rows  # glTF's v runs down
        yield uvs.tobytes()
    for band in grid.bands():
        yield grid.triangles(band).astype("<u4").tobytes()
    yield image + b"\0" * (-len(image) % 4)


_WRITERS: dict[str, Callable[[_Grid, Path, Array | None, str], list[str]]] = {"obj": _obj, "glb": _glb, "ply": _ply}
