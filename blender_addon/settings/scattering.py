"""Which collection is scattered on which class of a terrain: kept on the object, saved with the file, edited in its box.

An object has an entry for each class that it has a density of. Nothing is scattered here: writers/scatter.py does that.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..writers import scatter


class RELIEVO_PG_scattered(bpy.types.PropertyGroup):
    """A class, by the name in its density attribute, and what stands there."""

    collection: bpy.props.PointerProperty(
        name="Collection", description="What stands there: one of its objects at random", type=bpy.types.Collection
    )


def entries_of(item: bpy.types.Object) -> dict[str, Any]:
    """The object's entries by class, those it has a density of. Cheap: for draw()."""
    held = {entry.name: entry for entry in getattr(item, "relievo_scatter", ())}
    return {name: held[name] for name in scatter.densities_of(item) if name in held}


def renew(item: bpy.types.Object) -> None:
    """An entry for each density that an object has; what is chosen stays. Not for draw()."""
    held = getattr(item, "relievo_scatter", None)
    if held is None:
        return
    for name in scatter.densities_of(item):
        if name not in held:
            held.add().name = name


def register() -> None:
    bpy.utils.register_class(RELIEVO_PG_scattered)
    bpy.types.Object.relievo_scatter = bpy.props.CollectionProperty(type=RELIEVO_PG_scattered)  # pyright: ignore[reportAttributeAccessIssue]  # made here


def unregister() -> None:
    del bpy.types.Object.relievo_scatter  # pyright: ignore[reportAttributeAccessIssue]  # made here
    bpy.utils.unregister_class(RELIEVO_PG_scattered)
