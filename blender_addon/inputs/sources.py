"""Where an input comes from: an image, a mesh, a shipped landscape, another engine. From settings or a recipe to an array.

Datablocks are looked up by name at the moment they are read and never kept. How each kind is read is readers/table.py's
business; what belongs to cameras is chosen in scan_sources.py and read in scan_reading.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import bpy

from .. import typed
from ..datablocks import region
from ..placing import previews
from ..readers import exemplars, table
from ..readers.source import Source, from_json, is_engine
from ..readers.table import read
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.arrays import CAMERAS, CURVES, HEIGHT_MAP, MESH, Array
from ..shared.errors import InvalidInput
from ..units import metres_per_unit
from ..writers import waters
from . import curve_sources, drawing_sources, picture_sources, scan_reading, scan_sources, sketch_sources
from .earlier_results import made_from
from .scan_sources import follows_cameras

__all__ = [
    "Source",
    "chosen",
    "collect",
    "follows_cameras",
    "from_json",
    "from_text",
    "made_from",
    "read",
    "read_all",
    "selected",
    "summary",
    "surface_of",
    "what_is_missing",
]

_NAMED = ("image", "object", "exemplar", "materials", "engine", "sketch", "drawing", "material")


def from_text(text: str) -> Source:
    """ "image:NAME", "object:NAME", "exemplar:NAME", "materials:NAME", "material:NAME", "sketch:NAME", "drawing:COLLECTION",
    "engine:NAME", or a bare name: of an engine, else a mesh object, else an image, else a landscape; "drawing" alone is that of
    the whole scene, "selection" that of the meshes that are selected.

    Raises InvalidInput when there is nothing of that name.
    """
    kind, _, name = text.strip().partition(":")
    if kind in _NAMED and name and (kind != "engine" or is_engine(name)):
        return Source(kind, name)
    name = text.strip()
    if is_engine(name):
        return Source("engine", name)
    if name == "drawing":
        return Source("drawing")
    if name == "selection":
        return drawing_sources.of_selection()
    if name in bpy.data.objects and bpy.data.objects[name].type == "MESH":
        return Source("object", name)
    if name in bpy.data.images:
        return Source("image", name)
    if name in exemplars.names():
        return Source("exemplar", name)
    raise InvalidInput(
        f"There is no mesh, image or landscape {name!r}.", hint="Name one of this file, or an engine.", field=name
    )


def selected(context: bpy.types.Context) -> bpy.types.Object | None:
    """What a person has selected: the active object, or where that is no mesh, the one mesh that is selected beside it.

    While a preview is shown, that is still what it hides: for a view, nothing hidden is active or selected.
    """
    active = context.active_object
    if active is None and (behind := context.view_layer.objects.active) is not None and previews.was_selected(behind):
        return behind
    active = waters.terrain_of(previews.stands_for(active)) if active is not None else None
    if active is not None and active.type == "MESH":
        return active
    meshes = [item for item in context.selected_objects or () if item.type == "MESH"]
    return meshes[0] if len(meshes) == 1 else active


# Settings -> sources ------------------------------------------------------------------------------------------


def collect(
    scene: bpy.types.Scene,
    spec: AlgorithmSpec,
    active: bpy.types.Object | None,
    texts: Mapping[str, str] | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    shown: bpy.types.Image | None = None,
) -> dict[str, tuple[Source, ...]]:
    """Where each input of an engine comes from: what an operator was given, by port, and what the pickers say for the rest.

    params: of the job; an input that one of them or another input stands in for is not read. shown: an image that is the first
    sample, whatever the first picker of the samples says. Raises InvalidInput, saying what to do, where something is missing.
    """
    texts = {name: text for name, text in (texts or {}).items() if text}
    given: dict[str, tuple[Source, ...]] = {}
    for port in sorted(spec.inputs, key=lambda port: bool(port.unless)):  # what stands in for an input comes before it
        text = texts.get(port.name, "")
        present = {name for name, sources in given.items() if sources}
        if shown is not None and port == table.sample_port(spec) and port.is_replaced(params):
            label = next(parameter.label for parameter in spec.parameters if parameter.name == port.unless)
            raise InvalidInput(
                f"{label} is set, so the image would not be read.",
                hint=f"Clear {label} under Settings.",
                field=port.unless,
            )
        if port.is_replaced(params, present):
            given[port.name] = ()
        elif scan_sources.follows_cameras(spec, port):
            if text:
                raise InvalidInput(f"{port.label} come with the cameras.", hint="Name the cameras.", field=port.name)
        elif not text:
            given[port.name] = chosen(scene, spec, port, active, shown)
        elif port.kind is CURVES and text.partition(":")[0] == "curves":
            given[port.name] = _chosen_curves(scene, spec, port, active, text)
        elif port.kind in (MESH, CAMERAS):
            given |= scan_sources.from_text(text, spec, port)
        else:
            parts = text.split(";") if port.many else [text]
            given[port.name] = tuple(_named(part, port, scene, spec, active) for part in parts)
    return scan_sources.completed(spec, given) if scan_sources.has_cameras(spec) else given


def _named(
    text: str, port: Port, scene: bpy.types.Scene, spec: AlgorithmSpec, active: bpy.types.Object | None
) -> Source:
    """from_text() for a port: a mesh that is named as classes is a sketch where it is one, and a port of materials' maps takes
    no mesh: there a bare name is an image's, else a material's. A port of pictures or their segments also takes "view", "view:BY",
    "surface" of the selected mesh and "surface:MESH", one of strokes "strokes" of the selected painting and "strokes:PAINTING".
    """
    name = text.strip()
    kind, _, rest = name.partition(":")
    if kind == "view" and kind in table.readers_of(port):
        return picture_sources.view(scene, port, rest or picture_sources.BY[0])
    if kind == "surface" and kind in table.readers_of(port):
        return picture_sources.surface(
            spec, port, table.named(bpy.data.objects, "mesh", rest, port) if rest else active
        )
    if kind == "strokes" and kind in table.readers_of(port):
        return picture_sources.strokes(port, table.named(bpy.data.objects, "painting", rest, port) if rest else active)
    if "material" in table.readers_of(port) and ":" not in name and not is_engine(name):
        if name in bpy.data.images:
            return Source("image", name, _region_of(bpy.data.images[name], port))
        if name not in bpy.data.materials:
            raise InvalidInput(
                f"There is no image or material {name!r}.", hint="Name one of this file.", field=port.name
            )
        return Source("material", name)
    source = from_text(text)
    if source.kind == "image" and (image := bpy.data.images.get(source.name)) is not None:
        return replace(source, options=_region_of(image, port))
    if port.classes and source.kind == "object":
        return sketch_sources.of_object(bpy.data.objects[source.name]) or source
    return source


def chosen(
    scene: bpy.types.Scene,
    spec: AlgorithmSpec,
    port: Port,
    active: bpy.types.Object | None,
    shown: bpy.types.Image | None = None,
) -> tuple[Source, ...]:
    """What the sidebar's picker of a port says, and for ports of many its pickers. shown: as in collect().

    Raises InvalidInput, saying what to do, where something is missing.
    """
    if port.kind in (MESH, CAMERAS):
        return scan_sources.chosen(scene, spec, port, active)[port.name]
    if port.kind is CURVES:
        return _chosen_curves(scene, spec, port, active)
    group = getattr(typed.settings(scene), spec.name)
    settings = [getattr(group, f"from_{port.name}"), *(getattr(group, f"more_{port.name}") if port.many else ())]
    first: tuple[Source, ...] = ()
    if shown is not None and port == table.sample_port(spec):
        first, settings = (Source("image", shown.name, _region_of(shown, port)),), settings[1:]
    found = first + tuple(_picked(scene, spec, port, entry, active) for entry in settings if entry.source != "NONE")
    if not found and not port.optional:
        raise InvalidInput(f"{port.label}: there is nothing in Blender to take it from.", field=port.name)
    return found


def _chosen_curves(
    scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None, text: str = ""
) -> tuple[Source, ...]:
    """The curves over the engine's map, by the picker or by "curves" or "curves:COLLECTION"; nothing where there are none."""
    settings = getattr(getattr(typed.settings(scene), spec.name), f"from_{port.name}")
    if settings.source != "CURVES" and not text:
        return () if settings.source == "NONE" else (_picked(scene, spec, port, settings, active),)
    below = curve_sources.map_port(spec)
    try:
        given = {below.name: chosen(scene, spec, below, active)} if below is not None else {}
    except InvalidInput:
        return ()  # the map is missing, which is said where it belongs
    collection = text.partition(":")[2] if text else settings.collection.name if settings.collection else ""
    found = curve_sources.of_collection(scene, spec, collection, given)
    return (found,) if found is not None else ()


def _picked(
    scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, settings: Any, active: bpy.types.Object | None
) -> Source:
    """What one picker says."""
    if settings.source == "AUTO":
        return automatic(scene, spec, port, settings, active)
    if settings.source == "IMAGE":
        return _picked_image(settings, port, metres_per_unit(scene))
    if settings.source == "OBJECT":
        return _from_mesh(settings, _picked_mesh(spec, settings, port, active))
    if settings.source == "EXEMPLAR":
        return Source("exemplar", settings.exemplar)
    if settings.source == "MATERIAL":
        return _picked_material(settings, port)
    if settings.source == "VIEW":
        return picture_sources.view(scene, port, getattr(settings, "by", picture_sources.BY[0]))
    if settings.source == "SURFACE":
        return picture_sources.surface(spec, port, settings.object or active)
    if settings.source == "STROKES":
        return picture_sources.strokes(port, settings.object or active)
    if settings.source == "SKETCH":
        return sketch_sources.chosen(scene, settings, port, active)
    if settings.source == "DRAWING":
        drawn = drawing_sources.chosen if port.classes else drawing_sources.heights
        return drawn(scene, spec, port, active)
    if settings.source in ("MATERIALS", "OBJECTS"):
        return _picked_classes(scene, spec, port, settings, active)
    engine = table.picked_engine(spec, port, settings.source)
    if engine is None:
        raise InvalidInput(f"{port.label}: nothing is picked.", hint="Pick a source under From.", field=port.name)
    return Source("engine", engine.name)


def automatic(
    scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, settings: Any, active: bpy.types.Object | None
) -> Source:
    """The selected mesh; where none is selected, the first engine that makes what the port takes, else the picker's image.

    A result of the engine itself stands for what it was made from: Generate, pressed twice, takes the same source twice. Raises
    InvalidInput. Cheap: for draw().
    """
    if active is not None and active.type == "MESH" and (active.select_get() or previews.was_selected(active)):
        again = made_from(spec, port, active)
        if again is None or again.kind == "object":
            return _from_mesh(settings, bpy.data.objects[again.name] if again is not None else active)
        return again
    engines = table.feeding(spec, port)
    return Source("engine", engines[0].name) if engines else _picked_image(settings, port, metres_per_unit(scene))


def _from_mesh(settings: Any, mesh: bpy.types.Object) -> Source:
    return Source("object", mesh.name, {"resolution_px": settings.resolution, "fill_gaps": settings.fill_gaps})


def _picked_image(settings: Any, port: Port, scale: float) -> Source:
    """scale: metres in a Blender unit."""
    if settings.image is None:
        raise InvalidInput(f"{port.label}: no image is picked.", hint="Pick or open one under From.", field=port.name)
    reader, options = table.reader_of(port, "IMAGE"), {}
    if reader is not None and reader.has_range:
        options |= {"meaning": settings.meaning, "low_m": settings.low * scale, "high_m": settings.high * scale}
    if reader is not None and reader.has_size:
        options |= {"width_m": settings.size * scale}
    if port.classes and settings.snap:
        options["snap"] = True
    return Source("image", settings.image.name, {**options, **_region_of(settings.image, port)})


def _region_of(image: bpy.types.Image, port: Port) -> dict[str, Any]:
    """The option of a source that is a rectangle of an image."""
    reader, found = table.reader_of(port, "IMAGE"), region.of(image)
    return {"region_px": list(found)} if reader is not None and reader.has_region and found is not None else {}


def _picked_material(settings: Any, port: Port) -> Source:
    if settings.material is None:
        raise InvalidInput(f"{port.label}: no material is picked.", hint="Pick one under From.", field=port.name)
    return Source("material", settings.material.name)


def _picked_classes(
    scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, settings: Any, active: bpy.types.Object | None
) -> Source:
    """Classes drawn from the scene cover the map of the heights where the engine has some, else a mesh picked beside them."""
    heights = ground_port_of(scene, spec)
    if heights is None:
        name, side = _picked_mesh(spec, settings, port, active).name, settings.resolution
    else:
        ground = getattr(getattr(typed.settings(scene), spec.name), f"from_{heights.name}")
        below = _picked(scene, spec, heights, ground, active) if ground.source in ("AUTO", "OBJECT") else None
        if below is None or below.kind != "object":
            raise InvalidInput(
                f"{port.label} from the scene need a mesh to lie on.",
                hint=f"Set {heights.label} to Mesh.",
                field=port.name,
            )
        name, side = below.name, ground.resolution
    options: dict[str, Any] = {"resolution_px": side}
    if settings.source == "OBJECTS":
        if settings.collection is None:
            raise InvalidInput(f"{port.label}: no collection is picked.", hint="Pick one under From.", field=port.name)
        options["collection"] = settings.collection.name
    return Source(settings.source.lower(), name, options)


def ground_port_of(scene: bpy.types.Scene, spec: AlgorithmSpec) -> Port | None:
    """The port of the heights that an engine's classes lie on, None where it has none or it is left out. Cheap: for draw()."""
    group = getattr(typed.settings(scene), spec.name)
    heights = (port for port in spec.inputs if port.kind is HEIGHT_MAP and not port.many)
    return next(
        (port for port in heights if not port.optional or getattr(group, f"from_{port.name}").source == "OBJECT"), None
    )


def _picked_mesh(spec: AlgorithmSpec, settings: Any, port: Port, active: bpy.types.Object | None) -> bpy.types.Object:
    """The mesh that is picked, else the selected one, or what that was made from by this engine."""
    mesh = settings.object or (active if active is not None and active.type == "MESH" else None)
    again = made_from(spec, port, mesh) if mesh is not None and settings.object is None else None
    if again is not None and again.kind == "object":
        return bpy.data.objects[again.name]
    if mesh is None:
        raise InvalidInput(
            f"{port.label}: no mesh is picked or selected.",
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
    """The arrays that all of a job's sources stand for now, by port; what other engines make is left out.

    Raises InvalidInput when something is gone, cannot be read, or cannot take what the job's params make of it.
    """
    ports = {port.name: port for port in spec.inputs}
    scan = scan_reading.Reading(context, given, params or {})
    made = {}
    for name, entries in given.items():
        port = ports[name]
        made[name] = tuple(
            scan.read(source, port) if scan_reading.is_read_here(source, port) else read(source, port, context)
            for source in _of_edition(entries, params or {})
            if source.kind != "engine"
        )
    return made


def _of_edition(entries: tuple[Source, ...], params: Mapping[str, Any]) -> Iterator[Source]:
    """Sources, landscapes among them of the edition that the job's parameters say."""
    for source in entries:
        is_meant = source.kind == "exemplar" and "edition" in params
        yield replace(source, options={**source.options, "edition": params["edition"]}) if is_meant else source
