"""How an object, a material or a collection is painted when it is a segment: kept on it and saved with the file.

    item.relievo_segment.is_used = True
    item.relievo_segment.smallest = 4.0

What the engine makes of the numbers is shared/segment_settings.py's business.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bpy

SHAPES = frozenset({"MESH", "CURVE", "SURFACE", "FONT", "META"})  # types of objects that have a surface
OWNERS = {"OBJECT": "objects", "MATERIAL": "materials", "COLLECTION": "collections"}


class RELIEVO_PG_segment(bpy.types.PropertyGroup):
    """How one segment is painted."""

    is_used: bpy.props.BoolProperty(
        name="Own Settings", description="Paint this segment with settings of its own", default=False
    )
    use_share: bpy.props.BoolProperty(
        name="Use Share",
        description="Say how many strokes the segment gets, instead of as many as it needs",
        default=False,
    )
    share: bpy.props.FloatProperty(
        name="Share",
        description="Of the painting's strokes; 0 leaves the canvas",
        default=20.0,
        min=0.0,
        max=100.0,
        subtype="PERCENTAGE",
        precision=1,
    )
    largest: bpy.props.FloatProperty(
        name="Largest Brush",
        description="Width of the segment's first strokes, as a share of the picture's shorter side; 0 is the painting's",
        default=0.0,
        min=0.0,
        max=100.0,
        soft_max=40.0,
        subtype="PERCENTAGE",
        precision=2,
    )
    smallest: bpy.props.FloatProperty(
        name="Smallest Brush",
        description="Width of the segment's last strokes, as a share of the picture's shorter side; 0 is the painting's",
        default=0.0,
        min=0.0,
        max=100.0,
        soft_max=10.0,
        subtype="PERCENTAGE",
        precision=2,
    )
    order: bpy.props.IntProperty(
        name="Order",
        description="Segments of a lower order are painted first in each layer",
        default=0,
        min=-10000,
        max=10000,
        soft_min=-10,
        soft_max=10,
    )
    opacity: bpy.props.FloatProperty(
        name="Opacity", description="Of the segment's strokes", default=1.0, min=0.05, max=1.0, subtype="FACTOR"
    )


def of(owner: bpy.types.ID | None) -> Any:
    """The settings of an object, material or collection; None for nothing. Cheap: for draw()."""
    return getattr(owner, "relievo_segment", None)


def entry_of(owner: bpy.types.ID | None) -> dict[str, Any]:
    """What a datablock says differently from the painting, as shared/segment_settings.py has it; {} for nothing."""
    tag = of(owner)
    if tag is None or not tag.is_used:
        return {}
    found = {"share": _short(tag.share)} if tag.use_share else {}
    found |= {name: _short(getattr(tag, name)) for name in ("largest", "smallest") if getattr(tag, name) > 0.0}
    found |= {"order": int(tag.order)} if tag.order else {}
    return found | ({"opacity": _short(tag.opacity)} if tag.opacity < 1.0 else {})


def owners(by: str, names: tuple[str, ...]) -> Iterator[tuple[str, bpy.types.ID]]:
    """The datablocks of segments by object, material or collection, with their names; those that are gone are left out."""
    found = getattr(bpy.data, OWNERS[by])
    roots = {scene.collection.name_full: scene.collection for scene in bpy.data.scenes} if by == "COLLECTION" else {}
    for name in names:
        owner = next((item for item in found if item.name_full == name), roots.get(name)) if name else None
        if owner is not None:
            yield name, owner


def _short(value: float) -> float:
    """A number of a property, which is a float32, as a person has entered it."""
    return float(f"{value:.6g}")


_OWNERS = (bpy.types.Object, bpy.types.Material, bpy.types.Collection)


def register() -> None:
    bpy.utils.register_class(RELIEVO_PG_segment)
    for owner in _OWNERS:
        owner.relievo_segment = bpy.props.PointerProperty(type=RELIEVO_PG_segment)  # pyright: ignore[reportAttributeAccessIssue]  # made here


def unregister() -> None:
    for owner in _OWNERS:
        del owner.relievo_segment  # pyright: ignore[reportAttributeAccessIssue]  # made here
    bpy.utils.unregister_class(RELIEVO_PG_segment)
