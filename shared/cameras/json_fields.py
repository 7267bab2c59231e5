"""Numbers and lists out of a camera file's JSON, where each may be missing, a string, or of another shape.

Meshroom writes numbers as strings, programs around NeRF leave fields out. Whatever is not what it should be is named in an
InvalidInput; no meaning is given to any field here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InvalidInput


def number(mapping: Mapping[str, Any], key: str, what: str, default: float | None = None) -> float:
    """mapping[key] as a float, the default where it is missing. what: whose field it is, for the error."""
    value = mapping.get(key, default)
    try:
        if value is None or isinstance(value, bool):
            raise ValueError("no number")
        return float(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise broken(what, key, "a number", value) from error


def numbers(mapping: Mapping[str, Any], key: str, count: int, what: str) -> np.ndarray:
    """mapping[key] as `count` floats, from nested lists or an object {"x": ..., "y": ...}, of numbers or strings."""
    value = mapping.get(key)
    try:
        made = np.asarray(list(value.values()) if isinstance(value, Mapping) else value, float).ravel()
    except (TypeError, ValueError, OverflowError) as error:
        raise broken(what, key, f"{count} numbers", value) from error
    if made.size != count:
        raise broken(what, key, f"{count} numbers", value)
    return made


def objects(mapping: Mapping[str, Any], key: str, what: str) -> list[Mapping[str, Any]]:
    """mapping[key] as a list of JSON objects; a missing one is an empty list."""
    value = mapping.get(key, [])
    if not isinstance(value, list) or not all(isinstance(item, Mapping) for item in value):
        raise broken(what, key, "a list of objects", value)
    return value


def text(mapping: Mapping[str, Any], key: str, what: str, default: str | None = None) -> str:
    value = mapping.get(key, default)
    if not isinstance(value, (str, int)) or isinstance(value, bool):
        raise broken(what, key, "text", value)
    return str(value)


def broken(what: str, key: str, wanted: str, value: Any) -> InvalidInput:
    shown = "missing" if value is None else _shown(value)
    return InvalidInput(
        f"{what}: {key} is {shown}; it must be {wanted}.", hint="Export the cameras again.", field="cameras"
    )


def _shown(value: Any) -> str:
    try:
        return repr(value)[:60]
    except RecursionError:  # lists within lists
        return "nested too deeply"
