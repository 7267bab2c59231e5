"""What a curve object is on a map: its type and its numbers, kept on the object and saved with the file.

    item.relievo_curve.type = "RIVER"

Lengths are in Blender units, 0 for automatic. What the engine makes of a type is shared/curves.py's business.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..shared import curves

NONE = "NONE"
KINDS = ("CURVE", "CURVES")  # types of objects that can be a line

_HELPS = {
    "river": ("River", "Falls along the curve to its lower end, in a carved bed"),
    "ridge": ("Ridge", "Stands above its surroundings"),
    "cliff": ("Cliff", "Steps: high on the left of the curve's direction, low on the right"),
    "coast": (
        "Coast",
        "Lies at the water's level, with land on the left of the curve's direction and water on the right",
    ),
    "road": ("Road", "Is cut and filled, level across and no steeper than its slope"),
}
ITEMS = (
    (NONE, "None", "Not on the map", "X", 0),
    *((name.upper(), *_HELPS[name], "CURVE_PATH", number) for number, name in enumerate(curves.TYPES, 1)),
)


class RELIEVO_PG_curve(bpy.types.PropertyGroup):
    """What a curve does to the terrain."""

    type: bpy.props.EnumProperty(name="Type", description="What this curve is on the map", items=ITEMS)
    width: bpy.props.FloatProperty(
        name="Width",
        description="Width of bed, crest, face or road; 0 is automatic",
        min=0.0,
        unit="LENGTH",
        precision=1,
    )
    amount: bpy.props.FloatProperty(
        name="Amount",
        description="Depth of a river's bed, height of a ridge or of a cliff's step, 0 for automatic; level of a coast's water",
        unit="LENGTH",
        precision=1,
    )
    reach: bpy.props.FloatProperty(
        name="Reach",
        description="How far beside it the ground follows; 0 is automatic",
        min=0.0,
        unit="LENGTH",
        precision=1,
    )
    slope: bpy.props.FloatProperty(
        name="Largest Slope",
        description="Rise along a road in percent",
        default=8.0,
        min=0.1,
        max=1000.0,
        soft_max=30.0,
        subtype="PERCENTAGE",
        precision=1,
    )
    strength: bpy.props.FloatProperty(
        name="Strength",
        description="1 obeys the curve, 0 leaves the ground as it is",
        default=1.0,
        min=0.0,
        max=1.0,
        subtype="FACTOR",
    )
    use_z: bpy.props.BoolProperty(
        name="Use Heights", description="Take the curve's own heights for those of the ground along it", default=False
    )
    as_drawn: bpy.props.BoolProperty(
        name="Flow as Drawn",
        description="Let the river flow in the direction of the curve, instead of to its lower end",
        default=False,
    )


def of(item: bpy.types.Object | None) -> Any:
    """The settings of an object that can be a line, None for any other object. Cheap: for draw()."""
    return getattr(item, "relievo_curve", None) if item is not None and item.type in KINDS else None


def settle_river(item: bpy.types.Object) -> None:
    """What a river that an engine has made is, once a person gives it the type; until then it bends nothing."""
    settings = of(item)
    if settings is not None:
        settings.as_drawn = settings.use_z = True


def type_of(item: bpy.types.Object) -> str:
    """The type of line by its name in shared/curves.py, "" for none."""
    settings = of(item)
    return str(settings.type).lower() if settings is not None and settings.type != NONE else ""


def register() -> None:
    bpy.utils.register_class(RELIEVO_PG_curve)
    bpy.types.Object.relievo_curve = bpy.props.PointerProperty(type=RELIEVO_PG_curve)  # pyright: ignore[reportAttributeAccessIssue]  # made here


def unregister() -> None:
    del bpy.types.Object.relievo_curve  # pyright: ignore[reportAttributeAccessIssue]  # made here
    bpy.utils.unregister_class(RELIEVO_PG_curve)
