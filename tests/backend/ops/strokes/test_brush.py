"""Strokes with bristles, and the height of their paint."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from backend.ops.dispatch import kernel_threads
from backend.ops.strokes import tiles_cuda
from backend.ops.strokes.brush import Brush, paint_with_brush
from backend.ops.strokes.compositing import composite
from tests.backend.ops.strokes import scenes
from tests.backend.ops.strokes.test_compositing import SIZE, canvas, strokes

SMOOTH = Brush(bristles=0.0, dryness=0.0)
LEVEL = torch.tensor([[60.0, 30.0, 60.0, 100.0, 60.0, 170.0, 20.0, 20.0]])
OPAQUE, GREY = torch.ones(1, 2), torch.full((1, 3), 0.5)


def test_without_bristles_the_painting_is_that_of_composite_at_every_size() -> None:
    geometry, opacity, color = strokes(60, torch.float32)
    ground = canvas(torch.float32)
    painting, _ = paint_with_brush(geometry, opacity, color, ground, SMOOTH)
    wanted = composite(geometry, opacity, color, ground)
    assert (painting - wanted).abs().max() < 1e-6
    large = ground.repeat_interleave(4, 0).repeat_interleave(4, 1)
    painting, _ = paint_with_brush(4 * geometry, opacity, color, large, SMOOTH)
    reduced = F.avg_pool2d(painting.movedim(2, 0)[None], 4)[0].movedim(0, 2)
    assert (reduced - wanted).abs().mean() < 2 / 255


def test_bristles_leave_furrows_along_the_stroke() -> None:
    painting, height = paint_with_brush(LEVEL, OPAQUE, GREY, torch.zeros(120, 200, 3), Brush(bristles=1.0, dryness=0.0))
    for values in (height, painting[..., 0]):
        body = values[48:72, 60:140]
        across, along = body.diff(dim=0).abs().mean(), body.diff(dim=1).abs().mean()
        assert across > 4 * along > 0
    other, _ = paint_with_brush(LEVEL, OPAQUE, GREY, torch.zeros(120, 200, 3), Brush(bristles=1.0, dryness=0.0, seed=1))
    assert (other - painting).abs().mean() > 1e-3
    ends = [
        (image[..., 0] > 0.25).sum(0) for image in (painting, composite(LEVEL, OPAQUE, GREY, torch.zeros(120, 200, 3)))
    ]
    assert ends[0][176:].sum() < ends[1][176:].sum()  # hairs end where they end


def test_paint_is_pushed_to_the_sides_and_the_end_and_lies_nowhere_else() -> None:
    _, height = paint_with_brush(LEVEL, OPAQUE, GREY, torch.zeros(120, 200, 3), SMOOTH)
    assert (height[:39] == 0).all()
    assert (height[60:, 195:] == 0).all()
    assert height[60, 100] > 0.3
    assert height[44:47, 100].max() > 1.15 * height[60, 100]
    assert height[60, 170:185].max() > 1.15 * height[60, 150]
    assert height[60, 60] > height[60, 140]  # it runs out


def test_later_paint_covers_what_is_below_and_does_not_just_add() -> None:
    several = LEVEL.repeat(6, 1)
    _, one = paint_with_brush(LEVEL, OPAQUE, GREY, torch.zeros(120, 200, 3), SMOOTH)
    _, six = paint_with_brush(several, OPAQUE.repeat(6, 1), GREY.repeat(6, 1), torch.zeros(120, 200, 3), SMOOTH)
    assert 1.5 * one[60, 100] < six[60, 100] < 2.05 * one[60, 100]


def test_a_larger_picture_shows_the_same_hairs() -> None:
    brush = Brush(bristles=0.8, dryness=0.6)
    small, _ = paint_with_brush(LEVEL, OPAQUE, GREY, torch.zeros(120, 200, 3), brush)
    large, _ = paint_with_brush(4 * LEVEL, OPAQUE, GREY, torch.zeros(480, 800, 3), brush)
    reduced = F.avg_pool2d(large.movedim(2, 0)[None], 4)[0].movedim(0, 2)
    assert (reduced - small).abs().mean() < 4 / 255
    assert (small - composite(LEVEL, OPAQUE, GREY, torch.zeros(120, 200, 3))).abs().mean() > 4 / 255


def test_the_twin_equals_the_plain_form() -> None:
    geometry, opacity, color = strokes(60, torch.float32)
    twin, plain = (
        paint_with_brush(geometry, opacity, color, canvas(torch.float32), Brush(0.8, 0.6), impl=impl)
        for impl in ("cpu", "plain")
    )
    for found, wanted in zip(twin, plain, strict=True):
        assert (found - wanted).abs().max() < 2e-4


def test_the_bytes_do_not_depend_on_threads() -> None:
    geometry, opacity, color = strokes(60, torch.float32)
    made = []
    for threads in (1, 2):
        with kernel_threads(threads):
            made.append(paint_with_brush(geometry, opacity, color, canvas(torch.float32), Brush()))
    assert all(torch.equal(a, b) for a, b in zip(*made, strict=True))


def test_no_strokes_leave_the_canvas() -> None:
    none = torch.zeros(0, 8), torch.zeros(0, 2), torch.zeros(0, 3)
    painting, height = paint_with_brush(*none, canvas(torch.float32), Brush())
    assert torch.equal(painting, canvas(torch.float32))
    assert height.shape == SIZE
    assert not height.any()


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_a_dot_and_a_hairline_are_drawn(impl: str) -> None:
    dot = torch.tensor([[20.0, 20.0, 20.0, 20.0, 20.0, 20.0, 5.0, 5.0], [5.0, 2.0, 5.0, 20.0, 5.0, 40.0, 0.2, 0.0]])
    painting, height = paint_with_brush(
        dot,
        torch.ones(2, 2),
        torch.ones(2, 3),
        torch.zeros(*SIZE, 3),
        Brush(),
        impl="cpu" if impl == "cpu" else "plain",
    )
    assert torch.isfinite(painting).all()
    assert torch.isfinite(height).all()
    assert painting[20, 20, 0] > 0.3


@pytest.mark.parametrize("clip", [False, True])
def test_the_cuda_twin_equals_the_plain_form(clip: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if clip:
        monkeypatch.setattr(tiles_cuda, "MOST_PAIRS", 6)  # two bands
    geometry, opacity, color = scenes.strokes(14)
    made = [
        paint_with_brush(
            geometry, opacity, color, scenes.image(1), Brush(0.8, 0.5, seed=3), end_color=color.flip(0),
            segments=scenes.segments(14), clip=clip, impl=impl,
        )
        for impl in ("plain", "cuda")
    ]  # fmt: skip
    for one, other in zip(*made, strict=True):
        assert (one - other).abs().max() < 1e-3
        assert (one - other).abs().mean() < 1e-5
