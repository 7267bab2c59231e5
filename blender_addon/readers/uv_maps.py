"""What each pixel of a photograph sees of a mesh, drawn by Cycles exactly at pixel centres: UV, depth and facing.

For cameras that the backend cannot draw (panoramic, orthographic), and as the reference that its rasteriser is held to. It all
happens in a scene that is thrown away: copies of mesh and camera, one sample a pixel through a filter of no width. The user's
scene, render settings, compositor and render result are not touched.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix, Vector

from .. import compat, typed
from ..datablocks import camera as built
from ..shared.arrays import DEPTH_MAP, MASK, UV_MAP, Array
from ..shared.errors import InvalidInput, JobCancelled
from ..units import metres_per_unit
from . import cameras, meshes, scans

NAME = "Relievo UV Maps"  # of everything that is thrown away
SEEN = "Relievo Seen"  # the pass of our own: facing, 1 where it is the mesh itself, 1 where it is anything
ASIDE_PX = (
    0.5 / 1024
)  # to the right and up: Cycles samples its pixel filter through a table of 1024 entries, half an entry off
_PASSES = {"UV": "VECTOR", "Depth": "FLOAT", SEEN: "RGBA"}


@dataclass(frozen=True)
class View:
    """What a photograph of height H and width W sees, top row first. uv: [H, W, 2], NaN where it sees nothing of the mesh.
    depth: [H, W] metres from the camera's plane (for a panoramic camera from its middle), NaN where it sees nothing; occluders
    have a depth and no UV. facing: [H, W] cosine between normal and line of sight, below 0 for a face seen from behind, 0
    where it sees nothing. All float32.
    """

    uv: np.ndarray
    depth: np.ndarray
    facing: np.ndarray

    @property
    def arrays(self) -> dict[str, Array]:
        """As they travel: a face seen from behind is no surface, though it hides what lies behind it."""
        front = self.facing > 0
        uv = np.where(front[..., None], self.uv, np.float32(np.nan))
        return {
            "uv_map": Array(UV_MAP, uv),
            "depth_map": Array(DEPTH_MAP, self.depth),
            "facing_map": Array(MASK, np.clip(self.facing, 0.0, 1.0)),
        }


def draw(
    item: bpy.types.Object,
    occluders: Sequence[bpy.types.Object],
    views: Sequence[tuple[bpy.types.Object, tuple[int, int]]],
    context: bpy.types.Context,
) -> Iterator[View]:
    """One View for each camera object and the size (width, height) of its photograph, drawn as it is asked for.

    The UVs are those of the mesh's active layer. Raises InvalidInput for a mesh that cannot be drawn or has no UVs, and where
    Cycles is switched off; JobCancelled where a person stops the render.
    """
    depsgraph = context.evaluated_depsgraph_get()
    origin = scans.origin_of(item, depsgraph) / metres_per_unit(typed.present(depsgraph.scene))
    with (
        _images_of_renders(),
        _stage(item, occluders, depsgraph, Vector(origin.tolist())) as scene,
        tempfile.TemporaryDirectory() as folder,
    ):
        tree = compat.write_passes(scene, folder, _PASSES)
        try:
            for camera, size in views:
                with _camera(scene, camera, size, depsgraph, origin):
                    yield _render(scene, folder, size)
        finally:
            if tree is not None:
                bpy.data.node_groups.remove(tree)


def _render(scene: bpy.types.Scene, folder: str, size: tuple[int, int]) -> View:
    if bpy.ops.render.render(scene=scene.name) != {"FINISHED"}:
        raise JobCancelled("Drawing the UV maps was stopped.")
    uv, depth, seen = (_pixels(compat.pass_file(scene, folder, name), size) for name in _PASSES)
    facing, of_mesh, of_any = (seen[..., channel] for channel in range(3))
    nothing = np.float32(np.nan)
    return View(
        np.where((of_mesh > 0.5)[..., None], uv[..., :2], nothing),
        np.where(of_any > 0.5, depth[..., 0] * np.float32(metres_per_unit(scene)), nothing),
        np.where(of_any > 0.5, facing, np.float32(0.0)),
    )


def _pixels(path: str, size: tuple[int, int]) -> np.ndarray:
    """A pass as float32 [H, W, channels], top row first."""
    image = bpy.data.images.load(path)
    try:
        typed.set_color_space(image, "Non-Color")
        return typed.read_pixels(image).reshape(size[1], size[0], image.channels)[::-1]
    finally:
        bpy.data.images.remove(image)


# The scene that is thrown away --------------------------------------------------------------------------------------


@contextmanager
def _images_of_renders() -> Iterator[None]:
    """A first render and a compositor bring images into the file, which are taken out again."""
    before = {image.name for image in bpy.data.images}
    try:
        yield
    finally:
        for image in list(bpy.data.images):
            if image.type in ("RENDER_RESULT", "COMPOSITING") and image.name not in before:
                bpy.data.images.remove(image)


@contextmanager
def _stage(
    item: bpy.types.Object,
    occluders: Sequence[bpy.types.Object],
    depsgraph: bpy.types.Depsgraph,
    origin: Vector,
) -> Iterator[bpy.types.Scene]:
    """A scene with copies of the meshes, moved so that origin (in Blender units) lies at 0, set up for exact passes."""
    scene = bpy.data.scenes.new(NAME)
    copies: list[bpy.types.Mesh] = []
    materials: list[bpy.types.Material] = []
    try:
        _set_up(scene, typed.present(depsgraph.scene))
        for number, given in enumerate((item, *occluders)):
            copy = _copy(given, depsgraph, is_mesh=number == 0)
            copies.append(copy)
            material = _material(is_mesh=number == 0)
            materials.append(material)
            copy.materials.clear()
            copy.materials.append(material)
            placed = bpy.data.objects.new(NAME, copy)
            placed.matrix_world = Matrix.Translation((-origin).to_tuple()) @ given.evaluated_get(depsgraph).matrix_world
            scene.collection.objects.link(placed)
        yield scene
    finally:
        for placed in list(scene.collection.objects):
            bpy.data.objects.remove(placed)
        for copy in copies:
            bpy.data.meshes.remove(copy)
        for material in materials:
            bpy.data.materials.remove(material)
        bpy.data.scenes.remove(scene)


def _set_up(scene: bpy.types.Scene, of: bpy.types.Scene) -> None:
    cycles: Any = getattr(scene, "cycles", None)
    if cycles is None:
        raise InvalidInput(
            "Cycles is switched off.", hint="Switch the add-on Cycles Render Engine on in the preferences."
        )
    scene.unit_settings.system = of.unit_settings.system
    scene.unit_settings.scale_length = of.unit_settings.scale_length
    scene.render.engine = "CYCLES"  # pyright: ignore[reportAttributeAccessIssue]  # engines are add-ons, known at run time
    scene.render.film_transparent = True
    scene.render.resolution_percentage = 100
    scene.render.use_sequencer = False
    scene.render.dither_intensity = 0.0
    cycles.device = "CPU"
    cycles.samples, cycles.use_adaptive_sampling, cycles.use_denoising = 1, False, False
    cycles.max_bounces = 0
    cycles.pixel_filter_type, cycles.filter_width = "BOX", 0.01
    layer = scene.view_layers[0]
    layer.use_pass_z = layer.use_pass_uv = True
    layer.use_pass_combined = True
    own = layer.aovs.add()
    own.name, own.type = SEEN, "COLOR"


def _copy(given: bpy.types.Object, depsgraph: bpy.types.Depsgraph, *, is_mesh: bool) -> bpy.types.Mesh:
    """The evaluated mesh of an object as a datablock of its own, whose active UV layer is the one that is drawn."""
    meshes.bring_up_to_date(given, depsgraph)
    evaluated = given.evaluated_get(depsgraph)
    copy = bpy.data.meshes.new_from_object(evaluated, preserve_all_data_layers=True, depsgraph=depsgraph)
    try:
        meshes.positions(copy, given.name)
    except InvalidInput:
        bpy.data.meshes.remove(copy)
        raise
    if copy.uv_layers.active is not None:
        copy.uv_layers.active.active_render = True
    elif is_mesh:
        bpy.data.meshes.remove(copy)
        raise InvalidInput(f"The mesh {given.name!r} has no UVs.", hint="Unwrap it first.", field=given.name)
    return copy


def _material(*, is_mesh: bool) -> bpy.types.Material:
    """Writes the pass of our own. Cycles turns normals towards the eye, so that a back face has to be asked for."""
    material = bpy.data.materials.new(NAME)
    tree = compat.use_nodes(material)
    tree.nodes.clear()
    nodes, link = tree.nodes, tree.links.new
    geometry = nodes.new("ShaderNodeNewGeometry")
    cosine = typed.new_node(tree, "ShaderNodeVectorMath", operation="DOT_PRODUCT")
    link(geometry.outputs["True Normal"], cosine.inputs[0])
    link(geometry.outputs["Incoming"], cosine.inputs[1])
    sign = typed.new_node(tree, "ShaderNodeMath", operation="MULTIPLY_ADD")  # 1 - 2 * backfacing
    link(geometry.outputs["Backfacing"], sign.inputs[0])
    typed.set_value(sign.inputs[1], -2.0)
    typed.set_value(sign.inputs[2], 1.0)
    facing = typed.new_node(tree, "ShaderNodeMath", operation="MULTIPLY")
    link(cosine.outputs["Value"], facing.inputs[0])
    link(sign.outputs[0], facing.inputs[1])
    packed = nodes.new("ShaderNodeCombineXYZ")
    out = typed.new_node(tree, "ShaderNodeOutputAOV", aov_name=SEEN)
    link(facing.outputs[0], packed.inputs[0])
    typed.set_value(packed.inputs[1], float(is_mesh))
    typed.set_value(packed.inputs[2], 1.0)
    link(packed.outputs[0], out.inputs["Color"])
    black, surface = nodes.new("ShaderNodeEmission"), nodes.new("ShaderNodeOutputMaterial")
    link(black.outputs[0], surface.inputs["Surface"])
    return material


@contextmanager
def _camera(
    scene: bpy.types.Scene,
    given: bpy.types.Object,
    size: tuple[int, int],
    depsgraph: bpy.types.Depsgraph,
    origin: np.ndarray,
) -> Iterator[None]:
    """The scene looked at through a copy of a camera, at the photograph's size."""
    data = typed.camera(given).copy()
    typed.present(data.dof).use_dof = False
    data.clip_start, data.clip_end = 1e-4, 1e9
    item = bpy.data.objects.new(NAME, data)
    try:
        render = scene.render
        render.resolution_x, render.resolution_y = size
        render.pixel_aspect_x = render.pixel_aspect_y = 1.0
        if cameras.is_pinhole(given):
            origin_m = origin * metres_per_unit(typed.present(depsgraph.scene))
            posed = cameras.camera(given, depsgraph, size, origin_m=origin_m)
            built.set_lens(data, replace(posed, cx=posed.cx + ASIDE_PX, cy=posed.cy - ASIDE_PX))
            aspect = posed.fy / posed.fx
            render.pixel_aspect_x, render.pixel_aspect_y = max(aspect, 1.0), max(1.0 / aspect, 1.0)
            item.matrix_world = built.matrix(
                posed, built.Frame(scale=1.0 / metres_per_unit(typed.present(depsgraph.scene)))
            )
        else:
            item.matrix_world = (
                Matrix.Translation((-Vector(origin.tolist())).to_tuple()) @ given.evaluated_get(depsgraph).matrix_world
            )
            side = max(size) if data.sensor_fit == "AUTO" else size[data.sensor_fit == "VERTICAL"]
            data.shift_x, data.shift_y = data.shift_x - ASIDE_PX / side, data.shift_y - ASIDE_PX / side
        scene.collection.objects.link(item)
        scene.camera = item
        yield
    finally:
        bpy.data.cameras.remove(data)  # and the object with it
