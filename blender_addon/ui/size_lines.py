"""How many vertices and how much memory a terrain is going to take, drawn under its size and, where it is much, beside Generate;
and what cannot work on a map of that size, under the input or the setting that has to be changed.
"""

from __future__ import annotations

import math

import bpy

from .. import typed
from ..inputs import sources
from ..settings import map_extent, map_limits, properties
from ..shared.algorithm import AlgorithmSpec
from ..shared.errors import InvalidInput
from ..shared.params import Param, with_role
from ..writers import table
from ..writers.result_size import Cost
from .text_fit import length, wrapped


def cost(context: bpy.types.Context, spec: AlgorithmSpec) -> Cost | None:
    """Of what Generate is going to make with the present settings; None where that is not known beforehand."""
    scene = typed.present(context.scene)
    extent = map_extent.extent(scene, spec, _given(context, spec))
    if extent is None:
        return None
    settings = properties.read(scene, spec)
    finer = math.prod(settings[parameter.name] for parameter in with_role(spec.parameters, "finer"))
    return table.of(spec).cost(properties.result_choice(scene, spec), extent.rows * finer, extent.columns * finer)


def _given(context: bpy.types.Context, spec: AlgorithmSpec) -> map_extent.Sources:
    """The sources that are picked; none where one is missing."""
    try:
        return sources.collect(typed.present(context.scene), spec, sources.selected(context))
    except InvalidInput:
        return {}


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec) -> None:
    """One line."""
    found = cost(context, spec)
    if found is not None:
        layout.label(text=found.sentence, icon="ERROR" if found.is_heavy else "BLANK1")


def brought(context: bpy.types.Context, spec: AlgorithmSpec) -> dict[str, float]:
    """The parameters whose values come with the source, such as the size of a sketch, metres."""
    return map_extent.brought(typed.present(context.scene), spec, _given(context, spec))


def draw_brought(layout: bpy.types.UILayout, parameter: Param, value_m: float) -> None:
    """In the place of the parameter's own field: what the source says."""
    row = layout.split(factor=0.4)
    name = row.row()
    name.alignment = "RIGHT"
    name.label(text=parameter.label)
    row.label(text=f"{length(value_m)}, as drawn")


def limit(context: bpy.types.Context, spec: AlgorithmSpec) -> InvalidInput | None:
    """What cannot work with the present inputs and settings, None where all can. Its field is the port or parameter to change."""
    return map_limits.found(typed.present(context.scene), spec, _given(context, spec))


def draw_limit(layout: bpy.types.UILayout, found: InvalidInput | None, field: str) -> None:
    """Nothing where it is another field's."""
    if found is not None and found.field == field:
        wrapped(layout, str(found), "ERROR")


def draw_warning(layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec) -> None:
    """What a heavy result means, and what is lighter; nothing for any other."""
    found = cost(context, spec)
    if found is not None and found.is_heavy:
        wrapped(
            layout,
            f"{found.sentence}: views draw it as its box until you press Draw in Full, which can take a minute. "
            "Result > Adaptive or Images is lighter.",
            "ERROR",
        )
