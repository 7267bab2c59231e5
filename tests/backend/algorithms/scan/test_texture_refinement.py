"""Refinement on a small scene whose texture is known: NeuralTexGen's loop written out again, and what ours promises."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from backend.algorithms.scan import refinement_settings as settings_of
from backend.algorithms.scan import texture_refinement as tr
from backend.ops.surface.seams import SeamRows
from backend.ops.texels.hierarchical import energy, split
from backend.ops.texels.losses import LossWeights
from backend.runtime import weights as weight_files
from backend.runtime.context import JobContext
from shared.catalog.scan_texture import SPEC, ScanTextureParams
from shared.errors import InvalidInput, JobCancelled

SIZE, ROWS, COLUMNS, COUNT = 32, 24, 30, 6
POINTS = tr.RefinementSettings(area=False)
ORIGINAL = tr.RefinementSettings(mode="original", epochs=2, decay_epochs=4, rate=0.01)


@pytest.fixture(autouse=True)
def one_thread() -> Iterable[None]:
    """Arrays this small are sooner done by one thread than handed out."""
    before = numba.get_num_threads(), torch.get_num_threads()
    numba.set_num_threads(1)
    torch.set_num_threads(1)
    yield
    numba.set_num_threads(before[0])
    torch.set_num_threads(before[1])


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class View:
    """A tr.View in NumPy arrays."""

    colors: np.ndarray
    uv: np.ndarray
    weight: np.ndarray
    footprint: np.ndarray | None = None
    photograph: int = 0

    def on_device(self) -> tr.View:
        arrays = {"colors": self.colors, "uv": self.uv, "weight": self.weight, "footprint": self.footprint}
        made = {name: torch.as_tensor(values) for name, values in arrays.items() if values is not None}
        return tr.View(**made, photograph=self.photograph)


def truth(seed: int = 0) -> np.ndarray:
    """[3, SIZE, SIZE] smooth colours with some detail."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 6, 6, generator=generator)
    fine = torch.rand(1, 3, SIZE // 2, SIZE // 2, generator=generator) - 0.5
    total = F.interpolate(coarse, size=(SIZE, SIZE), mode="bicubic") + 0.3 * F.interpolate(fine, scale_factor=2)
    return total[0].clamp(0.05, 0.95).numpy().astype(np.float32)


def look_at(texture: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Bilinear colours by torch's own sampler, 0 where uv is NaN."""
    grid = torch.nan_to_num(torch.from_numpy(np.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], axis=-1)))[None]
    found = F.grid_sample(torch.from_numpy(texture)[None], grid, padding_mode="border", align_corners=False)[0]
    return np.where(np.isnan(uv).any(-1)[..., None], 0.0, found.permute(1, 2, 0).numpy()).astype(np.float32)


def scene(texture: np.ndarray, count: int = COUNT, seed: int = 1, part: float = 0.85) -> list[View]:
    """Photographs of a flat sheet from about its plane's normal, each turned, moved and with its corners cut off. part: how
    much of u the sheet fills."""
    rng, views = np.random.default_rng(seed), []
    y, x = np.mgrid[0:ROWS, 0:COLUMNS] / (ROWS - 1) - 0.5
    for number in range(count):
        angle, zoom = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 0.8)
        u = 0.5 + zoom * (x * np.cos(angle) - y * np.sin(angle)) + rng.uniform(-0.15, 0.15)
        v = 0.5 + zoom * (x * np.sin(angle) + y * np.cos(angle)) + rng.uniform(-0.15, 0.15)
        uv = np.stack([u, v], axis=-1).astype(np.float32)
        uv[(uv < 0.02).any(-1) | (uv > 0.98).any(-1) | (uv[..., 0] > part)] = np.nan
        weight = np.where(np.isnan(uv).any(-1), 0.0, rng.uniform(0.5, 1.0, uv.shape[:2])).astype(np.float32)
        footprint = np.full(uv.shape[:2], zoom / (ROWS - 1), np.float32)
        colors = look_at(texture, uv) + np.where(weight[..., None] > 0, 0, rng.random(3)).astype(np.float32)
        views.append(View(colors=colors, uv=uv, weight=weight, footprint=footprint, photograph=number))
    return views


def streamed(views: Sequence[View]) -> settings_of.Views:
    return lambda order: (views[number].on_device() for number in order)


def changed(settings: tr.RefinementSettings, **values) -> tr.RefinementSettings:
    losses = {name: values.pop(name) for name in list(values) if name in LossWeights.__dataclass_fields__}
    return dataclasses.replace(settings, losses=dataclasses.replace(settings.losses, **losses), **values)


def refined(
    texture: np.ndarray, views: Sequence[View], settings: tr.RefinementSettings, job: JobContext | None = None
) -> np.ndarray:
    return tr.refine(texture, streamed(views), len(views), settings, job or JobContext())


def psnr(texture: np.ndarray, views: Iterable[View]) -> float:
    errors = [np.square(look_at(texture, view.uv) - view.colors)[view.weight > 0] for view in views]
    return -10 * np.log10(np.concatenate(errors).mean())


def grey() -> np.ndarray:
    return np.full((3, SIZE, SIZE), 0.5, np.float32)


def blurred(texture: np.ndarray) -> np.ndarray:
    return F.avg_pool2d(torch.from_numpy(texture)[None], 3, 1, 1, count_include_pad=False)[0].numpy()


# NeuralTexGen's own loop --------------------------------------------------------------------------------------------------


def published_loss(levels: Sequence[torch.Tensor], view: View) -> torch.Tensor:
    """A photograph's loss from the description of its code: grid_sample for every level with border padding, L1 x 10, gradients
    x 20, both over N/M, regulariser x 0.1. levels [1, 3, S_k, S_k], -1..1."""
    mask = torch.from_numpy(view.weight > 0)
    grid = torch.from_numpy(np.stack([2 * view.uv[..., 0] - 1, 1 - 2 * view.uv[..., 1]], axis=-1))
    grid = torch.where(mask[..., None], grid, -1.0)[None].to(levels[0])
    target = (torch.from_numpy(view.colors) * 2 - 1).permute(2, 0, 1)[None].to(levels[0])
    shown = torch.stack([F.grid_sample(x, grid, padding_mode="border", align_corners=False) for x in levels]).sum(0)
    covered = mask.expand_as(shown)
    wanted = torch.where(covered, target, 0.0)
    weight = mask.numel() / mask.sum()
    loss = 10 * F.l1_loss(torch.where(covered, shown, 0.0), wanted) / weight
    across = F.l1_loss(shown[..., 1:] - shown[..., :-1], wanted[..., 1:] - wanted[..., :-1])
    down = F.l1_loss(shown[..., 1:, :] - shown[..., :-1, :], wanted[..., 1:, :] - wanted[..., :-1, :])
    rule = 8 * (levels[0] ** 2).mean() + 2 * (levels[1] ** 2).mean() + (levels[2] ** 2).mean()
    return loss + 20 * (across + down) / weight + 0.1 * rule


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_originals_gradient_is_the_published_one(seed: int) -> None:
    """Of all photographs together, at levels drawn at random: at those that Adam's first step leaves, many differences of
    colour are exactly 0, where an absolute value has no one slope."""
    views, generator = scene(truth()), torch.Generator().manual_seed(seed)
    ours = tr.Refinement(truth(), COUNT, ORIGINAL, JobContext())
    with torch.no_grad():
        for level in ours.levels:
            level.copy_(torch.rand(level.shape, generator=generator) * 0.6 - 0.3)
    levels = [level.detach()[None].double().requires_grad_() for level in ours.levels]
    for view in views:
        published_loss(levels, view).backward()
    ours.run_epoch(streamed(views))
    for level, expected in zip(ours.levels, levels, strict=True):
        assert level.grad is not None
        assert expected.grad is not None
        torch.testing.assert_close(level.grad, expected.grad[0].float(), rtol=1e-4, atol=1e-6)


def test_the_original_goes_the_published_loops_way() -> None:
    """Six epochs of it, with its optimiser and schedule. A texel whose gradients cancel to rounding goes its own way in Adam, so
    nearly all texels are compared, and what the textures show."""
    views = scene(truth())
    levels = [torch.zeros(1, 3, SIZE >> k, SIZE >> k, requires_grad=True) for k in range(4)]
    adam = torch.optim.Adam(levels, lr=0.01, betas=(0.5, 0.999))
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda epoch: 1 - max(0, epoch + 1 - 2) / (4 + 1))
    ours = tr.Refinement(truth(), COUNT, ORIGINAL, JobContext())
    for _ in range(6):
        adam.zero_grad()
        for view in views:
            published_loss(levels, view).backward()
        adam.step()
        schedule.step()
        ours.run_epoch(streamed(views))
    for level, expected in zip(ours.levels, levels, strict=True):
        away = (level.detach() - expected.detach()[0]).abs()
        assert float(away.quantile(0.98)) < 1e-5
        assert float(away.max()) < 0.01


def test_the_rate_stays_and_then_falls_to_nothing() -> None:
    factors = [tr.rate_factor(epoch, 20, 40) for epoch in range(60)]
    assert factors[:20] == [1.0] * 20
    np.testing.assert_allclose(factors[20:], 1 - np.arange(1, 41) / 41)


# Ours ---------------------------------------------------------------------------------------------------------------------


def test_from_a_blurred_start_it_finds_the_texture_that_held_out_photographs_show() -> None:
    views = scene(truth(), 12)
    start = blurred(truth())
    found = refined(start, views[:9], changed(POINTS, rate=0.01, epochs=20, decay_epochs=40))
    assert found.dtype == np.float32
    assert found.shape == (3, SIZE, SIZE)
    assert psnr(found, views[9:]) > psnr(start, views[9:]) + 8


def test_at_the_optimum_it_stays() -> None:
    views = scene(truth())
    for penalty in ("charbonnier", "huber"):
        found = refined(truth(), views, changed(POINTS, penalty=penalty, regularization=0.0))
        assert psnr(found, views) > 50


def test_the_background_does_not_count() -> None:
    """Photographs with twice the background give the same bytes: neither the direction nor the scale of a step changes."""
    views, wide = scene(truth()), []
    for view in views:
        wide.append(
            dataclasses.replace(
                view,
                colors=np.pad(view.colors, ((0, 0), (0, COLUMNS), (0, 0)), constant_values=0.7),
                uv=np.pad(view.uv, ((0, 0), (0, COLUMNS), (0, 0)), constant_values=np.nan),
                weight=np.pad(view.weight, ((0, 0), (0, COLUMNS))),
                footprint=np.pad(view.footprint, ((0, 0), (0, COLUMNS))),
            )
        )
    settings = changed(POINTS, area=True, epochs=3, decay_epochs=0, rate=0.01)
    once, twice = (tr.Refinement(grey(), COUNT, settings, JobContext()) for _ in range(2))
    losses = [once.run_epoch(streamed(views)), twice.run_epoch(streamed(wide))]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for level, other in zip(once.levels, twice.levels, strict=True):
        assert level.grad is not None
        torch.testing.assert_close(level.grad, other.grad, rtol=1e-4, atol=1e-9)


def test_a_photograph_counts_by_its_pixels_weights() -> None:
    """All weights halved change nothing; the mean loss is over weight."""
    views = scene(truth())
    halved = [dataclasses.replace(view, weight=view.weight / 2) for view in views]
    settings = changed(POINTS, epochs=2, decay_epochs=0)
    np.testing.assert_allclose(refined(grey(), halved, settings), refined(grey(), views, settings), atol=1e-6)


@pytest.mark.parametrize("lost", ["l1", "l2", "gradient", "regularization"])
@pytest.mark.parametrize("mode", ["refine", "original"])
def test_every_loss_may_be_0_alone(mode: str, lost: str) -> None:
    settings = changed(POINTS, mode=mode, l2=1.0, epochs=3, decay_epochs=0, rate=0.01)
    found = refined(grey(), scene(truth()), changed(settings, **{lost: 0.0}))
    assert np.isfinite(found).all()
    assert np.abs(found - 0.5).max() > 0.01


@pytest.mark.parametrize("mode", ["refine", "original"])
def test_without_any_loss_nothing_moves(mode: str) -> None:
    settings = changed(POINTS, mode=mode, l1=0.0, gradient=0.0, regularization=0.0, epochs=2, decay_epochs=0)
    start = truth() if mode == "refine" else grey()
    np.testing.assert_allclose(refined(start, scene(truth()), settings), start, atol=1e-6)


def test_the_regulariser_moves_energy_into_coarse_levels_and_fills_what_nobody_has_seen() -> None:
    """A third of u has no photographs: from grey it takes on the colours beside it, and the finest level stays lean."""
    views = scene(truth(), part=0.6)
    settings = changed(POINTS, epochs=40, decay_epochs=40, rate=0.02)
    with_rule, without = (
        tr.Refinement(grey(), COUNT, changed(settings, regularization=strength), JobContext())
        for strength in (3.0, 0.0)
    )
    for refinement in (with_rule, without):
        for _ in range(80):
            refinement.run_epoch(streamed(views))
    fine = [float(energy(refinement.levels[:1], (1.0,)).detach()) for refinement in (with_rule, without)]
    assert fine[0] < 0.8 * fine[1]
    assert psnr(with_rule.texture(), views) > 20
    unseen = with_rule.texture()[:, :, int(0.8 * SIZE) :]
    assert np.abs(unseen - 0.5).max() > 0.02, "the coarse levels reach into it"
    steps = np.abs(np.diff(unseen, axis=1)).max()
    assert steps < 0.3 * np.abs(np.diff(truth()[:, :, int(0.8 * SIZE) :], axis=1)).max()


def test_level_weights_can_be_chosen() -> None:
    settings = changed(POINTS, levels=3, level_weights=(1.0, 0.0, 5.0), l1=0.0, gradient=0.0, rate=0.01)
    refinement = tr.Refinement(truth(), COUNT, settings, JobContext())
    before = [level.detach().clone() for level in refinement.levels]
    refinement.run_epoch(streamed(scene(truth())))
    assert len(refinement.levels) == 3
    moved = [float((level - old).detach().abs().max()) for level, old in zip(refinement.levels, before, strict=True)]
    assert moved[1] == 0.0
    assert moved[0] == pytest.approx(0.01, rel=0.01)
    assert moved[2] == pytest.approx(0.01, rel=0.01)


def test_small_batches_reach_the_loss_of_60_passes_in_a_quarter_of_them() -> None:
    noise = np.random.default_rng(3)
    views = [
        dataclasses.replace(view, colors=view.colors + noise.normal(0, 0.03, view.colors.shape).astype(np.float32))
        for view in scene(truth(), 12)
    ]
    full = tr.Refinement(grey(), 12, changed(POINTS, epochs=20, decay_epochs=40, rate=0.01), JobContext())
    batches = changed(POINTS, epochs=5, decay_epochs=10, rate=0.02, batch=3)
    few = tr.Refinement(grey(), 12, batches, JobContext(seed=3))
    for refinement, passes in ((full, 60), (few, 15)):
        for _ in range(passes):
            refinement.run_epoch(streamed(views))
    assert loss_of(few, views) < loss_of(full, views)


def loss_of(refinement: tr.Refinement, views: Sequence[View]) -> float:
    """The mean loss of its texture as it stands, by a pass without a step."""
    judge = tr.Refinement(refinement.texture(), len(views), changed(POINTS, rate=0.0), JobContext())
    return judge.run_epoch(streamed(views))


def test_batches_take_every_photograph_once_an_epoch_in_an_order_of_the_seed() -> None:
    views, orders = scene(truth()), []

    def recorded(order: Sequence[int]) -> Iterable[tr.View]:
        orders.append(list(order))
        return streamed(views)(order)

    settings = changed(POINTS, batch=4, epochs=2, decay_epochs=0)
    refinement = tr.Refinement(grey(), COUNT, settings, JobContext(seed=5))
    for _ in range(2):
        refinement.run_epoch(recorded)
    assert [len(order) for order in orders] == [4, 2, 4, 2]
    epochs = [orders[0] + orders[1], orders[2] + orders[3]]
    assert all(sorted(epoch) == list(range(COUNT)) for epoch in epochs)
    assert epochs[0] != epochs[1]


def test_strips_are_the_whole_photograph_but_for_the_differences_between_them() -> None:
    views = scene(truth())

    def in_strips(order: Sequence[int]) -> Iterable[tr.View]:
        for number in order:
            view = views[number]
            for first in range(0, ROWS, 7):
                rows = slice(first, first + 7)
                assert view.footprint is not None
                yield View(
                    colors=view.colors[rows],
                    uv=view.uv[rows],
                    weight=view.weight[rows],
                    footprint=view.footprint[rows],
                    photograph=number,
                ).on_device()

    settings = changed(POINTS, area=True, gradient=0.0, epochs=3, decay_epochs=0)
    whole = refined(grey(), views, settings)
    np.testing.assert_allclose(tr.refine(grey(), in_strips, COUNT, settings, JobContext()), whole, atol=1e-5)


def test_pixels_as_areas_give_back_a_texture_finer_than_the_photographs_better_than_points() -> None:
    """Photographs that are box means of 3 x 3 rays: with footprints the model knows that."""
    texture, views = truth(), []
    for view in scene(texture, 14):
        grid = view.uv[: ROWS // 3 * 3, : COLUMNS // 3 * 3].reshape(ROWS // 3, 3, COLUMNS // 3, 3, 2)
        whole = ~np.isnan(grid).any(axis=(1, 3, 4))
        colors = look_at(texture, view.uv)[: ROWS // 3 * 3].reshape(ROWS // 3, 3, COLUMNS // 3, 3, 3).mean(axis=(1, 3))
        uv = np.where(whole[..., None], grid[:, 1, :, 1], np.nan).astype(np.float32)
        assert view.footprint is not None
        views.append(
            dataclasses.replace(
                view,
                colors=colors,
                uv=uv,
                weight=whole.astype(np.float32),
                footprint=np.full(whole.shape, 3 * view.footprint[0, 0], np.float32),
            )
        )
    settings = changed(POINTS, epochs=5, decay_epochs=20, rate=0.02, gradient=0.0, batch=4)
    judges = scene(texture, 3, seed=77)
    area, point = (refined(grey(), views, changed(settings, area=area)) for area in (True, False))
    assert psnr(area, judges) > psnr(point, judges) + 1


def test_stopped_saved_and_taken_up_again_it_ends_in_the_same_bytes() -> None:
    views, settings = scene(truth()), changed(POINTS, batch=2, epochs=2, decay_epochs=3, rate=0.01)
    whole = tr.Refinement(grey(), COUNT, settings, JobContext(seed=9))
    for _ in range(5):
        whole.run_epoch(streamed(views))
    first = tr.Refinement(grey(), COUNT, settings, JobContext(seed=9))
    for _ in range(2):
        first.run_epoch(streamed(views))
    saved = first.state()
    for _ in range(2):
        first.run_epoch(streamed(views))  # what is saved must not move with it
    second = tr.Refinement(truth(), COUNT, settings, JobContext(seed=1))
    second.restore(saved)
    for _ in range(3):
        second.run_epoch(streamed(views))
    np.testing.assert_array_equal(second.texture(), whole.texture())


def test_the_same_bytes_for_the_same_seed_on_any_number_of_threads() -> None:
    views, settings = scene(truth()), changed(POINTS, area=True, batch=2, epochs=2, decay_epochs=2)
    made = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        torch.set_num_threads(threads)
        made.append(refined(grey(), views, settings, JobContext(seed=4)))
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != refined(grey(), views, settings, JobContext(seed=5))).any()


def test_a_start_is_split_and_the_original_begins_at_grey() -> None:
    refinement = tr.Refinement(truth(), COUNT, POINTS, JobContext())
    for level, expected in zip(refinement.levels, split(torch.from_numpy(truth()) * 2 - 1, 4), strict=True):
        torch.testing.assert_close(level.detach(), expected)
    np.testing.assert_allclose(refinement.texture(), truth(), atol=1e-6)
    np.testing.assert_array_equal(tr.Refinement(truth(), COUNT, ORIGINAL, JobContext()).texture(), grey())


def test_progress_cancelling_and_finishing_early() -> None:
    views, settings = scene(truth()), changed(POINTS, epochs=3, decay_epochs=0)
    steps: list[tuple[int, int]] = []
    job = JobContext(on_progress=lambda done, total, stage, rest: steps.append((done, total)))
    looks: list[np.ndarray] = []
    tr.refine(grey(), streamed(views), COUNT, settings, job, done=10, total=40, look=lambda make: looks.append(make()))
    assert steps[0][0] >= 10
    assert steps == sorted(steps)
    assert {total for _, total in steps} == {40}
    assert len(looks) == 3

    with pytest.raises(JobCancelled):
        tr.refine(grey(), streamed(views), COUNT, settings, JobContext(is_cancelled=lambda: True))

    kept = JobContext(is_cancelled=lambda: len(looks) > 3, is_kept=lambda: True)
    found = tr.refine(grey(), streamed(views), COUNT, settings, kept, look=lambda make: looks.append(make()))
    np.testing.assert_array_equal(found, looks[-1])
    assert len(looks) == 4


def test_photographs_that_see_nothing_are_an_error() -> None:
    empty = [dataclasses.replace(view, weight=view.weight * 0) for view in scene(truth())]
    with pytest.raises(InvalidInput, match="None of the photographs"):
        refined(grey(), empty, POINTS)


def test_vgg_losses_without_their_weights_say_where_they_come_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weight_files, "folders", lambda: [tmp_path])
    for settings in (changed(POINTS, content=1.0), changed(ORIGINAL, style=1.0)):
        assert settings.needs_whole_views
        with pytest.raises(InvalidInput, match="VGG-19") as caught:
            refined(grey(), scene(truth()), settings)
        assert "download_weights" in caught.value.hint


@pytest.mark.parametrize("mode", ["refine", "original"])
def test_with_vgg_losses_alone_the_features_come_nearer(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the real network, its weights drawn at random; float32, so that it is the same on every CPU."""
    torch.manual_seed(2)
    network = tr.Vgg19(tr.losses.DEEPEST_LAYER, padding="replicate").requires_grad_(False)
    monkeypatch.setattr(tr, "load_features", given(network))
    settings = changed(POINTS, mode=mode, l1=0, gradient=0, content=1e4, style=1e6, epochs=4, decay_epochs=0, rate=0.02)
    refinement = tr.Refinement(blurred(truth()), 2, settings, JobContext())
    losses = [refinement.run_epoch(streamed(scene(truth(), 2))) for _ in range(4)]
    assert losses[-1] < 0.8 * losses[0]


def given(network: tr.Vgg19) -> Callable[..., tr.Vgg19]:
    return lambda settings, job: network


def test_seams_are_tied() -> None:
    """Two rows of texels that are one place of the mesh, of which photographs show one dark and one bright."""
    bright = np.full((3, SIZE, SIZE), 0.3, np.float32)
    bright[:, SIZE // 2 :] = 0.7
    views = scene(bright)
    u = (np.arange(4, SIZE - 4, dtype=np.float32) + 0.5) / SIZE
    sides = [np.stack([u, np.full_like(u, 1 - (row + 0.5) / SIZE)], axis=1) for row in (10, 20)]
    rows = SeamRows(sides[0], sides[1], np.ones(len(u), np.float32), np.full(len(u), 1001), np.full(len(u), 1001))
    found = {}
    for strength in (0.0, 100.0):
        settings = changed(POINTS, seams=strength, area=True, epochs=20, decay_epochs=20, rate=0.02)
        texture = tr.refine(bright, streamed(views), COUNT, settings, JobContext(), seams=rows)
        found[strength] = np.abs(texture[:, 10, 4:-4] - texture[:, 20, 4:-4]).mean()
        assert psnr(texture, views) > 20
    assert found[0.0] > 0.35
    assert found[100.0] < 0.05


def test_a_batch_that_sees_nothing_takes_no_step() -> None:
    views = scene(truth())
    views[2:] = [dataclasses.replace(view, weight=view.weight * 0) for view in views[2:]]
    settings = changed(POINTS, batch=2, epochs=2, decay_epochs=0)
    found = refined(grey(), views, settings)
    assert np.isfinite(found).all()
    assert np.abs(found - 0.5).max() > 0.001


def test_settings_of_the_parameters() -> None:
    assert tr.RefinementSettings.from_params(ScanTextureParams()) is None
    chosen = preset("refined")
    settings = tr.RefinementSettings.from_params(chosen)
    assert settings is not None
    assert (settings.mode, settings.area, settings.needs_whole_views) == ("refine", True, False)
    assert settings.knee == pytest.approx(2 * chosen.tolerance)
    none = dataclasses.replace(chosen, refinement_epochs=0, refinement_decay_epochs=0)
    assert tr.RefinementSettings.from_params(none) is None


def test_the_preset_is_the_published_script() -> None:
    settings = tr.RefinementSettings.from_params(preset("neuraltexgen"))
    assert settings is not None
    assert settings.mode == "original"
    assert settings.needs_features
    assert (settings.epochs, settings.decay_epochs, settings.rate, settings.levels) == (20, 40, 0.01, 4)
    assert settings.losses == LossWeights(l1=10.0, l2=0.0, gradient=20.0, content=10.0, style=10.0)
    assert settings.regularization == 0.1


def preset(name: str) -> ScanTextureParams:
    found = next(preset for preset in SPEC.presets if preset.name == name)
    return ScanTextureParams(**found.values)
