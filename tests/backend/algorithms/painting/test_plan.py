"""Layers go from the largest brush to the smallest and use up exactly the strokes that there are."""

from __future__ import annotations

import pytest

from backend.algorithms.painting.plan import layers


@pytest.mark.parametrize("budget", [1, 2, 3, 7, 100, 5300])
@pytest.mark.parametrize("detail", [0.0, 1.0])
def test_the_budget_is_used_up(budget: int, detail: float) -> None:
    made = layers((512, 700), budget, 4, (0.2, 0.01), detail)
    assert sum(layer.count for layer in made) == budget
    assert len(made) == min(4, budget)
    assert all(layer.count >= 1 for layer in made)
    radii = [layer.radius_px for layer in made]
    assert radii == sorted(radii, reverse=True)
    if len(made) > 1:
        assert (radii[0], radii[-1]) == pytest.approx((51.2, 2.56))


def test_large_brushes_are_worked_out_at_reduced_resolution() -> None:
    made = layers((512, 512), 5300, 4, (0.2, 0.01), 0.8)
    assert [layer.reduction for layer in made] == sorted((layer.reduction for layer in made), reverse=True)
    assert made[0].reduction == 8
    assert made[-1].reduction == 1


def test_more_detail_leaves_more_for_small_brushes() -> None:
    coarse, fine = (layers((512, 512), 2000, 4, (0.2, 0.01), detail)[-1].count for detail in (0.0, 1.0))
    assert fine > 1.2 * coarse


def test_brushes_given_the_wrong_way_round_are_put_right() -> None:
    assert layers((64, 64), 50, 3, (0.05, 0.3), 0.5) == layers((64, 64), 50, 3, (0.3, 0.05), 0.5)
