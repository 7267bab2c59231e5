"""The shape of a stroke against discs that are drawn along it, counted in many samples per pixel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from backend.ops.strokes.curves import coverage
from tests.backend.ops.strokes.test_compositing import strokes

SIDE, SAMPLES = 32, 32


def drawn(stroke: Tensor) -> Tensor:
    """Share [SIDE, SIDE] of each pixel's samples that lie in one of many discs along a stroke [8]."""
    places = (torch.arange(SIDE * SAMPLES, dtype=stroke.dtype) + 0.5) / SAMPLES
    covered = torch.zeros(SIDE * SAMPLES, SIDE * SAMPLES, dtype=torch.bool)
    for t in torch.linspace(0.0, 1.0, 301, dtype=stroke.dtype).unbind():
        middle = stroke[0:2] * (1 - t) ** 2 + stroke[2:4] * 2 * t * (1 - t) + stroke[4:6] * t**2
        radius = stroke[6] * (1 - t) + stroke[7] * t
        low = ((middle - radius) * SAMPLES).floor().long().clamp(0, SIDE * SAMPLES).tolist()
        high = ((middle + radius) * SAMPLES).ceil().long().clamp(0, SIDE * SAMPLES).tolist()
        rows, columns = slice(low[0], high[0]), slice(low[1], high[1])
        away = (places[rows, None] - middle[0]) ** 2 + (places[None, columns] - middle[1]) ** 2
        covered[rows, columns] |= away <= radius**2
    return covered.view(SIDE, SAMPLES, SIDE, SAMPLES).double().mean((1, 3))


@pytest.mark.parametrize(
    "stroke",
    [
        [8.3, 6.1, 12.0, 20.0, 24.7, 25.2, 1.5, 1.5],
        [8.3, 26.1, 12.0, 20.0, 24.7, 9.2, 1.5, 3.7],
        [16.2, 5.0, 16.2, 17.0, 16.2, 27.9, 4.0, 1.5],  # straight and level
        [25.0, 6.0, 8.0, 15.5, 25.0, 26.0, 2.5, 3.5],  # an arch
        [15.1, 16.4, 15.1, 16.4, 15.1, 16.4, 1.5, 1.5],  # a dot
        [15.1, 16.4, 15.9, 17.0, 16.1, 17.4, 3.0, 8.0],  # a disc within another
        [3.0, 4.0, 14.0, 17.0, 28.0, 27.0, 6.0, 0.0],  # a point at the end
    ],
)
def test_alpha_is_the_share_of_the_pixel_that_is_covered(stroke: list[float]) -> None:
    shape = torch.tensor([stroke], dtype=torch.float64)
    alpha = coverage(shape, torch.ones(1, 2, dtype=torch.float64), (SIDE, SIDE))[0]
    wanted = drawn(shape[0])
    thick = min(stroke[6:]) >= 1.5
    assert (alpha - wanted).abs().max() <= (0.02 if thick else 0.05)
    assert alpha.sum().item() == pytest.approx(wanted.sum().item(), rel=0.01)


def test_opacity_runs_from_one_end_to_the_other() -> None:
    level = torch.tensor([[16.5, 6.5, 16.5, 16.5, 16.5, 26.5, 4.0, 4.0]])
    alpha = coverage(level, torch.tensor([[0.2, 1.0]]), (SIDE, SIDE))[0]
    assert torch.allclose(alpha[16, 6:27], torch.linspace(0.2, 1.0, 21), atol=1e-5)


def test_a_stroke_thinner_than_a_pixel_fades_and_a_soft_one_has_a_wide_edge() -> None:
    thin = torch.tensor([[16.5, 6.0, 16.5, 16.0, 16.5, 26.0, 0.1, 0.1]])
    alpha = coverage(thin, torch.ones(1, 2), (SIDE, SIDE))[0]
    assert alpha[16, 16].item() == pytest.approx(0.2, abs=1e-4)
    thick = torch.tensor([[16.0, 2.0, 16.0, 16.0, 16.0, 30.0, 8.0, 8.0]])
    soft = coverage(thick, torch.ones(1, 2), (SIDE, SIDE), softness=6.0)[0][:, 16]
    assert ((soft > 0.05) & (soft < 0.95)).sum() == 2 * 5 + 2
    assert soft[8:].diff().max() < 0.2


def test_float32_is_as_good_far_from_the_corner() -> None:
    geometry, opacity, _ = strokes(8)
    exact = coverage(geometry, opacity, (SIDE, SIDE))
    assert (coverage(geometry.float(), opacity.float(), (SIDE, SIDE)) - exact).abs().max() < 1e-4
