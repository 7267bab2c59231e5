"""Rows of lines: packed and unpacked, and what is refused with which sentence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shared.arrays import CURVES, Array, check
from shared.curves import COLUMNS, INDEX, WITHOUT_DRAINED, Line, lines_of, rows_of
from shared.errors import InvalidInput

RIVER = Line(type="river", points=np.array([(0.1, 0.2), (0.5, 0.6), (0.9, 0.7)]), width_m=20.0, as_drawn=True)
ROAD = Line(type="road", points=np.array([(-0.2, 0.5), (1.5, 0.25)]), z_m=np.array([100.0, np.nan]), slope=0.0625)


def test_lines_survive_the_way_through_rows() -> None:
    rows = rows_of([RIVER, ROAD])
    assert rows.shape[1] == WITHOUT_DRAINED, "as in versions before rivers came out of engines"
    assert check(Array(CURVES, rows)).kind is CURVES
    river, road = lines_of(rows)
    np.testing.assert_allclose(river.points, RIVER.points, atol=1e-7)
    assert (river.type, river.as_drawn, road.type, road.as_drawn) == ("river", True, "road", False)
    np.testing.assert_array_equal(river.width_m, 20.0)
    np.testing.assert_array_equal(road.z_m, [100.0, np.nan])
    assert road.slope == 0.0625
    assert np.isnan(road.width_m).all()
    assert np.isnan(river.reach_m)


def test_rivers_that_know_their_land_have_a_column_more() -> None:
    known = Line(type="river", points=RIVER.points, drained_m2=np.array([1e5, 2e5, np.nan]))
    rows = check(Array(CURVES, rows_of([ROAD, known]))).values
    assert rows.shape == (5, len(COLUMNS))
    road, river = lines_of(rows)
    np.testing.assert_array_equal(river.drained_m2, np.array([1e5, 2e5, np.nan], np.float32))
    assert np.isnan(road.drained_m2).all()


def test_there_may_be_no_line() -> None:
    rows = rows_of([])
    assert check(Array(CURVES, rows)).values.shape == (0, WITHOUT_DRAINED)
    assert lines_of(rows) == []


def test_other_numbers_of_columns_are_refused() -> None:
    with pytest.raises(InvalidInput, match="10 columns; lines have 11 or 12"):
        check(Array(CURVES, rows_of([RIVER])[:, :10]))


@pytest.mark.parametrize(
    ("column", "value", "sentence"),
    [
        ("x", np.nan, "1 of 5 points that are nowhere"),
        ("y", 446000.0, "446000 maps away"),
        ("type", 5.0, "the type 5, which is none: 0 river, 1 ridge, 2 cliff, 3 coast, 4 road"),
        ("type", np.nan, "the type nan"),
        ("line", 7.0, "order of their lines"),
        ("width_m", -1.0, "width_m from -1"),
        ("z_m", 1e9, "to 1e[+]09; it is"),
        ("slope", 0.0, "slope from 0"),
        ("strength", 1.5, "strength"),
        ("strength", np.nan, "strength"),
        ("as_drawn", 0.5, "as_drawn"),
        ("drained_m2", -1.0, "drained_m2 from -1"),
    ],
)
def test_rows_that_are_no_lines_are_refused(column: str, value: float, sentence: str) -> None:
    rows = rows_of([RIVER, replace(ROAD, drained_m2=1.0)])
    rows[0, INDEX[column]] = value
    with pytest.raises(InvalidInput, match=sentence):
        check(Array(CURVES, rows), "curves")


def test_a_line_of_one_point_is_refused() -> None:
    with pytest.raises(InvalidInput, match="a line of one point"):
        check(Array(CURVES, np.delete(rows_of([RIVER, ROAD]), 4, axis=0)))
