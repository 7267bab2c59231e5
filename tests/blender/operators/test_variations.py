"""Variations: four small terrains of other seeds beside a result, one of which takes its place; one step of undo each way."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import pump, requests
from blender_addon.inputs import reduction
from blender_addon.placing import variations
from blender_addon.shared.algorithm import find
from blender_addon.shared.arrays import CLASS_MAP, HEIGHT_MAP, Array, height_map
from blender_addon.shared.catalog import ALGORITHMS, algorithms
from blender_addon.shared.errors import JobCancelled
from blender_addon.ui import panels
from tests.blender.support import live_addon, paper

TOYS = "tests.support.toy_engines"
KINDS = ("objects", "meshes", "materials", "images", "node_groups", "collections")


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), extra_algorithms=TOYS) as addon:
        yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    variations.forget()
    live_addon.discard_jobs()
    variations.forget()


def noise(**settings) -> bpy.types.Object:
    bpy.ops.relievo.noise(**{"width_px": 48, "height_px": 32, "pixel_size_m": 20.0, "seed": 7, **settings})
    return bpy.context.active_object


def sketched() -> bpy.types.Object:
    image = bpy.data.images.new("Sketch", 48, 32)
    pixels = np.ones((32, 48, 4), np.float32)
    pixels[:, :24, :3] = (0.1, 0.3, 0.8)
    image.pixels.foreach_set(pixels.ravel())
    bpy.ops.relievo.toy_terrain(sketch="Sketch", chance=3)
    return bpy.context.active_object


def strip(item: bpy.types.Object) -> list[bpy.types.Object]:
    return sorted(variations.strip_of(item), key=lambda one: one.location.x)


def datablocks() -> dict[str, list[str]]:
    return {kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in KINDS}


def heights(item: bpy.types.Object) -> np.ndarray:
    values = np.empty(len(item.data.vertices) * 3, np.float32)
    item.data.attributes["position"].data.foreach_get("vector", values)
    return values.reshape(-1, 3)[:, 2]


def choose(item: bpy.types.Object) -> None:
    bpy.context.view_layer.objects.active = item
    item.select_set(True)


@pytest.mark.parametrize("make", [noise, sketched])
def test_four_small_terrains_stand_in_front_of_the_result(make):
    item = make()
    before = heights(item).copy()
    assert bpy.ops.relievo.variations() == {"FINISHED"}
    four = strip(item)
    assert len(four) == 4
    assert bpy.context.view_layer.objects.active == item, "the result stays selected"
    np.testing.assert_array_equal(heights(item), before)
    bpy.context.view_layer.update()
    assert len({tuple(variations.seeds_of(one).values()) for one in four}) == 4
    assert len({heights(one).tobytes() for one in four}) == 4
    assert sum(one.dimensions.x for one in four) < item.dimensions.x
    for one in four:
        assert requests.recipe_on(one) is None
        assert one.location.y + one.dimensions.y / 2 < item.location.y - item.dimensions.y / 2, "in front"
        low = min((one.matrix_world @ vertex.co).z for vertex in one.data.vertices)
        assert low == pytest.approx(heights(item).min(), abs=0.5)
    gaps = np.diff([one.location.x for one in four])
    np.testing.assert_allclose(gaps, item.dimensions.x / 4, rtol=1e-3)


def test_one_takes_the_place_of_the_result_and_the_small_ones_go():
    item = noise()
    only_the_result = datablocks()
    bpy.ops.relievo.variations()
    second = strip(item)[1]
    seeds = variations.seeds_of(second)
    choose(second)
    assert bpy.ops.relievo.use_variation() == {"FINISHED"}
    assert bpy.context.view_layer.objects.active == item
    assert requests.recipe_on(item)["params"]["seed"] == seeds["seed"]
    assert datablocks() == only_the_result, "nothing of the strip is left"
    made = heights(item).copy()
    bpy.ops.relievo.noise(width_px=48, height_px=32, pixel_size_m=20.0, seed=seeds["seed"])
    np.testing.assert_array_equal(made, heights(bpy.context.active_object))


@pytest.mark.any_version
def test_the_water_and_images_of_small_terrains_go_too():
    item = sketched()
    before = datablocks()
    bpy.ops.relievo.variations()
    assert len(bpy.data.images) > len(before["images"]), "each has its colours"
    assert bpy.ops.relievo.discard_variations() == {"FINISHED"}
    assert datablocks() == before
    assert bpy.context.view_layer.objects.active == item


def test_each_way_is_one_step_of_undo():
    noise()
    bpy.ops.ed.undo_push(message="before")
    before = datablocks()["objects"]
    bpy.ops.relievo.variations()
    with_strip = datablocks()["objects"]
    bpy.ops.ed.undo()
    assert datablocks()["objects"] == before
    bpy.ops.ed.redo()
    assert datablocks()["objects"] == with_strip
    item = next(one for one in bpy.data.objects if requests.recipe_on(one))
    name, first = item.name, heights(item).copy()
    choose(strip(item)[0])
    bpy.ops.relievo.use_variation()
    assert datablocks()["objects"] == before
    bpy.ops.ed.undo()
    assert datablocks()["objects"] == with_strip
    np.testing.assert_array_equal(heights(bpy.data.objects[name]), first)


@pytest.mark.any_version
def test_pressed_again_there_are_four_and_not_eight():
    item = noise()
    bpy.ops.relievo.variations()
    first = {tuple(variations.seeds_of(one).values()) for one in strip(item)}
    bpy.ops.relievo.variations()
    assert len(strip(item)) == 4
    assert {tuple(variations.seeds_of(one).values()) for one in strip(item)} != first


@pytest.mark.any_version
def test_a_strip_that_is_given_up_leaves_nothing(monkeypatch):
    item = noise()
    before = datablocks()
    monkeypatch.setattr("blender_addon.operators.variations._wait", lambda jobs: None)  # as in a window
    bpy.ops.relievo.variations()
    jobs = variations.jobs_of(pump.session(), item)
    assert len(jobs) == 4
    live_addon.step_until(lambda: len(strip(item)) >= 1, "the first of the strip")
    bpy.ops.relievo.discard_variations()
    live_addon.step_until(lambda: not variations.jobs_of(pump.session(), item), "the others")
    for _ in range(20):
        pump.step()
    assert datablocks() == before


def test_the_strip_is_a_step_of_undo_where_a_window_does_not_wait(monkeypatch):
    item = noise()
    bpy.ops.ed.undo_push(message="before")
    name = item.name
    monkeypatch.setattr("blender_addon.operators.variations._wait", lambda jobs: None)
    bpy.ops.relievo.variations()
    live_addon.step_until(lambda: len(strip(bpy.data.objects[name])) == 4, "the strip")
    live_addon.step_until(lambda: not variations._open, "the step of undo")
    bpy.ops.ed.undo()
    assert not strip(bpy.data.objects[name])


@pytest.mark.any_version
def test_a_cancelled_choice_keeps_the_strip(monkeypatch):
    item = noise()
    bpy.ops.relievo.variations()
    four, before = strip(item), heights(item).copy()

    def stop(job):
        pump.session().cancel(job)
        raise JobCancelled("stopped")

    monkeypatch.setattr(pump, "wait", stop)
    choose(four[0])
    with pytest.raises(RuntimeError, match="stopped"):
        bpy.ops.relievo.use_variation()
    assert strip(item) == four
    np.testing.assert_array_equal(heights(item), before)


@pytest.mark.any_version
def test_variations_of_a_terrain_that_is_gone_say_so_and_can_be_discarded():
    item = noise()
    bpy.ops.relievo.variations()
    four = strip(item)
    bpy.data.objects.remove(item)
    choose(four[2])
    with pytest.raises(RuntimeError, match="was deleted"):
        bpy.ops.relievo.use_variation()
    bpy.ops.relievo.discard_variations()
    assert not [one for one in bpy.data.objects if variations.KEY in one]


def test_a_file_opened_again_still_knows_its_variations(tmp_path):
    noise()
    bpy.ops.relievo.variations()
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "four.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "four.blend"))
    item = next(one for one in bpy.data.objects if requests.recipe_on(one))
    four = strip(item)
    assert len(four) == 4
    choose(four[3])
    seeds = variations.seeds_of(four[3])
    bpy.ops.relievo.use_variation()
    assert requests.recipe_on(item)["params"]["seed"] == seeds["seed"]
    assert not strip(item)


def test_the_panel_offers_them_and_each_of_them():
    item = noise()

    def drawn() -> list[str]:
        return [line for panel in panels.CLASSES if issubclass(panel, bpy.types.Panel) for line in paper.draw(panel)]

    assert "Variations" in drawn()
    bpy.ops.relievo.variations()
    one = strip(item)[0]
    choose(one)
    lines = drawn()
    assert f"Seed {variations.seeds_of(one)['seed']} of {item.name}" in lines
    assert {"Use This Seed", "Discard Variations"} <= set(lines)
    assert "Regenerate" not in lines


@pytest.mark.any_version
def test_a_terrain_without_a_seed_has_none():
    bpy.ops.mesh.primitive_plane_add()
    assert not bpy.ops.relievo.variations.poll()


# On fewer pixels ------------------------------------------------------------------------------------------------------


@pytest.mark.any_version
def test_a_size_in_pixels_is_reduced_and_the_ground_stays():
    spec = find(ALGORITHMS, "noise")
    params = {**vars(spec.params()), "width_px": 2048, "height_px": 1024, "pixel_size_m": 10.0}
    made = reduction.of_params(spec, params, 256)
    assert (made["width_px"], made["height_px"], made["pixel_size_m"]) == (256, 128, 80.0)
    small = {**params, "width_px": 200, "height_px": 100}
    assert reduction.of_params(spec, small, 256) == small


@pytest.mark.any_version
def test_maps_of_the_main_ones_size_are_reduced_and_exemplars_stay():
    spec = find(ALGORITHMS, "morphology")
    big = height_map(np.zeros((300, 600)), 5.0)
    arrays = {"height": (big,), "exemplar": (height_map(np.zeros((300, 600)), 30.0),)}
    params, made = reduction.of_arrays(spec, vars(spec.params()), arrays, 256)
    assert made["height"][0].kind is HEIGHT_MAP
    assert made["height"][0].values.shape == (128, 256)
    assert made["height"][0].pixel_size_m == pytest.approx(5.0 * 600 / 256)
    assert made["exemplar"] == arrays["exemplar"]
    assert params == vars(spec.params())


@pytest.mark.any_version
def test_a_map_that_becomes_finer_is_reduced_by_as_much_more():
    spec = find(ALGORITHMS, "morphology")
    arrays = {"height": (height_map(np.zeros((400, 800)), 5.0),)}
    _, made = reduction.of_arrays(spec, {**vars(spec.params()), "refine": 2}, arrays, 256)
    assert made["height"][0].values.shape == (64, 128)


@pytest.mark.any_version
def test_a_sketch_keeps_its_classes_and_its_ground():
    spec = find(algorithms(), "toy_terrain")
    classes = np.random.default_rng(0).integers(0, 5, (400, 512)).astype(np.uint8)
    params, made = reduction.of_arrays(spec, {"ground_m": 20.0}, {"sketch": (Array(CLASS_MAP, classes),)}, 256)
    assert made["sketch"][0].values.shape == (200, 256)
    assert params["ground_m"] == 40.0
