"""Where an input comes from: an image, a mesh, a shipped landscape, a new noise. From settings or a recipe to an
array.

A Source is plain data, so that a recipe can name it and a later Regenerate can find it again; datablocks are looked
up by name at the moment they are read and never kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import bpy

from . import exemplars
from .build import record
from .draw import classes, images, meshes
from .shared.algorithm import AlgorithmSpec, Port
from .shared.arrays import CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, MASK, Array
from .shared.errors import InvalidInput


@dataclass(frozen=True)
class Source:
    """kind: "image", "object", "exemplar", "noise", or for classes "materials" or "objects". name: of the datablock
    or landscape; for classes of the mesh whose extent they have. options: how it is read, in metres.
    """

    kind: str
    name: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def text(self) -> str:
        """As an operator takes it: "object:Terrain"."""
        return f"{self.kind}:{self.name}" if self.name else self.kind


def from_json(values: Mapping[str, Any]) -> Source:
    return Source(str(values["kind"]), str(values.get("name", "")), dict(values.get("options", {})))


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


def chosen(
    scene: bpy.types.Scene, spec: AlgorithmSpec, port: Port, active: bpy.types.Object | None
) -> tuple[Source, ...]:
    """What the sidebar's pickers say for a port.

    Raises InvalidInput, saying what to do, where something is missing.
    """
    group = getattr(scene.relievo, spec.name)
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
    for port in spec.inputs:
        try:
            chosen(scene, spec, port, active)
        except InvalidInput as error:
            return str(error)
    return ""


# Sources -> arrays --------------------------------------------------------------------------------------------


def read(source: Source, port: Port, context: bpy.types.Context) -> Array:
    """The array that a source stands for now. Raises InvalidInput when it is gone or cannot be read.

    Not for "noise".
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
    if not image.size[0]:
        raise InvalidInput(
            f"The image {image.name!r} has no pixels.", hint="Check that its file is still there.", field=port.name
        )
    pixel_size_m = float(options["width_m"]) / image.size[0]
    if options["meaning"] == "METRES":
        return images.height_map(image, pixel_size_m=pixel_size_m)
    low, high = float(options["low_m"]), float(options["high_m"])
    return images.height_map(image, pixel_size_m=pixel_size_m, scale=high - low, offset_m=low)
