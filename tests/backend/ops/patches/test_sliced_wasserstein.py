"""Sliced Wasserstein on patches: the fused kernel against the plain op, the gradient against exact sorts, bytes
against threads."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from backend.ops.patches import sliced_wasserstein as sw


def terrain(rows: int, columns: int, seed: int, sigma: float = 2.0) -> np.ndarray:
    draw = np.random.default_rng(seed).standard_normal((rows, columns))
    values = gaussian_filter(draw, sigma)
    return np.ascontiguousarray(values / values.std(), np.float32)


def bank_of(exemplar: np.ndarray, count: int = 6, seed: int = 0, power: float = 0.0) -> sw.FilterBank:
    whiten = sw.whitening(exemplar, power) if power else None
    return sw.measure([exemplar], sw.random_filters(count, torch.Generator().manual_seed(seed), whiten))


@pytest.mark.parametrize(("rows", "columns"), [(7, 7), (9, 300), (64, 80), (70, 270)])
@pytest.mark.parametrize("power", [0.0, 0.5])
def test_kernel_equals_plain_op(rows: int, columns: int, power: float) -> None:
    bank = bank_of(terrain(90, 70, 1), power=power)
    height = terrain(rows, columns, 2, sigma=1.0)
    fused = sw.ascent(height, bank)
    plain = sw.ascent_plain(torch.from_numpy(height)[None, None], bank)[0, 0].numpy()
    np.testing.assert_allclose(fused, plain, atol=2e-4 * float(np.abs(plain).max()))


def exact_loss(height: np.ndarray, exemplar: np.ndarray, filters: np.ndarray) -> float:
    """1/2 sum over filters and patches of the squared distance between sorted projections, in float64."""
    total = 0.0
    for filter_ in filters.astype(np.float64):
        samples = []
        for values in (height, exemplar):
            windows = np.lib.stride_tricks.sliding_window_view(np.asarray(values, np.float64), (7, 7))
            samples.append(np.sort(np.einsum("yxij,ij->yx", windows, filter_).ravel()))
        total += 0.5 * float(np.sum((samples[0] - samples[1]) ** 2))
    return total


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_ascent_is_minus_the_gradient_of_the_exact_loss(seed: int) -> None:
    exemplar, height = terrain(48, 40, 1), 0.7 * terrain(48, 40, 2, sigma=1.0) + 0.2
    bank = bank_of(exemplar, count=4)
    direction = terrain(48, 40, seed).astype(np.float64)
    epsilon = 1e-4
    change = exact_loss(height + epsilon * direction, exemplar, bank.filters) - exact_loss(
        height - epsilon * direction, exemplar, bank.filters
    )
    descent = sw.ascent(height.astype(np.float32), bank).astype(np.float64)
    scale = np.linalg.norm(descent) * np.linalg.norm(direction)
    assert change / (2 * epsilon) == pytest.approx(-float(np.sum(descent * direction)), abs=0.01 * scale)


def test_nothing_to_do_for_the_exemplar_itself() -> None:
    exemplar = terrain(96, 96, 1)
    bank = bank_of(exemplar)
    other = np.abs(sw.ascent(terrain(96, 96, 2, sigma=1.0), bank)).mean()
    assert np.abs(sw.ascent(exemplar, bank)).mean() < 0.02 * other


def test_bytes_do_not_depend_on_threads() -> None:
    exemplar, height = terrain(80, 90, 1), terrain(100, 300, 2)
    results = []
    threads = numba.get_num_threads()
    for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(count)
        bank = bank_of(exemplar)
        results.append((bank.quantiles.tobytes(), sw.ascent(height, bank).tobytes()))
    numba.set_num_threads(threads)
    assert results[0] == results[1]


def test_weights_divide_the_work_between_exemplars() -> None:
    bank, height = bank_of(terrain(60, 60, 1)), terrain(60, 64, 2)
    whole = sw.ascent(height, bank)
    part = np.random.default_rng(0).random(height.shape).astype(np.float32)
    parts = sw.ascent(height, bank, weight=part)
    sw.ascent(height, bank, weight=1 - part, out=parts)
    np.testing.assert_allclose(parts, whole, atol=1e-4 * float(np.abs(whole).max()))


def test_labels_restrict_what_is_counted() -> None:
    """A map of two halves, each already like its exemplar, has nothing to do when each half is counted by itself."""
    left, right = terrain(80, 80, 1), 3 * terrain(80, 80, 2, sigma=1.0)
    height = np.ascontiguousarray(np.concatenate([left, right], axis=1))
    labels = np.zeros(height.shape, np.uint8)
    labels[:, 80:] = 1
    mixed = sw.ascent(height, bank_of(left))[20:60, 20:60]
    own = sw.ascent(height, bank_of(left), labels=labels, label=0)[20:60, 20:60]
    assert np.abs(own).mean() < 0.2 * np.abs(mixed).mean()


def test_adam_brings_patches_together() -> None:
    exemplar, height = terrain(96, 96, 1), terrain(96, 96, 2, sigma=1.2)
    before = sw.held_out_distance(height, exemplar)
    banks = [bank_of(exemplar, 24, seed) for seed in range(3)]
    adam = sw.Adam(height, 0.03, 120)
    for step in range(120):
        adam.step(height, sw.ascent(height, banks[step % 3]))
    assert sw.held_out_distance(height, exemplar) < 0.2 * before


def test_filters_are_orthonormal_and_even_in_number() -> None:
    filters = sw.random_filters(24, torch.Generator().manual_seed(0)).reshape(24, 49)
    np.testing.assert_allclose(filters @ filters.T, np.eye(24), atol=1e-5)
    for count in (0, 7, 50):
        with pytest.raises(ValueError, match="even"):
            sw.random_filters(count, torch.Generator())


def test_a_flat_exemplar_flattens() -> None:
    bank = bank_of(np.full((40, 40), 2.5, np.float32))
    height = terrain(40, 40, 1)
    adam = sw.Adam(height, 0.05, 300)
    for _ in range(300):
        adam.step(height, sw.ascent(height, bank))
    assert np.isfinite(height).all()
    assert height[8:-8, 8:-8].std() < 0.5
