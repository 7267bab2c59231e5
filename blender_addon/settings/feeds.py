"""Engines that make an input for another: which, with which settings, and from which of their outputs.

An engine that feeds takes no inputs of its own; it runs first, and its result goes on without passing through the scene.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from ..readers import table
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec, find
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from . import properties


@dataclass(frozen=True)
class Feed:
    """An engine and its JSON parameters."""

    algorithm: str
    params: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"algorithm": self.algorithm, "params": dict(self.params)}


def from_settings(
    scene: bpy.types.Scene, spec: AlgorithmSpec, given: Mapping[str, tuple[Source, ...]]
) -> dict[str, Feed]:
    """For each port that an engine feeds, that engine with the scene's present settings. Raises InvalidInput for an engine that
    cannot, or for two on one port.
    """
    ports, feeds = {port.name: port for port in spec.inputs}, {}
    for name, entries in given.items():
        engines = [source.name for source in entries if source.kind == "engine"]
        if not engines:
            continue
        port = ports[name]
        if len(engines) > 1:
            raise InvalidInput(f"{port.label} takes one new result of an engine.", hint="Remove one.", field=name)
        engine = find(algorithms(), engines[0])
        if engine not in table.feeding(spec, port):
            raise InvalidInput(f"{engine.label} has no output that {port.label} could use.", field=name)
        feeds[name] = Feed(engine.name, properties.read(scene, engine))
    return feeds


def output_of(spec: AlgorithmSpec, port_name: str, feed: Feed) -> tuple[AlgorithmSpec, str]:
    """The engine of a feed and the output that goes to a port. Raises InvalidInput where it has none of the port's kind."""
    engine = find(algorithms(), feed.algorithm)
    port = next(port for port in spec.inputs if port.name == port_name)
    output = table.output_for(engine, port.kind)
    if not output:
        raise InvalidInput(f"{engine.label} has no output that {port.label} could use.", field=port_name)
    return engine, output
