"""Where a terrain goes: over its source, or beside the terrains that stand there already and those that are being computed.

Looked up when a job is sent, and again when its preview and its result arrive: by then another job may have put its own result
there. Ground that a job has been given is kept for it until its result stands there or it is known that none will.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import bpy

from .. import typed
from ..link.job_records import Job
from ..shared.algorithm import Arrays
from ..shared.arrays import HEIGHT_MAP
from ..units import metres_per_unit
from ..writers import record, table

Place = tuple[float, float, float]  # Blender units
LEAST_GAP = 1.1  # Blender units between the middles of two, however small they are


@dataclass(frozen=True)
class _Ground:
    """What something takes of the ground, seen from above, in Blender units: its middle, its width and its depth."""

    x: float
    y: float
    width: float
    depth: float

    @classmethod
    def of(cls, item: bpy.types.Object) -> _Ground:
        return cls(item.location.x, item.location.y, item.dimensions.x, item.dimensions.y)

    def meets(self, place: list[float], width: float) -> bool:
        """Whether something of this width at a place would overlap it. Two of which no size is known do so in one place only."""
        apart = abs(self.x - place[0]), abs(self.y - place[1])
        if not self.width and not width:
            return max(apart) < 0.5
        return apart[0] < 0.5 * (self.width + width) and apart[1] < 0.5 * (self.depth + width)


def free(scene: bpy.types.Scene, wanted: Place, width: float = 0.0, others: Iterable[Job] = ()) -> list[float]:
    """The wanted place, or one beside what stands on it or is going to: two surfaces in one place show neither. width: of what is
    going to stand there, Blender units, where it is known. others: jobs whose ground is kept for them.
    """
    place = list(wanted)
    taken = [*map(_Ground.of, _terrains(scene)), *_kept(scene, others)]
    while (met := next((ground for ground in taken if ground.meets(place, width)), None)) is not None:
        place[0] = met.x + max(0.55 * (met.width + width), 1.1 * met.width, LEAST_GAP)
    return place


def covered(scene: bpy.types.Scene, below: Iterable[bpy.types.Object], place: Place) -> list[bpy.types.Object]:
    """What a terrain lies over that stands where its source does: what it was read from, and earlier terrains in the same place."""
    sources = list(below)
    terrains = [item for item in _terrains(scene) if is_at(item, place)]
    return [*sources, *(item for item in terrains if item not in sources)]


def noted(items: list[bpy.types.Object]) -> list[list[object]]:
    """Objects as a job's purpose keeps them."""
    return [[item.name, item.session_uid] for item in items]


def renew(job: Job, others: Iterable[Job], arrays: Arrays) -> None:
    """Bring a job's place, and what it covers there, up to the scene as it is now. A job with a target keeps the target's place.

    others: the session's jobs. arrays: what has come of this one, a preview or a result, from which its size is known.
    """
    purpose = job.purpose
    scene = _scene_of(job)
    if purpose.get("target") or "location" not in purpose:
        return
    purpose["width"] = _width(scene, arrays) or purpose.get("width", 0.0)
    x, y, z = purpose["location"]
    if not purpose.get("covers"):
        purpose["location"] = free(scene, (x, y, z), purpose["width"], rivals(others, purpose.get("generation"), job))
        return
    known = {uid for _, uid in purpose["covers"]}
    since = [item for item in covered(scene, (), (x, y, z)) if item.session_uid not in known]
    purpose["covers"] = [*purpose["covers"], *noted(since)]


def rivals(jobs: Iterable[Job], generation: int | None, job: Job | None = None) -> list[Job]:
    """The jobs, but this one, that are going to put an object into the file of this generation, in a place of their own."""
    return [other for other in jobs if other is not job and _will_stand(other, generation)]


def is_at(item: bpy.types.Object, place: Iterable[float]) -> bool:
    """Whether an object's middle is at a place, seen from above, but for a hundredth of its width and depth."""
    apart = [abs(a - b) for a, b in zip(item.location.to_tuple(), place, strict=True)]
    return apart[0] <= 0.01 * item.dimensions.x and apart[1] <= 0.01 * item.dimensions.y


def _will_stand(job: Job, generation: int | None) -> bool:
    purpose = job.purpose
    if (
        job.spec is None
        or job.silent
        or job.recovered
        or purpose.get("generation") != generation
        or "variation" in purpose
    ):
        return False
    if job.is_settled and not job.awaits_placing:
        return False
    makes_object = table.of(job.spec).frames and purpose.get("output") != "IMAGES"
    return makes_object and not purpose.get("target") and "location" in purpose


def _kept(scene: bpy.types.Scene, jobs: Iterable[Job]) -> list[_Ground]:
    """The ground of each job in this scene: where its preview stands, which a person may have moved, else where it was sent to."""
    previews = {item[record.PREVIEW_KEY]: item for item in scene.objects if record.PREVIEW_KEY in item}
    found = []
    for job in jobs:
        if (item := previews.get(job.id)) is not None:
            found.append(_Ground.of(item))
        elif _scene_of(job) == scene:
            (x, y, _), width = job.purpose["location"], job.purpose.get("width", 0.0)
            found.append(_Ground(x, y, width, width))
    return found


def _scene_of(job: Job) -> bpy.types.Scene:
    return bpy.data.scenes.get(job.purpose.get("scene", "")) or typed.present(bpy.context.scene)


def _width(scene: bpy.types.Scene, arrays: Arrays) -> float:
    """Of the terrain that arrays become, Blender units; 0 where there are no heights among them."""
    heights = (array for given in arrays.values() for array in given if array.kind is HEIGHT_MAP)
    return next((array.values.shape[1] * array.pixel_size_m / metres_per_unit(scene) for array in heights), 0.0)


def _terrains(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [item for item in scene.objects if record.VARIATION_KEY in item or record.recipe_on(item) is not None]
