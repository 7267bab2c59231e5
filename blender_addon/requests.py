"""From settings or a recipe to a running job: what to compute, from which sources, and what becomes of it.

Operators come here; the session does the rest. Inputs are read from the scene once, when the job is made, so that
later edits do not change what is computed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import bpy

from . import typed
from .inputs import scan_sources, sources
from .inputs.sources import Source
from .link.job_records import Job
from .link.session import Session
from .settings import properties
from .shared.algorithm import AlgorithmSpec, find
from .shared.catalog import algorithms
from .shared.errors import InvalidInput
from .shared.params import parse
from .shared.recipe import check_recipe
from .writers.record import RECIPE_KEY


@dataclass(frozen=True, kw_only=True)
class Request:
    """One thing to compute. feeds: the Noise parameters for each port that a new noise feeds. target:

    object to replace, "" for a new one.
    """

    spec: AlgorithmSpec
    params: Mapping[str, Any]
    sources: Mapping[str, tuple[Source, ...]] = field(default_factory=dict)
    feeds: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    output: str = "MESH"
    preview: bool = True
    frame: bool = True
    target: str = ""


def from_settings(context: bpy.types.Context, spec: AlgorithmSpec, *, target: str = "") -> Request:
    """What Generate asks for. Raises InvalidInput where an input is missing."""
    scene, output = context.scene, context.scene.relievo.output
    picked = sources.collect(scene, spec, context.active_object)
    return Request(
        spec=spec,
        params=properties.read(scene, spec),
        sources=picked,
        feeds=noise_feeds(scene, picked),
        output=properties.result_kind(scene, spec),
        preview=output.preview,
        frame=output.frame,
        target=target,
    )


def noise_feeds(scene: bpy.types.Scene, picked: Mapping[str, tuple[Source, ...]]) -> dict[str, Mapping[str, Any]]:
    """The scene's Noise settings for each port that takes a new noise."""
    noise = find(algorithms(), "noise")
    return {
        port: properties.read(scene, noise)
        for port, given in picked.items()
        if any(source.kind == "noise" for source in given)
    }


def from_recipe(recipe: Any, *, target: str = "", changes: Mapping[str, Any] | None = None) -> Request:
    """What repeats a recipe that lies on an object. changes: parameters to alter, such as the seed.

    Raises InvalidInput for something that is no recipe, UnknownAlgorithm for one of an engine that is not there.
    """
    recipe = check_recipe(recipe)
    spec = find(algorithms(), recipe["algorithm"])
    scene = recipe.get("scene", {})
    given = {
        port: tuple(sources.from_json(entry) for entry in entries) for port, entries in scene.get("sources", {}).items()
    }
    missing = [port.name for port in spec.inputs if not port.optional and port.name not in given]
    if missing:
        raise InvalidInput(
            f"The recipe does not say where its {missing[0]} came from.",
            hint="Generate it anew from the sidebar.",
            field=missing[0],
        )
    if target and properties.makes_textures(spec):
        given = _onto(spec, given, target)
    feeds = {port: entry["params"] for port, entry in scene.get("feeds", {}).items()}
    return Request(
        spec=spec,
        params={**recipe["params"], **(changes or {})},
        sources=given,
        feeds=feeds,
        output=scene.get("output") or properties.result_items(spec)[0][0],
        target=target,
    )


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


def submit(session: Session, context: bpy.types.Context, request: Request, *, generation: int) -> Job:
    """Read the sources and hand the job over. generation: of the open file, so that a result never lands in another
    one.

    Raises InvalidInput or InvalidParameter and leaves everything as it was.
    """
    parse(request.spec.params, request.params)  # before the first of several jobs is sent
    arrays = sources.read_all(request.sources, request.spec, context, request.params)
    noise = find(algorithms(), "noise")
    feeds = {port: (session.submit(noise, params, {}, silent=True), "height") for port, params in request.feeds.items()}
    target = _target(request)
    purpose = {
        "generation": generation,
        "output": request.output,
        "frame": request.frame,
        "scene": context.scene.name,
        "sources": {port: [source.to_json() for source in given] for port, given in request.sources.items() if given},
        "location": free_place(context.scene, tuple(context.scene.cursor.location)),
        "target": target.name if target is not None else "",
        "target_uid": target.session_uid if target is not None else 0,
        "uv_layer": _uv_layer(request),
    }
    return session.submit(request.spec, request.params, arrays, feeds=feeds, purpose=purpose, preview=request.preview)


def _target(request: Request) -> bpy.types.Object | None:
    """The object that the result goes to: a texture to the mesh that was read, a terrain to the one that it replaces."""
    if properties.makes_textures(request.spec):
        return sources.surface_of(request.spec, request.sources)
    return bpy.data.objects.get(request.target) if request.target else None


def _uv_layer(request: Request) -> str:
    """Name of the UVs that went with the mesh, "" where it had none."""
    surface = sources.surface_of(request.spec, request.sources)
    layer = typed.mesh(surface).uv_layers.active if surface is not None else None
    return layer.name if layer is not None else ""


def free_place(scene: bpy.types.Scene, wanted: tuple[float, float, float]) -> list[float]:
    """The wanted place, or one beside the terrains that stand on it: two surfaces in one place show neither."""
    place = list(wanted)
    terrains = [item for item in scene.objects if recipe_on(item) is not None]
    while (standing := next((item for item in terrains if _is_at(item, place)), None)) is not None:
        place[0] = standing.location.x + 1.1 * max(standing.dimensions.x, 1.0)
    return place


def _is_at(item: bpy.types.Object, place: list[float]) -> bool:
    apart = [abs(a - b) for a, b in zip(item.location.to_tuple(), place, strict=True)]
    return apart[0] < item.dimensions.x / 2 and apart[1] < item.dimensions.y / 2


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
    }


def with_params(request: Request, params: Mapping[str, Any], *, output: str = "") -> Request:
    """The same request with other parameters, and where output is given, for another kind of result."""
    return replace(request, params=params, output=output or request.output)


def recipe_on(item: bpy.types.ID | None) -> dict[str, Any] | None:
    """The recipe that lies on an object or image, None where there is none that can be read."""
    if item is None:
        return None
    text = item.get(RECIPE_KEY)
    if not isinstance(text, str):
        return None
    try:
        return check_recipe(json.loads(text))
    except (ValueError, InvalidInput):
        return None
