"""The classes that sketches are painted with on this machine: the seven of terrain_classes, or those of a list of the user's own.

The list is JSON, at $RELIEVO_CLASSES or classes.json in the user's configuration folder: [{"name": "Moor", "like": "Grassland",
"color": "#6b5a3a", "growth": 0.4}, ...]. `like` names the class whose ground the models make; what an entry leaves out is that
class's. Blender and backend both read it when they start. A list that cannot be used is not: problem() says why, and engines
refuse to work in its place.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .errors import InvalidInput
from .params import suggestion
from .terrain_classes import TERRAIN_CLASSES, TerrainClass

VARIABLE = "RELIEVO_CLASSES"
MOST_CLASSES, MOST_BYTES = 64, 1 << 18
_COLORS = ("color", "ground", "ground_high")
_LIMITS = {"slope_deg": (0.0, 90.0), "growth": (0.0, 1.0), "height_m": (-11000.0, 9000.0), "relief_m": (0.0, 9000.0)}


@dataclass(frozen=True, kw_only=True)
class PaintedClass(TerrainClass):
    """like: the number of the class of TERRAIN_CLASSES that the models take it for."""

    like: int


def class_file() -> Path:
    """Where the user's list is looked for."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "win32":
        base = Path(os.environ.get("APPDATA", Path.home() / "AppData" / "Roaming"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_CONFIG_HOME", Path.home() / ".config"))
    return base / "relievo" / "classes.json"


def read_classes(path: Path) -> tuple[PaintedClass, ...]:
    """The classes of a list. Raises InvalidInput that says which entry is wrong and how."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise _refused(path, "the file is too large for a list of classes")
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _refused(path, f"it cannot be read: {error}") from error
    if not isinstance(entries, list) or not 1 <= len(entries) <= MOST_CLASSES:
        raise _refused(path, f"a JSON list of 1 to {MOST_CLASSES} classes is expected")
    classes = tuple(_class(path, number, entry) for number, entry in enumerate(entries))
    for number, entry in enumerate(classes):
        for other in classes[:number]:
            if entry.name == other.name or entry.color == other.color:
                what = "name" if entry.name == other.name else "color"
                raise _refused(path, f"{entry.name} has the {what} of {other.name}")
    return classes


def _class(path: Path, number: int, entry: Any) -> PaintedClass:
    where = f"class {number}"
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str) or not entry["name"].strip():
        raise _refused(path, f"{where} has no name")
    name = entry["name"].strip()
    known = {field.name for field in fields(PaintedClass)}
    for key in entry.keys() - known:
        raise _refused(path, f"{name} has {key!r}, which classes do not have", suggestion(key, sorted(known)))
    names = [own.name for own in TERRAIN_CLASSES]
    like = entry.get("like", name)
    if like not in names:
        raise _refused(path, f"{name} is like {like!r}, which the models do not know", suggestion(str(like), names))
    model = TERRAIN_CLASSES[names.index(like)]
    values = {field.name: getattr(model, field.name) for field in fields(TerrainClass)}
    values |= {"name": name} | {key: _rgb(path, name, key, entry[key]) for key in _COLORS if key in entry}
    for key, (low, high) in _LIMITS.items():
        value = entry.get(key, values[key])
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise _refused(path, f"{name} has the {key} {value!r}; {low:g} to {high:g} is expected")
        values[key] = float(value)
    return PaintedClass(**values, like=names.index(like))


def _rgb(path: Path, name: str, key: str, value: Any) -> tuple[int, int, int]:
    digits = value.removeprefix("#") if isinstance(value, str) else ""
    if len(digits) != 6 or any(digit not in "0123456789abcdefABCDEF" for digit in digits):
        raise _refused(path, f'{name} has the {key} {value!r}; "#rrggbb" in sRGB is expected')
    red, green, blue = bytes.fromhex(digits)
    return red, green, blue


def _refused(path: Path, why: str, hint: str = "") -> InvalidInput:
    return InvalidInput(
        f"The list of classes {path} cannot be used: {why}.",
        hint=hint or "Correct or remove the file, then start Blender and the backend again.",
        field="classes",
    )


def _in_force() -> tuple[tuple[PaintedClass, ...], str, InvalidInput | None]:
    """The classes, the SHA-256 of the user's list ("" without one), and why it is not used."""
    built_in = tuple(
        PaintedClass(**{field.name: getattr(entry, field.name) for field in fields(TerrainClass)}, like=number)
        for number, entry in enumerate(TERRAIN_CLASSES)
    )
    path = class_file()
    try:
        if not os.environ.get(VARIABLE) and not path.exists():
            return built_in, "", None
        return read_classes(path), hashlib.sha256(path.read_bytes()).hexdigest(), None
    except InvalidInput as error:
        return built_in, "", error
    except OSError:  # a home that may not be read
        return built_in, "", None


PAINTED_CLASSES, LIST_SHA256, PROBLEM = _in_force()


def numbers_like(number: int) -> tuple[int, ...]:
    """The classes that the models take for this one of TERRAIN_CLASSES, the first to be painted with first."""
    return tuple(own for own, entry in enumerate(PAINTED_CLASSES) if entry.like == number)


def first_like(*numbers: int) -> int:
    """The class to use where one like the first of these is wanted, or like the next where there is none."""
    return next((own for number in numbers for own in numbers_like(number)), 0)


def check_list() -> None:
    """Raise where there is a list of the user's own that cannot be used: nothing is made by other classes in silence."""
    if PROBLEM is not None:
        raise InvalidInput(PROBLEM.message, hint=PROBLEM.hint, field=PROBLEM.field)


def port_classes() -> tuple[tuple[str, tuple[float, float, float]], ...]:
    """Names and colours (sRGB 0..1) as a Port declares them."""
    return tuple((entry.name, _share(entry.color)) for entry in PAINTED_CLASSES)


def _share(color: tuple[int, int, int]) -> tuple[float, float, float]:
    red, green, blue = color
    return red / 255.0, green / 255.0, blue / 255.0
