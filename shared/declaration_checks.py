"""Checks what engines declare, when their modules are imported: each mistake becomes one sentence for the engine's author.

It knows no engine. What a declaration means is in algorithm.py and params.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .arrays import CLASS_MAP, KINDS, ArrayKind
from .devices import DEVICE_KINDS
from .errors import DeclarationError, InvalidParameter
from .params import Param, check_value, describe, parse, suggestion
from .weights import WEIGHTS

if TYPE_CHECKING:
    from .algorithm import AlgorithmSpec, Port

RESERVED = frozenset(
    {"algorithm", "preset", "on_progress"}  # keywords of backend.run()
    | {"bl_rna", "items", "keys", "name", "type"}  # attributes of every property group and operator in Blender
    | {"debug", "device", "dry_run", "encoding", "fill_nodata", "flip", "format", "height_range", "height_unit", "help"}
    | {
        "layer",
        "nodata",
        "out",
        "quiet",
        "raw_size",
        "raw_type",
        "recipe",
        "skip_missing",
        "snap_classes",
        "threads",
        "views",
    }  # options of `run`
)
"""Names that no port and no parameter may have."""


def check_port(port: Port, sources: Iterable[str]) -> None:
    """Raises DeclarationError for a kind, a class or a source that does not exist."""
    if not isinstance(port.kind, ArrayKind):
        raise DeclarationError(
            f"Port {port.name!r} has the kind {port.kind!r}; it must be one of the objects in shared/arrays.py, such as "
            "HEIGHT_MAP."
        )
    if KINDS.get(port.kind.name) is not port.kind:
        raise DeclarationError(
            f"Port {port.name!r} has the kind {port.kind.name!r}, which is not in shared.arrays.KINDS."
        )
    if port.classes and ((port.kind is not CLASS_MAP and not port.many) or len(port.classes) > 256):
        raise DeclarationError(
            f"Port {port.name!r} declares classes; only a CLASS_MAP may, or a port of many arrays, one per class, and at most 256."
        )
    if port.any_colors and (port.kind is not CLASS_MAP or port.classes):
        raise DeclarationError(
            f"Port {port.name!r} takes any colours; only a CLASS_MAP without classes of its own may."
        )
    if (
        not isinstance(port.least_px, int)
        or port.least_px < 1
        or (port.least_px > 1 and port.kind.axes[:2] != ("H", "W"))
    ):
        raise DeclarationError(
            f"Port {port.name!r} declares least_px {port.least_px!r}; it is 1 or more, and for maps only."
        )
    _check_is_tuple(f"Port {port.name!r}", "reads", port.reads, str)
    for source in port.reads:
        if source not in sources:
            raise DeclarationError(f"Port {port.name!r} reads {source!r}. {suggestion(source, sources)}")


def check_spec(spec: AlgorithmSpec, port_type: type, preset_type: type, shown_by: Mapping[Any, Iterable[str]]) -> None:
    """Raises DeclarationError for whatever an engine declares that does not exist or does not go together."""
    engine = f"Engine {spec.name!r}"
    for field, item_type in (
        ("devices", str), ("weights", str), ("inputs", port_type), ("outputs", port_type), ("presets", preset_type),
    ):  # fmt: skip
        _check_is_tuple(engine, field, getattr(spec, field), item_type)
    _check_form(spec, shown_by)
    _check_devices(spec)
    for name in spec.weights:
        if name not in WEIGHTS:
            raise DeclarationError(f"{engine} declares the weights {name!r}. {suggestion(name, WEIGHTS)}")
    try:
        parameters = describe(spec.params)
    except DeclarationError as error:
        raise DeclarationError(f"{engine}: {error}") from error
    _check_names([*(port.name for port in spec.inputs), *(parameter.name for parameter in parameters)], engine)
    stand_ins = {parameter.name for parameter in parameters if parameter.type == "str"}
    stand_ins |= {port.name for port in spec.inputs if port.optional}
    for port in spec.inputs:
        if port.unless and port.unless not in stand_ins:
            raise DeclarationError(
                f"{engine}: the input {port.name!r} is needed unless {port.unless!r}; that is no parameter of text and no "
                "optional input."
            )
    _check_values(spec, parameters)


def check_catalog(specs: Iterable[AlgorithmSpec]) -> None:
    """Raises DeclarationError for two engines of one name or one number."""
    specs = list(specs)
    for place, spec in enumerate(specs):
        for other in specs[:place]:
            if spec.name == other.name:
                raise DeclarationError(f"Two engines have the name {spec.name!r}.")
            if spec.number == other.number:
                free = 1 + max(entry.number for entry in specs)
                raise DeclarationError(
                    f"The engines {other.name!r} and {spec.name!r} both have the number {spec.number}, which Blender saves "
                    f"for them; {free} is free."
                )


def _check_is_tuple(owner: str, field: str, value: Any, item_type: type) -> None:
    """A comma that is missing makes a string of a tuple of one string, and a Port of a tuple of one Port."""
    if not isinstance(value, tuple) or not all(isinstance(item, item_type) for item in value):
        shown = repr(value) if isinstance(value, str) else f"a {type(value).__name__}"
        comma = " A tuple of one needs a comma: (x,)." if isinstance(value, item_type) else ""
        raise DeclarationError(
            f"{owner} declares {field} as {shown}; it must be a tuple of {item_type.__name__}.{comma}"
        )


def _check_form(spec: AlgorithmSpec, shown_by: Mapping[Any, Iterable[str]]) -> None:
    if spec.makes not in shown_by:
        raise DeclarationError(f"Engine {spec.name!r} makes {spec.makes!r}. {suggestion(spec.makes, shown_by)}")
    shown = shown_by[spec.makes]
    if not any(port.kind.shows in shown for port in spec.outputs if not port.optional):
        kinds = ", ".join(kind.name for kind in KINDS.values() if kind.shows in shown)
        raise DeclarationError(
            f"Engine {spec.name!r} makes {spec.makes!r}; one of its outputs that are not optional must be of the kind {kinds}."
        )


def _check_devices(spec: AlgorithmSpec) -> None:
    known = ", ".join(DEVICE_KINDS)
    if not spec.devices:
        raise DeclarationError(f"Engine {spec.name!r} declares no device. Available: {known}.")
    for device in spec.devices:
        if device not in DEVICE_KINDS:
            raise DeclarationError(f"Engine {spec.name!r} declares the device {device!r}. Available: {known}.")


def _check_names(names: list[str], engine: str) -> None:
    for name in names:
        if not name.isidentifier() or name in RESERVED:
            reason = "is taken by Relievo itself" if name in RESERVED else "is not a Python identifier"
            raise DeclarationError(f"{engine} has a port or parameter {name!r}; that name {reason}.")
        if names.count(name) > 1:
            raise DeclarationError(f"{engine} has the name {name!r} twice among its inputs and parameters.")


def _check_values(spec: AlgorithmSpec, parameters: Iterable[Param]) -> None:
    """Defaults and presets are values that the engine takes; devices_for gives some of its devices."""
    for parameter in parameters:
        try:
            check_value(parameter, parameter.default)
        except InvalidParameter as error:
            raise DeclarationError(f"Engine {spec.name!r}, the default of {parameter.name!r}: {error}") from error
    for preset in spec.presets:
        try:
            parse(spec.params, preset.values)
        except InvalidParameter as error:
            raise DeclarationError(f"Engine {spec.name!r}, preset {preset.name!r}: {error}") from error
    for device in spec.job_devices(spec.params()) if spec.devices_for is not None else ():
        if device not in spec.devices:
            raise DeclarationError(f"devices_for of engine {spec.name!r} gives {device!r}, which is not in devices.")
