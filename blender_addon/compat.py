"""The one place that knows Blender 4.2, 4.5, 5.0 and later apart. Everything else asks here and never looks at a
version.

The type declarations in use are those of the newest Blender: what another one calls differently goes through Any here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import bpy
import numpy as np

from . import typed
from .shared.srgb import srgb_to_linear

IS_5 = bpy.app.version >= (5, 0, 0)

EEVEE = "BLENDER_EEVEE" if IS_5 else "BLENDER_EEVEE_NEXT"


def use_nodes(owner: bpy.types.Material | bpy.types.World) -> bpy.types.NodeTree:
    """The node tree of a new material or world. From 5.0 it is always there, and asking for it is deprecated."""
    if not IS_5:
        owner.use_nodes = True
    return typed.tree_of(owner)


def physical_sky(node: bpy.types.Node, *, elevation: float, rotation: float, air: float, dust: float) -> None:
    """Set a Sky Texture node to scattering in air, without a disc of its own. elevation, rotation: of the sun, radians.

    air and dust are densities where 1 is a clear day. 5.0 split the one model ("Nishita") in two and renamed dust.
    """
    sky: Any = node
    sky.sky_type = "MULTIPLE_SCATTERING" if IS_5 else "NISHITA"
    sky.sun_disc = False
    sky.sun_elevation, sky.sun_rotation = elevation, rotation
    sky.air_density = air
    setattr(sky, "aerosol_density" if IS_5 else "dust_density", dust)


def read_exactly(texture: bpy.types.ImageTexture) -> None:
    """Make a legacy image texture give the pixels themselves, unclamped. 5.0 has lost the filters that blurred them."""
    texture.use_clamp = False
    texture.use_interpolation = False
    texture.extension = "EXTEND"
    if hasattr(texture, "use_mipmap"):
        setattr(texture, "use_mipmap", False)  # noqa: B010  # the newest Blender declares no such attribute


def subdivide_adaptively(item: bpy.types.Object, subsurf: bpy.types.SubsurfModifier) -> None:
    """Ask Cycles to dice the mesh as finely as the picture needs.

    4.x does so only in scenes whose Cycles feature set is Experimental, which is the user's choice and is not made
    here: until then the modifier's own render levels hold. Without Cycles there is nothing to ask.
    """
    if hasattr(subsurf, "use_adaptive_subdivision"):
        subsurf.use_adaptive_subdivision = True
    elif (cycles := getattr(item, "cycles", None)) is not None:
        cycles.use_adaptive_subdivision = True


def needs_experimental(scene: bpy.types.Scene) -> bool:
    """Whether Cycles subdivides adaptively only once the scene's feature set is Experimental: up to 4.5."""
    cycles = getattr(scene, "cycles", None)
    return getattr(cycles, "feature_set", "EXPERIMENTAL") != "EXPERIMENTAL"


def node_input(modifier: bpy.types.NodesModifier, name: str) -> object:
    """The value of a Geometry Nodes modifier's input, by the name that the user sees; None where there is none."""
    identifier = _identifier(modifier, name)
    if identifier is None:
        return None
    if (properties := getattr(modifier, "properties", None)) is not None:
        return getattr(properties.inputs, identifier).value
    return modifier.get(identifier)


def set_node_input(modifier: bpy.types.NodesModifier, name: str, value: object) -> None:
    """Set a Geometry Nodes modifier's input by name. By 5.2 inputs are no custom properties any more."""
    identifier = _identifier(modifier, name)
    if identifier is None:
        raise KeyError(f"{modifier.name} has no input {name!r}")
    if (properties := getattr(modifier, "properties", None)) is not None:
        getattr(properties.inputs, identifier).value = value
    else:
        modifier[identifier] = value


def keyframe_node_input(modifier: bpy.types.NodesModifier, name: str, keys: Sequence[tuple[int, float]]) -> None:
    """Keyframe a Geometry Nodes modifier's input by name, in place of what it had: straight lines between (frame, value)."""
    item, path = typed.of(modifier.id_data, bpy.types.Object), node_input_path(modifier, name)
    drop_keyframes(item, path)
    for frame, value in keys:
        set_node_input(modifier, name, value)
        item.keyframe_insert(path, frame=frame)
    for curve in (curve for holder in _curve_holders(item) for curve in holder if curve.data_path == path):
        for point in curve.keyframe_points:
            point.interpolation = "LINEAR"


def drop_keyframes(item: bpy.types.Object, path: str) -> None:
    """Take the keyframes of a property away; other animation of the object stays."""
    for holder in _curve_holders(item):
        for curve in [curve for curve in holder if curve.data_path == path]:
            holder.remove(curve)
    if item.animation_data is not None and not any(len(holder) for holder in _curve_holders(item)):
        item.animation_data_clear()


def has_keyframes(item: bpy.types.Object, path: str) -> bool:
    """Whether a property of an object is keyframed. Cheap: for draw()."""
    return any(curve.data_path == path for holder in _curve_holders(item) for curve in holder)


def node_input_path(modifier: bpy.types.NodesModifier, name: str) -> str:
    """The path of a Geometry Nodes modifier's input from its object."""
    within = f'modifiers["{bpy.utils.escape_identifier(modifier.name)}"]'
    if hasattr(modifier, "properties"):
        return f"{within}.properties.inputs.{_identifier(modifier, name)}.value"
    return f'{within}["{_identifier(modifier, name)}"]'


def _curve_holders(item: bpy.types.Object) -> list[Any]:
    """What holds the curves of an object's action: the action itself until 4.3, then a bag for each of its layers."""
    action: Any = item.animation_data.action if item.animation_data is not None else None
    if action is None:
        return []
    if not hasattr(action, "layers"):
        return [action.fcurves]
    slot = item.animation_data.action_slot  # pyright: ignore[reportOptionalMemberAccess]
    bags = (strip.channelbag(slot) for layer in action.layers for strip in layer.strips) if slot is not None else ()
    return [bag.fcurves for bag in bags if bag is not None]


def scale_by_radius(tree: bpy.types.NodeTree, node: bpy.types.Node) -> None:
    """Have a Curve to Mesh node follow the curves' radius, which it did of its own accord before it got an input for it."""
    if "Scale" in node.inputs:
        radius = tree.nodes.new("GeometryNodeInputRadius")
        radius.location = (node.location.x - 240, node.location.y - 520)
        tree.links.new(radius.outputs["Radius"], node.inputs["Scale"])


def _identifier(modifier: bpy.types.NodesModifier, name: str) -> str | None:
    if modifier.node_group is None:
        return None
    entries = typed.present(modifier.node_group.interface).items_tree
    sockets = (entry for entry in entries if isinstance(entry, bpy.types.NodeTreeInterfaceSocket))
    return next((entry.identifier for entry in sockets if entry.in_out == "INPUT" and entry.name == name), None)


def write_passes(scene: bpy.types.Scene, folder: str, passes: Mapping[str, str]) -> bpy.types.NodeTree | None:
    """Have every render of the scene write passes into single-layer 32-bit EXR files in a folder; pass_file() says where.

    passes: a name that is also the Render Layers node's output -> "FLOAT", "VECTOR" or "RGBA". Returns the node tree
    that has to be removed with the scene, None where it goes with the scene. The compositor is a node group from 5.0 on.
    """
    tree, owned = _compositor(scene)
    layers = typed.new_node(tree, "CompositorNodeRLayers", scene=scene)
    file: Any = tree.nodes.new("CompositorNodeOutputFile")
    if IS_5:
        file.format.media_type = "IMAGE"
        file.directory, file.file_name = folder, ""
        file.file_output_items.clear()
    else:
        file.base_path = folder
        file.file_slots.clear()
    file.format.file_format, file.format.color_depth, file.format.exr_codec = "OPEN_EXR", "32", "NONE"
    for name, kind in passes.items():
        if IS_5:
            file.file_output_items.new(kind, name)
        else:
            file.file_slots.new(name)
    for name in passes:
        tree.links.new(layers.outputs[name], file.inputs[name])
    return owned


def _compositor(scene: bpy.types.Scene) -> tuple[bpy.types.NodeTree, bpy.types.NodeTree | None]:
    if IS_5:
        tree = bpy.data.node_groups.new(scene.name, "CompositorNodeTree")
        scene.compositing_node_group = tree
        return tree, tree
    scene.use_nodes = True
    tree = typed.of(getattr(scene, "node_tree", None), bpy.types.NodeTree)
    tree.nodes.clear()
    return tree, None


def pass_file(scene: bpy.types.Scene, folder: str, name: str) -> str:
    """Where write_passes() has put a pass: 4.x puts the frame behind the name."""
    return os.path.join(folder, f"{name}.exr" if IS_5 else f"{name}{scene.frame_current:04d}.exr")


@contextmanager
def output_as_png(scene: bpy.types.Scene) -> Iterator[None]:
    """What is saved of the scene's renders meanwhile is a PNG of 16 bits as it is seen; afterwards its settings are as before."""
    settings = typed.present(scene.render.image_settings)
    names = ["file_format", "color_mode", "color_depth", "compression", "color_management"]
    if hasattr(settings, "media_type"):  # from 5.0 on it says which formats there are
        names.insert(0, "media_type")
    before = {name: getattr(settings, name) for name in names}
    wanted = {"media_type": "IMAGE", "file_format": "PNG", "color_mode": "RGBA", "color_depth": "16"}
    wanted |= {"compression": 0, "color_management": "FOLLOW_SCENE"}
    try:
        for name in names:
            setattr(settings, name, wanted[name])
        yield
    finally:
        for name in names:
            setattr(settings, name, before[name])


# Films ----------------------------------------------------------------------------------------------------------------


def can_encode() -> bool:
    """Whether this Blender was built with an encoder for films."""
    return bool(bpy.app.ffmpeg.supported)


def strips(scene: bpy.types.Scene) -> Any:
    """The strips of a scene's sequencer, which were called sequences until 4.3."""
    editor: Any = scene.sequence_editor_create()
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def output_as_film(scene: bpy.types.Scene, path: str) -> None:
    """Have the scene's animation written as H.264 in an MP4 file, without sound."""
    settings = typed.present(scene.render.image_settings)
    if hasattr(settings, "media_type"):  # from 5.0 on it says which formats there are
        settings.media_type = "VIDEO"
    settings.file_format, settings.color_mode = "FFMPEG", "RGB"
    film = typed.present(scene.render.ffmpeg)
    film.format, film.codec, film.audio_codec = "MPEG4", "H264", "NONE"
    film.constant_rate_factor, film.ffmpeg_preset = "HIGH", "GOOD"
    film.gopsize = scene.render.fps  # a whole picture each second, so that one can jump in it
    scene.render.filepath, scene.render.use_file_extension, scene.render.use_overwrite = path, True, True


# Normal maps ----------------------------------------------------------------------------------------------------------


def is_directx(node: bpy.types.Node) -> bool:
    """Whether a Normal Map node reads green as down. Before 5.1 it could not."""
    return getattr(node, "convention", "OPENGL") == "DIRECTX"


def normals_beside_displacement(node: bpy.types.Node) -> None:
    """Have a Normal Map node bend the surface as it was before it was displaced by the same relief. Before 5.1 it cannot; in Cycles
    it does so where faces are smooth.
    """
    if "base" in node.bl_rna.properties:
        setattr(node, "base", "ORIGINAL")  # noqa: B010  # 4.2 to 5.0 have no such attribute


# Texture paint --------------------------------------------------------------------------------------------------------


def paint_color(color: Sequence[float]) -> tuple[float, float, float]:
    """An sRGB colour 0..1 as brushes and palettes hold it: as it is until 4.5, as linear light from 5.0 on."""
    if not IS_5:
        return color[0], color[1], color[2]
    red, green, blue = (float(value) for value in srgb_to_linear(np.asarray(color, np.float64)))
    return red, green, blue


def unified_paint(settings: bpy.types.ToolSettings) -> Any:
    """What all brushes of Texture Paint share. It belongs to the scene until 4.5, to each paint mode from 5.0 on."""
    of_mode = getattr(settings.image_paint, "unified_paint_settings", None)
    return of_mode if of_mode is not None else getattr(settings, "unified_paint_settings")  # noqa: B009


def use_brush(settings: bpy.types.ToolSettings, brush: bpy.types.Brush) -> None:
    """Make it the active brush, in Texture Paint. From 4.3 on brushes are assets, and only an operator may change to one."""
    paint: Any = settings.image_paint
    if paint.brush == brush:
        return
    if not paint.bl_rna.properties["brush"].is_readonly:
        paint.brush = brush
        return
    brush.asset_mark()
    operators: Any = bpy.ops.brush
    operators.asset_activate(
        asset_library_type="LOCAL", asset_library_identifier="", relative_asset_identifier=f"Brush/{brush.name}"
    )


def harden(brush: bpy.types.Brush) -> None:
    """Full strength to the rim, no smoothing, no pressure: every pixel of a stroke gets the brush's colour and no other."""
    given: Any = brush
    falloff = "curve_distance_falloff_preset" if IS_5 else "curve_preset"
    setattr(given, falloff, "CONSTANT")
    given.strength, given.use_pressure_strength, given.use_paint_antialiasing, given.blend = 1.0, False, False, "MIX"
