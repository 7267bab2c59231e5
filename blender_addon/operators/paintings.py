"""What becomes of a painting that is there: strokes that paint themselves, in the scene or as a film, strokes as Grease Pencil, and
edited strokes painted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import bpy
import numpy as np

from .. import requests, typed
from ..datablocks import painting
from ..placing import viewport
from ..readers import images, stroke_frames
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from ..writers.paintings import canvas_materials, film, stroke_animation, stroke_pencil
from .engines import run
from .reporting import reports_errors

FRAMES = 120
SCALE = "scale"  # the parameter of an engine that paints saved strokes


def _canvas(context: bpy.types.Context) -> bpy.types.Object | None:
    """The canvas with strokes that is selected, or that what is selected belongs to."""
    item = painting.canvas_of(context.active_object)
    return item if item is not None and painting.strokes_of(item) is not None else None


def _has_strokes(operator: type[bpy.types.Operator], context: bpy.types.Context) -> bool:
    """Whether a painting with strokes is selected; the operator's tooltip says so where none is."""
    if _canvas(context) is None:
        operator.poll_message_set("Select a painting with strokes")
        return False
    return True


class RELIEVO_OT_animate_strokes(bpy.types.Operator):
    """Show the painting as it is painted, stroke by stroke from the scene's first frame on; press again to see the picture"""

    bl_idname = "relievo.animate_strokes"
    bl_label = "Animate"
    bl_options = {"REGISTER", "UNDO"}

    frames: bpy.props.IntProperty(
        name="Frames",
        description="Frames from the empty canvas to the finished painting",
        default=FRAMES,
        min=1,
        soft_max=1000,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_strokes(cls, context)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        canvas, scene = typed.present(_canvas(context)), typed.present(context.scene)
        if stroke_animation.is_on(canvas):
            stroke_animation.remove(canvas)
            viewport.select(canvas)
        else:
            viewport.select(stroke_animation.put_on(canvas, start=scene.frame_start, frames=self.frames))
        return {"FINISHED"}


class RELIEVO_OT_strokes_as_pencil(bpy.types.Operator):
    """Make Grease Pencil strokes of the painting, in painting order, with a Build modifier that lays them down"""

    bl_idname = "relievo.strokes_as_pencil"
    bl_label = "As Grease Pencil"
    bl_options = {"REGISTER", "UNDO"}

    frames: bpy.props.IntProperty(
        name="Frames",
        description="Frames in which the Build modifier lays the strokes down, 0 for no modifier",
        default=FRAMES,
        min=0,
        soft_max=1000,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_strokes(cls, context)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        canvas = typed.present(_canvas(context))
        viewport.select(stroke_pencil.make(canvas, typed.present(context.scene), self.frames))
        return {"FINISHED"}


class RELIEVO_OT_save_painting_film(bpy.types.Operator):
    """Save a film of the painting as it is painted, as MP4. Blender does not respond until it is rendered"""

    bl_idname = "relievo.save_painting_film"
    bl_label = "Save as MP4"
    bl_options = {"REGISTER"}

    filepath: bpy.props.StringProperty(name="File", description="Where the film is saved", subtype="FILE_PATH")
    check_existing: bpy.props.BoolProperty(default=True, options={"HIDDEN"})
    filter_glob: bpy.props.StringProperty(default="*.mp4", options={"HIDDEN"})
    frames: bpy.props.IntProperty(
        name="Frames",
        description="Frames from the empty canvas to the last stroke; the finished picture comes after them",
        default=FRAMES,
        min=1,
        soft_max=1000,
        max=100000,
    )
    fps: bpy.props.IntProperty(name="Frame Rate", description="Frames per second", default=24, min=1, max=240)
    longest_px: bpy.props.IntProperty(
        name="Size",
        description="Pixels along the longer side of the film",
        default=1080,
        min=16,
        soft_max=3840,
        max=8192,
        subtype="PIXEL",
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _has_strokes(cls, context)

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        if not self.filepath:
            folder = Path(bpy.data.filepath).parent if bpy.data.filepath else Path.home()
            self.filepath = str(
                folder / bpy.path.clean_name(f"{typed.present(_canvas(context)).name}.mp4", replace=" ")
            )
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        if not self.filepath:
            raise InvalidInput("No file is named for the film.", hint="Set filepath.", field="filepath")
        path = Path(bpy.path.ensure_ext(bpy.path.abspath(self.filepath), ".mp4"))
        canvas = typed.present(_canvas(context))
        drawn, ground = stroke_frames.of(canvas)
        shape = stroke_frames.size(ground, self.longest_px)
        image = canvas_materials.picture_of(canvas)
        picture = images.color_image(image).values if image is not None else None

        def pictures() -> Iterator[np.ndarray]:
            last = np.zeros((*shape, 3), np.float32)
            for last in stroke_frames.frames(drawn, ground, shape, self.frames):
                yield last
            yield from film.finished(last, picture, self.fps)

        film.save(path, pictures(), shape, self.fps)
        self.report({"INFO"}, f"The film is saved: {path}")
        return {"FINISHED"}


class RELIEVO_OT_paint_edited_strokes(bpy.types.Operator):
    """Draw the painting again from its strokes as you have edited them: none is added, moved or optimised"""

    bl_idname = "relievo.paint_edited_strokes"
    bl_label = "Paint Edited Strokes"
    bl_options = {"REGISTER"}

    scale: bpy.props.FloatProperty(
        name="Scale",
        description="Size of the painting, in sizes of the picture that was painted; 0 for its present size",
        default=0.0,
        min=0.0,
        max=32.0,
        soft_max=8.0,
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not _has_strokes(cls, context):
            return False
        recipe = requests.recipe_on(_canvas(context))
        spec = next((spec for spec in algorithms() if recipe is not None and spec.name == recipe["algorithm"]), None)
        if spec is None or requests.strokes_port(spec) is None:
            cls.poll_message_set("The engine that made this painting cannot paint saved strokes")
            return False
        return True

    def invoke(self, context: bpy.types.Context, _event: bpy.types.Event) -> set[str]:
        recipe = requests.recipe_on(_canvas(context)) or {}
        self.scale = float(recipe.get("params", {}).get(SCALE, 1.0))
        return context.window_manager.invoke_props_dialog(self)

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        canvas = typed.present(_canvas(context))
        changes = {SCALE: float(f"{self.scale:.6g}")} if self.scale else {}
        request = requests.of_strokes(requests.recipe_on(canvas), canvas.name, changes)
        return run(self, context, replace(request, pressed_on=canvas.name))


CLASSES = (
    RELIEVO_OT_animate_strokes,
    RELIEVO_OT_strokes_as_pencil,
    RELIEVO_OT_save_painting_film,
    RELIEVO_OT_paint_edited_strokes,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
