"""Where a result stands, what it is made from when Generate is pressed again, and what lies under it: with a real backend."""

from __future__ import annotations

import bpy
import numpy as np
import pytest

from blender_addon import pump, requests
from blender_addon.inputs import sources
from blender_addon.placing import covering, previews, results
from blender_addon.settings import map_limits
from blender_addon.settings.feeds import Feed
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.shared.jobs import JobState
from blender_addon.ui import panels
from blender_addon.writers import result_size, terrain
from tests.blender.support import live_addon, paper
from tests.blender.support.addon_probe import EXTRA_ALGORITHMS, PROBE
from tests.blender.support.contents import save_and_open
from tests.blender.support.live_addon import step_until

SIDE_PX = 48


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with live_addon.registered(tmp_path_factory.mktemp("relievo"), extra_algorithms=EXTRA_ALGORITHMS) as addon:
        yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()


def hill(name: str, width: float, place: tuple[float, float, float]) -> bpy.types.Object:
    """A bumpy mesh, 4 : 3, selected: its middle is not its origin, and a modifier raises it."""
    bpy.ops.mesh.primitive_grid_add(x_subdivisions=24, y_subdivisions=18, size=1.0)
    item = bpy.context.active_object
    item.name = name
    positions = np.empty((len(item.data.vertices), 3), np.float32)
    item.data.vertices.foreach_get("co", positions.ravel())
    positions[:, :2] += 0.5
    positions[:, 2] = 0.2 * np.exp(-((positions[:, 0] - 0.3) ** 2 + (positions[:, 1] - 0.6) ** 2) / 0.05)
    item.data.vertices.foreach_set("co", positions.ravel())
    item.scale, item.location = (width, 0.75 * width, width), place
    raised = item.modifiers.new("Raised", "DISPLACE")
    raised.direction, raised.mid_level, raised.strength = "Z", 0.0, 0.1
    bpy.context.view_layer.update()
    return item


def box(item: bpy.types.Object) -> np.ndarray:
    """Lowest and highest x, y, z in world space, of the evaluated mesh. [2, 3]"""
    bpy.context.view_layer.update()
    evaluated = item.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = evaluated.to_mesh()
    local = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", local.ravel())
    evaluated.to_mesh_clear()
    matrix = np.array(item.matrix_world)
    world = local @ matrix[:3, :3].T + matrix[:3, 3]
    return np.stack([world.min(axis=0), world.max(axis=0)])


def choose(engine: str, **settings: object) -> None:
    scene = bpy.context.scene.relievo
    scene.algorithm = engine
    for name, value in settings.items():
        setattr(getattr(scene, engine), name, value)
    getattr(scene, engine).from_height.resolution = SIDE_PX


def source_of(item: bpy.types.Object) -> dict:
    return requests.recipe_on(item)["scene"]["sources"]["height"][0]


def sources_of(engine: str) -> dict:
    return sources.collect(bpy.context.scene, find(ALGORITHMS, engine), bpy.context.active_object)


def generate() -> bpy.types.Object:
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    return bpy.context.active_object


def lines() -> list[str]:
    return [line for panel in panels.CLASSES if issubclass(panel, bpy.types.Panel) for line in paper.draw(panel)]


@pytest.mark.parametrize("unit_m", [1.0, 0.01])
def test_a_result_stands_where_its_source_stands(unit_m: float) -> None:
    scene = bpy.context.scene
    scene.unit_settings.system, scene.unit_settings.scale_length = "METRIC", unit_m
    scene.cursor.location = (5e4, -3e4, 77.0)
    source = hill("Hill", 400.0, (12000.0, -9000.0, 30.0))
    choose("hydrology", steps=1)
    made = generate()
    np.testing.assert_allclose(box(made)[:, :2], box(source)[:, :2], atol=400.0 / SIDE_PX + 0.01)
    middle = [box(item)[:, :2].mean(axis=0) for item in (made, source)]
    np.testing.assert_allclose(middle[0][0], middle[1][0], atol=0.01)
    np.testing.assert_allclose(box(made)[:, 2], box(source)[:, 2], atol=12.0)


def test_the_sixth_stands_there_too_and_all_have_one_source() -> None:
    source = hill("Hill", 400.0, (12000.0, -9000.0, 30.0))
    choose("hydrology", steps=1)
    made = [generate() for _ in range(6)]
    assert [source_of(item)["name"] for item in made] == ["Hill"] * 6
    assert len({tuple(item.location) for item in made}) == 1
    assert [item.hide_get() for item in (source, *made)] == [True] * 6 + [False]
    heights = [np.array([vertex.co.z for vertex in item.data.vertices]) for item in made]
    for later in heights[1:]:
        np.testing.assert_array_equal(later, heights[0], "a hidden source is read with its modifiers")


def test_from_is_the_selected_mesh_and_without_one_something_new() -> None:
    scene, spec = bpy.context.scene, find(ALGORITHMS, "hydrology")
    choose("hydrology", steps=1)
    scene.relievo.noise.width_px = scene.relievo.noise.height_px = 32
    assert any("Noise engine's settings" in line for line in lines())
    first = generate()
    assert source_of(first)["kind"] == "engine"
    again = generate()
    assert source_of(again)["kind"] == "engine", "its own result is selected, and is no source"
    source = hill("Hill", 400.0, (0.0, 0.0, 0.0))
    assert "Selected: Hill" in lines()
    assert source_of(generate())["name"] == "Hill"
    assert any(line == "Again from: Hill" for line in lines()), lines()
    scene.relievo.hydrology.from_height.source = "NOISE"
    assert sources.collect(scene, spec, source)["height"][0].kind == "engine", "what is picked goes"


def test_another_engine_takes_the_result_that_is_selected() -> None:
    hill("Hill", 400.0, (0.0, 0.0, 0.0))
    choose("hydrology", steps=1)
    first = generate()
    bpy.ops.relievo.probe()
    bpy.context.view_layer.objects.active = first
    first.select_set(True)
    request = requests.from_settings(bpy.context, PROBE)
    assert not request.sources.get("height"), "an optional input is left out until it is picked"
    request = requests.from_settings(bpy.context, find(ALGORITHMS, "morphology"))
    assert request.sources["height"][0].name == first.name


def test_what_lies_below_is_seen_again() -> None:
    """By undo, by its button, and when the result is deleted; after a save as well."""
    source = hill("Hill", 400.0, (0.0, 0.0, 0.0))
    choose("hydrology", steps=1)
    bpy.ops.ed.undo_push(message="before")
    made = generate()
    assert (source.hide_get(), source.hide_render) == (True, True)
    assert "Show Hill" in lines()
    bpy.ops.relievo.show_source()
    assert (source.hide_get(), source.hide_render) == (False, False)
    bpy.ops.relievo.show_source(hidden=True)
    bpy.data.objects.remove(made)
    pump.step()
    assert (source.hide_get(), source.hide_render) == (False, False)
    assert covering.KEY not in source


def test_undo_shows_the_source(tmp_path) -> None:
    hill("Hill", 400.0, (0.0, 0.0, 0.0))
    choose("hydrology", steps=1)
    bpy.ops.ed.undo_push(message="before")
    generate()
    bpy.ops.ed.undo()
    source = bpy.data.objects["Hill"]
    assert (source.hide_get(), source.hide_render, source.get(covering.KEY)) == (False, False, None)
    bpy.context.view_layer.objects.active = source
    made = generate().name
    save_and_open(str(tmp_path / "saved.blend"))
    assert bpy.data.objects["Hill"].hide_get()
    bpy.data.objects.remove(bpy.data.objects[made])
    pump.step()
    assert not bpy.data.objects["Hill"].hide_get()


# Ordinary meshes ------------------------------------------------------------------------------------------------------

SCALED = pytest.mark.skipif(
    "scale" not in {parameter.name for parameter in find(ALGORITHMS, "morphology").parameters},
    reason="relief transfer has no scale of its exemplars yet",
)


@SCALED
@pytest.mark.parametrize(("width", "place"), [(2.7, (1.0, 2.0, 0.0)), (1000.0, (432000.0, 5206000.0, 400.0))])
def test_a_sculpt_and_a_lidar_tile_take_on_landforms(width: float, place: tuple[float, float, float]) -> None:
    """At their own size and place, with slopes of this world."""
    source = hill("Sculpt", width, place)
    choose("morphology", steps=8, seed=1)
    side = bpy.context.scene.relievo.morphology.from_height.resolution = 128
    made = generate()
    pixel = width / (side - 1)
    np.testing.assert_allclose(box(made)[:, :2].mean(axis=0), box(source)[:, :2].mean(axis=0), atol=0.75 * pixel)
    heights = np.array([vertex.co.z for vertex in made.data.vertices], np.float64).reshape(-1, side)
    steepest = np.degrees(np.arctan(np.hypot(*np.gradient(heights, pixel))))
    assert np.median(steepest) < 45.0
    assert np.ptp(heights) < width


def test_a_terrain_made_here_is_refined_where_it_stands() -> None:
    """Its heights are read from its mesh; a finer one takes its place, and its size is said before."""
    hill("Hill", 2000.0, (300.0, -200.0, 50.0))
    choose("morphology", steps=2, seed=1)
    first = generate()
    scene = bpy.context.scene.relievo
    scene.morphology.from_height.source, scene.morphology.from_height.object = "OBJECT", first
    scene.morphology.refine = 3
    scene.morphology.from_height.resolution = SIDE_PX
    rows = len(first.data.vertices) // SIDE_PX
    assert f"{9 * rows * SIDE_PX:,} vertices" in " ".join(lines())
    made = generate()
    assert len(made.data.vertices) == 9 * rows * SIDE_PX
    assert source_of(made)["name"] == first.name
    np.testing.assert_allclose(box(made)[:, :2].mean(axis=0), box(first)[:, :2].mean(axis=0), atol=1.0)
    given, fine = (np.array([vertex.co.z for vertex in item.data.vertices]) for item in (first, made))
    averages = fine.reshape(rows, 3, SIDE_PX, 3).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(averages - averages.mean(), given - given.mean(), atol=1.0)
    assert made.data.attributes.keys() == first.data.attributes.keys()


@SCALED
def test_what_cannot_work_is_said_before_generate() -> None:
    hill("Sculpt", 2.7, (0.0, 0.0, 0.0))
    choose("morphology", scale="true")
    assert not bpy.ops.relievo.generate.poll()
    said = " ".join(lines())
    assert "Fit to Map" in said
    assert "2.07 m" in said or "2.03 m" in said, said
    with pytest.raises(RuntimeError, match="Fit to Map"):
        bpy.ops.relievo.morphology(height="Sculpt", scale="true")
    assert not pump.session().jobs
    choose("morphology", scale="fit")
    assert bpy.ops.relievo.generate.poll()


def test_a_map_of_too_few_pixels_is_said_under_its_size() -> None:
    """By how much to raise it, too, and that is enough; the engine is not asked."""
    item = hill("Lane", 100.0, (0.0, 0.0, 0.0))
    item.scale[1] = 2.0
    bpy.context.view_layer.update()
    choose("morphology", steps=1)
    settings = bpy.context.scene.relievo.morphology.from_height
    settings.resolution = 512
    sentence = "Height: the map is only 512 x 11 pixels; at least 16 are needed on each side. Raise Resolution to"
    assert not bpy.ops.relievo.generate.poll()
    under = paper.draw(panels.input_panel.RELIEVO_PT_inputs)
    assert sentence in " ".join(under), under
    assert sentence in " ".join(paper.draw(panels.RELIEVO_PT_generate))
    with pytest.raises(RuntimeError, match="only 512 x 11 pixels"):
        bpy.ops.relievo.morphology(height="Lane")
    assert not pump.session().jobs
    error = map_limits.found(bpy.context.scene, find(ALGORITHMS, "morphology"), sources_of("morphology"))
    settings.resolution = int(error.hint.split()[-2])
    assert bpy.ops.relievo.generate.poll()
    assert len(generate().data.vertices) >= 16 * settings.resolution
    choose("hydrology", steps=1)
    assert bpy.ops.relievo.generate.poll(), "an engine that needs no more"


@pytest.mark.parametrize("source", ["IMAGE", "NOISE"])
def test_so_is_that_of_an_image_and_of_new_noise(source: str) -> None:
    scene = bpy.context.scene.relievo
    choose("morphology")
    scene.morphology.from_height.source = source
    scene.morphology.from_height.image = bpy.data.images.new("Strip", 200, 15, float_buffer=True)
    scene.noise.width_px, scene.noise.height_px = 200, 15
    under = " ".join(paper.draw(panels.input_panel.RELIEVO_PT_inputs))
    assert "the map is only 200 x 15 pixels; at least 16 are needed on each side" in under
    assert not bpy.ops.relievo.generate.poll()


def test_an_exemplar_that_is_too_small_for_a_continent_is_said_under_its_setting() -> None:
    hill("Continent", 3e6, (0.0, 0.0, 0.0))
    choose("morphology")
    said = " ".join(paper.draw(panels.RELIEVO_PT_settings))
    assert "The exemplar is only" in said
    assert not bpy.ops.relievo.generate.poll()
    bpy.context.scene.relievo.morphology.from_height.resolution = 8192
    assert bpy.ops.relievo.generate.poll()


def test_a_scale_without_room_is_said_under_the_setting() -> None:
    hill("Sculpt", 2.7, (0.0, 0.0, 0.0))
    choose("morphology", scale="true")
    said = paper.draw(panels.RELIEVO_PT_settings)
    assert said[said.index("Scale") + 1].startswith("The map is only")


# While it runs, and afterwards ----------------------------------------------------------------------------------------


def submit(params: dict, **options) -> object:
    pump.connect()
    request = requests.Request(spec=PROBE, params=params, **options)
    return requests.submit(pump.session(), bpy.context, request, generation=pump.generation())


def preview_of(job) -> bpy.types.Object | None:
    return next((item for item in bpy.data.objects if item.get(previews.TAG) == job.id), None)


def test_deleting_a_preview_cancels_its_job() -> None:
    source = hill("Hill", 400.0, (0.0, 0.0, 0.0))
    given = {"height": (sources.Source("object", "Hill", {"resolution_px": SIDE_PX}),)}
    job = submit({"steps": 1000, "step_s": 0.05}, sources=given, preview=True)
    step_until(lambda: preview_of(job), "the preview")
    assert source.hide_get(), "it lies where its source is"
    bpy.data.objects.remove(preview_of(job))
    step_until(lambda: job.state is JobState.CANCELLED, "the cancel")
    assert not source.hide_get()
    assert preview_of(job) is None


def test_while_a_preview_is_shown_its_source_is_what_is_selected() -> None:
    """A preview hides what was selected: Generate, pressed meanwhile, takes that and neither the preview nor something new."""
    source, spec = hill("Hill", 400.0, (0.0, 0.0, 0.0)), find(ALGORITHMS, "hydrology")
    choose("hydrology", steps=1)
    given = {"height": (sources.Source("object", "Hill", {"resolution_px": SIDE_PX}),)}
    job = submit({"steps": 1000, "step_s": 0.05}, sources=given, preview=True)
    preview = step_until(lambda: preview_of(job), "the preview") or preview_of(job)
    assert not source.select_get()
    assert "Selected: Hill" in lines()
    assert requests.from_settings(bpy.context, spec).sources["height"][0].name == "Hill"
    bpy.context.view_layer.objects.active = preview
    preview.select_set(True)
    assert requests.from_settings(bpy.context, spec).sources["height"][0].name == "Hill"
    pump.session().cancel(job)
    step_until(lambda: job.is_settled, "the cancel")


def test_two_jobs_in_the_queue_do_not_end_in_one_place() -> None:
    """Over a source the later result covers the earlier one; without one it stands beside it."""
    given = {
        "height": (sources.Source("object", hill("Hill", 400.0, (0.0, 0.0, 0.0)).name, {"resolution_px": SIDE_PX}),)
    }
    jobs = [submit({"steps": 1, "seed": seed}, sources=given) for seed in (1, 2)]
    step_until(lambda: all(job.applied for job in jobs), "both results")
    first, second = (results.find_shown(job) for job in jobs)
    assert first.location == second.location
    assert (first.hide_get(), second.hide_get()) == (True, False)
    apart = [submit({"steps": 1, "seed": seed}) for seed in (1, 2)]
    step_until(lambda: all(job.applied for job in apart), "both results")
    first, second = (results.find_shown(job) for job in apart)
    assert abs(first.location.x - second.location.x) > 0.5 * (first.dimensions.x + second.dimensions.x)


def test_the_first_source_can_be_shown_over_later_results_and_stays_below_them() -> None:
    source = hill("Hill", 400.0, (0.0, 0.0, 0.0))
    choose("hydrology", steps=1)
    made = [generate() for _ in range(3)]
    names = [item.name for item in made]
    assert [line for line in lines() if line.startswith("Show ")] == [f"Show {names[1]}", "Show Hill"]
    bpy.ops.relievo.show_source(name="Hill")
    assert [item.hide_get() for item in (source, *made)] == [False, True, True, False]
    bpy.ops.relievo.show_source(name="Hill", hidden=True)
    bpy.data.objects.remove(made[0])
    pump.step()
    assert source.hide_get(), "another result lies over it"
    for item in made[:0:-1]:
        bpy.data.objects.remove(item)
        pump.step()
    assert not source.hide_get()
    assert covering.KEY not in source


def test_an_undo_in_mid_job_cancels_nothing() -> None:
    bpy.ops.ed.undo_push(message="before")
    bpy.ops.mesh.primitive_cube_add()
    bpy.ops.ed.undo_push(message="a cube")
    job = submit({"steps": 60, "step_s": 0.05}, preview=True)
    step_until(lambda: preview_of(job), "the preview")
    bpy.ops.ed.undo()
    step_until(lambda: job.applied, "the result")
    assert job.state is JobState.SUCCEEDED


def test_a_failure_is_said_where_the_button_was_pressed() -> None:
    scene = bpy.context.scene.relievo
    job = submit({"steps": 1, "ending": "error"})
    step_until(lambda: job.is_settled, "the failure")
    scene.algorithm = "probe"
    below = paper.draw(panels.RELIEVO_PT_generate)
    assert f"{job.label} failed" in below
    assert "Again" in below
    scene.algorithm = "noise"
    assert f"{job.label} failed" not in paper.draw(panels.RELIEVO_PT_generate), "another engine's button"
    scene.algorithm = "probe"
    bpy.ops.relievo.forget_job(job=job.id)
    assert f"{job.label} failed" not in paper.draw(panels.RELIEVO_PT_generate)


def test_a_failed_regenerate_is_said_in_the_objects_own_box() -> None:
    made = submit({"steps": 1})
    step_until(lambda: made.applied, "the result")
    item = bpy.context.active_object
    job = submit({"steps": 1, "ending": "error"}, target=item.name, pressed_on=item.name)
    step_until(lambda: job.is_settled, "the failure")
    bpy.context.scene.relievo.algorithm = "probe"
    assert f"{job.label} failed" in paper.draw(panels.RELIEVO_PT_main)
    assert f"{job.label} failed" not in paper.draw(panels.RELIEVO_PT_generate)


def test_show_finds_images_also_in_a_file_opened_again(tmp_path) -> None:
    bpy.ops.relievo.noise(width_px=32, height_px=32, output="IMAGES")
    job = list(pump.session().jobs.values())[-1]
    assert bpy.ops.relievo.show_job(job=job.id) == {"FINISHED"}
    save_and_open(str(tmp_path / "saved.blend"))
    bpy.data.images[0].name = "Mine"
    assert bpy.ops.relievo.show_job(job=job.id) == {"FINISHED"}


def test_images_in_the_place_of_a_terrain_leave_it_alone() -> None:
    bpy.ops.relievo.noise(width_px=32, height_px=32, seed=1)
    item = bpy.context.active_object
    before = requests.recipe_on(item)
    bpy.ops.relievo.noise(width_px=32, height_px=32, seed=2, output="IMAGES", target=item.name)
    assert requests.recipe_on(item) == before
    assert any(requests.recipe_on(image) is not None for image in bpy.data.images)


# Large results --------------------------------------------------------------------------------------------------------


def test_a_large_result_is_announced_and_placed_in_steps(monkeypatch) -> None:
    scene = bpy.context.scene.relievo
    scene.algorithm, scene.noise.width_px, scene.noise.height_px = "noise", 4096, 4096
    said = lines()
    assert said.count("16.8 million vertices, about 4.4 GB") == 1
    assert any("Draw in Full" in line for line in said)
    scene.output.kind = "IMAGES"
    assert "about 537 MB" in lines()
    scene.output.kind, scene.noise.width_px, scene.noise.height_px = "MESH", 64, 48
    assert "3,072 vertices, about 1 MB" in lines()

    monkeypatch.setattr(terrain, "STEPS_FROM_VERTICES", 100)
    monkeypatch.setattr(result_size, "HEAVY_VERTICES", 1000)
    feeds = {"height": Feed("noise", {"width_px": 64, "height_px": 48})}
    job = submit({"steps": 1}, feeds=feeds, sources={"height": (sources.Source("engine", "noise"),)})
    pump.session().wait(job)
    seen = []
    while not job.applied and len(seen) < 100:
        assert results.place(pump.session(), job, pump.generation(), in_steps=True)
        seen.append(results.sentence_of(job))
    assert [sentence for sentence in seen if sentence == "placing it in the scene, 25 %"], seen
    item = bpy.context.active_object
    assert len(item.data.vertices) == 64 * 48
    assert item.display_type == "BOUNDS"
    assert "Draw in Full" in lines()
    bpy.ops.relievo.draw_in_full()
    assert item.display_type == "TEXTURED"
