"""Small terrains of other seeds along a result's front edge, to choose one from: where they stand, and how they go.

They are drafts: scaled down, without a recipe of their own. All of a strip is one step of undo, and nothing of it stays behind when
it is given up. What is computed, and what choosing one starts, is operators/variations.py's business.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

import bpy
from mathutils import Matrix, Vector

from ..link.job_records import Job
from ..link.session import Session
from ..shared.algorithm import Arrays
from ..shared.arrays import COLOR_IMAGE, HEIGHT_MAP, TEXTURE
from ..writers import images, record
from . import companions

KEY = record.VARIATION_KEY
COUNT = 4
LONGEST_PX = 256
SHARE = 0.9  # of its part of the strip that one fills
GAP = 0.08  # between the result and the strip, in terms of the result's width
USED = ("water", "flow", "sediment", "wear")  # maps that can be seen

_open: dict[str, int] = {}  # strips that are being computed: their group -> how many of them stand


def notes(group: str, item: bpy.types.Object, slot: int, seeds: Mapping[str, int]) -> dict[str, Any]:
    """What a job of a strip has in its purpose."""
    return {
        "variation": {"group": group, "of": item.name, "of_uid": item.session_uid, "slot": slot, "seeds": dict(seeds)},
        "output": "MESH",
        "target": "",
        "target_uid": 0,
        "covers": [],
        "frame": False,
        "pressed_on": item.name,
    }


def original_of(job: Job) -> bpy.types.Object | None:
    """The result that a job varies, None where it is gone."""
    said = job.purpose["variation"]
    return record.find(bpy.data.objects, said["of"], said["of_uid"])


def name_of(job: Job, original: bpy.types.Object) -> str:
    """What a small terrain is called: by its result and its seed."""
    return f"{original.name} Seed {next(iter(job.purpose['variation']['seeds'].values()))}"


def seen(outputs: Arrays) -> Arrays:
    """What of a result a small terrain shows; everything else would only be data to keep."""
    return {
        port: given
        for port, given in outputs.items()
        if given and (given[0].kind in (HEIGHT_MAP, COLOR_IMAGE, TEXTURE) or port in USED)
    }


def stand(made: bpy.types.Object, job: Job, original: bpy.types.Object) -> None:
    """Put a new small terrain into its place in the strip: with the lowest points of both at one height."""
    said = job.purpose["variation"]
    bpy.context.view_layer.update()
    low, high = _box(original)
    part = (high.x - low.x) / COUNT
    mine_low, mine_high = _box(made)
    scale = SHARE * part / max(mine_high.x - mine_low.x, mine_high.y - mine_low.y, 1e-9)
    place = Vector(
        (
            low.x + (said["slot"] + 0.5) * part,
            low.y - GAP * (high.x - low.x) - 0.5 * part,
            low.z - scale * mine_low.z,
        )
    )
    made.matrix_world = original.matrix_world @ Matrix.Translation(place.to_tuple()) @ Matrix.Scale(scale, 4)
    made[KEY] = json.dumps(said)
    _open[said["group"]] = _open.get(said["group"], 0) + 1


def _box(item: bpy.types.Object) -> tuple[Vector, Vector]:
    corners = [Vector(corner) for corner in item.bound_box]
    sides = [[corner[axis] for corner in corners] for axis in range(3)]
    return Vector([min(side) for side in sides]), Vector([max(side) for side in sides])


def seeds_of(item: bpy.types.Object | None) -> dict[str, int]:
    """The seeds of a small terrain, {} for any other object."""
    return dict(_said(item).get("seeds", {}))


def varied_by(item: bpy.types.Object) -> bpy.types.Object | None:
    """The result that a small terrain is a variation of; None where it is gone."""
    said = _said(item)
    if not said:
        return None
    found = record.find(bpy.data.objects, said["of"], said["of_uid"])
    return found or bpy.data.objects.get(said["of"])  # in a file opened again


def strip_of(item: bpy.types.Object) -> list[bpy.types.Object]:
    """The small terrains beside a result, or those that a small terrain stands among. Cheap: for draw()."""
    original = varied_by(item) if KEY in item else item
    name = _said(item).get("of", item.name) if original is None else original.name
    return [other for other in bpy.data.objects if KEY in other and _is_of(other, original, name)]


def _is_of(other: bpy.types.Object, original: bpy.types.Object | None, name: str) -> bool:
    return varied_by(other) == original if original is not None else _said(other).get("of") == name


def _said(item: bpy.types.Object | None) -> dict[str, Any]:
    text = item.get(KEY, "") if item is not None else ""
    return json.loads(text) if isinstance(text, str) and text else {}


def jobs_of(session: Session, item: bpy.types.Object) -> list[Job]:
    """The jobs that still work on a strip of a result. Cheap: for draw()."""
    return [
        job
        for job in session.jobs.values()
        if "variation" in job.purpose
        and not job.is_settled
        and (job.purpose["variation"]["of_uid"] == item.session_uid or job.purpose["variation"]["of"] == item.name)
    ]


def settle(session: Session) -> bool:
    """Make a step of undo of each strip that is complete, or will not be. True when there was one."""
    busy = {
        job.purpose["variation"]["group"]
        for job in session.jobs.values()
        if "variation" in job.purpose and (not job.is_settled or job.awaits_placing)
    }
    done = [group for group in _open if group not in busy]
    for group in done:
        del _open[group]
    if done and bpy.context.mode == "OBJECT":
        bpy.ops.ed.undo_push(message="Variations")
    return bool(done)


def forget() -> None:
    """Another file is being loaded."""
    _open.clear()


def remove(items: Iterable[bpy.types.Object]) -> None:
    """Take small terrains away, with everything that came with them and that nothing else uses."""
    for item in items:
        every = companions.with_water([item])
        materials = {material for each in every for material in _materials(each) if material is not None}
        for each in reversed(every):
            companions.remove(each)
        _remove_unused(materials)
    bpy.context.view_layer.update()  # until then it lists a None where each object was


def _materials(item: bpy.types.Object) -> list[bpy.types.Material | None]:
    data = item.data
    return list(data.materials) if isinstance(data, (bpy.types.Mesh, bpy.types.Curve)) else []


def _remove_unused(materials: Iterable[bpy.types.Material]) -> None:
    for material in materials:
        nodes = material.node_tree.nodes if material.node_tree is not None else ()
        pictures = {node.image for node in nodes if isinstance(node, bpy.types.ShaderNodeTexImage) and node.image}
        if material.users or material.library is not None:
            continue
        bpy.data.materials.remove(material)
        for image in pictures:
            if not image.users and images.kind_of(image):
                bpy.data.images.remove(image)
