"""Operators about jobs and finished terrains: cancel, keep, place, show, again, vary, and the recipe."""

from __future__ import annotations

import json
import platform
import random
from typing import Any

import bpy

from .. import previews, properties, pump, requests, results, viewport
from ..job_records import Job
from ..shared.algorithm import find
from ..shared.catalog import ALGORITHMS
from ..shared.errors import InvalidInput, UnknownJob
from ..shared.version import PROTOCOL, VERSION
from .engines import run
from .reporting import reports_errors


class JobOperator:
    """job: the id of the job it is about."""

    job: bpy.props.StringProperty(options={"SKIP_SAVE"})  # type: ignore[valid-type]

    def find(self) -> Job:
        job = pump.session().jobs.get(self.job)
        if job is None:
            raise UnknownJob("This job is no longer in the list.")
        return job


class RELIEVO_OT_cancel_job(JobOperator, bpy.types.Operator):
    """Stop this job and leave the scene as it was before"""

    bl_idname = "relievo.cancel_job"
    bl_label = "Cancel"

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        pump.session().cancel(self.find())
        pump.hurry()
        return {"FINISHED"}


class RELIEVO_OT_keep_job(JobOperator, bpy.types.Operator):
    """Stop refining and take the terrain as it is now"""

    bl_idname = "relievo.keep_job"
    bl_label = "Keep"

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        job = self.find()
        if not job.can_be_kept:
            raise InvalidInput(f"{job.label} has nothing to keep yet.", hint="Wait for its preview, or cancel it.")
        pump.session().cancel(job, keep=True)
        pump.hurry()
        return {"FINISHED"}


class RELIEVO_OT_place_job(JobOperator, bpy.types.Operator):
    """Put this result into the open scene as a new object"""

    bl_idname = "relievo.place_job"
    bl_label = "Place as a New Object"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        job = self.find()
        if job.outputs is None:
            raise InvalidInput(f"{job.label} has no result yet.")
        if context.mode != "OBJECT":
            raise InvalidInput("A result is placed in Object Mode only.", hint="Leave the current mode first.")
        job.error = None
        job.purpose["location"] = requests.free_place(context.scene, tuple(context.scene.cursor.location))
        results.place(pump.session(), job, pump.generation(), anywhere=True)
        if job.error is not None:
            raise job.error
        pump.redraw()
        return {"FINISHED"}


class RELIEVO_OT_forget_job(JobOperator, bpy.types.Operator):
    """Take this entry off the list; a result that is in the scene stays there"""

    bl_idname = "relievo.forget_job"
    bl_label = "Remove from List"

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        job = self.find()
        previews.end(job)
        pump.session().discard(job)
        pump.redraw()
        return {"FINISHED"}


class RELIEVO_OT_show_job(JobOperator, bpy.types.Operator):
    """Select what this job made and bring it into view"""

    bl_idname = "relievo.show_job"
    bl_label = "Show"
    bl_options = {"REGISTER", "UNDO"}

    @reports_errors
    def execute(self, _context: bpy.types.Context) -> set[str]:
        made = results.find_shown(self.find())
        if made is None:
            raise InvalidInput("What this job made is no longer in the file.", hint="Again makes it anew.")
        viewport.select(made)
        viewport.frame(made)
        return {"FINISHED"}


class RELIEVO_OT_again_job(JobOperator, bpy.types.Operator):
    """Compute this job once more, with the same settings and inputs, into a new object"""

    bl_idname = "relievo.again_job"
    bl_label = "Again"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        job = self.find()
        recipe = {"algorithm": job.algorithm, "params": job.params, "format": 1, "scene": requests.scene_part(job)}
        return run(self, context, requests.from_recipe(recipe))


class RELIEVO_OT_copy_job_report(JobOperator, bpy.types.Operator):
    """Copy what happened to this job to the clipboard, to send it to the developers"""

    bl_idname = "relievo.copy_job_report"
    bl_label = "Copy Report"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        session = pump.session()
        head = f"Relievo {VERSION}, protocol {PROTOCOL}, Blender {bpy.app.version_string}, {platform.platform()}"
        devices = f"devices {session.connection.devices}"
        context.window_manager.clipboard = "\n".join(
            [head, devices, self.find().report(), session.connection.process.log_tail()]
        )
        self.report({"INFO"}, "The report is on the clipboard")
        return {"FINISHED"}


# On the active object -----------------------------------------------------------------------------------------


class TerrainOperator:
    """Acts on the active object, which must carry a recipe."""

    poll_message_set: Any

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if requests.recipe_on(context.active_object) is None:
            cls.poll_message_set("Select a terrain that Relievo has made")
            return False
        return True

    def recipe(self, context: bpy.types.Context) -> dict[str, Any]:
        recipe = requests.recipe_on(context.active_object)
        if recipe is None:
            raise InvalidInput("No terrain that Relievo has made is selected.")
        return recipe


class RELIEVO_OT_regenerate(TerrainOperator, bpy.types.Operator):
    """Compute the selected terrain anew from its recipe and replace it in place"""

    bl_idname = "relievo.regenerate"
    bl_label = "Regenerate"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        return run(self, context, requests.from_recipe(self.recipe(context), target=context.active_object.name))


class RELIEVO_OT_update_terrain(TerrainOperator, bpy.types.Operator):
    """Compute the selected terrain with the sidebar's present settings and replace it in place;

    its inputs stay those of its recipe
    """

    bl_idname = "relievo.update_terrain"
    bl_label = "Apply Settings"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        request = requests.from_recipe(self.recipe(context), target=context.active_object.name)
        return run(self, context, requests.with_params(request, properties.read(context.scene, request.spec)))


class RELIEVO_OT_vary(TerrainOperator, bpy.types.Operator):
    """Compute the selected terrain with another seed and replace it in place"""

    bl_idname = "relievo.vary"
    bl_label = "Vary"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        changes = {"seed": random.randrange(100000)}
        return run(
            self,
            context,
            requests.from_recipe(self.recipe(context), target=context.active_object.name, changes=changes),
        )


class RELIEVO_OT_settings_from_terrain(TerrainOperator, bpy.types.Operator):
    """Set the sidebar to what the selected terrain was made with"""

    bl_idname = "relievo.settings_from_terrain"
    bl_label = "Take Its Settings"
    bl_options = {"REGISTER", "UNDO"}

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        recipe = self.recipe(context)
        spec = find(ALGORITHMS, recipe["algorithm"])
        context.scene.relievo.algorithm = spec.name
        properties.write(context.scene, spec, recipe["params"])
        return {"FINISHED"}


class RELIEVO_OT_copy_recipe(TerrainOperator, bpy.types.Operator):
    """Copy the selected terrain's recipe to the clipboard: `relievo.py run --recipe` reads it"""

    bl_idname = "relievo.copy_recipe"
    bl_label = "Copy Recipe"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        context.window_manager.clipboard = json.dumps(self.recipe(context), indent=1)
        self.report({"INFO"}, "The recipe is on the clipboard")
        return {"FINISHED"}


CLASSES = (
    RELIEVO_OT_cancel_job,
    RELIEVO_OT_keep_job,
    RELIEVO_OT_place_job,
    RELIEVO_OT_forget_job,
    RELIEVO_OT_show_job,
    RELIEVO_OT_again_job,
    RELIEVO_OT_copy_job_report,
    RELIEVO_OT_regenerate,
    RELIEVO_OT_update_terrain,
    RELIEVO_OT_vary,
    RELIEVO_OT_settings_from_terrain,
    RELIEVO_OT_copy_recipe,
)


def register() -> None:
    for cls in CLASSES:
        bpy.utils.register_class(cls)


def unregister() -> None:
    for cls in reversed(CLASSES):
        bpy.utils.unregister_class(cls)
