"""The same request on fewer pixels: for drafts that are looked at side by side. What lies on the ground stays as large as it is.

Reads nothing and sends nothing; numbers and arrays only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..readers.sketches import fewer
from ..shared.algorithm import AlgorithmSpec, Arrays
from ..shared.arrays import Array
from ..shared.params import Param, with_role

LEAST_PX = 64  # of a map that becomes finer


def of_params(spec: AlgorithmSpec, params: Mapping[str, Any], longest_px: int) -> dict[str, Any]:
    """The parameters of an engine that has its size in pixels among them, for a map of at most longest_px; others as they are."""
    sides = with_role(spec.parameters, "size")
    factor = max((float(params[side.name]) for side in sides), default=0.0) / longest_px
    if factor <= 1.0:
        return dict(params)
    shorter = {side.name: int(_within(side, round(params[side.name] / factor))) for side in sides}
    return {**params, **shorter, **_coarser(spec, params, factor)}


def of_arrays(
    spec: AlgorithmSpec, params: Mapping[str, Any], arrays: Arrays, longest_px: int
) -> tuple[dict[str, Any], Arrays]:
    """The parameters and inputs for maps of at most longest_px pixels on the longer side: of all that have the size of the main
    one, which is the first input that is one map; fewer where the engine makes a finer one of it. Exemplars and whatever else
    comes in stay whole.
    """
    main = next((arrays[port.name][0] for port in spec.inputs if not port.many and _is_map(arrays, port.name)), None)
    finer = math.prod(params[entry.name] for entry in with_role(spec.parameters, "finer"))
    longest_px = max(longest_px // finer, min(longest_px, LEAST_PX))
    factor = max(main.values.shape[:2]) / longest_px if main is not None else 0.0
    if main is None or factor <= 1.0:
        return dict(params), arrays
    many = {port.name for port in spec.inputs if port.many}
    made = {
        name: tuple(
            _reduced(array, factor, longest_px)
            if name not in many and array.values.shape[:2] == main.values.shape[:2]
            else array
            for array in given
        )
        for name, given in arrays.items()
    }
    return {**params, **_coarser(spec, params, factor)}, made


def _is_map(arrays: Arrays, name: str) -> bool:
    return bool(arrays.get(name)) and arrays[name][0].kind.axes[:2] == ("H", "W")


def _reduced(array: Array, factor: float, longest_px: int) -> Array:
    attributes = dict(array.attributes)
    if "pixel_size_m" in attributes:
        attributes["pixel_size_m"] = array.pixel_size_m * factor
    return Array(array.kind, np.ascontiguousarray(fewer(array.values, longest_px)), attributes)


def _coarser(spec: AlgorithmSpec, params: Mapping[str, Any], factor: float) -> dict[str, float]:
    return {
        entry.name: float(_within(entry, params[entry.name] * factor))
        for entry in with_role(spec.parameters, "pixel_size")
    }


def _within(parameter: Param, value: float) -> float:
    low = value if parameter.min is None else max(value, parameter.min)
    return low if parameter.max is None else min(low, parameter.max)
