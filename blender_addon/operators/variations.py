"""Variations: four other seeds of a result, small and side by side, and taking one of them in its place at full size."""

from __future__ import annotations

import uuid
from dataclasses import replace

import bpy

from .. import pump, requests, typed
from ..inputs import reduction
from ..link.job_records import Job
from ..placing import variations, viewport
from ..requests import Request
from ..settings import properties
from ..settings.feeds import Feed
from ..shared.algorithm import AlgorithmSpec, find
from ..shared.catalog import algorithms
from ..shared.errors import InvalidInput
from .engines import run
from .reporting import reports_errors
from .results import carried_by


def engine_of(item: bpy.types.Object | None) -> AlgorithmSpec | None:
    """The engine of a terrain that can be varied, None for anything else. Cheap: for draw()."""
    recipe = requests.recipe_on(item)
    spec = next((spec for spec in algorithms() if recipe is not None and spec.name == recipe["algorithm"]), None)
    return spec if spec is not None and spec.makes == "terrain" and properties.seeds_of(spec) else None


class RELIEVO_OT_variations(bpy.types.Operator):
    """Make four small terrains of other seeds in front of the selected one, to choose from"""

    bl_idname = "relievo.variations"
    bl_label = "Variations"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if engine_of(carried_by(context.active_object)) is None:
            cls.poll_message_set("Select a terrain that Relievo has made with a seed")
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        item = typed.present(carried_by(context.active_object))
        request = requests.from_recipe(requests.recipe_on(item), target=item.name)
        arrays = requests.read(context, request)
        pump.connect()
        session = pump.session()
        for job in variations.jobs_of(session, item):
            session.cancel(job)
        variations.remove(variations.strip_of(item))
        params, fewer = reduction.of_arrays(request.spec, request.params, arrays, variations.LONGEST_PX)
        small = replace(
            request,
            params=reduction.of_params(request.spec, params, variations.LONGEST_PX),
            feeds={port: _fewer(feed) for port, feed in request.feeds.items()},
            preview=False,
            frame=False,
            target="",
        )
        group, jobs = uuid.uuid4().hex, []
        for slot, seeds in enumerate(_seeds(request)):
            one = replace(small, params={**small.params, **seeds}, notes=variations.notes(group, item, slot, seeds))
            jobs.append(requests.submit(session, context, one, generation=pump.generation(), arrays=fewer))
        if bpy.app.background:
            _wait(jobs)
        pump.hurry()
        return {"FINISHED"}


def _fewer(feed: Feed) -> Feed:
    spec = find(algorithms(), feed.algorithm)
    return Feed(feed.algorithm, reduction.of_params(spec, feed.params, variations.LONGEST_PX))


def _seeds(request: Request) -> list[dict[str, int]]:
    """As many new seeds as there are variations, all of them different from each other and from the result's own."""
    found: list[dict[str, int]] = []
    while len(found) < variations.COUNT:
        seeds = requests.new_seeds(request.spec)
        if seeds not in found and any(request.params.get(name) != seed for name, seed in seeds.items()):
            found.append(seeds)
    return found


def _wait(jobs: list[Job]) -> None:
    for job in jobs:
        pump.wait(job)
        if job.held:
            raise InvalidInput(f"{job.label} {job.held}.")
    variations.settle(pump.session())


class RELIEVO_OT_use_variation(bpy.types.Operator):
    """Compute the selected variation at full size in the place of its terrain; the small ones go when it is there"""

    bl_idname = "relievo.use_variation"
    bl_label = "Use This Seed"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not variations.seeds_of(carried_by(context.active_object)):
            cls.poll_message_set("Select one of the small terrains that Variations has made")
            return False
        return True

    @reports_errors
    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = typed.present(carried_by(context.active_object))
        item = variations.varied_by(chosen)
        if item is None or requests.recipe_on(item) is None:
            raise InvalidInput(
                "The terrain that this is a variation of was deleted.",
                hint="Discard the variations and generate it again.",
            )
        seeds = variations.seeds_of(chosen)
        request = requests.from_recipe(requests.recipe_on(item), target=item.name, changes=seeds)
        strip = [[small.name, small.session_uid] for small in variations.strip_of(item)]
        viewport.select(item)
        return run(self, context, replace(request, pressed_on=item.name, notes={"removes": strip}))


class RELIEVO_OT_discard_variations(bpy.types.Operator):
    """Remove the small terrains, and stop those that are being computed; the terrain itself stays as it is"""

    bl_idname = "relievo.discard_variations"
    bl_label = "Discard Variations"
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        item, session = carried_by(context.active_object), pump.current()
        if item is None or not (
            variations.strip_of(item) or (session is not None and variations.jobs_of(session, item))
        ):
            cls.poll_message_set("Select a terrain with variations, or one of them")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[str]:
        chosen = typed.present(carried_by(context.active_object))
        item = variations.varied_by(chosen)
        strip = variations.strip_of(chosen)
        if (session := pump.current()) is not None:
            for job in variations.jobs_of(session, item or chosen):
                session.cancel(job)
        variations.remove(strip)
        if item is not None:
            viewport.select(item)
        pump.hurry()
        return {"FINISHED"}


CLASSES = (RELIEVO_OT_variations, RELIEVO_OT_use_variation, RELIEVO_OT_discard_variations)

register, unregister = bpy.utils.register_classes_factory(CLASSES)
