"""What a datablock remembers: a recipe that can be read, or none."""

from __future__ import annotations

import bpy
import pytest

from blender_addon.shared.catalog import ALGORITHMS
from blender_addon.shared.recipe import make_recipe
from blender_addon.writers.record import RECIPE_KEY, recipe_on, write_recipe


@pytest.mark.parametrize("text", ["", "{", "[]", '{"algorithm": 3}', '{"a":' * 100_000 + "1" + "}" * 100_000])
def test_what_is_no_recipe_is_none(text):
    image = bpy.data.images.new("map", 4, 4)
    image[RECIPE_KEY] = text
    assert recipe_on(image) is None


def test_a_recipe_is_read_back():
    image, spec = bpy.data.images.new("map", 4, 4), ALGORITHMS[0]
    recipe = make_recipe(spec, spec.params(), {})
    write_recipe(image, recipe)
    assert recipe_on(image) == recipe
