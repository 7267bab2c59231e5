"""A painting engine's outputs -> a canvas in the scene: a plane that shows the picture, and its strokes as editable curves.

The canvas is upright and faces -Y, as reference images do, and its longer side is CANVAS_M. With relief it is a surface of paint
that light falls on (impasto.py). The strokes are a child of the canvas; where there is a picture they are hidden, since they lie in
front of it. A picture that a mesh wore goes back onto the mesh (painted_meshes.py). Selects nothing, pushes no undo step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import bpy
import numpy as np

from ... import typed
from ...shared.algorithm import Arrays
from ...shared.arrays import COLOR_IMAGE, STROKES, Array
from ...shared.errors import InvalidInput
from .. import displacement, images, maps, record
from . import canvas_materials, impasto, stroke_curves, stroke_ribbons

CANVAS_M = 2.0
THICKNESS = 0.02  # of all strokes together, as a share of the canvas's longer side
STROKES_KEY = "relievo_strokes"  # custom property of the object that holds a canvas's strokes
PENCIL_KEY = "relievo_pencil"  # of the one that holds them as Grease Pencil
CHOICES = ("CANVAS", "STROKES", "IMAGES", "IMPASTO")


def make(
    outputs: Arrays,
    *,
    choice: str,
    name: str,
    location: tuple[float, float, float],
    scene: bpy.types.Scene,
    recipe: Mapping[str, Any] | None = None,
) -> bpy.types.ID:
    """A new canvas in the collection Relievo, or for the choice "IMAGES" the picture alone. Raises InvalidInput."""
    if choice == "IMAGES":
        return next(iter(maps.make(outputs, name=name, recipe=recipe).values()))
    canvas = record.place(name, _mesh(name, outputs, choice), location, scene)
    canvas.location.z += size_of(outputs)[1] / 2  # it stands on the place, not in it
    _fill(canvas, outputs, choice, scene)
    if recipe:
        record.write_recipe(canvas, recipe)
    return canvas


def replace(
    canvas: bpy.types.Object, outputs: Arrays, *, choice: str, recipe: Mapping[str, Any] | None = None
) -> bpy.types.ID:
    """Give a canvas another painting: it stays where it is, with its name and its own materials. Returns the canvas, or for the
    choice "IMAGES" the picture. Raises InvalidInput.
    """
    if choice == "IMAGES":
        return next(iter(maps.make(outputs, name=canvas.name, recipe=recipe).values()))
    if canvas.type != "MESH":
        raise InvalidInput(f"{canvas.name!r} is not a canvas.", hint="Paint a new one instead.", field=canvas.name)
    old = typed.mesh(canvas)
    new = _mesh(old.name, outputs, choice)
    displacement.remove(canvas)
    for material in old.materials:
        new.materials.append(material)
    canvas.data = new
    if not old.users:
        bpy.data.meshes.remove(old)
    scene = next((scene for scene in canvas.users_scene), typed.present(bpy.context.scene))
    _fill(canvas, outputs, choice, scene)
    if recipe:
        record.write_recipe(canvas, recipe)
    return canvas


def canvas_of(item: bpy.types.Object | None) -> bpy.types.Object | None:
    """The canvas that strokes belong to, curves or Grease Pencil; the object itself where it holds none."""
    holds = item is not None and (STROKES_KEY in item or PENCIL_KEY in item)
    return item.parent if item is not None and holds and item.parent is not None else item


def strokes_of(canvas: bpy.types.Object) -> bpy.types.Object | None:
    """The object with a canvas's strokes, None where it has none."""
    return next((item for item in canvas.children if STROKES_KEY in item), None)


def show_strokes(canvas: bpy.types.Object, item: bpy.types.Object, *, shown: bool) -> None:
    """Show what holds a canvas's strokes, and hide the canvas where it shows the picture, which would lie behind them; or the other
    way round.
    """
    shows_picture = canvas_materials.picture_of(canvas) is not None
    for other, is_hidden in ((canvas, shown and shows_picture), (item, not shown and shows_picture)):
        other.hide_render = is_hidden
        for scene in other.users_scene:
            for layer in scene.view_layers:
                if other.name in layer.objects:
                    other.hide_set(is_hidden, view_layer=layer)


def size_of(outputs: Arrays) -> tuple[float, float]:
    """Width and height of the canvas in Blender units."""
    for given in outputs.values():
        for array in given:
            if array.kind is STROKES:
                width, height = (float(array.attributes[f"canvas_{side}_px"]) for side in ("width", "height"))
                break
            if array.kind is COLOR_IMAGE:
                height, width = (float(side) for side in array.values.shape[:2])
                break
        else:
            continue
        return width * CANVAS_M / max(width, height), height * CANVAS_M / max(width, height)
    raise InvalidInput("There are neither strokes nor a picture among the outputs.", field="strokes")


# The canvas ----------------------------------------------------------------------------------------------------------


def _mesh(name: str, outputs: Arrays, choice: str) -> bpy.types.Mesh:
    heights = impasto.heights_of(outputs) if choice == "IMPASTO" else None
    return _plane(name, size_of(outputs)) if heights is None else impasto.surface(name, heights, size_of(outputs))


def _plane(name: str, size: tuple[float, float]) -> bpy.types.Mesh:
    """One face that looks along -Y, with a UV map over the whole picture."""
    x, z = size[0] / 2, size[1] / 2
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata([(-x, 0, -z), (x, 0, -z), (x, 0, z), (-x, 0, z)], [], [(0, 1, 2, 3)])
    layer = mesh.uv_layers.new(name="UVMap", do_init=False)
    layer.uv.foreach_set("vector", np.array([0, 0, 1, 0, 1, 1, 0, 1], np.float32))
    mesh.update()
    return mesh


def _fill(canvas: bpy.types.Object, outputs: Arrays, choice: str, scene: bpy.types.Scene) -> None:
    arrays = [(port, array) for port, given in outputs.items() for array in given]
    pictures = [(port, array) for port, array in arrays if array.kind is COLOR_IMAGE]
    strokes = next((array for _, array in arrays if array.kind is STROKES), None)
    shows_picture = bool(pictures) and (choice in ("CANVAS", "IMPASTO") or strokes is None)
    for number, (port, array) in enumerate(pictures):
        image = images.build(f"{canvas.name} {port}", array)
        if number or not shows_picture or not canvas_materials.wear(canvas, image, lit=choice == "IMPASTO"):
            images.keep(image, f"{canvas.name} {port}")
    for port, array in arrays:
        if array.kind is not COLOR_IMAGE and maps.is_raster(array):
            images.keep(maps.image_of(f"{canvas.name} {port}", (array,)), f"{canvas.name} {port}")
    if choice == "IMPASTO" and (heights := impasto.heights_of(outputs)) is not None:
        impasto.raise_by(canvas, heights, size_of(outputs))
    if strokes is not None and not shows_picture:
        canvas_materials.wear_ground(canvas, strokes)
    if strokes is not None:
        _set_strokes(canvas, strokes, size_of(outputs), scene, is_hidden=shows_picture)


def _set_strokes(
    canvas: bpy.types.Object, strokes: Array, size: tuple[float, float], scene: bpy.types.Scene, *, is_hidden: bool
) -> None:
    """The strokes as the canvas's child; those that it has are replaced in place."""
    curves = stroke_curves.build(f"{canvas.name} strokes", strokes, size, THICKNESS * max(size))
    item = strokes_of(canvas)
    if item is not None and isinstance(item.data, bpy.types.Curves):
        old, item.data = item.data, curves
        if not old.users:
            bpy.data.hair_curves.remove(old)
        return
    item = bpy.data.objects.new(curves.name, curves)
    item.parent = canvas
    item[STROKES_KEY] = True
    stroke_ribbons.lay_on(item, stroke_curves.material())
    record.collection_of(scene).objects.link(item)
    item.hide_render = is_hidden
    for layer in scene.view_layers:
        layer.update()  # until then a new object is not among its objects
        if is_hidden and item.name in layer.objects:
            item.hide_set(True, view_layer=layer)
