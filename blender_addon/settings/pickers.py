"""The pickers of the sidebar: for each input port a group of settings that says where the input comes from.

What there is to pick is readers/table.py's business. Numbers of enumerations are fixed, so that saved scenes keep their meaning.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..datablocks import class_tags
from ..inputs import scan_sources, sketch_sources
from ..readers import drawn_meshes, exemplars
from ..readers.table import AUTO, NONE, NOT_READ, Item, engine_items, readers_of
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.arrays import CAMERAS, CLASS_MAP, MESH

FROM_CAMERAS: Item = ("CAMERAS", "Cameras", "What belongs to the cameras", "OUTLINER_OB_CAMERA", 0)


def items(spec: AlgorithmSpec, port: Port) -> list[Item]:
    """Where an input of this port can come from: what its kind's row in readers/table.py offers."""
    if scan_sources.follows_cameras(spec, port):
        return [FROM_CAMERAS]
    if port.kind is CAMERAS:
        return list(readers_of(port)["cameras"].items)
    if port.kind is MESH and port == scan_sources.surface_port(spec):
        return list(readers_of(port)["mesh"].items)  # one mesh is textured; several, or none, may stand before it
    given: list[Item] = []
    for name, reader in readers_of(port).items():
        if name == "drawing" and not port.classes and sketch_sources.port_of(spec) is None:
            continue  # there is no sketch whose meshes these could be
        given += engine_items(spec, port) if name == "engine" else reader.items
    if not given:
        return [(*NONE[:2], NOT_READ.get(port.kind, "No engine makes this"), *NONE[3:])]
    if port.optional:
        return [*given, NONE]
    return [*given, AUTO] if not port.many and any(item[0] == "OBJECT" for item in given) else given


def default(spec: AlgorithmSpec, port: Port) -> str:
    """So that Generate does something at once: a landscape to learn from where there can be many, else what is selected, else
    another engine's new result or the first there is.
    """
    given = [item[0] for item in items(spec, port)]
    for name in ("CURVES", "NONE", "AUTO"):
        if name in given:
            return name
    if port.many and "EXEMPLAR" in given:
        return "EXEMPLAR"
    engines = [item[0] for item in engine_items(spec, port)]
    return next(iter(engines), given[0])


def group(spec: AlgorithmSpec, port: Port) -> type:
    """The PropertyGroup of a port's picker."""
    annotations = {
        "source": bpy.props.EnumProperty(
            name=port.label,
            description=port.help.rstrip("."),
            items=items(spec, port),
            default=default(spec, port),
        ),
        **_datablocks(),
        **_details(),
    }
    if port.classes:
        annotations |= _drawing(port)
    if "view" in readers_of(port) and port.kind is CLASS_MAP:
        annotations["by"] = _by()
        annotations["active_segment"] = bpy.props.IntProperty(
            name="Segment", description="The one whose settings are shown below", options={"SKIP_SAVE"}
        )
    if exemplars.names():
        annotations["exemplar"] = bpy.props.EnumProperty(
            name="Landscape",
            description="A landscape that comes with Relievo",
            items=exemplars.items(),
        )
    return type(f"RELIEVO_PG_{spec.name}_{port.name}", (bpy.types.PropertyGroup,), {"__annotations__": annotations})


def _datablocks() -> dict[str, Any]:
    return {
        "image": bpy.props.PointerProperty(type=bpy.types.Image, name="Image", description="The image to read"),
        # no poll: with one, the 4.2 wheel ends in a segmentation fault; the readers refuse what is no mesh
        "object": bpy.props.PointerProperty(type=bpy.types.Object, name="Mesh", description="The mesh to read"),
        "material": bpy.props.PointerProperty(
            type=bpy.types.Material, name="Material", description="The material whose images to read"
        ),
        "collection": bpy.props.PointerProperty(
            type=bpy.types.Collection, name="Collection", description="The objects to read"
        ),
    }


def _by() -> Any:
    """What a segment of the camera's view is."""
    return bpy.props.EnumProperty(
        name="By",
        description="What is a segment of its own",
        items=[
            ("OBJECT", "Object", "Each object; instances of one object together", 0),
            ("MATERIAL", "Material", "Each material", 1),
            ("COLLECTION", "Collection", "Each collection", 2),
        ],
    )


def _drawing(port: Port) -> dict[str, Any]:
    """How a port's classes are drawn from the scene."""
    return {
        "through": bpy.props.EnumProperty(
            name="Drawn",
            description="How the meshes are laid on the map",
            items=[
                ("ABOVE", "From Above", "All meshes that carry a class, where they are in the scene", 0),
                (drawn_meshes.UVS, "Through UVs", "One mesh, laid out by its UVs", 1),
            ],
        ),
        "selected_only": bpy.props.BoolProperty(
            name="Only Selected",
            description="Draw the selected meshes alone, instead of all of the scene or of a collection",
            default=False,
        ),
        "outside": bpy.props.EnumProperty(
            name="Elsewhere",
            description="The class of the map where nothing is drawn",
            items=[(str(number), name, "", number) for number, (name, _) in enumerate(port.classes)],
        ),
        "attribute": bpy.props.StringProperty(
            name="Face Attribute",
            description="An integer attribute of faces that gives them a class of their own, above that of material and object",
            default=class_tags.ATTRIBUTE,
        ),
    }


def _details() -> dict[str, Any]:
    length = {"unit": "LENGTH", "precision": 1}
    return {
        "resolution": bpy.props.IntProperty(
            name="Resolution",
            description="Pixels along the longer side of the mesh",
            default=512,
            min=32,
            max=8192,
            subtype="PIXEL",
        ),
        "fill_gaps": bpy.props.BoolProperty(
            name="Fill Gaps",
            description="Fill holes, and the corners outside an outline that is not rectangular, from their surroundings",
            default=True,
        ),
        "live": bpy.props.BoolProperty(
            name="Update While Painting",
            description="After each stroke, compute a draft of 256 pixels in the place of the sketch's terrain",
            default=True,
        ),
        "snap": bpy.props.BoolProperty(
            name="Snap to Nearest Class",
            description="Take a colour that is no class for the nearest one, instead of refusing it",
            default=False,
        ),
        "meaning": bpy.props.EnumProperty(
            name="Values",
            description="What the image's values mean",
            default="RANGE",
            items=[
                ("RANGE", "0 to 1", "Black is the lowest point, white the highest"),
                ("METRES", "Metres", "Every value is a height in metres"),
            ],
        ),
        "low": bpy.props.FloatProperty(name="Lowest", description="Height of black", default=0.0, **length),
        "high": bpy.props.FloatProperty(name="Highest", description="Height of white", default=1000.0, **length),
        "size": bpy.props.FloatProperty(
            name="Width", description="Width of the image on the ground", default=10000.0, min=0.01, **length
        ),
    }
