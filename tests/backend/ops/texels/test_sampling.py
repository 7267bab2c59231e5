"""Samples of texture levels: kernels against the plain op, the plain op against torch's grid_sample, and transposes."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from backend.ops.texels import hierarchical as ht
from backend.ops.texels import pyramid
from backend.ops.texels import sampling as ts

SIZES = (16, 33)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def scattered_uv(rows: int = 9, columns: int = 31, seed: int = 1) -> torch.Tensor:
    """Positions in and a little around the unit square, some of them NaN."""
    uv = draw(rows, columns, 2, seed=seed) * 1.2 - 0.1
    uv[draw(rows, columns, seed=seed + 1) < 0.2] = torch.nan
    return uv


def texels_of(size: int, levels: int, seed: int = 3) -> tuple[torch.Tensor, ts.Layout]:
    layout = ts.layout_of(size, levels)
    return draw(layout.offsets[-1], 3, seed=seed), layout


def test_layouts_end_at_one_texel() -> None:
    assert ts.layout_of(20, 99).sizes == (20, 10, 5, 3, 2, 1)
    assert ts.layout_of(64, 3).sizes == (64, 32, 16)
    assert ts.layout_of(4, 2).offsets == (0, 16, 20)


@pytest.mark.parametrize("size", SIZES)
def test_packing_and_back(size: int) -> None:
    levels = ht.mips(draw(3, size, size), 4)
    found = ts.unpack(ts.pack(levels), ts.layout_of(size, 4))
    for level, back in zip(levels, found, strict=True):
        torch.testing.assert_close(back, level, rtol=0, atol=0)


@pytest.mark.parametrize("size", SIZES)
def test_a_single_level_is_grid_sample_with_border_padding(size: int) -> None:
    texture, uv = draw(3, size, size), scattered_uv()
    found = ts.gather(ts.pack([texture]), ts.Layout((size,)), uv, None, impl="plain")
    grid = torch.stack([2 * uv[..., 0] - 1, 1 - 2 * uv[..., 1]], dim=-1)
    expected = F.grid_sample(texture[None], torch.nan_to_num(grid)[None], padding_mode="border", align_corners=False)[
        0
    ].permute(1, 2, 0)
    seen = ~uv.isnan().any(-1)
    torch.testing.assert_close(found[seen], expected[seen])
    assert (found[~seen] == 0).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("summed", [True, False])
def test_kernels_are_the_plain_op(size: int, summed: bool) -> None:
    texels, layout = texels_of(size, 4)
    uv = scattered_uv()
    level = None if summed else draw(9, 31, seed=5) * 5 - 1
    values = draw(9, 31, 3, seed=6)
    torch.testing.assert_close(ts.gather(texels, layout, uv, level), ts.gather(texels, layout, uv, level, impl="plain"))
    into, into_plain = texels.clone(), texels.clone()
    ts.scatter(into, layout, uv, level, values)
    ts.scatter(into_plain, layout, uv, level, values, impl="plain")
    torch.testing.assert_close(into, into_plain)


@pytest.mark.parametrize("summed", [True, False])
def test_scatter_is_the_transpose_of_gather(summed: bool) -> None:
    texels, layout = texels_of(33, 3)
    uv, values = scattered_uv(), draw(9, 31, 3, seed=8)
    level = None if summed else draw(9, 31, seed=5) * 3
    back = torch.zeros_like(texels)
    ts.scatter(back, layout, uv, level, values)
    there = ts.gather(texels, layout, uv, level)
    assert float((there * values).sum()) == pytest.approx(float((texels * back).sum()), rel=1e-12)


@pytest.mark.parametrize("summed", [True, False])
def test_gradient_against_finite_differences(summed: bool) -> None:
    texels, layout = texels_of(6, 2)
    uv = scattered_uv(3, 4)
    level = None if summed else draw(3, 4, seed=5)
    assert torch.autograd.gradcheck(lambda values: ts.sample(values, layout, uv, level), texels.requires_grad_())


@pytest.mark.parametrize("size", SIZES)
def test_areas_are_those_of_the_solver(size: int) -> None:
    """The same colours as backend/ops/texels/pyramid.py, for footprints from far below a texel to far above the coarsest."""
    texture = draw(3, size, size)
    levels = pyramid.default_levels(size)
    uv, footprint = scattered_uv(), 10 ** (draw(9, 31, seed=7) * 3 - 2.5)
    expected = pyramid.sample(pyramid.build_pyramid(texture, levels), uv, footprint)
    layout = ts.layout_of(size, levels + 1)
    finer, share = pyramid.choose_levels(footprint, size, levels)
    found = ts.gather(ts.pack(ht.mips(texture, levels + 1)), layout, uv, finer + share)
    torch.testing.assert_close(found, torch.nan_to_num(expected))


def test_written_then_read_at_its_own_texels_a_texture_is_itself() -> None:
    """align_corners is nowhere: what is optimised, written and sampled again is one texture, its corners included."""
    size = 12
    levels = ht.split(draw(3, size, size), 3)
    written = ht.compose(levels)
    middle = (torch.arange(size, dtype=torch.float64) + 0.5) / size
    v, u = torch.meshgrid(1 - middle, middle, indexing="ij")
    read = ts.gather(ts.pack([written]), ts.Layout((size,)), torch.stack([u, v], dim=-1), None)
    torch.testing.assert_close(read.permute(2, 0, 1), written, rtol=0, atol=1e-12)


def test_the_same_bytes_on_any_number_of_threads() -> None:
    layout = ts.layout_of(300, 4)
    uv, values = draw(150, 200, 2, dtype=torch.float32), draw(150, 200, 3, seed=1, dtype=torch.float32)
    before, made = numba.get_num_threads(), []
    for threads in (1, before):
        numba.set_num_threads(threads)
        texels = torch.zeros(layout.offsets[-1], 3)
        ts.scatter(texels, layout, uv, None, values)
        made.append(texels.numpy().copy())
    np.testing.assert_array_equal(made[0], made[1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", [1, 2, 4])
def test_a_texture_is_the_sum_of_its_levels(size: int, count: int) -> None:
    texture = draw(3, size, size)
    levels = ht.split(texture, count)
    assert tuple(level.shape[-1] for level in levels) == ts.layout_of(size, count).sizes
    torch.testing.assert_close(ht.compose(levels), texture)


def test_the_parts_of_a_smooth_texture_are_in_its_coarse_levels() -> None:
    steps = torch.linspace(0, 3, 64, dtype=torch.float64)
    texture = (torch.sin(steps)[:, None] * torch.cos(steps)).expand(3, 64, 64)
    levels = ht.split(texture, 4)
    strength = [float(level.square().mean()) for level in levels]
    assert strength[0] < 1e-4 * strength[-1]


@pytest.mark.parametrize("size", SIZES)
def test_mips_are_the_solvers(size: int) -> None:
    texture = draw(3, size, size)
    expected = pyramid.build_pyramid(texture, 3)
    for index, level in enumerate(ht.mips(texture, 4)):
        torch.testing.assert_close(level, expected[index])


def test_level_weights_are_the_originals_and_leave_the_coarsest_free() -> None:
    assert ht.level_weights(4) == (8.0, 2.0, 1.0, 0.0)
    assert ht.level_weights(1) == (0.0,)
    assert ht.level_weights(2) == (8.0, 0.0)
    assert ht.level_weights(6) == (8.0, 2.0, 1.0, 0.0, 0.0, 0.0)


def test_energy_is_the_weighted_sum_of_mean_squares() -> None:
    levels = [draw(3, side, side, seed=side) - 0.5 for side in (8, 4, 2, 1)]
    expected = sum(w * float(np.mean(level.numpy() ** 2)) for w, level in zip((8, 2, 1, 0), levels, strict=True))
    assert float(ht.energy(levels, ht.level_weights(4))) == pytest.approx(expected, rel=1e-12)
    assert float(ht.energy(levels, (0, 0, 0, 0))) == 0.0


def test_the_energys_gradient_is_added_to_what_is_there() -> None:
    levels = [draw(3, side, side, seed=side).requires_grad_() for side in (8, 4, 2, 1)]
    expected = torch.autograd.grad(0.7 * ht.energy(levels, (8, 2, 1, 0)), levels, materialize_grads=True)
    for level in levels:
        level.grad = torch.ones_like(level)
    ht.add_energy_gradient(levels, (8, 2, 1, 0), 0.7)
    for level, gradient in zip(levels, expected, strict=True):
        assert level.grad is not None
        torch.testing.assert_close(level.grad, 1 + gradient)


def test_gradients_of_composing_and_of_mips() -> None:
    levels = [level.requires_grad_() for level in ht.split(draw(3, 5, 5), 3)]
    assert torch.autograd.gradcheck(lambda *given: ts.pack(ht.mips(ht.compose(given), 3)), levels)
