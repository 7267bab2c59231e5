"""Image Editors that follow a job which was started there: its preview in the place of the sample, then its result.

An editor that a person turns to another image meanwhile is left alone. Without a result the sample is back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy

from ..link.job_records import Job

EDITED = "edited_image"  # in a job's purpose: the name of the image that it was started from


@dataclass
class _Following:
    """Addresses of the editors, and the name of what they were made to show last."""

    spaces: set[int]
    shows: str


_following: dict[str, _Following] = {}  # by job id


def follow(job: Job, image: bpy.types.Image | None) -> None:
    """Show a preview or the result in the editors that show the sample, or what was shown last in its place."""
    sample = job.purpose.get(EDITED, "")
    if not sample or image is None:
        return
    if job.id not in _following:
        found = {space.as_pointer() for space in _spaces() if space.image is not None and space.image.name == sample}
        _following[job.id] = _Following(found, sample)
    _turn(_following[job.id], image)


def end(job: Job) -> None:
    """Its preview goes: the sample is shown again, until a result is."""
    following, sample = _following.get(job.id), bpy.data.images.get(job.purpose.get(EDITED, ""))
    if following is not None and sample is not None:
        _turn(following, sample)
    if job.outputs is None:
        forget(job)


def forget(job: Job | None = None) -> None:
    """The job is done; or, before another file is loaded, all are."""
    for id in [job.id] if job is not None else list(_following):
        _following.pop(id, None)


def _turn(following: _Following, image: bpy.types.Image) -> None:
    for space in _spaces():
        is_ours = space.image is None or space.image.name == following.shows
        if space.as_pointer() in following.spaces and is_ours and space.image != image:
            space.image = image
    following.shows = image.name


def _spaces() -> Iterator[bpy.types.SpaceImageEditor]:
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if isinstance(space, bpy.types.SpaceImageEditor):
                    yield space
