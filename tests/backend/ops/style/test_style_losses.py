"""The style losses against written-out formulas, SciPy, finite differences and their own invariants."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from scipy.stats import wasserstein_distance

from backend.ops.style import losses as sl

LOSSES = [loss.name for loss in sl.STYLE_LOSSES]


def draw(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ones(features: torch.Tensor) -> torch.Tensor:
    return torch.ones_like(features[:, :1])


def mean(name: str, features: torch.Tensor) -> torch.Tensor:
    return sl.style_loss(name).measure(features, ones(features)).mean()


def distance(name: str, features: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    return sl.style_loss(name).distance(mean(name, features), mean(name, other))


@pytest.mark.parametrize("name", LOSSES)
def test_same_features_are_at_distance_zero(name: str) -> None:
    features = draw(1, 3, 12, 10)
    assert float(distance(name, features, features)) == 0.0


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_is_that_of_finite_differences(name: str) -> None:
    features = (draw(1, 2, 6, 7) * 1.2 - 0.1).requires_grad_()  # some samples outside the exemplar's range
    target = mean(name, draw(1, 2, 9, 8, seed=1))
    weight = draw(1, 1, 6, 7, seed=2)
    loss = sl.style_loss(name)
    # a histogram is piecewise linear: the step must stay within one of its 256 pieces
    assert torch.autograd.gradcheck(
        lambda values: loss.distance(loss.measure(values, weight).mean(), target), (features,), eps=1e-7, atol=1e-5
    )


@pytest.mark.parametrize("name", LOSSES)
def test_descending_reduces_the_distance_ninefold(name: str) -> None:
    values = draw(1, 2, 16, 16).float().requires_grad_()
    target = mean(name, (draw(1, 2, 24, 24, seed=1) ** 3).float())
    loss = sl.style_loss(name)
    optimiser = torch.optim.Adam([values], lr=0.01)
    history = []
    for _ in range(150):
        now = loss.distance(loss.measure(values, ones(values)).mean(), target)
        history.append(float(now.detach()))
        optimiser.zero_grad()
        now.backward()
        optimiser.step()
    assert history[-1] < history[0] / 9


@pytest.mark.parametrize("name", LOSSES)
def test_sums_of_parts_are_the_sums_of_the_whole(name: str) -> None:
    features, whole_weight = draw(1, 3, 16, 12), draw(1, 1, 16, 12, seed=3)
    measure = sl.style_loss(name).measure
    whole = measure(features, whole_weight)
    parts = None
    for rows in ((0, 7), (7, 16)):
        inside = torch.zeros_like(whole_weight)
        inside[:, :, rows[0] : rows[1]] = 1
        parts = sl.add(parts, measure(features, whole_weight * inside))
    assert parts is not None
    torch.testing.assert_close(parts.total, whole.total)
    torch.testing.assert_close(parts.mass, whole.mass)


@pytest.mark.parametrize("name", [name for name in LOSSES if name != "spatial"])
def test_repeating_a_map_changes_no_mean(name: str) -> None:
    features = draw(1, 3, 8, 8)
    torch.testing.assert_close(mean(name, features.repeat(1, 1, 3, 2)), mean(name, features))


def test_spatial_pairs_are_those_of_a_written_out_loop() -> None:
    features, weight = draw(1, 2, 7, 6), draw(1, 1, 7, 6, seed=4)
    sums = sl.spatial_sums(features, weight)
    for index, (down, right) in enumerate(sl.OFFSETS):
        expected, mass = torch.zeros(2, 2, dtype=torch.float64), 0.0
        for row, column in itertools.product(range(7), range(6)):
            if row + down < 7 and 0 <= column + right < 6:
                share = weight[0, 0, row, column]
                expected += share * torch.outer(features[0, :, row, column], features[0, :, row + down, column + right])
                mass += float(share)
        torch.testing.assert_close(sums.total[:, 2 * index : 2 * index + 2], expected)
        assert float(sums.mass[2 * index]) == pytest.approx(mass)


def test_spatial_tells_shifted_from_unshifted_where_gram_cannot() -> None:
    checker = torch.zeros(1, 2, 8, 8, dtype=torch.float64)
    checker[:, 0, ::2] = 1.0
    checker[:, 1, 1::2] = 1.0
    halves = torch.zeros_like(checker)
    halves[:, 0, :4] = 1.0
    halves[:, 1, 4:] = 1.0
    assert float(distance("gram", checker, halves)) == 0.0
    assert float(distance("spatial", checker, halves)) > 0.1


def test_histogram_distance_is_the_wasserstein_distance() -> None:
    target = draw(1, 4, 40, 40, seed=5)
    low, high = target.amin((2, 3), keepdim=True), target.amax((2, 3), keepdim=True)
    target = (target - low) / (high - low)
    values = draw(1, 4, 30, 35, seed=6) ** 2 * 1.4 - 0.2
    expected = np.mean(
        [wasserstein_distance(values[0, c].flatten().numpy(), target[0, c].flatten().numpy()) for c in range(4)]
    )
    assert float(distance("histogram", values, target)) == pytest.approx(expected, abs=2 / sl.HISTOGRAM_BINS)


def test_the_originals_histogram_has_no_derivative_and_ours_has() -> None:
    values = draw(1, 1, 8, 8).requires_grad_()
    counts, _ = torch.histogram(values, bins=16)
    with pytest.raises(RuntimeError):
        counts.square().sum().backward()
    distance("histogram", values, draw(1, 1, 8, 8, seed=9)).backward()
    assert values.grad is not None
    assert float(values.grad.abs().min()) > 0


def test_keras_formula_to_1e4_given_the_same_features() -> None:
    rule, loss = sl.formula("merizzi-2024"), sl.style_loss("gram")
    rows, columns, stride = 64, 48, 4
    features = draw(1, 5, rows // stride, columns // stride) * 90
    target = draw(1, 5, rows // stride, columns // stride, seed=1) * 70
    grams = [torch.einsum("chw,dhw->cd", values[0], values[0]) for values in (features, target)]
    published = (1e-5 / 5) * float((grams[0] - grams[1]).square().sum()) / (4 * 3**2 * (rows * columns) ** 2)
    _, style, _ = sl.balance(rule, rule.reference_pixels, 1)
    own = style / 5 * sl.layer_factor(rule, loss, 5, stride**2) * float(distance("gram", features, target))
    assert own == pytest.approx(published, rel=1e-4)


def test_keras_content_and_variation_to_1e4() -> None:
    rule = sl.formula("merizzi-2024")
    content, _, variation = sl.balance(rule, rule.reference_pixels, 1)
    features, target = draw(1, 5, 6, 6), draw(1, 5, 6, 6, seed=1)
    published = 2.5e-11 * float(((features - target) ** 2).sum())
    assert content * float(sl.content_squares(features, target, ones(features))) == pytest.approx(published, rel=1e-4)
    image = (draw(1, 1, 20, 30, seed=2) * 255).expand(1, 3, 20, 30).numpy()
    across = (image[:, :, :-1, :-1] - image[:, :, :-1, 1:]) ** 2
    down = (image[:, :, :-1, :-1] - image[:, :, 1:, :-1]) ** 2
    published = 1e-10 * float(((across + down) ** 1.25).sum())
    height = torch.from_numpy(image[:, :1].copy())
    assert variation * float(sl.variation_keras(height, torch.ones_like(height))) == pytest.approx(published, rel=1e-4)


def test_pytorch_formula_given_the_same_features() -> None:
    rule, loss = sl.formula("merizzi-2024-pytorch"), sl.style_loss("gram")
    features, target = draw(1, 5, 8, 6), draw(1, 5, 8, 6, seed=1)
    grams = [torch.einsum("chw,dhw->cd", values[0], values[0]) / values.numel() for values in (features, target)]
    published = 1e2 / 5 * float((grams[0] - grams[1]).square().mean())
    content, style, variation = sl.balance(rule, rule.reference_pixels, features.numel())
    assert style / 5 * sl.layer_factor(rule, loss, 5, 1) * float(distance("gram", features, target)) == pytest.approx(
        published, rel=1e-9
    )
    published = 2.5e-5 * float((features - target).square().mean())
    assert content * float(sl.content_squares(features, target, ones(features))) == pytest.approx(published, rel=1e-9)
    image = draw(1, 1, 256, 256, seed=3)
    published = 1e-5 * float((image.diff(dim=2).abs().sum() + image.diff(dim=3).abs().sum()) / image.numel())
    assert variation * float(sl.variation_absolute(image, ones(image))) == pytest.approx(published, rel=1e-9)


@pytest.mark.parametrize("name", [formula.name for formula in sl.FORMULAS])
def test_the_gradient_of_a_pixel_does_not_depend_on_the_size_of_the_map(name: str) -> None:
    rule, loss = sl.formula(name), sl.style_loss("gram")
    values, content = draw(1, 1, 16, 16) * 10, draw(1, 1, 16, 16, seed=1) * 10
    target = mean("gram", draw(1, 1, 20, 20, seed=2) * 10)

    def gradient(times: int) -> torch.Tensor:
        image = values.repeat(1, 1, times, times).requires_grad_()
        factors = sl.balance(rule, image.numel(), image.numel())
        style = factors[1] * loss.distance(loss.measure(image, ones(image)).mean(), target)
        keep = factors[0] * sl.content_squares(image, content.repeat(1, 1, times, times), ones(image))
        vary = sl.variation_keras if rule.sums else sl.variation_absolute
        (style + keep + factors[2] * vary(image, ones(image))).backward()
        assert image.grad is not None
        return image.grad[..., 1:15, 1:15]

    torch.testing.assert_close(gradient(3), gradient(1), rtol=1e-9, atol=0)


@pytest.mark.parametrize("vary", [sl.variation_keras, sl.variation_absolute])
def test_variation_gradient_and_zero_on_a_plane(vary) -> None:
    assert float(vary(torch.full((1, 1, 5, 5), 3.0), torch.ones(1, 1, 5, 5))) == 0.0
    assert torch.autograd.gradcheck(
        lambda image: vary(image, torch.ones_like(image)), (draw(1, 1, 5, 6).requires_grad_(),)
    )


def test_learning_rate_falls_as_published() -> None:
    assert sl.learning_rate(0, 150.0, 0.96, 100.0) == 150.0
    assert sl.learning_rate(2000, 150.0, 0.96, 100.0) == pytest.approx(66.3, abs=0.01)
    assert sl.learning_rate(50, 150.0, 0.96, 100.0) == pytest.approx(150 * 0.96**0.5)  # continuous, not in steps
