"""Paint pulled along by a dry brush: where from, how far, at every size, and the twin held to the plain form."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.dispatch import kernel_threads
from backend.ops.strokes import tiles_cuda
from backend.ops.strokes.smudge import smudge
from tests.backend.ops.strokes import scenes
from tests.backend.ops.strokes.test_compositing import canvas, strokes

LEVEL = torch.tensor([[30.0, 20.0, 30.0, 55.0, 30.0, 90.0, 12.0, 12.0]])


def halves(size: int = 1) -> tuple[Tensor, Tensor]:
    """Black to the left of column 50 and white to the right, and paint that is thick where it is white."""
    image = torch.zeros(60 * size, 120 * size, 3)
    image[:, 50 * size :] = 1.0
    return image, image[..., 0].contiguous()


def test_paint_is_pulled_from_behind_and_not_from_ahead() -> None:
    image, height = halves()
    made, thick = smudge(LEVEL, image, height, 1.0)
    body = slice(26, 35)
    assert made[body, 51:56].mean() < 0.5, "black is dragged over white"
    assert (made[body, 20:49] < 1e-6).all(), "white lies ahead and stays there"
    assert (made[body, 88:] > 1 - 1e-5).all(), "no hair reaches so far"
    assert thick[body, 51:56].mean() < 0.5
    across = made[body, 54, 0]
    assert across.max() - across.min() > 0.1, "hairs drag by different lengths"


def test_nothing_changes_beside_the_stroke_nor_across_it() -> None:
    image, height = halves()
    made, _ = smudge(LEVEL, image, height, 1.0)
    beside = (torch.arange(60) + 0.5 - 30).abs() > 12.5
    assert torch.equal(made[beside], image[beside])
    crossing = torch.tensor([[20.0, 30.0, 20.0, 55.0, 20.0, 80.0, 9.0, 9.0]])
    rows = torch.zeros(60, 120, 3)
    rows[30:] = 1.0
    made, _ = smudge(crossing, rows, rows[..., 0].contiguous(), 1.0)
    assert torch.equal(made, rows), "what lies beside the stroke is never pulled in"


def test_more_hairs_touch_the_higher_the_amount() -> None:
    image, height = halves()
    changes = [float((smudge(LEVEL, image, height, amount)[0] - image).abs().mean()) for amount in (0.0, 0.3, 0.6, 1.0)]
    assert changes[0] == 0.0
    assert changes == sorted(set(changes))


def test_a_larger_picture_is_smudged_alike() -> None:
    small, large = halves(), halves(4)
    reduced = [
        F.avg_pool2d(values.reshape(240, 480, -1).movedim(2, 0)[None], 4)[0].movedim(0, 2).squeeze()
        for values in smudge(4 * LEVEL, *large, 0.6)
    ]
    for found, wanted in zip(reduced, smudge(LEVEL, *small, 0.6), strict=True):
        assert (found - wanted).abs().mean() <= 2 / 255, "at hairs of a third of a pixel"


@pytest.mark.parametrize("amount", [0.4, 1.0])
def test_the_twin_equals_the_plain_form_with_any_number_of_threads(amount: float) -> None:
    geometry, _, _ = strokes(60, torch.float32)
    image = canvas(torch.float32)
    height = image.mean(2).contiguous()
    plain = smudge(geometry, image, height, amount, impl="plain")
    twins = []
    for threads in (1, 2):
        with kernel_threads(threads):
            twins.append(smudge(geometry, image, height, amount, impl="cpu"))
    for wanted, one, two in zip(plain, *twins, strict=True):
        assert torch.equal(one, two)
        assert (one - wanted).abs().max() < 1e-4
        assert torch.isfinite(one).all()


def test_dots_and_no_strokes_leave_finite_paint() -> None:
    image, height = halves()
    dot = torch.tensor([[30.0, 50.0, 30.0, 50.0, 30.0, 50.0, 9.0, 9.0], [30.0, 50.0, 30.0, 50.0, 30.0, 50.0, 0.0, 0.0]])
    for impl in ("plain", "cpu"):
        assert all(torch.isfinite(made).all() for made in smudge(dot, image, height, 1.0, impl=impl))
    assert torch.equal(smudge(dot[:0], image, height, 1.0)[0], image)


def test_what_does_not_fit_is_refused() -> None:
    image, height = halves()
    for amount in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="it must be from 0 to 1"):
            smudge(LEVEL, image, height, amount)
    with pytest.raises(ValueError, match="height has shape"):
        smudge(LEVEL, image, height[:9], 0.5)


def test_the_cuda_twin_equals_the_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles_cuda, "MOST_PAIRS", 6)  # two bands
    geometry, _, _ = scenes.strokes(14)
    geometry[::7, 6:] += 4
    image, height = scenes.image(1), scenes.image(2, ())
    made = [smudge(geometry, image, height, 0.7, impl=impl) for impl in ("plain", "cuda")]
    assert (made[0][0] - image).abs().mean() > 0.02
    for one, other in zip(*made, strict=True):
        assert (one - other).abs().max() < 1e-3
        assert (one - other).abs().mean() < 1e-5
