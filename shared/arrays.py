"""The kinds of array that travel between algorithms, files, the wire and Blender, and the one check that each must pass.

Heights are metres in float32; rows run from the top down; colour is linear unless its kind says sRGB. Reading and writing files is
backend/files; turning rows round for Blender is blender_addon/readers and writers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, get_args

import numpy as np

from .curves import check_rows
from .errors import InvalidInput
from .handoff import blocks
from .material_maps import described

Shows = Literal["heights", "color", "data", "strokes", "surface", "report", ""]
ColorSpace = Literal["data", "linear", "srgb"]

MAX_SIDE = 65536  # pixels; a larger map is cut into tiles by its sender


@dataclass(frozen=True, kw_only=True)
class ArrayKind:
    """What an array means.

    axes: a letter per axis: H rows from the top, W columns from the left, C channels, N items, or digits for a fixed length.
    attributes: names of the positive numbers that must come with it. nan: whether NaN is a value of this kind ("no data").
    shows: what a person sees of it ("" where it is no result by itself). color_space: of its values; "data" is no colour.
    may_be_empty: whether there may be no item along N.
    """

    name: str
    dtype: str
    axes: tuple[str, ...]
    unit: str
    help: str
    min: float | None = None
    max: float | None = None
    nan: bool = False
    attributes: tuple[str, ...] = ()
    shows: Shows = ""
    color_space: ColorSpace = "data"
    may_be_empty: bool = False

    def __post_init__(self) -> None:
        if self.shows not in get_args(Shows):
            raise ValueError(
                f"The kind {self.name} shows {self.shows!r}; it must be one of {', '.join(get_args(Shows))}."
            )
        if self.color_space not in get_args(ColorSpace):
            raise ValueError(
                f"The kind {self.name} has the colour space {self.color_space!r}; it must be data, linear or srgb."
            )


HEIGHT_MAP = ArrayKind(
    name="HEIGHT_MAP",
    dtype="float32",
    axes=("H", "W"),
    unit="m",
    attributes=("pixel_size_m",),
    help="Heights in metres on a square grid of pixel_size_m metres per pixel.",
    shows="heights",
)
AREA_MAP = ArrayKind(
    name="AREA_MAP",
    dtype="float32",
    axes=("H", "W"),
    unit="m2",
    min=0.0,
    attributes=("pixel_size_m",),
    help="An area per pixel, such as the land that drains through it.",
    shows="data",
)
THICKNESS_MAP = ArrayKind(
    name="THICKNESS_MAP",
    dtype="float32",
    axes=("H", "W"),
    unit="m",
    min=0.0,
    attributes=("pixel_size_m",),
    help="A thickness in metres per pixel: of deposited sediment or of eroded rock.",
    shows="data",
)
MASK = ArrayKind(
    name="MASK",
    dtype="float32",
    axes=("H", "W"),
    unit="",
    min=0.0,
    max=1.0,
    help="A share from 0 (none) to 1 (all).",
    shows="data",
)
CLASS_MAP = ArrayKind(
    name="CLASS_MAP",
    dtype="uint8",
    axes=("H", "W"),
    unit="",
    help="A class number per pixel, counted from 0.",
    shows="data",
)
COLOR_IMAGE = ArrayKind(
    name="COLOR_IMAGE",
    dtype="float32",
    axes=("H", "W", "3"),
    unit="",
    min=0.0,
    help="Linear RGB with Rec. 709 primaries.",
    shows="color",
    color_space="linear",
)
COUNT_MAP = ArrayKind(
    name="COUNT_MAP",
    dtype="uint16",
    axes=("H", "W"),
    unit="",
    help="A count per pixel.",
    shows="data",
)
UV_MAP = ArrayKind(
    name="UV_MAP",
    dtype="float32",
    axes=("H", "W", "2"),
    unit="",
    nan=True,
    help="Where in the texture each pixel of a photograph looks: u to the right, v up, NaN where it sees no surface.",
    shows="data",
)
DEPTH_MAP = ArrayKind(
    name="DEPTH_MAP",
    dtype="float32",
    axes=("H", "W"),
    unit="m",
    min=0.0,
    nan=True,
    help="How far in front of the camera's plane each pixel's surface lies, NaN where it sees none.",
    shows="data",
)
MESH = ArrayKind(
    name="MESH",
    dtype="float32",
    axes=("N", "3", "5"),
    unit="m",
    nan=True,
    help="Triangles by their corners x, y, z, u, v, counter-clockwise from outside; u and v are NaN where there are none. The"
    " attribute origin, if there is one, is the point x, y, z in float64 that positions are counted from.",
    shows="surface",
)
CAMERAS = ArrayKind(
    name="CAMERAS",
    dtype="float64",
    axes=("N", "27"),
    unit="",
    help="Posed cameras, one row each as packed by shared/cameras/camera.py; the attribute names lists their photographs.",
)
PHOTOGRAPH = ArrayKind(
    name="PHOTOGRAPH",
    dtype="uint8",
    axes=("N",),
    unit="",
    help="The bytes of an image file (JPEG, PNG, TIFF or WebP), decoded where it is used; the attribute name holds its file name.",
    color_space="srgb",
)
TEXTURE = ArrayKind(
    name="TEXTURE",
    dtype="uint16",
    axes=("H", "W", "3"),
    unit="",
    help="sRGB colours in 16 bits over the unit square of UV space; the attribute tile is its UDIM number.",
    shows="color",
    color_space="srgb",
)
REPORT = ArrayKind(
    name="REPORT", dtype="uint8", axes=("N",), unit="", shows="report", help="A report as JSON in UTF-8."
)
NORMAL_MAP = ArrayKind(
    name="NORMAL_MAP",
    dtype="float32",
    axes=("H", "W", "3"),
    unit="",
    min=-1.0,
    max=1.0,
    shows="data",
    help="Unit normals in tangent space, x right, y up (OpenGL), z out of the surface.",
)
TEXTURE_SET = ArrayKind(
    name="TEXTURE_SET",
    dtype="float32",
    axes=("H", "W", "C"),
    unit="",
    shows="color",
    help="Maps of one material that belong together, stacked; the attribute maps names each (shared/texture_set.py).",
)
STROKES = ArrayKind(
    name="STROKES",
    dtype="float32",
    axes=("N", "19"),
    unit="",
    attributes=("canvas_width_px", "canvas_height_px"),
    shows="strokes",
    help="Brush strokes in painting order, with the columns of shared/strokes.py; the attributes give the size of the canvas, and"
    " canvas_color, if there is one, its colour in sRGB; smudge, if there is one,"
    " how much of the paint is blended along them, 0 to 1.",
)
PALETTE = ArrayKind(
    name="PALETTE",
    dtype="float32",
    axes=("N", "3"),
    unit="",
    min=0.0,
    max=1.0,
    color_space="linear",
    help="Colours in linear RGB with Rec. 709 primaries; the attribute names lists their meanings.",
)

CURVES = ArrayKind(
    name="CURVES",
    dtype="float32",
    axes=("N", "C"),
    unit="",
    nan=True,
    may_be_empty=True,
    help="Lines on a map (rivers, ridges, cliffs, coasts, roads): those that bend its terrain, or the rivers that it has; one row"
    " per point with the columns of shared/curves.py; places are shares of the map's sides, NaN in a column stands for automatic.",
)

KINDS: Mapping[str, ArrayKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            *(HEIGHT_MAP, AREA_MAP, THICKNESS_MAP, MASK, CLASS_MAP, COUNT_MAP, COLOR_IMAGE),
            *(MESH, CAMERAS, PHOTOGRAPH, UV_MAP, DEPTH_MAP, TEXTURE, REPORT),
            *(NORMAL_MAP, TEXTURE_SET, STROKES, PALETTE, CURVES),
        )
    }
)


@dataclass(frozen=True)
class Array:
    """Values of a kind. attributes holds the kind's numbers and, where known, georeference text ("crs", "transform")."""

    kind: ArrayKind
    values: np.ndarray
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def pixel_size_m(self) -> float:
        return float(self.attributes["pixel_size_m"])

    @property
    def sha256(self) -> str:
        """A digest of kind, shape and bytes: two arrays of one digest are the same to an algorithm."""
        digest = hashlib.sha256(f"{self.kind.name} {self.values.shape} {self.attributes.get('pixel_size_m')}".encode())
        if "origin" in self.attributes:  # of a mesh: the same triangles elsewhere are others
            digest.update(f" {list(self.attributes['origin'])}".encode())
        digest.update(np.ascontiguousarray(self.values).data)
        return digest.hexdigest()


def height_map(values: np.ndarray, pixel_size_m: float, **attributes: Any) -> Array:
    """A HEIGHT_MAP from any real array [H, W]."""
    return Array(
        HEIGHT_MAP, np.ascontiguousarray(values, dtype=np.float32), {"pixel_size_m": float(pixel_size_m), **attributes}
    )


def check(array: Array, name: str = "") -> Array:
    """The array itself if it is what its kind says; InvalidInput, naming the port `name`, otherwise."""
    kind, values = array.kind, array.values
    what = f"Input {name!r}" if name else f"The {kind.name}"
    if values.dtype != np.dtype(kind.dtype):
        raise InvalidInput(f"{what} is {values.dtype}; a {kind.name} is {kind.dtype}.", field=name)
    _check_shape(kind, values.shape, what, name)
    for attribute in kind.attributes:
        value = array.attributes.get(attribute)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value <= 0:
            raise InvalidInput(
                f"{what} has {attribute} {value!r}; it must be a number above 0.",
                hint="Give the metres per pixel with --pixel-size." if attribute == "pixel_size_m" else "",
                field=name,
            )
    if values.dtype.kind == "f":
        _check_values(kind, values, what, name)
    if kind is TEXTURE_SET:
        described(array.attributes.get("maps"), values.shape[2], what, name)
    if kind is CURVES:
        check_rows(values, what, name)
    return array


def _check_shape(kind: ArrayKind, shape: tuple[int, ...], what: str, name: str) -> None:
    text = " x ".join(map(str, shape)) or "a single number"
    if len(shape) != len(kind.axes):
        raise InvalidInput(f"{what} is {text}; a {kind.name} has {len(kind.axes)} axes.", field=name)
    for axis, length in zip(kind.axes, shape, strict=True):
        if length == 0 and not (kind.may_be_empty and axis == "N"):
            raise InvalidInput(f"{what} is empty ({text}).", field=name)
        if axis.isdigit() and length != int(axis):
            raise InvalidInput(f"{what} is {text}; a {kind.name} has {axis} channels.", field=name)
        if axis in ("H", "W") and length > MAX_SIDE:
            raise InvalidInput(
                f"{what} is {text}; at most {MAX_SIDE} per side are supported.",
                hint="Cut it into tiles or scale it down.",
                field=name,
            )


def _check_values(kind: ArrayKind, values: np.ndarray, what: str, name: str) -> None:
    # min and max carry a NaN or an infinity along, so that the count is made only when there is something to count
    try:
        low, high = _range(kind, values)
        if not (math.isfinite(low) and math.isfinite(high)):
            bad = int(values.size - sum(np.count_nonzero(np.isfinite(block)) for block in blocks(values)))
            raise InvalidInput(
                f"{what} has {bad} of {values.size} cells without data (NaN or infinite).",
                hint="Fill them first (--fill-nodata, or Fill Gaps in Blender) or crop the map."
                if kind.axes[:2] == ("H", "W")
                else "",
                field=name,
            )
    except OSError as error:
        raise InvalidInput(
            f"{what} cannot be read from the file that brought it: {error.strerror or error}.",
            hint="Send it again; its file must not change once it is handed over.",
            field=name,
        ) from error
    if (kind.min is not None and low < kind.min) or (kind.max is not None and high > kind.max):
        bounds = f"{kind.min} to {kind.max}" if kind.max is not None else f"{kind.min} and up"
        raise InvalidInput(f"{what} runs from {low:g} to {high:g}; a {kind.name} is {bounds}.", field=name)


def _range(kind: ArrayKind, values: np.ndarray) -> tuple[float, float]:
    low, high = math.inf, -math.inf
    for block in blocks(values):
        if kind.nan:
            block = block[~np.isnan(block)]
        if block.size:
            # np.minimum, not min(): a NaN stays one
            low, high = float(np.minimum(low, block.min())), float(np.maximum(high, block.max()))
    return (low, high) if low <= high or math.isnan(low) else (0.0, 0.0)
