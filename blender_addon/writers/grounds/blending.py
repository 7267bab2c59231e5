"""Shader nodes of a terrain that wears texture sets: box-projected, without visible repetition, grown into each other by height.

Each layer shows its set at two sizes at once, one twice the other and turned against it; which one is seen where, noise says.
Farther away the sizes double, so that a tile keeps about its size in the picture: close ground has grain, and far ground does not
flicker. A set gives detail relative to its own mean; the colours are the terrain's. Cycles and EEVEE, one graph for both.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..shader_graph import Color, ShaderGraph, Socket, Value
from .detail import MOST
from .images import Ground

TURNS_DEG = (24.0, -31.0)  # of the two sizes; steep ground is stretched by 1 / cos of it
BLEND = 0.3  # of the box projection's edges
PATCH_M, PATCHES = 3000.0, 11.0  # longest wavelength of the noise that mixes the sizes, and its octaves
SPREAD = 3.6  # how far that noise, whose deviation is about 0.1, moves the size, in doublings
BITE = 7.0  # how much heights decide where two layers meet: powers of 2 between the lowest and the highest
FADE = 0.06  # of the detail, with each doubling


@dataclass(frozen=True)
class Layer:
    """weight: how much of it there is, 0..1. color: of the terrain there; None where one colour is given for all."""

    weight: Value
    ground: Ground | None
    color: Color | None = None


@dataclass(frozen=True)
class Shaded:
    """color: of the terrain, or what its colour is to be multiplied with. height: above the mesh, in units of the scene.
    rough: what comes on top of the roughness.
    """

    color: Socket
    height: Socket
    rough: Socket


@dataclass(frozen=True)
class _View:
    """What all layers look at. places: positions turned for each size. reach: log2 of the distance in metres."""

    places: tuple[Socket, Socket]
    reach: Socket
    jitter: Socket
    scale: Socket  # of the object: units of the scene per metre


@dataclass(frozen=True)
class _Sample:
    color: Color
    height: Value  # 0..1
    raised: Value  # metres
    rough: Value


def shaded(graph: ShaderGraph, layers: Sequence[Layer]) -> Shaded:
    """All layers as one surface."""
    view = _view(graph)
    samples = [_sample(graph, view, layer) for layer in layers]
    shares = [_share(graph, layer, sample) for layer, sample in zip(layers, samples, strict=True)]
    whole = graph.math("MAXIMUM", _sum(graph, shares), 1e-6)
    color: Socket | None = None
    raised: list[Value] = []
    rough: list[Value] = []
    for sample, share in zip(samples, shares, strict=True):
        part = graph.math("DIVIDE", share, whole)
        color = _added(graph, color, graph.scaled(sample.color, part))
        raised.append(graph.math("MULTIPLY", sample.raised, part))
        rough.append(graph.math("MULTIPLY", sample.rough, part))
    assert color is not None
    return Shaded(color, graph.math("MULTIPLY", _sum(graph, raised), view.scale), _sum(graph, rough))


def _share(graph: ShaderGraph, layer: Layer, sample: _Sample) -> Socket:
    """The weight, higher where the layer stands high: it comes through the layers beside it."""
    return graph.math("MULTIPLY", layer.weight, graph.math("POWER", 2.0**BITE, sample.height))


def _sum(graph: ShaderGraph, values: Sequence[Value]) -> Socket:
    total = graph.math("ADD", values[0], 0.0)
    for value in values[1:]:
        total = graph.math("ADD", total, value)
    return total


def _added(graph: ShaderGraph, total: Socket | None, value: Socket) -> Socket:
    if total is None:
        return value
    return graph.vector("ADD", total, value)


def _view(graph: ShaderGraph) -> _View:
    position = graph.node("ShaderNodeTexCoord").outputs["Object"]
    unit = graph.node("ShaderNodeVectorTransform", vector_type="VECTOR", convert_from="OBJECT", convert_to="WORLD")
    graph.feed(unit.inputs[0], (0.0, 0.0, 1.0))
    scale = graph.length(unit.outputs[0])
    distance = graph.math("DIVIDE", graph.node("ShaderNodeCameraData").outputs["View Distance"], scale)
    reach = graph.math("LOGARITHM", graph.math("MAXIMUM", distance, 1e-3), 2.0)
    patches = graph.fractal(position, 1.0 / PATCH_M, detail=PATCHES, roughness=0.78, flat=True)
    jitter = graph.math("MULTIPLY_ADD", graph.math("SUBTRACT", patches, 0.5), SPREAD, 0.5)
    places = tuple(_turned(graph, position, degrees) for degrees in TURNS_DEG)
    return _View((places[0], places[1]), reach, jitter, scale)


def _turned(graph: ShaderGraph, position: Socket, degrees: float) -> Socket:
    turn = graph.node("ShaderNodeMapping")
    graph.feed(turn.inputs["Vector"], position)
    graph.feed(turn.inputs["Rotation"], (0.0, 0.0, math.radians(degrees)))
    graph.feed(turn.inputs["Location"], (13.7 * degrees, -7.3 * degrees, 3.1))
    return turn.outputs["Vector"]


def _sample(graph: ShaderGraph, view: _View, layer: Layer) -> _Sample:
    """A layer's set at this place; plain where it has none."""
    plain: Color = (1.0, 1.0, 1.0)
    given = layer.ground
    if given is None:
        return _Sample(layer.color if layer.color is not None else plain, 0.5, 0.0, 0.0)
    tile = max(given.tile_m, 1e-3)
    farther = graph.math("MAXIMUM", graph.math("ADD", view.reach, math.log2(given.sight / tile)), 0.0)
    size = graph.math("MAXIMUM", graph.math("ADD", farther, view.jitter), 0.0)
    even = graph.math("MULTIPLY", graph.math("ROUND", graph.math("MULTIPLY", size, 0.5)), 2.0)
    odd = graph.math("MULTIPLY_ADD", graph.math("FLOOR", graph.math("MULTIPLY", size, 0.5)), 2.0, 1.0)
    # each size changes to the next but one where it is not seen
    is_odd = graph.smoothstep(graph.math("ABSOLUTE", graph.math("SUBTRACT", size, even)), 0.3, 0.7)
    copies = [
        _copy(graph, given, place, graph.math("MULTIPLY", tile, graph.math("POWER", 2.0, doublings)))
        for place, doublings in zip(view.places, (even, odd), strict=True)
    ]
    ratio = graph.mix(is_odd, copies[0][0], copies[1][0])
    height = _between(graph, is_odd, copies[0][1], copies[1][1])
    raised = _between(graph, is_odd, copies[0][2], copies[1][2])
    strength = graph.math("DIVIDE", given.strength, graph.math("MULTIPLY_ADD", farther, FADE, 1.0))
    detail = graph.mix(strength, plain, graph.scaled(ratio, MOST), beyond=True)
    bright = graph.math("SUBTRACT", graph.luminance(detail), 1.0)
    rough = graph.math("MULTIPLY", graph.math("SUBTRACT", height, 0.5), given.rough[0] * given.strength)
    rough = graph.math("MULTIPLY_ADD", bright, given.rough[1], rough)
    color = detail if layer.color is None else graph.vector("MULTIPLY", detail, layer.color)
    return _Sample(color, height, graph.math("MULTIPLY", raised, strength), rough)


def _copy(graph: ShaderGraph, given: Ground, place: Socket, size: Socket) -> tuple[Socket, Socket, Socket]:
    """Colour over MOST, height 0..1 and height in metres of a set at one size of tile, in metres."""
    at = graph.scaled(place, graph.math("DIVIDE", 1.0, size))
    sampled = graph.node(
        "ShaderNodeTexImage",
        image=given.image,
        projection="BOX",
        projection_blend=BLEND,
        extension="MIRROR" if given.mirrored else "REPEAT",
    )
    graph.feed(sampled.inputs["Vector"], at)
    height = sampled.outputs["Alpha"]
    deep = graph.math("MULTIPLY", size, given.relief_share)
    return sampled.outputs["Color"], height, graph.math("MULTIPLY", graph.math("SUBTRACT", height, 0.5), deep)


def _between(graph: ShaderGraph, share: Socket, first: Socket, second: Socket) -> Socket:
    return graph.math("MULTIPLY_ADD", graph.math("SUBTRACT", second, first), share, first)
