"""The add-on's two tables: every kind has its readers or a reason, every form its writer, and no saved number ever changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import bpy
import numpy as np
import pytest

import blender_addon
from blender_addon.inputs import sources
from blender_addon.operators import inputs
from blender_addon.readers import exemplars, images, table
from blender_addon.readers.source import Source, from_json
from blender_addon.settings import pickers
from blender_addon.shared.algorithm import SOURCES, AlgorithmSpec, Makes, Port, find
from blender_addon.shared.arrays import CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP, KINDS, MASK, MESH, check
from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.shared.errors import InvalidInput
from blender_addon.shared.params import param
from blender_addon.ui import input_panel
from blender_addon.writers.table import WRITERS
from tests.blender.support import paper

# As .blend files hold them. A new one gets a new number; none is ever changed.
SAVED_SOURCES = {
    "IMAGE": 0,
    "CAMERAS": 0,
    "OBJECT": 1,
    "NOISE": 2,
    "EXEMPLAR": 3,
    "NONE": 4,
    "MATERIALS": 5,
    "OBJECTS": 6,
    "COLLECTION": 7,
    "SCENE": 8,
    "SELECTED": 9,
    "AUTO": 10,
    "CURVES": 13,
    "SKETCH": 11,
    "DRAWING": 12,
    "MATERIAL": 14,
    "VIEW": 15,
    "SURFACE": 16,
    "STROKES": 17,
}
SAVED_CHOICES = {
    "terrain": {"MESH": 0, "GEOMETRY_NODES": 1, "DISPLACE": 2, "ADAPTIVE": 3, "IMAGES": 4},
    "surface": {"BYTE": 0, "SHORT": 1, "FLOAT": 2},
    "painting": {"CANVAS": 0, "STROKES": 1, "IMAGES": 2, "IMPASTO": 3},
    "maps": {"IMAGES": 0},
}


@pytest.fixture
def addon(empty_file, tmp_path, monkeypatch):
    monkeypatch.setenv("RELIEVO_DATA", str(tmp_path))
    monkeypatch.setenv("RELIEVO_PYTHON", str(tmp_path / "nowhere/bin/python"))
    monkeypatch.setenv("RELIEVO_EXTRA_ALGORITHMS", "tests.support.toy_engines")
    blender_addon.register()
    yield blender_addon
    blender_addon.unregister()


def test_every_kind_can_be_read_or_says_why_not() -> None:
    assert {kind.name for kind in (*table.READERS, *table.NOT_READ)} == set(KINDS)
    assert not set(table.READERS) & set(table.NOT_READ)
    for row in table.READERS.values():
        assert set(row) <= set(SOURCES)


def test_every_form_has_a_writer() -> None:
    assert set(WRITERS) == set(get_args(Makes))
    assert len({writer.setting for writer in WRITERS.values()}) == len(WRITERS)


def test_saved_numbers_never_change() -> None:
    assert {form: {item[0]: item[4] for item in writer.items} for form, writer in WRITERS.items()} == SAVED_CHOICES
    offered = {item[0]: item[4] for spec in ALGORITHMS for port in spec.inputs for item in pickers.items(spec, port)}
    assert {name: number for name, number in SAVED_SOURCES.items() if name in offered} == offered
    assert exemplars.SAVED_ORDER[:6] == ("alpine", "badlands", "canyon", "dunes", "glacial", "volcanic")
    assert set(exemplars.names()) <= set(exemplars.SAVED_ORDER), "a new landscape goes to the end of SAVED_ORDER"


@dataclass(frozen=True, kw_only=True)
class Params:
    amount: float = param(0.5, label="Amount", help="")


def engine(*inputs: Port) -> AlgorithmSpec:
    height = Port(name="height", kind=HEIGHT_MAP, label="Height", help="")
    return AlgorithmSpec(
        name="any", label="Any", summary="", icon="NONE", params=Params, number=2999, makes="terrain",
        inputs=inputs, outputs=(height,),
    )  # fmt: skip


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
@pytest.mark.parametrize("optional", [True, False])
def test_a_port_of_any_kind_has_a_picker(kind, optional: bool) -> None:
    port = Port(name="given", kind=kind, label="Given", help="", optional=optional)
    spec = engine(port)
    items = pickers.items(spec, port)
    assert items
    assert pickers.default(spec, port) in [item[0] for item in items]
    assert len({item[4] for item in items}) == len(items)
    assert len({item[0] for item in items}) == len(items)
    if optional and kind is not MESH and kind.name != "CAMERAS":
        assert "NONE" in [item[0] for item in items]


def test_a_port_narrows_what_its_kind_offers() -> None:
    port = Port(name="given", kind=HEIGHT_MAP, label="Given", help="", reads=("image",))
    assert [item[0] for item in pickers.items(engine(port), port)] == ["IMAGE"]


def test_recipes_of_the_first_version_are_still_read() -> None:
    assert from_json({"kind": "noise", "name": "", "options": {}}) == Source("engine", "noise")
    assert from_json({"kind": "object", "name": "noise"}) == Source("object", "noise")


# Classes -------------------------------------------------------------------------------------------------------------

PALETTE = (("Water", (0.1, 0.3, 0.8)), ("Sand", (0.9, 0.8, 0.5)), ("Grass", (0.3, 0.6, 0.2)))


@pytest.mark.parametrize(("is_float", "space"), [(False, "sRGB"), (False, "Non-Color"), (True, "Linear Rec.709")])
def test_colours_are_matched_to_the_ports_palette(is_float: bool, space: str) -> None:
    """However the image is stored; a class that is not in the picture does not renumber the others."""
    image = bpy.data.images.new("sketch", 3, 1, float_buffer=is_float)
    image.colorspace_settings.name = space
    colors = np.array([PALETTE[2][1], PALETTE[0][1], (0.35, 0.55, 0.22)], np.float32)
    if is_float:
        colors = np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)
    pixels = np.ones((3, 4), np.float32)
    pixels[:, :3] = colors
    image.pixels.foreach_set(pixels.ravel())
    assert images.class_map(image, PALETTE, snap=True).values.tolist() == [[2, 0, 2]]
    with pytest.raises(
        InvalidInput, match=r"'sketch': 1 of 3 pixels has a colour that is no class; .* at x 2, y 0"
    ) as refused:
        images.class_map(image, PALETTE)
    assert "Snap to Nearest Class" in refused.value.hint


def test_an_engine_without_heights_takes_classes_from_a_mesh_of_its_own(addon) -> None:
    scene, spec = bpy.context.scene, find(blender_addon.shared.catalog.algorithms(), "toy_terrain")
    settings, port = scene.relievo.toy_terrain.from_sketch, spec.inputs[0]
    scene.relievo.algorithm, settings.source = "toy_terrain", "MATERIALS"
    assert "Select a mesh" in paper.draw(input_panel.RELIEVO_PT_inputs)
    assert "no mesh" in sources.what_is_missing(scene, spec, None)
    bpy.ops.mesh.primitive_plane_add(size=4.0)
    ground = bpy.context.active_object
    material = bpy.data.materials.new("Grass")
    material.pass_index = 2
    ground.data.materials.append(material)
    assert "Pass 2" in paper.draw(input_panel.RELIEVO_PT_inputs)
    settings.resolution = 32
    (source,) = sources.chosen(scene, spec, port, ground)
    drawn = sources.read(source, port, bpy.context)
    assert check(drawn).kind is CLASS_MAP
    assert (drawn.values == 2).all()
    material.pass_index = 9
    with pytest.raises(InvalidInput, match="pass index 9 is none of the classes"):
        sources.read(source, port, bpy.context)


# Opening an image ----------------------------------------------------------------------------------------------------


def test_open_takes_the_kinds_colour_space_and_leaves_the_users_image_alone(tmp_path: Path) -> None:
    made = bpy.data.images.new("made", 4, 4)
    made.filepath_raw, made.file_format = str(tmp_path / "picture.png"), "PNG"
    made.save()
    bpy.data.images.remove(made)
    ports = {kind: Port(name="given", kind=kind, label="Given", help="") for kind in (MASK, COLOR_IMAGE, CLASS_MAP)}
    spaces = {kind: inputs.color_space_for(port) for kind, port in ports.items()}
    assert spaces == {MASK: "Non-Color", COLOR_IMAGE: "", CLASS_MAP: "Non-Color"}
    assert inputs.color_space_for(Port(name="s", kind=CLASS_MAP, label="S", help="", classes=PALETTE)) == ""
    mine = bpy.data.images.load(str(tmp_path / "picture.png"))
    assert mine.colorspace_settings.name == "sRGB"
    assert inputs.open_image(tmp_path / "picture.png", "") == mine, "it fits as it is"
    other = inputs.open_image(tmp_path / "picture.png", "Non-Color")
    assert other != mine
    assert (mine.colorspace_settings.name, other.colorspace_settings.name) == ("sRGB", "Non-Color")
    assert inputs.open_image(tmp_path / "picture.png", "Non-Color") == other
