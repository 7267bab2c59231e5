"""A parameter's description -> the bpy.props factory and arguments that show it, and the way back to a JSON value.

No bpy here: properties.py and operators call the factories by name. Blender keeps floats in 32 bits and ints in 31
bits and a sign; what it hands back is made the value that a person typed, within the parameter's bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from ..shared.params import Param

INT_MIN, INT_MAX = -(2**31), 2**31 - 1

# attributes of every PropertyGroup and operator that a property of the same name would hide
SHADOWING = frozenset(
    {
        "name",
        "type",
        "items",
        "keys",
        "values",
        "get",
        "pop",
        "rna_type",
        "bl_rna",
        "bl_label",
        "bl_idname",
        "bl_description",
        "bl_options",
        "id_data",
        "path_from_id",
        "path_resolve",
        "property_unset",
        "is_property_set",
        "layout",
        "options",
        "properties",
        "report",
        "macros",
        "has_reports",
        "execute",
        "invoke",
        "draw",
        "poll",
        "check",
        "cancel",
        "modal",
    }
)

_FACTORIES = {
    "bool": "BoolProperty",
    "int": "IntProperty",
    "float": "FloatProperty",
    "str": "StringProperty",
    "choice": "EnumProperty",
}
_INT_SUBTYPES = {"px": "PIXEL", "%": "PERCENTAGE"}
_FLOAT_UNITS = {
    "m": {"unit": "LENGTH"},
    "s": {"unit": "TIME_ABSOLUTE"},
    "%": {"subtype": "PERCENTAGE"},
    "px": {"subtype": "PIXEL"},
}


@dataclass(frozen=True)
class Property:
    """name: of the attribute. factory: of bpy.props. arguments: for the factory."""

    name: str
    factory: str
    arguments: Mapping[str, Any]


def property_name(parameter: Param) -> str:
    """The parameter's own name, with "_value" behind one that would hide an attribute of Blender's."""
    return f"{parameter.name}_value" if parameter.name in SHADOWING else parameter.name


def describe(parameter: Param, *, scene_units: bool) -> Property:
    """The property that shows a parameter.

    scene_units: lengths are shown and typed in the scene's units (for the sidebar); otherwise they are plain metres
    (for operators, whose callers in Python mean metres).
    """
    arguments: dict[str, Any] = {
        "name": parameter.label,
        "description": _sentence(parameter.help),
        "default": parameter.default,
    }
    if parameter.type == "choice":
        arguments["items"] = [
            (value, label, "", number)
            for (value, label), number in zip(parameter.choices, parameter.numbers, strict=True)
        ]
    elif parameter.type == "int":
        arguments |= _int_bounds(parameter)
        if subtype := _INT_SUBTYPES.get(parameter.unit):
            arguments["subtype"] = subtype
    elif parameter.type == "float":
        arguments |= _float_bounds(parameter) | {"precision": _decimals(parameter)}
        if parameter.unit != "m" or scene_units:
            arguments |= _FLOAT_UNITS.get(parameter.unit, {})
    if parameter.role == "file":
        arguments["subtype"] = "FILE_PATH"
    if parameter.unit and not ({"unit", "subtype"} & set(arguments)):
        arguments["name"] = f"{parameter.label} ({_unit_sign(parameter.unit)})"
    if (
        parameter.type in ("int", "float")
        and "subtype" not in arguments
        and not parameter.unit
        and _is_share(parameter)
    ):
        arguments["subtype"] = "FACTOR"
    return Property(property_name(parameter), _FACTORIES[parameter.type], arguments)


def to_json(parameter: Param, value: Any, *, metres_per_unit: float = 1.0) -> Any:
    """What a property holds, as the value that a person typed: the shortest decimal of the float32, within the bounds."""
    if parameter.type == "float":
        number = float(str(np.float32(value)))
        if parameter.unit == "m" and metres_per_unit != 1.0:
            number = float(str(np.float32(number * metres_per_unit)))
        return _clamp(parameter, number)
    if parameter.type == "int":
        return int(_clamp(parameter, int(value)))
    return bool(value) if parameter.type == "bool" else str(value)


def from_json(parameter: Param, value: Any, *, metres_per_unit: float = 1.0) -> Any:
    """What to put into the property so that to_json() gives the value."""
    if parameter.type == "float" and parameter.unit == "m":
        return float(value) / metres_per_unit
    return value


def _clamp(parameter: Param, number: float) -> float:
    if parameter.min is not None and number < parameter.min:
        return parameter.min
    if parameter.max is not None and number > parameter.max:
        return parameter.max
    return number


def _int_bounds(parameter: Param) -> dict[str, int]:
    bounds = {
        "min": INT_MIN if parameter.min is None else max(INT_MIN, int(parameter.min)),
        "max": INT_MAX if parameter.max is None else min(INT_MAX, int(parameter.max)),
    }
    for soft, hard in (("soft_min", "min"), ("soft_max", "max")):
        value = getattr(parameter, soft)
        bounds[soft] = bounds[hard] if value is None else int(min(max(value, bounds["min"]), bounds["max"]))
    if parameter.step is not None:
        bounds["step"] = max(1, int(parameter.step))
    return bounds


def _float_bounds(parameter: Param) -> dict[str, float]:
    bounds = {
        key: value for key in ("min", "max", "soft_min", "soft_max") if (value := getattr(parameter, key)) is not None
    }
    if parameter.step is not None:
        bounds["step"] = max(1, round(parameter.step * 100))  # Blender counts a float's steps in hundredths
    return bounds


def _decimals(parameter: Param) -> int:
    """As many as the default and the step have, 2 to 6: 0.0004 must not be shown as 0.00."""
    numbers = [
        Decimal(repr(float(number))) for number in (parameter.default, parameter.step or 0.0, parameter.min or 0.0)
    ]
    decimals = [-int(number.normalize().as_tuple().exponent) for number in numbers]
    return min(6, max(0 if parameter.unit in ("px", "deg", "%") else 2, *decimals))


def _is_share(parameter: Param) -> bool:
    """A bounded share such as 0 to 1 is drawn as a filled slider."""
    return parameter.type == "float" and parameter.min == 0.0 and parameter.max == 1.0


def _unit_sign(unit: str) -> str:
    return {"deg": "°", "m2": "m²", "m2/yr": "m²/yr"}.get(unit, unit)


def _sentence(text: str) -> str:
    """A tooltip: a capital in front and no full stop at the end, which Blender adds by itself."""
    text = text.strip().rstrip(".")
    return text[:1].upper() + text[1:]
