"""Statistics of strokes against strokes whose size and place are known."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from backend.measures import stroke_statistics as statistics
from shared.strokes import COLUMNS, INDEX

CANVAS = (480.0, 240.0)


def strokes(*rows: dict[str, float]) -> np.ndarray:
    values = np.zeros((len(rows), len(COLUMNS)), np.float32)
    for number, row in enumerate(rows):
        values[number, INDEX["x1"]] = values[number, INDEX["y1"]] = 0.5
        values[number, INDEX["order"]] = number
        for name, value in row.items():
            values[number, INDEX[name]] = value
    return values


def crowd(count: int = 500) -> np.ndarray:
    values = np.random.default_rng(4).random((count, len(COLUMNS))).astype(np.float32)
    values[:, 4:6] = values[:, :2] + 0.1 * (values[:, 4:6] - 0.5)
    values[:, 6:8] *= 0.02
    values[:, INDEX["layer"]] = 0
    values[:, INDEX["order"]] = np.arange(count)
    return values


def test_a_straight_stroke_has_the_size_of_its_capsule() -> None:
    row = {"x0": 0.5, "x2": 0.5, "y0": 0.25, "y2": 0.75, "r0": 0.02, "r2": 0.02}  # 240 px long, 9.6 px radius
    found = statistics.measure(strokes(row), CANVAS)
    np.testing.assert_allclose(found.middles, [[240.0, 120.0]], rtol=1e-6)
    np.testing.assert_allclose(found.length, 240 + 2 * 9.6, rtol=1e-6)
    np.testing.assert_allclose(found.width, 19.2, rtol=1e-6)
    np.testing.assert_allclose(found.area, 240 * 19.2 + np.pi * 9.6**2, rtol=1e-6)


def test_the_area_is_what_a_tapered_and_bent_brush_covers() -> None:
    row = {"x0": 0.2, "y0": 0.1, "x1": 1.2, "y1": 0.2, "x2": 0.8, "y2": 0.7, "r0": 0.01, "r2": 0.05}
    found = statistics.measure(strokes(row), CANVAS)
    picture = Image.new("1", (960, 480))
    draw = ImageDraw.Draw(picture)
    start, end = np.array([0.1 * 480, 0.2 * 240]) * 2, np.array([0.7 * 480, 0.8 * 240]) * 2
    control = start + (end - start) * [0.2, 1.2]
    for t in np.linspace(0, 1, 2000):
        x, y = (1 - t) ** 2 * start + 2 * t * (1 - t) * control + t**2 * end
        r = 2 * 480 * (0.01 + 0.04 * t)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=1)
    assert found.area[0] == pytest.approx(np.asarray(picture).sum() / 4, rel=0.03)


def test_histogram_and_density_count_every_stroke() -> None:
    found = statistics.measure(crowd(), CANVAS)
    inside = ((found.middles >= 0) & (found.middles < CANVAS)).all(axis=1)
    counts = statistics.histogram(found)
    assert counts.shape == (10, 20)
    assert counts.sum() == inside.sum()
    x, y = found.middles[inside][0]
    assert counts[int(y // 24), int(x // 24)] >= 1
    density = statistics.density(found)
    side = 480 / statistics.GRID
    assert density.sum() * side**2 == pytest.approx(inside.sum(), rel=1e-6)


def test_heat_lies_where_the_paint_is_and_sums_to_it() -> None:
    row = {"x0": 0.5, "x2": 0.5, "y0": 0.24, "y2": 0.26, "r0": 0.03, "r2": 0.03}
    found = statistics.measure(strokes(row, row), CANVAS)
    layers = statistics.heat(found)
    side = 480 / statistics.GRID
    assert layers.sum() * side**2 == pytest.approx(found.area.sum(), rel=1e-6)
    peak = np.unravel_index(layers.argmax(), layers.shape)
    np.testing.assert_allclose([peak[1] * side, peak[0] * side], [120, 120], atol=side)


def test_sizes_follow_the_painting_and_shares_add_up() -> None:
    big = {"x0": 0.5, "x2": 0.5, "y0": 0.2, "y2": 0.8, "r0": 0.05, "r2": 0.05}
    small = {**big, "y2": 0.25, "r0": 0.005, "r2": 0.005}
    found = statistics.measure(strokes(*[big] * 10, *[small] * 30)[::-1], CANVAS)  # in the file the last comes first
    numbers, medians = statistics.course(found, parts=4)
    np.testing.assert_allclose(numbers, [4.5, 14.5, 24.5, 34.5])
    assert medians[0] > 50 * medians[1]
    assert medians[1] == medians[2] == medians[3]
    edges, areas, counts = statistics.area_shares(found)
    assert (np.diff(edges) > 0).all()
    np.testing.assert_allclose([areas.sum(), counts.sum()], 1.0)
    np.testing.assert_allclose([counts[0], counts[-1]], [0.75, 0.25])
    assert areas[-1] == pytest.approx(found.area[:10].sum() / found.area.sum())


def test_one_stroke_has_statistics_too() -> None:
    found = statistics.measure(strokes({"r0": 0.0, "r2": 0.0}), CANVAS)
    for values in (statistics.histogram(found), statistics.density(found), *statistics.area_shares(found)):
        assert np.isfinite(values).all()
