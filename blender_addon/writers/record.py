"""Where a result stands and what it remembers: the collection Relievo, the recipe on a datablock, and finding one
again.

Datablocks are found by name and session_uid at the moment they are needed: undo and file loads turn references into
dead ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import bpy

from ..shared.errors import InvalidInput
from ..shared.read_files import parse_json
from ..shared.recipe import check_recipe
from ..units import metres_per_unit

RECIPE_KEY = "relievo_recipe"
FILLS_UVS = (
    "fills_uvs"  # in a job's purpose and a recipe's part of the scene: a texture that covers its mesh's UV square once
)
ON_MESH = "on_mesh"  # in a job's purpose: the result goes back onto the mesh whose surface was read
SOURCE_KEY = "relievo_source_"  # and a number, of a result: an image or a material that it was made from
PREVIEW_KEY = "relievo_preview"  # of an object that shows a job's preview: the job's id
VARIATION_KEY = "relievo_variation"  # of a small terrain beside a result: what it is a variation of, as JSON
COLLECTION = "Relievo"


def write_recipe(item: bpy.types.ID, recipe: Mapping[str, Any]) -> None:
    """Put a recipe on a datablock, as JSON text that any script can read, and what it was made from beside it."""
    item[RECIPE_KEY] = json.dumps(recipe)
    _keep_sources(item, recipe)


def _keep_sources(item: bpy.types.ID, recipe: Mapping[str, Any]) -> None:
    """See to it that the images and materials that a recipe names are saved with the file as long as the result is: a custom
    property that points to one is a user of it. An image that was painted in Blender and is in no file yet is packed.
    """
    for name in [name for name in item.keys() if name.startswith(SOURCE_KEY)]:  # noqa: SIM118  # an ID is no dictionary
        del item[name]
    given = [entry for entries in recipe.get("scene", {}).get("sources", {}).values() for entry in entries]
    kinds = {"image": bpy.data.images, "material": bpy.data.materials}
    named = [(entry["kind"], entry["name"]) for entry in given]
    named += [(kind, entry["options"].get(kind)) for entry in given if entry["kind"] == "surface" for kind in kinds]
    found = [kinds[kind].get(name) for kind, name in dict.fromkeys(named) if kind in kinds]
    for number, source in enumerate([source for source in found if source is not None and source != item], 1):
        item[f"{SOURCE_KEY}{number}"] = source
        if isinstance(source, bpy.types.Image) and source.source == "GENERATED" and source.is_dirty:
            source.pack()


def recipe_on(item: bpy.types.ID | None) -> dict[str, Any] | None:
    """The recipe stored on an object or image, None if there is none that can be read."""
    text = item.get(RECIPE_KEY) if item is not None else None
    if not isinstance(text, str):
        return None
    try:
        return check_recipe(parse_json(text))
    except (ValueError, InvalidInput):
        return None


def find(datablocks: bpy.types.bpy_prop_collection, name: str, uid: int) -> Any | None:
    """The datablock with this session_uid, whatever it is called by now, or None when it is gone. name: where to
    look first.
    """
    named = datablocks.get(name)
    if named is not None and named.session_uid == uid:
        return named
    return next((candidate for candidate in datablocks if candidate.session_uid == uid), None)


def place(
    name: str, data: bpy.types.ID | None, location: tuple[float, float, float], scene: bpy.types.Scene
) -> bpy.types.Object:
    """A new object in the collection Relievo of a scene. Data are in metres: the object's scale is what makes them
    so in the scene.
    """
    item = bpy.data.objects.new(name, data)
    item.location = location
    item.scale = (1.0 / metres_per_unit(scene),) * 3
    collection_of(scene).objects.link(item)
    return item


def collection_of(scene: bpy.types.Scene) -> bpy.types.Collection:
    """The scene's collection Relievo, made where there is none. A second scene gets one of its own."""
    for child in scene.collection.children:
        if child.name.partition(".")[0] == COLLECTION:
            return child
    made = bpy.data.collections.new(COLLECTION)
    scene.collection.children.link(made)
    return made
