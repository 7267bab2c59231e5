"""Mark as Asset: a material that was made here goes into the Asset Browser, with its picture, and out again."""

from __future__ import annotations

import bpy

from .. import requests, typed
from ..shared.errors import InvalidInput
from ..writers import asset_previews, surface_nodes, textures
from .reporting import reports_errors


class RELIEVO_OT_mark_asset(bpy.types.Operator):
    """Show the material in the Asset Browser, with a picture of its maps; press again to take it out"""

    bl_idname = "relievo.mark_asset"
    bl_label = "Mark as Asset"
    bl_options = {"REGISTER", "UNDO"}

    material: bpy.props.StringProperty(
        name="Material",
        description="Name of a material that Relievo has made; empty for that of the selected mesh",
        options={"SKIP_SAVE"},
    )

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        item = context.active_object
        named = bpy.data.materials.get(self.material) if self.material else None
        material = named if self.material or item is None else textures.worn_by(item)
        if material is None or textures.image_of(material) is None:
            what = f"There is no material {self.material!r} of Relievo." if self.material else "No texture is selected."
            raise InvalidInput(what, hint="Select a mesh with a texture that Relievo has made.", field="material")
        if material.asset_data is not None:
            material.asset_clear()
        else:
            mark(material)
        return {"FINISHED"}


def mark(material: bpy.types.Material) -> None:
    """Make an asset of a material made here, which fits meshes whose UV map has another name as well."""
    material.asset_mark()
    data = typed.present(material.asset_data)
    nodes = typed.tree_of(material).nodes
    recipe = requests.recipe_on(material) or {}
    given = [entry["name"] for entries in recipe.get("scene", {}).get("sources", {}).values() for entry in entries]
    data.description = f"Made by Relievo from {', '.join(given)}" if given else "Made by Relievo"
    for tag in ("relievo", *(["tiling"] if surface_nodes.REPEAT_NODE in nodes else [])):
        data.tags.new(tag, skip_if_exists=True)
    for name in (surface_nodes.UV_NODE, surface_nodes.NORMALS_NODE):
        node = nodes.get(name)
        if isinstance(node, bpy.types.ShaderNodeUVMap | bpy.types.ShaderNodeNormalMap) and _is_usual(
            material, node.uv_map
        ):
            node.uv_map = ""
    asset_previews.renew(material)


def _is_usual(material: bpy.types.Material, layer: str) -> bool:
    """Whether each mesh that wears the material renders these UVs anyhow, where no UV map is named."""
    meshes = [item.data for item in bpy.data.objects if material.name in {slot.name for slot in item.material_slots}]
    layers = [mesh.uv_layers for mesh in meshes if isinstance(mesh, bpy.types.Mesh)]
    return all(layer in found and found[layer].active_render for found in layers)


CLASSES = (RELIEVO_OT_mark_asset,)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
