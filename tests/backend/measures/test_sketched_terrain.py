"""The measures of terrain from a sketch find the faults that they are for, and nothing in ground without them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from backend.measures import sketched_terrain as measures
from backend.ops.terrain.depressions import pit_fraction

PIXEL_M = 90.0
SIDE = 192


@pytest.fixture(scope="module")
def ground() -> np.ndarray:
    drawn = np.random.default_rng(4)
    layers = [gaussian_filter(drawn.standard_normal((SIDE, SIDE)), sigma) * sigma**2 for sigma in (1.5, 4.0, 12.0)]
    return sum(layers, np.zeros((SIDE, SIDE))) * 60.0


def test_iou_counts_a_class_that_is_wanted_and_missing() -> None:
    wanted, made = np.array([[0, 0, 1, 2]]), np.array([[0, 1, 1, 1]])
    table = measures.confusion(made, wanted, 4)
    np.testing.assert_allclose(measures.intersection_over_union(table), [1 / 2, 1 / 3, 0.0, np.nan])
    assert measures.mean_iou(table) == pytest.approx((1 / 2 + 1 / 3 + 0) / 3)
    with pytest.raises(ValueError, match="shapes"):
        measures.confusion(made, wanted.T, 4)


def test_baked_light_is_what_depends_on_the_direction_of_a_slope(ground: np.ndarray) -> None:
    down, across = np.gradient(ground, PIXEL_M)
    classes = (np.arange(SIDE)[:, None] // 64 + 0 * np.arange(SIDE)[None]).astype(np.uint8)
    by_class = np.array((0.1, 0.3, 0.6))[classes]
    honest = by_class * np.exp(0.3 * np.hypot(down, across) - ground / ground.std() * 0.1)
    shading = 0.5 + 0.5 * np.clip((across + down + 0.7) / np.sqrt(1 + across**2 + down**2), 0, None)
    broad = gaussian_filter(np.random.default_rng(5).standard_normal((SIDE, SIDE)), 16.0)
    patches = np.exp(broad / broad.std())

    def light(tone: np.ndarray, detail_px: float = 0.0) -> float:
        albedo = np.repeat(tone[..., None], 3, axis=-1)
        return measures.baked_light(albedo, ground, PIXEL_M, classes, detail_px=detail_px)

    assert light(honest) < 0.01
    assert light(by_class * shading) > 0.8
    assert light(np.full_like(ground, 0.5)) == 0.0
    assert light(by_class * shading * patches) < 0.3
    assert light(by_class * shading * patches, detail_px=6.0) > 0.4


def test_the_peak_of_a_lattice_stands_out(ground: np.ndarray) -> None:
    y, x = np.mgrid[:SIDE, :SIDE]
    lattice = np.cos(2 * np.pi * x / 12) * np.cos(2 * np.pi * y / 12)
    assert measures.autocorrelation_peak(ground) < 0.3
    assert measures.autocorrelation_peak(ground + 4.0 * ground.std() * lattice) > 0.6


def test_a_woven_texture_is_aligned_with_the_axes(ground: np.ndarray) -> None:
    drawn = np.random.default_rng(6)
    down, across = (gaussian_filter(drawn.standard_normal((SIDE, SIDE)), sigma) for sigma in ((12.0, 1.5), (1.5, 12.0)))
    assert measures.axis_alignment(ground) == pytest.approx(1.0, abs=0.25)
    assert measures.axis_alignment(down + across) > 5.0


def test_a_step_at_a_border_raises_the_seam_energy(ground: np.ndarray) -> None:
    borders = (64, 128)
    assert measures.seam_energy(ground, borders, borders) == pytest.approx(1.0, abs=0.15)
    stepped = ground.copy()
    stepped[64:] += 0.2 * ground.std()
    assert measures.seam_energy(stepped, borders, borders) > 1.2
    assert measures.seam_energy(stepped, (96,), ()) == pytest.approx(1.0, abs=0.2)
    with pytest.raises(ValueError, match="no border"):
        measures.seam_energy(ground, (), ())


def test_pits_end_in_lakes_where_there_are_any(ground: np.ndarray) -> None:
    height = ground.astype(np.float32)
    assert measures.pits(height) == pytest.approx(pit_fraction(torch.from_numpy(height)))
    y, x = np.mgrid[-1 : 1 : SIDE * 1j, -1 : 1 : SIDE * 1j]
    bowl = np.hypot(y, x).astype(np.float32)
    lake = bowl < 0.2
    assert measures.pits(bowl) > 0.5
    assert measures.pits(np.where(lake, np.float32(0.2), bowl), lake) == 0.0
