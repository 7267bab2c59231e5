r"""A person paints a sketch in a real window: New Sketch, strokes of several classes with a draft after each, undo of a stroke, a
colour that is no class, and the full terrain; then one drawn from the scene. Takes pictures to look at; not a pytest file.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_sketch.py -- ADDON_PARENT ENDPOINT PICTURES [ENGINE]

ADDON_PARENT is the folder that holds blender_addon and tests, ENDPOINT the connection file of a backend that runs, PICTURES a
folder. ENGINE: the one that the sketch is for; the first that takes one if left out. With toy_terrain the backend has to run with
RELIEVO_EXTRA_ALGORITHMS=tests.support.toy_engines. blender_drive.py is looked for beside the repository, in shared/tools.
"""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from mathutils import Euler

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import drive, newest_job, settled, shot, tab_in_an_empty_scene

PICTURES = opening.ARGUMENTS[2]
opening.use_checkout(Path(PICTURES) / "data")
if "toy_terrain" in opening.ARGUMENTS:
    os.environ["RELIEVO_EXTRA_ALGORITHMS"] = "tests.support.toy_engines"
from bpy_extras.view3d_utils import location_3d_to_region_2d  # noqa: E402

from blender_addon import requests  # noqa: E402
from blender_addon.datablocks import sketch  # noqa: E402
from blender_addon.inputs import sketch_sources  # noqa: E402
from blender_addon.placing import drafts, viewport  # noqa: E402
from blender_addon.shared.algorithm import find  # noqa: E402
from blender_addon.shared.catalog import algorithms  # noqa: E402


def engine() -> Any:
    if len(opening.ARGUMENTS) > 3:
        return find(algorithms(), opening.ARGUMENTS[3])
    return next(spec for spec in algorithms() if sketch_sources.port_of(spec))


def the_sketch() -> bpy.types.Object:
    return sketch.sketches(bpy.context.scene)[0]


def on_screen(u: float, v: float) -> tuple[float, float]:
    """Where a point of the sketch is in the window, pixels from its top left corner. u, v: 0..1 from the sketch's own top left."""
    item, area = the_sketch(), drive.view3d()
    region = next(region for region in area.regions if region.type == "WINDOW")
    corner = item.dimensions / 2
    place = item.matrix_world.translation.copy()
    place.x += (2 * u - 1) * corner.x
    place.y += (1 - 2 * v) * corner.y
    x, y = location_3d_to_region_2d(region, area.spaces.active.region_3d, place)
    return region.x + x, drive.window().height - (region.y + y)


def stroke(points: list[tuple[float, float]], number: int, size_px: int) -> Generator[Any, None, None]:
    """A real stroke of the brush through points of the sketch, with small steps between them; then its draft."""
    bpy.ops.relievo.paint_class(number=number)
    settings = bpy.context.scene.tool_settings.image_paint
    settings.unified_paint_settings.size = settings.brush.size = size_px
    fine = []
    for (u0, v0), (u1, v1) in itertools.pairwise(points):
        fine += [(u0 + (u1 - u0) * t, v0 + (v1 - v0) * t) for t in np.linspace(0, 1, 12)]
    yield 0.2
    drive.drag([on_screen(u, v) for u, v in fine])
    yield lambda: drafts.is_due()
    began = time.monotonic()
    yield lambda: not drafts.is_due()
    print(f"draft {time.monotonic() - began:.2f} s after the stroke", flush=True)
    yield 0.3


def classes_painted() -> list[int]:
    image = sketch.image_of(the_sketch())
    pixels = np.empty(len(image.pixels), np.float32)
    image.pixels.foreach_get(pixels)
    return np.rint(255 * pixels.reshape(-1, 4)[:, :3]).astype(int).tolist()


def session():
    yield from tab_in_an_empty_scene()
    scene, spec = bpy.context.scene, engine()
    scene.relievo.algorithm = spec.name
    port = sketch_sources.port_of(spec)
    sketch_sources.settings_of(scene, spec, port).source = "SKETCH"
    drive.view3d().tag_redraw()
    yield 1.0
    shot("60-no-sketch")
    area = drive.view3d()
    region = next(region for region in area.regions if region.type == "WINDOW")
    with bpy.context.temp_override(window=drive.window(), area=area, region=region):
        bpy.ops.relievo.new_sketch("INVOKE_DEFAULT")
    yield 1.0
    shot("61-dialog")
    drive.key("RET", *on_dialog())
    yield 1.5
    shot("61-new-sketch")
    yield from paint_island(port)
    before = classes_painted()
    yield from stroke([(0.36, 0.8), (0.4, 0.7), (0.38, 0.6)], 0, 24)
    shot("63-painted")
    picture("64-guide")
    assert before != classes_painted()
    known = np.array([rgb for _, rgb in port.classes]) * 255
    for pixel in {tuple(pixel) for pixel in classes_painted()}:
        assert np.abs(known - pixel).max(axis=1).min() <= 0.51, f"{pixel} is not the exact colour of a class"
    made = requests.result_of(scene, the_sketch().name)
    assert len(made.data.vertices) == 256 * 256
    x, y = on_screen(0.5, 0.5)
    drive.key("Z", x, y, ctrl=True)
    yield 0.6
    yield lambda: not drafts.is_due()
    assert classes_painted() == before, "one undo takes one stroke back"
    assert bpy.context.mode == "PAINT_TEXTURE"
    assert requests.result_of(bpy.context.scene, the_sketch().name) is not None
    shot("65-undone")
    drive.key("Z", x, y, ctrl=True, shift=True)
    yield 0.6
    yield lambda: not drafts.is_due()
    shot("65-redone")
    yield from wrong_color()
    bpy.ops.relievo.generate()
    yield settled
    yield 1.0
    assert newest_job().error is None, newest_job().sentence
    assert len(requests.result_of(bpy.context.scene, the_sketch().name).data.vertices) == 512 * 512
    shot("67-full")
    yield from draw_scene(spec, port)


def picture(name: str) -> None:
    """The 3D view alone, without its grid: for the guide."""
    area, height = drive.view3d(), drive.window().height
    overlay = area.spaces.active.overlay
    before = overlay.show_floor, overlay.show_axis_x, overlay.show_axis_y, overlay.show_cursor
    overlay.show_floor = overlay.show_axis_x = overlay.show_axis_y = overlay.show_cursor = False
    bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
    whole, cut = (str(Path(PICTURES) / f"{name}.{ending}") for ending in ("png", "jpg"))
    drive.shot(whole)
    box = f"{area.width}x{area.height}+{area.x}+{height - area.y - area.height}"
    subprocess.run(["convert", whole, "-crop", box, "+repage", "-strip", "-quality", "88", cut], check=True)
    overlay.show_floor, overlay.show_axis_x, overlay.show_axis_y, overlay.show_cursor = before


def on_dialog() -> tuple[float, float]:
    """Where the mouse has to be for a dialog to get a key: where it was when the dialog came up."""
    return drive.window().width / 2, drive.window().height / 2


def paint_island(port: Any):
    """A hilly island with beach and forest, a range of rock and snow, and a lake."""
    names = [name for name, _ in port.classes]

    def number(*words: str) -> int:
        return next(names.index(name) for word in words for name in names if name.startswith(word))

    def ring(width: float, depth: float) -> list[tuple[float, float]]:
        turns = np.linspace(0, 2 * np.pi, 16)
        return [(0.5 + width * np.cos(a) * (1 + 0.14 * np.sin(3 * a)), 0.5 + depth * np.sin(a)) for a in turns]

    middle = [(0.34, 0.5), (0.5, 0.42), (0.66, 0.5), (0.5, 0.58), (0.36, 0.5)]
    yield from stroke(middle, number("Grass"), 150)
    shot("62-first-draft")
    yield from stroke(ring(0.29, 0.26), number("Beach", "Sand"), 80)
    yield from stroke(ring(0.25, 0.21), number("Grass"), 70)
    yield from stroke([(0.3, 0.42), (0.4, 0.34), (0.5, 0.33)], number("Forest", "Grass"), 60)
    yield from stroke([(0.38, 0.62), (0.48, 0.5), (0.6, 0.47), (0.7, 0.42)], number("Hills", "Rock"), 90)
    yield from stroke([(0.44, 0.56), (0.52, 0.47), (0.66, 0.43)], number("Rock"), 56)
    yield from stroke([(0.5, 0.49), (0.58, 0.45), (0.63, 0.44)], number("Snow"), 22)
    yield from stroke([(0.6, 0.62), (0.66, 0.6)], number("Water"), 34)


def draw_scene(spec: Any, port: Any):
    """A sea, a plateau and a cone laid out with primitives, each with a class, become a terrain over them."""
    bpy.ops.object.mode_set(mode="OBJECT")
    for item in list(bpy.data.objects):
        bpy.data.objects.remove(item)
    names = [name for name, _ in port.classes]
    bpy.ops.mesh.primitive_plane_add(size=8000.0)
    bpy.context.active_object.relievo_class = 0
    bpy.ops.mesh.primitive_cylinder_add(radius=3000.0, depth=200.0, location=(0, 0, 50))
    bpy.context.active_object.relievo_class = names.index(next(name for name in names if name.startswith("Grass")))
    bpy.ops.mesh.primitive_cone_add(radius1=1500.0, depth=1600.0, location=(600, 400, 900))
    bpy.context.active_object.relievo_class = names.index(next(name for name in names if name.startswith("Rock")))
    group = getattr(bpy.context.scene.relievo, spec.name)
    sketch_sources.settings_of(bpy.context.scene, spec, port).source = "DRAWING"
    for other in spec.inputs:
        if other.name == "base":
            getattr(group, f"from_{other.name}").source = "DRAWING"
    viewport.frame(bpy.data.objects["Plane"])
    yield 1.0
    shot("70-drawn-panel")
    bpy.ops.relievo.generate()
    yield settled
    yield 2.0
    assert newest_job().error is None, newest_job().sentence
    shot("71-drawn")
    yield from look_from_the_side(bpy.context.active_object)
    sketch_sources.settings_of(bpy.context.scene, spec, port).selected_only = True
    bpy.ops.object.select_all(action="DESELECT")
    drive.view3d().tag_redraw()
    yield 1.0
    shot("73-nothing-selected")


def look_from_the_side(made: bpy.types.Object) -> Generator[Any, None, None]:
    """The terrain as a solid block, with the sides of its water."""
    bpy.ops.relievo.base()
    view = drive.view3d().spaces.active
    view.region_3d.view_rotation = Euler((1.25, 0.0, 0.5)).to_quaternion()
    view.region_3d.view_distance = 1.3 * max(made.dimensions)
    yield 1.0
    shot("72-solid-base")


def wrong_color():
    """A stroke of a colour that is no class, said in the panel and undone."""
    settings = bpy.context.scene.tool_settings.image_paint
    settings.unified_paint_settings.color = settings.brush.color = (1.0, 0.0, 0.5)
    yield 0.2
    drive.drag([on_screen(0.2, 0.2), on_screen(0.25, 0.2), on_screen(0.3, 0.2)])
    yield 0.4
    yield lambda: not drafts.is_due()
    yield 0.5
    shot("66-no-class")
    assert "no class" in drafts.state_of(the_sketch())[1]
    drive.key("Z", *on_screen(0.5, 0.5), ctrl=True)
    yield 0.6
    yield lambda: not drafts.is_due()


drive.run(session(), timeout=240.0)
