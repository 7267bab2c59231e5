"""Where a terrain goes: over its source, or beside the terrains that stand there already.

Looked up when a job is sent, and again when its preview and its result arrive: by then a job sent earlier may have put its own
result there.
"""

from __future__ import annotations

import bpy

from .. import typed
from ..link.job_records import Job
from ..writers import record

Place = tuple[float, float, float]  # Blender units


def free(scene: bpy.types.Scene, wanted: Place, width: float = 0.0) -> list[float]:
    """The wanted place, or one beside the terrains that stand on it: two surfaces in one place show neither. width: of what is
    going to stand there, Blender units, where it is known.
    """
    place = list(wanted)
    terrains = _terrains(scene)
    while (standing := next((item for item in terrains if _is_at(item, place, reach=width / 2)), None)) is not None:
        place[0] = standing.location.x + max(0.55 * (standing.dimensions.x + width), 1.1 * standing.dimensions.x, 1.1)
    return place


def covered(scene: bpy.types.Scene, source: bpy.types.Object | None, place: Place) -> list[bpy.types.Object]:
    """What a terrain lies over that stands where its source does: the source, and earlier terrains in the same place."""
    terrains = [item for item in _terrains(scene) if _is_at(item, list(place), share=0.01)]
    return [*([source] if source is not None else []), *(item for item in terrains if item != source)]


def noted(items: list[bpy.types.Object]) -> list[list[object]]:
    """Objects as a job's purpose keeps them."""
    return [[item.name, item.session_uid] for item in items]


def renew(job: Job) -> None:
    """Bring a job's place, and what it covers there, up to the scene as it is now. A job with a target keeps the target's place."""
    purpose = job.purpose
    scene = bpy.data.scenes.get(purpose.get("scene", "")) or typed.present(bpy.context.scene)
    if purpose.get("target") or "location" not in purpose:
        return
    x, y, z = purpose["location"]
    if not purpose.get("covers"):
        purpose["location"] = free(scene, (x, y, z), purpose.get("width", 0.0))
        return
    known = {uid for _, uid in purpose["covers"]}
    since = [item for item in covered(scene, None, (x, y, z)) if item.session_uid not in known]
    purpose["covers"] = [*purpose["covers"], *noted(since)]


def _terrains(scene: bpy.types.Scene) -> list[bpy.types.Object]:
    return [item for item in scene.objects if record.recipe_on(item) is not None]


def _is_at(item: bpy.types.Object, place: list[float], *, share: float = 0.5, reach: float = 0.0) -> bool:
    """Whether an object's middle is within this share of its width and depth, and reach, of a place, seen from above."""
    apart = [abs(a - b) for a, b in zip(item.location.to_tuple(), place, strict=True)]
    return apart[0] < share * item.dimensions.x + reach and apart[1] < share * item.dimensions.y + reach
