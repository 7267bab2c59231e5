"""Which texture set each ground of a terrain wears: kept on the object, saved with the file, edited in its box.

An object has an entry for each class, or for each layer of the terrain material. operators/wearing.py puts them on.
"""

from __future__ import annotations

from typing import Any

import bpy

from ..readers import grounds
from ..writers import materials, terrain_layers
from ..writers.grounds import attributes, weights

NONE, MATERIAL, IMAGE = "NONE", "MATERIAL", "IMAGE"
_SHIPPED = tuple((name.upper(), name.title(), f"Comes with Relievo: {name}") for name in grounds.SAVED_ORDER)
# the numbers are saved in files
CHOICES = (
    (NONE, "None", "No detail: the terrain's own colours", "NONE", 0),
    (MATERIAL, "Material", "The images of a material of this file", "NONE", 1),
    (IMAGE, "Image", "An image of this file", "NONE", 2),
    *((*entry, "NONE", number) for number, entry in enumerate(_SHIPPED, 16)),
)
BY_WORD = {
    **dict.fromkeys(("sand", "beach", "sediment", "desert", "dunes", "earth", "soil", "mud"), "SAND"),
    **dict.fromkeys(("grass", "grassland", "forest", "hills", "meadow", "field", "wood", "heath", "swamp"), "GRASS"),
    **dict.fromkeys(("rock", "cliff", "steep", "mountain", "mountains", "lava"), "ROCK"),
    **dict.fromkeys(("scree", "gravel", "stream", "stones", "rubble"), "SCREE"),
    **dict.fromkeys(("snow", "ice", "glacier"), "SNOW"),
}
TILE_M = 3.0  # of a set of the user's, until they say how wide it is


def _choose(entry: Any, _context: bpy.types.Context) -> None:
    entry.tile_m = tile_of(entry.texture)


class RELIEVO_PG_worn(bpy.types.PropertyGroup):
    """A ground, by the name of its class or layer, and what it wears."""

    texture: bpy.props.EnumProperty(
        name="Texture", description="Where the detail of this ground comes from", items=CHOICES, update=_choose
    )
    material: bpy.props.PointerProperty(
        name="Material", description="A material made of images: its base colour, height or normal map, and roughness",
        type=bpy.types.Material,
    )  # fmt: skip
    image: bpy.props.PointerProperty(
        name="Image", description="A photograph or texture; what is dark lies deep", type=bpy.types.Image
    )
    tile_m: bpy.props.FloatProperty(
        name="Tile",
        description="How wide one tile of the texture is on the ground, in metres; farther away tiles become larger",
        default=TILE_M, min=0.01, soft_max=100.0, max=1e6,
    )  # fmt: skip
    strength: bpy.props.FloatProperty(
        name="Strength", description="How strongly the texture shows: 0 not at all, 1 as it is",
        default=1.0, min=0.0, max=2.0,
    )  # fmt: skip


def layers_of(item: bpy.types.Object | None) -> tuple[str, ...]:
    """The grounds of a terrain that can wear texture sets; () for what has none. Cheap: for draw()."""
    if item is None or not isinstance(item.data, bpy.types.Mesh) or "slope" not in item.data.attributes:
        return ()
    if materials.height_image_of(item) is not None:
        return ()
    if classes := attributes.classes_of(item):
        return weights.layers(classes)
    return tuple(name for name in terrain_layers.LAYERS if name != "Sediment" or "sediment" in item.data.attributes)


def entries_of(item: bpy.types.Object) -> dict[str, Any]:
    """The object's entries by ground. Cheap: for draw()."""
    held = {entry.name: entry for entry in getattr(item, "relievo_worn", ())}
    return {name: held[name] for name in layers_of(item) if name in held}


def renew(item: bpy.types.Object) -> None:
    """An entry for each ground that an object has; what is chosen stays. Not for draw()."""
    held = getattr(item, "relievo_worn", None)
    if held is None:
        return
    for name in layers_of(item):
        if name not in held:
            entry = held.add()
            entry.name = name
            entry.texture = default_of(name)


def default_of(name: str) -> str:
    """What a ground of this name wears until somebody chooses."""
    return next((BY_WORD[word] for word in name.lower().split() if word in BY_WORD), NONE)


def tile_of(texture: str) -> float:
    """Width of a tile in metres: a shipped set's own, a guess for the user's."""
    name = texture.lower()
    return grounds.about(name).tile_m if name in grounds.SAVED_ORDER else TILE_M


def register() -> None:
    bpy.utils.register_class(RELIEVO_PG_worn)
    bpy.types.Object.relievo_worn = bpy.props.CollectionProperty(type=RELIEVO_PG_worn)  # pyright: ignore[reportAttributeAccessIssue]  # made here
    bpy.types.Object.relievo_unworn = bpy.props.PointerProperty(  # pyright: ignore[reportAttributeAccessIssue]
        type=bpy.types.Material, description="What the terrain wore before its textures"
    )


def unregister() -> None:
    del bpy.types.Object.relievo_worn, bpy.types.Object.relievo_unworn  # pyright: ignore[reportAttributeAccessIssue]  # made here
    bpy.utils.unregister_class(RELIEVO_PG_worn)
