"""An engine's outputs -> a terrain in the scene: one object or one set of images, made new or renewed in place.

Heights become positions or a packed image, as the user chose; colours become the material's base colour; every other map an
attribute of the mesh under its port's name ("flow", "sediment", "wear"), which the terrain material reads and the user's own
nodes can, and so does the slope. The level of the water becomes a surface of its own (water.py), rivers a ribbon or a
curve (rivers.py). What fits none of these is kept as
an image. Selects nothing and pushes no undo step.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

import bpy
import numpy as np

from .. import typed
from ..shared.arrays import COLOR_IMAGE, HEIGHT_MAP, MASK, REPORT, TEXTURE, Array, check
from ..shared.errors import InvalidInput, InvalidParameter
from . import (
    displacement,
    grid,
    ground,
    images,
    maps,
    materials,
    record,
    report,
    result_size,
    rivers,
    scatter,
    terrain_layers,
    water,
)
from .grounds import attributes

STEPS_FROM_VERTICES = 1_000_000  # fewer are made in the blink of an eye
KINDS = ("MESH", "GEOMETRY_NODES", "DISPLACE", "ADAPTIVE", "IMAGES")


def make(
    outputs: Mapping[str, Array],
    *,
    kind: str,
    name: str,
    location: tuple[float, float, float] = (0.0, 0.0, 0.0),
    recipe: Mapping[str, Any] | None = None,
    scene: bpy.types.Scene | None = None,
    mesh: bpy.types.Mesh | None = None,
    with_rivers: str = rivers.RIBBON,
) -> bpy.types.ID:
    """A new terrain object in the collection Relievo of the scene (the context's, if none is given), or images for
    kind "IMAGES".

    outputs: arrays by port, one HEIGHT_MAP among them. Its heights are metres above `location`, where the terrain's
    middle comes to lie; +Y is the map's top. mesh: what mesh_in_steps() has made of them. with_rivers: what to make of those,
    out of rivers.ITEMS. Returns the object, or the image of the heights. Raises InvalidInput, InvalidParameter.
    """
    port, heights = _heights(outputs, kind)
    if kind == "IMAGES":
        made: bpy.types.ID = maps.make({name: (array,) for name, array in outputs.items()}, name=name)[port]
    else:
        mesh = mesh or _mesh(name, heights, kind)
        item = record.place(name, mesh, location, scene or typed.present(bpy.context.scene))
        _draw_as_fits(item, was_heavy=False)
        _finish(item, outputs, port, kind, None, with_rivers)
        made = item
    if recipe:
        record.write_recipe(made, recipe)
    return made


def replace(
    target: bpy.types.Object,
    outputs: Mapping[str, Array],
    *,
    kind: str,
    recipe: Mapping[str, Any] | None = None,
    mesh: bpy.types.Mesh | None = None,
    with_rivers: str = rivers.RIBBON,
) -> bpy.types.ID:
    """Give an object another terrain: it stays where it is, with its name, its own modifiers, materials and whoever
    uses it.

    The mesh itself is kept where the size is unchanged, and so is the height image. kind may differ from what it
    was; "IMAGES" leaves the object alone. mesh, with_rivers: as for make(). Returns the object, or the image of the heights.
    """
    port, heights = _heights(outputs, kind)
    if target.type != "MESH":
        raise InvalidInput(f"{target.name!r} is not a mesh.", hint="Generate a new terrain instead.", field=target.name)
    if kind == "IMAGES":
        return maps.make({name: (array,) for name, array in outputs.items()}, name=target.name, recipe=recipe)[port]
    image = displacement.image_of(target) or materials.height_image_of(target)
    displacement.remove(target)
    was_heavy = is_heavy(target)
    _renew_mesh(target, heights, kind, mesh)
    _draw_as_fits(target, was_heavy=was_heavy)
    _finish(target, outputs, port, kind, image, with_rivers)
    if recipe:
        record.write_recipe(target, recipe)
    return target


def is_heavy(item: bpy.types.Object) -> bool:
    """Whether a view takes seconds to draw the object's mesh."""
    return item.type == "MESH" and len(typed.mesh(item).vertices) >= result_size.HEAVY_VERTICES


def _draw_as_fits(item: bpy.types.Object, *, was_heavy: bool) -> None:
    """Views draw a heavy terrain as its box until a person wants more (Draw in Full): renders show all of it at once."""
    if is_heavy(item) and not was_heavy:
        item.display_type = "BOUNDS"
    elif was_heavy and not is_heavy(item) and item.display_type == "BOUNDS":
        item.display_type = "TEXTURED"


def update(item: bpy.types.Object, outputs: Mapping[str, Array]) -> None:
    """Bring a terrain of kind "MESH" to other heights and maps of its size: for previews, ten a second. No image is packed."""
    mesh, shape = typed.mesh(item), grid.shape_of(typed.mesh(item))
    for name, array in water.taken(outputs)[0].items():
        if array.kind is HEIGHT_MAP:
            grid.update_heights(mesh, array.values)
            materials.set_range(item, array)
        elif array.kind is COLOR_IMAGE and (image := materials.color_image_of(item)) is not None:
            images.show(image, array)
        elif array.values.shape == shape:
            _store(mesh, name, array.values)


def _heights(outputs: Mapping[str, Array], kind: str) -> tuple[str, Array]:
    if kind not in KINDS:
        raise InvalidParameter(f"There is no result {kind!r}.", hint=f"There are: {', '.join(KINDS)}.", field="output")
    for port, array in water.taken(outputs)[0].items():
        if array.kind is HEIGHT_MAP:
            return port, check(array, port)
    raise InvalidInput("There are no heights among the outputs.", field="height")


# The mesh ------------------------------------------------------------------------------------------------------------


def mesh_in_steps(
    outputs: Mapping[str, Array], *, kind: str, name: str, target: bpy.types.Object | None
) -> Generator[float, None, bpy.types.Mesh | None]:
    """The mesh that make() or replace() is going to need, in pieces of a fraction of a second: yields the share that is done.
    Returns None, at once, where it is small or needs no new one. Nothing uses the mesh yet. Raises as they do.
    """
    _, heights = _heights(outputs, kind)
    if kind in ("IMAGES", "ADAPTIVE") or heights.values.size < STEPS_FROM_VERTICES:
        return None
    if target is not None and (target.type != "MESH" or _keeps_mesh(typed.mesh(target), heights, kind)):
        return None
    return (yield from grid.build_in_steps(name, _relief(heights, kind), heights.pixel_size_m))


def _mesh(name: str, heights: Array, kind: str) -> bpy.types.Mesh:
    if kind == "ADAPTIVE":
        return grid.build_plane(name, heights.values.shape, heights.pixel_size_m)
    return grid.build(name, _relief(heights, kind), heights.pixel_size_m)


def _relief(heights: Array, kind: str) -> np.ndarray:
    """What the mesh itself has: the heights, or none where something else raises it."""
    return heights.values if kind == "MESH" else np.zeros_like(heights.values)


def _keeps_mesh(old: bpy.types.Mesh, heights: Array, kind: str) -> bool:
    return kind != "ADAPTIVE" and grid.shape_of(old) == heights.values.shape and old.shape_keys is None


def _renew_mesh(target: bpy.types.Object, heights: Array, kind: str, mesh: bpy.types.Mesh | None) -> None:
    old = typed.mesh(target)
    if _keeps_mesh(old, heights, kind):
        old[grid.SPACING_KEY] = heights.pixel_size_m
        grid.update_heights(old, _relief(heights, kind))
        return
    new = mesh or _mesh(old.name, heights, kind)
    for material in old.materials:
        new.materials.append(material)
    target.data = new
    if not old.users:
        name = old.name
        bpy.data.meshes.remove(old)
        new.name = name


def _finish(
    item: bpy.types.Object,
    outputs: Mapping[str, Array],
    port: str,
    kind: str,
    image: bpy.types.Image | None,
    with_rivers: str,
) -> None:
    """All that a terrain has besides its mesh: modifier, images, attributes, material. image: the height image it
    had, if any.
    """
    heights = outputs[port]
    if kind != "MESH":
        image = images.build(f"{item.name} {port}", heights, into=image)
    if kind == "GEOMETRY_NODES":
        displacement.by_nodes(item, typed.present(image))
    elif kind == "DISPLACE":
        displacement.by_modifier(item, typed.present(image))
    elif kind == "ADAPTIVE":
        displacement.by_cycles(item, max(heights.values.shape))
    dry, level = water.taken(outputs)
    dry, lines = rivers.taken(dry)
    shown = {name: array for name, array in dry.items() if name != port and not _grows_nowhere(name, array)}
    if water.of(item) is None and water.is_dry(shown):
        del shown[water.MASK_PORT]  # most terrains have no lakes, and a map of none is no use
    others = _without_sets(shown)
    steep = ground.slope(heights.values, heights.pixel_size_m)
    if _color_of(others):
        others = {terrain_layers.ROUGHNESS: Array(MASK, ground.roughness(others, steep)), **others}
    materials.set_range(item, heights)
    if kind == "ADAPTIVE":
        _dress_displaced(item, typed.present(image), others)
    else:
        _dress(item, steep, others)
    attributes.note_classes(item, others)
    if materials.worn_with_grounds(item) is not None:
        attributes.renew(item)
    water.renew(item, heights, others.get(water.MASK_PORT), level)
    rivers.renew(item, heights, lines, with_rivers)


def _grows_nowhere(name: str, array: Array) -> bool:
    """A density without any: to nodes it is the same as none, and to a person it is a class too many."""
    return name.startswith(scatter.PREFIX) and array.kind is MASK and not array.values.any()


def _dress(item: bpy.types.Object, steepness: np.ndarray, others: dict[str, Array]) -> None:
    """Attributes, images and material of a terrain with a vertex per pixel."""
    color = _color_of(others)
    on_vertices = [name for name, array in others.items() if array.values.shape == steepness.shape]
    for name in scatter.densities_of(item):
        if f"{scatter.PREFIX}{name}" not in on_vertices:  # of classes that are no more
            attributes = typed.mesh(item).attributes
            attributes.remove(attributes[f"{scatter.PREFIX}{name}"])
    if scatter.SLOPE not in others:
        _store(typed.mesh(item), scatter.SLOPE, steepness)
    for name in on_vertices:
        _store(typed.mesh(item), name, others[name].values)
    if not color:
        materials.wear(item)
    for name in (name for name in others if name not in on_vertices):
        _keep(item, name, others[name], is_color=name == color)


def _dress_displaced(item: bpy.types.Object, image: bpy.types.Image, others: dict[str, Array]) -> None:
    """Images and material of a plane that Cycles displaces: it has too few vertices for attributes."""
    color = _color_of(others)
    pictures = {name: _picture(item, name, array) for name, array in others.items() if maps.is_raster(array)}
    painted = pictures.pop(color, None)
    materials.wear_displaced(item, image, pictures, painted)
    for name, picture in (*pictures.items(), *([(color, painted)] if painted is not None else ())):
        if not picture.users:  # the material was there before and has no node for it
            images.keep(picture, f"{item.name} {name}")
    for array in others.values():
        if array.kind is REPORT:
            report.write(item, item.name, array)


def _without_sets(outputs: Mapping[str, Array]) -> dict[str, Array]:
    apart = maps.with_sets_split({name: (array,) for name, array in outputs.items()})
    return {name: given[0] for name, given in apart.items()}


def _color_of(outputs: Mapping[str, Array]) -> str:
    """The port of the terrain's colours, "" where there are none."""
    return next((name for name, array in outputs.items() if array.kind in (COLOR_IMAGE, TEXTURE)), "")


def _picture(item: bpy.types.Object, name: str, array: Array) -> bpy.types.Image:
    """An image of a map that a material reads, written over where it was made here before."""
    if array.kind is TEXTURE:
        return maps.image_of(f"{item.name} {name}", (array,))
    return images.build(f"{item.name} {name}", array, into=images.ours(f"{item.name} {name}"))


def _keep(item: bpy.types.Object, name: str, array: Array, *, is_color: bool) -> None:
    """What is no attribute of a vertex: the base colour, a report, a map that nothing uses yet."""
    if array.kind is REPORT:
        report.write(item, item.name, array)
    elif maps.is_raster(array):
        if is_color and (worn := _own_color_image(item, array)) is not None:
            images.build(worn.name, array, into=worn)
            return
        image = maps.image_of(f"{item.name} {name}", (array,))
        if not (is_color and materials.wear_colored(item, image)):
            images.keep(image, f"{item.name} {name}")


def _own_color_image(item: bpy.types.Object, array: Array) -> bpy.types.Image | None:
    """The image of colours of this kind that the terrain wears already, to be written over; None where it wears none."""
    worn = materials.color_image_of(item)
    is_ours = worn is not None and worn.is_float and images.kind_of(worn) == array.kind.name
    return worn if is_ours and materials.height_image_of(item) is None else None


def _store(mesh: bpy.types.Mesh, name: str, values: np.ndarray) -> None:
    """A map as an attribute per vertex, classes as INT: vertices lie in the order of an array's cells."""
    is_classes = values.dtype == np.uint8
    kind = bpy.types.IntAttribute if is_classes else bpy.types.FloatAttribute
    dtype = np.int32 if is_classes else np.float32
    attribute = mesh.attributes.get(name)
    if attribute is not None and not (isinstance(attribute, kind) and attribute.domain == "POINT"):
        mesh.attributes.remove(attribute)
        attribute = None
    if attribute is None:
        attribute = mesh.attributes.new(name, "INT" if is_classes else "FLOAT", "POINT")
    typed.of(attribute, kind).data.foreach_set("value", np.ascontiguousarray(values, dtype).ravel())
