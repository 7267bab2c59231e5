"""Strokes from and to the columns of STROKES arrays and S4's thirteen numbers: order, rows and columns, the control point."""

from __future__ import annotations

from dataclasses import replace

import torch

from backend.ops.strokes import codec
from backend.ops.strokes.codec import Strokes
from backend.ops.strokes.curves import coverage
from shared.strokes import COLUMNS, GEOMETRY, INDEX

SIZE = (60, 100)


def strokes(geometry: list[list[float]]) -> Strokes:
    count = len(geometry)
    color = torch.rand(count, 3, generator=torch.Generator().manual_seed(1))
    whole = torch.arange(count, dtype=torch.int32)
    return Strokes(torch.tensor(geometry), torch.tensor([[0.5, 1.0]]).repeat(count, 1), color, whole // 2, whole - 1)


def test_the_thirteen_numbers_stand_in_their_order() -> None:
    assert GEOMETRY == ("x0", "y0", "x1", "y1", "x2", "y2", "r0", "r2", "t0", "t2", "red", "green", "blue")
    assert COLUMNS[13:] == ("layer", "segment", "order", "red2", "green2", "blue2")
    some = strokes([[6.0, 20.0, 33.0, 35.0, 36.0, 70.0, 2.0, 5.0]])
    row = codec.to_columns(some, SIZE)[0]
    wanted = [
        0.1,
        0.2,
        (33 - 6) / 30,
        (35 - 20) / 50,
        0.6,
        0.7,
        0.02,
        0.05,
        0.5,
        1.0,
        *some.color[0].tolist(),
        0,
        -1,
        0,
        *some.color[0].tolist(),
    ]
    assert torch.allclose(row, torch.tensor(wanted), atol=1e-6)


def test_x_is_the_row_and_y_the_column() -> None:
    values = torch.zeros(1, len(COLUMNS))
    for name, value in {"x0": 0.5, "x2": 0.5, "y0": 0.1, "y2": 0.9, "r0": 0.03, "r2": 0.03, "t0": 1, "t2": 1}.items():
        values[0, INDEX[name]] = value
    flat = codec.from_columns(values, SIZE)
    covered = coverage(flat.geometry, flat.opacity, SIZE)[0] > 0.5
    assert covered[30].sum() > 80
    assert covered[:, 50].sum() == 6


def test_the_control_point_is_relative_to_the_ends() -> None:
    values = torch.zeros(1, len(COLUMNS))
    values[0, :6] = torch.tensor([0.2, 0.1, 0.25, 0.75, 0.6, 0.5])
    geometry = codec.from_columns(values, SIZE).geometry[0]
    assert torch.allclose(geometry[:6], torch.tensor([12.0, 10.0, 18.0, 40.0, 36.0, 50.0]))


def test_what_goes_out_comes_back_even_where_both_ends_share_a_row_or_column() -> None:
    some = strokes([
        [10.0, 20.0, 40.0, 50.0, 10.0, 80.0, 2.0, 5.0],  # level: the row of the control point is nowhere between the ends
        [10.0, 20.0, 30.0, -50.0, 50.0, 20.0, 2.0, 5.0],  # upright
        [30.0, 30.0, 55.0, 70.0, 30.0, 30.0, 3.0, 3.0],  # there and back
        [30.0, 30.0, 30.0, 30.0, 30.0, 30.0, 4.0, 4.0],  # a dot
        [-20.0, 130.0, 44.4, 7.7, 80.0, 12.0, 0.3, 40.0],  # beyond the canvas
    ])  # fmt: skip
    again = codec.from_columns(codec.to_columns(some, SIZE), SIZE)
    assert (again.geometry - some.geometry).abs().max() < 0.005
    assert (again.geometry[:, 2:4] - some.geometry[:, 2:4]).abs().max() < 1e-4
    for name in ("opacity", "color", "layer", "segment"):
        assert torch.equal(getattr(again, name), getattr(some, name)), name


def test_a_colour_at_each_end_goes_out_and_comes_back_and_one_colour_stays_one() -> None:
    some = strokes([[10.0, 20.0, 40.0, 50.0, 10.0, 80.0, 2.0, 5.0]] * 4)
    assert codec.from_columns(codec.to_columns(some, SIZE), SIZE).end_color is None
    some = replace(some, end_color=some.color.flip(0))
    again = codec.from_columns(codec.to_columns(some, SIZE), SIZE)
    assert again.end_color is not None
    assert torch.equal(again.end_color, some.color.flip(0))
    assert torch.equal(again.color, some.color)


def test_strokes_come_back_in_painting_order_and_at_another_size() -> None:
    some = strokes([[float(n + 1)] * 8 for n in range(6)])
    values = codec.to_columns(some, SIZE)
    again = codec.from_columns(values[torch.tensor([3, 0, 5, 1, 4, 2])], (120, 200))
    assert torch.allclose(again.geometry[:, 0], 2 * some.geometry[:, 0], atol=1e-4)
    assert torch.allclose(again.geometry[:, 6], 2 * some.geometry[:, 6], atol=1e-4)


def test_a_patch_of_de_guevara_has_their_radius_and_comes_back() -> None:
    numbers = torch.rand(20, 13, generator=torch.Generator().manual_seed(4))
    some = codec.from_patch(numbers, (108.0, 216.0), 128)
    assert torch.allclose(some.geometry[:, 6:], 0.5 + 32 * numbers[:, 6:8])
    control = numbers[:, :2] + (numbers[:, 4:6] - numbers[:, :2]) * numbers[:, 2:4]
    assert torch.allclose(some.geometry[:, 2:4], 128 * control + torch.tensor([108.0, 216.0]), atol=1e-3)
    assert torch.allclose(codec.to_patch(some, (108.0, 216.0), 128), numbers, atol=2e-3)
