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
from .draw import images, meshes
from .shared.algorithm import AlgorithmSpec, Port
from .shared.arrays import CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, MASK, Array
from .shared.errors import InvalidInput


@dataclass(frozen=True)
class Source:
    """kind: "image", "object", "exemplar" or "noise". name: of the datablock or landscape. options:

    how it is read, in metres.
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
    """ "image:NAME", "object:NAME", "exemplar:NAME", "noise", or a bare name: of a mesh object, else an image, else
    a landscape.

    Raises InvalidInput when there is nothing of that name.
    """
    kind, _, name = text.strip().partition(":")
    if kind in ("image", "object", "exemplar") and name:
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
    return tuple(_from_settings(entry, port, active, scale) for entry in settings if entry.source != "NONE")


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
        mesh = settings.object or (active if active is not None and active.type == "MESH" else None)
        if mesh is None:
            raise InvalidInput(
                f"{label}: no mesh is picked or selected.",
                hint="Select a mesh or pick one under From.",
                field=port.name,
            )
        return Source("object", mesh.name, {"resolution_px": settings.resolution, "fill_gaps": settings.fill_gaps})
    if settings.source == "EXEMPLAR":
        return Source("exemplar", settings.exemplar)
    return Source("noise")


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
    if source.kind == "object":
        mesh = bpy.data.objects.get(source.name)
        if mesh is None:
            raise InvalidInput(
                f"The mesh {source.name!r} is gone or was renamed.", hint="Pick another under From.", field=port.name
            )
        depsgraph = context.evaluated_depsgraph_get()
        options = {"resolution_px": 512, "fill_gaps": True, **source.options}
        return meshes.height_map(
            mesh, depsgraph, longest_side_px=int(options["resolution_px"]), fill_gaps=bool(options["fill_gaps"])
        )
    image = bpy.data.images.get(source.name)
    if image is None:
        raise InvalidInput(
            f"The image {source.name!r} is gone or was renamed.", hint="Pick another under From.", field=port.name
        )
    return _read_image(image, source, port)


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
