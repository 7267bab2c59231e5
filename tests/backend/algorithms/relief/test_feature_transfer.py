"""Relief transfer by feature statistics: what each loss does to a map, tiles against the whole, and what bad
input gets."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from backend.algorithms.relief import feature_transfer as ft
from backend.models.deep_image_prior import Hourglass
from backend.models.vgg19 import Vgg19
from backend.ops.style.descent import Descent, descend_adam, descend_plain
from backend.ops.style.features import ALIGNMENT_PX, ConvolutionBank, VggFeatures, random_filters
from backend.ops.style.losses import STYLE_LOSSES, formula, style_loss
from backend.ops.style.objective import Objective, tiles
from backend.runtime import context, weights
from backend.runtime.context import JobContext
from backend.runtime.previews import to_numpy
from shared.arrays import HEIGHT_MAP
from shared.catalog.morphology import SPEC, MorphologyParams
from shared.errors import InvalidInput, InvalidParameter, JobCancelled
from shared.weights import VGG19, WeightFile

CPU = torch.device("cpu")
LOSSES = [loss.name for loss in STYLE_LOSSES]


def fractal(height: int, width: int, slope: float, seed: int, relief_m: float = 1000.0) -> Tensor:
    """Spectral noise with amplitudes k^-slope, [1, 1, height, width] m from 0 to relief_m."""
    white = np.fft.rfft2(np.random.default_rng(seed).standard_normal((height, width)))
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    radius[0, 0] = np.inf
    values = np.fft.irfft2(white * radius**-slope, s=(height, width))
    values = (values - values.min()) * (relief_m / np.ptp(values))
    return torch.from_numpy(values.astype(np.float32))[None, None]


def ridges(height: int, width: int) -> Tensor:
    """An exemplar with sharp crests along the diagonal, 0..600 m: nothing that spectral noise looks like."""
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    bend = 3 * np.sin(columns / 9) + 2 * np.sin(rows / 13)
    crest = 1 - np.abs(np.sin((rows + columns + bend) / 6))
    return torch.from_numpy(600 * crest)[None, None]


def parameters(**values: object) -> MorphologyParams:
    return replace(
        MorphologyParams(), **({"method": "gram", "feature_iterations": 30, "learning_rate_interval": 0.4} | values)
    )


def objective(
    method: str,
    extractor: ConvolutionBank | VggFeatures,
    content: Tensor,
    exemplars: list[Tensor],
    regions: Tensor | None = None,
    rule: str = "relative",
    variation: float = 0.1,
) -> Objective:
    return Objective(extractor, style_loss(method), formula(rule), exemplars, content, regions, variation=variation)


def slopes(height: Tensor) -> np.ndarray:
    return np.hypot(*np.gradient(height[0, 0].numpy())).ravel()


def slope_distance(left: Tensor, right: Tensor) -> float:
    share = np.linspace(0.005, 0.995, 199)
    return float(
        np.abs(np.quantile(slopes(left), share) - np.quantile(slopes(right), share)).mean() / slopes(right).std()
    )


@pytest.mark.parametrize("method", LOSSES)
def test_each_loss_brings_the_exemplars_slopes_and_keeps_the_layout(method: str) -> None:
    layout, exemplar = fractal(80, 96, 2.4, seed=1), ridges(96, 80)
    result = ft.transfer(parameters(method=method), layout, [exemplar], None, JobContext())
    assert result.dtype == torch.float32
    assert result.shape == layout.shape
    scaled = (layout - layout.mean()) * (exemplar.std() / layout.std())
    assert slope_distance(result, exemplar) < 0.5 * slope_distance(scaled, exemplar)
    smooth = [torch.nn.functional.avg_pool2d(values, 16).flatten().numpy() for values in (result, layout)]
    assert np.corrcoef(*smooth)[0, 1] > 0.5


@pytest.mark.parametrize("method", LOSSES)
def test_the_objective_falls_by_more_than_half_in_sixty_steps(method: str) -> None:
    layout, exemplar = fractal(64, 64, 2.0, seed=1, relief_m=1.0), ridges(80, 64) / 600
    goal = Objective(
        ConvolutionBank(2, CPU), style_loss(method), formula("relative"), [exemplar], layout, content_weight=0.0
    )
    descent = Descent(
        evaluate=goal.value_and_gradient, steps=60, rate=lambda step: 0.03 * 0.96**step, look=lambda step, now: False
    )
    result = descend_adam(layout, descent)
    assert goal.value_and_gradient(result)[0] < 0.5 * goal.value_and_gradient(layout)[0]


@pytest.mark.parametrize("method", LOSSES)
@pytest.mark.parametrize("classes", [False, True])
def test_tiles_give_the_gradient_of_the_whole(method: str, classes: bool) -> None:
    layout, exemplar = fractal(256, 160, 1.8, seed=2, relief_m=1.0), ridges(96, 96) / 600
    regions = torch.cat([fractal(256, 160, 3.0, seed=3, relief_m=1.0), torch.zeros_like(layout)], dim=1)
    regions[:, 1] = 1 - regions[:, 0]
    given_classes = regions if classes else None
    exemplars = [exemplar, exemplar.flip(3) ** 2]
    whole, cut = ConvolutionBank(3, CPU), ConvolutionBank(3, CPU)
    cut.tile_px = 2 * ALIGNMENT_PX  # type: ignore[misc]
    expected = objective(method, whole, layout, exemplars, given_classes)
    tiled = objective(method, cut, layout, exemplars, given_classes)
    assert len(expected.tiles) == 1
    assert len(tiled.tiles) > 1
    start = fractal(256, 160, 2.2, seed=4, relief_m=1.0)
    value, gradient = expected.value_and_gradient(start)
    tiled_value, tiled_gradient = tiled.value_and_gradient(start)
    assert tiled_value == pytest.approx(value, rel=1e-4)
    assert float((tiled_gradient - gradient).norm() / gradient.norm()) < 1e-3


@pytest.mark.parametrize("rule", ["relative", "merizzi-2024", "merizzi-2024-pytorch"])
def test_gradient_of_the_whole_objective_is_that_of_finite_differences(rule: str) -> None:
    layout, exemplar = fractal(48, 40, 2.0, seed=2, relief_m=1.0).double(), (ridges(48, 56) / 600).double()
    goal = objective("gram", ConvolutionBank(1, CPU), layout, [exemplar], rule=rule, variation=1.0)
    start = fractal(48, 40, 1.5, seed=5, relief_m=1.0).double()
    _, gradient = goal.value_and_gradient(start)
    direction = fractal(48, 40, 0.5, seed=6, relief_m=1.0).double() - 0.5
    step = 1e-6
    change = (
        goal.value_and_gradient(start + step * direction)[0] - goal.value_and_gradient(start - step * direction)[0]
    ) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(change, rel=1e-4)


@given(st.integers(1, 700), st.integers(1, 700), st.sampled_from([64, 128, 256]), st.sampled_from([0, 64, 96]))
@settings(max_examples=60, deadline=None)
def test_tile_cores_cover_every_pixel_once(height: int, width: int, side: int, halo: int) -> None:
    count = np.zeros((height, width), dtype=int)
    for tile in tiles(height, width, side, halo):
        top, bottom, left, right = tile.core
        count[top:bottom, left:right] += 1
        assert tile.top % ALIGNMENT_PX == 0
        assert tile.left % ALIGNMENT_PX == 0
        assert 0 <= tile.top <= top < bottom <= tile.bottom <= height
        assert 0 <= tile.left <= left < right <= tile.right <= width
    assert (count == 1).all()


def test_filters_are_orthonormal_without_a_mean_and_fixed_by_their_seed() -> None:
    filters = random_filters(48, torch.Generator().manual_seed(1)).flatten(1)
    torch.testing.assert_close(filters @ filters.T, torch.eye(48), atol=1e-5, rtol=0)
    assert float(filters.sum(1).abs().max()) < 1e-5
    assert torch.equal(ConvolutionBank(2, CPU).filters[1], ConvolutionBank(2, CPU).filters[1])
    assert not torch.equal(ConvolutionBank(2, CPU).filters[0], ConvolutionBank(2, CPU).filters[1])


@pytest.mark.parametrize("parametrisation", ["height", "deep-image-prior"])
def test_same_bytes_for_any_number_of_threads(parametrisation: str) -> None:
    layout, exemplar = fractal(72, 64, 2.2, seed=1), ridges(70, 90)
    params = parameters(parametrisation=parametrisation, feature_iterations=6)
    before = torch.get_num_threads()

    def run(threads: int) -> Tensor:
        torch.set_num_threads(threads)
        return ft.transfer(params, layout, [exemplar], None, JobContext(seed=3))

    try:
        assert torch.equal(run(1), run(2))
    finally:
        torch.set_num_threads(before)


def test_deep_image_prior_follows_its_seed_and_the_layout() -> None:
    layout, exemplar = fractal(64, 64, 2.4, seed=1), ridges(64, 64)

    def made(seed: int, iterations: int) -> torch.Tensor:
        params = parameters(
            parametrisation="deep-image-prior", feature_iterations=iterations, learning_rate_interval=20.0
        )
        return ft.transfer(params, layout, [exemplar], None, JobContext(seed=seed))

    assert not torch.equal(made(1, 2), made(2, 2))
    smooth = [torch.nn.functional.avg_pool2d(values, 16).flatten().numpy() for values in (made(1, 36), layout)]
    assert np.corrcoef(*smooth)[0, 1] > 0.5


def test_hourglass_draws_any_size_from_its_generator_alone() -> None:
    torch.manual_seed(0)
    first = Hourglass(37, 50, generator=torch.Generator().manual_seed(5), depth=2)()
    torch.manual_seed(1)
    again = Hourglass(37, 50, generator=torch.Generator().manual_seed(5), depth=2)()
    assert first.shape == (1, 1, 37, 50)
    assert torch.equal(first, again)
    with pytest.raises(ValueError, match="at least 32"):
        Hourglass(31, 50, generator=torch.Generator(), depth=4)


def test_each_class_follows_its_own_exemplar() -> None:
    layout = fractal(96, 96, 2.4, seed=1)
    rough, gentle = ridges(96, 96), fractal(96, 96, 3.0, seed=7, relief_m=600.0)
    regions = torch.zeros(1, 2, 96, 96)
    regions[:, 0, :, :48] = 1
    regions[:, 1, :, 48:] = 1
    result = ft.transfer(parameters(feature_iterations=40), layout, [rough, gentle], regions, JobContext())
    assert slopes(result[..., :40]).mean() > 2 * slopes(result[..., 56:]).mean()


def test_border_is_like_the_interior() -> None:
    result = ft.transfer(
        parameters(feature_iterations=40), fractal(96, 96, 2.4, seed=1), [ridges(128, 128)], None, JobContext()
    )
    slope = np.hypot(*np.gradient(result[0, 0].numpy()))
    frame = np.ones_like(slope, dtype=bool)
    frame[4:-4, 4:-4] = False
    assert 0.6 < slope[frame].mean() / slope[~frame].mean() < 1.6


def test_finer_than_the_working_size_has_detail_of_the_exemplars_strength() -> None:
    layout, exemplar = fractal(192, 160, 2.0, seed=1), fractal(200, 200, 2.0, seed=2, relief_m=300.0)
    result = ft.transfer(parameters(feature_size=64, feature_iterations=8), layout, [exemplar], None, JobContext())
    assert result.shape == layout.shape

    def finest(values: Tensor) -> float:
        return float(
            (values - ft.resize(ft.resize(values, values.shape[2] // 2, values.shape[3] // 2), *values.shape[2:])).std()
        )

    assert finest(result) == pytest.approx(finest(exemplar), rel=0.25)


def test_levels_halve_down_to_the_coarsest_and_keep_32_pixels() -> None:
    exemplar = torch.zeros(1, 1, 344, 403)
    assert [level.width for level in ft.pyramid(512, 512, [exemplar], 64, 1024)] == [64, 128, 256, 512]
    assert [level.width for level in ft.pyramid(2048, 4096, [exemplar], 64, 1024)] == [
        512,
        1024,
    ]  # 344 px would fall below 32
    assert [level.width for level in ft.pyramid(512, 512, [exemplar], 512, 512)] == [512]
    assert [(level.height, level.width) for level in ft.pyramid(32, 33, [exemplar], 64, 1024)] == [(32, 33)]


@pytest.fixture
def vgg_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightFile:
    """VGG-19 with random weights of the right variance, in torchvision's layout, where the program finds it."""
    torch.manual_seed(0)
    network = Vgg19("conv5_2")
    for name, parameter in network.named_parameters():
        if name.endswith("weight"):
            torch.nn.init.kaiming_normal_(parameter)
        else:
            torch.nn.init.zeros_(parameter)
    path = tmp_path / "vgg.pth"
    torch.save(dict(network.state_dict()) | {"classifier.0.weight": torch.zeros(1)}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    file = replace(VGG19, file=path.name, sha256=digest, size_bytes=path.stat().st_size)
    monkeypatch.setattr(context, "WEIGHTS", {"vgg19": file})
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(tmp_path))
    return file


@pytest.mark.parametrize("preset", ["merizzi-2024", "merizzi-2024-pytorch"])
def test_published_presets_lower_their_loss(preset: str, vgg_file: WeightFile, monkeypatch: pytest.MonkeyPatch) -> None:
    values = dict(next(found for found in SPEC.presets if found.name == preset).values)
    params = replace(MorphologyParams(), **(values | {"feature_iterations": 12}))
    seen: list[float] = []
    evaluate = Objective.value_and_gradient

    def listen(self: Objective, relief: Tensor) -> tuple[float, Tensor]:
        value, gradient = evaluate(self, relief)
        seen.append(value)
        return value, gradient

    monkeypatch.setattr(Objective, "value_and_gradient", listen)
    result = ft.transfer(params, fractal(64, 64, 2.2, seed=1), [ridges(64, 72)], None, JobContext())
    assert bool(torch.isfinite(result).all())
    assert min(seen) < 0.99 * seen[0]
    assert params.learning_rate_interval == 100.0
    assert params.feature_learning_rate == 150.0


def test_vgg_without_weights_says_where_they_belong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (weights.FOLDER_VARIABLE, "XDG_CACHE_HOME", "LOCALAPPDATA", "HOME", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    with pytest.raises(InvalidInput, match="not on this machine") as failure:
        ft.transfer(parameters(features="vgg19"), fractal(64, 64, 2.2, 1), [ridges(64, 64)], None, JobContext())
    assert "vgg19-dcbb9e9d.pth" in failure.value.hint


def test_cancel_in_the_middle_and_finish_early() -> None:
    asked = 0

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 20

    layout, exemplar = fractal(64, 64, 2.2, 1), ridges(64, 64)
    with pytest.raises(JobCancelled):
        ft.transfer(parameters(), layout, [exemplar], None, JobContext(is_cancelled=soon))
    asked = 0
    kept = JobContext(is_cancelled=soon, is_kept=lambda: True)
    result = ft.transfer(parameters(feature_iterations=100_000), layout, [exemplar], None, kept)
    assert bool(torch.isfinite(result).all())


def test_previews_are_whole_maps_in_metres() -> None:
    seen: list[np.ndarray] = []
    job = JobContext(on_preview=lambda ports: seen.append(to_numpy(HEIGHT_MAP, ports["height"])))
    layout, exemplar = fractal(128, 96, 2.2, 1), ridges(96, 96) + 2000
    ft.transfer(parameters(feature_iterations=10), layout, [exemplar], None, job)
    assert seen[0].shape == (128, 96)
    assert 1500 < float(seen[0].min()) < float(seen[0].max()) < 3500


@pytest.mark.parametrize(
    ("layout", "exemplar", "message"),
    [
        (lambda: fractal(64, 64, 2.0, 1), lambda: torch.full((1, 1, 64, 64), 7.0), "flat"),
        (lambda: fractal(64, 64, 2.0, 1), lambda: ridges(64, 31), "at least 32 px"),
        (lambda: fractal(20, 64, 2.0, 1), lambda: ridges(64, 64), "at least 32 px"),
        (lambda: fractal(64, 64, 2.0, 1), lambda: ridges(64, 64).fill_(float("nan")), "finite"),
    ],
)
def test_bad_maps_are_refused(layout: Callable[[], Tensor], exemplar: Callable[[], Tensor], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        ft.transfer(parameters(), layout(), [exemplar()], None, JobContext())


def test_the_keras_program_had_gram_matrices_only() -> None:
    with pytest.raises(InvalidParameter, match="no 'histogram' loss") as failure:
        ft.transfer(
            parameters(method="histogram", formula="merizzi-2024"),
            fractal(64, 64, 2.0, 1),
            [ridges(64, 64)],
            None,
            JobContext(),
        )
    assert failure.value.field == "method"


def test_a_flat_layout_gets_landforms_too() -> None:
    result = ft.transfer(parameters(), torch.full((1, 1, 64, 64), 5.0), [ridges(64, 64)], None, JobContext())
    assert bool(torch.isfinite(result).all())


def test_plain_descent_recovers_from_a_rate_that_is_far_too_large_or_small() -> None:
    goal = fractal(40, 40, 1.5, seed=1, relief_m=1.0)
    start = torch.zeros_like(goal)

    def evaluate(values: Tensor) -> tuple[float, Tensor]:
        return float((values - goal).square().sum()), 2.0 * (values - goal)

    for rate in (1e-9, 0.1, 1e6):
        descent = Descent(
            evaluate=evaluate, steps=4000, rate=lambda step, rate=rate: rate, look=lambda step, now: False
        )
        assert evaluate(descend_plain(start, descent))[0] < 0.2 * evaluate(start)[0]
