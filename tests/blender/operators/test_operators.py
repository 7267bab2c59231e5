"""The operators in a real Blender with a real backend: what a script or a button does to the scene, and what it leaves alone."""

from __future__ import annotations

import hashlib
import json
import os
import signal

import bpy
import numpy as np
import pytest

from blender_addon import pump, requests
from blender_addon.inputs.sources import Source
from blender_addon.placing import previews
from blender_addon.settings.feeds import Feed
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.shared.endpoint import read_endpoint
from blender_addon.shared.jobs import JobState
from blender_addon.writers import record
from tests.blender.support import live_addon
from tests.blender.support.addon_probe import EXTRA_ALGORITHMS, PROBE
from tests.blender.support.live_addon import step_until

DATABLOCKS = (
    *("objects", "meshes", "materials", "images", "collections", "node_groups", "textures"),
    *("worlds", "cameras", "lights", "scenes"),
)
SMALL = {"width_px": 48, "height_px": 32, "octaves": 3}


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), extra_algorithms=EXTRA_ALGORITHMS) as addon:
        yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    """After the empty file, which has no settings yet."""
    live_addon.discard_jobs()


def heights(item: bpy.types.Object) -> np.ndarray:
    values = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", values)
    return values.reshape(-1, 3)[:, 2].copy()


def terrains() -> list[bpy.types.Object]:
    return [item for item in bpy.data.objects if requests.recipe_on(item) is not None]


def fingerprint() -> str:
    """A digest of everything a user has: datablocks by name, object state, selection, mode, scene and render settings."""
    layer = bpy.context.view_layer
    values_of_all = [
        sorted((kind, item.name, item.users) for kind in DATABLOCKS for item in getattr(bpy.data, kind)),
        [(item.name, item.matrix_world[:], item.hide_get(), item.select_get(), item.mode) for item in layer.objects],
        getattr(layer.objects.active, "name", ""),
        bpy.context.mode,
    ]
    scene = bpy.context.scene
    for settings in (scene.render, scene.view_settings, scene.cycles, scene.unit_settings, bpy.context.view_layer):
        for name in settings.bl_rna.properties.keys():  # noqa: SIM118  # it is no dict
            value = getattr(settings, name, None)
            if isinstance(value, (bool, int, float, str)):
                values_of_all.append((name, value))
    return hashlib.sha256(repr(values_of_all).encode()).hexdigest()


def submit(params: dict, **options) -> object:
    """The probe as a window would submit it: without waiting."""
    pump.connect()
    request = requests.Request(spec=PROBE, params=params, **options)
    return requests.submit(pump.session(), bpy.context, request, generation=pump.generation())


# From Python --------------------------------------------------------------------------------------------------


def test_noise_makes_one_terrain_with_its_recipe():
    assert bpy.ops.relievo.noise(seed=7, **SMALL) == {"FINISHED"}
    (terrain,) = terrains()
    assert bpy.context.active_object is terrain
    assert terrain.select_get()
    assert len(terrain.data.vertices) == 48 * 32
    recipe = requests.recipe_on(terrain)
    assert recipe["params"]["seed"] == 7
    assert recipe["params"]["relief_m"] == 1500.0, "what is not given has the declared default"
    assert record.collection_of(bpy.context.scene) in terrain.users_collection


def test_presets_and_parameters_go_together():
    bpy.ops.relievo.noise(preset="rolling-hills", seed=1, width_px=32, height_px=32, octaves=2)
    params = requests.recipe_on(terrains()[0])["params"]
    declared = find(ALGORITHMS, "noise").preset("rolling-hills").values
    assert params["feature_m"] == declared["feature_m"] != 6000.0
    assert params["octaves"] == 2 != declared["octaves"]


def test_a_float_arrives_as_it_was_typed():
    bpy.ops.relievo.noise(gain=0.3, **SMALL)
    assert requests.recipe_on(terrains()[0])["params"]["gain"] == 0.3


def test_the_same_seed_gives_the_same_heights_and_another_seed_others():
    for seed in (1, 1, 2):
        bpy.ops.relievo.noise(seed=seed, **SMALL)
    one, again, other = (heights(item) for item in terrains())
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("output", ["MESH", "GEOMETRY_NODES", "DISPLACE", "ADAPTIVE", "IMAGES"])
def test_every_kind_of_result(output):
    bpy.ops.relievo.noise(output=output, **SMALL)
    carriers = [item for item in (*bpy.data.objects, *bpy.data.images) if requests.recipe_on(item) is not None]
    assert len(carriers) == 1
    assert isinstance(carriers[0], bpy.types.Image) == (output == "IMAGES")


def test_an_engine_takes_a_mesh_an_image_and_a_new_noise():
    bpy.ops.relievo.noise(seed=3, **SMALL)
    source = terrains()[0].name
    image = bpy.data.images.new("bumps", 32, 32, float_buffer=True, is_data=True)
    image.pixels.foreach_set(np.random.default_rng(0).random(32 * 32 * 4).astype(np.float32))
    bpy.context.scene.relievo.noise.width_px = 32
    bpy.context.scene.relievo.noise.height_px = 32
    for text in (source, f"object:{source}", "image:bumps", "noise"):
        assert bpy.ops.relievo.hydrology(height=text, steps=2) == {"FINISHED"}
    made = [requests.recipe_on(item) for item in terrains() if item.name.startswith("Hydrology")]
    kinds = [recipe["scene"]["sources"]["height"][0]["kind"] for recipe in made]
    assert sorted(kinds) == ["engine", "image", "object", "object"]


def test_a_second_terrain_stands_beside_the_first():
    for seed in (1, 2):
        bpy.ops.relievo.noise(seed=seed, **SMALL)
    first, second = terrains()
    assert second.location.x - first.location.x >= first.dimensions.x
    assert second.location.yz == first.location.yz


def test_a_large_terrain_stands_beside_a_small_one_and_not_over_it():
    bpy.ops.relievo.noise(seed=1, **SMALL)
    bpy.ops.relievo.noise(seed=2, pixel_size_m=900.0, **SMALL)
    first, second = terrains()
    assert second.location.x - first.location.x >= (first.dimensions.x + second.dimensions.x) / 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"target": "nobody"}, "no object 'nobody'"),
        ({"preset": "nothing"}, "no preset 'nothing'"),
    ],
)
def test_a_mistake_is_one_sentence_and_changes_nothing(arguments, sentence):
    before = fingerprint()
    with pytest.raises(RuntimeError, match=sentence):
        bpy.ops.relievo.noise(**SMALL, **arguments)
    assert fingerprint() == before
    assert not pump.session().jobs


def test_an_input_that_is_not_there_is_one_sentence():
    with pytest.raises(RuntimeError, match="no mesh, image or landscape 'nothing'"):
        bpy.ops.relievo.hydrology(height="nothing")


# The scene ----------------------------------------------------------------------------------------------------


def test_a_result_is_one_undo_step():
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.relievo.noise(**SMALL)
    assert len(bpy.data.objects) == 2
    bpy.ops.ed.undo()
    assert [item.name for item in bpy.data.objects] == ["Cube"]
    bpy.ops.ed.redo()
    assert len(terrains()) == 1


@pytest.mark.parametrize("params", [{"ending": "error"}, {"ending": "kill"}])
def test_a_failure_leaves_the_scene_as_it_was(params):
    bpy.ops.mesh.primitive_cube_add()
    before = fingerprint()
    job = submit({"steps": 20, "step_s": 0.02, **params}, preview=True)
    step_until(lambda: job.is_settled, "the failure")
    step_until(lambda: not pump.step(), "quiet")
    assert job.error is not None
    assert fingerprint() == before


def test_a_preview_is_seen_and_a_cancel_takes_it_away():
    bpy.ops.mesh.primitive_cube_add()
    before = fingerprint()
    job = submit({"steps": 1000, "step_s": 0.05}, preview=True)
    step_until(lambda: any(previews.TAG in item for item in bpy.data.objects), "the preview")
    pump.session().cancel(job)
    step_until(lambda: job.state is JobState.CANCELLED, "the cancel")
    pump.step()
    assert fingerprint() == before


def test_keep_takes_what_there_is_once_there_is_something():
    job = submit({"steps": 1000, "step_s": 0.02, "early": True}, preview=True)
    with pytest.raises(RuntimeError, match="nothing to keep yet"):
        bpy.ops.relievo.keep_job(job=job.id)
    step_until(lambda: job.can_be_kept, "the first steps")
    assert bpy.ops.relievo.keep_job(job=job.id) == {"FINISHED"}
    assert not job.can_be_kept, "once is enough"
    step_until(lambda: job.applied, "the early end")
    assert len(terrains()) == 1


def test_keep_is_no_cancel_of_an_input_that_is_still_computed():
    feeds = {"height": Feed("noise", {"width_px": 48, "height_px": 32})}
    given = {"height": (Source("engine", "noise"),)}
    job = submit({"steps": 5}, feeds=feeds, sources=given, preview=True)
    with pytest.raises(RuntimeError, match="nothing to keep yet"):
        bpy.ops.relievo.keep_job(job=job.id)
    step_until(lambda: job.applied, "the result")


def test_a_preview_that_the_user_edits_is_theirs():
    job = submit({"steps": 40, "step_s": 0.05}, preview=True)
    step_until(lambda: any(previews.TAG in item for item in bpy.data.objects), "the preview")
    mine = next(item for item in bpy.data.objects if previews.TAG in item)
    mine.data.vertices[0].co.z = 123.0
    step_until(lambda: job.applied, "the result")
    assert mine.data.vertices[0].co.z == 123.0
    assert previews.TAG not in mine
    assert len(terrains()) == 1


def test_saving_in_mid_job_saves_no_preview(tmp_path):
    job = submit({"steps": 1000, "step_s": 0.05}, preview=True)
    step_until(lambda: any(previews.TAG in item for item in bpy.data.objects), "the preview")
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"), copy=True)
    assert not any(previews.TAG in item for item in bpy.data.objects)
    pump.session().cancel(job)


# Again --------------------------------------------------------------------------------------------------------


def test_regenerate_gives_the_same_heights_in_the_same_object():
    bpy.ops.relievo.noise(seed=11, **SMALL)
    terrain = terrains()[0]
    first = heights(terrain)
    terrain.data.vertices.foreach_set("co", np.zeros(len(first) * 3, np.float32))
    bpy.ops.relievo.regenerate()
    assert np.array_equal(heights(terrain), first)
    assert terrains() == [terrain]


def test_regenerate_after_a_chain_repeats_the_noise_too():
    scene = bpy.context.scene.relievo
    scene.noise.width_px, scene.noise.height_px, scene.noise.seed = 32, 32, 5
    bpy.ops.relievo.hydrology(height="noise", steps=3)
    terrain = terrains()[0]
    first = heights(terrain)
    scene.noise.seed = 6
    bpy.ops.relievo.regenerate()
    assert np.array_equal(heights(terrain), first)


def test_vary_changes_the_seed_alone():
    bpy.ops.relievo.noise(seed=11, **SMALL)
    before = requests.recipe_on(terrains()[0])
    bpy.ops.relievo.vary()
    (terrain,) = terrains()
    after = requests.recipe_on(terrain)
    assert after["params"]["seed"] != 11
    assert {**after["params"], "seed": 11} == before["params"]


def test_apply_settings_replaces_in_place_with_the_sidebars_values():
    bpy.ops.relievo.noise(seed=1, **SMALL)
    settings = bpy.context.scene.relievo.noise
    settings.width_px, settings.height_px, settings.relief_m = 20, 24, 700.0
    bpy.ops.relievo.update_terrain()
    (terrain,) = terrains()
    assert requests.recipe_on(terrain)["params"]["relief_m"] == 700.0
    assert len(terrain.data.vertices) == 20 * 24


def test_the_sidebar_takes_a_terrains_settings():
    bpy.ops.relievo.noise(seed=42, gain=0.35, **SMALL)
    bpy.ops.relievo.settings_from_terrain()
    settings = bpy.context.scene.relievo.noise
    assert (settings.seed, settings.width_px) == (42, 48)
    assert settings.gain == pytest.approx(0.35)


# What goes wrong around a job ---------------------------------------------------------------------------------


def run_on_target() -> tuple:
    bpy.ops.relievo.noise(seed=1, **SMALL)
    terrain = terrains()[0]
    job = submit({"steps": 20, "step_s": 0.05}, target=terrain.name)
    step_until(lambda: job.done > 1, "the job to run")
    return terrain, job


def test_a_target_deleted_in_mid_job_loses_nothing():
    terrain, job = run_on_target()
    bpy.data.objects.remove(terrain)
    step_until(lambda: job.held, "the result to be held")
    assert "deleted" in job.sentence
    assert not terrains()
    assert bpy.ops.relievo.place_job(job=job.id) == {"FINISHED"}
    assert len(terrains()) == 1
    assert job.applied


def test_a_target_renamed_in_mid_job_is_found():
    terrain, job = run_on_target()
    terrain.name = "Mine"
    step_until(lambda: job.applied, "the result")
    assert requests.recipe_on(bpy.data.objects["Mine"])["algorithm"] == "probe"


def test_another_file_opened_in_mid_job_loses_nothing():
    _, job = run_on_target()
    bpy.ops.wm.read_factory_settings(use_empty=True)
    step_until(lambda: job.held, "the result to be held")
    assert "another file" in job.sentence
    assert not bpy.data.objects
    bpy.ops.relievo.place_job(job=job.id)
    assert len(terrains()) == 1


def test_a_result_waits_until_edit_mode_is_left():
    bpy.ops.mesh.primitive_cube_add()
    job = submit({"steps": 1})
    bpy.ops.object.mode_set(mode="EDIT")
    step_until(lambda: job.outputs is not None, "the result")
    pump.step()
    assert not job.applied
    bpy.ops.object.mode_set(mode="OBJECT")
    step_until(lambda: job.applied, "the placing")


@pytest.mark.any_version
def test_the_backend_killed_in_mid_job_costs_nothing():
    job = submit({"steps": 20, "step_s": 0.1, "noise": 2.0, "seed": 3})
    step_until(lambda: job.done > 1, "the job to run")
    os.kill(read_endpoint(pump.session().connection.process.endpoint_path).pid, signal.SIGKILL)
    step_until(lambda: job.applied, "the result of the restarted backend")
    assert len(terrains()) == 1


def test_a_discarded_job_leaves_the_list():
    job = submit({"steps": 1})
    step_until(lambda: job.applied, "the result")
    bpy.ops.relievo.forget_job(job=job.id)
    assert not pump.session().jobs
    assert len(terrains()) == 1
    with pytest.raises(RuntimeError, match="no longer in the list"):
        bpy.ops.relievo.cancel_job(job=job.id)


# Files and settings -------------------------------------------------------------------------------------------


def test_settings_are_saved_with_the_scene(tmp_path):
    settings = bpy.context.scene.relievo
    settings.noise.seed, settings.output.kind = 99, "DISPLACE"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    assert bpy.context.scene.relievo.noise.seed != 99
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    assert (bpy.context.scene.relievo.noise.seed, bpy.context.scene.relievo.output.kind) == (99, "DISPLACE")


def test_a_height_image_is_opened_for_a_port(tmp_path):
    image = bpy.data.images.new("out", 16, 16, float_buffer=True, is_data=True)
    image.filepath_raw, image.file_format = str(tmp_path / "height.exr"), "OPEN_EXR"
    image.save()
    bpy.ops.relievo.open_image(filepath=str(tmp_path / "height.exr"), algorithm="hydrology", port="height", index=0)
    picked = bpy.context.scene.relievo.hydrology.from_height
    assert (picked.source, picked.meaning) == ("IMAGE", "METRES")
    assert picked.image.colorspace_settings.name == "Non-Color"


@pytest.mark.parametrize(("name", "content"), [("missing.exr", None), ("broken.exr", b"not an image")])
def test_a_height_image_that_is_none_is_said(tmp_path, name, content):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(RuntimeError, match=name):
        bpy.ops.relievo.open_image(filepath=str(tmp_path / name))
    assert not bpy.data.images


def test_the_recipe_is_json_that_the_command_line_reads():
    bpy.ops.relievo.noise(**SMALL)
    recipe = json.loads(terrains()[0][record.RECIPE_KEY])
    assert recipe["format"] == 1
    assert set(recipe) >= {"algorithm", "params", "inputs", "relievo", "digest"}
