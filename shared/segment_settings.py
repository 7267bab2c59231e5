"""Settings of single segments of a painting, as JSON: {"sky": {"strokes": 200, "smallest": 6}, "3": {"order": 2, "opacity": 0.5}}.

A key is a segment's name or its number. A name stands for all segments of that name, else for all that have it among the words of
theirs: "sky" for "sky-other-merged". What an entry leaves out is the painting's own setting.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from .errors import InvalidParameter
from .params import suggestion
from .read_files import parse_json

FIELD = "segment_settings"
DEEPEST = 3  # levels of JSON; settings have two
MOST_STROKES, MOST_ORDER = 1_000_000, 10_000
_EXAMPLE = 'An example: {"sky": {"strokes": 200, "smallest": 6}}.'
_LIMITS = {
    "strokes": (0, MOST_STROKES),
    "share": (0.0, 100.0),
    "largest": (0.2, 100.0),
    "smallest": (0.1, 100.0),
    "order": (-MOST_ORDER, MOST_ORDER),
    "opacity": (0.05, 1.0),
}
_WHOLE = ("strokes", "order")


@dataclass(frozen=True, kw_only=True)
class SegmentSettings:
    """strokes: how many, or share: how many of the painting's, in percent; neither for as many as its detail deserves. largest,
    smallest: widths of brushes in percent of the picture's shorter side. order: segments of a lower one are painted first in each
    layer. opacity: of the strokes, the highest where it varies. numbers: of the segments that they are for."""

    strokes: int | None = None
    share: float | None = None
    largest: float | None = None
    smallest: float | None = None
    order: int = 0
    opacity: float = 1.0
    numbers: tuple[int, ...] = ()

    def named(self) -> tuple[str, ...]:
        """The settings that are not left out."""
        left_out = SegmentSettings()
        return tuple(name for name in _LIMITS if getattr(self, name) != getattr(left_out, name))


def read_settings(text: str, numbers: Sequence[int], names: Sequence[str] = ()) -> dict[str, SegmentSettings]:
    """The settings by their keys, each with the segments that it is for; {} for no text.

    numbers: of the segments that there are. names: of the segments by number, "" where one has none. Raises InvalidParameter.
    """
    found = {key: _entry(key, entry) for key, entry in _object(text).items()}
    taken: dict[int, str] = {}
    for key in found:
        found[key] = replace(found[key], numbers=_segments_of(key, numbers, names))
        for number in found[key].numbers:
            if number in taken:
                raise _refused(f"{taken[number]!r} and {key!r} are both settings of segment {number}")
            taken[number] = key
    return found


def _object(text: str) -> Mapping[str, Any]:
    if not text.strip():
        return {}
    try:
        content = parse_json(text.encode(), deepest=DEEPEST)
    except (ValueError, RecursionError) as error:
        raise _refused(f"it is not JSON ({str(error).rstrip('.')})", _EXAMPLE) from error
    if not isinstance(content, dict):
        raise _refused("it must be a JSON object with the names or numbers of segments", _EXAMPLE)
    return content


def _entry(key: str, entry: Any) -> SegmentSettings:
    if not isinstance(entry, dict):
        raise _refused(f"{key!r} has {entry!r} instead of an object of settings", _EXAMPLE)
    for name, value in entry.items():
        if name not in _LIMITS:
            raise _refused(f"{key!r} has {name!r}, which segments do not have", suggestion(name, _LIMITS))
        _check(key, name, value)
    if "strokes" in entry and "share" in entry:
        raise _refused(f"{key!r} has both strokes and share; one of them says how many strokes it gets")
    values: dict[str, Any] = {name: int(value) if name in _WHOLE else float(value) for name, value in entry.items()}
    made = SegmentSettings(**values)
    if made.largest is not None and made.smallest is not None and made.smallest > made.largest:
        raise _refused(f"{key!r} has the smallest brush {made.smallest:g} % and the largest {made.largest:g} %")
    return made


def _check(key: str, name: str, value: Any) -> None:
    low, high = _LIMITS[name]
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not number or (name in _WHOLE and value != int(value)) or not low <= value <= high:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise _refused(f"{key!r} has {name} {value!r}; it must be {kind} from {low:g} to {high:g}")


def _segments_of(key: str, numbers: Sequence[int], names: Sequence[str]) -> tuple[int, ...]:
    """The segments that a key stands for; of those that there are, () for a named one that has no pixel."""
    there = set(numbers)
    if re.fullmatch(r"\d+", key) and key not in names:
        if int(key) not in there:
            raise _refused(f"there is no segment {key}", f"The segments are {_listed(sorted(there))}.")
        return (int(key),)
    known = {name for name in names if name}
    if not known:
        raise _refused(
            f"the segments have no names, and {key!r} is not a number", f"Their numbers are {_listed(sorted(there))}."
        )
    matching = {key} & known or {name for name in known if key.lower() in _words(name)}
    if not matching:
        raise _refused(f"there is no segment {key!r}", suggestion(key, sorted(known)))
    return tuple(number for number, name in enumerate(names) if name in matching and number in there)


def _words(name: str) -> set[str]:
    return {name.lower(), *re.findall(r"[^\W_]+", name.lower())}


def _listed(values: Sequence[int]) -> str:
    shown = ", ".join(map(str, values[:20]))
    return f"{shown} and {len(values) - 20} more" if len(values) > 20 else shown


def _refused(why: str, hint: str = "") -> InvalidParameter:
    return InvalidParameter(f"The settings of segments cannot be used: {why}.", hint=hint, field=FIELD)
