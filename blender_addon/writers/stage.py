"""Light, sky and camera that show a terrain's relief: for Set Up View and the demo. Each function changes only what
it returns or is given.

The sun stands low and to the side of the camera, since relief is read from shadows: from the front or at noon it
disappears.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import bpy
from mathutils import Matrix, Vector

from .. import compat, typed
from . import record, terrain_layers
from .shader_graph import ShaderGraph

SUN, CAMERA, WORLD = "Relievo Sun", "Relievo Camera", "Relievo Sky"
ZENITH, HORIZON, PLAIN = (0.10, 0.30, 0.80), (0.70, 0.85, 1.05), (0.52, 0.64, 0.80)  # linear


@dataclass(frozen=True, kw_only=True)
class View:
    """Where the eye and the sun stand. Angles in degrees; azimuths clockwise from +Y (north), of the place that is
    looked from.

    lens_mm: on a 36 mm sensor. haze: share of light that the air takes over the terrain's diagonal, 0 for clear
    air. closeness: 0 has all of the terrain in the picture, towards 1 the eye moves up to its middle.
    """

    azimuth: float = 205.0
    elevation: float = 22.0
    lens_mm: float = 45.0
    sun_azimuth: float = 272.0
    sun_elevation: float = 24.0
    haze: float = 0.10
    closeness: float = 0.0


def set_up(scene: bpy.types.Scene, item: bpy.types.Object, view: View | None = None) -> bpy.types.Object:
    """Sun, sky and camera for a terrain, added to the scene and made its own; returns the camera.

    What stood here under these names from an earlier call is replaced; the user's own lights and cameras stay.
    """
    view = view or View()
    scene.view_layers[0].update()  # a new object's place in the world is known only then
    sun(scene, view)
    scene.world = sky(view)
    made = scene.camera = camera(scene, item, view)
    radius = bounds(item)[1]
    item[terrain_layers.HAZE_KEY] = -math.log(1.0 - min(view.haze, 0.95)) / (2.0 * radius)
    item.update_tag()
    return made


def sun(scene: bpy.types.Scene, view: View) -> bpy.types.Object:
    """A sun lamp of the real sun's size, warm as it is when low."""
    lamp = _renew(scene, SUN, lambda name: bpy.data.lights.new(name, "SUN"))
    light = typed.of(lamp.data, bpy.types.SunLight)
    light.energy, light.angle = 6.0, math.radians(0.53)
    light.color = (1.0, 0.83, 0.64)
    lamp.rotation_euler = towards(view.sun_azimuth, view.sun_elevation).to_track_quat("Z", "Y").to_euler()
    return lamp


def sky(view: View) -> bpy.types.World:
    """A clear sky around the same sun, whose disc is left to the lamp; behind the terrain, where a real sky ends,
    goes on pale air.
    """
    world = bpy.data.worlds.get(WORLD) or bpy.data.worlds.new(WORLD)
    tree = compat.use_nodes(world)
    tree.nodes.clear()
    graph = ShaderGraph(tree)
    air = graph.node("ShaderNodeTexSky")
    compat.physical_sky(
        air, elevation=math.radians(view.sun_elevation), rotation=math.radians(view.sun_azimuth), air=1.0, dust=0.3
    )
    light = graph.node("ShaderNodeBackground")
    graph.feed(light.inputs["Color"], air.outputs["Color"])
    graph.feed(light.inputs["Strength"], 0.26)  # the sky texture counts a real sky's watts; this is the lamp's scale
    seen = graph.node("ShaderNodeBackground")
    graph.feed(seen.inputs["Color"], _backdrop(graph))
    both = graph.node("ShaderNodeMixShader")
    graph.feed(both.inputs[0], graph.node("ShaderNodeLightPath").outputs["Is Camera Ray"])
    graph.feed(both.inputs[1], light.outputs["Background"])
    graph.feed(both.inputs[2], seen.outputs["Background"])
    graph.feed(graph.node("ShaderNodeOutputWorld").inputs["Surface"], both.outputs["Shader"])
    return world


def _backdrop(graph: ShaderGraph) -> bpy.types.NodeSocket:
    """Blue above, pale at the horizon, and below it slowly darker, as over a plain in haze."""
    direction = graph.node("ShaderNodeSeparateXYZ")
    graph.feed(direction.inputs[0], graph.node("ShaderNodeTexCoord").outputs["Generated"])
    upward = graph.mix(graph.smoothstep(direction.outputs["Z"], 0.0, 0.45), HORIZON, ZENITH)
    return graph.mix(graph.smoothstep(direction.outputs["Z"], 0.0, -0.8), upward, PLAIN)


def camera(scene: bpy.types.Scene, item: bpy.types.Object, view: View) -> bpy.types.Object:
    """A camera that has the whole terrain in its picture, from the side and above, clipped well behind it."""
    made = _renew(scene, CAMERA, bpy.data.cameras.new)
    data = typed.camera(made)
    data.lens = view.lens_mm
    away = towards(view.azimuth, view.elevation)
    made.rotation_euler = away.to_track_quat("Z", "Y").to_euler()
    made.location = _stand(_corners(item), made.rotation_euler.to_matrix(), _half_angles(scene, data))
    middle, radius = bounds(item)
    made.location = made.location.lerp(middle, view.closeness)
    distance = (made.location - middle).length
    data.clip_start, data.clip_end = max(1e-3, distance / 1000.0), distance + 4.0 * radius
    return made


def towards(azimuth: float, elevation: float) -> Vector:
    """Unit vector to a place in the sky. Degrees; azimuth clockwise from +Y."""
    a, e = math.radians(azimuth), math.radians(elevation)
    return Vector((math.sin(a) * math.cos(e), math.cos(a) * math.cos(e), math.sin(e)))


def bounds(item: bpy.types.Object) -> tuple[Vector, float]:
    """Middle and half diagonal of an object, world space."""
    corners = _corners(item)
    middle = sum(corners, Vector()) / len(corners)
    return middle, max((corner - middle).length for corner in corners)


def _corners(item: bpy.types.Object) -> list[Vector]:
    """The object's box in world space; of a terrain that is raised only on rendering, the box that it will have."""
    box = [Vector(corner) for corner in item.bound_box]
    if terrain_layers.LOW_KEY in item:
        low, high = min(corner.z for corner in box), max(corner.z for corner in box)
        low, high = min(low, item[terrain_layers.LOW_KEY]), max(high, item[terrain_layers.HIGH_KEY])
        box = [Vector((corner.x, corner.y, z)) for corner in box for z in (low, high)]
    return [item.matrix_world @ corner for corner in box]


def _half_angles(scene: bpy.types.Scene, data: bpy.types.Camera) -> tuple[float, float]:
    """Tangents of half the picture's width and height."""
    render = scene.render
    width, height = render.resolution_x * render.pixel_aspect_x, render.resolution_y * render.pixel_aspect_y
    longest = data.sensor_width / 2.0 / data.lens
    return longest * min(1.0, width / height), longest * min(1.0, height / width)


def _stand(corners: list[Vector], rotation: Matrix, tangents: tuple[float, float]) -> Vector:
    """Where a camera of this rotation stands so that all corners are in the picture and touch two opposite edges at
    least.

    In camera space a point (x, y, z) is seen when |x - X| <= tx (Z - z) for the camera at (X, Y, Z), so the four
    sides of the picture give the four bounds solved here.
    """
    local = [rotation.transposed() @ corner for corner in corners]
    place = [0.0, 0.0]
    depth = -math.inf
    for axis, tangent in enumerate(tangents):
        tangent *= 0.94  # a margin of three hundredths at each side
        upper = max(point[axis] + tangent * point.z for point in local)
        lower = min(point[axis] - tangent * point.z for point in local)
        place[axis] = (upper + lower) / 2.0
        depth = max(depth, (upper - lower) / (2.0 * tangent))
    return rotation @ Vector((*place, depth))


def _renew(scene: bpy.types.Scene, name: str, new: Callable[[str], bpy.types.ID]) -> bpy.types.Object:
    """The object of this name in the scene's collection Relievo, or a new one there with new data."""
    collection = record.collection_of(scene)
    found = next((item for item in collection.objects if item.name.partition(".")[0] == name), None)
    if found is None:
        found = bpy.data.objects.new(name, new(name))
        collection.objects.link(found)
    return found
