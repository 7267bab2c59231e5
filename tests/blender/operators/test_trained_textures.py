"""A trained model in place of samples: the file picker, what is no longer asked for, and a texture made with it."""

from __future__ import annotations

from pathlib import Path

import bpy
import pytest

from blender_addon import requests
from blender_addon.inputs import sources
from blender_addon.settings import properties
from blender_addon.shared.algorithm import find
from blender_addon.shared.catalog import algorithms
from blender_addon.shared.errors import InvalidInput
from tests.blender.support import live_addon
from tests.support import trained_texture

ENGINE = "texture"


@pytest.fixture(autouse=True)
def registered(addon, empty_file):
    live_addon.discard_jobs()


def test_a_model_takes_the_place_of_samples(tmp_path: Path) -> None:
    scene, spec = bpy.context.scene, find(algorithms(), ENGINE)
    scene.relievo.algorithm = ENGINE
    settings = scene.relievo.texture
    with pytest.raises(InvalidInput):
        requests.from_settings(bpy.context, spec)
    assert settings.bl_rna.properties["model"].subtype == "FILE_PATH"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "here.blend"))
    settings.model = "//stones.safetensors"
    assert properties.read(scene, spec)["model"] == str(tmp_path / "stones.safetensors")
    request = requests.from_settings(bpy.context, spec)
    assert request.sources["exemplar"] == ()
    assert not requests.why_not(bpy.context, spec)
    settings.model = ""
    assert sources.what_is_missing(scene, spec, None)


def test_a_model_makes_a_material(tmp_path: Path) -> None:
    file = trained_texture.write(tmp_path / "weights.safetensors")
    assert bpy.ops.relievo.texture(model=str(file), width=64, height=32, seed=2) == {"FINISHED"}
    (made,) = [image for image in bpy.data.images if tuple(image.size) == (64, 32)]
    assert made.packed_file is not None
    with pytest.raises(RuntimeError, match="There is no file"):
        bpy.ops.relievo.texture(model=str(tmp_path / "none.safetensors"), width=64, height=32)
