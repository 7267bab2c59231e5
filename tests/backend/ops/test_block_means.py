"""Averages and the smooth surface that has them: exact, straight where the map is, without a trace of the grid."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from backend.ops.block_means import averaged, restored, smooth


def random_map(rows: int, columns: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(1000 + 50 * np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32))


@pytest.mark.parametrize(("rows", "columns"), [(20, 28), (15, 35), (17, 23)])
def test_the_smooth_surface_has_the_averages(rows: int, columns: int) -> None:
    """Over whole pixels, and where the finer grid does not divide: 10 x 14 onto 17 x 23."""
    coarse = random_map(10, 14)
    torch.testing.assert_close(averaged(smooth(coarse, (rows, columns)), (10, 14)), coarse, rtol=0, atol=1e-3)


def test_averages_are_those_of_blocks() -> None:
    fine = random_map(24, 36)
    blocks = fine.double().reshape(8, 3, 12, 3).mean((1, 3)).float()
    torch.testing.assert_close(averaged(fine, (8, 12)), blocks, rtol=0, atol=5e-4)


def test_a_plane_stays_a_plane_up_to_its_border() -> None:
    y, x = np.mgrid[0:30, 0:40].astype(np.float32)
    fine = torch.from_numpy(3 * x - 2 * y)
    torch.testing.assert_close(smooth(averaged(fine, (10, 8)), (30, 40)), fine, rtol=0, atol=1e-3)


def test_a_wave_shows_no_grid() -> None:
    """Bicubic enlargement is thirty times as far off: its slopes swing within every pixel of the coarse grid."""
    x = (np.arange(96, dtype=np.float64) + 0.5) / 4
    wave = torch.from_numpy(np.tile(100 * np.sin(x / 2), (32, 1)).astype(np.float32))
    off = (smooth(averaged(wave, (8, 24)), (32, 96)) - wave)[:, 16:-16].abs().max()
    assert off < 0.1


def test_restoring_moves_only_the_averages() -> None:
    kept = random_map(9, 11)
    fine = smooth(kept, (36, 44)) + 5 * (random_map(36, 44, seed=1) - 1000)
    made = restored(fine, kept)
    torch.testing.assert_close(averaged(made, (9, 11)), kept, rtol=0, atol=1e-3)
    assert np.diff(np.asarray(made - fine), 3, axis=0).std() < 0.2 * np.diff(np.asarray(fine), 3, axis=0).std()
