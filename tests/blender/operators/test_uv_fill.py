"""A texture that fills a mesh's UVs: its size by the mesh, once over the UV square, tiling only where UVs leave it."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import requests
from blender_addon.shared import texture_set
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import algorithms
from blender_addon.shared.errors import InvalidInput
from blender_addon.ui import panels
from blender_addon.writers import preview_objects, record, surface_nodes, textures
from tests.blender.support import paper

ENGINE = "texture"
FILLS = {"scene": {record.FILLS_UVS: True}}


@pytest.fixture(autouse=True)
def filled(addon_alone):
    scene = bpy.context.scene.relievo
    scene.algorithm, scene.output.fill_uvs, scene.output.texel_density = ENGINE, True, 100.0
    scene.texture.from_exemplar.image = bpy.data.images.new("Stones", 32, 32)


def wall(width: float = 4.0, height: float = 3.0, reach: tuple[float, float] = (1.0, 1.0)) -> bpy.types.Object:
    """A plane whose UVs go from 0 to reach."""
    bpy.ops.mesh.primitive_plane_add(size=1.0)
    item = bpy.context.active_object
    item.name, item.scale = "Wall", (width, height, 1.0)
    layer = item.data.uv_layers.active
    uv = np.empty(8, np.float32)
    layer.uv.foreach_get("vector", uv)
    layer.uv.foreach_set("vector", (uv.reshape(4, 2) * reach).astype(np.float32).ravel())
    bpy.context.view_layer.update()
    return item


def asked() -> dict:
    request = requests.from_settings(bpy.context, find(algorithms(), ENGINE))
    assert bool(request.notes.get(record.FILLS_UVS)) == bool(request.target)
    return {name: request.params[name] for name in ("width", "height", "tile")}


def test_size_and_tiling_come_from_the_uvs_of_the_selected_mesh() -> None:
    assert asked()["width"] == 512, "without a mesh as the settings say"
    wall()
    assert asked() == {"width": 400, "height": 300, "tile": "none"}
    wall(reach=(2.0, 1.0))
    assert asked() == {"width": 200, "height": 300, "tile": "x"}
    bpy.context.scene.unit_settings.scale_length = 0.1
    wall(40.0, 30.0, reach=(1.0, 3.0))
    assert asked() == {"width": 400, "height": 100, "tile": "y"}
    lines = paper.draw(panels.RELIEVO_PT_settings)
    assert {"Fill UVs", "Texel Density"} <= set(lines)
    assert not {"Width", "Height", "Tiling"} & set(lines)
    bpy.context.scene.relievo.output.fill_uvs = False
    assert requests.fills_uvs(bpy.context, find(algorithms(), ENGINE), "Wall") == {}
    assert {"Width", "Height", "Tiling"} <= set(paper.draw(panels.RELIEVO_PT_settings))


def test_what_does_not_fit_is_said_with_a_density_that_does() -> None:
    wall(80.0, 10.0)
    with pytest.raises(InvalidInput, match="8000 x 1000 pixels; 16 to 4096 are possible") as refused:
        asked()
    assert refused.value.hint == "Set Texel Density to 51.2 or less."
    bpy.context.scene.relievo.output.texel_density = 51.2
    assert asked()["width"] == 4096
    wall(0.02, 0.01)
    with pytest.raises(InvalidInput, match="16 to 4096 are possible") as refused:
        asked()
    bpy.context.scene.relievo.output.texel_density = float(refused.value.hint.split()[4].replace(",", ""))
    assert asked()["height"] >= 16
    item = wall()
    item.data.uv_layers.remove(item.data.uv_layers.active)
    with pytest.raises(InvalidInput, match="has no UVs to fill"):
        asked()


@pytest.mark.parametrize("repeats", ["none", "xy"])
def test_it_covers_the_uv_square_once_whatever_lay_there_before(repeats: str) -> None:
    """Also where the mesh wore a texture that repeats every 2 m, and on the preview."""
    colors = {"base_color": np.full((30, 40, 3), 0.5, np.float32)}
    item = wall()

    def put(repeats: str, recipe: dict | None) -> bpy.types.NodeTree:
        outputs = {"material": (texture_set.stack(colors, repeats=repeats),)}
        return textures.put_on(item, outputs, depth="BYTE", uv_layer="UVMap", recipe=recipe).node_tree

    def scale(tree: bpy.types.NodeTree) -> tuple[float, float]:
        node = tree.nodes.get(surface_nodes.MESH_SIZE_NODE)
        if node is None:
            return 1.0, 1.0
        width = tree.nodes[surface_nodes.TILE_WIDTH_NODE].outputs[0].default_value
        return node.inputs[1].default_value[0] / width, node.inputs[1].default_value[1] / width

    assert scale(put(repeats, FILLS)) == pytest.approx((1.0, 1.0))
    item.data.materials.clear()
    assert scale(put("xy", None)) == pytest.approx((2.0, 1.0 * 1.5 * 40 / 30))
    assert scale(put(repeats, FILLS)) == pytest.approx((1.0, 1.0))
    look = preview_objects.Texture.of({"material": (texture_set.stack(colors, repeats=repeats),)})
    made = look.make("Preview", {"uv_layer": "UVMap", record.FILLS_UVS: True}, item)
    assert scale(made.data.materials[0].node_tree) == pytest.approx((1.0, 1.0))
