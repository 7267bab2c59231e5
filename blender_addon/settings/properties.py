"""The settings that are saved with a scene: one group an algorithm, made from its declaration, and what is common
to all.

Scene.relievo.<algorithm> holds its parameters under their own names and, for each input port, where the input comes
from under "from_<port>" (and "more_<port>" for the second and later ones of a port of many).
"""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..shared.algorithm import AlgorithmSpec, Preset
from ..shared.arrays import TEXTURE
from ..shared.catalog import algorithms
from ..shared.params import Param
from ..writers import record
from . import pickers, property_table

OUTPUT_KINDS = (
    (
        "MESH",
        "Mesh",
        "A mesh whose vertices lie at the heights: exact, for every engine and for export",
        "MESH_GRID",
        0,
    ),
    (
        "GEOMETRY_NODES",
        "Geometry Nodes",
        "A grid that Geometry Nodes raise by a packed 32-bit height image: stays editable",
        "GEOMETRY_NODES",
        1,
    ),
    (
        "DISPLACE",
        "Displace",
        "A grid with a Displace modifier that reads a packed 32-bit height image",
        "MOD_DISPLACE",
        2,
    ),
    (
        "ADAPTIVE",
        "Adaptive",
        "A plane that Cycles subdivides while it renders: the finest detail for the least memory",
        "MOD_SUBSURF",
        3,
    ),
    ("IMAGES", "Images", "Only packed 32-bit images, one for each output, and nothing in the scene", "IMAGE_DATA", 4),
)

TEXTURE_DEPTHS = (
    ("BYTE", "8-bit", "PNG in sRGB, as photographs are"),
    ("SHORT", "16-bit", "PNG in sRGB with 65536 levels: for heavy grading and for textures that are worked on"),
    ("FLOAT", "EXR", "32-bit floating point in linear light: for compositing"),
)


def parameter_annotations(spec: AlgorithmSpec, *, scene_units: bool) -> dict[str, Any]:
    """One bpy property a parameter."""
    described = (property_table.describe(parameter, scene_units=scene_units) for parameter in spec.parameters)
    return {entry.name: getattr(bpy.props, entry.factory)(**entry.arguments) for entry in described}


def _algorithm_groups(spec: AlgorithmSpec) -> list[type]:
    """The group of an algorithm, behind the groups that it points to."""
    sources = [pickers.group(spec, port) for port in spec.inputs]
    annotations = parameter_annotations(spec, scene_units=True)
    for port, group in zip(spec.inputs, sources, strict=True):
        annotations[f"from_{port.name}"] = bpy.props.PointerProperty(type=group)
        if port.many:
            annotations[f"more_{port.name}"] = bpy.props.CollectionProperty(type=group)
    return [*sources, type(f"RELIEVO_PG_{spec.name}", (bpy.types.PropertyGroup,), {"__annotations__": annotations})]


class RELIEVO_PG_output(bpy.types.PropertyGroup):
    """What becomes of a result."""

    kind: bpy.props.EnumProperty(
        name="Result", description="What to make of the terrain", items=OUTPUT_KINDS, default="MESH"
    )  # type: ignore[valid-type]
    depth: bpy.props.EnumProperty(
        name="Depth", description="How a texture is stored", items=TEXTURE_DEPTHS, default="BYTE"
    )  # type: ignore[valid-type]
    preview: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Live Preview", description="Show the result while it is being computed", default=True
    )
    frame: bpy.props.BoolProperty(  # type: ignore[valid-type]
        name="Frame New Terrain",
        description="Bring a new terrain into view and raise the view's clip distance where it is too short",
        default=True,
    )


def _root_group() -> type:
    engines = [(spec.name, spec.label, spec.summary.rstrip("."), spec.icon, spec.number) for spec in algorithms()]
    annotations: dict[str, Any] = {
        "algorithm": bpy.props.EnumProperty(name="Engine", description="What to make", items=engines),
        "output": bpy.props.PointerProperty(type=RELIEVO_PG_output),
    }
    for spec in algorithms():
        annotations[spec.name] = bpy.props.PointerProperty(type=_groups[spec.name][-1])
    return type("RELIEVO_PG_scene", (bpy.types.PropertyGroup,), {"__annotations__": annotations})


def makes_textures(spec: AlgorithmSpec) -> bool:
    """Whether the engine's result is a texture on a mesh that is there, and no terrain."""
    return any(port.kind is TEXTURE for port in spec.outputs)


def result_items(spec: AlgorithmSpec) -> tuple[tuple, ...]:
    """What the engine's result can become, as items of an enumeration."""
    return TEXTURE_DEPTHS if makes_textures(spec) else OUTPUT_KINDS


def result_kind(scene: bpy.types.Scene, spec: AlgorithmSpec) -> str:
    """What the scene's settings say that the engine's result is to become."""
    output = typed.settings(scene).output
    return output.depth if makes_textures(spec) else output.kind


# Reading and writing ------------------------------------------------------------------------------------------


def read(scene: bpy.types.Scene, spec: AlgorithmSpec) -> dict[str, Any]:
    """The scene's settings of an algorithm as JSON parameters."""
    group, scale = getattr(typed.settings(scene), spec.name), record.metres_per_unit(scene)
    return {
        parameter.name: property_table.to_json(
            parameter, getattr(group, property_table.property_name(parameter)), metres_per_unit=scale
        )
        for parameter in spec.parameters
    }


def write(scene: bpy.types.Scene, spec: AlgorithmSpec, values: dict[str, Any]) -> None:
    """Put JSON parameters into the scene's settings; those that are not named keep their value."""
    group, scale = getattr(typed.settings(scene), spec.name), record.metres_per_unit(scene)
    for parameter in spec.parameters:
        if parameter.name in values:
            setattr(
                group,
                property_table.property_name(parameter),
                property_table.from_json(parameter, values[parameter.name], metres_per_unit=scale),
            )


def apply_preset(scene: bpy.types.Scene, spec: AlgorithmSpec, preset: Preset) -> None:
    """A preset sets what it names and resets the rest, except for the seed and the map's size, which are the user's
    own.
    """
    kept = {parameter.name for parameter in spec.parameters if is_users_own(parameter)} - set(preset.values)
    defaults = {parameter.name: parameter.default for parameter in spec.parameters if parameter.name not in kept}
    write(scene, spec, {**defaults, **preset.values})


def is_users_own(parameter: Param) -> bool:
    """Whether a preset leaves it alone: where and how large a terrain is, and its seed, are no matter of style."""
    return parameter.role in ("size", "pixel_size", "seed")


_groups: dict[str, list[type]] = {}
_registered: list[type] = []


def register() -> None:
    _groups.update({spec.name: _algorithm_groups(spec) for spec in algorithms()})
    _registered[:] = [RELIEVO_PG_output, *(group for groups in _groups.values() for group in groups), _root_group()]
    for group in _registered:
        bpy.utils.register_class(group)
    bpy.types.Scene.relievo = bpy.props.PointerProperty(type=_registered[-1])  # pyright: ignore[reportAttributeAccessIssue]  # made here


def unregister() -> None:
    del bpy.types.Scene.relievo  # pyright: ignore[reportAttributeAccessIssue]  # made here
    for group in reversed(_registered):
        bpy.utils.unregister_class(group)
    _registered.clear()
    _groups.clear()
