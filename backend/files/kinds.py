"""How each kind of array is stored in files: what reads it, what writes it, and its default format.

One row per kind. A new kind is a row here, one in blender_addon/readers and, where it is shown, one in blender_addon/writers.
Readers and writers are named, not imported, so that --help stays quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from backend.files.raster_options import NOTHING_SAID, RasterOptions
from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import Array, ArrayKind
from shared.errors import InvalidInput
from shared.plain_files import is_special, require_plain

if TYPE_CHECKING:
    from backend.files.rasters.georeference import Georeference

ENDINGS = {
    "npy": ".npy",
    "npz": ".npz",
    "exr": ".exr",
    "tif": ".tif",
    "png16": ".png",
    "png8": ".png",
    "jpg": ".jpg",
    "obj": ".obj",
    "glb": ".glb",
    "ply": ".ply",
    "json": ".json",
    "geojson": ".geojson",
    "svg": ".svg",
}
"""The formats that can be asked for, and the endings of their files."""

EMBEDDED = (".png", ".jpg")  # pictures that a GLB takes in


@dataclass(frozen=True, kw_only=True)
class Reading:
    """How files are read: for which port, and what the user said about them.

    photographs: the items of the photographs that cameras belong to. name: by which photographs are matched. options: what else the
    user says of raster files. own_first: a file's own pixel size and unit come before the user's, who means another file.
    ground: the map that lines lie on, which may be georeferenced.
    """

    port: Port
    pixel_size_m: float | None = None
    fill_nodata: bool = False
    height_range_m: tuple[float, float] | None = None
    flip: str = ""
    photographs: Sequence[Mapping[str, Any]] = ()
    name: str = ""
    options: RasterOptions = NOTHING_SAID
    own_first: bool = False
    ground: Array | None = None


@dataclass(frozen=True, kw_only=True)
class Writing:
    """How an array is written: in which format of ENDINGS, where on the ground it lies, and with which pictures a mesh is shown.

    pictures: file names by the names of shared/texture_set.py ("base_color"), "<UDIM>" in place of a tile's number. colors: of
    heights that are written as a mesh, a COLOR_IMAGE over the same ground.
    """

    format: str
    georeference: Georeference | None = None
    pictures: Mapping[str, str] = field(default_factory=dict)
    colors: Array | None = None


@dataclass(frozen=True, kw_only=True)
class FileKind:
    """A kind's row. formats: those that can hold it, an exact one first. default: written where none is asked for; on_surface:
    instead of it for an engine that makes surfaces, whose maps are to open in Blender at once. reader, writer: "module:function",
    called as read(path, Reading) -> Array and write(array, path, Writing) -> notes by file name; "" where there is none.
    """

    formats: tuple[str, ...] = ()
    default: tuple[str, ...] = ()
    on_surface: tuple[str, ...] = ()
    reader: str = ""
    writer: str = ""

    def default_for(self, spec: AlgorithmSpec) -> tuple[str, ...]:
        return self.on_surface if spec.makes == "surface" and self.on_surface else self.default


_EXACT = ("npy", "exr", "tif", "png16")
_RASTER: dict[str, Any] = {
    "reader": "backend.files.rasters.reading:read_port",
    "writer": "backend.files.rasters.writing:write_port",
}
MESHES = ("obj", "glb", "ply")
"""The formats of ENDINGS that hold a mesh."""
_GROUND = FileKind(formats=_EXACT, default=("npy", "tif"), on_surface=("png16",), **_RASTER)
_COLOR = FileKind(formats=(*_EXACT, "png8", "jpg"), default=("png16",), **_RASTER)

FILES: Mapping[str, FileKind] = MappingProxyType(
    {
        "HEIGHT_MAP": FileKind(
            formats=(*_EXACT, *MESHES),
            default=_GROUND.default,
            on_surface=_GROUND.on_surface,
            reader=_GROUND.reader,
            writer="backend.files.meshes.heightfields:write_port",
        ),
        "AREA_MAP": _GROUND,
        "THICKNESS_MAP": _GROUND,
        "MASK": FileKind(formats=(*_EXACT, "png8"), default=("npy", "tif"), on_surface=("png16",), **_RASTER),
        "CLASS_MAP": _GROUND,
        "COUNT_MAP": _GROUND,
        "UV_MAP": FileKind(formats=("npy", "exr"), default=("exr",), **_RASTER),
        "DEPTH_MAP": FileKind(formats=("npy", "exr", "tif"), default=("exr",), **_RASTER),
        "COLOR_IMAGE": _COLOR,
        "NORMAL_MAP": _COLOR,
        "TEXTURE": _COLOR,
        "TEXTURE_SET": FileKind(
            formats=("npz", "exr", "tif", "png16", "png8"),
            default=("png16",),
            reader="backend.files.texture_sets:read",
            writer="backend.files.texture_sets:write",
        ),
        "MESH": FileKind(
            formats=("obj", "glb"),
            default=("obj", "glb"),
            reader="backend.files.meshes.reading:read_port",
            writer="backend.files.meshes.writing:write_port",
        ),
        "STROKES": FileKind(
            formats=("npz", "json", "svg"),
            default=("npz", "svg", "json"),
            reader="backend.files.strokes:read",
            writer="backend.files.strokes:write",
        ),
        "CURVES": FileKind(
            formats=("geojson",),
            default=("geojson",),
            reader="backend.files.curves.reading:read",
            writer="backend.files.curves.reading:write",
        ),
        "PALETTE": FileKind(
            formats=("json",),
            default=("json",),
            reader="backend.files.palettes:read",
            writer="backend.files.palettes:write",
        ),
        "CAMERAS": FileKind(
            formats=("json",),
            default=("json",),
            reader="backend.files.cameras:read",
            writer="backend.files.cameras:write",
        ),
        "PHOTOGRAPH": FileKind(reader="backend.files.photographs:read"),
        "REPORT": FileKind(formats=("json",), default=("json",), writer="backend.files.reports:write"),
    }
)


def file_kind(kind: ArrayKind) -> FileKind:
    return FILES[kind.name]


def read(path: Path, reading: Reading) -> Array:
    """The array of the port's kind that lies in a file (or a folder, for a set of maps). Raises InvalidInput and OutOfMemory."""
    kind = reading.port.kind
    if not file_kind(kind).reader:
        raise InvalidInput(f"A {kind.name} cannot be read from a file.", field=reading.port.name)
    if is_special(path):
        require_plain(path, field=reading.port.name)
    return _function(file_kind(kind).reader)(path, reading)


def write(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    """Writes the array; for each file made, by its name, what a reader of it must know. Raises StorageFull and InvalidInput."""
    return _function(file_kind(array.kind).writer)(array, path, writing)


def _function(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
