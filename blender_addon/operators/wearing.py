"""Wear Textures: texture sets on the grounds of a terrain, and back. No backend is asked."""

from __future__ import annotations

from typing import Any

import bpy

from .. import typed
from ..readers import grounds, texture_sets
from ..settings import wearing
from ..shared import texture_set
from ..shared.errors import InvalidInput
from ..writers import materials
from ..writers.grounds import attributes, images
from ..writers.grounds.images import Ground
from .reporting import reports_errors
from .results import carried_by


def put_on(item: bpy.types.Object) -> None:
    """A terrain wears what is chosen for each of its grounds. Raises InvalidInput, with nothing changed."""
    entries = wearing.entries_of(item)
    chosen = {name: entry for name, entry in entries.items() if entry.texture != wearing.NONE}
    if not chosen:
        raise InvalidInput(
            "No texture is chosen.", hint="Choose one for a ground, above the button, such as Grass or a material."
        )
    made: dict[Any, Ground] = {}
    for name, entry in chosen.items():
        key = _key(entry, name)
        made.setdefault(key, _ground(entry, name))
    worn = {name: made[_key(entry, name)] for name, entry in chosen.items()}
    before = materials.worn_with_grounds(item)
    if before is None:
        item.relievo_unworn = materials.first(item)  # pyright: ignore[reportAttributeAccessIssue]  # settings/wearing.py
    materials.wear_grounds(item, worn, by=attributes.renew(item))
    if before is not None and not before.users:
        bpy.data.materials.remove(before)


def take_off(item: bpy.types.Object) -> None:
    """A terrain wears again what it wore before its textures."""
    worn = materials.worn_with_grounds(item)
    if worn is None:
        return
    before = item.relievo_unworn  # pyright: ignore[reportAttributeAccessIssue]
    materials.wear_again(item, before)
    item.relievo_unworn = None  # pyright: ignore[reportAttributeAccessIssue]
    attributes.remove(item)
    if not worn.users:
        bpy.data.materials.remove(worn)


def _key(entry: Any, name: str) -> tuple[Any, ...]:
    source = {wearing.MATERIAL: entry.material, wearing.IMAGE: entry.image}.get(entry.texture)
    if entry.texture in (wearing.MATERIAL, wearing.IMAGE) and source is None:
        kind = entry.texture.lower()
        raise InvalidInput(f"No {kind} is chosen for {name}.", hint="Choose one, or None as its texture.", field=name)
    return entry.texture, source.name_full if source is not None else "", entry.tile_m, entry.strength


def _ground(entry: Any, name: str) -> Ground:
    """What one entry wears, read. Raises InvalidInput for a material that is not made of images."""
    look = {"tile_m": entry.tile_m, "strength": entry.strength}
    if entry.texture == wearing.MATERIAL:
        maps = texture_set.split(texture_sets.of_material(entry.material, name))
        return images.ground(entry.material.name, maps, **look)
    if entry.texture == wearing.IMAGE:
        return images.ground(entry.image.name, texture_set.split(texture_sets.of_image(entry.image)), **look)
    shipped = entry.texture.lower()
    about = grounds.about(shipped)
    deep = about.relief_m / about.tile_m
    return images.ground(shipped.title(), grounds.read(shipped), relief_share=deep, sight=about.sight, **look)


class RELIEVO_OT_wear_textures(bpy.types.Operator):
    """Give each ground of the terrain the detail of the texture that is chosen for it; press again after a change"""

    bl_idname = "relievo.wear_textures"
    bl_label = "Wear Textures"
    bl_options = {"REGISTER", "UNDO"}

    ground: bpy.props.StringProperty(
        name="Ground", description="Only for this one, such as Grassland; empty for all", options={"SKIP_SAVE"}
    )
    texture: bpy.props.StringProperty(
        name="Texture",
        description="grass, rock, scree, sand, snow, none, image:NAME or material:NAME; empty for what is chosen in the sidebar",
        options={"SKIP_SAVE"},
    )
    tile_m: bpy.props.FloatProperty(
        name="Tile", description="Width of a tile in metres; 0 for what is chosen", min=0.0, options={"SKIP_SAVE"}
    )
    strength: bpy.props.FloatProperty(
        name="Strength", description="Of the detail; below 0 for what is chosen", default=-1.0, options={"SKIP_SAVE"}
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not wearing.layers_of(carried_by(context.active_object)):
            cls.poll_message_set("Select a terrain that was made as Mesh, Geometry Nodes or Displace")
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        item = typed.present(carried_by(context.active_object))
        wearing.renew(item)
        entries = wearing.entries_of(item)
        if self.ground and self.ground not in entries:
            raise InvalidInput(
                f"{item.name!r} has no ground {self.ground!r}.", hint=f"It has: {', '.join(entries)}.", field="ground"
            )
        for entry in [entries[self.ground]] if self.ground else entries.values():
            if self.texture:
                _choose(entry, self.texture)
            if self.tile_m > 0.0:
                entry.tile_m = self.tile_m
            if self.strength >= 0.0:
                entry.strength = self.strength
        put_on(item)
        return {"FINISHED"}


def _choose(entry: Any, texture: str) -> None:
    """Set an entry from a word, as scripts write it. Raises InvalidInput for what there is not."""
    kind, _, name = texture.partition(":")
    if name and kind in ("image", "material"):
        found = {"image": bpy.data.images, "material": bpy.data.materials}[kind].get(name)
        if found is None:
            raise InvalidInput(f"There is no {kind} {name!r} in this file.", field="texture")
        entry.texture = kind.upper()
        setattr(entry, kind, found)
        return
    words = ("none", *grounds.SAVED_ORDER)
    if texture not in words:
        raise InvalidInput(
            f"There is no texture {texture!r}.",
            hint=f"There are: {', '.join(words)}, image:NAME and material:NAME.",
            field="texture",
        )
    entry.texture = texture.upper()


class RELIEVO_OT_take_off_textures(bpy.types.Operator):
    """Take the textures off the terrain: it looks as it did before"""

    bl_idname = "relievo.take_off_textures"
    bl_label = "Take Off Textures"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item = carried_by(context.active_object)
        if item is None or materials.worn_with_grounds(item) is None:
            cls.poll_message_set("Select a terrain that wears textures")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        take_off(typed.present(carried_by(context.active_object)))
        return {"FINISHED"}


CLASSES = (RELIEVO_OT_wear_textures, RELIEVO_OT_take_off_textures)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
