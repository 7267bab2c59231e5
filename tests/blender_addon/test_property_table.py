"""A parameter shown by Blender and read back is the value that was declared:

Blender's 32 bits must not change a recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blender_addon.settings import property_table
from shared.catalog import ALGORITHMS
from shared.params import Param, check_value, param
from shared.params import describe as describe_params

PARAMETERS = [pytest.param(p, id=f"{spec.name}.{p.name}") for spec in ALGORITHMS for p in spec.parameters]


@dataclass(frozen=True, kw_only=True)
class _Odd:
    type: Literal["a-b", "c"] = param("c", label="Kind", help="A name that Blender has too.")
    rate: float = param(0.0004, label="Rate", help="small", min=0.0001, max=0.3, step=0.0001, unit="m2/yr")
    angle: float = param(45.0, label="Angle", help="in degrees", min=0.0, max=90.0, unit="deg")
    length: float = param(0.1, label="Length", help="in metres", min=0.001, max=1e7, unit="m")
    far: int = param(0, label="Far", help="beyond 31 bits", min=-(2**40), max=2**40)
    share: float = param(0.3, label="Share", help="of all", min=0.0, max=1.0)


ODD = {parameter.name: parameter for parameter in describe_params(_Odd)}


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_defaults_and_bounds_survive_32_bits(parameter: Param):
    for value in (parameter.default, parameter.min, parameter.max):
        if value is None:
            continue
        kept = np.float32(value).item() if parameter.type == "float" else value
        read = property_table.to_json(parameter, kept)
        if parameter.type == "int":
            value = int(value)
        assert read == value
        assert type(read) is type(parameter.default)
        assert check_value(parameter, read) == read


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_what_blender_may_hold_is_accepted(parameter: Param):
    arguments = property_table.describe(parameter, scene_units=True).arguments
    if parameter.type in ("int", "float"):
        for key in ("min", "max", "soft_min", "soft_max"):
            if key in arguments:
                held = np.float32(arguments[key]).item() if parameter.type == "float" else arguments[key]
                check_value(parameter, property_table.to_json(parameter, held))
    if parameter.type == "int":
        assert -(2**31) <= arguments["min"] <= arguments["default"] <= arguments["max"] < 2**31


@pytest.mark.parametrize("parameter", PARAMETERS)
def test_no_property_hides_an_attribute_of_blenders(parameter: Param):
    assert property_table.property_name(parameter) not in property_table.SHADOWING


def test_a_name_that_blender_has_gets_a_suffix():
    assert property_table.property_name(ODD["type"]) == "type_value"
    assert property_table.describe(ODD["type"], scene_units=True).name == "type_value"


@given(st.integers(1, 300_000))
def test_any_decimal_that_a_person_types_comes_back(millionths: int):
    typed = millionths / 1_000_000
    parameter = ODD["share"]
    assert property_table.to_json(parameter, np.float32(typed).item()) == typed


def test_a_bound_that_32_bits_round_up_is_held():
    held = np.float32(0.3).item()
    assert held > 0.3
    assert property_table.to_json(ODD["rate"], held) == 0.3


def test_lengths_are_in_scene_units_only_where_asked():
    shown = property_table.describe(ODD["length"], scene_units=True)
    assert shown.arguments["unit"] == "LENGTH"
    assert "unit" not in property_table.describe(ODD["length"], scene_units=False).arguments
    kilometres = property_table.from_json(ODD["length"], 2500.0, metres_per_unit=1000.0)
    assert kilometres == 2.5
    assert property_table.to_json(ODD["length"], kilometres, metres_per_unit=1000.0) == 2500.0


def test_units_that_blender_lacks_stand_in_the_label():
    assert property_table.describe(ODD["angle"], scene_units=True).arguments["name"] == "Angle (°)"
    assert property_table.describe(ODD["rate"], scene_units=True).arguments["name"] == "Rate (m²/yr)"


def test_small_numbers_are_shown_with_enough_decimals():
    assert property_table.describe(ODD["rate"], scene_units=True).arguments["precision"] == 4


def test_whole_numbers_beyond_blenders_are_bounded_to_them():
    arguments = property_table.describe(ODD["far"], scene_units=True).arguments
    assert (arguments["min"], arguments["max"]) == (-(2**31), 2**31 - 1)


def test_choices_keep_their_values_and_labels():
    items = property_table.describe(ODD["type"], scene_units=True).arguments["items"]
    assert [item[:2] for item in items] == [("a-b", "A B"), ("c", "C")]
