"""What a feature of a file says of a line: its type and its numbers, by names that people use.

Types are our own or OpenStreetMap's tags, whose directions are ours too: rivers downstream, land left of a coast, a cliff's low
side on the right. Shared by GeoJSON and SVG.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

from shared.curves import TYPES

_KEYS = ("type", "kind", "feature")
_TAGS = {
    "waterway": {"river": "river", "stream": "river", "canal": "river", "ditch": "river", "drain": "river"},
    "natural": {"coastline": "coast", "ridge": "ridge", "arete": "ridge", "cliff": "cliff"},
}
_WORDS = {
    **{name: name for name in TYPES},
    **{f"{name}s": name for name in TYPES},
    "stream": "river", "streams": "river", "coastline": "coast", "shore": "coast", "shoreline": "coast", "street": "road",
    "streets": "road", "path": "road",
}  # fmt: skip
_NUMBERS = {
    "width_m": "width_m", "amount_m": "amount_m", "depth_m": "amount_m", "height_m": "amount_m", "level_m": "amount_m",
    "reach_m": "reach_m", "slope": "slope", "strength": "strength",
}  # fmt: skip
_DIRECTIONS = {"drawn": True, "downhill": False}


class NotALine(ValueError):
    """A property that cannot be what it says; its text is one sentence."""


def type_of(properties: Mapping[str, Any]) -> str:
    """The type of line, "" where nothing says one. Raises NotALine for a type that there is not."""
    for key, values in _TAGS.items():
        if str(properties.get(key, "")) in values:
            return values[str(properties[key])]
    if properties.get("highway"):
        return "road"
    for key in _KEYS:
        if key in properties and properties[key] is not None:
            found = _WORDS.get(str(properties[key]).strip().lower())
            if found is None:
                raise NotALine(f"{properties[key]!r} is no type of line; there are {', '.join(TYPES)}")
            return found
    return ""


def type_in(text: str) -> str:
    """The type that one of the words of a name is, "" where none is: "Main-rivers 2" is a river."""
    found = (_WORDS.get(word) for word in re.findall(r"[a-z]+", text.lower()))
    return next((name for name in found if name), "")


def numbers_of(properties: Mapping[str, Any]) -> dict[str, Any]:
    """The line's numbers, as fields of shared.curves.Line. Raises NotALine for what is no number or no direction."""
    made: dict[str, Any] = {}
    for key, name in _NUMBERS.items():
        if properties.get(key) is not None:
            made[name] = _number(key, properties[key])
    if properties.get("slope_percent") is not None:
        made["slope"] = _number("slope_percent", properties["slope_percent"]) / 100.0
    if "width_m" not in made and (width := _metres(properties.get("width"))) is not None:
        made["width_m"] = width
    direction = properties.get("direction")
    if direction is not None:
        if direction not in _DIRECTIONS:
            raise NotALine(f"direction is {direction!r}; it is {' or '.join(_DIRECTIONS)}")
        made["as_drawn"] = _DIRECTIONS[direction]
    return made


def _number(key: str, value: Any) -> float:
    try:
        made = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        made = math.nan
    if not math.isfinite(made):
        raise NotALine(f"{key} is {value!r}, which is no number")
    return made


def _metres(value: Any) -> float | None:
    """OpenStreetMap's width: a number, or "12 m"; None for anything else."""
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*m?\s*", str(value)) if not isinstance(value, bool) else None
    return float(found[1]) if found else None
