"""Drawn lines in a terrain from a sketch: obeyed in what the engine gives, after water was levelled and land drained."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

import backend
from backend.ops.terrain.curves.samples import runs
from backend.ops.terrain.routing import route
from shared.arrays import CLASS_MAP, CURVES, Array
from shared.curves import Line, rows_of
from shared.terrain_classes import FOREST, GRASS, ROCK, WATER

SIDE, SIZE_M = 160, 8000.0
PIXEL_M = SIZE_M / SIDE


def sketch() -> np.ndarray:
    """A mountain in grassland, with the sea along the bottom and a lake."""
    row, column = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    classes = np.where(np.hypot(row - 0.3, column - 0.5) < 0.25, ROCK, GRASS)
    classes[column > 0.8] = FOREST
    classes[row > 0.88] = WATER
    classes[np.hypot(row - 0.6, column - 0.2) < 0.05] = WATER
    return classes.astype(np.uint8)


def wavy(start: tuple[float, float], end: tuple[float, float], bends: float = 0.04) -> np.ndarray:
    share = np.linspace(0, 1, 40)[:, None]
    return np.array(start) + (np.array(end) - start) * share + bends * np.sin(9 * share)


RIVER = Line(type="river", points=wavy((0.45, 0.25), (0.6, 0.97)), width_m=60.0)
COAST = Line(type="coast", points=wavy((-0.1, 0.8), (1.1, 0.8), 0.03))
ROAD = Line(type="road", points=wavy((-0.1, 0.5), (1.1, 0.55), 0.05), width_m=40.0, slope=0.1)
RIDGE = Line(type="ridge", points=wavy((0.7, 0.1), (0.95, 0.5)))


def terrain(*lines: Line) -> dict[str, Any]:
    curves: dict[str, Any] = {"curves": Array(CURVES, rows_of(lines))} if lines else {}
    return backend.run("terrain", classes=Array(CLASS_MAP, sketch()), size_m=SIZE_M, **curves)


def course(line: Line) -> np.ndarray:
    return np.concatenate([run.course((SIDE, SIDE)) for run in runs([line], (SIDE, SIDE), PIXEL_M)])


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return terrain(RIVER, COAST, ROAD, RIDGE)


def test_the_river_falls_to_the_sea_and_its_water_stays_in_it(made: dict[str, Any]) -> None:
    surface, wet = made["water_level"].values, made["water"].values > 0
    way = course(RIVER)
    way = way[: np.argmax(wet.ravel()[way])]
    assert len(way) > 60
    assert (np.diff(surface.ravel()[way]) <= 0).all()
    bed = np.zeros((SIDE, SIDE), bool)
    bed.ravel()[way] = True
    bed = binary_dilation(bed, iterations=2)
    receiver = route(torch.from_numpy(surface), PIXEL_M).receiver.numpy()
    here, path = int(way[0]), []
    while receiver[here] != here and not wet.ravel()[here]:
        path.append(here)
        here = int(receiver[here])
    assert wet.ravel()[here]
    assert bed.ravel()[path].mean() > 0.95
    assert made["flow"].values[bed].max() > 10 * np.median(made["flow"].values)


def test_the_coast_says_where_the_sea_is(made: dict[str, Any]) -> None:
    wet, ground, level = made["water"].values > 0, made["height"].values, made["water_level"].values
    rows, columns = np.divmod(course(COAST), SIDE)
    assert (wet[rows + 2, columns]).mean() > 0.97
    assert not wet[rows - 2, columns].any()
    assert (np.abs(level[rows + 2, columns][wet[rows + 2, columns]]) < 1e-3).all()
    assert (ground[rows - 2, columns] > 0).all()
    assert (np.abs(ground[rows, columns]) < 1.0).mean() > 0.95, "but for the river's mouth"
    assert (made["classes"].values[wet] == WATER).all()


def test_the_road_keeps_its_slope_after_draining(made: dict[str, Any]) -> None:
    ground, wet = made["height"].values.astype(np.float64), made["water"].values > 0
    rows, columns = np.divmod(course(ROAD), SIDE)
    length = np.hypot(np.diff(rows), np.diff(columns)) * PIXEL_M
    dry = ~(wet[rows, columns][1:] | wet[rows, columns][:-1])
    assert (np.abs(np.diff(ground[rows, columns]))[dry] <= 0.1 * length[dry] + 1e-3).all()


def test_lines_elsewhere_and_no_lines_change_nothing_else() -> None:
    plain, bent = terrain(), terrain(RIDGE)
    assert (plain["height"].values[-18:] == bent["height"].values[-18:]).all()
    assert (plain["height"].values != bent["height"].values).any()
    outside = terrain(Line(type="river", points=np.array([(2.0, 2.0), (3.0, 3.0)])))
    for port in ("height", "albedo", "water", "flow"):
        np.testing.assert_array_equal(outside[port].values, plain[port].values)
