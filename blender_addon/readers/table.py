"""What each kind of array can be read from: one row a kind, one reader for each of its sources.

Pickers, panel, operators and recipes go by this table; Port.reads narrows it. A new source or kind is a line here. The arrays of
a scan are read together, by inputs/scan_reading.py: their rows only say what there is to pick.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import bpy

from .. import typed
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.arrays import (
    AREA_MAP,
    CAMERAS,
    CLASS_MAP,
    COLOR_IMAGE,
    COUNT_MAP,
    CURVES,
    DEPTH_MAP,
    HEIGHT_MAP,
    MASK,
    MESH,
    NORMAL_MAP,
    PALETTE,
    PHOTOGRAPH,
    REPORT,
    STROKES,
    TEXTURE,
    TEXTURE_SET,
    THICKNESS_MAP,
    UV_MAP,
    Array,
    ArrayKind,
)
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from . import (
    camera_view,
    classes,
    curves,
    drawing,
    drawn_meshes,
    exemplars,
    images,
    meshes,
    renders,
    sketches,
    strokes,
    surface_colors,
    texture_sets,
)
from .source import Source

Item = tuple[
    str, str, str, str, int
]  # of a picker: identifier, label, help, icon, and the number that .blend files hold
Read = Callable[[Source, Port, bpy.types.Context], Array]

NONE: Item = ("NONE", "None", "Leave this input out", "X", 4)
AUTO: Item = (
    "AUTO",
    "Automatic",
    "The selected mesh, seen from above; where none is selected, a new result of another engine, or an image",
    "RESTRICT_SELECT_OFF",
    10,
)
IMAGE: Item = ("IMAGE", "Image", "An image of this file", "IMAGE_DATA", 0)


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One way to an array of a kind. items: how a picker offers it. read: None for what is read with the rest of a scan.

    has_size, has_range: whether the picker asks for the ground that an image covers, and for the heights of black and white.
    has_region: whether it can be a rectangle of an image.
    of_named_classes: only for a port that names its classes. is_asked_for: only for a port whose reads name it.
    """

    items: tuple[Item, ...]
    read: Read | None = None
    has_size: bool = False
    has_range: bool = False
    has_region: bool = False
    of_named_classes: bool = False
    is_asked_for: bool = False


# Images --------------------------------------------------------------------------------------------------------------


def named(datablocks: Any, what: str, name: str, port: Port) -> Any:
    """The datablock of that name; InvalidInput where it is gone."""
    found = datablocks.get(name)
    if found is None:
        raise InvalidInput(
            f"The {what} {name!r} is gone or was renamed.", hint="Pick another under From.", field=port.name
        )
    return found


def _image(source: Source, port: Port) -> bpy.types.Image:
    return named(bpy.data.images, "image", source.name, port)


def _of_image(read: Callable[[bpy.types.Image], Array]) -> Read:
    def of_source(source: Source, port: Port, context: bpy.types.Context) -> Array:
        with renders.readable(_image(source, port), typed.present(context.scene)) as image:
            return read(image)

    return of_source


def _photograph(source: Source, port: Port, context: bpy.types.Context) -> Array:
    """All of an image, or the rectangle of it that the source names."""
    found = _of_image(texture_sets.of_image)(source, port, context)
    region = source.options.get("region_px")
    return texture_sets.cropped(found, region, source.name, port) if region else found


def _pixel_size(image: bpy.types.Image, source: Source, port: Port) -> float:
    columns, _ = typed.size(image)
    if not columns:
        raise InvalidInput(
            f"The image {image.name!r} has no pixels.", hint="Check that its file is still there.", field=port.name
        )
    return float(source.options.get("width_m", 10000.0)) / columns


def _heights(source: Source, port: Port, _context: bpy.types.Context) -> Array:
    image = _image(source, port)
    pixel_size_m = _pixel_size(image, source, port)
    options = {"meaning": "METRES" if image.is_float else "RANGE", "low_m": 0.0, "high_m": 1000.0, **source.options}
    if options["meaning"] == "METRES":
        return images.height_map(image, pixel_size_m=pixel_size_m)
    low, high = float(options["low_m"]), float(options["high_m"])
    return images.height_map(image, pixel_size_m=pixel_size_m, scale=high - low, offset_m=low)


def _measured(source: Source, port: Port, _context: bpy.types.Context) -> Array:
    image = _image(source, port)
    return images.measured_map(image, port.kind, pixel_size_m=_pixel_size(image, source, port))


def _painted_classes(source: Source, port: Port, _context: bpy.types.Context) -> Array:
    return images.class_map(_image(source, port), port.classes, snap=bool(source.options.get("snap", False)))


def _sketch(source: Source, port: Port, context: bpy.types.Context) -> Array:
    return sketches.class_map(
        named(bpy.data.objects, "sketch", source.name, port),
        port.classes,
        snap=bool(source.options.get("snap", False)),
        longest_px=int(source.options.get("longest_px", 0)),
        scene=typed.present(context.scene),
    )


def _drawing(source: Source, port: Port, context: bpy.types.Context) -> Array:
    found = drawn_meshes.class_map(source, context)
    highest = int(found.values.max())
    if port.classes and highest >= len(port.classes):
        raise InvalidInput(
            f"{port.label}: a mesh carries the class {highest}; the last one is {len(port.classes) - 1}, {port.classes[-1][0]}.",
            hint="Set another under Class.",
            field=port.name,
        )
    return found


def _drawn_heights(source: Source, _port: Port, context: bpy.types.Context) -> Array:
    return drawing.heights(drawn_meshes.collect(source, context))


# The scene -----------------------------------------------------------------------------------------------------------


def _surface(source: Source, port: Port, context: bpy.types.Context) -> Array:
    mesh = named(bpy.data.objects, "mesh", source.name, port)
    options = {"resolution_px": 512, "fill_gaps": True, **source.options}
    return meshes.height_map(
        mesh,
        context.evaluated_depsgraph_get(),
        longest_side_px=int(options["resolution_px"]),
        fill_gaps=bool(options["fill_gaps"]),
    )


def _material_classes(source: Source, port: Port, context: bpy.types.Context) -> Array:
    """Pass indices of the mesh's own materials."""
    ground = named(bpy.data.objects, "mesh", source.name, port)
    side = int(source.options.get("resolution_px", 512))
    found = classes.class_map([ground], context.evaluated_depsgraph_get(), by="MATERIAL", longest_side_px=side)
    return _within_palette(found, port)


def _object_classes(source: Source, port: Port, context: bpy.types.Context) -> Array:
    """Pass indices of a collection's objects within the mesh's extent."""
    ground = named(bpy.data.objects, "mesh", source.name, port)
    depsgraph = context.evaluated_depsgraph_get()
    collection = named(bpy.data.collections, "collection", str(source.options.get("collection", "")), port)
    items = [item for item in collection.all_objects if item.type == "MESH" and item != ground]
    if not items:
        raise InvalidInput(
            f"There is no mesh in the collection {collection.name!r}.",
            hint="Lay meshes with a pass index over the ground.",
            field=port.name,
        )
    side = int(source.options.get("resolution_px", 512))
    where = meshes.footprint(meshes.triangles(ground, depsgraph), longest_side_px=side)
    return _within_palette(classes.class_map(items, depsgraph, by="OBJECT", where=where), port)


def _within_palette(found: Array, port: Port) -> Array:
    highest = int(found.values.max())
    if port.classes and highest >= len(port.classes):
        numbered = ", ".join(f"{number} {name}" for number, (name, _) in enumerate(port.classes))
        raise InvalidInput(
            f"The pass index {highest} is none of the classes of {port.label}.",
            hint=f"They are: {numbered}.",
            field=port.name,
        )
    return found


def _view(_source: Source, port: Port, context: bpy.types.Context) -> Array:
    """The scene's last render."""
    found = next((image for image in bpy.data.images if image.type == "RENDER_RESULT"), None)
    if found is None:
        raise InvalidInput(
            "Nothing has been rendered yet.", hint="Render the scene first (F12), or pick an image.", field=port.name
        )
    with renders.readable(found, typed.present(context.scene)) as image:
        return images.color_image(image)


def _view_segments(source: Source, port: Port, context: bpy.types.Context) -> Array:
    by = str(source.options.get("by", "OBJECT"))
    if by not in ("OBJECT", "MATERIAL", "COLLECTION"):
        raise InvalidInput(f"There are no segments by {by!r}.", hint="Take OBJECT, MATERIAL or COLLECTION.")
    return camera_view.segments(context, named(bpy.data.objects, "camera", source.name, port), by)


def _worn(source: Source, port: Port) -> surface_colors.Worn:
    """What a mesh wore when the source was made: the mesh may wear the result by now."""
    given = source.options
    return surface_colors.Worn(
        named(bpy.data.images, "image", str(given.get("image", "")), port),
        named(bpy.data.materials, "material", str(given.get("material", "")), port),
        int(given.get("slot", 0)),
        str(given.get("uv_layer", "")),
    )


def _surface_colors(source: Source, port: Port, _context: bpy.types.Context) -> Array:
    return images.color_image(_worn(source, port).image)


def _surface_segments(source: Source, port: Port, context: bpy.types.Context) -> Array:
    item, worn = named(bpy.data.objects, "mesh", source.name, port), _worn(source, port)
    return surface_colors.segments(item, worn, context.evaluated_depsgraph_get())


def _curves(source: Source, _port: Port, context: bpy.types.Context) -> Array:
    return curves.read(source, context)


def _painted(source: Source, port: Port, _context: bpy.types.Context) -> Array:
    return strokes.read(named(bpy.data.objects, "painting", source.name, port))


def _material(source: Source, port: Port, _context: bpy.types.Context) -> Array:
    return texture_sets.of_material(named(bpy.data.materials, "material", source.name, port), port.name)


def _landscape(source: Source, _port: Port, _context: bpy.types.Context) -> Array:
    return exemplars.read(source.name, str(source.options.get("edition", "")))


# The rows ------------------------------------------------------------------------------------------------------------

_FROM_ABOVE: Item = ("OBJECT", "Mesh", "The surface of a mesh, seen from above", "MESH_DATA", 1)
_FLAT_IMAGE: Item = ("IMAGE", "Image", "An image of flat colours, one for each class", "IMAGE_DATA", 0)
_SKETCH: Item = ("SKETCH", "Sketch", "A plane in the scene that classes are painted on", "BRUSH_DATA", 11)
_DRAWING: Item = ("DRAWING", "Scene", "Meshes that carry a class, seen from above or by their UVs", "SCENE_DATA", 12)
_DRAWN: Item = ("DRAWING", "Drawn Meshes", "The heights of the meshes that the sketch is drawn from", "SCENE_DATA", 12)
_CURVES: Item = ("CURVES", "Curves", "Curves over the map that carry a type", "CURVE_PATH", 13)
_LANDSCAPE: Item = ("EXEMPLAR", "Landscape", "One of the landscapes that come with Relievo", "ASSET_MANAGER", 3)
_IMAGE_OF_A_SURFACE: Item = ("IMAGE", "Image", "An image of this file, as the colour of a material", "IMAGE_DATA", 0)
_MATERIAL: Item = (
    "MATERIAL",
    "Material",
    "The images of a material: colour, roughness, normal, height",
    "MATERIAL",
    14,
)
_RENDER: Item = ("VIEW", "Render", "The last render of the scene, as it is seen", "RENDER_RESULT", 15)
_VIEW: Item = (
    "VIEW",
    "Camera View",
    "What the scene's camera sees at each pixel of the render: objects, materials or collections",
    "OUTLINER_OB_CAMERA",
    15,
)
_WORN: Item = ("SURFACE", "Mesh Texture", "The base colour image of a mesh; the result goes back onto it", "UV", 16)
_CHARTS: Item = ("SURFACE", "UV Charts", "The UV charts of a mesh, or the classes of a terrain", "UV_ISLANDSEL", 16)
_PAINTED: Item = (
    "STROKES",
    "Painting",
    "The strokes of a painting in the scene, as they are now",
    "OUTLINER_OB_CURVES",
    17,
)
_MATERIALS: Item = ("MATERIALS", "Materials", "The pass indices of the materials of a mesh", "MATERIAL", 5)
_OBJECTS: Item = ("OBJECTS", "Objects", "The pass indices of objects above a mesh", "OBJECT_DATA", 6)
_SURFACE: Item = ("OBJECT", "Mesh", "A mesh with its modifiers, where it is in the scene", "MESH_DATA", 1)
_MESHES: Item = ("COLLECTION", "Collection", "All meshes of a collection", "OUTLINER_COLLECTION", 7)
_VIEWS: tuple[Item, ...] = (
    (
        "SCENE",
        "All with Photographs",
        "Every camera of the scene that has a photograph as background image",
        "SCENE_DATA",
        8,
    ),
    ("COLLECTION", "Collection", "The cameras of a collection", "OUTLINER_COLLECTION", 7),
    (
        "SELECTED",
        "Selected",
        "The selected cameras that have a photograph as background image",
        "RESTRICT_SELECT_OFF",
        9,
    ),
)
_WITH_CAMERAS = Reader(items=(("CAMERAS", "Cameras", "What belongs to the cameras", "OUTLINER_OB_CAMERA", 0),))
_ENGINE = Reader(items=())  # what there is depends on the engines: engine_items()

READERS: Mapping[ArrayKind, Mapping[str, Reader]] = {
    HEIGHT_MAP: {
        "image": Reader(items=(IMAGE,), read=_heights, has_size=True, has_range=True),
        "mesh": Reader(items=(_FROM_ABOVE,), read=_surface),
        "drawing": Reader(items=(_DRAWN,), read=_drawn_heights),
        "engine": _ENGINE,
        "exemplar": Reader(items=(_LANDSCAPE,) if exemplars.names() else (), read=_landscape),
    },
    AREA_MAP: {"image": Reader(items=(IMAGE,), read=_measured, has_size=True), "engine": _ENGINE},
    THICKNESS_MAP: {"image": Reader(items=(IMAGE,), read=_measured, has_size=True), "engine": _ENGINE},
    MASK: {"image": Reader(items=(IMAGE,), read=_of_image(images.mask)), "engine": _ENGINE},
    COUNT_MAP: {"image": Reader(items=(IMAGE,), read=_of_image(images.count_map)), "engine": _ENGINE},
    CLASS_MAP: {
        "sketch": Reader(items=(_SKETCH,), read=_sketch, of_named_classes=True),
        "drawing": Reader(items=(_DRAWING,), read=_drawing, of_named_classes=True),
        "image": Reader(items=(_FLAT_IMAGE,), read=_painted_classes),
        "engine": _ENGINE,
        "materials": Reader(items=(_MATERIALS,), read=_material_classes),
        "objects": Reader(items=(_OBJECTS,), read=_object_classes),
        "view": Reader(items=(_VIEW,), read=_view_segments, is_asked_for=True),
        "surface": Reader(items=(_CHARTS,), read=_surface_segments, is_asked_for=True),
    },
    COLOR_IMAGE: {
        "image": Reader(items=(IMAGE,), read=_of_image(images.color_image)),
        "view": Reader(items=(_RENDER,), read=_view),
        "surface": Reader(items=(_WORN,), read=_surface_colors),
        "engine": _ENGINE,
    },
    TEXTURE: {"image": Reader(items=(IMAGE,), read=_of_image(images.texture)), "engine": _ENGINE},
    NORMAL_MAP: {"image": Reader(items=(IMAGE,), read=_of_image(images.normal_map)), "engine": _ENGINE},
    TEXTURE_SET: {
        "image": Reader(items=(_IMAGE_OF_A_SURFACE,), read=_photograph, has_region=True),
        "material": Reader(items=(_MATERIAL,), read=_material),
        "engine": _ENGINE,
    },
    STROKES: {"strokes": Reader(items=(_PAINTED,), read=_painted), "engine": _ENGINE},
    CURVES: {"curves": Reader(items=(_CURVES,), read=_curves), "engine": _ENGINE},
    MESH: {"collection": Reader(items=(_MESHES,)), "mesh": Reader(items=(_SURFACE,))},
    CAMERAS: {"cameras": Reader(items=_VIEWS)},
    PHOTOGRAPH: {"photographs": _WITH_CAMERAS},
    UV_MAP: {"cameras": _WITH_CAMERAS},
    DEPTH_MAP: {"cameras": _WITH_CAMERAS},
}

NOT_READ: Mapping[ArrayKind, str] = {
    PALETTE: "Blender's palettes have no order that a person sees, and no names: colours go in as an image",
    REPORT: "an engine writes a report; none reads one",
}
"""Kinds that nothing in Blender stands for, with the reason."""

_SOURCE_NAMES = {"object": "mesh"}  # a Source's kind -> what Port.reads calls it, where the two differ
_PICKED_NAMES = {"IMAGE": "image", "OBJECT": "mesh", "EXEMPLAR": "exemplar", "MATERIALS": "materials"}
_PICKED_NAMES |= {"OBJECTS": "objects", "COLLECTION": "collection", "SKETCH": "sketch", "DRAWING": "drawing"}
_PICKED_NAMES |= {"CURVES": "curves", "MATERIAL": "material", "VIEW": "view", "SURFACE": "surface"}
_PICKED_NAMES |= {"STROKES": "strokes"}


def readers_of(port: Port) -> dict[str, Reader]:
    """What a port can be read from, by the names that Port.reads has for them."""
    row = READERS.get(port.kind, {})
    return {
        name: reader
        for name, reader in row.items()
        if (name in port.reads if port.reads else not reader.is_asked_for)
        and (port.classes or not reader.of_named_classes)
    }


def reader_of(port: Port, picked: str) -> Reader | None:
    """The reader behind a picker's identifier, None for an engine and for nothing."""
    return readers_of(port).get(_PICKED_NAMES.get(picked, ""))


def region_port(spec: AlgorithmSpec) -> Port | None:
    """The input of an engine that can be a rectangle of an image, None where it has none."""
    found = ((port, reader_of(port, "IMAGE")) for port in spec.inputs)
    return next((port for port, reader in found if reader is not None and reader.has_region), None)


def sample_port(spec: AlgorithmSpec) -> Port | None:
    """The input that an Image Editor's image can be: region_port()'s, or a painting's picture; None for an engine without."""
    found = region_port(spec)
    if found is None and spec.makes == "painting":
        pictures = (port for port in spec.inputs if port.kind is COLOR_IMAGE and not port.optional)
        return next((port for port in pictures if reader_of(port, "IMAGE") is not None), None)
    return found


def read(source: Source, port: Port, context: bpy.types.Context) -> Array:
    """The array that a source stands for now. Raises InvalidInput when it is gone, cannot be read, or is none for this port."""
    reader = READERS.get(port.kind, {}).get(_SOURCE_NAMES.get(source.kind, source.kind))
    if reader is None or reader.read is None:
        raise InvalidInput(f"{port.label} cannot be read from {source.kind}.", field=port.name)
    return reader.read(source, port, context)


# Other engines -------------------------------------------------------------------------------------------------------


def feeding(spec: AlgorithmSpec, port: Port) -> tuple[AlgorithmSpec, ...]:
    """The engines whose result can be this port's input: those that need no input themselves and make its kind."""
    if "engine" not in readers_of(port):
        return ()
    return tuple(other for other in algorithms() if other.name != spec.name and output_for(other, port.kind))


def output_for(spec: AlgorithmSpec, kind: ArrayKind) -> str:
    """The output port of an engine that can feed others with this kind, "" where it cannot."""
    if any(not port.optional for port in spec.inputs):
        return ""
    return next((port.name for port in spec.outputs if port.kind is kind and not port.optional), "")


def engine_items(spec: AlgorithmSpec, port: Port) -> tuple[Item, ...]:
    """The engines that can feed a port, as a picker offers them."""
    return tuple(
        (
            other.name.upper(),
            f"New {other.label}",
            f"A new result of the {other.label} engine with its present settings",
            other.icon,
            _saved_number(other),
        )
        for other in feeding(spec, port)
    )


def _saved_number(spec: AlgorithmSpec) -> int:
    """Version 0.1 had 2 for the one engine that fed others; from 100 on there is room for all."""
    return 2 if spec.number == 0 else 100 + spec.number


def picked_engine(spec: AlgorithmSpec, port: Port, picked: str) -> AlgorithmSpec | None:
    """The engine behind a picker's identifier."""
    return next((other for other in feeding(spec, port) if other.name.upper() == picked), None)
