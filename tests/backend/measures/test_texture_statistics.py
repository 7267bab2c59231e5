"""Measures of textures on images whose seams, copies and repetitions are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from backend.measures import texture_statistics as measures


def grain(rows: int, columns: int, seed: int, *, mode: str = "wrap") -> np.ndarray:
    draw = np.random.default_rng(seed).standard_normal((3, rows, columns))
    values = gaussian_filter(draw, (0, 2, 2), mode=mode)
    return (0.5 + 0.15 * values / values.std()).astype(np.float32)


def test_a_seam_shows_where_an_image_does_not_wrap() -> None:
    whole = np.mean([measures.seam_ratio(grain(128, 128, seed), 1) for seed in range(4)])
    cut = np.mean([measures.seam_ratio(grain(128, 128, seed)[:, :100], 1) for seed in range(4)])
    assert whole == pytest.approx(1.0, abs=0.15)
    assert cut > 2.5


def test_a_seam_is_a_step_that_hardly_any_row_has() -> None:
    whole = [measures.seam_rank(grain(128, 128, seed), axis) for seed in range(8) for axis in (1, 2)]
    assert np.mean(whole) == pytest.approx(0.5, abs=0.2)
    assert min(whole) < 0.3 < 0.7 < max(whole)
    assert all(measures.seam_rank(grain(128, 128, seed)[:, :100], 1) == 1.0 for seed in range(4))
    smooth = grain(128, 128, 0)
    smooth[:, -1] = smooth[:, 0]
    assert measures.seam_rank(smooth, 1) == 0.0


def test_a_crop_is_a_copy_and_another_image_is_none() -> None:
    sample = grain(90, 90, 0)
    assert measures.copied_share(sample[:, 20:70, 13:80], sample) == 1.0
    assert measures.copied_share(grain(60, 60, 1), sample) == 0.0
    half = np.concatenate([sample[:, 10:60, 10:60], grain(50, 50, 2)], axis=2)
    assert measures.copied_share(half, sample) == pytest.approx(0.4, abs=0.1)


def test_what_repeats_is_seen_and_the_tile_itself_is_no_repetition() -> None:
    tile = grain(128, 128, 0)
    assert measures.repetition(tile, wraps=True) < 0.25
    assert measures.repetition(np.tile(tile[:, :64, :64], (1, 2, 2)), wraps=True) > 0.9


def test_features_are_nearer_in_another_part_of_one_texture_than_in_another_texture() -> None:
    image = grain(320, 320, 0)
    coarse = np.repeat(np.repeat(grain(160, 160, 1), 2, axis=1), 2, axis=2)
    near = measures.feature_distance(image[:, :160], image[:, 160:])
    assert near < 0.1 * measures.feature_distance(coarse[:, :160], image[:, 160:])
