"""Pictures, segments and strokes from the scene as sources: what its camera sees, what a mesh wears, and a painting's strokes.

Cheap throughout: draw() and poll() ask at every redraw. Pixels are the business of readers/camera_view.py and surface_colors.py.
"""

from __future__ import annotations

import bpy

from .. import typed
from ..datablocks import painting
from ..readers import surface_colors
from ..readers.source import Source, from_json
from ..shared.algorithm import AlgorithmSpec, Port
from ..shared.arrays import CLASS_MAP
from ..shared.errors import InvalidInput
from ..writers import materials, record, textures

BY = ("OBJECT", "MATERIAL", "COLLECTION")  # what a segment of the camera's view is


def view(scene: bpy.types.Scene, port: Port, by: str = "OBJECT") -> Source:
    """What the scene's camera sees. by: of segments, one of BY. Raises InvalidInput for another, and where there is no camera."""
    if scene.camera is None:
        raise InvalidInput(
            f"{port.label}: the scene has no camera.", hint="Add one (Shift A) and render (F12).", field=port.name
        )
    if by not in BY:
        raise InvalidInput(
            f"{port.label}: {by!r} is no kind of segment.", hint=f"Take {', '.join(BY)}.", field=port.name
        )
    return Source("view", scene.camera.name, {"by": by} if port.kind is CLASS_MAP else {})


def surface(spec: AlgorithmSpec, port: Port, item: bpy.types.Object | None) -> Source:
    """What a mesh wears. A mesh that wears a result of the engine gives what that was made from, so that Generate, pressed twice,
    takes the same picture twice. Raises InvalidInput.
    """
    if item is None or item.type != "MESH":
        raise InvalidInput(
            f"{port.label}: no mesh is picked or selected.", hint="Select a mesh with a texture.", field=port.name
        )
    if (again := _made_from(spec, item)) is not None:
        return again
    if (image := materials.color_image_of(item)) is not None:  # of a terrain, whose material has other images as well
        worn = surface_colors.Worn(image, typed.present(materials.first(item)), 0, typed.mesh(item).uv_layers[0].name)
    else:
        worn = surface_colors.worn_by(item)
    return Source("surface", item.name, worn.to_json())


def strokes(port: Port, item: bpy.types.Object | None) -> Source:
    """The strokes of a painting, by its canvas or by what holds them. Raises InvalidInput where there are none."""
    canvas = painting.canvas_of(item)
    if canvas is None or painting.strokes_of(canvas) is None:
        raise InvalidInput(
            f"{port.label}: no painting with strokes is picked or selected.",
            hint="Select a painting.",
            field=port.name,
        )
    return Source("strokes", canvas.name)


def _made_from(spec: AlgorithmSpec, item: bpy.types.Object) -> Source | None:
    """Where the engine took the picture from whose result the mesh wears; None where it wears none, or that is gone."""
    recipe = record.recipe_on(textures.worn_by(item))
    if recipe is None or recipe["algorithm"] != spec.name:
        return None
    entries = (entry for given in recipe.get("scene", {}).get("sources", {}).values() for entry in given)
    source = next((from_json(entry) for entry in entries if entry["kind"] == "surface"), None)
    if source is None or str(source.options.get("image", "")) not in bpy.data.images:
        return None
    return Source("surface", item.name, source.options)
