"""The losses of a texture's refinement against written-out formulas, finite differences and their own invariants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from backend.models.vgg19 import Vgg19
from backend.ops.texels import losses as tl
from backend.ops.texels.losses import LossWeights

NONE = LossWeights(l1=0, l2=0, gradient=0, content=0, style=0)


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def images(rows: int = 6, columns: int = 7) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rendered and target in -1..1, and a weight that is 0 at about a third of the pixels."""
    weight = draw(rows, columns, seed=2)
    return draw(rows, columns, 3) * 2 - 1, draw(rows, columns, 3, seed=1) * 2 - 1, weight * (weight > 0.3)


@pytest.fixture(scope="module")
def network() -> Vgg19:
    """The real network with weights drawn at random, which serve a formula as well as trained ones."""
    torch.manual_seed(4)
    network = Vgg19(tl.DEEPEST_LAYER, padding="replicate").double()
    return network.requires_grad_(False)


@pytest.mark.parametrize(
    ("penalty", "formula"),
    [
        ("l1", abs),
        ("charbonnier", lambda d: (d * d + 0.01) ** 0.5 - 0.1),
        ("huber", lambda d: d * d / 0.2 if abs(d) <= 0.1 else abs(d) - 0.05),
    ],
)
def test_penalties_and_sums_as_written_out(penalty: str, formula) -> None:
    rendered, target, weight = images()
    weights = LossWeights(l1=3.0, l2=2.0, gradient=5.0)
    f, t, w = rendered.numpy(), target.numpy(), weight.numpy()
    expected = 0.0
    for i, j in itertools.product(range(w.shape[0]), range(w.shape[1])):
        for c in range(3):
            d = f[i, j, c] - t[i, j, c]
            expected += w[i, j] * (3.0 * formula(d) + 2.0 * d * d) / 3
            for y, x in ((i + 1, j), (i, j + 1)):
                if y < w.shape[0] and x < w.shape[1]:
                    edge = (f[y, x, c] - f[i, j, c]) - (t[y, x, c] - t[i, j, c])
                    expected += 5.0 * min(w[i, j], w[y, x]) * formula(edge) / 3
    assert float(tl.pixel_losses(rendered, target, weight, weights, penalty, 0.1)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("penalty", ["l1", "charbonnier", "huber"])
@pytest.mark.parametrize("lost", ["l1", "l2", "gradient"])
def test_gradient_of_each_pixel_loss_alone(penalty: str, lost: str) -> None:
    rendered, target, weight = images(4, 5)
    weights = LossWeights(**{**vars(NONE), lost: 2.0})
    assert torch.autograd.gradcheck(
        lambda values: tl.pixel_losses(values, target, weight, weights, penalty, 0.1), rendered.requires_grad_()
    )


def test_losses_of_weight_0_are_0_and_need_no_gradient() -> None:
    rendered, target, weight = images()
    total = tl.pixel_losses(rendered.requires_grad_(), target, weight, NONE)
    assert float(total) == 0.0
    assert not total.requires_grad


def test_what_lies_outside_of_the_mask_does_not_matter() -> None:
    rendered, target, weight = images()
    outside = (weight == 0)[..., None]
    losses = [
        float(
            tl.pixel_losses(torch.where(outside, a, rendered), torch.where(outside, b, target), weight, LossWeights())
        )
        for a, b in ((0.0, 0.0), (1.0, -1.0), (-0.3, 0.9))
    ]
    assert losses[0] == losses[1] == losses[2]


def test_the_original_counts_a_photograph_by_the_square_of_its_coverage_and_ours_does_not() -> None:
    """Twice the background: half the coverage, a quarter of the original's pull, and all of ours."""
    rendered, target, _ = images(8, 8)
    weights = LossWeights(l1=10.0, gradient=0.0)

    def slopes(columns: int) -> list[torch.Tensor]:
        wide_target = torch.cat([target, torch.zeros(8, columns, 3, dtype=torch.float64)], dim=1)
        mask = torch.cat([torch.ones(8, 8), torch.zeros(8, columns)], dim=1).double()
        found = []
        for loss in (tl.pixel_losses, lambda f, t, m, w: tl.original_losses(f, t, m > 0, w)):
            values = rendered.clone().requires_grad_()
            wide = torch.cat([values, torch.zeros(8, columns, 3, dtype=torch.float64)], dim=1)
            (loss(wide, wide_target, mask, weights)).backward()
            assert values.grad is not None
            found.append(values.grad)
        return found

    narrow, wide = slopes(0), slopes(8)
    torch.testing.assert_close(wide[0], narrow[0], rtol=0, atol=0)
    torch.testing.assert_close(wide[1], narrow[1] / 4)


def test_original_losses_as_published() -> None:
    """The formula in NumPy, with pixels that are not the mesh's: masked in L1, not masked in the rendered gradient."""
    rendered, target, weight = images(9, 8)
    mask = weight > 0
    f, t, m = rendered.numpy(), target.numpy() * mask.numpy()[..., None], mask.numpy()[..., None]
    share = m.mean()
    expected = 10 * np.abs(f * m - t).mean() * share
    expected += 20 * np.abs(np.diff(f, axis=1) - np.diff(t, axis=1)).mean() * share
    expected += 20 * np.abs(np.diff(f, axis=0) - np.diff(t, axis=0)).mean() * share
    found = tl.original_losses(rendered, target, mask, LossWeights(l1=10, gradient=20))
    assert float(found) == pytest.approx(expected, rel=1e-12)
    squares = tl.original_losses(rendered, target, mask, LossWeights(l1=0, gradient=0, l2=3))
    assert float(squares) == pytest.approx(3 * float(np.square(f * m - t).mean() * share), rel=1e-12)
    values = rendered.clone().requires_grad_()
    tl.original_losses(values, target, mask, LossWeights(l1=10, gradient=20)).backward()
    assert values.grad is not None
    assert float(values.grad[~mask].abs().sum()) > 0, "its gradient term pulls at pixels outside of the mask"


def test_perceptual_losses_as_written_out(network: Vgg19) -> None:
    """On a whole mask: mean squares of conv2_2, and of Gram matrices over C H W, as the original has them."""
    rendered, target = draw(24, 32, 3) * 2 - 1, draw(24, 32, 3, seed=1) * 2 - 1
    weight = torch.full((24, 32), 0.5, dtype=torch.float64)
    weights = LossWeights(**{**vars(NONE), "content": 2.0, "style": 3.0})
    a, b = (network((x.permute(2, 0, 1)[None] + 1) / 2, tl.STYLE_LAYERS) for x in (rendered, target))
    expected = 2.0 * float((a["conv2_2"] - b["conv2_2"]).square().mean())
    for name in tl.STYLE_LAYERS:
        grams = [torch.einsum("chw,dhw->cd", x[name][0], x[name][0]) / x[name][0].numel() for x in (a, b)]
        expected += 3.0 * float((grams[0] - grams[1]).square().mean())
    found = tl.perceptual_losses(network, rendered, target, weight, weights)
    assert float(found) == pytest.approx(expected * float(weight.sum()), rel=1e-9)
    original = tl.original_perceptual_losses(network, rendered, target, weight > 0, weights)
    assert float(original) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("lost", ["content", "style"])
def test_gradient_of_the_perceptual_losses(network: Vgg19, lost: str) -> None:
    rendered, target, weight = images(16, 16)
    weights = LossWeights(**{**vars(NONE), lost: 100.0})
    direction = draw(16, 16, 3, seed=9) - 0.5

    def along(step: torch.Tensor) -> torch.Tensor:
        return tl.perceptual_losses(network, rendered + step * direction, target, weight, weights)

    assert torch.autograd.gradcheck(along, torch.zeros((), dtype=torch.float64, requires_grad=True), eps=1e-7)


def test_perceptual_losses_see_nothing_outside_of_the_mask(network: Vgg19) -> None:
    rendered, target, weight = images(16, 24)
    outside = (weight == 0)[..., None]
    weights = LossWeights(**{**vars(NONE), "content": 2.0, "style": 3.0})
    values = torch.where(outside, 5.0, rendered).requires_grad_()
    loss = tl.perceptual_losses(network, values, target, weight, weights)
    assert float(loss.detach()) == float(tl.perceptual_losses(network, rendered, target, weight, weights))
    loss.backward()
    assert values.grad is not None
    assert float(values.grad[weight == 0].abs().max()) == 0.0
    assert float(tl.perceptual_losses(network, target, target, weight, weights)) == 0.0


@pytest.mark.parametrize("shape", [(40, 50), (16, 16), (300, 33), (90, 200)])
def test_tiles_cover_every_pixel_that_weighs_once(shape: tuple[int, int]) -> None:
    weight = torch.zeros(shape)
    weight[shape[0] // 3 : shape[0] // 2 + 1, 2:-3] = 1.0
    covered = torch.zeros(shape)
    for tile in tl.perceptual_tiles(weight, 64):
        covered[tile] += 1
        assert min(weight[tile].shape) >= tl.SMALLEST_PX
        assert max(weight[tile].shape) <= 64
    assert covered.max() == 1
    assert (covered[weight > 0] == 1).all()


def test_a_larger_background_gives_the_same_tiles() -> None:
    weight = torch.zeros(60, 80)
    weight[20:50, 10:60] = 1.0
    wide = torch.zeros(120, 160)
    wide[:60, :80] = weight
    assert tl.perceptual_tiles(wide) == tl.perceptual_tiles(weight)


def test_photographs_too_small_for_the_network_or_empty_have_no_tiles() -> None:
    assert tl.perceptual_tiles(torch.ones(10, 40)) == []
    assert tl.perceptual_tiles(torch.zeros(40, 40)) == []
