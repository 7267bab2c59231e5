"""The class that an object or a material carries: a number that is saved with it, -1 for none, and the enumeration that shows it.

    bpy.data.objects["Lake"].relievo_class = 0

Which names the numbers have depends on the engine that is chosen in the sidebar. A face has a class of its own in an integer
attribute of its mesh.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..shared.algorithm import find
from ..shared.catalog import algorithms

NONE = -1
ATTRIBUTE = "class"  # of faces, unless a picker names another

_items: list[tuple[str, str, str, int]] = []  # Blender keeps no strings of an enumeration that is made at run time


def of(owner: bpy.types.Object | bpy.types.Material | None) -> int:
    """The class of an object or of a material itself, NONE for none."""
    return int(getattr(owner, "relievo_class", NONE)) if owner is not None else NONE


def put_on(owner: bpy.types.Object | bpy.types.Material, number: int) -> None:
    """Give an object or a material a class; NONE takes it away."""
    owner.relievo_class = number  # pyright: ignore[reportAttributeAccessIssue]  # made at run time


def of_faces(mesh: bpy.types.Mesh, attribute: str) -> bpy.types.Attribute | None:
    """The attribute that gives each face a class, None where the mesh has none of that name."""
    found = mesh.attributes.get(attribute) if attribute else None
    return found if found is not None and found.domain == "FACE" and found.data_type == "INT" else None


def carries_class(item: bpy.types.Object, attribute: str) -> bool:
    """Whether anything of a mesh object has a class. Cheap: for draw()."""
    if not isinstance(item.data, bpy.types.Mesh):
        return False
    if of(item) != NONE or of_faces(item.data, attribute) is not None:
        return True
    return any(of(slot.material) != NONE for slot in item.material_slots)


def names(scene: bpy.types.Scene) -> tuple[str, ...]:
    """The names of the classes, by the first port that has some of the engine in the sidebar; else of any engine."""
    chosen = find(algorithms(), scene.relievo.algorithm)  # pyright: ignore[reportAttributeAccessIssue]  # made at run time
    ports = [port for spec in (chosen, *algorithms()) for port in spec.inputs if port.classes]
    return tuple(name for name, _ in ports[0].classes) if ports else ()


def _enumeration(_owner: Any, context: bpy.types.Context | None) -> list[tuple[str, str, str, int]]:
    found = names((context or bpy.context).scene)
    _items[:] = [("NONE", "None", "Not part of the drawing", 0)]
    _items.extend((str(number), name, "", number + 1) for number, name in enumerate(found))
    return _items


def _get(owner: Any) -> int:
    number = int(owner.relievo_class)
    return number + 1 if number < len(names(bpy.context.scene)) else 0


def _set(owner: Any, value: int) -> None:
    owner.relievo_class = value - 1


def register() -> None:
    for kind in (bpy.types.Object, bpy.types.Material):
        owner: Any = kind
        owner.relievo_class = bpy.props.IntProperty(
            name="Class Number",
            description="Number of the class that this is in a drawing from the scene; -1 for none",
            default=NONE,
            min=NONE,
            max=255,
        )
        owner.relievo_class_name = bpy.props.EnumProperty(
            name="Class",
            description="What this is in a drawing from the scene",
            items=_enumeration,
            get=_get,
            set=_set,
        )


def unregister() -> None:
    for kind in (bpy.types.Object, bpy.types.Material):
        del kind.relievo_class  # pyright: ignore[reportAttributeAccessIssue]  # made here
        del kind.relievo_class_name  # pyright: ignore[reportAttributeAccessIssue]  # made here
