"""The maps of a material from its nodes: the right image for each, its numbers as they are meant, or a sentence."""

from __future__ import annotations

import logging

import bpy
import numpy as np
import pytest

from blender_addon import compat
from blender_addon.readers import texture_sets
from blender_addon.shared import texture_set
from blender_addon.shared.arrays import check
from blender_addon.shared.errors import InvalidInput

SIDE = 6


def image(name: str, color, *, side: int = SIDE, data: bool = True, is_float: bool = False, rows: int = 0):
    """An image of one colour, or of pixels [H, W, 4], top row first."""
    pixels = np.ones((rows or side, side, 4), np.float32)
    pixels[..., : len(color) if np.ndim(color) == 1 else 4] = color
    made = bpy.data.images.new(name, side, rows or side, alpha=True, float_buffer=is_float, is_data=data)
    made.pixels.foreach_set(np.ascontiguousarray(pixels[::-1]).ravel())
    made.update()
    return made


class Nodes:
    """A plain material as a person wires it: a Principled BSDF on an output."""

    def __init__(self) -> None:
        self.material = bpy.data.materials.new("Plain")
        self.tree = compat.use_nodes(self.material)
        self.tree.nodes.clear()
        self.shader = self.tree.nodes.new("ShaderNodeBsdfPrincipled")
        self.output = self.tree.nodes.new("ShaderNodeOutputMaterial")
        self.link(self.shader.outputs[0], self.output.inputs["Surface"])

    def link(self, start, end) -> None:
        self.tree.links.new(start, end)

    def node(self, kind: str, **inputs):
        made = self.tree.nodes.new(f"ShaderNode{kind}")
        for name, value in inputs.items():
            made.inputs[name].default_value = value
        return made

    def texture(self, given: bpy.types.Image):
        made = self.node("TexImage")
        made.image = given
        return made

    def read(self) -> dict[str, np.ndarray]:
        return texture_set.split(check(texture_sets.of_material(self.material, "exemplar"), "exemplar"))


def middle(values: np.ndarray) -> np.ndarray:
    return values[values.shape[0] // 2, values.shape[1] // 2]


def test_every_map_of_a_plain_material_with_its_numbers_as_they_are_meant() -> None:
    nodes = Nodes()
    nodes.link(nodes.texture(image("c", (0.5, 0.2, 0.8), data=False)).outputs[0], nodes.shader.inputs["Base Color"])
    nodes.link(nodes.texture(image("r", (0.4,))).outputs[0], nodes.shader.inputs["Roughness"])
    nodes.link(nodes.texture(image("m", (0.6,))).outputs[0], nodes.shader.inputs["Metallic"])
    nodes.link(nodes.texture(image("a", (0.7, 0.7, 0.7))).outputs[0], nodes.shader.inputs["Alpha"])
    bend = nodes.node("NormalMap")
    nodes.link(nodes.texture(image("n", (0.8, 0.6, 0.9), is_float=True)).outputs[0], bend.inputs["Color"])
    nodes.link(bend.outputs[0], nodes.shader.inputs["Normal"])
    raised = nodes.node("Displacement")
    nodes.link(nodes.texture(image("h", (3.25,), is_float=True)).outputs[0], raised.inputs["Height"])
    nodes.link(raised.outputs[0], nodes.output.inputs["Displacement"])
    maps = nodes.read()
    assert list(maps) == ["base_color", "roughness", "metallic", "alpha", "normal", "height"]
    assert {values.shape[:2] for values in maps.values()} == {(SIDE, SIDE)}
    np.testing.assert_allclose(middle(maps["base_color"]), [0.2140, 0.0331, 0.6038], atol=0.004)
    for name, wanted in (("roughness", 0.4), ("metallic", 0.6), ("alpha", 0.7)):
        np.testing.assert_allclose(middle(maps[name]), wanted, atol=0.003)
    np.testing.assert_allclose(middle(maps["height"]), 3.25, atol=1e-6)
    np.testing.assert_allclose(
        middle(maps["normal"]), np.array([0.6, 0.2, 0.8]) / np.linalg.norm([0.6, 0.2, 0.8]), atol=1e-4
    )


def test_colours_that_are_no_srgb_stay_as_they_are() -> None:
    for made in (image("data", (0.5, 0.5, 0.5)), image("float", (0.5, 0.5, 0.5), data=False, is_float=True)):
        nodes = Nodes()
        nodes.link(nodes.texture(made).outputs[0], nodes.shader.inputs["Base Color"])
        np.testing.assert_allclose(middle(nodes.read()["base_color"]), 0.5, atol=0.003)


def test_values_without_an_image_come_along() -> None:
    nodes = Nodes()
    nodes.shader.inputs["Roughness"].default_value = 0.3
    nodes.link(nodes.texture(image("c", (0.5, 0.5, 0.5))).outputs[0], nodes.shader.inputs["Base Color"])
    maps = nodes.read()
    assert set(maps) == {"base_color", "roughness"}
    np.testing.assert_allclose(maps["roughness"], 0.3, atol=1e-6)


def test_channels_of_a_packed_image_and_what_inverts_them() -> None:
    """Occlusion, gloss and metal in red, green and blue of one image, as games have them."""
    nodes = Nodes()
    apart, turned = nodes.node("SeparateColor"), nodes.node("Invert")
    nodes.link(nodes.texture(image("orm", (0.9, 0.2, 0.6))).outputs[0], apart.inputs[0])
    nodes.link(apart.outputs[1], turned.inputs["Color"])
    nodes.link(turned.outputs[0], nodes.shader.inputs["Roughness"])
    nodes.link(apart.outputs[2], nodes.shader.inputs["Metallic"])
    maps = nodes.read()
    np.testing.assert_allclose(middle(maps["roughness"]), 0.8, atol=0.003)
    np.testing.assert_allclose(middle(maps["metallic"]), 0.6, atol=0.003)


def test_a_mix_with_a_mask_gives_the_colour_and_not_the_mask() -> None:
    nodes = Nodes()
    mix = nodes.tree.nodes.new("ShaderNodeMix")
    mix.data_type = "RGBA"
    sockets = {socket.identifier: socket for socket in mix.inputs}
    nodes.link(nodes.texture(image("mask", (1.0, 1.0, 1.0))).outputs[0], sockets["Factor_Float"])
    nodes.link(nodes.texture(image("c", (0.25, 0.25, 0.25))).outputs[0], sockets["A_Color"])
    nodes.link(next(s for s in mix.outputs if s.identifier == "Result_Color"), nodes.shader.inputs["Base Color"])
    np.testing.assert_allclose(middle(nodes.read()["base_color"]), 0.25, atol=0.003)


def normals(nodes: Nodes, name: str = "n"):
    bend = nodes.node("NormalMap")
    given = nodes.texture(image(name, (0.5, 0.8, 0.9), is_float=True))
    nodes.link(bend.outputs[0], nodes.shader.inputs["Normal"])
    return given, bend


@pytest.mark.parametrize("how", ["as it is", "name", "nodes", "curve", "convention"])
def test_normals_point_up_whatever_says_that_green_is_down(how: str) -> None:
    nodes = Nodes()
    given, bend = normals(nodes, "Brick_NormalDX.png" if how == "name" else "normal")
    start = given.outputs[0]
    if how == "nodes":
        apart, turned, together = nodes.node("SeparateColor"), nodes.node("Invert"), nodes.node("CombineColor")
        nodes.link(start, apart.inputs[0])
        nodes.link(apart.outputs[0], together.inputs[0])
        nodes.link(apart.outputs[1], turned.inputs["Color"])
        nodes.link(turned.outputs[0], together.inputs[1])
        nodes.link(apart.outputs[2], together.inputs[2])
        start = together.outputs[0]
    elif how == "curve":
        curves = nodes.node("RGBCurve")
        curves.mapping.curves[1].points[0].location, curves.mapping.curves[1].points[1].location = (0, 1), (1, 0)
        nodes.link(start, curves.inputs["Color"])
        start = curves.outputs[0]
    elif how == "convention":
        if "convention" not in bend.bl_rna.properties:
            pytest.skip("Normal Map nodes have it from Blender 5.1 on")
        bend.convention = "DIRECTX"
    nodes.link(start, bend.inputs["Color"])
    up = middle(nodes.read()["normal"])[1]
    assert up > 0.5 if how == "as it is" else up < -0.5


def test_height_of_a_bump_node_with_a_normal_map_below() -> None:
    nodes = Nodes()
    given, bend = normals(nodes)
    nodes.link(given.outputs[0], bend.inputs["Color"])
    bump = nodes.node("Bump")
    nodes.link(nodes.texture(image("h", (0.75, 0.75, 0.75))).outputs[0], bump.inputs["Height"])
    nodes.link(bend.outputs[0], bump.inputs["Normal"])
    nodes.link(bump.outputs[0], nodes.shader.inputs["Normal"])
    maps = nodes.read()
    np.testing.assert_allclose(middle(maps["height"]), 0.75, atol=0.003)
    assert middle(maps["normal"])[1] > 0.5


def test_through_groups_reroutes_and_muted_nodes() -> None:
    nodes = Nodes()
    group = bpy.data.node_groups.new("Look", "ShaderNodeTree")
    group.interface.new_socket("Tint", in_out="INPUT", socket_type="NodeSocketColor")
    group.interface.new_socket("Shader", in_out="OUTPUT", socket_type="NodeSocketShader")
    inside, outside = group.nodes.new("NodeGroupInput"), group.nodes.new("NodeGroupOutput")
    shader, gamma = group.nodes.new("ShaderNodeBsdfPrincipled"), group.nodes.new("ShaderNodeGamma")
    gamma.mute = True
    group.links.new(inside.outputs[0], gamma.inputs["Color"])
    group.links.new(gamma.outputs[0], shader.inputs["Base Color"])
    group.links.new(shader.outputs[0], outside.inputs[0])
    user = nodes.node("Group")
    user.node_tree = group
    reroute = nodes.tree.nodes.new("NodeReroute")
    nodes.link(nodes.texture(image("c", (0.5, 0.25, 0.75))).outputs[0], reroute.inputs[0])
    nodes.link(reroute.outputs[0], user.inputs[0])
    nodes.link(user.outputs[0], nodes.output.inputs["Surface"])
    np.testing.assert_allclose(middle(nodes.read()["base_color"]), (0.5, 0.25, 0.75), atol=0.003)


def test_maps_of_other_sizes_are_resampled_to_the_colour() -> None:
    nodes = Nodes()
    nodes.link(nodes.texture(image("c", (0.5, 0.5, 0.5), side=8)).outputs[0], nodes.shader.inputs["Base Color"])
    fine = np.ones((16, 16, 4), np.float32)
    fine[:8, :, 0] = 0.0  # the upper half
    nodes.link(nodes.texture(image("r", fine, side=16)).outputs[0], nodes.shader.inputs["Roughness"])
    ramp = np.ones((4, 4, 4), np.float32)
    ramp[..., 0] = np.arange(4) / 3
    nodes.link(nodes.texture(image("m", ramp, side=4, is_float=True)).outputs[0], nodes.shader.inputs["Metallic"])
    maps = nodes.read()
    np.testing.assert_allclose(maps["roughness"][:, 3, 0], [0, 0, 0, 0, 1, 1, 1, 1], atol=0.003)
    np.testing.assert_allclose(maps["metallic"][3, :, 0], np.clip((np.arange(8) / 2 - 0.25) / 3, 0, 1), atol=1e-5)


def test_an_image_alone_is_the_colour_and_its_transparency() -> None:
    pixels = np.full((SIDE, SIDE, 4), 0.5, np.float32)
    pixels[0, :, 3] = 0.0  # the top row
    maps = texture_set.split(texture_sets.of_image(image("leaf", pixels, data=False)))
    np.testing.assert_allclose(middle(maps["base_color"]), 0.2140, atol=0.004)
    assert maps["alpha"][0].max() == 0.0
    opaque = texture_set.split(texture_sets.of_image(image("wall", (0.5, 0.5, 0.5))))
    assert set(opaque) == {"base_color"}


def test_a_scaled_mapping_is_ignored_and_said_so(caplog) -> None:
    nodes = Nodes()
    mapping, given = nodes.node("Mapping", Scale=(3.0, 3.0, 1.0)), nodes.texture(image("c", (0.5, 0.5, 0.5)))
    nodes.link(mapping.outputs[0], given.inputs["Vector"])
    nodes.link(given.outputs[0], nodes.shader.inputs["Base Color"])
    with caplog.at_level(logging.WARNING):
        assert middle(nodes.read()["base_color"]).shape == (3,)
    assert "scale of the node 'Mapping' is ignored" in caplog.text


# What cannot be read --------------------------------------------------------------------------------------------------


def refused(nodes: Nodes) -> str:
    with pytest.raises(InvalidInput) as error:
        nodes.read()
    assert error.value.hint
    return error.value.message


def test_a_material_without_images_or_without_a_principled_shader_says_so() -> None:
    nodes = Nodes()
    nodes.link(nodes.node("TexNoise").outputs[0], nodes.shader.inputs["Base Color"])
    assert refused(nodes) == "The material 'Plain' has no image textures."
    glow = nodes.node("Emission")
    nodes.link(nodes.texture(image("c", (0.5, 0.5, 0.5))).outputs[0], glow.inputs["Color"])
    nodes.link(glow.outputs[0], nodes.output.inputs["Surface"])
    assert refused(nodes) == "The material 'Plain' has no Principled BSDF on its output."
    nodes.tree.nodes.clear()
    assert refused(nodes) == "The material 'Plain' has no Principled BSDF on its output."


def test_images_that_are_empty_missing_tiled_or_of_another_shape_say_so(tmp_path) -> None:
    nodes = Nodes()
    given = nodes.node("TexImage")
    nodes.link(given.outputs[0], nodes.shader.inputs["Base Color"])
    assert "has no image" in refused(nodes)
    given.image = bpy.data.images.new("gone", 4, 4)
    given.image.source, given.image.filepath = "FILE", str(tmp_path / "gone.png")
    assert refused(nodes) == "The image 'gone' has no pixels."
    given.image = image("udim", (0.5, 0.5, 0.5))
    given.image.source = "TILED"
    assert "UDIM tiles" in refused(nodes)
    given.image = image("c", (0.5, 0.5, 0.5))
    nodes.link(nodes.texture(image("r", (0.5,), rows=3)).outputs[0], nodes.shader.inputs["Roughness"])
    assert refused(nodes) == ("The maps of the material 'Plain' differ in shape: 'c' is 6 x 6 pixels, 'r' is 6 x 3.")


def test_a_graph_that_branches_and_joins_again_and_again_is_read_at_once() -> None:
    nodes = Nodes()
    last = nodes.texture(image("c", (0.5, 0.5, 0.5))).outputs[0]
    for _ in range(40):
        mix = nodes.node("MixRGB")
        nodes.link(last, mix.inputs[1])
        nodes.link(last, mix.inputs[2])
        last = mix.outputs[0]
    nodes.link(last, nodes.shader.inputs["Base Color"])
    assert set(nodes.read()) == {"base_color", "roughness"}
