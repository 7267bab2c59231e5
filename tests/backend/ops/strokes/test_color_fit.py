"""Colours by least squares, and what a stroke is worth."""

from __future__ import annotations

import pytest
import torch

from backend.ops.dispatch import kernel_threads
from backend.ops.strokes import color_fit_cuda, compositing, tiles_cuda
from backend.ops.strokes.color_fit import color_fit
from backend.ops.strokes.compositing import Segments, composite
from backend.ops.strokes.curves import coverage
from backend.ops.strokes.removal import removal_cost
from tests.backend.ops.strokes import scenes
from tests.backend.ops.strokes.test_compositing import SIZE, canvas, strokes


def shares(geometry: torch.Tensor, opacity: torch.Tensor) -> torch.Tensor:
    """What shows of each stroke in the end, [N, H, W]."""
    shown = coverage(geometry, opacity, SIZE)
    left = torch.ones_like(shown[0])
    for n in reversed(range(len(shown))):
        alpha = shown[n].clone()
        shown[n] = alpha * left
        left = left * (1 - alpha)
    return shown


def test_colours_solve_the_normal_equations() -> None:
    geometry, opacity, color = strokes(12)
    target = canvas().flip(0) * 0.3 + 0.3
    found = color_fit(geometry, opacity, color, canvas(), target, steps=16, keep=1.0)
    matrix = shares(geometry, opacity).flatten(1)
    ground = composite(geometry, opacity, torch.zeros_like(color), canvas())
    normal = matrix @ matrix.T + torch.eye(12, dtype=matrix.dtype)
    exact = torch.linalg.solve(normal, matrix @ (target - ground).flatten(0, 1) + color)
    assert (exact > 0).all()
    assert (exact < 1).all()
    assert torch.allclose(found, exact, atol=1e-6)


def test_a_few_steps_find_the_colours_of_a_painting_and_hidden_strokes_keep_theirs() -> None:
    geometry, opacity, color = strokes(12)
    geometry = torch.cat((geometry[:1], geometry))
    geometry[1, 6:] += 3  # hides the first
    opacity = torch.cat((opacity[:1], torch.ones(12, 2, dtype=opacity.dtype)))
    color = torch.cat((color[:1], color))
    target = composite(geometry, opacity, color, canvas())
    found = color_fit(geometry, opacity, torch.full_like(color, 0.5), canvas(), target, steps=8, keep=0.01)
    assert (composite(geometry, opacity, found, canvas()) - target).abs().mean() < 2e-3
    assert torch.allclose(found[0], torch.full((3,), 0.5, dtype=found.dtype))
    assert found.min() >= 0
    assert found.max() <= 1


def test_the_cost_of_a_removal_is_what_the_error_grows_by() -> None:
    geometry, opacity, color = strokes(10)
    target = canvas().flip(1)
    weight = 0.5 + canvas()[..., 0]

    def error(keep: torch.Tensor) -> torch.Tensor:
        image = composite(geometry[keep], opacity[keep], color[keep], canvas())
        return (weight[..., None] * (image - target).square()).sum()

    everything = torch.arange(10)
    wanted = torch.stack([error(everything[everything != n]) for n in range(10)]) - error(everything)
    found = removal_cost(geometry, opacity, color, canvas(), target, weight=weight)
    assert torch.allclose(found, wanted, atol=1e-9)
    assert (found > 1).any()


def scene(seed: int = 3) -> tuple[torch.Tensor, ...]:
    geometry, opacity, color = strokes(80, torch.float32, seed)
    weight = torch.rand(SIZE, generator=torch.Generator().manual_seed(7))
    return geometry, opacity, color, canvas(torch.float32), canvas(torch.float32).flip(0), weight


@pytest.mark.parametrize("clip", [False, True])
def test_the_twins_equal_the_plain_forms(clip: bool) -> None:
    *problem, weight = scene()
    labels = (torch.arange(SIZE[1]).repeat(SIZE[0], 1) // 20).int()
    segments = Segments(labels, torch.arange(80, dtype=torch.int32) % 4 - 1)
    geometry, opacity, color, ground, target = problem
    for op in (color_fit, removal_cost):
        twin, plain = (
            op(geometry, opacity, color, ground, target, weight=weight, segments=segments, clip=clip, impl=impl)
            for impl in ("cpu", "plain")
        )
        assert (twin - plain).abs().max() < 1e-4 * plain.abs().max(), op


def test_the_twins_bytes_do_not_depend_on_threads_nor_on_what_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    geometry, opacity, color, ground, target, _ = scene()
    made = []
    for threads in (1, 2, 2):
        with kernel_threads(threads):
            made.append([op(geometry, opacity, color, ground, target, impl="cpu") for op in (color_fit, removal_cost)])
        if len(made) == 2:
            monkeypatch.setattr(compositing, "MOST_KEPT_PAIRS", 10)
    assert all(torch.equal(a, b) for some in made[1:] for a, b in zip(made[0], some, strict=True))


@pytest.mark.parametrize("clip", [False, True])
def test_the_cuda_twin_equals_the_plain_form(clip: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    geometry, opacity, color = scenes.strokes(6)
    if clip:
        monkeypatch.setattr(color_fit_cuda, "MOST_KEPT_PAIRS", 1)  # alphas are computed again
        monkeypatch.setattr(tiles_cuda, "MOST_PAIRS", 6)
    found, wanted = (
        color_fit(
            geometry, opacity, color, scenes.image(1), scenes.image(2), weight=scenes.image(4, ()) if clip else None,
            segments=scenes.segments(6), clip=clip, steps=1, impl=impl,
        )
        for impl in ("cuda", "plain")
    )  # fmt: skip
    assert (wanted - color).abs().max() > 0.1
    assert (found - wanted).abs().max() < 1e-4


@pytest.mark.parametrize("clip", [False, True])
def test_the_cuda_twin_of_the_cost_goes_back_through_more_strokes_than_it_keeps(
    clip: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if clip:
        monkeypatch.setattr(tiles_cuda, "MOST_PAIRS", 6)  # two bands
    geometry, opacity, color = scenes.strokes(8 if clip else 22)
    segments, weight = scenes.segments(len(geometry)), scenes.image(4, ()) if clip else None
    found, wanted = (
        removal_cost(
            geometry, 0.4 * opacity, color, scenes.image(1), scenes.image(2), weight=weight, segments=segments,
            clip=clip, impl=impl,
        )
        for impl in ("cuda", "plain")
    )  # fmt: skip
    assert wanted.abs().max() > 1
    assert (found - wanted).abs().max() < 1e-4 * wanted.abs().max()
