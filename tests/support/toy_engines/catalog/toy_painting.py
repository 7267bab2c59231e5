"""A colour image in, brush strokes out."""

from __future__ import annotations

from dataclasses import dataclass

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, NORMAL_MAP, STROKES
from shared.params import param


@dataclass(frozen=True, kw_only=True)
class ToyPaintingParams:
    """How many strokes."""

    rows: int = param(6, label="Rows", help="Rows of strokes", min=1, max=64, role="count")
    length: float = param(0.8, label="Length", help="Length of a stroke, in widths of a cell", min=0.1, max=2.0)


SPEC = AlgorithmSpec(
    name="toy_painting",
    label="Toy Painting",
    summary="Paints an image with a grid of straight strokes",
    icon="BRUSH_DATA",
    params=ToyPaintingParams,
    number=2003,
    makes="painting",
    inputs=(
        Port(name="image", kind=COLOR_IMAGE, label="Image", help="What is painted"),
        Port(
            name="segments",
            kind=CLASS_MAP,
            label="Segments",
            help="What each stroke says it belongs to",
            optional=True,
            reads=("view", "surface", "image"),
        ),
    ),
    outputs=(
        Port(name="strokes", kind=STROKES, label="Strokes", help="The strokes in painting order"),
        Port(name="painting", kind=COLOR_IMAGE, label="Painting", help="The strokes, drawn"),
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="A ridge along each row of strokes"),
        Port(name="normal", kind=NORMAL_MAP, label="Normal", help="The normals of the ridges"),
    ),
)
