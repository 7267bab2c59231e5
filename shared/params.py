"""One dataclass field is one parameter: its JSON check, its command-line flag and its Blender property come from here.

A parameter class is a frozen, keyword-only dataclass whose fields are bool, int, float, str or Literal[str, ...], each made by
param(). This module describes and checks; it draws no interface and parses no command line.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from .errors import DeclarationError, InvalidParameter

_KEY = "relievo"
P = TypeVar("P")
TypeName = Literal["bool", "int", "float", "str", "choice"]
Role = Literal["", "size", "pixel_size", "map_size", "seed", "count", "file", "json", "tiling", "finer"]
ROLES: tuple[Role, ...] = typing.get_args(Role)


@dataclass(frozen=True, kw_only=True)
class _Description:
    label: str
    help: str
    min: float | None
    max: float | None
    soft_min: float | None
    soft_max: float | None
    step: float | None
    unit: str
    group: str
    labels: Mapping[str, str]
    numbers: Mapping[str, int]
    role: Role
    before: Any


def param(
    default: Any,
    *,
    label: str,
    help: str,
    min: float | None = None,
    max: float | None = None,
    soft_min: float | None = None,
    soft_max: float | None = None,
    step: float | None = None,
    unit: str = "",
    group: str = "",
    labels: Mapping[str, str] | None = None,
    numbers: Mapping[str, int] | None = None,
    role: Role = "",
    before: Any = None,
) -> Any:
    """A parameter of a frozen dataclass.

    min, max are checked; soft_min, soft_max only bound a slider. unit is one of "", "m", "m2", "px", "deg", "rad", "s", "yr",
    "GiB", "%", or a compound such as "m2/yr". group "" puts it among the handful that matter; any other name is a section
    under More. labels gives a Literal's values names for people.

    numbers: the number that Blender saves for each of a Literal's values; without it, their positions. Once released a number
    never changes, so that a value inserted between others comes with numbers. role says what other code may do with the
    parameter without knowing its name: "size" (pixels along a side of the output), "pixel_size" (metres per pixel),
    "map_size" (metres along the longer side of the map, which a sketch in the scene brings with it), "seed", "count" (how much
    work: steps, strokes, passes), "file" (the path of a file, "" for none), "json" (a JSON object as text, "" for none; on the
    command line also the name of a file with it), "tiling" (a choice of "none", "x", "y" and "xy": in which directions the
    output goes on without a seam), or "finer" (how many pixels of the output lie along a side of one of the input's).
    Presets leave sizes of all three sorts and seeds alone; warm-up and tests make sizes and counts small.

    before: for a parameter that a later version has added, the value under which the engine computes what it computed without
    it; also where that is the default, or older records would count as written by hand: see completed().
    """
    description = _Description(
        label=label,
        help=help,
        min=min,
        max=max,
        soft_min=soft_min,
        soft_max=soft_max,
        step=step,
        unit=unit,
        group=group,
        labels=dict(labels or {}),
        numbers=dict(numbers or {}),
        role=role,
        before=before,
    )
    return dataclasses.field(default=default, metadata={_KEY: description})


@dataclass(frozen=True, kw_only=True)
class Param:
    """One parameter, resolved: what every surface (wire, command line, Blender, reference page) reads.

    type is "bool", "int", "float", "str" or "choice"; choices are (value, label) pairs and empty unless type is "choice";
    numbers holds the number that Blender saves for each of them. role, before: see param().
    """

    name: str
    type: TypeName
    default: Any
    label: str
    help: str
    min: float | None
    max: float | None
    soft_min: float | None
    soft_max: float | None
    step: float | None
    unit: str
    group: str
    choices: tuple[tuple[str, str], ...]
    numbers: tuple[int, ...] = ()
    role: Role = ""
    before: Any = None


_TYPES: dict[type, TypeName] = {bool: "bool", int: "int", float: "float", str: "str"}


@functools.cache  # every run asks for it several times, and resolving type hints costs a millisecond
def describe(params_type: type) -> tuple[Param, ...]:
    """Every parameter of a parameter class, in the order of its declaration. Raises DeclarationError for one that cannot be
    shown."""
    if not dataclasses.is_dataclass(params_type):
        raise DeclarationError(f"{params_type!r} is not a dataclass of parameters made with param().")
    hints = typing.get_type_hints(params_type)
    return tuple(_resolve(field, hints[field.name]) for field in dataclasses.fields(params_type))


def _resolve(field: dataclasses.Field, annotation: Any) -> Param:
    if _KEY not in field.metadata:
        raise DeclarationError(f"parameter {field.name!r} is not made with param()")
    meta: _Description = field.metadata[_KEY]
    choices: tuple[tuple[str, str], ...] = ()
    if typing.get_origin(annotation) is Literal:
        kind: TypeName = "choice"
        values = typing.get_args(annotation)
        choices = tuple((value, meta.labels.get(value, value.replace("-", " ").title())) for value in values)
    elif annotation in _TYPES:
        kind = _TYPES[annotation]
    else:
        raise DeclarationError(
            f"parameter {field.name!r} has type {annotation!r}; use bool, int, float, str or Literal"
        )
    if meta.role not in ROLES:
        raise DeclarationError(
            f"parameter {field.name!r} has the role {meta.role!r}; use one of {', '.join(map(repr, ROLES))}"
        )
    return Param(
        name=field.name,
        type=kind,
        default=field.default,
        label=meta.label,
        help=meta.help,
        min=meta.min,
        max=meta.max,
        soft_min=meta.soft_min,
        soft_max=meta.soft_max,
        step=meta.step,
        unit=meta.unit,
        group=meta.group,
        choices=choices,
        numbers=_numbers(field.name, choices, meta.numbers),
        role=meta.role,
        before=meta.before,
    )


def _numbers(name: str, choices: tuple[tuple[str, str], ...], given: Mapping[str, int]) -> tuple[int, ...]:
    values = [value for value, _ in choices]
    if given and (set(given) != set(values) or len(set(given.values())) != len(values)):
        raise DeclarationError(
            f"parameter {name!r}: numbers takes one number for each of {', '.join(values)}, all different"
        )
    return tuple(given[value] for value in values) if given else tuple(range(len(values)))


def with_role(parameters: typing.Iterable[Param], role: Role) -> tuple[Param, ...]:
    """The parameters of a role, in their order."""
    return tuple(parameter for parameter in parameters if parameter.role == role)


def check_value(parameter: Param, value: Any) -> Any:
    """The value in the parameter's own type, or InvalidParameter. An int is taken where a float is asked for, nothing else."""
    name = parameter.name
    if parameter.type == "bool":
        if not isinstance(value, bool):
            raise InvalidParameter(f"{name} is {value!r}; it must be true or false.", field=name)
        return value
    if parameter.type == "str":
        if not isinstance(value, str):
            raise InvalidParameter(f"{name} is {value!r}; it must be text.", field=name)
        return value
    if parameter.type == "choice":
        return _check_choice(parameter, value)
    return _check_number(parameter, value)


def _check_choice(parameter: Param, value: Any) -> str:
    values = [choice for choice, _ in parameter.choices]
    if isinstance(value, str) and value in values:
        return value
    raise InvalidParameter(
        f"{parameter.name} is {value!r}; it must be one of {', '.join(values)}.",
        hint=suggestion(value, values) if isinstance(value, str) else "",
        field=parameter.name,
    )


def _check_number(parameter: Param, value: Any) -> int | float:
    name = parameter.name
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise InvalidParameter(f"{name} is {value!r}; it must be a number.", field=name)
    if parameter.type == "int":
        if not isinstance(value, int):
            raise InvalidParameter(f"{name} is {value!r}; it must be a whole number.", field=name)
    else:
        try:
            value = float(value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise InvalidParameter(f"{name} is {value}; it must be a finite number.", field=name)
    unit = f" {parameter.unit}" if parameter.unit else ""
    if parameter.min is not None and value < parameter.min:
        raise InvalidParameter(f"{name} is {value}{unit}; it must be at least {parameter.min}{unit}.", field=name)
    if parameter.max is not None and value > parameter.max:
        raise InvalidParameter(f"{name} is {value}{unit}; it must be at most {parameter.max}{unit}.", field=name)
    return value


def parse(params_type: type[P], values: Mapping[str, Any]) -> P:
    """Checked parameters from JSON values. Missing ones take their default; an unknown name is refused."""
    known = {parameter.name: parameter for parameter in describe(params_type)}
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise InvalidParameter(f"Unknown parameter {name!r}.", hint=suggestion(name, known), field=name)
        checked[name] = check_value(known[name], value)
    return params_type(**checked)


def completed(params_type: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a recipe or of a stored job, with those that a later version has added.

    Such a record names every parameter of the version that wrote it (to_json). One that lacks only parameters with a value
    `before` is older than those, and takes them at that value: it gives the same result as it did. What lacks others was written
    by hand and comes back as it is: what it does not name takes its default.
    """
    missing = [parameter for parameter in describe(params_type) if parameter.name not in values]
    if any(parameter.before is None for parameter in missing):
        return dict(values)
    return {**values, **{parameter.name: parameter.before for parameter in missing}}


def to_json(params: Any) -> dict[str, Any]:
    """Every parameter by name, the defaults too: a recipe must mean the same after a default has changed."""
    return dataclasses.asdict(params)


def suggestion(word: str, known: typing.Iterable[str]) -> str:
    """A hint for a mistyped word: "Did you mean 'relief'?", or the list where nothing is near."""
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"Did you mean {near[0]!r}?" if near else f"Available: {', '.join(names)}."
