"""From settings or a recipe to a running job: what to compute, from which sources, and what becomes of it.

Operators come here; the session does the rest. Inputs are read from the scene once, when the job is made, so that
later edits do not change what is computed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import bpy

from . import typed
from .inputs import scan_sources, segment_settings, sources
from .inputs.sources import Source
from .link.job_records import Job
from .link.session import Session
from .placing import places
from .settings import feeds, map_extent, map_limits, properties, uv_fill
from .settings.feeds import Feed
from .shared.algorithm import AlgorithmSpec, Port, find
from .shared.arrays import COLOR_IMAGE, STROKES, Array
from .shared.catalog import algorithms
from .shared.errors import InvalidInput
from .shared.params import completed, parse
from .shared.recipe import check_recipe
from .units import metres_per_unit
from .writers import record, table
from .writers.record import recipe_on as recipe_on

RIVERS = "rivers"  # in a job's purpose and a recipe's part of the scene: what becomes of a terrain's rivers
RESULT_OF = "result_of"  # in a job's purpose: name of the sketch whose terrain it replaces, once there is one


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing to compute. feeds: for each port that another engine feeds, which and how. target: name of the object to replace
    or to put the result on, "" for a new one. pressed_on: name of the object whose own button asked for it, "" for Generate.
    draft: computed without being asked for, while a person paints: nothing is selected or framed for it, and it is no undo step.
    tagged: whether settings of single segments are taken from what is drawn, and not only from params.
    notes: more for the job's purpose, over what follows from all this.
    """

    spec: AlgorithmSpec
    params: Mapping[str, Any]
    sources: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    output: str = "MESH"
    preview: bool = True
    frame: bool = True
    target: str = ""
    pressed_on: str = ""
    draft: bool = False
    tagged: bool = False
    notes: Mapping[str, Any] = field(default_factory=dict)


def from_settings(
    context: bpy.types.Context, spec: AlgorithmSpec, *, target: str = "", shown: bpy.types.Image | None = None
) -> Request:
    """What Generate asks for. shown: an image that is the first sample. Raises InvalidInput where an input is missing, or a
    texture would not fit the UVs that it is to fill.
    """
    scene, output = context.scene, typed.settings(context.scene).output
    params = properties.read(scene, spec)
    picked = sources.collect(scene, spec, sources.selected(context), params=params, shown=shown)
    painted = _sketch_of(scene, spec, picked)
    earlier = result_of(scene, painted) if painted else None
    worn_by = wearer(context, spec, shown)
    filling = fills_uvs(context, spec, worn_by)
    return Request(
        spec=spec,
        params={**params, **map_extent.brought(scene, spec, picked, context), **filling},
        sources=picked,
        feeds=feeds.from_settings(scene, spec, picked),
        output=properties.result_choice(scene, spec),
        preview=output.preview,
        frame=output.frame,
        target=target or worn_by or (earlier.name if earlier is not None else ""),
        tagged=True,
        notes={
            **({RESULT_OF: painted} if painted and not target else {}),
            **({record.FILLS_UVS: True} if filling else {}),
            **rivers_note(scene, spec),
        },
    )


def rivers_note(scene: bpy.types.Scene, spec: AlgorithmSpec) -> dict[str, str]:
    """What the scene's settings say that becomes of an engine's rivers, for a request's notes."""
    return {RIVERS: typed.settings(scene).output.rivers} if table.has_rivers(spec) else {}


def fills_uvs(context: bpy.types.Context, spec: AlgorithmSpec, mesh: str) -> dict[str, Any]:
    """The parameters that the UVs of a mesh decide, where the scene's settings say that a texture fills them; else none. Raises
    InvalidInput.
    """
    output = typed.settings(context.scene).output
    return filled_by(context, spec, mesh, float(output.texel_density)) if output.fill_uvs else {}


def filled_by(context: bpy.types.Context, spec: AlgorithmSpec, mesh: str, density: float) -> dict[str, Any]:
    """The parameters that the UVs of a mesh decide, at so many pixels per metre; none where there is no mesh of this name. Raises
    InvalidInput.
    """
    item = bpy.data.objects.get(mesh)
    if item is None or item.type != "MESH" or not uv_fill.can_fill(spec):
        return {}
    return uv_fill.values(context.scene, spec, item, _uv_layer(item), density)


def draft(context: bpy.types.Context, spec: AlgorithmSpec, item: bpy.types.Object, *, longest_px: int) -> Request:
    """What Generate asks for, of a sketch with at most longest_px pixels on its longer side. Raises InvalidInput."""
    request = from_settings(context, spec)
    fewer = {
        port: tuple(
            replace(source, options={**source.options, "longest_px": longest_px})
            if source.kind == "sketch" and source.name == item.name
            else source
            for source in entries
        )
        for port, entries in request.sources.items()
    }
    params = {**request.params, **map_extent.brought(context.scene, spec, fewer)}
    return replace(request, sources=fewer, params=params, preview=False, frame=False, draft=True)


def result_of(scene: bpy.types.Scene, sketch: str) -> bpy.types.Object | None:
    """The terrain that was made of the sketch of this name; None where there is none. Its recipe says so."""
    for item in scene.objects:
        recipe = recipe_on(item) if record.RECIPE_KEY in item else None
        entries = [entry for given in (recipe or {}).get("scene", {}).get("sources", {}).values() for entry in given]
        if any(entry["kind"] == "sketch" and entry["name"] == sketch for entry in entries):
            return item
    return None


def _sketch_of(scene: bpy.types.Scene, spec: AlgorithmSpec, picked: Mapping[str, tuple[Source, ...]]) -> str:
    """Name of the sketch whose one terrain in the scene a new one replaces, "" where there is no such sketch."""
    source = map_extent.source_of(spec, picked)
    if source is None or source.kind != "sketch" or properties.result_choice(scene, spec) == "IMAGES":
        return ""
    return source.name


def why_not(context: bpy.types.Context, spec: AlgorithmSpec, shown: bpy.types.Image | None = None) -> str:
    """Why Generate cannot run, as far as inputs and settings go; "" when it can. shown: as in from_settings(). Cheap: for draw()
    and poll().
    """
    scene = context.scene
    try:
        params = properties.read(scene, spec)
        picked = sources.collect(scene, spec, sources.selected(context), params=params, shown=shown)
    except InvalidInput as error:
        return str(error)
    error = map_limits.found(scene, spec, picked)
    return "" if error is None else str(error)


def wearer(context: bpy.types.Context, spec: AlgorithmSpec, shown: bpy.types.Image | None = None) -> str:
    """Name of the mesh that is going to wear a surface, "" for none: the selected one; for an image that an Image Editor shows only
    where the settings say so. Cheap: for draw().
    """
    wears = shown is None or typed.settings(context.scene).output.wear
    return selected_mesh(context, spec) if wears else ""


def selected_mesh(context: bpy.types.Context, spec: AlgorithmSpec) -> str:
    """Name of the mesh that a surface is put on where the engine reads none: the active one, "" where there is none."""
    item = context.active_object
    if not table.of(spec).goes_on_mesh or scan_sources.surface_port(spec) is not None:
        return ""
    return item.name if item is not None and item.type == "MESH" and item.select_get() else ""


def mesh_to_return_to(context: bpy.types.Context, spec: AlgorithmSpec) -> str:
    """Name of the mesh that a picture is read from and its result goes back onto, by the scene's settings; "" for none. Cheap: for
    draw().
    """
    scene, writer = typed.present(context.scene), table.of(spec)
    if not writer.goes_back:
        return ""
    try:
        picked = sources.collect(scene, spec, sources.selected(context), params=properties.read(scene, spec))
    except InvalidInput:
        return ""
    return writer.mesh_of(picked, properties.result_choice(scene, spec))


def from_recipe(recipe: Any, *, target: str = "", changes: Mapping[str, Any] | None = None) -> Request:
    """The request that repeats a recipe stored on an object. changes: parameters to alter, such as the seed.

    Raises InvalidInput for anything but a recipe, UnknownAlgorithm for a recipe of an engine that is not installed.
    """
    recipe = check_recipe(recipe)
    spec = find(algorithms(), recipe["algorithm"])
    scene = recipe.get("scene", {})
    given = {
        port: tuple(sources.from_json(entry) for entry in entries) for port, entries in scene.get("sources", {}).items()
    }
    present = {name for name, entries in given.items() if entries}
    needed = [port.name for port in spec.inputs if port.is_needed(recipe["params"], present)]
    missing = [name for name in needed if name not in given]
    if missing:
        raise InvalidInput(
            f"The recipe does not say where its {missing[0]} came from.",
            hint="Generate it again from the sidebar.",
            field=missing[0],
        )
    writer = table.of(spec)
    if target and writer.goes_on_mesh:
        given = _onto(spec, given, target)
    fed = {
        port: Feed(entry["algorithm"], completed(find(algorithms(), entry["algorithm"]).params, entry["params"]))
        for port, entry in scene.get("feeds", {}).items()
    }
    return Request(
        spec=spec,
        params={**completed(spec.params, recipe["params"]), **(changes or {})},
        sources=given,
        feeds=fed,
        output=scene.get("output") or writer.items[0][0],
        target=target,
        notes={key: scene[key] for key in (record.FILLS_UVS, RIVERS) if scene.get(key)},
    )


def of_strokes(recipe: Any, canvas: str, changes: Mapping[str, Any]) -> Request:
    """The request that paints the strokes of a canvas of this name again as they are now, by the rest of its recipe.

    changes: parameters to alter. Raises InvalidInput, also for an engine that reads no strokes.
    """
    spec = find(algorithms(), check_recipe(recipe)["algorithm"])
    port = strokes_port(spec)
    if port is None:
        raise InvalidInput(f"{spec.label} cannot paint saved strokes.")
    scene = recipe.get("scene", {})
    grounds = {port.name for port in spec.inputs if port.kind is COLOR_IMAGE and port.optional}
    kept = {
        part: {name: given for name, given in scene.get(part, {}).items() if name in grounds}
        for part in ("sources", "feeds")
    }
    kept["sources"][port.name] = [Source("strokes", canvas).to_json()]
    return from_recipe({**recipe, "scene": {**scene, **kept}}, target=canvas, changes=changes)


def strokes_port(spec: AlgorithmSpec) -> Port | None:
    """The input of an engine that saved strokes go into, None where it has none."""
    return next((port for port in spec.inputs if port.kind is STROKES and not port.many), None)


def _onto(spec: AlgorithmSpec, given: Mapping[str, tuple[Source, ...]], mesh: str) -> dict[str, tuple[Source, ...]]:
    """The sources of a texture with another mesh in the place of the one that was textured: a copy, or the same by a new name."""
    port = scan_sources.surface_port(spec)
    if port is None or not given.get(port.name):
        return dict(given)
    old = given[port.name][0].name

    def moved(name: str, source: Source) -> Source:
        options = {**source.options, "mesh": mesh} if source.options.get("mesh") == old else source.options
        return replace(source, name=mesh if name == port.name else source.name, options=options)

    return {name: tuple(moved(name, source) for source in entries) for name, entries in given.items()}


Read = Mapping[str, tuple[Array, ...]]


def read(context: bpy.types.Context, request: Request) -> Read:
    """The arrays of a request's sources, as they are now. Raises InvalidInput and InvalidParameter."""
    parse(request.spec.params, request.params)  # before the first of several jobs is sent
    map_limits.check(context.scene, request.spec, request.sources, request.params)
    return sources.read_all(request.sources, request.spec, context, request.params)


def submit(
    session: Session, context: bpy.types.Context, request: Request, *, generation: int, arrays: Read | None = None
) -> Job:
    """Read the sources, unless that was done, and hand the job over. generation: of the open file, so that a result never lands in
    another one.

    Raises InvalidInput or InvalidParameter and leaves everything as it was.
    """
    arrays = read(context, request) if arrays is None else arrays
    fed = {port: (feed, *feeds.output_of(request.spec, port, feed)) for port, feed in request.feeds.items()}
    running = {
        port: (session.submit(engine, feed.params, {}, silent=True), output)
        for port, (feed, engine, output) in fed.items()
    }
    target = _target(request)
    place = map_extent.middle(context, request.spec, request.sources) if target is None else None
    below = map_extent.items_of(context.scene, request.spec, request.sources)
    covered = [] if place is None else places.covered(context.scene, below, place)
    width = _width(context, request)
    wanted_beside = map_extent.beside(context.scene, request.spec, request.sources)
    wanted = wanted_beside or tuple(context.scene.cursor.location)
    waiting = places.rivals(session.jobs.values(), generation)
    purpose = {
        "generation": generation,
        "output": request.output,
        "frame": request.frame,
        "draft": request.draft,
        "tiled_preview": typed.settings(context.scene).output.tiled_preview,
        "beside": wanted_beside is not None,
        "scene": context.scene.name,
        "sources": {port: [source.to_json() for source in given] for port, given in request.sources.items() if given},
        "feed_recipes": {port: feed.to_json() for port, feed in request.feeds.items()},
        "location": list(place or places.free(context.scene, wanted, width, waiting)),
        "width": width,
        "covers": places.noted(covered),
        "pressed_on": request.pressed_on,
        "target": target.name if target is not None else "",
        "target_uid": target.session_uid if target is not None else 0,
        "uv_layer": read_layer(request.sources) if on_mesh(request) else _uv_layer(target),
        record.ON_MESH: bool(on_mesh(request)),
        **request.notes,
    }
    params = dict(request.params)
    if request.tagged:
        params |= segment_settings.brought(request.spec, request.sources, arrays, params)
    return session.submit(request.spec, params, arrays, feeds=running, purpose=purpose, preview=request.preview)


def _target(request: Request) -> bpy.types.Object | None:
    """The object that the result goes to: a surface to the mesh that was read, anything else to what it is to replace."""
    read = sources.surface_of(request.spec, request.sources) if table.of(request.spec).goes_on_mesh else None
    read = read or bpy.data.objects.get(on_mesh(request))
    return read or (bpy.data.objects.get(request.target) if request.target else None)


def on_mesh(request: Request) -> str:
    """Name of the mesh that a result goes back onto because its picture was read from there, "" for none."""
    return table.of(request.spec).mesh_of(request.sources, request.output)


def read_layer(given: Mapping[str, tuple[Source, ...]]) -> str:
    """Name of the UVs of the surface that was read."""
    entries = (source for entries in given.values() for source in entries if source.kind == "surface")
    return next((str(source.options.get("uv_layer", "")) for source in entries), "")


def _uv_layer(target: bpy.types.Object | None) -> str:
    """Name of the UVs of the mesh that a surface goes on, "" where it has none."""
    layer = target.data.uv_layers.active if target is not None and isinstance(target.data, bpy.types.Mesh) else None
    return layer.name if layer is not None else ""


def _width(context: bpy.types.Context, request: Request) -> float:
    """Of the terrain that a request makes, in Blender units; 0 where it is not known beforehand."""
    scene, port = context.scene, map_extent.port_of(request.spec)
    feed = request.feeds.get(port.name) if port is not None else None
    if feed is not None:
        size = map_extent.extent(scene, find(algorithms(), feed.algorithm), {}, feed.params)
    else:
        size = map_extent.extent(scene, request.spec, request.sources, request.params)
    return size.columns * size.pixel_size_m / metres_per_unit(context.scene) if size is not None else 0.0


def recipe_of(job: Job) -> dict[str, Any]:
    """The backend's recipe of a finished job, and beside it where in Blender its inputs came from."""
    return {**job.recipe, "scene": scene_part(job)}


def scene_part(job: Job) -> dict[str, Any]:
    """Where in Blender a job's inputs came from and what it became."""
    purpose = job.purpose
    return {
        "output": purpose.get("output", "MESH"),
        "sources": purpose.get("sources", {}),
        "feeds": purpose.get("feed_recipes", {}),
        **{key: purpose[key] for key in (record.FILLS_UVS, RIVERS) if purpose.get(key)},
    }


def new_seeds(spec: AlgorithmSpec) -> dict[str, int]:
    """A new random number for each of an engine's seeds; empty for one without."""
    return {
        parameter.name: random.randrange(int(parameter.min or 0), min(100000, int(parameter.max or 99999) + 1))
        for parameter in properties.seeds_of(spec)
    }


def with_params(request: Request, params: Mapping[str, Any], *, output: str = "") -> Request:
    """The same request with the parameters of the scene's settings, and where output is given, for another kind of result."""
    return replace(request, params=params, output=output or request.output, tagged=True)
