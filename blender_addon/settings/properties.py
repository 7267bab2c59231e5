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
from ..shared.catalog import algorithms
from ..shared.params import Param, with_role
from ..units import metres_per_unit
from ..writers import rivers, table
from . import older_files, pickers, property_table, uv_fill


def parameter_annotations(spec: AlgorithmSpec, *, scene_units: bool) -> dict[str, Any]:
    """One bpy property a parameter."""
    described = (property_table.describe(parameter, scene_units=scene_units) for parameter in spec.parameters)
    return {
        entry.name: getattr(bpy.props, entry.factory)(**entry.arguments, **_path_options(entry)) for entry in described
    }


def _path_options(entry: property_table.Property) -> dict[str, Any]:
    """From 4.5 on a path says that it may be relative to the .blend file, which older versions allow of all."""
    if entry.arguments.get("subtype") != "FILE_PATH" or bpy.app.version < (4, 5, 0):
        return {}
    return {"options": {"ANIMATABLE", "PATH_SUPPORTS_BLEND_RELATIVE"}}


def _algorithm_groups(spec: AlgorithmSpec) -> list[type]:
    """The group of an algorithm, behind the groups that it points to."""
    sources = [pickers.group(spec, port) for port in spec.inputs]
    annotations = parameter_annotations(spec, scene_units=True)
    for port, group in zip(spec.inputs, sources, strict=True):
        annotations[f"from_{port.name}"] = bpy.props.PointerProperty(type=group)
        if port.many:
            annotations[f"more_{port.name}"] = bpy.props.CollectionProperty(type=group)
    annotations[older_files.VERSION] = older_files.annotation()
    return [*sources, type(f"RELIEVO_PG_{spec.name}", (bpy.types.PropertyGroup,), {"__annotations__": annotations})]


def uv_annotations() -> dict[str, Any]:
    """Whether a texture fills the UVs of its mesh, and how densely: of the settings, and of the operators of engines that can."""
    return {
        "fill_uvs": bpy.props.BoolProperty(
            name="Fill UVs",
            description="Cover the UV square of the selected mesh once; the texture tiles only where UVs leave the square",
            default=False,
        ),
        "texel_density": bpy.props.FloatProperty(
            name="Texel Density",
            description="Pixels per metre of the mesh's surface",
            default=uv_fill.USUAL_DENSITY,
            min=0.1,
            soft_min=16.0,
            soft_max=4096.0,
            precision=0,
        ),
    }


def rivers_annotation() -> Any:
    """What becomes of a terrain's rivers: of the settings, and of the operators of engines that make some."""
    return bpy.props.EnumProperty(
        name="Rivers",
        description="What to make of the rivers that come with a terrain",
        items=rivers.ITEMS,
        default=rivers.RIBBON,
    )


def _output_group() -> type:
    """What becomes of a result: a choice for each form, and what is common to all."""
    annotations: dict[str, Any] = {
        writer.setting: bpy.props.EnumProperty(
            name=writer.label, description=writer.help, items=writer.items, default=writer.items[0][0]
        )
        for writer in table.WRITERS.values()
    }
    annotations["preview"] = bpy.props.BoolProperty(
        name="Live Preview", description="Show the result while it is being computed", default=True
    )
    annotations |= uv_annotations()
    annotations["rivers"] = rivers_annotation()
    annotations["tiled_preview"] = bpy.props.BoolProperty(
        name="Preview Repeats",
        description="While a texture that tiles is being made, show it at least three times in each direction",
        default=True,
    )
    annotations["wear"] = bpy.props.BoolProperty(
        name="Put on Selected Mesh",
        description="Have the selected mesh wear a texture that is made in the Image Editor; else it is a material by itself",
        default=False,
    )
    annotations["frame"] = bpy.props.BoolProperty(
        name="Frame New Result",
        description="Bring a new result into view and raise the view's clip distance where it is too short",
        default=True,
    )
    return type("RELIEVO_PG_output", (bpy.types.PropertyGroup,), {"__annotations__": annotations})


def _root_group(output: type) -> type:
    engines = [(spec.name, spec.label, spec.summary.rstrip("."), spec.icon, spec.number) for spec in algorithms()]
    annotations: dict[str, Any] = {
        "algorithm": bpy.props.EnumProperty(name="Engine", description="What to make", items=engines),
        "output": bpy.props.PointerProperty(type=output),
    }
    for spec in algorithms():
        annotations[spec.name] = bpy.props.PointerProperty(type=_groups[spec.name][-1])
    return type("RELIEVO_PG_scene", (bpy.types.PropertyGroup,), {"__annotations__": annotations})


def result_choice(scene: bpy.types.Scene, spec: AlgorithmSpec) -> str:
    """What the scene's settings say that the engine's result is to become."""
    return str(getattr(typed.settings(scene).output, table.of(spec).setting))


# Reading and writing ------------------------------------------------------------------------------------------


def read(scene: bpy.types.Scene, spec: AlgorithmSpec) -> dict[str, Any]:
    """The scene's settings of an algorithm as JSON parameters."""
    group, scale = getattr(typed.settings(scene), spec.name), metres_per_unit(scene)
    return {
        parameter.name: to_json(parameter, getattr(group, property_table.property_name(parameter)), scale)
        for parameter in spec.parameters
    }


def to_json(parameter: Param, value: Any, scale: float = 1.0) -> Any:
    """What a property holds as a JSON value; a file relative to the .blend file with its whole path. scale: metres per unit."""
    made = property_table.to_json(parameter, value, metres_per_unit=scale)
    return bpy.path.abspath(made) if parameter.role == "file" and made else made


def write(scene: bpy.types.Scene, spec: AlgorithmSpec, values: dict[str, Any]) -> None:
    """Put JSON parameters into the scene's settings; those that are not named keep their value."""
    group, scale = getattr(typed.settings(scene), spec.name), metres_per_unit(scene)
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


def seeds_of(spec: AlgorithmSpec) -> tuple[Param, ...]:
    """The seeds that make another result of the same kind: those beside Generate, and not one detail among others."""
    return tuple(parameter for parameter in with_role(spec.parameters, "seed") if not parameter.group)


def is_users_own(parameter: Param) -> bool:
    """Whether a preset leaves it alone: where and how large a terrain is, and its seed, are no matter of style."""
    return parameter.role in ("size", "pixel_size", "map_size", "seed")


_groups: dict[str, list[type]] = {}
_registered: list[type] = []


def register() -> None:
    _groups.update({spec.name: _algorithm_groups(spec) for spec in algorithms()})
    output = _output_group()
    _registered[:] = [output, *(group for groups in _groups.values() for group in groups), _root_group(output)]
    for group in _registered:
        bpy.utils.register_class(group)
    bpy.types.Scene.relievo = bpy.props.PointerProperty(type=_registered[-1])  # pyright: ignore[reportAttributeAccessIssue]  # made here
    older_files.register()


def unregister() -> None:
    older_files.unregister()
    del bpy.types.Scene.relievo  # pyright: ignore[reportAttributeAccessIssue]  # made here
    for group in reversed(_registered):
        bpy.utils.unregister_class(group)
    _registered.clear()
    _groups.clear()
