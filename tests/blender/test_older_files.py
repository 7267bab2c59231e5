"""Files that version 0.1 has saved open in this one: every setting is read, every result is known by its recipe, and Regenerate
makes it again.

tests/data/version_0_1/make.py says how the files were made, and NAME.json beside NAME.blend what has to be found in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import bpy
import numpy as np
import pytest

from blender_addon.readers.source import Source, from_json
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import ALGORITHMS
from tests.blender.support import live_addon
from tests.support.older_version import VERSION_0_1, assert_same, is_the_same_processor, read_json

FILES = ("settings", "noise", "morphology", "hydrology", "scan")
RECIPE = "relievo_recipe"
TOLD: dict[str, dict[str, Any]] = {name: read_json(f"{name}.json") for name in FILES}


def result_told(name: str, datablock: str) -> dict[str, Any]:
    """What has to be found of one of a file's results."""
    return next(saved for saved in TOLD[name]["results"] if saved["datablock"] == datablock)


RESULTS = [(name, saved["datablock"]) for name in FILES for saved in TOLD[name].get("results", [])]
OBJECTS = [(name, datablock) for name, datablock in RESULTS if not result_told(name, datablock)["is_image"]]
DATABLOCKS = (
    *("objects", "meshes", "materials", "images", "collections", "node_groups", "textures", "texts"),
    *("cameras", "lights", "worlds", "scenes"),
)


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    with pytest.MonkeyPatch.context() as environ:
        environ.setenv("CUDA_VISIBLE_DEVICES", "")  # the files were made without a GPU, which draws other numbers
        with live_addon.registered(tmp_path_factory.mktemp("relievo"), threads=2) as addon:
            yield addon


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()


def opened(name: str) -> dict[str, Any]:
    """Open a file; what has to be in it."""
    bpy.ops.wm.open_mainfile(filepath=str(VERSION_0_1 / f"{name}.blend"))
    return TOLD[name]


def result(name: str, datablock: str) -> dict[str, Any]:
    """Open a file; what has to be found of one of its results."""
    opened(name)
    return result_told(name, datablock)


def meant(sources: dict[str, list[dict[str, Any]]]) -> dict[str, list[Source]]:
    """Where inputs came from, whichever version has written it down."""
    return {port: [from_json(entry) for entry in entries] for port, entries in sources.items()}


def recipe_of(item: bpy.types.ID) -> dict[str, Any]:
    return json.loads(item[RECIPE])


def sha256(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).tobytes()).hexdigest()


def properties(item: bpy.types.ID) -> dict[str, Any]:
    """Our custom properties but for the recipe."""
    found = {key: item[key] for key in item.keys() if key.startswith("relievo") and key != RECIPE}  # noqa: SIM118  # it is no dict
    return {key: value.to_list() if hasattr(value, "to_list") else value for key, value in found.items()}


def pixels(image: bpy.types.Image) -> np.ndarray:
    """[H, W, 4] float32, bottom row first."""
    values = np.empty(image.size[0] * image.size[1] * 4, np.float32)
    image.pixels.foreach_get(values)
    return values.reshape(image.size[1], image.size[0], 4)


def positions(mesh: bpy.types.Mesh) -> np.ndarray:
    values = np.empty(len(mesh.vertices) * 3, np.float32)
    mesh.attributes["position"].data.foreach_get("vector", values)
    return values.reshape(-1, 3)


def heights(saved: dict[str, Any]) -> np.ndarray:
    """Where they are kept: in an image, or in the mesh."""
    if saved["image"]:
        return pixels(bpy.data.images[saved["image"]])[..., 0].copy()
    return positions(bpy.data.objects[saved["datablock"]].data)[:, 2].copy()


def flatten(saved: dict[str, Any]) -> None:
    """Spoil the heights, so that only a result that was computed can bring them back."""
    if saved["image"]:
        image = bpy.data.images[saved["image"]]
        image.pixels.foreach_set(np.zeros(image.size[0] * image.size[1] * 4, np.float32))
        image.update()
    else:
        mesh = bpy.data.objects[saved["datablock"]].data
        values = positions(mesh)
        values[:, 2] = 0.0
        mesh.attributes["position"].data.foreach_set("vector", values.ravel())
    assert not heights(saved).any()


def names() -> dict[str, list[str]]:
    """Every datablock of the file."""
    return {kind: sorted(item.name for item in getattr(bpy.data, kind)) for kind in DATABLOCKS}


def activate(name: str) -> bpy.types.Object:
    item = bpy.data.objects[name]
    bpy.context.view_layer.objects.active = item
    item.select_set(True)
    return item


# Settings ------------------------------------------------------------------------------------------------------------


def leaves(saved: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every setting that make.py has written down, with the groups that lead to it; the n-th of a collection as "#n"."""
    for name, entry in saved.items():
        if "group" in entry:
            yield from leaves(entry["group"], (*path, name))
        elif "items" in entry:
            yield (*path, name), entry
            for number, item in enumerate(entry["items"]):
                yield from leaves(item, (*path, name, f"#{number}"))
        else:
            yield (*path, name), entry


def group_at(scene: bpy.types.Scene, path: tuple[str, ...]) -> Any:
    group: Any = scene
    for name in path:
        group = group[int(name[1:])] if name.startswith("#") else getattr(group, name)
    return group


def value_at(scene: bpy.types.Scene, path: tuple[str, ...], entry: dict[str, Any]) -> Any:
    """What a setting is now, in the words that make.py has written it down in."""
    value = getattr(group_at(scene, path[:-1]), path[-1])
    if "items" in entry:
        return len(value)
    if "datablock" in entry:
        return value.name if value is not None else None
    return value


def wanted(entry: dict[str, Any]) -> Any:
    return len(entry["items"]) if "items" in entry else entry.get("datablock", entry.get("value"))


NEW_DEFAULTS = {
    name: pytest.approx(value) for name, value in (("amount", 0.22), ("smoothing", 0.6), ("area_exponent", 0.4))
}
NEW_DEFAULTS |= {"steps": 24}


def is_touched(group: bpy.types.PropertyGroup) -> bool:
    """Whether a parameter of hydrology was ever set."""
    return any(group.is_property_set(parameter.name) for parameter in find(ALGORITHMS, "hydrology").parameters)


@pytest.mark.parametrize("name", FILES)
def test_every_setting_is_read_as_it_was_saved(name):
    for scene_name, saved in opened(name)["scenes"].items():
        expected = {path: wanted(entry) for path, entry in leaves({"relievo": {"group": saved["relievo"]}})}
        scene = bpy.data.scenes[scene_name]
        entries = dict(leaves({"relievo": {"group": saved["relievo"]}}))
        for path, value in expected.items():
            if value == "NOISE" and path[-1] == "source" and not group_at(scene, path[:-1]).is_property_set("source"):
                expected[path] = "AUTO"  # nobody had picked it: it stands for the selected mesh first since then
            if path[:-1] == ("relievo", "hydrology") and not is_touched(group_at(scene, path[:-1])):
                expected[path] = NEW_DEFAULTS.get(
                    path[-1], value
                )  # nobody had set anything: it begins as in a new file
        assert {path: value_at(scene, path, entry) for path, entry in entries.items()} == expected
        assert len(expected) > 100


def test_the_settings_are_others_than_those_of_a_new_scene():
    """Or the test above would be one of defaults. Every enumeration of more than one item stands at several of them."""
    opened("settings")
    fresh = bpy.data.scenes.new("Fresh")
    seen: dict[tuple[str, ...], set[Any]] = {}
    for saved in TOLD["settings"]["scenes"].values():
        for path, entry in leaves({"relievo": {"group": saved["relievo"]}}):
            seen.setdefault(path, set()).add(wanted(entry))
    for path, values in seen.items():
        if any(name.startswith("#") for name in path):
            continue  # a fresh scene has no items
        prop = group_at(fresh, path[:-1]).bl_rna.properties[path[-1]]
        default = getattr(group_at(fresh, path[:-1]), path[-1])
        default = len(default) if prop.type == "COLLECTION" else default
        assert values - {default} or (prop.type == "ENUM" and len(prop.enum_items) == 1), path
    assert seen["relievo", "algorithm"] == {"morphology", "hydrology", "scan_texture"}
    assert seen["relievo", "output", "kind"] == {"GEOMETRY_NODES", "DISPLACE", "ADAPTIVE", "IMAGES"}


def test_the_file_holds_the_numbers_that_were_written_down():
    """An enumeration is saved as a number: what a name means is the number that it had when the file was saved."""
    opened("settings")
    compared = 0
    for scene_name, saved in TOLD["settings"]["scenes"].items():
        for path, entry in leaves({"relievo": {"group": saved["relievo"]}}):
            if "raw" not in entry:
                continue
            group = group_at(bpy.data.scenes[scene_name], path[:-1])
            stored = group.bl_system_properties_get() if hasattr(group, "bl_system_properties_get") else group
            assert stored.get(path[-1]) == entry["raw"], path
            compared += 1
    assert compared > 100


# Results -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "datablock"), RESULTS)
def test_a_terrain_is_as_it_was_saved(name, datablock):
    saved = result(name, datablock)
    item = (bpy.data.images if saved["is_image"] else bpy.data.objects)[datablock]
    assert recipe_of(item) == saved["recipe"]
    assert properties(item) == saved["properties"]
    assert sha256(heights(saved)) == saved["heights"]["sha256"]
    assert [heights(saved).min(), heights(saved).max()] == [saved["heights"]["low"], saved["heights"]["high"]]
    if saved["is_image"]:
        return
    assert properties(item.data) == saved["properties of the mesh"]
    assert list(item.dimensions) == pytest.approx(saved["dimensions"], abs=1e-3)
    assert list(item.location) == saved["location"]
    assert len(item.data.vertices) == saved["vertices"]
    assert [[modifier.name, modifier.type] for modifier in item.modifiers] == saved["modifiers"]
    assert [slot.material.name for slot in item.material_slots] == saved["materials"]


@pytest.mark.parametrize(("name", "datablock"), [place for place in OBJECTS if place[0] == "noise"])
def test_a_terrain_still_rises_to_its_heights(name, datablock):
    """Whatever raises it: its vertices, Geometry Nodes or a modifier."""
    saved = result(name, datablock)
    item = bpy.data.objects[datablock].evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = item.to_mesh()
    found = positions(mesh)[:, 2].copy()
    item.to_mesh_clear()
    kept = heights(saved)
    kept = kept[::-1].ravel() if saved["image"] else kept
    np.testing.assert_allclose(found, kept, atol=5e-4, rtol=0)


@pytest.mark.parametrize(("name", "datablock"), OBJECTS)
def test_regenerate_makes_a_terrain_anew_in_its_place(name, datablock):
    saved = result(name, datablock)
    before, kept = names(), heights(saved)
    item = activate(datablock)
    maps = {port: attribute(item, port) for port in saved.get("maps", {})}
    assert {port: sha256(values) for port, values in maps.items()} == saved.get("maps", {})
    flatten(saved)
    assert bpy.ops.relievo.regenerate() == {"FINISHED"}
    assert names() == before, "nothing beside it, and nothing under another name"
    assert bpy.context.active_object == item
    recipe = recipe_of(item)
    assert_same(heights(saved), kept, datablock, device=recipe["device"])
    for port, values in maps.items():
        assert_same(attribute(item, port), values, f"{datablock}: {port}", device=recipe["device"])
    assert list(item.location) == saved["location"]
    assert [[modifier.name, modifier.type] for modifier in item.modifiers] == saved["modifiers"]
    assert recipe["algorithm"] == saved["recipe"]["algorithm"]
    assert saved["recipe"]["params"].items() <= recipe["params"].items()
    assert meant(recipe["scene"]["sources"]) == meant(saved["recipe"]["scene"]["sources"])


def attribute(item: bpy.types.Object, name: str) -> np.ndarray:
    values = np.empty(len(item.data.vertices), np.float32)
    item.data.attributes[name].data.foreach_get("value", values)
    return values


@pytest.mark.parametrize("name", ["morphology", "hydrology"])
def test_the_saved_settings_make_the_saved_terrain(name):
    """Generate as the sidebar does it, with whatever its pickers say: the engine, the inputs, the kind of result."""
    saved = result(name, TOLD[name]["saved settings make"])
    kept, before = heights(saved), set(bpy.data.objects)
    assert bpy.ops.relievo.generate() == {"FINISHED"}
    (made,) = [item for item in set(bpy.data.objects) - before if item.parent is None]  # rivers are its child
    image = f"{made.name} height" if saved["image"] else ""
    recipe = recipe_of(made)
    assert saved["recipe"]["params"].items() <= recipe["params"].items()
    assert recipe["scene"]["output"] == saved["recipe"]["scene"]["output"]
    found = {"datablock": made.name, "image": image}
    assert_same(heights(found), kept, made.name, device=recipe["device"])


def test_parameters_that_came_later_change_nothing_in_an_older_file():
    opened("morphology")
    group = bpy.context.scene.relievo.morphology
    assert (group.scale, group.level, group.legacy) == ("true", "exemplar", True)
    assert (group.landform, group.edition) == ("volcanic", "1")
    fresh = bpy.data.scenes.new("Fresh").relievo.morphology
    assert (fresh.scale, fresh.level, fresh.legacy) == ("fit", "auto", False)
    opened("scan")
    assert bpy.context.scene.relievo.scan_texture.legacy
    assert not bpy.data.scenes.new("Fresh").relievo.scan_texture.legacy


def test_a_file_of_this_version_keeps_its_defaults(tmp_path):
    bpy.context.scene.relievo.morphology.steps = 7
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    group = bpy.context.scene.relievo.morphology
    assert (group.steps, group.scale, group.level, group.legacy) == (7, "fit", "auto", False)


@pytest.mark.parametrize(("name", "datablock"), OBJECTS)
def test_the_sidebar_takes_a_terrains_settings(name, datablock):
    saved = result(name, datablock)
    activate(datablock)
    assert bpy.ops.relievo.settings_from_terrain() == {"FINISHED"}
    settings = bpy.context.scene.relievo
    assert settings.algorithm == saved["recipe"]["algorithm"]
    group = getattr(settings, settings.algorithm)
    entries = TOLD[name]["scenes"][bpy.context.scene.name]["relievo"][settings.algorithm]["group"]
    compared = 0
    for parameter, value in saved["recipe"]["params"].items():
        setting = (
            parameter if parameter in entries else f"{parameter}_value"
        )  # one that would hide an attribute of Blender's
        found = getattr(group, setting)
        assert found == (pytest.approx(value) if isinstance(value, float) else value), parameter
        compared += 1
    assert compared >= 10


# A texture -----------------------------------------------------------------------------------------------------------


def textures(saved: dict[str, Any]) -> dict[str, np.ndarray]:
    return {port: pixels(bpy.data.images[entry["datablock"]]).copy() for port, entry in saved["images"].items()}


def test_a_texture_is_as_it_was_saved():
    saved = opened("scan")["texture"]
    item = bpy.data.objects[saved["object"]]
    (material,) = item.data.materials
    assert material.name == saved["material"]
    assert recipe_of(material) == saved["recipe"]
    assert properties(material) == saved["properties"]
    assert bpy.data.texts[saved["properties"]["relievo_report_text"]].as_string() == saved["report"]
    for entry in saved["images"].values():
        image = bpy.data.images[entry["datablock"]]
        assert list(image.size) == entry["size"]
        assert properties(image) == entry["properties"]
        assert image.packed_file is not None
    assert {name: properties(bpy.data.objects[name].data) for name in saved["cameras"]} == saved["cameras"]
    assert len(saved["cameras"]) == 5


@pytest.mark.parametrize("operator", ["regenerate", "generate"])
def test_a_texture_is_made_anew_from_its_photographs(operator):
    """By its recipe, and by the settings that were saved with it; the photographs lie beside the file."""
    saved = opened("scan")["texture"]
    before, kept = names(), textures(saved)
    item = activate(saved["object"])
    for entry in saved["images"].values():
        image = bpy.data.images[entry["datablock"]]
        image.pixels.foreach_set(np.zeros(image.size[0] * image.size[1] * 4, np.float32))
    bpy.data.texts[saved["properties"]["relievo_report_text"]].clear()
    assert getattr(bpy.ops.relievo, operator)() == {"FINISHED"}
    assert names() == before
    (material,) = item.data.materials
    recipe = recipe_of(material)
    for port, values in textures(saved).items():
        assert_same(values, kept[port], port, device=recipe["device"])
        assert values[..., :3].any(), port
    assert saved["recipe"]["params"].items() <= recipe["params"].items()
    assert meant(recipe["scene"]["sources"]) == meant(saved["recipe"]["scene"]["sources"])
    if is_the_same_processor() and recipe["device"] == "cpu":
        assert bpy.data.texts[saved["properties"]["relievo_report_text"]].as_string() == saved["report"]


def test_the_report_of_a_texture_is_opened():
    saved = opened("scan")["texture"]
    activate(saved["object"])
    assert bpy.ops.relievo.open_report() == {"FINISHED"}
    bpy.data.texts.remove(bpy.data.texts[saved["properties"]["relievo_report_text"]])
    with pytest.raises(RuntimeError, match="report was deleted"):
        bpy.ops.relievo.open_report()
