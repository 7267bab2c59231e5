"""What a scan is made of, from settings or names to sources: a mesh, cameras, and what follows from the cameras.

Photographs, masks and drawn maps have no picker of their own: there is one for each camera, in the cameras' order. Everything in
here is cheap and reads no file; scan_reading.py makes arrays of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import bpy

from .. import typed
from ..readers import cameras, masks, photographs
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.arrays import CAMERAS, MESH
from ..shared.errors import InvalidInput

Given = Mapping[str, tuple[Source, ...]]

# a port of many beside cameras -> the kind of source that each camera gives it
FOLLOWING = {
    "images": "photograph",
    "masks": "mask",
    "uv_maps": "uv_map",
    "depth_maps": "depth_map",
    "facing_maps": "facing_map",
}
DRAWN = ("uv_map", "depth_map", "facing_map")


def has_cameras(spec: AlgorithmSpec) -> bool:
    return any(port.kind is CAMERAS for port in spec.inputs)


def follows_cameras(spec: AlgorithmSpec, port: Port) -> bool:
    """Whether a port is fed by the cameras of the same engine and so has no picker."""
    return port.many and port.name in FOLLOWING and has_cameras(spec)


def surface_port(spec: AlgorithmSpec) -> Port | None:
    """The port of the mesh that cameras look at: the first of its kind. Meshes after it only stand about."""
    return next((port for port in spec.inputs if port.kind is MESH), None)


# Picked ---------------------------------------------------------------------------------------------------------------


def chosen(scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None) -> Given:
    """What the pickers say for a MESH or CAMERAS port, under the port's name. Raises InvalidInput where something is missing."""
    settings = getattr(getattr(typed.settings(scene), spec.name), f"from_{port.name}")
    label = port.label
    if settings.source == "NONE":
        return {port.name: ()}
    if port.kind is CAMERAS:
        return {port.name: (_cameras_source(_picked_cameras(scene, settings, label)),)}
    if settings.source == "COLLECTION":
        return {port.name: (Source("collection", _picked_collection(settings, label).name),)}
    mesh = settings.object or (active if port == surface_port(spec) else None)
    if mesh is None or mesh.type != "MESH":
        raise InvalidInput(
            f"{label}: no mesh is picked or selected.", hint="Select a mesh or pick one under From.", field=port.name
        )
    return {port.name: (_mesh_source(mesh),)}


def from_text(text: str, spec: AlgorithmSpec, port: Port) -> Given:
    """What an operator was given for a MESH port ("Scan", "collection:Props") or a CAMERAS port (a collection's name, or those of
    camera names separated by ";"), under the port's name. Raises InvalidInput for names that are not there.
    """
    text = text.strip()
    name = text.removeprefix("collection:").strip()
    if port.kind is CAMERAS:
        collection = bpy.data.collections.get(name)
        items = (
            _cameras_of(collection) if collection is not None else [_camera(part.strip()) for part in text.split(";")]
        )
        return {port.name: (_cameras_source(items),)}
    is_object = name == text and name in bpy.data.objects
    if port != surface_port(spec) and name in bpy.data.collections and not is_object:
        return {port.name: (Source("collection", name),)}
    name = text.removeprefix("object:").strip()
    mesh = bpy.data.objects.get(name)
    if mesh is None or mesh.type != "MESH":
        raise InvalidInput(f"There is no mesh {name!r}.", hint="Name one of this file.", field=port.name)
    return {port.name: (_mesh_source(mesh),)}


def _mesh_source(mesh: bpy.types.Object) -> Source:
    own = typed.mesh(mesh)
    if not len(own.polygons) and not len(mesh.modifiers):
        raise InvalidInput(f"The mesh {mesh.name!r} has no faces.", hint="Pick another mesh.", field=mesh.name)
    if is_without_uvs(mesh) and not len(mesh.modifiers) and len(own.loops) != 3 * len(own.polygons):
        raise InvalidInput(
            f"The mesh {mesh.name!r} has no UVs, and faces with more than three corners, which new ones could cut through.",
            hint="Press Unwrap, or triangulate it (Ctrl T in Edit Mode).",
            field=mesh.name,
        )
    return Source("object", mesh.name)


def _cameras_source(items: Sequence[bpy.types.Object]) -> Source:
    return Source("cameras", "", {"names": [item.name for item in items]})


def _picked_collection(settings: Any, label: str) -> bpy.types.Collection:
    if settings.collection is None:
        raise InvalidInput(f"{label}: no collection is picked.", hint="Pick one under From.", field=label)
    return settings.collection


def _picked_cameras(scene: bpy.types.Scene, settings: Any, label: str) -> list[bpy.types.Object]:
    if settings.source == "COLLECTION":
        return _cameras_of(_picked_collection(settings, label))
    is_selected = settings.source == "SELECTED"
    items = [
        item
        for item in scene.objects
        if item.type == "CAMERA" and photographs.has_photograph(item) and (not is_selected or item.select_get())
    ]
    if not items:
        raise InvalidInput(
            f"No {'selected ' if is_selected else ''}camera has a photograph.",
            hint="Import cameras, or add a photograph to a camera under Object Data > Background Images.",
            field=label,
        )
    return items


def _cameras_of(collection: bpy.types.Collection) -> list[bpy.types.Object]:
    items = [item for item in collection.all_objects if item.type == "CAMERA"]
    if not items:
        raise InvalidInput(
            f"There is no camera in the collection {collection.name!r}.",
            hint="Import cameras, or pick another collection.",
            field=collection.name,
        )
    bare = [item.name for item in items if not photographs.has_photograph(item)]
    if bare:
        named = ", ".join(bare[:3]) + (f" and {len(bare) - 3} more" if len(bare) > 3 else "")
        raise InvalidInput(
            f"{len(bare)} of {len(items)} cameras in {collection.name!r} have no photograph: {named}.",
            hint="Add one under Object Data > Background Images, or take them out of the collection.",
            field=collection.name,
        )
    return items


def _camera(name: str) -> bpy.types.Object:
    item = bpy.data.objects.get(name)
    if item is None or item.type != "CAMERA":
        raise InvalidInput(f"There is no camera and no collection {name!r}.", hint="Name one of this file.", field=name)
    return item


# What follows from them -----------------------------------------------------------------------------------------------


def completed(spec: AlgorithmSpec, given: Given) -> dict[str, tuple[Source, ...]]:
    """The same with what the cameras give, and with the mesh that everything is counted from named to each.

    Cameras that the backend can draw go as they are; as soon as one cannot be drawn there (panoramic, orthographic), the maps
    of all are drawn here and no camera is sent.
    """
    surface = surface_port(spec)
    mesh = next((source.name for source in given.get(surface.name, ())), "") if surface is not None else ""
    ports = {port.name: port for port in spec.inputs}
    made = {}
    for name, sources in given.items():
        kind = ports[name].kind
        made[name] = tuple(_with(source, mesh=mesh) if kind in (CAMERAS, MESH) else source for source in sources)
    port = next(port for port in spec.inputs if port.kind is CAMERAS)
    if not made.get(port.name):
        return made
    items = [_camera(name) for name in made[port.name][0].options["names"]]
    kinds = ["photograph"]
    files = masks.files_by_photograph()
    if any(masks.image_of(item, files) is not None for item in items):
        kinds.append("mask")
    drawn_here = not all(cameras.is_pinhole(item) for item in items)
    if drawn_here:
        kinds += DRAWN
        made[port.name] = ()
    hides = [
        source.to_json()
        for name in given
        for source in made[name]
        if ports[name].kind is MESH and ports[name] != surface
    ]
    common = {"mesh": mesh, "drawn_here": drawn_here, "occluders": hides if drawn_here else []}
    for name, kind in FOLLOWING.items():
        if kind in kinds and name in ports:
            made[name] = tuple(Source(kind, item.name, common) for item in items)
    return made


def _with(source: Source, **options: Any) -> Source:
    return Source(source.kind, source.name, {**source.options, **options})


# Words for the panel --------------------------------------------------------------------------------------------------


def summary(spec: AlgorithmSpec, given: Given) -> list[str]:
    """What is going to be used, in short lines. Cheap: for draw()."""
    lines = []
    count = len(given.get("images", ()))
    lines.append(f"{count} camera{'s' * (count != 1)} with photographs")
    if given.get("masks"):
        files = masks.files_by_photograph()
        masked = sum(masks.image_of(_camera(source.name), files) is not None for source in given["masks"])
        lines.append(f"{masked} of them with a mask")
    if given.get("uv_maps"):
        lines.append("Not all are perspective cameras: Cycles draws their UV maps")
    surface = surface_port(spec)
    mesh = (
        next((bpy.data.objects.get(source.name) for source in given.get(surface.name, ())), None) if surface else None
    )
    if mesh is not None and is_without_uvs(mesh):
        lines.append(f"{mesh.name} has no UVs yet")
    return lines


def is_without_uvs(mesh: bpy.types.Object) -> bool:
    """Whether a mesh object has no UV layer of its own and no modifier that could bring one. Cheap: for draw()."""
    is_bare = isinstance(mesh.data, bpy.types.Mesh) and not len(mesh.data.uv_layers)
    return is_bare and not any(m.type == "NODES" for m in mesh.modifiers)
