"""The pickers of the sidebar: for each input port a group of settings that says where the input comes from.

What there is to pick depends on the port's kind alone. Numbers of enumerations are fixed, so that saved scenes keep their meaning.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..inputs import exemplars, scan_sources
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.arrays import CAMERAS, CLASS_MAP, HEIGHT_MAP, MESH

Item = tuple[str, str, str, str, int]

NONE: Item = ("NONE", "None", "Leave this input out", "X", 4)
FROM_CAMERAS: Item = ("CAMERAS", "Cameras", "What belongs to the cameras", "OUTLINER_OB_CAMERA", 0)
IMAGE: Item = ("IMAGE", "Image", "An image of this file", "IMAGE_DATA", 0)
FLAT_IMAGE: Item = (
    "IMAGE",
    "Image",
    "An image of flat colours, from the darkest class to the brightest",
    "IMAGE_DATA",
    0,
)
TERRAIN: tuple[Item, ...] = (
    ("OBJECT", "Mesh", "The surface of a mesh, seen from above", "MESH_DATA", 1),
    ("NOISE", "New Noise", "A new terrain from the Noise engine with its present settings", "RNDCURVE", 2),
)
LANDSCAPE: Item = ("EXEMPLAR", "Landscape", "One of the landscapes that come with Relievo", "ASSET_MANAGER", 3)
CLASSES: tuple[Item, ...] = (
    ("MATERIALS", "Materials", "The pass indices of the materials on the mesh of the heights", "MATERIAL", 5),
    ("OBJECTS", "Objects", "The pass indices of objects that lie over the mesh of the heights", "OBJECT_DATA", 6),
)
SURFACE: Item = ("OBJECT", "Mesh", "A mesh with its modifiers, where it stands", "MESH_DATA", 1)
MESHES: Item = ("COLLECTION", "Collection", "All meshes of a collection", "OUTLINER_COLLECTION", 7)
VIEWS: tuple[Item, ...] = (
    ("SCENE", "All with Photographs", "Every camera of the scene that has a photograph behind it", "SCENE_DATA", 8),
    ("COLLECTION", "Collection", "The cameras of a collection", "OUTLINER_COLLECTION", 7),
    ("SELECTED", "Selected", "The selected cameras that have a photograph behind them", "RESTRICT_SELECT_OFF", 9),
)


def items(spec: AlgorithmSpec, port: Port) -> list[Item]:
    """Where an input of this port can come from."""
    if scan_sources.follows_cameras(spec, port):
        return [FROM_CAMERAS]
    if port.kind is CAMERAS:
        return list(VIEWS)
    if port.kind is MESH:
        return [SURFACE] if port == scan_sources.surface_port(spec) else [MESHES, SURFACE, NONE]
    if port.kind is HEIGHT_MAP:
        given = [IMAGE, *TERRAIN, *([LANDSCAPE] if exemplars.names() else [])]
    elif port.kind is CLASS_MAP:
        given = [FLAT_IMAGE, *CLASSES]
    else:
        given = [IMAGE]
    return [*given, NONE] if port.optional else given


def default(spec: AlgorithmSpec, port: Port) -> str:
    """So that Generate does something at once: a new noise to work on, a shipped landscape to learn from, what is selected and
    every photograph of the scene.
    """
    given = [item[0] for item in items(spec, port)]
    if "NONE" in given:
        return "NONE"
    if port.kind is HEIGHT_MAP:
        return "EXEMPLAR" if port.many and "EXEMPLAR" in given else "NOISE"
    return given[0]


def group(spec: AlgorithmSpec, port: Port) -> type:
    """The PropertyGroup of a port's picker."""
    annotations = {
        "source": bpy.props.EnumProperty(
            name=port.label or port.name,
            description=port.help.rstrip("."),
            items=items(spec, port),
            default=default(spec, port),
        ),
        **_datablocks(),
        **_details(),
    }
    if exemplars.names():
        annotations["exemplar"] = bpy.props.EnumProperty(
            name="Landscape",
            description="A landscape that comes with Relievo",
            items=[
                (name, name.replace("-", " ").capitalize(), exemplars.help_of(name).capitalize())
                for name in exemplars.names()
            ],
        )
    return type(f"RELIEVO_PG_{spec.name}_{port.name}", (bpy.types.PropertyGroup,), {"__annotations__": annotations})


def _datablocks() -> dict[str, Any]:
    return {
        "image": bpy.props.PointerProperty(
            type=bpy.types.Image, name="Image", description="The image whose pixels are taken"
        ),
        # no poll: with one, the 4.2 wheel ends in a segmentation fault; the readers refuse what is no mesh
        "object": bpy.props.PointerProperty(
            type=bpy.types.Object, name="Mesh", description="The mesh whose surface is taken"
        ),
        "collection": bpy.props.PointerProperty(
            type=bpy.types.Collection, name="Collection", description="The objects that are taken"
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
            description="Let the surroundings flow into holes, and into the corners of an outline that is no rectangle",
            default=True,
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
