"""Strokes with a colour at each end: mixed along the curve, found by least squares, the twin held to the plain form."""

from __future__ import annotations

import pytest
import torch

from backend.ops.dispatch import kernel_threads
from backend.ops.strokes import tiles_cuda
from backend.ops.strokes.brush import Brush, paint_with_brush
from backend.ops.strokes.color_fit import color_fit
from backend.ops.strokes.compositing import composite
from backend.ops.strokes.end_colors import composite_along, end_color_fit
from tests.backend.ops.strokes import scenes
from tests.backend.ops.strokes.test_compositing import canvas, strokes


def test_colours_run_from_the_start_to_the_end() -> None:
    level = torch.tensor([[30.0, 20.0, 30.0, 60.0, 30.0, 100.0, 8.0, 8.0]])
    red, blue = torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor([[0.0, 0.0, 1.0]])
    image = composite_along(level, torch.ones(1, 2), red, blue, torch.zeros(60, 120, 3))
    expected = (torch.arange(20, 100) + 0.5 - 20) / 80
    torch.testing.assert_close(image[30, 20:100, 2], expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(image[30, 20:100, 0], 1 - expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(image[30, 14], red[0], atol=1e-5, rtol=0)


def test_one_colour_is_painted_as_ever() -> None:
    geometry, opacity, color = strokes(60, torch.float32)
    ground = canvas(torch.float32)
    wanted = composite(geometry, opacity, color, ground)
    assert (composite_along(geometry, opacity, color, color, ground) - wanted).abs().max() < 1e-5


@pytest.mark.parametrize("brush", [Brush(bristles=0.0, dryness=0.0), Brush()])
def test_twins_equal_the_plain_forms(brush: Brush) -> None:
    geometry, opacity, color = strokes(80, torch.float32)
    ground, ends = canvas(torch.float32), color.flip(0)
    whole = [composite_along(geometry, opacity, color, ends, ground, impl=impl) for impl in ("plain", "cpu")]
    assert (whole[0] - whole[1]).abs().max() < 2e-5
    painted = [
        paint_with_brush(geometry, opacity, color, ground, brush, end_color=ends, impl=impl)
        for impl in ("plain", "cpu")
    ]
    assert (painted[0][0] - painted[1][0]).abs().mean() < 1e-5
    found = [end_color_fit(geometry, opacity, color, ground, ground.flip(1), impl=impl) for impl in ("plain", "cpu")]
    for one, other in zip(*found, strict=True):
        assert (one - other).abs().max() < 1e-3


def test_the_brush_without_hairs_is_the_compositor() -> None:
    geometry, opacity, color = strokes(40, torch.float32)
    ground, ends = canvas(torch.float32), color.flip(0)
    smooth = Brush(bristles=0.0, dryness=0.0)
    painted, thick = paint_with_brush(geometry, opacity, color, ground, smooth, end_color=ends)
    assert (painted - composite_along(geometry, opacity, color, ends, ground)).abs().max() < 2e-5
    assert torch.equal(thick, paint_with_brush(geometry, opacity, color, ground, smooth)[1]), (
        "paint lies as thick as ever"
    )


def test_the_fit_finds_the_colours_that_a_picture_was_painted_with() -> None:
    geometry, opacity, color = strokes(12)
    opacity = torch.ones_like(opacity)
    target = composite_along(geometry, opacity, color, color.flip(0), canvas())
    start, end = end_color_fit(geometry, opacity, torch.full_like(color, 0.5), canvas(), target, steps=40, keep=1e-3)
    two = (composite_along(geometry, opacity, start, end, canvas()) - target).square().mean()
    alone = color_fit(geometry, opacity, torch.full_like(color, 0.5), canvas(), target, steps=40, keep=1e-3)
    one = (composite(geometry, opacity, alone, canvas()) - target).square().mean()
    assert two < 0.01 * one


def test_the_fit_is_the_same_with_any_number_of_threads() -> None:
    geometry, opacity, color = strokes(60, torch.float32)
    found = []
    for threads in (1, 2):
        with kernel_threads(threads):
            found.append(
                end_color_fit(geometry, opacity, color, canvas(torch.float32), torch.zeros_like(canvas(torch.float32)))
            )
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


def test_the_cuda_twins_equal_the_plain_forms(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles_cuda, "MOST_PAIRS", 6)  # two bands
    geometry, opacity, color = scenes.strokes(6)
    ground, target = scenes.image(1), scenes.image(2)
    whole = [composite_along(geometry, opacity, color, color.flip(0), ground, impl=impl) for impl in ("plain", "cuda")]
    assert (whole[0] - whole[1]).abs().max() < 2e-5
    found = [end_color_fit(geometry, opacity, color, ground, target, steps=1, impl=impl) for impl in ("plain", "cuda")]
    for one, other in zip(*found, strict=True):
        assert (one - other).abs().max() < 1e-4
    assert (found[0][0] - found[0][1]).abs().max() > 0.05
