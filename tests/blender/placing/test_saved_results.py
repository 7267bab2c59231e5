"""Whatever the add-on makes is in the file that is saved: every form and choice of result, new and in the place of another, opened
again and compared datablock by datablock.
"""

from __future__ import annotations

import json
from pathlib import Path

import bpy
import numpy as np
import pytest

from blender_addon.shared import strokes, texture_set
from blender_addon.shared.arrays import (
    AREA_MAP,
    CLASS_MAP,
    COLOR_IMAGE,
    COUNT_MAP,
    HEIGHT_MAP,
    MASK,
    NORMAL_MAP,
    REPORT,
    STROKES,
    TEXTURE,
    Array,
    height_map,
)
from blender_addon.writers import images, materials, record, terrain
from blender_addon.writers.table import WRITERS, Result
from tests.blender.support.contents import contents, save_and_open

SHAPE = (12, 16)
RECIPE = {"algorithm": "noise", "params": {"seed": 3}, "format": 1}


def ramp(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(SHAPE, np.float32)


def report() -> Array:
    text = json.dumps({"summary": ["All is well."], "numbers": [1, 2]})
    return Array(REPORT, np.frombuffer(text.encode(), np.uint8))


def some_strokes() -> Array:
    """Two strokes that cross the canvas."""
    values = np.full((2, len(strokes.COLUMNS)), 0.5, np.float32)
    for name, numbers in (
        ("y0", (0.1, 0.2)),
        ("y2", (0.8, 0.9)),
        ("layer", (0, 0)),
        ("segment", (-1, -1)),
        ("order", (0, 1)),
    ):
        values[:, strokes.INDEX[name]] = numbers
    for name in ("r0", "r2"):
        values[:, strokes.INDEX[name]] = 0.05
    return Array(STROKES, values, {"canvas_width_px": SHAPE[1], "canvas_height_px": SHAPE[0]})


def color(kind: object = COLOR_IMAGE) -> Array:
    colors = np.stack([ramp(1), ramp(2), ramp(3)], axis=-1)
    return Array(COLOR_IMAGE, colors) if kind is COLOR_IMAGE else Array(TEXTURE, (colors * 65535).astype(np.uint16))


def outputs_of(form: str) -> dict[str, tuple[Array, ...]]:
    """One output of every kind that the form knows: those that are used, and those that nothing uses."""
    heights = height_map(1000.0 * ramp(), 10.0)
    normals = np.stack([0.1 * ramp(4), 0.1 * ramp(5), np.ones(SHAPE, np.float32)], axis=-1).astype(np.float32)
    normals /= np.linalg.norm(normals, axis=-1, keepdims=True)
    maps = {
        "flow": (Array(AREA_MAP, 1e6 * ramp(6), {"pixel_size_m": 10.0}),),
        "mask": (Array(MASK, ramp(7)),),
        "normals": (Array(NORMAL_MAP, normals),),
        "classes": (Array(CLASS_MAP, (3 * ramp(8)).astype(np.uint8)),),
    }
    of_other_size = {"detail": (Array(MASK, np.kron(ramp(9), np.ones((2, 2), np.float32))),)}
    if form == "terrain":
        return {"height": (heights,), "albedo": (color(),), **maps, **of_other_size, "report": (report(),)}
    if form == "surface":
        stack = texture_set.stack({"base_color": color().values, "roughness": ramp(10), "height": ramp(11)})
        count = Array(COUNT_MAP, (9 * ramp(12)).astype(np.uint16))
        return {"material": (stack,), "coverage": (count,), "confidence": maps["mask"], "report": (report(),)}
    if form == "painting":
        return {"strokes": (some_strokes(),), "picture": (color(),), "sketch": (color(),), "mask": maps["mask"]}
    return {"height": (heights,), "texture": (color(TEXTURE),), "picture": (color(),), **maps}


def result(form: str, choice: str, outputs: dict[str, tuple[Array, ...]] | None = None) -> Result:
    scene = bpy.context.scene
    return Result(
        outputs=outputs or outputs_of(form), choice=choice, name="Made", recipe=RECIPE, scene=scene, uv_layer="UVMap"
    )


CHOICES = [(form, item[0]) for form, writer in WRITERS.items() for item in writer.items]


def assert_saved(path: Path) -> None:
    """Nothing of the file is lost or changed by saving it and opening it again."""
    before = contents()
    save_and_open(str(path / "saved.blend"))
    after = contents()
    assert sorted(after) == sorted(before)
    for name, held in before.items():
        assert after[name] == held, name


@pytest.mark.parametrize(("form", "choice"), CHOICES)
def test_a_new_result_is_saved_whole(form: str, choice: str, tmp_path: Path) -> None:
    WRITERS[form].make(result(form, choice))
    rasters = sum(array.kind.axes[:2] == ("H", "W") for given in outputs_of(form).values() for array in given)
    assert sum(len(getattr(bpy.data, kind)) for kind in ("images", "meshes", "materials")) >= min(rasters, 3)
    assert_saved(tmp_path)


@pytest.mark.parametrize(("form", "choice"), CHOICES)
@pytest.mark.parametrize("wears", ["nothing", "a material of its own"])
def test_a_result_on_an_object_is_saved_whole(form: str, choice: str, wears: str, tmp_path: Path) -> None:
    """And a second one in its place, by an engine that makes more."""
    bpy.ops.mesh.primitive_plane_add()
    target = bpy.context.active_object
    if wears != "nothing":
        target.data.materials.append(bpy.data.materials.new("Mine"))
    first = {port: given for port, given in outputs_of(form).items() if port in ("height", "material", "picture")}
    WRITERS[form].put_on(result(form, choice, first), target)
    WRITERS[form].put_on(result(form, choice), target)
    assert_saved(tmp_path)


def test_maps_of_a_displaced_terrain_whose_material_is_the_users(tmp_path: Path) -> None:
    """A later engine makes maps that the material has no node for: they are kept as images."""
    heights = height_map(1000.0 * ramp(), 10.0)
    item = terrain.make({"height": heights}, kind="ADAPTIVE", name="Made")
    assert materials.height_image_of(item) is not None
    terrain.replace(item, {"height": heights, "wear": Array(MASK, ramp(1))}, kind="ADAPTIVE")
    assert_saved(tmp_path)
    assert images.kind_of(bpy.data.images["Made wear"]) == "MASK"


@pytest.mark.parametrize("form", ["terrain", "surface", "painting"])
def test_a_preview_that_a_person_keeps_is_saved_whole(form: str, tmp_path: Path) -> None:
    bpy.ops.mesh.primitive_plane_add()
    wall = bpy.context.active_object
    look = WRITERS[form].look(outputs_of(form))
    assert look is not None
    made = look.make("Preview", {"uv_layer": "UVMap"}, wall if form == "surface" else None)
    look.update(made, outputs_of(form))
    look.leave(made)
    assert_saved(tmp_path)


def test_a_terrain_of_an_image_and_its_view_are_saved(tmp_path: Path) -> None:
    image = images.build("Heights", Array(HEIGHT_MAP, 100.0 * ramp(), {"pixel_size_m": 5.0}))
    images.keep(image)
    record.write_recipe(image, RECIPE)
    for choice in ("MESH", "GEOMETRY_NODES", "DISPLACE", "ADAPTIVE"):
        terrain.make({"height": height_map(100.0 * ramp(), 5.0)}, kind=choice, name=choice)
    assert_saved(tmp_path)
