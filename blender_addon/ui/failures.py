"""What went wrong, drawn beside the button that was pressed: the sentence, what to do, and the ways out."""

from __future__ import annotations

import bpy

from ..link.job_records import Job
from .text_fit import wrapped


def draw(layout: bpy.types.UILayout, job: Job | None) -> None:
    """A box under the button; nothing where the job has not failed. job: the last that the button has started."""
    if job is None or job.error is None:
        return
    box = layout.box().column(align=True)
    row = box.row(align=True)
    row.label(text=f"{job.label} failed", icon="ERROR")
    row.operator("relievo.forget_job", text="", icon="X").job = job.id
    message = job.error.message
    wrapped(box, f"{message[:1].upper()}{message[1:]}")
    draw_ways_out(box, job)


def draw_ways_out(box: bpy.types.UILayout, job: Job) -> None:
    """What to do about a job that has failed, or whose result could not be placed."""
    if job.error is not None and job.error.hint:
        wrapped(box, job.error.hint, "INFO")
    row = box.row(align=True)
    if job.outputs is not None:
        row.operator("relievo.place_job", text="Try Again", icon="IMPORT").job = job.id
    else:
        row.operator("relievo.again_job", text="Again", icon="FILE_REFRESH").job = job.id
    row.operator("relievo.copy_job_report", icon="COPYDOWN").job = job.id
