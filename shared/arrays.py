"""The kinds of array that travel between algorithms, files, the wire and Blender, and the one check that each must pass.

Heights are metres in float32; rows run from the top down; colour is linear unless its kind says sRGB. Reading and writing files is
backend/rasters.py; turning rows round for Blender is blender_addon/readers and build.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from .errors import InvalidInput

MAX_SIDE = 65536  # pixels; a larger map is cut into tiles by its sender


@dataclass(frozen=True, kw_only=True)
class ArrayKind:
    """What an array means.

    axes: a letter an axis: H rows from the top, W columns from the left, C channels, N items, or digits for a fixed length.
    attributes: names of the numbers that must come with it. nan: whether NaN is a value of this kind ("no data").
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


HEIGHT_MAP = ArrayKind(
    name="HEIGHT_MAP",
    dtype="float32",
    axes=("H", "W"),
    unit="m",
    attributes=("pixel_size_m",),
    help="Heights in metres on a square grid of pixel_size_m metres a pixel.",
)
AREA_MAP = ArrayKind(
    name="AREA_MAP",
    dtype="float32",
    axes=("H", "W"),
    unit="m2",
    min=0.0,
    attributes=("pixel_size_m",),
    help="An area a pixel, such as the land that drains through it.",
)
THICKNESS_MAP = ArrayKind(
    name="THICKNESS_MAP",
    dtype="float32",
    axes=("H", "W"),
    unit="m",
    min=0.0,
    attributes=("pixel_size_m",),
    help="A thickness in metres a pixel: of sediment laid down, of rock worn away.",
)
MASK = ArrayKind(
    name="MASK", dtype="float32", axes=("H", "W"), unit="", min=0.0, max=1.0, help="How much, from 0 (none) to 1 (all)."
)
CLASS_MAP = ArrayKind(
    name="CLASS_MAP", dtype="uint8", axes=("H", "W"), unit="", help="A class number a pixel, counted from 0."
)
COLOR_IMAGE = ArrayKind(
    name="COLOR_IMAGE",
    dtype="float32",
    axes=("H", "W", "3"),
    unit="",
    min=0.0,
    help="Linear RGB with Rec. 709 primaries.",
)
COUNT_MAP = ArrayKind(name="COUNT_MAP", dtype="uint16", axes=("H", "W"), unit="", help="How many, a pixel.")
UV_MAP = ArrayKind(
    name="UV_MAP",
    dtype="float32",
    axes=("H", "W", "2"),
    unit="",
    nan=True,
    help="Where in the texture each pixel of a photograph looks: u to the right, v up, NaN where it sees no surface.",
)
DEPTH_MAP = ArrayKind(
    name="DEPTH_MAP",
    dtype="float32",
    axes=("H", "W"),
    unit="m",
    min=0.0,
    nan=True,
    help="How far in front of the camera's plane each pixel's surface lies, NaN where it sees none.",
)
MESH = ArrayKind(
    name="MESH",
    dtype="float32",
    axes=("N", "3", "5"),
    unit="m",
    nan=True,
    help="Triangles by their corners x, y, z, u, v, counter-clockwise from outside; u and v are NaN where there are none.",
)
CAMERAS = ArrayKind(
    name="CAMERAS",
    dtype="float64",
    axes=("N", "27"),
    unit="",
    help="Posed cameras, a row each as shared/cameras/camera.py packs them; the attribute names lists their photographs.",
)
PHOTOGRAPH = ArrayKind(
    name="PHOTOGRAPH",
    dtype="uint8",
    axes=("N",),
    unit="",
    help="The bytes of an image file (JPEG, PNG, TIFF or WebP), decoded where it is used; the attribute name says which.",
)
TEXTURE = ArrayKind(
    name="TEXTURE",
    dtype="uint16",
    axes=("H", "W", "3"),
    unit="",
    help="sRGB colours in 16 bits over the unit square of UV space; the attribute tile is its UDIM number.",
)
REPORT = ArrayKind(name="REPORT", dtype="uint8", axes=("N",), unit="", help="What was found, as JSON in UTF-8.")

KINDS: Mapping[str, ArrayKind] = MappingProxyType(
    {
        kind.name: kind
        for kind in (
            *(HEIGHT_MAP, AREA_MAP, THICKNESS_MAP, MASK, CLASS_MAP, COUNT_MAP, COLOR_IMAGE),
            *(MESH, CAMERAS, PHOTOGRAPH, UV_MAP, DEPTH_MAP, TEXTURE, REPORT),
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
                f"{what} has {attribute} {value!r}; it takes a number above 0.",
                hint="Give the metres a pixel with --pixel-size." if attribute == "pixel_size_m" else "",
                field=name,
            )
    if values.dtype.kind == "f":
        _check_values(kind, values, what, name)
    return array


def _check_shape(kind: ArrayKind, shape: tuple[int, ...], what: str, name: str) -> None:
    text = " x ".join(map(str, shape)) or "a single number"
    if len(shape) != len(kind.axes):
        raise InvalidInput(f"{what} is {text}; a {kind.name} has {len(kind.axes)} axes.", field=name)
    for axis, length in zip(kind.axes, shape, strict=True):
        if length == 0:
            raise InvalidInput(f"{what} is empty ({text}).", field=name)
        if axis.isdigit() and length != int(axis):
            raise InvalidInput(f"{what} is {text}; a {kind.name} has {axis} channels.", field=name)
        if axis in ("H", "W") and length > MAX_SIDE:
            raise InvalidInput(
                f"{what} is {text}; the longest side taken is {MAX_SIDE}.",
                hint="Cut it into tiles or scale it down.",
                field=name,
            )


def _check_values(kind: ArrayKind, values: np.ndarray, what: str, name: str) -> None:
    # min and max carry a NaN or an infinity along, so that the count is made only when there is something to count
    low, high = float(values.min()), float(values.max())
    if kind.nan:
        low, high = (float(np.nanmin(values)), float(np.nanmax(values))) if not np.isnan(values).all() else (0.0, 0.0)
    if not (math.isfinite(low) and math.isfinite(high)):
        bad = int(values.size - np.count_nonzero(np.isfinite(values)))
        raise InvalidInput(
            f"{what} has {bad} of {values.size} cells without data (NaN or infinite).",
            hint="Fill them first (--fill-nodata, or Fill Gaps in Blender) or crop the map.",
            field=name,
        )
    if (kind.min is not None and low < kind.min) or (kind.max is not None and high > kind.max):
        bounds = f"{kind.min} to {kind.max}" if kind.max is not None else f"{kind.min} and up"
        raise InvalidInput(f"{what} runs from {low:g} to {high:g}; a {kind.name} is {bounds}.", field=name)
