"""The map that a terrain engine is going to work on: how large it is, and where in the scene it lies.

All of it is known from sizes alone, before an input is read or a job is sent: draw() and poll() ask at every redraw, so nothing
here looks at a vertex or a pixel but middle().
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import bpy
from mathutils import Vector

from .. import typed
from ..readers import drawn_meshes, exemplars, meshes, sketches
from ..readers.source import Source
from ..shared.algorithm import AlgorithmSpec, Port, find
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from ..shared.params import with_role
from ..units import metres_per_unit
from . import properties

Sources = Mapping[str, tuple[Source, ...]]
SIZED = (
    "sketch",
    "drawing",
)  # kinds of sources that bring the size of an engine's map, which heights bring with each pixel
IN_SCENE = ("object", "materials", "objects")  # kinds of sources that lie somewhere: in a mesh, or over one
GAP = 1.1  # between the middles of a sketch and its terrain, in widths


@dataclass(frozen=True)
class Extent:
    """A map of `rows` x `columns` pixels of pixel_size_m metres."""

    rows: int
    columns: int
    pixel_size_m: float

    @property
    def side_m(self) -> float:
        """The shorter side in metres."""
        return min(self.rows, self.columns) * self.pixel_size_m


# Which source it is ---------------------------------------------------------------------------------------------------


def port_of(spec: AlgorithmSpec) -> Port | None:
    """The input whose extent a terrain takes over: the first that is one map. None for an engine that takes none."""
    return next((port for port in spec.inputs if not port.many and port.kind.axes[:2] == ("H", "W")), None)


def item_of(spec: AlgorithmSpec, given: Sources) -> bpy.types.Object | None:
    """The mesh that the map is read from, None where it comes from elsewhere."""
    source = source_of(spec, given)
    return bpy.data.objects.get(source.name) if source is not None and source.kind in IN_SCENE else None


def items_of(scene: bpy.types.Scene, spec: AlgorithmSpec, given: Sources) -> list[bpy.types.Object]:
    """The meshes that the map is read from, which a result in their place covers."""
    source = source_of(spec, given)
    if source is not None and source.kind == "drawing":
        return [] if drawn_meshes.goes_through_uvs(source) else drawn_meshes.members(scene, source)
    item = item_of(spec, given)
    return [item] if item is not None else []


def source_of(spec: AlgorithmSpec, given: Sources) -> Source | None:
    """Where a terrain engine's map comes from, None where nothing is given."""
    port = port_of(spec)
    entries = given.get(port.name, ()) if port is not None and spec.makes == "terrain" else ()
    return entries[0] if entries else None


# How large ------------------------------------------------------------------------------------------------------------


def extent(
    scene: bpy.types.Scene, spec: AlgorithmSpec, given: Sources, params: Mapping[str, Any] | None = None
) -> Extent | None:
    """The size of the terrain that an engine is going to make, with the scene's settings where none are given; None where it is not
    known beforehand.
    """
    if spec.makes != "terrain":
        return None
    sides = with_role(spec.parameters, "size")
    if len(sides) == 2:
        values, pixel = {**properties.read(scene, spec), **(params or {})}, with_role(spec.parameters, "pixel_size")
        columns, rows = (int(values[side.name]) for side in sides)
        return Extent(rows, columns, float(values[pixel[0].name]) if pixel else 1.0)
    source = source_of(spec, given)
    return extent_of(scene, source) if source is not None else None


def extent_of(scene: bpy.types.Scene, source: Source) -> Extent | None:
    """The size of the map that a source becomes, None where it is not known beforehand."""
    if source.kind in IN_SCENE and (item := bpy.data.objects.get(source.name)) is not None:
        return _seen_from_above(scene, [item], int(source.options.get("resolution_px", 512)))
    if source.kind == "sketch" and (item := bpy.data.objects.get(source.name)) is not None:
        return _of_sketch(scene, item, int(source.options.get("longest_px", 0)))
    if source.kind == "drawing" and not drawn_meshes.goes_through_uvs(source):
        return _seen_from_above(scene, drawn_meshes.members(scene, source), drawn_meshes.resolution_of(source))
    if source.kind == "image" and (image := bpy.data.images.get(source.name)) is not None:
        columns, rows = typed.size(image)
        return Extent(rows, columns, float(source.options.get("width_m", 10000.0)) / columns) if columns else None
    if source.kind == "exemplar":
        return landscape(source.name)
    if source.kind == "engine":
        return extent(scene, find(algorithms(), source.name), {})
    return None


def _seen_from_above(scene: bpy.types.Scene, items: Sequence[bpy.types.Object], longest_px: int) -> Extent | None:
    """From the objects' boxes: exact for such as are not turned, else a little too large."""
    corners = [item.matrix_world @ Vector(corner) for item in items for corner in item.bound_box]
    if not corners:
        return None
    width, depth = (max(c[axis] for c in corners) - min(c[axis] for c in corners) for axis in (0, 1))
    if min(width, depth) <= 0.0 or longest_px < 2:
        return None
    pixel = max(width, depth) / (longest_px - 1)
    columns, rows = (int(side / pixel + 1e-3) + 1 for side in (width, depth))
    return Extent(rows, columns, pixel * metres_per_unit(scene))


def _of_sketch(scene: bpy.types.Scene, item: bpy.types.Object, longest_px: int) -> Extent | None:
    """longest_px: as readers.sketches.class_map() has it."""
    try:
        ground = sketches.ground_of(item, scene)
    except InvalidInput:
        return None
    factor = max(1.0, max(ground.rows, ground.columns) / longest_px) if longest_px else 1.0
    rows, columns = (max(1, round(side / factor)) for side in (ground.rows, ground.columns))
    return Extent(rows, columns, ground.size_m / max(rows, columns))


def landscape(name: str) -> Extent | None:
    """The size of a landscape that ships."""
    side, pixel = exemplars.size_of(name)
    return Extent(side, side, pixel) if side else None


def brought(
    scene: bpy.types.Scene, spec: AlgorithmSpec, given: Sources, context: bpy.types.Context | None = None
) -> dict[str, float]:
    """The parameters that say how large the map is, where its source has a size of its own: by their roles. Empty for a source
    without, such as an image, whose size the settings say. With a context a drawing is measured by its triangles, not by boxes.
    """
    source = source_of(spec, given)
    if source is None or source.kind not in SIZED:
        return {}
    size = extent_of(scene, source)
    if context is not None and source.kind == "drawing" and size is not None:
        where = drawn_meshes.collect(source, context).where
        size = Extent(*where.shape, where.pixel_size_m)
    if size is None:
        return {}
    if whole := with_role(spec.parameters, "map_size"):
        return {whole[0].name: _rounded(max(size.rows, size.columns) * size.pixel_size_m)}
    return {pixel.name: _rounded(size.pixel_size_m) for pixel in with_role(spec.parameters, "pixel_size")[:1]}


def _rounded(length_m: float) -> float:
    """Seven digits: more are rounding in Blender's float32."""
    return float(f"{length_m:.7g}")


# Where it lies ----------------------------------------------------------------------------------------------------------


def beside(scene: bpy.types.Scene, spec: AlgorithmSpec, given: Sources) -> tuple[float, float, float] | None:
    """Where a terrain goes whose source has to stay in view while it is painted: to the right of it. None for any other source."""
    source = source_of(spec, given)
    item = bpy.data.objects.get(source.name) if source is not None and source.kind == "sketch" else None
    if item is None:
        return None
    return item.location.x + GAP * item.dimensions.x, item.location.y, item.location.z


def middle(context: bpy.types.Context, spec: AlgorithmSpec, given: Sources) -> tuple[float, float, float] | None:
    """Where a terrain has to stand to lie where its source does: heights are those of the world, so z is 0. Blender units.

    None for a source that lies nowhere. Reads the mesh's vertices.
    """
    item, source = item_of(spec, given), source_of(spec, given)
    if source is None:
        return None
    if source.kind == "drawing" and not drawn_meshes.goes_through_uvs(source):
        where = drawn_meshes.collect(source, context).where
    elif item is not None:
        depsgraph = context.evaluated_depsgraph_get()
        where = meshes.footprint_of(item, depsgraph, int(source.options.get("resolution_px", 512)))
    else:
        return None
    scale = metres_per_unit(typed.present(context.scene))
    x_m, y_m = where.middle_m
    return x_m / scale, y_m / scale, 0.0
