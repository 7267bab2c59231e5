"""A painting's strokes as Grease Pencil, to draw over and to animate as drawings are: one layer, in painting order.

Made from the curves as they are now, edits included. The object is a child of the canvas.
"""

from __future__ import annotations

import bpy

from ... import compat_pencil, typed
from ...datablocks import drawn_strokes, painting
from ...shared.errors import InvalidInput
from .. import record
from . import visibility

LAYER, MODIFIER, MATERIAL = "Strokes", "Relievo Build", "Relievo Pencil"
_MATERIAL_KEY = "relievo_pencil_material"


def make(canvas: bpy.types.Object, scene: bpy.types.Scene, frames: int) -> bpy.types.Object:
    """The strokes of a canvas as Grease Pencil, shown in the place of canvas and curves; those that it has are renewed. frames: of
    the animation in which they are laid down from the scene's first frame on, 0 for none. Raises InvalidInput.
    """
    strokes = painting.strokes_of(canvas)
    if strokes is None or not isinstance(strokes.data, bpy.types.Curves) or not len(strokes.data.curves):
        raise InvalidInput(f"{canvas.name!r} has no strokes.", hint="Select a painting.", field=canvas.name)
    item = painting.pencil_of(canvas)
    if item is None:
        data = compat_pencil.new(f"{canvas.name} pencil")
        materials = data.materials  # pyright: ignore[reportAttributeAccessIssue]  # of both kinds of Grease Pencil
        materials.append(_material())
        _draw(data, strokes.data, scene.frame_start)
        item = bpy.data.objects.new(data.name, data)
        item[painting.PENCIL_KEY] = True
        item.parent = canvas
        record.collection_of(scene).objects.link(item)
        item.use_grease_pencil_lights = False
    else:
        _draw(typed.present(item.data), strokes.data, scene.frame_start)
    if frames:
        compat_pencil.build(item, MODIFIER, frames)
    for layer in scene.view_layers:
        layer.update()
    visibility.show_strokes(canvas, item, shown=True)
    visibility.hide(strokes)
    return item


def renew(canvas: bpy.types.Object) -> None:
    """Draw the Grease Pencil of a canvas from its curves again, where it has some. It begins in the frame where it began, and is
    shown or hidden as it was. What a person has drawn on other layers stays.
    """
    item, strokes = painting.pencil_of(canvas), painting.strokes_of(canvas)
    if item is None or item.data is None or strokes is None or not isinstance(strokes.data, bpy.types.Curves):
        return
    first = compat_pencil.first_frame(item.data, LAYER)
    scene = next(iter(item.users_scene), typed.present(bpy.context.scene))
    _draw(item.data, strokes.data, scene.frame_start if first is None else first)


def _draw(data: bpy.types.ID, curves: bpy.types.Curves, frame: int) -> None:
    drawn = drawn_strokes.drawn(curves)
    compat_pencil.draw(data, LAYER, frame, drawn.positions, drawn.radii, drawn.colors)


def _material() -> bpy.types.Material:
    """One for the strokes of all paintings in the file."""
    for found in bpy.data.materials:
        if found.get(_MATERIAL_KEY) and found.library is None:
            return found
    made = compat_pencil.material(MATERIAL)
    made[_MATERIAL_KEY] = True
    return made
