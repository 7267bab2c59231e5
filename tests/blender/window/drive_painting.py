r"""A painting in a real window, as a person makes it: a small scene is rendered and painted with its own segments, becomes thick
paint under a raking light, strokes that play back and Grease Pencil; then the texture of a mesh is painted. Takes pictures to look
at and saves the file beside them; not a pytest file.

    blender-gui --size 1600x900 --limit 900 -- --enable-event-simulate \
        --python tests/blender/window/drive_painting.py -- ADDON_PARENT ENDPOINT PICTURES [PHOTOGRAPH]

ADDON_PARENT is the folder that holds blender_addon, ENDPOINT the connection file of a backend that runs, PICTURES a folder,
PHOTOGRAPH what the mesh wears, a checked pattern where none is given. blender_drive.py is looked for beside the repository, in
shared/tools.
"""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np
from mathutils import Vector

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import choose, drive, newest_job, settled, shot, tab_in_an_empty_scene

PICTURES = opening.ARGUMENTS[2]
opening.use_checkout(Path(PICTURES) / "data")

from blender_addon.datablocks import painting  # noqa: E402
from blender_addon.shared.catalog import algorithms  # noqa: E402
from blender_addon.writers import textures  # noqa: E402

CHECKS = 8
COMPILING_S = 25.0  # EEVEE's shaders, by software, before the view shows anything


def painting_engine() -> str:
    return next(spec.name for spec in algorithms() if spec.makes == "painting")


def plain(name: str, color: tuple[float, float, float]) -> bpy.types.Material:
    material = bpy.data.materials.new(name)
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    shader.inputs["Base Color"].default_value = (*color, 1.0)
    return material


def still_life() -> list[bpy.types.Object]:
    """A ball, a box and a monkey's head on a table before a wall, and a lamp at the side."""
    made = []
    for add, settings, color in (
        (bpy.ops.mesh.primitive_plane_add, {"size": 12.0}, (0.55, 0.35, 0.2)),
        (bpy.ops.mesh.primitive_plane_add, {"size": 12.0, "location": (0, 4, 3), "rotation": (1.5708, 0, 0)}, (0.25, 0.35, 0.5)),
        (bpy.ops.mesh.primitive_uv_sphere_add, {"radius": 0.9, "location": (-1.6, -0.3, 0.9)}, (0.8, 0.15, 0.05)),
        (bpy.ops.mesh.primitive_cube_add, {"size": 1.3, "location": (1.7, 0.4, 0.65), "rotation": (0, 0, 0.6)}, (0.85, 0.65, 0.1)),
        (bpy.ops.mesh.primitive_monkey_add, {"size": 1.8, "location": (0, 1.2, 1), "rotation": (-0.5, 0, 0.2)}, (0.15, 0.5, 0.25)),
    ):  # fmt: skip
        add(**settings)
        item = bpy.context.active_object
        item.data.materials.append(plain(item.name, color))
        if len(item.data.polygons) > 6:
            bpy.ops.object.shade_smooth()
        made.append(item)
    return made


def render() -> None:
    """By Cycles, through a camera in front of the table."""
    scene = bpy.context.scene
    camera = next(item for item in bpy.data.objects if item.type == "CAMERA")
    camera.location = (0.0, -7.5, 3.0)
    camera.rotation_euler = (Vector((0.0, 0.5, 0.8)) - camera.location).to_track_quat("-Z", "Y").to_euler()
    light = next(item for item in bpy.data.objects if item.type == "LIGHT")
    light.location, light.data.energy = (-4.0, -3.0, 5.0), 900.0
    scene.camera, scene.render.engine, scene.cycles.device = camera, "CYCLES", "CPU"
    scene.cycles.samples, scene.cycles.use_denoising = 24, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 480, 320, 100
    bpy.ops.render.render()


def generate():
    bpy.ops.relievo.generate()
    yield lambda: any("relievo_preview" in item for item in bpy.data.objects) or settled()
    yield 0.5
    shot("22-forming")
    yield settled
    assert newest_job().error is None, newest_job().sentence
    yield 3.0


def look_at(item: bpy.types.Object) -> None:
    """The view straight at a canvas, which stands upright."""
    area = drive.view3d()
    region = next(part for part in area.regions if part.type == "WINDOW")
    with bpy.context.temp_override(window=drive.window(), area=area, region=region):
        bpy.ops.view3d.view_axis(type="FRONT")
    for other in bpy.context.selected_objects:
        other.select_set(False)
    item.select_set(True)
    bpy.context.view_layer.objects.active = item
    drive.frame_selected()


def raking_light(canvas: bpy.types.Object) -> None:
    """A sun that nearly grazes the canvas, from the upper left, and nothing else."""
    for item in bpy.data.objects:
        if item.type == "LIGHT":
            item.hide_set(True)
    sun = bpy.data.objects.new("Raking", bpy.data.lights.new("Raking", "SUN"))
    sun.data.energy = 6.0
    sun.rotation_euler = Vector((0.85, 0.3, -0.4)).to_track_quat("-Z", "Y").to_euler()
    bpy.context.scene.collection.objects.link(sun)


def canvas_of_newest() -> bpy.types.Object:
    return bpy.data.objects[newest_job().purpose["shown"]]


def paint_the_view(settings, engine: str):
    made = still_life()
    render()
    yield from choose(settings, engine)
    group = getattr(settings, engine)
    group.from_image.source = group.from_segments.source = "VIEW"
    group.budget, group.steps = 900, 20  # enough to see, and quick on a machine that draws its windows by software
    head = next(item for item in made if len(item.data.polygons) > 400 and item.name.startswith("Suzanne"))
    head.relievo_segment.is_used, head.relievo_segment.smallest, head.relievo_segment.order = True, 1.5, 1
    group.from_segments.active_segment = bpy.context.scene.objects.find(head.name)
    yield 0.7
    shot("21-panel")
    settings.output.painting = "IMPASTO"
    yield from generate()
    canvas = canvas_of_newest()
    for item in made:
        item.hide_set(True)
    raking_light(canvas)
    drive.shade("RENDERED")
    bpy.context.scene.render.engine = "BLENDER_EEVEE"
    look_at(canvas)
    yield COMPILING_S
    shot("23-impasto-raking-light")
    with bpy.context.temp_override(window=drive.window(), area=drive.view3d()):
        drive.view3d().spaces.active.region_3d.view_distance /= 5.0
    yield 4.0
    shot("24-impasto-close")


def play_back(engine: str):
    canvas = canvas_of_newest()
    drive.shade("MATERIAL")
    look_at(canvas)
    bpy.ops.relievo.animate_strokes(frames=100)
    yield COMPILING_S
    for number, frame in enumerate((4, 20, 60, 101)):
        bpy.context.scene.frame_set(frame)
        yield 3.0
        shot(f"25-strokes-{number}-frame-{frame}")
    bpy.ops.relievo.strokes_as_pencil(frames=100)
    for number, frame in enumerate((10, 101)):
        bpy.context.scene.frame_set(frame)
        yield 3.0
        shot(f"26-pencil-{number}-frame-{frame}")
    assert painting.strokes_of(canvas).hide_get()
    look_at(canvas)
    bpy.ops.relievo.save_painting_film(filepath=str(Path(PICTURES) / "painting.mp4"), frames=48, longest_px=480)
    assert (Path(PICTURES) / "painting.mp4").stat().st_size > 10000


def paint_edited(engine: str):
    """Every third stroke becomes red and twice as thick; then the picture is painted from them."""
    canvas = canvas_of_newest()
    strokes = painting.strokes_of(canvas)
    bpy.ops.relievo.animate_strokes()
    count = len(strokes.data.curves)
    colors = np.empty(count * 4, np.float32)
    strokes.data.attributes["stroke_color"].data.foreach_get("color", colors)
    colors.reshape(-1, 4)[::3, :3] = (0.6, 0.02, 0.02)
    strokes.data.attributes["stroke_color"].data.foreach_set("color", colors)
    canvas.hide_set(False)
    look_at(canvas)
    yield 1.0
    with bpy.context.temp_override(window=drive.window(), area=drive.view3d()):
        bpy.ops.relievo.paint_edited_strokes("INVOKE_DEFAULT")
    yield 1.5
    shot("26-scale-dialog")
    drive.key("ESC", 1180, 280)
    yield 0.7
    bpy.ops.relievo.paint_edited_strokes(scale=2.0)
    yield settled
    assert newest_job().error is None, newest_job().sentence
    yield COMPILING_S / 2
    shot("26-painted-from-edited-strokes")


def pattern() -> bpy.types.Image:
    """Checks of four colours."""
    image = bpy.data.images.new("Checks", 512, 512)
    cell = 512 // CHECKS
    row, column = np.mgrid[0:512, 0:512] // cell
    palette = np.array([(0.8, 0.3, 0.1), (0.9, 0.8, 0.5), (0.1, 0.3, 0.5), (0.3, 0.5, 0.2)], np.float32)
    pixels = np.ones((512, 512, 4), np.float32)
    pixels[..., :3] = palette[(row + 2 * column) % 4]
    image.pixels.foreach_set(pixels.ravel())
    image.pack()
    return image


def paint_a_mesh(settings, engine: str):
    bpy.context.scene.frame_set(1)
    for item in bpy.data.objects:
        if item.type != "LIGHT":
            item.hide_set(True)
    bpy.ops.mesh.primitive_monkey_add(size=2.0, location=(0.0, 0.0, 1.0))
    head = bpy.context.active_object
    head.name = "Head"
    bpy.ops.object.shade_smooth()
    material = plain("Skin", (1.0, 1.0, 1.0))
    picture = material.node_tree.nodes.new("ShaderNodeTexImage")
    picture.image = bpy.data.images.load(opening.ARGUMENTS[3]) if len(opening.ARGUMENTS) > 3 else pattern()
    shader = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    material.node_tree.links.new(picture.outputs["Color"], shader.inputs["Base Color"])
    head.data.materials.append(material)
    group = getattr(settings, engine)
    group.from_image.source = group.from_segments.source = "SURFACE"
    look_at(head)
    drive.shade("MATERIAL")
    yield COMPILING_S / 2
    shot("27-mesh-before")
    settings.output.painting = "CANVAS"
    group.steps = 10
    bpy.ops.relievo.generate()
    yield settled
    assert newest_job().error is None, newest_job().sentence
    yield COMPILING_S / 2
    shot("28-mesh-painted")
    assert textures.worn_by(head) is not None


def session():
    yield from tab_in_an_empty_scene()
    bpy.context.scene.cursor.location = (0.0, -20.0, 0.0)  # the canvas stands apart from what is painted
    settings, engine = bpy.context.scene.relievo, painting_engine()
    yield from paint_the_view(settings, engine)
    yield from play_back(engine)
    yield from paint_edited(engine)
    yield from paint_a_mesh(settings, engine)
    bpy.ops.wm.save_as_mainfile(filepath=str(Path(PICTURES) / "painting.blend"))


drive.run(session(), timeout=400.0)
