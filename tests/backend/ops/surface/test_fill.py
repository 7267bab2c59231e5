"""The gutter's colours: what a renderer's mips and filters show of it, which should be nothing."""

from __future__ import annotations

import itertools
from typing import Any

import numba
import numpy as np
import pytest
import torch

from backend.ops.surface import fill
from backend.ops.surface.charts import chart_map
from shared.errors import InvalidInput
from tests.support.devices import DEVICES
from tests.support.seam_mesh import cut_height_field

RED, BLUE = np.array([0.9, 0.2, 0.1], np.float32), np.array([0.1, 0.3, 0.8], np.float32)


def mip_chain(
    texture: np.ndarray, known: np.ndarray, *rings: int, device: str = "cpu", impl: Any = "auto"
) -> list[np.ndarray]:
    """With NumPy arrays; on the CPU the texture is filled in place."""
    given = torch.from_numpy(texture).to(device), torch.from_numpy(known).to(device)
    return [level.cpu().numpy() for level in fill.mip_chain(*given, *rings, impl=impl)]


def fill_gutter(texture: np.ndarray, known: np.ndarray, *rings: int) -> np.ndarray:
    return fill.fill_gutter(torch.from_numpy(texture), torch.from_numpy(known), *rings).numpy()


def halve(texture: np.ndarray) -> np.ndarray:
    """A renderer's next mip: the mean of 2 x 2 texels, sides of a power of two."""
    channels, rows, columns = texture.shape
    return texture.reshape(channels, rows // 2, 2, columns // 2, 2).mean(axis=(2, 4))


def bilinear(texture: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """[M, 3] as a renderer filters a level."""
    size = texture.shape[1]
    x, y = u * size - 0.5, (1 - v) * size - 0.5
    left, top = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = x - left, y - top
    total = np.zeros((3, len(u)))
    for dy, wy in ((0, 1 - fy), (1, fy)):
        for dx, wx in ((0, 1 - fx), (1, fx)):
            total += wy * wx * texture[:, np.clip(top + dy, 0, size - 1), np.clip(left + dx, 0, size - 1)]
    return total.T


def test_a_bright_chart_on_a_black_gutter_stays_bright_at_every_level() -> None:
    """One colour a mesh: every level of a renderer's own mips, filtered anywhere, is that colour."""
    mesh, size = cut_height_field(10), 128
    known = chart_map(mesh, size) > 0
    texture = np.where(known, RED[:, None, None], np.float32(0))
    fill_gutter(texture, known)
    level = texture
    places = mesh[..., 3:].reshape(-1, 2)
    while level.shape[1] > 1:
        np.testing.assert_allclose(bilinear(level, *places.T), np.broadcast_to(RED, (len(places), 3)), atol=1e-6)
        level = halve(level)


def two_charts(size: int, gap: int) -> tuple[np.ndarray, np.ndarray]:
    """A red chart on the left and a blue one on the right, `gap` texels apart, a black gutter around both."""
    texture, known = np.zeros((3, size, size), np.float32), np.zeros((size, size), bool)
    middle = size // 2
    for color, columns in ((RED, slice(4, middle - gap // 2)), (BLUE, slice(middle + (gap + 1) // 2, size - 4))):
        texture[:, 5 : size - 3, columns] = color[:, None, None]
        known[5 : size - 3, columns] = True
    return texture, known


@pytest.mark.parametrize("gap", [4, 8, 16])
def test_charts_do_not_bleed_into_each_other_while_their_gap_is_wider_than_a_filter(gap: int) -> None:
    size = 128
    texture, known = two_charts(size, gap)
    fill_gutter(texture, known)
    border = (size // 2 - gap // 2) / size  # of the red chart
    level, texel = texture, 1
    while texel * 2 <= gap:
        v = np.linspace(4 / size, 1 - 6 / size, 50)
        for u in (border, border - 0.5 / size, 4 / size):
            np.testing.assert_allclose(bilinear(level, np.full(50, u), v), np.broadcast_to(RED, (50, 3)), atol=1e-6)
        level, texel = halve(level), texel * 2


def test_every_level_is_the_box_mean_of_the_one_before_and_of_known_colours_alone() -> None:
    rng = np.random.default_rng(5)
    size = 64
    known = rng.random((size, size)) < 0.02
    texture = np.where(known, rng.uniform(0.4, 0.6, (3, size, size)), np.nan).astype(np.float32)
    colors = texture[:, known].copy()
    levels = mip_chain(texture, known)
    assert [level.shape for level in levels] == [(3, size >> k, size >> k) for k in range(7)]
    assert np.shares_memory(levels[0], texture)
    np.testing.assert_array_equal(texture[:, known], colors)
    for finer, coarser in itertools.pairwise(levels):
        np.testing.assert_allclose(halve(finer), coarser, atol=1e-6)
        low, high = colors.min(axis=1), colors.max(axis=1)
        assert (coarser >= low[:, None, None] - 1e-6).all()
        assert (coarser <= high[:, None, None] + 1e-6).all()


@pytest.mark.parametrize("rings", [1, 2, 5])
def test_each_ring_takes_the_colours_beside_it(rings: int) -> None:
    texture, known = two_charts(64, 20)
    fill_gutter(texture, known, rings)
    for ring in range(1, rings + 1):
        np.testing.assert_allclose(texture[:, 20, 22 + ring - 1], RED, atol=1e-6)
        np.testing.assert_allclose(texture[:, 20, 42 - ring], BLUE, atol=1e-6)


@pytest.mark.parametrize("shape", [(1, 1), (7, 5), (33, 64), (1, 9)])
def test_sizes_that_are_no_power_of_two(shape: tuple[int, int]) -> None:
    known = np.zeros(shape, bool)
    known[-1, -1] = True
    texture = np.where(known, RED[:, None, None], np.float32(np.nan))
    levels = mip_chain(texture, known)
    assert levels[-1].shape == (3, 1, 1)
    for level in levels:
        np.testing.assert_allclose(level, np.broadcast_to(RED[:, None, None], level.shape), atol=1e-6)


def test_nothing_known_is_an_error_and_all_known_changes_nothing() -> None:
    texture = np.random.default_rng(0).random((3, 16, 16), dtype=np.float32)
    with pytest.raises(InvalidInput):
        fill_gutter(texture.copy(), np.zeros((16, 16), bool))
    with pytest.raises(ValueError, match="rings"):
        fill_gutter(texture.copy(), np.ones((16, 16), bool), 0)
    before = texture.copy()
    np.testing.assert_array_equal(fill_gutter(texture, np.ones((16, 16), bool)), before)


def test_the_same_bytes_on_any_number_of_threads() -> None:
    rng = np.random.default_rng(2)
    known = rng.random((200, 200)) < 0.01
    texture = rng.random((3, 200, 200), dtype=np.float32)
    made = []
    before = numba.get_num_threads()
    for threads in (1, before):
        numba.set_num_threads(threads)
        made.append(fill_gutter(texture.copy(), known))
    np.testing.assert_array_equal(made[0], made[1])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("height", "width", "rings"), [(64, 64, 2), (37, 53, 3), (1, 9, 1), (5, 2, 254)])
def test_the_kernel_is_the_plain_form(device: str, height: int, width: int, rings: int) -> None:
    """To the bit on a CPU: the same float32 additions in the same order."""
    rng = np.random.default_rng(height)
    texture = rng.random((3, height, width)).astype(np.float32)
    known = np.kron(rng.random((-(-height // 4), -(-width // 4))) < 0.2, np.ones((4, 4)))[:height, :width] > 0
    known[height // 2, width // 2] = True
    texture[:, ~known] = np.nan
    fast = mip_chain(texture.copy(), known, rings, impl="cpu")
    plain = mip_chain(texture.copy(), known, rings, device=device, impl="plain")
    assert len(fast) == len(plain)
    for one, other in zip(fast, plain, strict=True):
        assert np.isfinite(one).all()
        np.testing.assert_allclose(one, other, rtol=0 if device == "cpu" else 1e-6)
