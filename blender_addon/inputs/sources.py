"""Where an input comes from: an image, a mesh, a shipped landscape, a new noise. From settings or a recipe to an
array.

Datablocks are looked up by name at the moment they are read and never kept. What belongs to cameras is chosen in
scan_sources.py and read in scan_reading.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy

from .. import typed
from ..readers import classes, images, meshes
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.arrays import CAMERAS, CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, MASK, MESH, Array
from ..shared.errors import InvalidInput
from ..writers import record
from . import exemplars, scan_reading, scan_sources
from .scan_sources import follows_cameras
from .source import Source, from_json

__all__ = [
    "Source",
    "chosen",
    "collect",
    "follows_cameras",
    "from_json",
    "from_text",
    "read",
    "read_all",
    "summary",
    "surface_of",
    "what_is_missing",
]


def from_text(text: str) -> Source:
    """ "image:NAME", "object:NAME", "exemplar:NAME", "materials:NAME", "noise", or a bare name: of a mesh object,
    else an image, else a landscape.

    Raises InvalidInput when there is nothing of that name.
    """
    kind, _, name = text.strip().partition(":")
    if kind in ("image", "object", "exemplar", "materials") and name:
        return Source(kind, name)
    name = text.strip()
    if name == "noise":
        return Source("noise")
    if name in bpy.data.objects and bpy.data.objects[name].type == "MESH":
        return Source("object", name)
    if name in bpy.data.images:
        return Source("image", name)
    if name in exemplars.names():
        return Source("exemplar", name)
    raise InvalidInput(
        f"There is no mesh, image or landscape {name!r}.", hint="Name one of this file, or noise.", field=name
    )


# Settings -> sources ------------------------------------------------------------------------------------------


def collect(
    scene: bpy.types.Scene,
    spec: AlgorithmSpec,
    active: bpy.types.Object | None,
    texts: Mapping[str, str] | None = None,
) -> dict[str, tuple[Source, ...]]:
    """Where each input of an engine comes from: what an operator was told, by port, and what the pickers say for the rest.

    Raises InvalidInput, saying what to do, where something is missing.
    """
    texts = {name: text for name, text in (texts or {}).items() if text}
    given: dict[str, tuple[Source, ...]] = {}
    for port in spec.inputs:
        text = texts.get(port.name, "")
        if scan_sources.follows_cameras(spec, port):
            if text:
                raise InvalidInput(
                    f"{port.label or port.name} come with the cameras.", hint="Name the cameras.", field=port.name
                )
        elif not text:
            given[port.name] = chosen(scene, spec, port, active)
        elif port.kind in (MESH, CAMERAS):
            given |= scan_sources.from_text(text, spec, port)
        else:
            given[port.name] = tuple(from_text(part) for part in (text.split(";") if port.many else [text]))
    return scan_sources.completed(spec, given) if scan_sources.has_cameras(spec) else given


def chosen(
    scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None
) -> tuple[Source, ...]:
    """What the sidebar's picker of a port says, and for ports of many its pickers.

    Raises InvalidInput, saying what to do, where something is missing.
    """
    if port.kind in (MESH, CAMERAS):
        return scan_sources.chosen(scene, spec, port, active)[port.name]
    group = getattr(typed.settings(scene), spec.name)
    settings = [getattr(group, f"from_{port.name}"), *(getattr(group, f"more_{port.name}") if port.many else ())]
    scale = record.metres_per_unit(scene)
    if port.kind is CLASS_MAP and settings[0].source in ("MATERIALS", "OBJECTS"):
        return (_classes_from_settings(settings[0], group, spec, port, active),)
    return tuple(_from_settings(entry, port, active, scale) for entry in settings if entry.source != "NONE")


def _classes_from_settings(
    settings: Any, group: Any, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None
) -> Source:
    """Classes drawn from the scene cover the map of the heights, so these have to come from a mesh."""
    label = port.label or port.name
    heights = next(other for other in spec.inputs if other.kind is HEIGHT_MAP and not other.many)
    ground = getattr(group, f"from_{heights.name}")
    if ground.source != "OBJECT":
        raise InvalidInput(
            f"{label} from the scene need a mesh to lie on.",
            hint=f"Set {heights.label or heights.name} to Mesh.",
            field=port.name,
        )
    options: dict[str, Any] = {"resolution_px": ground.resolution}
    if settings.source == "OBJECTS":
        if settings.collection is None:
            raise InvalidInput(f"{label}: no collection is picked.", hint="Pick one under From.", field=port.name)
        options["collection"] = settings.collection.name
    mesh = _picked_mesh(ground, heights, active)
    return Source(settings.source.lower(), mesh.name, options)


def _from_settings(settings: Any, port: Port, active: bpy.types.Object | None, scale: float) -> Source:
    label = port.label or port.name
    if settings.source == "IMAGE":
        if settings.image is None:
            raise InvalidInput(f"{label}: no image is picked.", hint="Pick or open one under From.", field=port.name)
        options = {
            "meaning": settings.meaning,
            "low_m": settings.low * scale,
            "high_m": settings.high * scale,
            "width_m": settings.size * scale,
        }
        return Source("image", settings.image.name, options if port.kind is HEIGHT_MAP else {})
    if settings.source == "OBJECT":
        mesh = _picked_mesh(settings, port, active)
        return Source("object", mesh.name, {"resolution_px": settings.resolution, "fill_gaps": settings.fill_gaps})
    if settings.source == "EXEMPLAR":
        return Source("exemplar", settings.exemplar)
    return Source("noise")


def _picked_mesh(settings: Any, port: Port, active: bpy.types.Object | None) -> bpy.types.Object:
    mesh = settings.object or (active if active is not None and active.type == "MESH" else None)
    if mesh is None:
        raise InvalidInput(
            f"{port.label or port.name}: no mesh is picked or selected.",
            hint="Select a mesh or pick one under From.",
            field=port.name,
        )
    return mesh


def what_is_missing(scene: bpy.types.Scene, spec: AlgorithmSpec, active: bpy.types.Object | None) -> str:
    """Why Generate cannot run, as far as inputs go; "" when it can. Cheap: for draw() and poll()."""
    try:
        collect(scene, spec, active)
    except InvalidInput as error:
        return str(error)
    return ""


def summary(scene: bpy.types.Scene, spec: AlgorithmSpec, active: bpy.types.Object | None) -> list[str]:
    """What of the scene is going to be used, in short lines, for an engine that works from cameras; nothing where something is
    missing. Cheap: for draw().
    """
    if not scan_sources.has_cameras(spec):
        return []
    try:
        return scan_sources.summary(spec, collect(scene, spec, active))
    except InvalidInput:
        return []


def surface_of(spec: AlgorithmSpec, given: Mapping[str, tuple[Source, ...]]) -> bpy.types.Object | None:
    """The mesh that an engine's cameras look at, None for an engine without or where it is gone."""
    port = scan_sources.surface_port(spec)
    found = given.get(port.name, ()) if port is not None else ()
    return bpy.data.objects.get(found[0].name) if found else None


# Sources -> arrays --------------------------------------------------------------------------------------------


def read_all(
    given: Mapping[str, tuple[Source, ...]],
    spec: AlgorithmSpec,
    context: bpy.types.Context,
    params: Mapping[str, Any] | None = None,
) -> dict[str, tuple[Array, ...]]:
    """The arrays that all of a job's sources stand for now, by port; new noises are left out.

    Raises InvalidInput when something is gone, cannot be read, or cannot take what the job's params make of it.
    """
    ports = {port.name: port for port in spec.inputs}
    scan = scan_reading.Reading(context, given, params or {})
    made = {}
    for name, entries in given.items():
        port = ports[name]
        made[name] = tuple(
            scan.read(source, port) if scan_reading.is_read_here(source, port) else read(source, port, context)
            for source in entries
            if source.kind != "noise"
        )
    return made


def read(source: Source, port: Port, context: bpy.types.Context) -> Array:
    """The array that a source stands for now. Raises InvalidInput when it is gone or cannot be read.

    Not for "noise", nor for what belongs to a scan.
    """
    if source.kind == "exemplar":
        return exemplars.read(source.name)
    if source.kind in ("materials", "objects"):
        return _read_classes(source, port, context)
    if source.kind == "object":
        mesh = _named(bpy.data.objects, "mesh", source.name, port)
        depsgraph = context.evaluated_depsgraph_get()
        options = {"resolution_px": 512, "fill_gaps": True, **source.options}
        return meshes.height_map(
            mesh, depsgraph, longest_side_px=int(options["resolution_px"]), fill_gaps=bool(options["fill_gaps"])
        )
    return _read_image(_named(bpy.data.images, "image", source.name, port), source, port)


def _named(datablocks: bpy.types.bpy_prop_collection, what: str, name: str, port: Port) -> Any:
    found = datablocks.get(name)
    if found is None:
        raise InvalidInput(
            f"The {what} {name!r} is gone or was renamed.", hint="Pick another under From.", field=port.name
        )
    return found


def _read_classes(source: Source, port: Port, context: bpy.types.Context) -> Array:
    """Pass indices of the mesh's own materials, or of a collection's objects within the mesh's extent."""
    ground = _named(bpy.data.objects, "mesh", source.name, port)
    depsgraph = context.evaluated_depsgraph_get()
    side = int(source.options.get("resolution_px", 512))
    if source.kind == "materials":
        return classes.class_map([ground], depsgraph, by="MATERIAL", longest_side_px=side)
    collection = _named(bpy.data.collections, "collection", str(source.options.get("collection", "")), port)
    items = [item for item in collection.all_objects if item.type == "MESH" and item != ground]
    if not items:
        raise InvalidInput(
            f"There is no mesh in the collection {collection.name!r}.",
            hint="Lay meshes with a pass index over the terrain.",
            field=port.name,
        )
    where = meshes.footprint(meshes.triangles(ground, depsgraph), longest_side_px=side)
    return classes.class_map(items, depsgraph, by="OBJECT", where=where)


def _read_image(image: bpy.types.Image, source: Source, port: Port) -> Array:
    if port.kind is MASK:
        return images.mask(image)
    if port.kind is CLASS_MAP:
        return images.class_map(image)
    if port.kind is COLOR_IMAGE:
        return images.color_image(image)
    options = {
        "meaning": "METRES" if image.is_float else "RANGE",
        "low_m": 0.0,
        "high_m": 1000.0,
        "width_m": 10000.0,
        **source.options,
    }
    columns, _ = typed.size(image)
    if not columns:
        raise InvalidInput(
            f"The image {image.name!r} has no pixels.", hint="Check that its file is still there.", field=port.name
        )
    pixel_size_m = float(options["width_m"]) / columns
    if options["meaning"] == "METRES":
        return images.height_map(image, pixel_size_m=pixel_size_m)
    low, high = float(options["low_m"]), float(options["high_m"])
    return images.height_map(image, pixel_size_m=pixel_size_m, scale=high - low, offset_m=low)
