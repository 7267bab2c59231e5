"""Operators about jobs: cancel, keep, place, show, again."""

from __future__ import annotations

import platform

import bpy

from .. import pump, requests
from ..link.job_records import Job
from ..placing import places, previews, results, viewport
from ..shared.errors import InvalidInput, UnknownJob
from ..shared.version import PROTOCOL, VERSION
from ..writers import images
from .engines import run
from .reporting import reports_errors


class JobOperator:
    """job: the id of the job it is about."""

    job: bpy.props.StringProperty(options={"SKIP_SAVE"})

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
    """Stop refining and take the result as it is now"""

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
    """Put this result into the open scene: as a new object, or as the material or the images that it is"""

    bl_idname = "relievo.place_job"
    bl_label = "Place as a New Object"

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        job = self.find()
        if job.outputs is None:
            raise InvalidInput(f"{job.label} has no result yet.")
        if context.mode != "OBJECT":
            raise InvalidInput("A result can only be placed in Object Mode.", hint="Leave the current mode first.")
        job.error = None
        job.purpose["covers"] = []
        waiting = places.rivals(pump.session().jobs.values(), pump.generation(), job)
        job.purpose["location"] = places.free(context.scene, tuple(context.scene.cursor.location), 0.0, waiting)
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
        previews.hide_again()
        results.forget(job)
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
        job = self.find()
        made, data = results.find_shown(job), results.find_shown_data(job)
        if made is not None:
            viewport.select(made)
            viewport.frame(made)
        elif isinstance(data, bpy.types.Image):
            viewport.show_image(data)
            if shown_as := images.how_it_is_shown(data):
                self.report({"INFO"}, f"{shown_as}. Sidebar (N) > Relievo says what is in it")
        elif data is not None:
            self.report({"INFO"}, f"It is the material {data.name}: give it to a mesh under Material Properties")
        else:
            raise InvalidInput("What this job made is no longer in the file.", hint="Again recreates it.")
        return {"FINISHED"}


class RELIEVO_OT_again_job(JobOperator, bpy.types.Operator):
    """Compute this job once more, with the same settings and inputs"""

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


CLASSES = (
    RELIEVO_OT_cancel_job,
    RELIEVO_OT_keep_job,
    RELIEVO_OT_place_job,
    RELIEVO_OT_forget_job,
    RELIEVO_OT_show_job,
    RELIEVO_OT_again_job,
    RELIEVO_OT_copy_job_report,
)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
