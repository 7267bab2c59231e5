"""Seam rows and seam measures on a mesh whose seam is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.ops.surface import seams as ts
from backend.ops.surface.charts import chart_map
from backend.ops.surface.fill import fill_gutter
from tests.support.seam_mesh import baked, cut_height_field


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Colours with wavelengths from a third of a metre down to a sixteenth."""
    return (
        np.stack([np.sin(20 * x + 5 * y), np.cos(45 * y - 60 * x), np.sin(90 * x) * np.cos(70 * y)], axis=-1) * 0.4
        + 0.5
    )


@pytest.mark.parametrize("turned", [False, True])
def test_rows_are_one_place_on_the_mesh(turned: bool) -> None:
    """On the seam and, carrying both halves' UVs on beyond it, up to two texels to either side."""
    mesh = flat(cut_height_field(8, turned=turned))
    edges = ts.find_seams(mesh)
    assert edges.count == 8
    rows = ts.seam_rows(edges, 256)
    assert rows.uv_a.dtype == rows.uv_b.dtype == rows.weight.dtype == np.float32
    places = [places_of(mesh, uv, uv[:, 0] < 0.5) for uv in (rows.uv_a, rows.uv_b)]
    np.testing.assert_allclose(places[0], places[1], atol=1e-5)
    texel = 1 / (0.8 * 256)
    found = np.unique(np.rint((places[0][:, 0] - 0.5) / texel * 100) / 100)
    np.testing.assert_allclose(found, [-2, -1, 0, 1, 2], atol=0.01)


def flat(mesh: np.ndarray) -> np.ndarray:
    mesh[..., 2] = 0.0
    return mesh


def places_of(mesh: np.ndarray, uv: np.ndarray, in_first: np.ndarray) -> np.ndarray:
    """x, y [M, 2] that each half's UVs, carried on, have at uv [M, 2]."""
    second = mesh[..., 0].mean(axis=1) > 0.5
    found = np.empty((len(uv), 2))
    for half, chosen in ((~second, in_first), (second, ~in_first)):
        corners = mesh[half].reshape(-1, 5).astype(np.float64)
        to_place = np.linalg.lstsq(np.c_[corners[:, 3:], np.ones(len(corners))], corners[:, :2], rcond=None)[0]
        found[chosen] = np.c_[uv[chosen], np.ones(chosen.sum())] @ to_place
    return found


def test_no_row_reaches_into_a_chart_that_is_not_its_own() -> None:
    """Charts three texels apart: an outer ring of one would lie in the other."""
    size = 256
    mesh = flat(cut_height_field(8, gap=3 / size))
    edges = ts.find_seams(mesh)
    wide = ts.seam_rows(ts.find_seams(flat(cut_height_field(8))), size)
    rows, alone = ts.seam_rows(edges, size), ts.seam_rows(edges, size, reach=0)
    assert len(alone.weight) < len(rows.weight) < len(wide.weight)
    numbers = chart_map(mesh, size)
    assert (edges.chart_a == 1).all()
    # side a is the first half's, for its triangles come first
    x = places_of(mesh, rows.uv_a, np.ones(len(rows.uv_a), bool))[:, 0]
    for uv, chart, beyond in ((rows.uv_a, 1, x > 0.501), (rows.uv_b, 2, x < 0.499)):
        assert beyond.any()
        texels = np.floor(np.stack([uv[beyond, 0], 1 - uv[beyond, 1]], axis=1) * size - 0.5).astype(int)
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            found = numbers[texels[:, 1] + down, texels[:, 0] + right]
            assert set(np.unique(found)) <= {0, chart}


@pytest.mark.parametrize("spacing", [0.5, 1.0, 3.0])
def test_rows_lie_at_most_a_spacing_apart_and_stand_for_the_whole_seam(spacing: float) -> None:
    size = 512
    rows = ts.seam_rows(ts.find_seams(cut_height_field(10)), size, spacing, reach=0)
    length = 0.8 * size  # texels
    assert rows.weight.max() <= spacing + 1e-5
    assert rows.weight.sum() == pytest.approx(length, rel=1e-4)
    assert len(rows.weight) == pytest.approx(length / spacing, rel=0.05)
    gaps = np.diff(np.sort(rows.uv_a[:, 1])) * size
    assert gaps.max() <= spacing * 1.01


def test_a_seam_between_tiles_has_rows_that_no_single_solve_takes() -> None:
    mesh = cut_height_field(6, gap=0.0)
    mesh[mesh[..., 0].mean(axis=1) > 0.5, :, 3] += 1.0  # half of the mesh in tile 1002
    edges = ts.find_seams(mesh)
    rows = ts.seam_rows(edges, 128)
    assert {*rows.tile_a, *rows.tile_b} == {1001, 1002}
    assert len(rows.within(1001).weight) == len(rows.within(1002).weight) == 0
    assert rows.uv_a.max() <= 1.0
    assert rows.uv_b.max() <= 1.0
    flat = {tile: np.full((3, 128, 128), value, np.float32) for tile, value in ((1001, 0.2), (1002, 0.5))}
    quality = ts.measure_seams(flat, edges)
    assert quality.jump == pytest.approx(0.3, abs=1e-6)
    assert quality.inside == pytest.approx(0.0, abs=1e-6)
    assert quality.ratio > 1e3


@pytest.mark.parametrize("turned", [False, True])
def test_a_texture_that_goes_on_across_the_seam_passes_the_gate(turned: bool) -> None:
    mesh = cut_height_field(16, turned=turned)
    quality = ts.measure_seams(baked(mesh, 512, waves), ts.find_seams(mesh))
    assert quality.samples > 300
    assert quality.ratio == pytest.approx(1.0, abs=0.05)
    assert quality.jump < 0.2 * quality.inside


def test_a_step_in_exposure_at_the_seam_fails_it() -> None:
    mesh = cut_height_field(16)
    texture = baked(mesh, 512, waves)
    texture[:, :, 256:] += 0.1
    quality = ts.measure_seams(texture, ts.find_seams(mesh))
    assert quality.jump == pytest.approx(0.1, abs=0.01)
    assert quality.ratio > 1.5


def test_a_mesh_without_seams_and_a_texture_without_contrast() -> None:
    mesh = cut_height_field(4)
    none = ts.find_seams(mesh[mesh[..., 0].mean(axis=1) < 0.5])
    assert none.count == 0
    assert len(ts.seam_rows(none, 64).weight) == 0
    assert ts.measure_seams(np.zeros((3, 64, 64), np.float32), none).samples == 0
    assert ts.measure_seams(np.zeros((3, 64, 64), np.float32), ts.find_seams(mesh)).ratio == 1.0


def test_filling_the_gutter_leaves_the_seam_as_it_is() -> None:
    """What a renderer reads on either side of a seam is the charts' own, before and after."""
    mesh = cut_height_field(16)
    texture = baked(mesh, 256, waves)
    edges, known = ts.find_seams(mesh), chart_map(mesh, 256) > 0
    before = ts.measure_seams(texture, edges)
    texture[:, ~known] = 0.0
    fill_gutter(torch.from_numpy(texture), torch.from_numpy(known))
    after = ts.measure_seams(texture, edges)
    assert after.ratio == pytest.approx(before.ratio, abs=0.1)
