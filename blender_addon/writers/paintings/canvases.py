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
from ...datablocks import painting
from ...shared.algorithm import Arrays
from ...shared.arrays import COLOR_IMAGE, NORMAL_MAP, STROKES, Array
from ...shared.errors import InvalidInput
from .. import displacement, images, maps, record
from . import canvas_materials, impasto, stroke_curves, stroke_pencil, stroke_ribbons

CANVAS_M = 2.0
THICKNESS = 0.02  # of all strokes together, as a share of the canvas's longer side
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
    if choice == "IMPASTO" and (heights := impasto.heights_of(outputs)) is not None:
        impasto.raise_by(canvas, heights, size_of(outputs))
    rasters = {port: given for port, given in outputs.items() if given and maps.is_raster(given[0])}
    made = {port: maps.image_of(f"{canvas.name} {port}", given) for port, given in rasters.items()}
    worn = pictures[0][0] if shows_picture else None
    relief = _relief(canvas, outputs, made) if choice == "IMPASTO" else None
    if worn is not None and canvas_materials.wear(canvas, made[worn], lit=choice == "IMPASTO", relief=relief):
        used = (made[worn], relief.normals if relief is not None else None)
        made = {port: image for port, image in made.items() if image not in used}
    for port, image in made.items():
        images.keep(image, f"{canvas.name} {port}")
    if strokes is not None and not shows_picture:
        canvas_materials.wear_ground(canvas, strokes)
    if strokes is not None:
        _set_strokes(canvas, strokes, size_of(outputs), scene, is_hidden=shows_picture)


def _relief(
    canvas: bpy.types.Object, outputs: Arrays, made: Mapping[str, bpy.types.Image]
) -> canvas_materials.Relief | None:
    """What the material of a raised canvas needs to know, None for a flat one."""
    modifier = impasto.modifier_of(canvas)
    normals = next((port for port, given in outputs.items() if given and given[0].kind is NORMAL_MAP), None)
    if modifier is None or normals is None:
        return None
    return canvas_materials.Relief(made[normals], modifier.strength)


def _set_strokes(
    canvas: bpy.types.Object, strokes: Array, size: tuple[float, float], scene: bpy.types.Scene, *, is_hidden: bool
) -> None:
    """The strokes as the canvas's child; those that it has are replaced in place."""
    curves = stroke_curves.build(f"{canvas.name} strokes", strokes, size, THICKNESS * max(size))
    item = painting.strokes_of(canvas)
    if item is not None and isinstance(item.data, bpy.types.Curves):
        old, item.data = item.data, curves
        if not old.users:
            bpy.data.hair_curves.remove(old)
        stroke_pencil.renew(canvas)
        return
    item = bpy.data.objects.new(curves.name, curves)
    item.parent = canvas
    item[painting.STROKES_KEY] = True
    stroke_ribbons.lay_on(item, stroke_curves.material())
    record.collection_of(scene).objects.link(item)
    item.hide_render = is_hidden
    for layer in scene.view_layers:
        layer.update()  # until then a new object is not among its objects
        if is_hidden and item.name in layer.objects:
            item.hide_set(True, view_layer=layer)
