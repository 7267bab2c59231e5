"""The settings of single segments that objects, materials and collections carry, as the parameter of an engine that has one.

Only segments that the camera sees are named, since the engine refuses names that it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from ..datablocks import segment_tags
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec
from ..shared.arrays import CLASS_MAP, Array
from ..shared.segment_settings import FIELD


def has_them(spec: AlgorithmSpec) -> bool:
    """Whether an engine takes settings of single segments. Cheap: for draw()."""
    return any(parameter.name == FIELD for parameter in spec.parameters)


def brought(
    spec: AlgorithmSpec,
    given: Mapping[str, Sequence[Source]],
    arrays: Mapping[str, Sequence[Array]],
    params: Mapping[str, Any],
) -> dict[str, Any]:
    """The parameter that the scene decides: what the seen segments carry, with what the parameter says already going before; {}
    where no segments are drawn from a view, and where that is no JSON object, which the engine refuses in its own words.

    arrays: of the sources, as they were read.
    """
    if not has_them(spec):
        return {}
    found: dict[str, Any] = {}
    for port in (port for port in spec.inputs if port.kind is CLASS_MAP):
        for source, array in zip(given.get(port.name, ()), arrays.get(port.name, ()), strict=False):
            if source.kind == "view":
                names = tuple(array.attributes.get("names", ()))
                tagged = segment_tags.owners(str(source.options.get("by", "OBJECT")), names)
                found |= {name: entry for name, owner in tagged if (entry := segment_tags.entry_of(owner))}
    if not found:
        return {}
    text = str(params.get(FIELD, ""))
    try:
        entered = json.loads(text) if text.strip() else {}
    except ValueError:
        return {}
    return {FIELD: json.dumps({**found, **entered}, ensure_ascii=False)} if isinstance(entered, dict) else {}
