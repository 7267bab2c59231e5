"""How many vertices and how much memory a terrain is going to take, drawn under its size and, where it is much, beside Generate."""

from __future__ import annotations

import bpy

from .. import typed
from ..inputs import sources
from ..settings import map_extent, properties
from ..shared.algorithm import AlgorithmSpec
from ..shared.errors import InvalidInput
from ..writers import table
from ..writers.result_size import Cost
from .connection_panel import wrapped


def cost(context: bpy.types.Context, spec: AlgorithmSpec) -> Cost | None:
    """Of what Generate is going to make with the present settings; None where that is not known beforehand."""
    scene = typed.present(context.scene)
    try:
        given = sources.collect(scene, spec, sources.selected(context))
    except InvalidInput:
        given = {}
    extent = map_extent.extent(scene, spec, given)
    if extent is None:
        return None
    return table.of(spec).cost(properties.result_choice(scene, spec), extent.rows, extent.columns)


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, spec: AlgorithmSpec) -> None:
    """One line."""
    found = cost(context, spec)
    if found is not None:
        layout.label(text=found.sentence, icon="ERROR" if found.is_heavy else "BLANK1")


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
