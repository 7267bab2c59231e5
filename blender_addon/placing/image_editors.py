"""Image Editors that follow a job which was started there: its preview in the place of the sample, then its result.

An editor that a person turns to another image meanwhile is left alone. Without a result, what was shown before is back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import bpy

from ..datablocks import region
from ..link.job_records import Job

EDITED = "edited_image"  # in a job's purpose: the name of the image that it was started from


@dataclass
class _Before:
    """What an editor showed before, and whether it repeated it."""

    image: str
    repeats: bool


@dataclass
class _Following:
    """The editors by their addresses, and the name of the image that they were turned to last."""

    spaces: dict[int, _Before]
    shows: str = ""


_following: dict[str, _Following] = {}  # by job id


def follow(job: Job, image: bpy.types.Image | None, *, is_result: bool = False) -> None:
    """Show a preview or the result in the editors that show the sample, or an earlier texture of it."""
    sample = bpy.data.images.get(job.purpose.get(EDITED, ""))
    if sample is None or image is None:
        return
    region.note_sample(image, sample)
    following = _following.setdefault(job.id, _Following({}))
    if not following.spaces:
        for space in _spaces():
            if (shown := space.image) is not None and region.sample_of(shown) == sample:
                following.spaces[space.as_pointer()] = _Before(shown.name, space.show_repeat)
    for space, before in _ours(following):
        space.image = image
        space.show_repeat = before.repeats or (not is_result and bool(job.purpose.get("tiled_preview")))
    following.shows = image.name
    if is_result:
        forget(job)


def end(job: Job) -> None:
    """Its preview goes: what was shown before is shown again, until a result is."""
    following = _following.get(job.id)
    for space, before in _ours(following) if following is not None else ():
        space.image, space.show_repeat = bpy.data.images.get(before.image), before.repeats
    if following is not None:
        following.shows = ""
    if job.outputs is None:
        forget(job)


def forget(job: Job | None = None) -> None:
    """The job is done; or, before another file is loaded, all are."""
    for id in [job.id] if job is not None else list(_following):
        _following.pop(id, None)


def _ours(following: _Following) -> list[tuple[bpy.types.SpaceImageEditor, _Before]]:
    """The editors that nobody has turned to another image."""
    found = []
    for space in _spaces():
        before = following.spaces.get(space.as_pointer())
        shown = space.image.name if space.image is not None else ""
        if before is not None and shown in ("", following.shows or before.image):
            found.append((space, before))
    return found


def _spaces() -> Iterator[bpy.types.SpaceImageEditor]:
    for screen in bpy.data.screens:
        for area in screen.areas:
            for space in area.spaces:
                if isinstance(space, bpy.types.SpaceImageEditor):
                    yield space
