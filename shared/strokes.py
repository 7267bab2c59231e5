"""The numbers of a brush stroke, in their order: what each column of a STROKES array means.

The first thirteen are those of de Guevara et al. 2023, each 0 to 1 of the canvas or of its range: x is the row and y the column,
and the control point lies relative to the ends, c = p0 + (p2 - p0) * p1. A radius is a share of the canvas's longer side. Colours
are sRGB-encoded. The next three say where a stroke belongs: its layer (0 is painted first), the segment that it keeps to (-1:
none), and its place in the painting order. The last three are the colour at its end, which is that of its start where a stroke has
one colour.

What belongs to all strokes is an attribute of the array: the canvas's size and colour, and where wet paint was blended along the
strokes, SMUDGE, how much of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .errors import InvalidInput

GEOMETRY = ("x0", "y0", "x1", "y1", "x2", "y2", "r0", "r2", "t0", "t2", "red", "green", "blue")
BELONGING = ("layer", "segment", "order")
END_COLOR = ("red2", "green2", "blue2")
COLUMNS = (*GEOMETRY, *BELONGING, *END_COLOR)
SMUDGE = "smudge"  # an attribute, above 0 to 1; without it nothing is blended
INDEX = {name: number for number, name in enumerate(COLUMNS)}


def smudge_of(attributes: Mapping[str, Any], *, owner: str = "The list of strokes", field: str = "strokes") -> float:
    """How much of the paint is blended along strokes with these attributes, 0 to 1. owner: what has them, for the sentence. Raises
    InvalidInput where that is no such number."""
    amount = attributes.get(SMUDGE, 0.0)
    if isinstance(amount, (int, float)) and not isinstance(amount, bool) and 0.0 <= amount <= 1.0:
        return float(amount)
    raise InvalidInput(f"{owner} has the {SMUDGE} {str(amount)[:60]}; it is a number from 0 to 1.", field=field)


def in_painting_order(values: np.ndarray) -> np.ndarray:
    """The strokes [N, 19] by layer, and within a layer by their order; those of one order as they stand."""
    return values[np.lexsort((values[:, INDEX["order"]], values[:, INDEX["layer"]]))]


def with_end_color(values: np.ndarray) -> np.ndarray:
    """Strokes of one colour [N, 16], as they were before END_COLOR, with that colour at their ends [N, 19]."""
    color = values[:, INDEX["red"] : INDEX["blue"] + 1]
    return np.concatenate([values, color], axis=1)
