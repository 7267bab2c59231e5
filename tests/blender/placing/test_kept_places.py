"""Jobs that run side by side: each has a place of its own, and where they share their source's, one surface is seen at a time.

Where a backend has two workers, a job that was sent later may be done first: its result, which a real job has made, is handed to
it here while the earlier one runs.
"""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import pump, requests
from blender_addon.inputs import sources
from blender_addon.link.job_records import Job
from blender_addon.placing import places, previews, results
from blender_addon.settings.feeds import Feed
from blender_addon.shared.jobs import JobState
from tests.blender.support import live_addon
from tests.blender.support.addon_probe import EXTRA_ALGORITHMS, PROBE
from tests.blender.support.live_addon import step_until

LONG, QUICK = {"steps": 1000, "step_s": 0.05}, {"steps": 1}


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), extra_algorithms=EXTRA_ALGORITHMS) as addon:
        yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    yield
    jobs = list(pump.session().jobs.values())
    for job in jobs:
        if not job.is_settled:
            pump.session().cancel(job)
    step_until(lambda: all(job.is_settled for job in jobs), "the cancels")  # or the next test's would wait for them
    live_addon.discard_jobs()


def submit(params: dict, **options) -> Job:
    pump.connect()
    request = requests.Request(spec=PROBE, params=params, **options)
    return requests.submit(pump.session(), bpy.context, request, generation=pump.generation())


def of_noise(width_px: int) -> dict:
    """A request's input: new noise of 30 m per pixel."""
    feed = Feed("noise", {"width_px": width_px, "height_px": 32, "pixel_size_m": 30.0})
    return {"feeds": {"height": feed}, "sources": {"height": (sources.Source("engine", "noise"),)}}


def of_mesh(name: str) -> dict:
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=8, y_subdivisions=8, size=400.0)
    bpy.context.active_object.name = name
    bpy.context.view_layer.update()
    return {"sources": {"height": (sources.Source("object", name, {"resolution_px": 48}),)}}


def finished(params: dict, **options) -> tuple:
    """What a real job has made, which is then forgotten: arrays and recipe."""
    job = submit(params, **options)
    pump.session().wait(job)
    made = (job.outputs, job.recipe)
    pump.session().discard(job)
    return made


def hand_over(job: Job, made: tuple) -> bpy.types.Object:
    """The result of a job to another, as if a second worker had computed it."""
    (job.outputs, job.recipe), job.state = made, JobState.SUCCEEDED
    pump.step()
    assert job.applied, job.sentence
    bpy.context.view_layer.update()
    found = results.find_shown(job)
    assert found is not None
    return found


def preview_of(job: Job) -> bpy.types.Object | None:
    bpy.context.view_layer.update()
    return next((item for item in bpy.data.objects if item.get(previews.TAG) == job.id), None)


def with_preview(job: Job) -> bpy.types.Object:
    step_until(lambda: preview_of(job), "the preview")
    made = preview_of(job)
    assert made is not None
    return made


def overlap(a: bpy.types.Object, b: bpy.types.Object) -> bool:
    return abs(a.location.x - b.location.x) < 0.5 * (a.dimensions.x + b.dimensions.x)


def test_a_result_stands_beside_a_preview_that_runs() -> None:
    made = finished(QUICK)
    running = submit(LONG, preview=True)
    preview = with_preview(running)
    later = submit(QUICK)
    result = hand_over(later, made)
    assert preview_of(running) == preview
    assert not overlap(preview, result)
    assert tuple(preview.location) == (0.0, 0.0, 0.0)


def test_a_preview_that_a_person_has_moved_keeps_the_place_where_it_is() -> None:
    made = finished(QUICK)
    running = submit(LONG, preview=True)
    preview = with_preview(running)
    preview.location = (3000.0, 0.0, 0.0)
    bpy.context.view_layer.update()
    bpy.context.scene.cursor.location = (3050.0, 0.0, 0.0)
    later = submit(QUICK)
    assert not overlap(preview, hand_over(later, made))
    bpy.context.scene.cursor.location = (0.0, 0.0, 0.0)
    assert submit(LONG).purpose["location"] == [0.0, 0.0, 0.0], "the old place is free again"


def test_jobs_of_a_known_size_have_places_that_do_not_overlap_from_the_beginning() -> None:
    made = finished(QUICK, **of_noise(128))
    jobs = [submit(params, **of_noise(width)) for params, width in ((LONG, 64), (QUICK, 128), (LONG, 32))]
    at = [job.purpose["location"][0] for job in jobs]
    width = [job.purpose["width"] for job in jobs]
    assert width == [1920.0, 3840.0, 960.0]
    assert at[0] == 0.0
    for other in (1, 2):
        assert all(abs(at[other] - at[i]) > 0.5 * (width[other] + width[i]) for i in range(other))
    result = hand_over(jobs[1], made)
    assert result.location.x == pytest.approx(at[1]), "the place that it was given when it was sent"
    assert result.dimensions.x == pytest.approx(3810.0)
    pump.session().cancel(jobs[0])
    pump.session().cancel(jobs[2])
    step_until(lambda: jobs[0].is_settled and jobs[2].is_settled, "the cancels")
    assert submit(LONG, **of_noise(16)).purpose["location"][0] == 0.0, "a cancelled job's place is free"


def test_jobs_of_images_only_or_of_another_file_keep_no_place() -> None:
    images = submit(LONG, output="IMAGES", **of_noise(64))
    assert submit(LONG, **of_noise(64)).purpose["location"] == images.purpose["location"]
    pump._generation += 1
    assert not places.rivals(pump.session().jobs.values(), pump.generation())


def test_over_one_source_the_preview_is_seen_and_then_the_last_result() -> None:
    given = of_mesh("Hill")
    source = bpy.data.objects["Hill"]
    made = finished(QUICK, **given)
    running = submit(LONG, preview=True, **given)
    preview = with_preview(running)
    later = submit(QUICK, **given)
    result = hand_over(later, made)
    assert result.location == preview.location
    assert [item.hide_get() for item in (source, result, preview)] == [True, True, False]
    pump.session().cancel(running)
    step_until(lambda: running.is_settled and preview_of(running) is None, "the cancel")
    assert [item.hide_get() for item in (source, result)] == [True, False]


def test_of_two_previews_over_one_source_the_later_is_seen() -> None:
    given = of_mesh("Hill")
    source = bpy.data.objects["Hill"]
    first, second = submit(LONG, preview=True, **given), submit(LONG, preview=True, **given)
    below = with_preview(first)
    second.preview = {"height": finished_heights(first)}
    above = with_preview(second)
    assert [item.hide_get() for item in (source, below, above)] == [True, True, False]
    assert previews.stands_for(above) == source
    pump.session().cancel(first)
    step_until(lambda: preview_of(first) is None, "the cancel")
    assert [item.hide_get() for item in (source, above)] == [True, False]
    pump.session().cancel(second)
    step_until(lambda: preview_of(second) is None, "the cancel")
    assert not source.hide_get()


def finished_heights(job: Job) -> tuple:
    """Heights of the size of a job's own preview."""
    from blender_addon.shared.arrays import height_map
    from blender_addon.writers import grid

    item = preview_of(job)
    assert item is not None
    return (height_map(np.zeros(grid.shape_of(item.data)), float(item.data[grid.SPACING_KEY])),)
