"""What cannot work on a map of a known size: said in the panel before Generate, in words of the panel.

The engines refuse the same themselves, once a job has been sent. Like map_extent this goes by sizes alone, never by vertices or
pixels: draw() and poll() ask at every redraw.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import bpy

from ..readers import exemplars
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.arrays import HEIGHT_MAP
from ..shared.errors import InvalidInput
from ..shared.params import Param
from . import map_extent, properties
from .map_extent import Extent, Sources

MOST_RESOLUTION = 8192  # of a mesh seen from above
COARSER = 2.0  # from this ratio of pixel sizes on, an engine computes at the exemplar's
LEAST_EXEMPLAR_PX = 20  # of an exemplar's shorter side, at the map's pixel size


def check(scene: bpy.types.Scene, spec: AlgorithmSpec, given: Sources, params: Mapping[str, Any]) -> None:
    """Raises InvalidInput, its field being the port or parameter to change: for a map of too few pixels, for exemplars at true
    metres that have no room on the map, and for those that are too small for it.
    """
    port, ground = map_extent.port_of(spec), map_extent.extent(scene, spec, given)
    if port is None or ground is None:
        return
    _check_side(port, ground, map_extent.source_of(spec, given))
    scale = next((parameter for parameter in spec.parameters if _is_scale(parameter)), None)
    if scale is None:
        return
    fields, sizes = _exemplars(scene, spec, given, params)
    if sizes:
        _check_room(port, ground, sizes, scale, params)
        _check_exemplars(ground, sizes, fields)


def found(scene: bpy.types.Scene, spec: AlgorithmSpec, given: Sources) -> InvalidInput | None:
    """What check() has against the scene's settings; None where it has nothing."""
    try:
        check(scene, spec, given, properties.read(scene, spec))
    except InvalidInput as error:
        return error
    return None


def _check_side(port: Port, ground: Extent, source: Source | None) -> None:
    """That the map has enough pixels on its shorter side."""
    if min(ground.rows, ground.columns) >= port.least_px:
        return
    hint = {"image": "Use a larger image.", "engine": "Raise its Width and Height."}.get(
        source.kind if source else "", ""
    )
    if source is not None and source.kind in map_extent.IN_SCENE:
        needed = _resolution_for(ground, port.least_px)
        hint = f"Raise Resolution to {needed} px." if needed <= MOST_RESOLUTION else "The mesh is too narrow."
    raise InvalidInput(
        f"{port.label}: the map is only {ground.columns} x {ground.rows} pixels; at least {port.least_px} are needed on each "
        "side.",
        hint=hint,
        field=port.name,
    )


def _resolution_for(ground: Extent, least_px: int) -> int:
    """Pixels of the longer side with which the shorter one gets its least; 1 more than needed at most."""
    longer, shorter = max(ground.rows, ground.columns), min(ground.rows, ground.columns)
    return math.ceil(least_px * (longer - 1) / max(shorter - 1, 0.5)) + 1


def _check_room(port: Port, ground: Extent, sizes: list[Extent], scale: Param, params: Mapping[str, Any]) -> None:
    """That landforms at true metres have room on the map."""
    finest, least_px = min(size.pixel_size_m for size in sizes), port.least_px
    if params.get(scale.name) != "true" or finest < COARSER * ground.pixel_size_m or ground.side_m >= least_px * finest:
        return
    raise InvalidInput(
        f"The map is only {_metres(ground.side_m)} wide; {dict(scale.choices)['true']} needs {_metres(least_px * finest)}.",
        hint=f"Set {scale.label} to {dict(scale.choices)['fit']}.",
        field=scale.name,
    )


def _check_exemplars(ground: Extent, sizes: list[Extent], fields: list[str]) -> None:
    """That exemplars of finer pixels than the map's are not too small for it; coarser ones keep their pixels or are fitted."""
    if max(size.pixel_size_m for size in sizes) > ground.pixel_size_m:
        return
    for size, field in zip(sizes, fields, strict=True):
        if round(size.side_m / ground.pixel_size_m) < LEAST_EXEMPLAR_PX:
            raise InvalidInput(
                f"The exemplar is only {_metres(size.side_m)} wide, and a pixel of the map is {_metres(ground.pixel_size_m)}: its "
                f"landforms cannot be seen on less than {_metres(LEAST_EXEMPLAR_PX * ground.pixel_size_m)}.",
                hint="Use a larger exemplar, or a map of finer pixels.",
                field=field,
            )


def _metres(length: float) -> str:
    """ "2.71 m", "48,000 m": three digits that count, never a power of ten."""
    return f"{float(f'{length:.3g}'):,.10g} m"


def _is_scale(parameter: Param) -> bool:
    return parameter.type == "choice" and {value for value, _ in parameter.choices} == {"fit", "true"}


def _exemplars(
    scene: bpy.types.Scene, spec: AlgorithmSpec, given: Sources, params: Mapping[str, Any]
) -> tuple[list[str], list[Extent]]:
    """Of all exemplars, the port or parameter that names them and their sizes; none where one of them is not known. They are those
    that are given, or else the landscape that a setting names.
    """
    port = next((port for port in spec.inputs if port.many and port.kind is HEIGHT_MAP), None)
    entries = given.get(port.name, ()) if port is not None else ()
    if port is not None and entries:
        found = [(port.name, map_extent.extent_of(scene, source)) for source in entries]
    else:
        named = ((p.name, params.get(p.name)) for p in spec.parameters if p.type == "choice")
        found = [(name, map_extent.landscape(str(value))) for name, value in named if value in exemplars.names()]
    sizes = [size for _, size in found if size is not None]
    return ([name for name, _ in found], sizes) if len(sizes) == len(found) else ([], [])
