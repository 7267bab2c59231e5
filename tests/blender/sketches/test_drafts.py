"""Drafts while a person paints: sent after a change, one at a time, the last change always shown, in place, no undo step."""

from __future__ import annotations

import time

import bpy
import numpy as np
import pytest

from blender_addon import pump, requests
from blender_addon.datablocks import sketch
from blender_addon.placing import drafts, results
from blender_addon.ui import input_panel, panels
from blender_addon.writers import record
from tests.blender.sketches.test_painted import (  # noqa: F401  # fixtures
    GRASS,
    ROCK,
    SNOW,
    backend,
    classes,
    new_sketch,
    paint,
    spec,
    toy,
)
from tests.blender.support import live_addon, paper


@pytest.fixture(autouse=True)
def short_pause(monkeypatch):
    monkeypatch.setattr(drafts, "REST_S", 0.0)
    drafts.forget()


def stroke(item: bpy.types.Object, rows: slice, columns: slice, number: int) -> None:
    """Pixels of a class, and the update of the image that Blender makes at the end of a stroke."""
    paint(item, rows, columns, classes()[number][1])
    sketch.image_of(item).update_tag()
    bpy.context.view_layer.update()


def finish_drafts() -> None:
    live_addon.step_until(lambda: not drafts.is_due(), "the draft")


def result() -> bpy.types.Object | None:
    return requests.result_of(bpy.context.scene, bpy.context.active_object.name)


def heights(item: bpy.types.Object) -> np.ndarray:
    values = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", values)
    side = round(len(item.data.vertices) ** 0.5)
    return values.reshape(side, side, 3)[..., 2]


def test_a_stroke_becomes_a_draft_in_place_while_painting_goes_on() -> None:
    item = new_sketch(size_m=51200.0, width_px=512, height_px=512)
    assert not drafts.is_due(), "a new sketch waits for its first stroke"
    pump.step()
    assert result() is None
    stroke(item, slice(0, 256), slice(0, 512), ROCK)
    assert drafts.is_due()
    finish_drafts()
    made = result()
    assert heights(made).shape == (256, 256)
    assert made.dimensions.x == pytest.approx(255 * 200.0)
    assert heights(made)[:100].min() > 200.0
    assert heights(made)[150:].max() < 100.0
    assert (bpy.context.mode, bpy.context.active_object, made.select_get()) == ("PAINT_TEXTURE", item, False)
    assert not pump.session().jobs, "a draft leaves no entry in the list"
    stroke(item, slice(0, 512), slice(0, 512), SNOW)
    finish_drafts()
    assert result() == made
    assert heights(made).min() > 300.0


def test_changes_during_a_draft_become_one_more() -> None:
    item = new_sketch(width_px=256, height_px=256)
    sent = []
    stroke(item, slice(0, 256), slice(0, 256), GRASS)
    for number in (ROCK, GRASS, SNOW):
        pump.step()
        sent += [job for job in pump.session().jobs if job not in sent]
        stroke(item, slice(0, 256), slice(0, 256), number)
        assert len(pump.session().jobs) <= 1
    finish_drafts()
    sent += [job for job in pump.session().jobs if job not in sent]
    assert heights(result()).min() > 300.0
    assert len(sent) < 4


def test_a_later_draft_brings_and_takes_no_datablock() -> None:
    """Without a step of its own, Blender's undo would go back to datablocks that are gone, and crash."""
    item = new_sketch(width_px=64, height_px=64)
    stroke(item, slice(0, 32), slice(0, 64), ROCK)
    finish_drafts()
    before = results._datablocks()
    stroke(item, slice(0, 32), slice(0, 64), SNOW)
    finish_drafts()
    assert heights(result())[:20].min() > 300.0
    assert results._datablocks() == before


def test_nothing_is_computed_twice() -> None:
    item = new_sketch(width_px=64, height_px=64)
    stroke(item, slice(0, 32), slice(0, 64), ROCK)
    finish_drafts()
    mesh = result().data.session_uid, [round(x, 3) for x in heights(result())[:, 5].tolist()]
    sketch.image_of(item).update_tag()
    bpy.context.view_layer.update()
    assert drafts.is_due()
    pump.step()
    assert not drafts.is_due()
    assert not pump.session().jobs
    assert mesh == (result().data.session_uid, [round(x, 3) for x in heights(result())[:, 5].tolist()])


def test_switched_off_or_another_source_means_no_draft() -> None:
    item = new_sketch(width_px=64, height_px=64)
    picker = bpy.context.scene.relievo.toy_terrain.from_sketch
    picker.live = False
    stroke(item, slice(0, 32), slice(0, 64), ROCK)
    assert not drafts.is_due()
    picker.live, picker.source = True, "IMAGE"
    stroke(item, slice(0, 32), slice(0, 64), GRASS)
    assert not drafts.is_due()


def test_a_wrong_colour_is_said_in_the_panel_and_mended_by_the_next_stroke() -> None:
    item = new_sketch(width_px=64, height_px=64)
    paint(item, slice(7, 8), slice(9, 12), (1.0, 0.0, 0.0))
    stroke(item, slice(20, 64), slice(0, 64), ROCK)
    finish_drafts()
    assert result() is None
    lines = " ".join(paper.draw(input_panel.RELIEVO_PT_inputs))
    assert "3 of 4,096 pixels have a colour that is no class" in lines
    assert "x 9, y 7" in lines
    stroke(item, slice(7, 8), slice(9, 12), ROCK)
    finish_drafts()
    assert result() is not None
    assert "no class;" not in " ".join(paper.draw(input_panel.RELIEVO_PT_inputs))


def test_generate_replaces_the_draft_with_the_full_size() -> None:
    item = new_sketch(size_m=51200.0, width_px=512, height_px=512)
    stroke(item, slice(0, 256), slice(0, 512), ROCK)
    finish_drafts()
    made = result()
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    assert result() == made
    assert heights(made).shape == (512, 512)
    assert made.dimensions.x == pytest.approx(511 * 100.0)
    assert (bpy.context.mode, bpy.context.active_object) == ("PAINT_TEXTURE", item)
    assert [line for line in paper.draw(panels.RELIEVO_PT_jobs) if line.startswith("Toy Terrain")]


def test_results_that_were_asked_for_before_the_first_was_there_become_one_terrain() -> None:
    item = new_sketch(width_px=64, height_px=64)
    stroke(item, slice(0, 32), slice(0, 64), ROCK)
    pump.step()
    assert [job.purpose["target"] for job in pump.session().jobs.values()] == [""]
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    finish_drafts()
    made = [entry for entry in bpy.data.objects if record.RECIPE_KEY in entry]
    assert made == [result()]


def test_a_new_sketch_warms_the_backend_up_without_a_trace() -> None:
    item = new_sketch(width_px=64, height_px=64)
    drafts.warm_up(pump.session(), spec(), item)
    (job,) = pump.session().jobs.values()
    assert job.inputs["sketch"][0].values.shape == (32, 32)
    live_addon.step_until(lambda: not pump.session().jobs, "the end of warming up")
    assert job.error is None
    assert (result(), drafts.is_due()) == (None, False)


def test_a_deleted_terrain_comes_again() -> None:
    item = new_sketch(width_px=64, height_px=64)
    stroke(item, slice(0, 32), slice(0, 64), ROCK)
    finish_drafts()
    stroke(item, slice(0, 32), slice(0, 64), SNOW)
    pump.step()
    bpy.data.objects.remove(result())
    finish_drafts()
    assert heights(result())[:20].min() > 300.0


def test_no_draft_outlives_its_file() -> None:
    item = new_sketch(width_px=64, height_px=64)
    stroke(item, slice(0, 32), slice(0, 64), ROCK)
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert not drafts.is_due()
    time.sleep(0.05)
    pump.step()
    assert not pump.session().jobs
