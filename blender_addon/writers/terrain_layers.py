"""What a terrain looks like, as shader nodes: rock, scree, sediment, grass, water and snow by slope, height and the engines' maps,
or a terrain's own colours. Either may wear texture sets.

Which material an object wears is writers/materials.py. Colours are linear.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import bpy

from .. import typed
from . import ground
from .grounds import blending
from .grounds.images import Ground
from .shader_graph import Color, ShaderGraph, Socket, Value

LOW_KEY, HIGH_KEY = (
    "relievo_low_m",
    "relievo_high_m",
)  # custom properties of an object: its own lowest and highest point
AREA_KEY = "relievo_area_m2"
ROUGHNESS = "roughness"  # attribute of a terrain that has colours
HAZE_KEY = "relievo_haze"  # share of light lost per metre of air; 0 or absent: none
COLOR_NODE = "Relievo Color"

ROCK_DARK, ROCK_LIGHT = (0.100, 0.080, 0.066), (0.27, 0.222, 0.178)
SCREE = (0.275, 0.255, 0.225)
GRASS_LUSH, GRASS_DRY = (0.036, 0.064, 0.015), (0.145, 0.135, 0.040)
SNOW = (0.84, 0.87, 0.91)
SEDIMENT = (0.32, 0.28, 0.21)
FRESH_ROCK = (0.26, 0.215, 0.175)
WATER = (0.012, 0.022, 0.026)
HALF = (0.5, 0.5, 0.5)
FRAY = 5.0  # pixels of a terrain's colours over the range of a noise that mostly stays in its middle third
AIR = (0.44, 0.55, 0.70)


@dataclass(frozen=True)
class _Ground:
    """What the layers look at. height: 0 at the lowest, 1 at the highest point. slope: degrees. mottle: noise
    around 0.
    """

    height: Socket
    slope: Socket
    mottle: Socket
    grit: Socket
    position: Socket  # in units of the terrain's relief
    maps: Mapping[str, Socket]


@dataclass(frozen=True)
class _Layer:
    """A layer of the terrain material. where: the share of what lies below that it covers, 0..1."""

    name: str
    where: Value
    color: Color


LAYERS = ("Rock", "Scree", "Sediment", "Grass", "Snow")  # those that can wear a texture set
SNOW_LAYER, WATER_LAYER = LAYERS[-1], "Water"
Grounds = Mapping[str, Ground]


def surface(graph: ShaderGraph, maps: Mapping[str, Socket], colors: Socket | None = None) -> bpy.types.Node:
    """The whole surface, of all layers or of given colours; returns the output node.

    Colours go without haze: exporters find a picture only where its shader is the surface itself, and take haze for a glow.
    """
    output = graph.node("ShaderNodeOutputMaterial")
    if colors is None:
        graph.feed(output.inputs["Surface"], _haze(graph, _layers(graph, maps).outputs["BSDF"]))
        return output
    shader = graph.node("ShaderNodeBsdfPrincipled")
    graph.feed(shader.inputs["Base Color"], colors)
    graph.feed(shader.inputs["Roughness"], _roughness(graph, maps))
    graph.feed(shader.inputs["Specular IOR Level"], 0.25)
    graph.feed(output.inputs["Surface"], shader.outputs["BSDF"])
    return output


def worn_layers(graph: ShaderGraph, grounds: Grounds) -> None:
    """The whole surface of a terrain without colours, each layer with the detail of the set that it wears."""
    maps = {name: graph.attribute(name) for name in ("flow", "sediment", "wear")}
    output = graph.node("ShaderNodeOutputMaterial")
    graph.feed(output.inputs["Surface"], _haze(graph, _layers(graph, maps, grounds).outputs["BSDF"]))


def _roughness(graph: ShaderGraph, maps: Mapping[str, Socket]) -> Socket | float:
    """Of colours: as their map says, dry where there is none, as on a preview's mesh."""
    given = maps.get(ROUGHNESS)
    if given is None:
        return ground.DRY
    return graph.math("MULTIPLY_ADD", graph.math("LESS_THAN", given, 1e-3), ground.DRY, given)


def _layers(graph: ShaderGraph, maps: Mapping[str, Socket], grounds: Grounds | None = None) -> bpy.types.Node:
    """All layers by slope, height and maps; returns the shader node. grounds: what the layers wear, by name."""
    ground = _ground(graph, maps)
    stack = _stack(graph, ground)
    where = {layer.name: layer.where for layer in stack}
    snow, water = where[SNOW_LAYER], where[WATER_LAYER]
    rough = graph.math("SUBTRACT", graph.math("MULTIPLY_ADD", snow, -0.3, 0.92), graph.math("MULTIPLY", water, 0.5))
    if grounds is None:
        color: Color = stack[0].color
        for layer in stack[1:]:
            color = graph.mix(layer.where, color, layer.color)
        normal = _grain(graph, ground, snow)
    else:
        worn = blending.shaded(graph, _worn(graph, stack, grounds))
        color, normal, rough = worn.color, _raised(graph, worn.height), graph.math("ADD", rough, worn.rough)
    shader = graph.node("ShaderNodeBsdfPrincipled")
    graph.feed(shader.inputs["Base Color"], color)
    graph.feed(shader.inputs["Roughness"], rough)
    graph.feed(shader.inputs["Specular IOR Level"], 0.25)
    graph.feed(shader.inputs["Normal"], normal)
    return shader


def _stack(graph: ShaderGraph, ground: _Ground) -> list[_Layer]:
    """The layers from the ground up, each covering those before it."""
    rock = _Layer(LAYERS[0], 1.0, _wear(graph, ground, _rock(graph, ground)))
    covers = (_scree, _sediment, _grass, _water, _snow)
    return [rock, *(layer for cover in covers if (layer := cover(graph, ground)) is not None)]


def _worn(graph: ShaderGraph, stack: list[_Layer], grounds: Grounds) -> list[blending.Layer]:
    """How much of each layer is seen, and what it wears."""
    left: Value = 1.0
    found = []
    for layer in reversed(stack):
        seen = graph.math("MULTIPLY", left, layer.where)
        left = graph.math("SUBTRACT", left, seen)
        found.append(blending.Layer(seen, grounds.get(layer.name), layer.color))
    return found


def _raised(graph: ShaderGraph, height: Socket) -> Socket:
    """The normal of a surface that stands out by so many units of the scene."""
    bump = graph.node("ShaderNodeBump")
    graph.feed(bump.inputs["Strength"], 1.0)
    graph.feed(bump.inputs["Distance"], 1.0)
    graph.feed(bump.inputs["Height"], height)
    return bump.outputs["Normal"]


def _ground(graph: ShaderGraph, maps: Mapping[str, Socket]) -> _Ground:
    position = graph.node("ShaderNodeTexCoord").outputs["Object"]
    low = graph.attribute(LOW_KEY, of_object=True)
    relief = graph.math("MAXIMUM", graph.math("SUBTRACT", graph.attribute(HIGH_KEY, of_object=True), low), 1e-3)
    split = graph.node("ShaderNodeSeparateXYZ")
    graph.feed(split.inputs[0], position)
    height = graph.math("DIVIDE", graph.math("SUBTRACT", split.outputs["Z"], low), relief)
    normal = graph.node("ShaderNodeSeparateXYZ")
    graph.feed(normal.inputs[0], graph.node("ShaderNodeNewGeometry").outputs["Normal"])
    steepness = graph.math("ARCCOSINE", graph.math("MINIMUM", graph.math("ABSOLUTE", normal.outputs["Z"]), 1.0))
    scaled = graph.node("ShaderNodeVectorMath", operation="SCALE")
    graph.feed(scaled.inputs[0], position)
    graph.feed(scaled.inputs["Scale"], graph.math("DIVIDE", 1.0, relief))
    mottle = graph.math("SUBTRACT", graph.fractal(scaled.outputs["Vector"], 7.0, detail=5.0, roughness=0.6), 0.5)
    grit = graph.math("SUBTRACT", graph.fractal(scaled.outputs["Vector"], 34.0, detail=6.0, roughness=0.65), 0.5)
    return _Ground(height, graph.math("DEGREES", steepness), mottle, grit, scaled.outputs["Vector"], maps)


def _rock(graph: ShaderGraph, ground: _Ground) -> Socket:
    """Bare rock in tilted, uneven beds."""
    split = graph.node("ShaderNodeSeparateXYZ")
    graph.feed(split.inputs[0], ground.position)
    tilted = graph.math("MULTIPLY_ADD", split.outputs["X"], 0.12, split.outputs["Z"])
    bed = graph.node("ShaderNodeCombineXYZ")
    graph.feed(bed.inputs["Z"], graph.math("MULTIPLY_ADD", ground.mottle, 0.06, tilted))
    beds = graph.fractal(bed.outputs["Vector"], 16.0, detail=2.0)
    weathered = graph.math("MULTIPLY_ADD", ground.grit, 1.1, graph.math("MULTIPLY_ADD", ground.mottle, 0.6, beds))
    return graph.mix(graph.smoothstep(weathered, 0.22, 0.8), ROCK_DARK, ROCK_LIGHT)


def _wear(graph: ShaderGraph, ground: _Ground, below: Socket) -> Socket:
    """Rock that water has laid bare is fresher."""
    return (
        graph.mix(graph.math("MULTIPLY", graph.smoothstep(ground.maps["wear"], 0.2, 0.9), 0.5), below, FRESH_ROCK)
        if "wear" in ground.maps
        else below
    )


def _scree(graph: ShaderGraph, ground: _Ground) -> _Layer:
    """Loose stones lie up to their angle of repose."""
    slope = graph.math("MULTIPLY_ADD", ground.mottle, 22.0, graph.math("MULTIPLY_ADD", ground.grit, 16.0, ground.slope))
    return _Layer("Scree", graph.math("MULTIPLY", graph.smoothstep(slope, 38.0, 29.0), 0.6), SCREE)


def _sediment(graph: ShaderGraph, ground: _Ground) -> _Layer | None:
    if "sediment" not in ground.maps:
        return None
    where = graph.math("MULTIPLY", graph.smoothstep(ground.maps["sediment"], 0.1, 0.6), 0.8)
    return _Layer("Sediment", where, SEDIMENT)


def _grass(graph: ShaderGraph, ground: _Ground) -> _Layer:
    """On gentle ground below the tree line; lush in the valleys, dry towards the line."""
    height = graph.math("MULTIPLY_ADD", ground.mottle, 0.35, ground.height)
    slope = graph.math("MULTIPLY_ADD", ground.mottle, 26.0, graph.math("MULTIPLY_ADD", ground.grit, 14.0, ground.slope))
    where = graph.math("MULTIPLY", graph.smoothstep(slope, 37.0, 24.0), graph.smoothstep(height, 0.62, 0.42))
    dryness = graph.math("MULTIPLY_ADD", ground.grit, 0.7, height)
    blades = graph.mix(graph.smoothstep(dryness, 0.05, 0.45), GRASS_LUSH, GRASS_DRY)
    return _Layer("Grass", graph.math("MULTIPLY", where, 0.92), blades)


def _water(graph: ShaderGraph, ground: _Ground) -> _Layer:
    """Streams where much land drains through a cell: from a 3000th of the map, full from a 100th."""
    if "flow" not in ground.maps:
        return _Layer(WATER_LAYER, graph.math("MULTIPLY", 0.0, 0.0), WATER)
    share = graph.math(
        "DIVIDE", ground.maps["flow"], graph.math("MAXIMUM", graph.attribute(AREA_KEY, of_object=True), 1.0)
    )
    order = graph.math("LOGARITHM", graph.math("MAXIMUM", share, 1e-9), 10.0)
    where = graph.math("MULTIPLY", graph.smoothstep(order, -3.5, -2.0), graph.smoothstep(ground.slope, 35.0, 15.0))
    return _Layer(WATER_LAYER, where, WATER)


def _snow(graph: ShaderGraph, ground: _Ground) -> _Layer:
    """High up, where it is not too steep to lie; the higher the steeper it holds."""
    height = graph.math("MULTIPLY_ADD", ground.mottle, 0.30, ground.height)
    holds = graph.math(
        "MULTIPLY_ADD", ground.height, -18.0, graph.math("MULTIPLY_ADD", ground.mottle, 20.0, ground.slope)
    )
    where = graph.math("MULTIPLY", graph.smoothstep(height, 0.60, 0.74), graph.smoothstep(holds, 36.0, 24.0))
    return _Layer(SNOW_LAYER, where, SNOW)


def _grain(graph: ShaderGraph, ground: _Ground, snow: Value) -> Socket:
    """Roughness too small for the mesh; snow lies over it."""
    bump = graph.node("ShaderNodeBump")
    graph.feed(bump.inputs["Strength"], graph.math("MULTIPLY_ADD", snow, -0.3, 0.35))
    graph.feed(
        bump.inputs["Distance"],
        graph.math(
            "MULTIPLY",
            graph.math("SUBTRACT", graph.attribute(HIGH_KEY, of_object=True), graph.attribute(LOW_KEY, of_object=True)),
            0.004,
        ),
    )
    graph.feed(bump.inputs["Height"], graph.fractal(ground.position, 28.0, detail=3.0, roughness=0.5))
    return bump.outputs["Normal"]


def _haze(graph: ShaderGraph, surface: Socket) -> Socket:
    """Air between the eye and the ground, Beer-Lambert; costs nothing to render, unlike a volume. Off until the
    object says how dense.
    """
    density = graph.attribute(HAZE_KEY, of_object=True)
    distance = graph.node("ShaderNodeCameraData").outputs["View Distance"]
    thickness = graph.math(
        "SUBTRACT", 1.0, graph.math("POWER", 0.3678794, graph.math("MULTIPLY", density, distance)), clamp=True
    )
    air = graph.node("ShaderNodeEmission")
    graph.feed(air.inputs["Color"], AIR)
    graph.feed(air.inputs["Strength"], 1.0)
    seen = graph.math("MULTIPLY", thickness, graph.node("ShaderNodeLightPath").outputs["Is Camera Ray"])
    mixed = graph.node("ShaderNodeMixShader")
    graph.feed(mixed.inputs[0], seen)
    graph.feed(mixed.inputs[1], surface)
    graph.feed(mixed.inputs[2], air.outputs["Emission"])
    return mixed.outputs["Shader"]


# Terrains with colours of their own -----------------------------------------------------------------------------------


def colors_of(graph: ShaderGraph, image: bpy.types.Image) -> Socket:
    sampled = graph.image(image)
    sampled.name = COLOR_NODE
    return sampled.outputs["Color"]


def _frayed(graph: ShaderGraph, image: bpy.types.Image) -> Socket:
    """The terrain's colours, moved by up to a pixel or two: from close by, borders between colours are ragged and not smeared."""
    colors = colors_of(graph, image)
    place = graph.node("ShaderNodeTexCoord").outputs["UV"]
    columns, rows = typed.size(image)
    off = graph.node("ShaderNodeTexNoise", noise_dimensions="2D")
    graph.feed(off.inputs["Vector"], place)
    graph.feed(off.inputs["Scale"], 0.4 * max(columns, rows))
    graph.feed(off.inputs["Detail"], 6.0)
    graph.feed(off.inputs["Roughness"], 0.7)
    moved = graph.vector(
        "MULTIPLY", graph.vector("SUBTRACT", off.outputs["Color"], HALF), (FRAY / columns, FRAY / rows, 0.0)
    )
    graph.feed(graph.tree.nodes[COLOR_NODE].inputs["Vector"], graph.vector("ADD", place, moved))
    return colors


def _weighed(graph: ShaderGraph, grounds: Grounds, by: Mapping[str, str]) -> list[blending.Layer]:
    """The grounds of a terrain that has colours: by its attributes, or by slope and height where it has none."""
    if not by:
        maps = {name: graph.attribute(name) for name in ("flow", "sediment")}
        stack = _stack(graph, _ground(graph, maps))
        return [replace(layer, color=None) for layer in _worn(graph, stack, grounds)]
    weights = {name: graph.attribute(attribute) for name, attribute in by.items() if name in grounds}
    bare: Value = 1.0
    for weight in weights.values():
        bare = graph.math("SUBTRACT", bare, weight)
    layers = [blending.Layer(weight, grounds[name]) for name, weight in weights.items()]
    return [*layers, blending.Layer(graph.math("MAXIMUM", bare, 1e-4), None)]


def worn_colors(graph: ShaderGraph, image: bpy.types.Image, grounds: Grounds, by: Mapping[str, str]) -> None:
    """The whole surface of a terrain that has colours, with the detail of the sets that it wears.

    by: the attribute with the weights of each ground; empty where slope and height decide.
    """
    output = graph.node("ShaderNodeOutputMaterial")
    colors = _frayed(graph, image)
    worn = blending.shaded(graph, _weighed(graph, grounds, by))
    shader = graph.node("ShaderNodeBsdfPrincipled")
    graph.feed(shader.inputs["Base Color"], graph.vector("MULTIPLY", colors, worn.color))
    dry = _roughness(graph, {ROUGHNESS: graph.attribute(ROUGHNESS)})
    graph.feed(shader.inputs["Roughness"], graph.math("ADD", dry, worn.rough))
    graph.feed(shader.inputs["Specular IOR Level"], 0.25)
    graph.feed(shader.inputs["Normal"], _raised(graph, worn.height))
    graph.feed(output.inputs["Surface"], shader.outputs["BSDF"])
