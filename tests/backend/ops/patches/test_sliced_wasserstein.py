"""Sliced Wasserstein on patches: the plain form on every device against the fused kernel, the gradient against exact sorts,
bytes against threads."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numba
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from backend.ops.adam import Adam
from backend.ops.cuda_kernels import SIMULATED
from backend.ops.dispatch import Impl
from backend.ops.patches import sliced_wasserstein as sw
from backend.ops.patches.filter_bank import derivative_filters, local_filters, random_filters, whitening

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KERNELS_ON = "cpu" if SIMULATED else "cuda"  # the CUDA twin in the simulator takes a second for a map of 15 pixels


def terrain(rows: int, columns: int, seed: int, sigma: float = 2.0) -> Tensor:
    draw = np.random.default_rng(seed).standard_normal((rows, columns))
    values = gaussian_filter(draw, sigma)
    return torch.from_numpy(np.ascontiguousarray(values / values.std(), np.float32))


def bank_of(exemplar: Tensor, count: int = 6, seed: int = 0, power: float = 0.0) -> sw.FilterBank:
    whiten = whitening(exemplar, power) if power else None
    return sw.measure([exemplar], random_filters(count, torch.Generator().manual_seed(seed), whiten))


def to(bank: sw.FilterBank, device: str) -> sw.FilterBank:
    return sw.FilterBank(*(getattr(bank, field.name).to(device) for field in fields(bank)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("rows", "columns"), [(7, 7), (9, 300), (64, 80), (70, 270)])
@pytest.mark.parametrize("power", [0.0, 0.5])
def test_plain_form_equals_kernel(rows: int, columns: int, power: float, device: str) -> None:
    bank = bank_of(terrain(90, 70, 1), power=power)
    height = terrain(rows, columns, 2, sigma=1.0)
    fused = sw.ascent(height, bank, impl="cpu")
    plain = sw.ascent(height.to(device), to(bank, device), impl="plain").cpu()
    torch.testing.assert_close(plain, fused, rtol=0, atol=5e-4 * float(fused.abs().max()))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("options", ["labels", "weight", "rows", "moved rows", "all", "label without a pixel"])
def test_plain_form_heeds_labels_weights_and_rows_as_the_kernel(options: str, device: str) -> None:
    bank, height = bank_of(terrain(90, 70, 1), 24), terrain(120, 160, 2, sigma=1.0)
    labels = torch.zeros(height.shape, dtype=torch.uint8)
    labels[:, 90:] = 1
    given: dict[str, Any] = {}
    if options in ("labels", "all"):
        given |= {"labels": labels, "label": 1}
    if options == "label without a pixel":
        given |= {"labels": labels, "label": 9}
    if options in ("weight", "all"):
        given |= {"weight": torch.rand(height.shape, generator=torch.Generator().manual_seed(1))}
    if options in ("rows", "all"):
        given |= {"row_first": 2, "row_step": 4}
    if options in ("moved rows", "all"):
        given |= {"row_first": 5, "moved_step": 3}
    fused = sw.ascent(height, bank, impl="cpu", **given)
    there: dict[str, Any] = {
        name: value.to(device) if isinstance(value, Tensor) else value for name, value in given.items()
    }
    plain = sw.ascent(height.to(device), to(bank, device), impl="plain", **there).cpu()
    difference = (plain - fused).abs()  # a projection on a bin's edge may fall to either side
    assert float(difference.max()) <= 5e-3 * float(fused.abs().max())
    assert float(difference.mean()) <= 1e-4 * float(fused.abs().mean())
    assert (float(fused.abs().max()) == 0.0) == (options == "label without a pixel")


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("channels", [2, 3, 7])
def test_patches_of_several_channels(channels: int, device: str) -> None:
    """The same result by kernel and plain form, and minus the gradient of the exact loss, channels together."""
    exemplar = torch.stack([terrain(48, 40, n) for n in range(channels)])
    image = torch.stack([0.7 * terrain(48, 40, 20 + n, sigma=1.0) for n in range(channels)])
    filters = random_filters(4, torch.Generator().manual_seed(0), channels=channels)
    bank = sw.measure([exemplar], filters)
    fused = sw.ascent(image, bank, impl="cpu")
    plain = sw.ascent(image.to(device), to(bank, device), impl="plain").cpu()
    torch.testing.assert_close(plain, fused, rtol=0, atol=5e-4 * float(fused.abs().max()))
    direction, epsilon = torch.randn(image.shape, generator=torch.Generator().manual_seed(1)).double().numpy(), 1e-4
    moved = [image.double().numpy() + sign * epsilon * direction for sign in (1, -1)]
    losses = [exact_loss(values, exemplar.numpy(), filters.numpy()) for values in moved]
    scale = float(fused.norm()) * float(np.linalg.norm(direction))
    wanted = -float(np.sum(fused.double().numpy() * direction))
    assert (losses[0] - losses[1]) / (2 * epsilon) == pytest.approx(wanted, abs=0.01 * scale)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_rows_moved_in_turns_make_up_a_step_on_all_of_them(channels: int) -> None:
    exemplar = torch.stack([terrain(70, 60, n) for n in range(channels)])
    image = torch.stack([terrain(75, 300, 20 + n, sigma=1.0) for n in range(channels)])
    bank = sw.measure([exemplar], random_filters(4, torch.Generator().manual_seed(0), channels=channels))
    whole, parts = sw.ascent(image, bank), torch.zeros_like(image)
    for first in range(3):
        one = sw.ascent(image, bank, row_first=first, moved_step=3)
        assert not torch.equal(one, whole)
        parts += one
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


@pytest.mark.parametrize(("channels", "row_step", "moved_step"), [(1, 1, 1), (4, 4, 2), (2, 2, 3)])
def test_the_cuda_twin_equals_the_plain_form(channels: int, row_step: int, moved_step: int) -> None:
    """All of its options at once: labels, weights, rows that are counted and rows that move, filters that fill no group."""
    bank, image = small_bank(channels), small_image(channels)
    labels = (torch.rand(image.shape[1:], generator=torch.Generator().manual_seed(3)) > 0.3).to(torch.uint8)
    options: dict[str, Any] = {"row_step": row_step, "moved_step": moved_step, "label": 1}
    weight = torch.rand(image.shape[1:], generator=torch.Generator().manual_seed(4))
    start = torch.ones_like(image)
    plain = sw.ascent(
        image, bank, row_first=5, labels=labels, weight=weight, out=start.clone(), impl="plain", **options
    )
    labels, weight = labels.to(KERNELS_ON), weight.to(KERNELS_ON)
    twin = sw.ascent(
        image.to(KERNELS_ON), to(bank, KERNELS_ON), row_first=torch.tensor([5], device=KERNELS_ON), labels=labels,
        weight=weight, out=start.to(KERNELS_ON, copy=True), impl="cuda", **options,
    ).cpu()  # fmt: skip
    difference = (twin - plain).abs()  # a projection on a bin's edge may fall to either side
    moved = float((plain - start).abs().max())
    assert moved > 0.01
    assert float(difference.max()) <= 5e-3 * moved
    assert float(difference.mean()) <= 2e-4 * moved


def test_the_cuda_twin_takes_filters_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.ops.patches import sliced_wasserstein_cuda

    image, bank = small_image(1).to(KERNELS_ON), to(small_bank(1), KERNELS_ON)
    whole = sw.ascent(image, bank, impl="cuda")
    monkeypatch.setattr(sliced_wasserstein_cuda, "MOST_VALUES", 1)
    torch.testing.assert_close(sw.ascent(image, bank, impl="cuda"), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("all_extremes", [True, False])
def test_cuda_quantiles_are_those_of_the_plain_form(all_extremes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sw, "ENOUGH_PX", 40)  # so that rows are left out
    maps = [torch.stack([terrain(11, 9 + n, n), terrain(11, 9 + n, 5 + n)]) for n in range(2)]
    banks = [random_filters(2, torch.Generator().manual_seed(seed), channels=2) for seed in range(2)]
    there = [values.to(KERNELS_ON) for values in maps]
    plain = [sw.measure(maps, filters, all_extremes=all_extremes, impl="plain") for filters in banks]
    twin = sw.measure_banks(there, banks, all_extremes=all_extremes, impl="cuda")
    for found, expected in zip(twin, plain, strict=True):
        for field in fields(expected):
            torch.testing.assert_close(
                getattr(found, field.name).cpu(), getattr(expected, field.name), rtol=1e-4, atol=2e-3
            )


def small_image(channels: int) -> Tensor:
    return torch.stack([terrain(15, 11, 20 + n, sigma=1.0) for n in range(channels)])


def small_bank(channels: int) -> sw.FilterBank:
    """Six filters: a thread of the CUDA twin takes four."""
    filters = random_filters(6, torch.Generator().manual_seed(0), channels=channels)
    return sw.measure([torch.stack([terrain(18, 17, n) for n in range(channels)])], filters, impl="plain")


def test_banks_that_are_measured_at_once_are_those_of_one_after_the_other() -> None:
    maps, banks = [terrain(40, 30, 1)], [random_filters(4, torch.Generator().manual_seed(seed)) for seed in range(3)]
    for impl in ("cpu", "plain"):
        together = sw.measure_banks(maps, banks, impl=impl)
        for bank, filters in zip(together, banks, strict=True):
            for field in fields(bank):
                assert torch.equal(getattr(bank, field.name), getattr(sw.measure(maps, filters, impl=impl), field.name))


def test_projections_that_are_kept_change_no_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.stack([terrain(60, 70, n, sigma=1.0) for n in range(3)])
    exemplar = torch.stack([terrain(50, 60, 9 + n) for n in range(3)])
    bank = sw.measure([exemplar], random_filters(6, torch.Generator().manual_seed(0), channels=3))
    kept = sw.ascent(image, bank)
    monkeypatch.setattr(sw, "MOST_KEPT", 0)
    assert sw.ascent(image, bank).numpy().tobytes() == kept.numpy().tobytes()


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_extremes_of_some_rows_are_within_those_of_all(impl: Impl) -> None:
    """Of an exemplar so large that its histograms leave out rows, and quantiles agree but for the very ends."""
    exemplar, filters = terrain(450, 400, 1), random_filters(4, torch.Generator().manual_seed(2))
    every = sw.measure([exemplar], filters, impl=impl)
    some = sw.measure([exemplar], filters, all_extremes=False, impl=impl)
    assert bool((some.quantiles[:, 0] >= every.quantiles[:, 0]).all())
    assert bool((some.quantiles[:, -1] < every.quantiles[:, -1]).any())
    assert float((some.quantiles - every.quantiles).abs()[:, 20:-20].max()) < 0.01


@pytest.mark.parametrize("device", DEVICES)
def test_plain_quantiles_are_those_of_the_kernel_and_of_sorted_projections(device: str) -> None:
    maps, filters = [terrain(90, 70, 1), terrain(60, 80, 3)], random_filters(8, torch.Generator().manual_seed(2))
    fused = sw.measure(maps, filters, impl="cpu")
    plain = to(sw.measure([values.to(device) for values in maps], filters, impl="plain"), "cpu")
    for field in fields(fused):
        torch.testing.assert_close(getattr(plain, field.name), getattr(fused, field.name), rtol=1e-5, atol=2e-3)
    projected = torch.cat([sw.plain.project(values[None], filters).flatten(1) for values in maps], dim=1)
    exact = torch.quantile(projected, torch.linspace(0, 1, sw.QUANTILES), dim=1).T
    assert float((exact - fused.quantiles).abs()[:, 20:-20].max()) < 0.02


def exact_loss(image: np.ndarray, exemplar: np.ndarray, filters: np.ndarray) -> float:
    """1/2 sum over filters and patches of the squared distance between sorted projections, in float64."""
    total = 0.0
    for filter_ in filters.astype(np.float64):
        samples = []
        for values in (image, exemplar):
            stack = np.asarray(values, np.float64).reshape(-1, *values.shape[-2:])
            windows = np.lib.stride_tricks.sliding_window_view(stack, (7, 7), axis=(1, 2))
            samples.append(np.sort(np.einsum("cyxij,cij->yx", windows, filter_).ravel()))
        total += 0.5 * float(np.sum((samples[0] - samples[1]) ** 2))
    return total


@pytest.mark.parametrize("seed", [3, 4, 5])
def test_ascent_is_minus_the_gradient_of_the_exact_loss(seed: int) -> None:
    exemplar, height = terrain(48, 40, 1), 0.7 * terrain(48, 40, 2, sigma=1.0) + 0.2
    bank = bank_of(exemplar, count=4)
    direction = terrain(48, 40, seed).double().numpy()
    epsilon, z = 1e-4, height.double().numpy()
    losses = [exact_loss(z + sign * epsilon * direction, exemplar.numpy(), bank.filters.numpy()) for sign in (1, -1)]
    change = losses[0] - losses[1]
    descent = sw.ascent(height, bank).double().numpy()
    scale = np.linalg.norm(descent) * np.linalg.norm(direction)
    assert change / (2 * epsilon) == pytest.approx(-float(np.sum(descent * direction)), abs=0.01 * scale)


def test_nothing_to_do_for_the_exemplar_itself() -> None:
    exemplar = terrain(96, 96, 1)
    bank = bank_of(exemplar)
    other = sw.ascent(terrain(96, 96, 2, sigma=1.0), bank).abs().mean()
    assert sw.ascent(exemplar, bank).abs().mean() < 0.02 * other


def test_bytes_do_not_depend_on_threads() -> None:
    exemplar, height = terrain(80, 90, 1), terrain(100, 300, 2)
    results = []
    threads = numba.get_num_threads()
    for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(count)
        bank = bank_of(exemplar)
        results.append((bank.quantiles.numpy().tobytes(), sw.ascent(height, bank).numpy().tobytes()))
    numba.set_num_threads(threads)
    assert results[0] == results[1]


def test_weights_divide_the_work_between_exemplars() -> None:
    bank, height = bank_of(terrain(60, 60, 1)), terrain(60, 64, 2)
    whole = sw.ascent(height, bank)
    part = torch.rand(height.shape, generator=torch.Generator().manual_seed(0))
    parts = sw.ascent(height, bank, weight=part)
    sw.ascent(height, bank, weight=1 - part, out=parts)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-4 * float(whole.abs().max()))


def test_labels_restrict_what_is_counted() -> None:
    """A map of two halves, each already like its exemplar, has nothing to do when each half is counted by itself."""
    left, right = terrain(80, 80, 1), 3 * terrain(80, 80, 2, sigma=1.0)
    height = torch.cat([left, right], dim=1)
    labels = torch.zeros(height.shape, dtype=torch.uint8)
    labels[:, 80:] = 1
    mixed = sw.ascent(height, bank_of(left))[20:60, 20:60]
    own = sw.ascent(height, bank_of(left), labels=labels, label=0)[20:60, 20:60]
    assert own.abs().mean() < 0.2 * mixed.abs().mean()


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_adam_brings_patches_together(impl: Impl) -> None:
    exemplar, height = terrain(96, 96, 1), terrain(96, 96, 2, sigma=1.2)
    before = sw.held_out_distance(height.numpy(), exemplar.numpy())
    banks = [bank_of(exemplar, 24, seed) for seed in range(3)]
    adam = map_adam(height)
    for step in range(120):
        adam.step([height], [sw.ascent(height, banks[step % 3], impl=impl)], 0.03 * (1 - 0.95 * step / 120), impl=impl)
    assert sw.held_out_distance(height.numpy(), exemplar.numpy()) < 0.2 * before


def map_adam(height: Tensor) -> Adam:
    return Adam([height], decay=(0.9, 0.98), floor=0.5, patch=7)


def test_filters_are_orthonormal_and_even_in_number() -> None:
    filters = random_filters(24, torch.Generator().manual_seed(0)).reshape(24, 49).numpy()
    np.testing.assert_allclose(filters @ filters.T, np.eye(24), atol=1e-5)
    for count in (0, 7, 50):
        with pytest.raises(ValueError, match="even"):
            random_filters(count, torch.Generator())


def test_filters_of_several_channels_are_orthonormal() -> None:
    filters = random_filters(32, torch.Generator().manual_seed(0), channels=3)
    np.testing.assert_allclose(filters.flatten(1) @ filters.flatten(1).T, np.eye(32), atol=1e-5)


def test_derivative_filters_see_no_plane_and_have_unit_length() -> None:
    filters = derivative_filters(4, torch.Generator().manual_seed(0))
    rows, columns = torch.meshgrid(torch.arange(7.0), torch.arange(7.0), indexing="ij")
    for second in filters[4:, 0]:
        assert abs(float((second * (2 * rows - 3 * columns + 5)).sum())) < 1e-4
    assert filters[:4].sum((1, 2, 3)).abs().max() < 1e-6
    torch.testing.assert_close(filters.square().sum((1, 2, 3)), torch.ones(8))


def test_a_flat_exemplar_flattens() -> None:
    bank = bank_of(torch.full((40, 40), 2.5))
    height = terrain(40, 40, 1)
    adam = map_adam(height)
    for step in range(300):
        adam.step([height], [sw.ascent(height, bank)], 0.05 * (1 - 0.95 * step / 300))
    assert bool(height.isfinite().all())
    assert height[8:-8, 8:-8].std() < 0.5


def test_local_filters_look_at_a_few_pixels_and_hear_specks() -> None:
    filters = local_filters(64, torch.Generator().manual_seed(0), channels=2)
    assert torch.allclose(filters.square().sum((1, 2, 3)), torch.ones(64), atol=1e-5)
    assert float(filters[1::2].sum((2, 3)).abs().max()) < 1e-5
    assert float(filters.square().sum(1)[:, 1:6, 1:6].sum((1, 2)).min()) > 0.6
    draw = torch.Generator().manual_seed(1)
    haze = torch.randn(1, 96, 96, generator=draw)
    specks = haze.abs().pow(3) * haze.sign()
    specks = specks / specks.std()

    def kurtosis(filters: torch.Tensor) -> float:
        answers = torch.nn.functional.conv2d(specks[None], filters).flatten(2)[0]
        return float((answers / answers.std(1, keepdim=True)).pow(4).mean())

    every = random_filters(32, torch.Generator().manual_seed(0))
    assert kurtosis(local_filters(32, torch.Generator().manual_seed(0))) > 2.0 * kurtosis(every)
