"""Resampling and smoothing: nothing is shifted, NumPy and SciPy are agreed with, on every device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from backend.ops.cuda_kernels import SIMULATED
from backend.ops.resampling import bilinear, interpolate, nearest, resize
from backend.ops.smoothing import Edge, gaussian

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(40, 50), (80, 100), (23, 31), (80, 25)])
def test_a_plane_stays_in_place(size: tuple[int, int], device: str) -> None:
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(50.0), indexing="ij")
    made = resize((3 * rows - 2 * columns).to(device), size).cpu()
    assert made.shape == size
    at = [(torch.arange(new) + 0.5) * old / new - 0.5 for new, old in zip(size, (40, 50), strict=True)]
    expected = 3 * at[0][:, None] - 2 * at[1][None]
    torch.testing.assert_close(
        made[5:-5, 5:-5], expected[5:-5, 5:-5], rtol=0, atol=0.3
    )  # half a pixel would be 1 or more


def test_waves_too_fine_for_the_new_grid_are_low_passed_unless_told_otherwise() -> None:
    checker = (torch.arange(64)[:, None] + torch.arange(64)[None]) % 2 * 2.0 - 1.0
    assert float(resize(checker, (16, 16)).abs().max()) < 0.05
    assert float(resize(checker, (21, 21), antialias=False).abs().max()) > 0.5


def test_the_same_size_costs_nothing_and_leading_axes_are_kept() -> None:
    values = torch.rand(2, 3, 8, 9)
    assert resize(values, (8, 9)) is values
    both = resize(values, (12, 5))
    assert both.shape == (2, 3, 12, 5)
    assert torch.equal(both[1, 2], resize(values[1, 2], (12, 5)))


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [(5, 7), (10, 14), (3, 2), (13, 5)])
def test_nearest_takes_the_pixel_under_the_centre(size: tuple[int, int], device: str) -> None:
    labels = torch.arange(35, dtype=torch.uint8).reshape(5, 7)
    made = nearest(labels.to(device), size).cpu()
    for y in range(size[0]):
        for x in range(size[1]):
            assert made[y, x] == labels[int((y + 0.5) * 5 / size[0]), int((x + 0.5) * 7 / size[1])]


@pytest.mark.parametrize("device", DEVICES)
def test_interpolation_is_numpy_s(device: str) -> None:
    random = np.random.default_rng(0)
    xp = np.sort(np.concatenate([random.random(30), np.repeat(random.random(3), 4)]))
    fp, x = random.random(42), np.concatenate([random.random(500) * 1.4 - 0.2, xp])
    found = interpolate(*(torch.from_numpy(values).to(device) for values in (x, xp, fp)))
    np.testing.assert_allclose(found.cpu().numpy(), np.interp(x, xp, fp), rtol=0, atol=1e-12)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("edge", ["nearest", "reflect"])
@pytest.mark.parametrize("sigma", [0.5, 2.3, 16.0])
def test_gaussian_is_scipy_s(sigma: float, edge: str, device: str) -> None:
    values = np.random.default_rng(1).standard_normal((31, 90)).astype(np.float32)
    found = gaussian(torch.from_numpy(values).to(device), sigma, edge=edge, impl="plain")  # type: ignore[arg-type]
    expected = gaussian_filter(values, sigma, mode=edge)
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=0, atol=1e-6)
    assert np.array_equal(gaussian(torch.from_numpy(values), sigma, edge=edge, impl="cpu").numpy(), expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("edge", ["nearest", "reflect"])
@pytest.mark.parametrize("sigma", [0.5, 4.0])
def test_the_cuda_twin_smooths_as_the_plain_form(sigma: float, edge: Edge) -> None:
    """Also a map that is narrower than the taps reach, whose mirror images are mirrored again."""
    values = torch.from_numpy(np.random.default_rng(1).standard_normal((7, 20)).astype(np.float32))
    twin = gaussian(values.to("cpu" if SIMULATED else "cuda"), sigma, edge=edge, impl="cuda").cpu()
    torch.testing.assert_close(twin, gaussian(values, sigma, edge=edge, impl="plain"), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("side", "size"), [(64, (128, 128)), (33, (70, 41))])
def test_bilinear_gives_the_same_bytes_for_any_number_of_threads(side: int, size: tuple[int, int]) -> None:
    image = torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(1))
    before, made = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            made.append(bilinear(image, size))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])
    expected = F.interpolate(image.double(), size=size, mode="bilinear", align_corners=False)
    torch.testing.assert_close(made[0].double(), expected, atol=4e-6, rtol=0)  # positions are rounded to float32
