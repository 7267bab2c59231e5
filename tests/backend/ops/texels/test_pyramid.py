"""The model of scan textures: mips, and the look-up of a pixel of any width."""

from __future__ import annotations

import math

import pytest
import torch

from backend.ops.texels import pyramid as texel_pyramid
from backend.ops.texels.pyramid import add_spread, build_pyramid, default_levels, halve, sample, spread


def random_pixels(count: int, size: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """uv over the whole tile, its edges and some NaN; footprints from a quarter texel to far beyond the last level."""
    generator = torch.Generator().manual_seed(seed)
    uv = torch.rand(count, 2, generator=generator)
    uv[:4] = torch.tensor([[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.0]])
    uv[4:8, 0] = math.nan
    footprint = torch.exp2(torch.rand(count, generator=generator) * 11 - 2) / size
    return uv, footprint


def test_pixels_without_a_place_see_nothing() -> None:
    pyramid = build_pyramid(torch.rand(3, 61, 61, generator=torch.Generator().manual_seed(1)), default_levels(61))
    seen = sample(pyramid, *random_pixels(4000, 61))
    assert torch.isnan(seen[4:8]).all()
    assert ((seen >= 0) & (seen <= 1)).all(1).sum() == 3996


@pytest.mark.parametrize("size", [8, 9, 61])
def test_levels_hold_the_means_of_what_they_cover(size: int) -> None:
    texture = torch.rand(3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    pyramid = build_pyramid(texture, 2)
    assert pyramid[0] is texture
    assert pyramid[2].shape == (3, math.ceil(size / 4), math.ceil(size / 4))
    torch.testing.assert_close(pyramid[1][:, 1, 2], texture[:, 2:4, 4:6].mean((1, 2)))
    torch.testing.assert_close(pyramid[1][:, -1, 0], texture[:, 2 * ((size - 1) // 2) :, :2].mean((1, 2)))


@pytest.mark.parametrize("side", [2, 7, 12])
def test_spread_is_the_transpose_of_halve(side: int) -> None:
    generator = torch.Generator().manual_seed(3)
    fine = torch.rand(2, side, side, dtype=torch.float64, generator=generator)
    coarse = torch.rand(halve(fine).shape, dtype=torch.float64, generator=generator)
    torch.testing.assert_close((halve(fine) * coarse).sum(), (fine * spread(coarse, side)).sum())


def test_a_slope_is_seen_as_it_is_by_pixels_of_any_width() -> None:
    size = 64
    texture = ((torch.arange(size) + 0.5) / size).expand(3, size, size).contiguous()
    uv = 0.35 + 0.3 * torch.rand(2000, 2, generator=torch.Generator().manual_seed(4))
    footprint = torch.exp2(torch.rand(2000, generator=torch.Generator().manual_seed(5)) * 4 - 1) / size
    seen = sample(build_pyramid(texture, 3), uv, footprint)
    torch.testing.assert_close(seen, uv[:, :1].expand(-1, 3), atol=2e-6, rtol=0)


@pytest.mark.parametrize("texels", [2.0, 2.6, 3.3, 5.0, 6.5])
def test_a_pixel_blurs_as_much_as_its_footprint_says(texels: float) -> None:
    """On x² a kernel shows its variance. Texels are boxes of variance 1/12, a pixel of width f of f²/12 (in texels)."""
    size = 256
    x = torch.arange(size, dtype=torch.float64) + 0.5
    pyramid = build_pyramid((x**2).expand(3, size, size).contiguous(), 4)
    u = torch.linspace(96, 160, 4097, dtype=torch.float64)[:-1] / size  # whole texels of every level: all phases alike
    seen = sample(pyramid, torch.stack((u, torch.full_like(u, 0.5)), -1), torch.full_like(u, texels / size))
    variance = float((seen[:, 0] - (u * size) ** 2).mean())
    assert variance == pytest.approx(texels**2 / 12 - 1 / 12, rel=1e-3)


def test_default_levels_leave_texels_to_look_between() -> None:
    for size in (2, 3, 16, 17, 100, 4096, 16384):
        assert texel_pyramid.level_sides(size, default_levels(size))[-1] >= 2


@pytest.mark.parametrize("side", [2, 7, 16])
def test_spread_is_added_in_place(side: int) -> None:
    generator = torch.Generator().manual_seed(side)
    coarser, values = torch.rand(-(-side // 2), -(-side // 2), generator=generator), torch.rand(side, side)
    expected = values + spread(coarser[None], side)[0]
    add_spread(values, coarser)
    torch.testing.assert_close(values, expected)
