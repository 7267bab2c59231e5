"""What an algorithm declares of itself: ports, parameters, presets. A declaration only: the code is in backend/algorithms."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from .arrays import Array, ArrayKind, Shows, check
from .declaration_checks import check_port, check_spec
from .errors import InvalidInput, UnknownAlgorithm
from .params import Param, describe, suggestion

Makes = Literal["terrain", "surface", "painting", "maps"]
SOURCES = (
    "curves",
    "image",
    "mesh",
    "collection",
    "exemplar",
    "engine",
    "material",
    "materials",
    "objects",
    "photographs",
    "cameras",
    "sketch",
    "strokes",
    "drawing",
    "view",
    "surface",
)

SHOWN_BY: Mapping[Makes, frozenset[Shows]] = {
    "terrain": frozenset({"heights"}),
    "surface": frozenset({"color"}),
    "painting": frozenset({"strokes", "color"}),
    "maps": frozenset({"heights", "color", "data"}),
}
"""Which outputs a result form is made of: an engine of that form has at least one of them that is not optional."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """One array that goes in or comes out. many: any number of arrays of this kind, in order.

    classes: for a CLASS_MAP, the name and the sRGB colour (0..1) of each class by its number: the colours that a picture or a
    sketch of it is painted in; for a port of many arrays, the class of each.
    any_colors: of a CLASS_MAP without such classes, that its numbers only tell parts apart: a picture with one colour for each part
    is taken, whichever colours those are.
    reads: where Blender may take an input from, out of SOURCES; () for all that the kind's reader offers.
    least_px: pixels that a map needs on each side; the engine itself refuses less, this is for saying so before.
    unless: what stands in for the input, so that none is needed or read: the name of a parameter of text, a file mostly, where it
    is set, or of another input, an optional one, where it is given.
    """

    name: str
    kind: ArrayKind
    help: str
    label: str
    optional: bool = False
    many: bool = False
    classes: tuple[tuple[str, tuple[float, float, float]], ...] = ()
    any_colors: bool = False
    reads: tuple[str, ...] = ()
    least_px: int = 1
    unless: str = ""

    def is_needed(self, params: Mapping[str, Any] | None = None, given: Iterable[str] = ()) -> bool:
        """Whether there must be an input under these parameters and beside the inputs that are given, by their names."""
        return not self.optional and not self.is_replaced(params, given)

    def is_replaced(self, params: Mapping[str, Any] | None = None, given: Iterable[str] = ()) -> bool:
        """Whether a parameter or another input, one of those given, stands in for the input."""
        return bool(self.unless and ((params or {}).get(self.unless) or self.unless in given))

    def __post_init__(self) -> None:
        check_port(self, SOURCES)


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Parameter values under a name that an artist knows. Parameters that it does not name take their defaults."""

    name: str
    label: str
    help: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AlgorithmSpec:
    """One algorithm. icon is one of Blender's icon names; version rises when the same parameters give another result.

    number: what Blender saves for the engine; once released it never changes. makes: the form of the result: a "terrain" in the
    scene, the "surface" of a mesh (textures, materials), a "painting", or only "maps" (images). devices: kinds of devices that
    the engine runs on, first the one that "auto" takes where none was measured to be faster. devices_for: from parameters to those
    of `devices` that such a job runs on, in the same order, where that is not always the same. weights: pretrained weights that it
    may ask job.weights() for,
    by their names in shared/weights.py. repeats: earlier versions whose recipes this one repeats to the byte, because whatever has
    changed depends on a parameter with a value `before` (shared.params.completed). Raises DeclarationError for a device, form,
    kind or weight that does not exist.
    """

    name: str
    label: str
    summary: str
    icon: str
    params: type
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    number: int
    makes: Makes
    devices: tuple[str, ...] = ("cpu",)
    devices_for: Callable[[Any], tuple[str, ...]] | None = None
    weights: tuple[str, ...] = ()
    presets: tuple[Preset, ...] = ()
    version: int = 1
    repeats: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        check_spec(self, Port, Preset, SHOWN_BY)

    @property
    def parameters(self) -> tuple[Param, ...]:
        return describe(self.params)

    def job_devices(self, params: Any) -> tuple[str, ...]:
        """The kinds of devices that a job with these parameters runs on, the preferred one first."""
        return self.devices if self.devices_for is None else self.devices_for(params)

    def preset(self, name: str) -> Preset:
        for preset in self.presets:
            if preset.name == name:
                return preset
        raise InvalidInput(
            f"{self.label} has no preset {name!r}.",
            hint=suggestion(name, [p.name for p in self.presets]),
            field="preset",
        )

    @functools.cached_property
    def digest(self) -> str:
        """Changes when the declaration does in a way that the other side must know: names, types, bounds, ports, version."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """The contract as JSON; words for people (labels, help) are left out, so that mending one breaks no connection."""
        parameters = [
            {key: value for key, value in asdict(parameter).items() if key in _CONTRACT_FIELDS}
            | {"choices": [value for value, _ in parameter.choices]}
            for parameter in self.parameters
        ]
        return {
            "name": self.name,
            "version": self.version,
            "parameters": parameters,
            "inputs": [_port_json(port) for port in self.inputs],
            "outputs": [_port_json(port) for port in self.outputs],
        }


_CONTRACT_FIELDS = ("name", "type", "default", "min", "max", "unit")


def _port_json(port: Port) -> dict[str, Any]:
    described = {"name": port.name, "kind": port.kind.name, "optional": port.optional, "many": port.many}
    return described | ({"classes": [[name, list(rgb)] for name, rgb in port.classes]} if port.classes else {})


Arrays = Mapping[str, tuple[Array, ...]]


def check_inputs(spec: AlgorithmSpec, arrays: Arrays, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What an algorithm's run() takes: port name -> Array, None, or a tuple of Arrays for a port of many.

    params: of the job, as JSON; one of them, or another input, may stand in for an input (Port.unless).
    Raises InvalidInput for an unknown or missing port, a wrong kind, or an array that is not what its kind says.
    """
    ports = {port.name: port for port in spec.inputs}
    for name in arrays:
        if name not in ports:
            raise InvalidInput(f"{spec.label} has no input {name!r}.", hint=suggestion(name, ports), field=name)
    present = {name for name, given in arrays.items() if given}
    return {
        port.name: _check_port(spec, port, tuple(arrays.get(port.name, ())), params, present) for port in spec.inputs
    }


def _check_port(
    spec: AlgorithmSpec, port: Port, given: tuple[Array, ...], params: Mapping[str, Any] | None, present: set[str]
) -> Any:
    if not given and port.is_needed(params, present):
        hint = f"Or set {port.unless}, which stands in for it." if port.unless else ""
        raise InvalidInput(f"{spec.label} needs the input {port.name!r}: {port.help}", hint=hint, field=port.name)
    if given and port.is_replaced(params, present):
        raise InvalidInput(
            f"{port.unless} is set, so the input {port.name!r} would not be read.",
            hint=f"Leave out one of them: {port.unless} stands in for {port.name}.",
            field=port.name,
        )
    if len(given) > 1 and not port.many:
        raise InvalidInput(f"Input {port.name!r} takes one array; {len(given)} were given.", field=port.name)
    for array in given:
        if array.kind is not port.kind:
            raise InvalidInput(
                f"Input {port.name!r} takes a {port.kind.name}, not a {array.kind.name}.", field=port.name
            )
        check_array(port, array, port.name)
    return given if port.many else (given[0] if given else None)


def classes_text(port: Port) -> str:
    """The classes of a port with their colours, for people: "0 Water #0033FF, 1 Rock #666666"."""
    return ", ".join(
        f"{number} {name} #{''.join(f'{round(255 * value):02X}' for value in rgb)}"
        for number, (name, rgb) in enumerate(port.classes)
    )


def check_array(port: Port, array: Array, name: str = "") -> Array:
    """The array itself if it is what its kind says and has no class beyond the port's; InvalidInput otherwise."""
    check(array, name)
    highest = int(array.values.max(initial=0)) if port.classes else 0
    if highest >= max(len(port.classes), 1):
        last = len(port.classes) - 1
        raise InvalidInput(
            f"Input {port.name!r} has a class {highest}; its classes are 0 ({port.classes[0][0]}) to {last} "
            f"({port.classes[last][0]}).",
            field=name,
        )
    return array


def find(algorithms: tuple[AlgorithmSpec, ...], name: str) -> AlgorithmSpec:
    """The algorithm of that name; UnknownAlgorithm with the nearest name otherwise."""
    for spec in algorithms:
        if spec.name == name:
            return spec
    raise UnknownAlgorithm(
        f"There is no algorithm {name!r}.", hint=suggestion(name, [spec.name for spec in algorithms]), field=name
    )
