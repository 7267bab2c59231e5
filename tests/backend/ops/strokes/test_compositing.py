"""Painting strokes: the blend formula, order, exact derivatives, segments."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import pytest
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, kernel_threads
from backend.ops.strokes import compositing, tiles_cuda
from backend.ops.strokes.compositing import Segments, composite, composite_with_leak
from backend.ops.strokes.compositing_plain import Scene
from backend.ops.strokes.curves import coverage
from tests.backend.ops.strokes import scenes

SIZE = (37, 45)


def strokes(count: int, dtype: torch.dtype = torch.float64, seed: int = 3) -> tuple[Tensor, Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    size = torch.tensor(SIZE, dtype=dtype)

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=draw, dtype=dtype)

    middle, along = uniform(count, 2) * size, (uniform(count, 2) - 0.5) * 24
    bend = along.flip(1) * torch.tensor([1.0, -1.0], dtype=dtype) * (uniform(count, 1) - 0.5)
    radii = 1.5 + 4 * uniform(count, 2)
    geometry = torch.cat((middle - along / 2, middle + bend, middle + along / 2, radii), 1)
    return geometry, 0.3 + 0.7 * uniform(count, 2), uniform(count, 3)


def canvas(dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(*SIZE, 3, generator=torch.Generator().manual_seed(1), dtype=dtype)


def test_the_blend_is_the_formula_in_painting_order() -> None:
    geometry, opacity, color = strokes(12)
    wanted = canvas()
    for share, paint in zip(coverage(geometry, opacity, SIZE), color, strict=True):
        wanted = wanted * (1 - share[..., None]) + share[..., None] * paint
    assert torch.allclose(composite(geometry, opacity, color, canvas()), wanted, atol=1e-12)
    turned = composite(geometry.flip(0), opacity.flip(0), color.flip(0), canvas())
    assert (turned - wanted).abs().max() > 0.1


def test_one_opaque_stroke_is_its_colour_inside_and_nothing_outside() -> None:
    geometry = torch.tensor([[10.0, 8.0, 14.0, 20.0, 25.0, 35.0, 4.0, 6.0]])
    color = torch.tensor([[0.2, 0.9, 0.4]])
    before = canvas(torch.float32)
    image = composite(geometry, torch.ones(1, 2), color, before)
    share = coverage(geometry, torch.ones(1, 2), SIZE)[0]
    assert (share == 1).sum() > 200
    assert torch.equal(image[share == 1], color.expand(int((share == 1).sum()), 3))
    assert torch.equal(image[share == 0], before[share == 0])


@pytest.mark.parametrize("clip", [False, True])
def test_derivatives_equal_differences(clip: bool) -> None:
    geometry, opacity, color = strokes(5)
    labels = (torch.arange(SIZE[1]).repeat(SIZE[0], 1) // 20).int()
    segments = Segments(labels, torch.arange(5, dtype=torch.int32) % 4 - 1)
    weight = torch.rand(*SIZE, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def loss(*values: Tensor) -> Tensor:
        shape, shares, paint = values
        image, leak = composite_with_leak(shape, shares, paint, canvas(), segments=segments, clip=clip)
        return (weight * image.square()).sum() + 0.3 * leak

    values = [geometry.requires_grad_(), opacity.requires_grad_(), color.requires_grad_()]
    found = torch.autograd.grad(loss(*values), values)
    for number, gradient in enumerate(found):
        differences = difference(loss, [v.detach() for v in values], number)
        assert (gradient - differences).norm() <= 1e-3 * differences.norm(), number
        assert (gradient - differences).abs().max() <= 1e-3 * differences.abs().max(), number


def difference(loss: Callable[..., Tensor], values: list[Tensor], number: int, step: float = 1e-5) -> Tensor:
    made = torch.zeros_like(values[number])
    for at in range(made.numel()):
        sides = []
        for sign in (1, -1):
            moved = values[number].clone()
            moved.view(-1)[at] += sign * step
            sides.append(loss(*values[:number], moved, *values[number + 1 :]))
        made.view(-1)[at] = (sides[0] - sides[1]) / (2 * step)
    return made


def test_the_leak_is_alpha_outside_the_segment_and_clipping_removes_it() -> None:
    geometry, opacity, color = strokes(6)
    labels = (torch.arange(SIZE[1]).repeat(SIZE[0], 1) // 20).int()
    of_stroke = torch.tensor([0, 1, 2, 0, -1, 1], dtype=torch.int32)
    segments = Segments(labels, of_stroke)
    outside = (labels[None] != of_stroke[:, None, None]) & (of_stroke[:, None, None] >= 0)
    _, leak = composite_with_leak(geometry, opacity, color, canvas(), segments=segments)
    assert leak.item() == pytest.approx((coverage(geometry, opacity, SIZE) * outside).sum().item(), rel=1e-9)
    assert leak > 10
    only = composite(
        geometry[:1], opacity[:1], color[:1], canvas(), segments=Segments(labels, of_stroke[:1]), clip=True
    )
    assert torch.equal(only[labels != 0], canvas()[labels != 0])
    assert not torch.equal(only[labels == 0], canvas()[labels == 0])


def test_no_stroke_or_one_beside_the_canvas_changes_nothing() -> None:
    empty = torch.zeros(0, 8), torch.zeros(0, 2), torch.zeros(0, 3)
    assert torch.equal(composite(*empty, canvas(torch.float32)), canvas(torch.float32))
    geometry = torch.tensor([[-50.0, 5.0, -60.0, 5.0, -70.0, 9.0, 4.0, 4.0]], requires_grad=True)
    image = composite(geometry, torch.ones(1, 2), torch.ones(1, 3), canvas(torch.float32))
    assert torch.equal(image, canvas(torch.float32))
    image.sum().backward()
    assert geometry.grad is not None
    assert not geometry.grad.any()


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_a_canvas_may_lie_in_memory_in_any_order(impl: str) -> None:
    geometry, opacity, color = strokes(5, torch.float32)
    wanted = composite(geometry, opacity, color, canvas(torch.float32), impl=cast(Impl, impl))
    turned = canvas(torch.float32).movedim(2, 0).contiguous().movedim(0, 2)
    assert torch.equal(composite(geometry, opacity, color, turned, impl=cast(Impl, impl)), wanted)


def test_bad_input_is_refused() -> None:
    geometry, opacity, color = strokes(3)
    with pytest.raises(ValueError, match="opacity has shape"):
        composite(geometry, opacity[:2], color, canvas())
    geometry[1, 2] = float("nan")
    with pytest.raises(ValueError, match="not finite"):
        composite(geometry, opacity, color, canvas())
    geometry, opacity, color = strokes(3)
    with pytest.raises(ValueError, match="clip needs segments"):
        composite(geometry, opacity, color, canvas(), clip=True)


def painted(impl: str, clip: bool, values: list[Tensor]) -> tuple[Tensor, ...]:
    """Image, leak and the derivatives of a loss."""
    labels = (torch.arange(SIZE[1]).repeat(SIZE[0], 1) // 20).int()
    segments = Segments(labels, torch.arange(len(values[0]), dtype=torch.int32) % 4 - 1)
    values = [value.clone().requires_grad_() for value in values]
    shape, shares, paint = values
    image, leak = composite_with_leak(
        shape, shares, paint, canvas(torch.float32), segments=segments, clip=clip, impl=cast(Impl, impl)
    )
    loss = (image * canvas(torch.float32).flip(0)).square().sum() + 0.01 * leak
    return image.detach(), leak.detach(), *torch.autograd.grad(loss, values)


@pytest.mark.parametrize("clip", [False, True])
def test_the_twin_equals_the_plain_form(clip: bool) -> None:
    geometry, opacity, color = strokes(120, torch.float32)
    geometry[:20, 6:] *= 0.1  # thinner than a pixel
    geometry[20:40, 2:6] = geometry[20:40, :2].repeat(1, 2) + 0.3  # nearly dots
    geometry[40:60, 6:] += 8  # wholly covered rows
    opacity[40:50, 1] = opacity[40:50, 0]
    twin, plain = (painted(impl, clip, [geometry, opacity, color]) for impl in ("cpu", "plain"))
    assert (twin[0] - plain[0]).abs().max() < 5e-6
    assert twin[1].item() == pytest.approx(plain[1].item(), rel=1e-6)
    for found, wanted in zip(twin[2:], plain[2:], strict=True):
        assert (found - wanted).abs().max() < 2e-4 * wanted.abs().max()


def test_the_twins_bytes_do_not_depend_on_threads_nor_on_what_it_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(strokes(60, torch.float32))
    made = []
    for threads in (1, 2):
        with kernel_threads(threads):
            made.append(painted("cpu", False, values))
    monkeypatch.setattr(compositing, "MOST_KEPT_PAIRS", 10)  # computes alphas again on the way back
    made.append(painted("cpu", False, values))
    for one in made[1:]:
        assert all(torch.equal(a, b) for a, b in zip(made[0], one, strict=True))


def test_a_loss_may_be_taken_back_twice() -> None:
    geometry, opacity, color = strokes(10, torch.float32)
    image = composite(geometry.requires_grad_(), opacity, color, canvas(torch.float32))
    first, second = (torch.autograd.grad(image.square().sum(), geometry, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)
    assert first.any()


def painted_small(impl: str, count: int, *, clip: bool, softness: float) -> tuple[Tensor, ...]:
    values = [value.requires_grad_() for value in scenes.strokes(count)]
    shape, shares, paint = values
    image, leak = composite_with_leak(
        shape, shares, paint, scenes.image(1), segments=scenes.segments(count), clip=clip, softness=softness,
        impl=cast(Impl, impl),
    )  # fmt: skip
    loss = (image * scenes.image(2)).square().sum() + 0.01 * leak
    return image.detach(), leak.detach(), *torch.autograd.grad(loss, values)


@pytest.mark.parametrize(("count", "clip", "softness"), [(20, False, 1.0), (7, True, 2.5)])
def test_the_cuda_twin_equals_the_plain_form(
    count: int, clip: bool, softness: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More strokes on a tile than are taken back at once, and a soft brush that is clipped, on a canvas in two bands."""
    if clip:
        monkeypatch.setattr(tiles_cuda, "MOST_PAIRS", 6)
    twin, plain = (painted_small(impl, count, clip=clip, softness=softness) for impl in ("cuda", "plain"))
    assert (twin[0] - plain[0]).abs().max() < 5e-6
    assert twin[1].item() == pytest.approx(plain[1].item(), rel=1e-6)
    assert clip == (plain[1].item() == 0)
    for found, wanted in zip(twin[2:], plain[2:], strict=True):
        assert wanted.abs().max() > 0
        assert (found - wanted).abs().max() < 2e-4 * wanted.abs().max()


def test_the_cuda_twin_takes_no_strokes_and_refuses_what_is_not_finite() -> None:
    shape, shares, paint = scenes.strokes(2)
    assert torch.equal(composite(shape[:0], shares[:0], paint[:0], scenes.image(1), impl="cuda"), scenes.image(1))
    beside = shape + 100
    image = composite(beside.requires_grad_(), shares, paint.requires_grad_(), scenes.image(1), impl="cuda")
    assert torch.equal(image.detach(), scenes.image(1))
    assert not any(slope.any() for slope in torch.autograd.grad(image.sum(), (beside, paint)))
    for value in (float("nan"), float("inf")):
        shape[1, 2] = value
        with pytest.raises(ValueError, match="not finite"):
            composite(shape, shares, paint, scenes.image(1), impl="cuda")


def test_a_canvas_that_many_strokes_touch_is_taken_in_bands_on_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    shape, shares, paint = scenes.strokes(7)
    scene = Scene(shape, shares, paint, scenes.image(1), None, None, False, 1.0)
    (whole,) = tiles_cuda.bands(scene)
    monkeypatch.setattr(tiles_cuda, "MOST_PAIRS", 6)
    upper, lower = tiles_cuda.bands(scene)
    assert (upper.skipped, lower.skipped) == (0, 1)
    assert torch.equal(upper.own + lower.own, whole.own)
    assert whole.first.tolist() == [0, int(upper.first[-1]), int(upper.first[-1] + lower.first[-1])]


@pytest.mark.skipif(scenes.SIMULATED, reason="needs a card: a thread of the simulator is one of Python")
def test_many_strokes_on_cuda_equal_the_cpu_and_repeat_to_the_byte() -> None:
    values = list(strokes(120, torch.float32))
    segments = Segments(
        (torch.arange(SIZE[1]).repeat(SIZE[0], 1) // 20).int(), torch.arange(120, dtype=torch.int32) % 4 - 1
    )
    made = []
    for device in ("cpu", "cuda", "cuda"):
        parts = [value.to(device).requires_grad_() for value in values]
        own = Segments(segments.labels.to(device), segments.of_stroke.to(device))
        image, leak = composite_with_leak(
            parts[0], parts[1], parts[2], canvas(torch.float32).to(device), segments=own, impl=cast(Impl, device)
        )
        slopes = torch.autograd.grad(image.square().sum() + 0.01 * leak, parts)
        made.append([value.detach().cpu() for value in (image, leak, *slopes)])
    for wanted, one, again in zip(*made, strict=True):
        assert torch.equal(one, again)
        assert (one - wanted).abs().max() < 2e-4 * wanted.abs().max()
