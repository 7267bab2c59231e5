"""What an algorithm declares of itself: ports, parameters, presets. A declaration only: the code is in backend/algorithms."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from .arrays import Array, ArrayKind, check
from .errors import InvalidInput, UnknownAlgorithm
from .params import Param, describe, suggestion


@dataclass(frozen=True, kw_only=True)
class Port:
    """One array that goes in or comes out. many: any number of arrays of this kind, in order."""

    name: str
    kind: ArrayKind
    help: str
    label: str
    optional: bool = False
    many: bool = False


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Parameter values under a name that an artist knows. Parameters that it does not name take their defaults."""

    name: str
    label: str
    help: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class AlgorithmSpec:
    """One algorithm. icon is one of Blender's icon names; version rises when the same parameters give another result."""

    name: str
    label: str
    summary: str
    icon: str
    params: type
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    presets: tuple[Preset, ...] = ()
    version: int = 1

    @property
    def parameters(self) -> tuple[Param, ...]:
        return describe(self.params)

    def preset(self, name: str) -> Preset:
        for preset in self.presets:
            if preset.name == name:
                return preset
        raise InvalidInput(
            f"{self.label} has no preset {name!r}.",
            hint=suggestion(name, [p.name for p in self.presets]),
            field="preset",
        )

    @property
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
    return {"name": port.name, "kind": port.kind.name, "optional": port.optional, "many": port.many}


Arrays = Mapping[str, tuple[Array, ...]]


def check_inputs(spec: AlgorithmSpec, arrays: Arrays) -> dict[str, Any]:
    """What an algorithm's run() takes: port name -> Array, None, or a tuple of Arrays for a port of many.

    Raises InvalidInput for an unknown or missing port, a wrong kind, or an array that is not what its kind says.
    """
    ports = {port.name: port for port in spec.inputs}
    for name in arrays:
        if name not in ports:
            raise InvalidInput(f"{spec.label} has no input {name!r}.", hint=suggestion(name, ports), field=name)
    return {port.name: _check_port(spec, port, tuple(arrays.get(port.name, ()))) for port in spec.inputs}


def _check_port(spec: AlgorithmSpec, port: Port, given: tuple[Array, ...]) -> Any:
    if not given and not port.optional:
        raise InvalidInput(f"{spec.label} needs the input {port.name!r}: {port.help}", field=port.name)
    if len(given) > 1 and not port.many:
        raise InvalidInput(f"Input {port.name!r} takes one array; {len(given)} were given.", field=port.name)
    for array in given:
        if array.kind is not port.kind:
            raise InvalidInput(
                f"Input {port.name!r} takes a {port.kind.name}, not a {array.kind.name}.", field=port.name
            )
        check(array, port.name)
    return given if port.many else (given[0] if given else None)


def find(algorithms: tuple[AlgorithmSpec, ...], name: str) -> AlgorithmSpec:
    """The algorithm of that name; UnknownAlgorithm with the nearest name otherwise."""
    for spec in algorithms:
        if spec.name == name:
            return spec
    raise UnknownAlgorithm(
        f"There is no algorithm {name!r}.", hint=suggestion(name, [spec.name for spec in algorithms]), field=name
    )
