"""A colour image in, brush strokes out."""

from __future__ import annotations

from dataclasses import dataclass

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import COLOR_IMAGE, STROKES
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
    inputs=(Port(name="image", kind=COLOR_IMAGE, label="Image", help="What is painted"),),
    outputs=(
        Port(name="strokes", kind=STROKES, label="Strokes", help="The strokes in painting order"),
        Port(name="painting", kind=COLOR_IMAGE, label="Painting", help="The strokes, drawn"),
    ),
)
