"""Gains and biases of photographs whose colours are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from backend.ops.photos.color_correction import CellColors, refit
from tests.support.devices import DEVICES


def photographed(
    gain: np.ndarray, bias: np.ndarray, seen: list[tuple[int, int]], outliers: float, seed: int, *, device: str = "cpu",
    impl: Any = "auto",
) -> tuple[CellColors, np.ndarray]:  # fmt: skip
    """Cells of one tile, 32 along it, as photographs see columns seen[p] of them, and their colours [1024, 3]."""
    rng, side = np.random.default_rng(seed), 32
    truth = rng.uniform(0.15, 0.7, (side * side, 3))
    cells = CellColors([1001], side, device=device)
    row, column = np.divmod(np.arange(side * side), side)
    for photograph, (first, last) in enumerate(seen):
        chosen = np.flatnonzero((column >= first) & (column < last))
        shown = gain[photograph] * truth[chosen] + bias[photograph]
        wrong = rng.random(len(chosen)) < outliers
        shown[wrong] = rng.uniform(0, 1, (wrong.sum(), 3))
        uv = np.stack([(column[chosen] + 0.5) / side, (row[chosen] + 0.5) / side], -1)[None].astype(np.float32)
        weights = rng.uniform(0.5, 1.0, (1, len(chosen))).astype(np.float32)
        strip = (uv, weights, np.round(np.clip(shown, 0, 1) * 65535).astype(np.uint16)[None])
        cells.add(*(torch.from_numpy(values).to(device) for values in strip), impl=impl)
        cells.close(photograph)
    return cells, truth


def test_white_balance_is_found_up_to_what_all_could_share() -> None:
    rng = np.random.default_rng(2)
    gain, bias = rng.uniform(0.8, 1.2, (4, 3)), rng.uniform(-0.02, 0.02, (4, 3))
    cells, _ = photographed(gain, bias, [(0, 20), (8, 28), (4, 32), (0, 32)], 0.0, seed=1)
    made, residual = cells.fit(4, "white-balance")
    ratio = made.gain / gain
    np.testing.assert_allclose(ratio, np.broadcast_to(ratio.mean(axis=0), ratio.shape), rtol=0.02)
    # corrected by what was found, all show one colour: the biases are right, too
    assert (residual < 0.004).all()


@pytest.mark.parametrize(("mode", "spread"), [("white-balance", 0.03), ("exposure", 0.02)])
def test_what_only_one_photograph_shows_is_weakened(mode: str, spread: float) -> None:
    gain = np.array([0.8, 1.0, 1.1, 1.25])[:, None] * np.ones(3)
    cells, _ = photographed(gain, np.zeros((4, 3)), [(0, 32)] * 4, 0.1, seed=3)
    made, _ = cells.fit(4, mode)
    ratio = made.gain / gain
    np.testing.assert_allclose(ratio / ratio.mean(axis=0), 1.0, atol=spread)
    if mode == "exposure":
        np.testing.assert_array_equal(made.bias, 0.0)
        np.testing.assert_array_equal(made.gain[:, 0], made.gain[:, 2])


def test_no_correction_moves_nothing_and_cells_of_one_photograph_say_nothing() -> None:
    gain = np.array([0.7, 1.3])[:, None] * np.ones(3)
    cells, _ = photographed(gain, np.zeros((2, 3)), [(0, 16), (12, 32)], 0.0, seed=4)
    none, residual = cells.fit(2, "none")
    np.testing.assert_array_equal(none.gain, 1.0)
    np.testing.assert_array_equal(none.bias, 0.0)
    assert (residual > 0.02).all()
    apart, _ = photographed(gain, np.zeros((2, 3)), [(0, 16), (16, 32)], 0.0, seed=4)
    made, residual = apart.fit(2, "white-balance")
    np.testing.assert_array_equal(made.gain, 1.0)
    assert np.isnan(residual).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mode", ["white-balance", "exposure", "none"])
def test_the_kernel_is_the_plain_form(device: str, mode: str) -> None:
    """But for the order of float64 sums."""
    rng = np.random.default_rng(8)
    gain, bias, made = rng.uniform(0.8, 1.2, (4, 3)), rng.uniform(-0.02, 0.02, (4, 3)), []
    for impl, on in (("cpu", "cpu"), ("plain", device)):
        given = photographed(gain, bias, [(0, 20), (8, 28), (4, 32), (0, 32)], 0.05, seed=9, device=on, impl=impl)
        found, residual = given[0].fit(5, mode, impl="cpu" if impl == "cpu" else "plain")
        made.append((found.gain, found.bias, residual))
    for one, other in zip(*made, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-12)
    assert np.isnan(made[0][2][4]), "the fifth photograph shows nothing"


@pytest.mark.parametrize("mode", ["white-balance", "exposure"])
def test_a_passs_sums_give_the_same_gains_by_both_forms(mode: str) -> None:
    rng = np.random.default_rng(3)
    model, weight = rng.uniform(0.1, 0.9, (6, 3, 50)), rng.uniform(0.1, 1.0, (6, 1, 50))
    shown = rng.uniform(0.7, 1.3, (6, 3, 1)) * model + rng.uniform(-0.05, 0.05, (6, 3, 1))
    terms = (np.ones_like(model), model, shown, model**2, model * shown)
    sums = np.stack([(weight * term).sum(-1) for term in terms], -1)
    sums[4] = 0.0
    (one, *gauge), (other, *same) = refit(sums, mode, impl="cpu"), refit(sums, mode, impl="plain")
    for first, second in ((one.gain, other.gain), (one.bias, other.bias), *zip(gauge, same, strict=True)):
        np.testing.assert_allclose(first, second, rtol=1e-10, atol=1e-13)
    assert one.gain.std() > 0.05
