r"""A sculpt that a person has selected, in a real window: relief transfer at its place, a second Generate, a deleted preview,
images and Show, and a terrain of 4096 x 4096 that must not freeze the window. Takes pictures;  not a pytest file.

    blender-gui --size 1600x900 -- --enable-event-simulate \
        --python tests/blender/window/drive_places.py -- ADDON_PARENT ENDPOINT PICTURES

ADDON_PARENT is the folder that holds blender_addon, ENDPOINT the connection file of a backend that runs, PICTURES a folder.
blender_drive.py is looked for beside the repository, in shared/tools.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import bpy
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))

import opening
from opening import drive, newest_job, settled, shot, tab_in_an_empty_scene

PICTURES = opening.ARGUMENTS[2]
opening.use_checkout(Path(PICTURES) / "data")

from blender_addon.placing import previews  # noqa: E402

LONGEST_PAUSE_S = 3.0  # of the window, while a large terrain is placed


class Pauses:
    """How long the window's own timers had to wait."""

    def __init__(self) -> None:
        self._last, self.longest = time.monotonic(), 0.0
        bpy.app.timers.register(self._tick)

    def _tick(self) -> float:
        now = time.monotonic()
        self.longest, self._last = max(self.longest, now - self._last), now
        return 0.02

    def restart(self) -> None:
        self._last, self.longest = time.monotonic(), 0.0


def sculpt(width: float, place: tuple[float, float, float]) -> bpy.types.Object:
    """A bumpy square, selected."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=200, y_subdivisions=200, size=1.0)
    item = bpy.context.active_object
    item.name = "Sculpt"
    positions = np.empty((len(item.data.vertices), 3), np.float32)
    item.data.vertices.foreach_get("co", positions.ravel())
    x, y = positions[:, 0], positions[:, 1]
    positions[:, 2] = 0.25 * np.exp(-((x - 0.1) ** 2 + (y + 0.05) ** 2) / 0.03) + 0.02 * np.sin(20 * x) * np.cos(17 * y)
    item.data.vertices.foreach_set("co", positions.ravel())
    item.data.update()
    item.scale, item.location = (width,) * 3, place
    return item


def relief_of_a_sculpt(settings):
    item = sculpt(2.7, (3.0, 1.0, 0.0))
    drive.frame_selected()
    settings.algorithm, settings.morphology.from_height.resolution = "morphology", 256
    yield 1.0
    shot("21-selected")
    bpy.ops.relievo.generate()
    yield lambda: newest_job().fraction > 0.4 or settled()
    shot("22-preview")
    yield settled
    yield 1.5
    shot("23-result")
    made = bpy.context.active_object
    assert (made.location.xy - item.location.xy).length < 0.02, "it stands where its source stands"
    assert item.hide_get()
    drive.shade("MATERIAL")
    yield 8.0
    shot("23-result-shaded")
    drive.shade("SOLID")
    bpy.ops.relievo.generate()
    yield settled
    assert bpy.context.active_object.location == made.location
    settings.morphology.scale = "true"
    yield 1.0
    shot("24-true-metres")
    assert not bpy.ops.relievo.generate.poll()
    settings.morphology.scale = "fit"
    for _ in range(4):
        bpy.ops.relievo.vary()
        bpy.ops.relievo.generate()
    yield settled
    yield 1.0
    shot("24-sixth-result")
    assert [other.name for other in bpy.data.objects if other.type == "MESH" and other.visible_get()] == [
        bpy.context.active_object.name
    ]
    bpy.ops.relievo.show_source(name=item.name)
    yield 1.0
    shot("24-beside-its-source")
    bpy.ops.relievo.show_source(name=item.name, hidden=True)
    bpy.ops.relievo.generate()
    yield lambda: any(previews.TAG in other for other in bpy.data.objects) or settled()
    preview = next(other for other in bpy.data.objects if previews.TAG in other)
    bpy.ops.object.select_all(action="DESELECT")
    preview.select_set(True)
    bpy.context.view_layer.objects.active = preview
    drive.key("DEL", 500, 500)
    yield settled
    print("deleted preview:", newest_job().sentence)
    shot("25-deleted")


def a_boulder_and_a_lane(settings):
    """A sculpted ball, of which the upper half is seen, and a mesh that is too narrow for its resolution."""
    bpy.ops.mesh.primitive_ico_sphere_add(subdivisions=6, radius=1.35, location=(12.0, 0.0, 0.0))
    ball = bpy.context.active_object
    ball.name = "Boulder"
    positions = np.empty((len(ball.data.vertices), 3), np.float32)
    ball.data.vertices.foreach_get("co", positions.ravel())
    positions *= 1.0 + 0.08 * np.sin(5 * positions).prod(axis=1, keepdims=True)
    ball.data.vertices.foreach_set("co", positions.ravel())
    ball.data.update()
    yield from selected_and_made("boulder")
    assert (bpy.context.active_object.location.xy - ball.location.xy).length < 0.05
    lane = sculpt(4.0, (20.0, 0.0, 0.0))
    lane.scale[1] = 0.12
    drive.frame_selected()
    yield 1.0
    shot("26-lane")
    assert not bpy.ops.relievo.generate.poll()


def selected_and_made(name: str):
    drive.frame_selected()
    yield 1.0
    shot(f"26-{name}-selected")
    bpy.ops.relievo.generate()
    yield settled
    yield 1.0
    shot(f"26-{name}-result")


def images_and_show(settings):
    settings.algorithm, settings.output.kind = "noise", "IMAGES"
    settings.noise.width_px = settings.noise.height_px = 256
    bpy.ops.relievo.generate()
    yield settled
    before = len(bpy.context.window_manager.windows)
    bpy.ops.relievo.show_job(job=newest_job().id)
    yield 1.5
    shot("26-show-images")
    windows = bpy.context.window_manager.windows
    assert len(windows) == before + 1
    with bpy.context.temp_override(window=windows[-1]):
        bpy.ops.wm.window_close()
    yield 0.5
    settings.output.kind = "MESH"


def a_large_terrain(settings):
    settings.noise.width_px = settings.noise.height_px = 4096
    drive.view3d().tag_redraw()
    yield 1.0
    shot("27-announced")
    pauses = Pauses()
    yield 0.5
    pauses.restart()
    bpy.ops.relievo.generate()
    yield lambda: newest_job().outputs is not None or settled()
    print(f"longest pause while it is computed: {pauses.longest:.2f} s")
    pauses.restart()
    yield settled
    yield 2.0
    print(f"longest pause while it is placed: {pauses.longest:.2f} s")
    shot("28-placed")
    assert pauses.longest < LONGEST_PAUSE_S


def session():
    yield from tab_in_an_empty_scene()
    settings = bpy.context.scene.relievo
    yield from relief_of_a_sculpt(settings)
    yield from a_boulder_and_a_lane(settings)
    yield from images_and_show(settings)
    yield from a_large_terrain(settings)


drive.run(session(), timeout=240.0)
