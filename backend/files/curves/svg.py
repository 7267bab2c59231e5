"""Lines from SVG: path, polyline, line and polygon elements. The viewBox is the map.

The type is a word of an element's class, id or label, or of the group (layer) that it is in, or else the colour of its stroke.
A document type declaration is refused: it can define entities that grow without end, or name other files.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

import numpy as np

from backend.files.curves import svg_paths
from backend.files.curves.features import NotALine, numbers_of, type_in
from backend.files.kinds import Reading
from shared.curves import TYPES, Line
from shared.errors import InvalidInput
from shared.read_files import MIB, read_bytes

logger = logging.getLogger(__name__)

MOST_BYTES = 64 * MIB
DEEPEST = 200  # elements within each other
STROKES = {
    "river": (0, 0, 255), "ridge": (255, 128, 0), "cliff": (0, 0, 0), "coast": (0, 255, 255), "road": (255, 0, 0),
}  # fmt: skip
NEAR = 60.0  # of 255, as a distance between colours
NAMED = {"blue": "river", "orange": "ridge", "black": "cliff", "cyan": "coast", "aqua": "coast", "red": "road"}
_HIDDEN = {"defs", "symbol", "clipPath", "mask", "pattern", "marker", "metadata", "title", "desc", "style"}
_LABEL = "http://www.inkscape.org/namespaces/inkscape label"
_SPACE = "http://www.w3.org/2000/svg "


@dataclass
class _Level:
    """What an element leaves to those within it."""

    transform: np.ndarray
    type: str = ""
    stroke: str = ""
    hidden: bool = False
    data: dict[str, str] = field(default_factory=dict)


def lines(path: Path, reading: Reading) -> list[Line]:
    """The file's lines, in shares of its viewBox. Raises InvalidInput."""
    drawing = _Drawing()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = drawing.start, drawing.end
    parser.StartDoctypeDeclHandler = _refuse_doctype
    try:
        parser.Parse(read_bytes(path, field=reading.port.name, most=MOST_BYTES), True)
        return drawing.result(path)
    except (expat.ExpatError, ValueError, OverflowError) as error:
        raise InvalidInput(
            f"{path} is not an SVG of lines ({error}).",
            hint="Give each line a class, an id, a layer or a stroke colour that says what it is: "
            + ", ".join(TYPES)
            + ".",
            field=reading.port.name,
        ) from error


def _refuse_doctype(*_: object) -> None:
    raise NotALine("it has a document type declaration, which is not read; save it as plain SVG")


class _Drawing:
    """The lines of a drawing, collected as its elements come."""

    def __init__(self) -> None:
        self._levels: list[_Level] = [_Level(np.eye(3))]
        self._box: tuple[float, float, float, float] | None = None
        self._found: list[tuple[str, np.ndarray, dict[str, str]]] = []
        self._without = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.removeprefix(_SPACE)
        if len(self._levels) == 1:
            if tag != "svg":
                raise NotALine(f"its root is {tag!r}")
            self._box = _view_box(attributes)
        if len(self._levels) > DEEPEST:
            raise NotALine(f"it is nested more than {DEEPEST} levels deep")
        above = self._levels[-1]
        style = _style(attributes)
        if attributes.get("transform") and len(self._levels) > 1:
            transform = above.transform @ svg_paths.matrix(attributes["transform"])
        else:
            transform = above.transform
        own = type_in(" ".join(attributes.get(key, "") for key in ("class", "id", _LABEL, "data-name")))
        level = _Level(
            transform,
            own or above.type,
            style.get("stroke", above.stroke),
            above.hidden or tag in _HIDDEN or style.get("display") == "none",
            {**above.data, **_data(attributes)},
        )
        self._levels.append(level)
        if not level.hidden and len(self._levels) > 2:
            self._take(tag, attributes, level)

    def end(self, _name: str) -> None:
        self._levels.pop()

    def _take(self, tag: str, attributes: Mapping[str, str], level: _Level) -> None:
        for points in svg_paths.courses(tag, attributes):
            if len(points) < 2:
                continue
            kind = level.type or _by_stroke(level.stroke)
            if not kind:
                self._without += 1
                continue
            placed = np.c_[points, np.ones(len(points))] @ level.transform.T
            self._found.append((kind, placed[:, :2], level.data))

    def result(self, path: Path) -> list[Line]:
        """Raises NotALine where there is none."""
        if self._box is None or not self._found:
            raise NotALine(f"it has {self._without} lines of no known type" if self._without else "it has no lines")
        if self._without:
            logger.warning("%d lines of %s have no type that is known and are left out.", self._without, path)
        left, top, width, height = self._box
        low, size = np.array([left, top]), np.array([width, height])
        return [Line(type=kind, points=(points - low) / size, **numbers_of(data)) for kind, points, data in self._found]


def _view_box(attributes: Mapping[str, str]) -> tuple[float, float, float, float]:
    text = attributes.get("viewBox")
    if text is None:
        text = " ".join(
            ["0 0", *(re.sub(r"(px|pt|mm|cm|in)$", "", attributes.get(key, "")) for key in ("width", "height"))]
        )
    box = svg_paths.numbers(text)
    if len(box) != 4 or not (box[2] > 0 and box[3] > 0):
        raise NotALine("it has neither a viewBox nor a width and a height in numbers")
    return box[0], box[1], box[2], box[3]


def _style(attributes: Mapping[str, str]) -> dict[str, str]:
    """Presentation attributes, and the style that overrides them."""
    made = {key: attributes[key].strip() for key in ("stroke", "display") if key in attributes}
    for entry in attributes.get("style", "").split(";"):
        key, _, value = entry.partition(":")
        if key.strip() in ("stroke", "display"):
            made[key.strip()] = value.strip()
    return made


def _data(attributes: Mapping[str, str]) -> dict[str, str]:
    """data-width-m="12" and the like, by the names of GeoJSON's properties."""
    names = {key: key.removeprefix("data-").replace("-", "_") for key in attributes if key.startswith("data-")}
    return {name: attributes[key] for key, name in names.items() if name not in ("name", "type")}


def _by_stroke(stroke: str) -> str:
    if stroke.lower() in NAMED:
        return NAMED[stroke.lower()]
    found = re.fullmatch(r"#([0-9a-fA-F]{3}|[0-9a-fA-F]{6})", stroke)
    if found:
        digits = found[1] if len(found[1]) == 6 else "".join(2 * digit for digit in found[1])
        color = [int(digits[start : start + 2], 16) for start in (0, 2, 4)]
    else:
        found = re.fullmatch(r"rgb\(\s*(\d+)\s*,\s*(\d+)\s*,\s*(\d+)\s*\)", stroke)
        if not found:
            return ""
        color = [int(part) for part in found.groups()]
    off = {name: float(np.hypot.reduce(np.subtract(color, rgb))) for name, rgb in STROKES.items()}
    best = min(off, key=lambda name: off[name])
    return best if off[best] <= NEAR else ""
