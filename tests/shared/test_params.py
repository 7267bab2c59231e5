"""Parameters: one declaration, checked the same way wherever its values come from."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.errors import InvalidParameter
from shared.params import check_value, describe, param, parse, suggestion, to_json


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One parameter of each type."""

    flag: bool = param(True, label="Flag", help="yes or no")
    count: int = param(3, label="Count", help="how many", min=1, max=10)
    relief: float = param(0.3, label="Relief", help="how high", min=-0.1, max=0.3, unit="m", group="Shape")
    free: float = param(1.0, label="Free", help="any number")
    name: str = param("", label="Name", help="any text")
    mode: Literal["fast", "two-words"] = param("fast", label="Mode", help="how", labels={"fast": "Quick"})


PARAMETERS = {parameter.name: parameter for parameter in describe(Sample)}


def test_describe_keeps_order_types_and_words() -> None:
    assert [(p.name, p.type) for p in describe(Sample)] == [
        ("flag", "bool"), ("count", "int"), ("relief", "float"), ("free", "float"), ("name", "str"), ("mode", "choice"),
    ]  # fmt: skip
    assert PARAMETERS["mode"].choices == (("fast", "Quick"), ("two-words", "Two Words"))
    assert (PARAMETERS["relief"].unit, PARAMETERS["relief"].group) == ("m", "Shape")


def test_defaults_fill_what_is_missing_and_json_says_all() -> None:
    assert parse(Sample, {}) == Sample()
    assert to_json(parse(Sample, {"count": 5})) == {
        "flag": True, "count": 5, "relief": 0.3, "free": 1.0, "name": "", "mode": "fast",
    }  # fmt: skip


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidParameter, match=r"Unknown parameter 'releif'\. Did you mean 'relief'\?") as caught:
        parse(Sample, {"releif": 1.0})
    assert caught.value.field == "releif"


REFUSED: list[tuple[str, Any]] = [
    *(("flag", value) for value in (1, "true", None)),
    *(("count", value) for value in (3.0, True, "3", 0, 11, 10**400)),
    *(("relief", value) for value in ("0.1", True, math.nan, math.inf, 0.30000001192092896, -0.2, None)),
    *(("free", value) for value in (10**400, -math.inf)),
    *(("name", value) for value in (3, None)),
    *(("mode", value) for value in ("slow", "Fast", 0, ["fast"])),
]


@pytest.mark.parametrize(("name", "value"), REFUSED, ids=lambda value: str(value)[:12])
def test_refused(name: str, value: Any) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_value(PARAMETERS[name], value)
    assert caught.value.field == name
    assert name in caught.value.message


def test_bounds_are_inclusive_and_a_whole_number_is_a_number() -> None:
    assert check_value(PARAMETERS["count"], 1) == 1
    assert check_value(PARAMETERS["count"], 10) == 10
    assert check_value(PARAMETERS["relief"], 0.3) == 0.3
    value = check_value(PARAMETERS["relief"], 0)
    assert value == 0.0
    assert type(value) is float


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_blenders_floats_come_back_as_they_were_typed(value: float) -> None:
    sent = float(str(np.float32(value)))
    assert np.float32(check_value(PARAMETERS["free"], sent)) == np.float32(value)


@given(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.lists(st.integers())
    | st.dictionaries(st.text(), st.integers())
)
def test_no_value_gives_another_error(value: Any) -> None:
    for parameter in PARAMETERS.values():
        try:
            checked = check_value(parameter, value)
        except InvalidParameter:
            continue
        assert checked == value


def test_a_field_of_another_type_is_a_mistake_of_the_author() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Wrong:
        size: tuple = param((1, 2), label="Size", help="two numbers")

    with pytest.raises(TypeError, match="size"):
        describe(Wrong)


def test_suggestion_lists_all_where_nothing_is_near() -> None:
    assert suggestion("zzz", ["alpha", "beta"]) == "Available: alpha, beta."
