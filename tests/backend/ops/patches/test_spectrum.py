"""Spectrum match: power and phase in closed form, and the plain form on every device against SciPy's transform."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import fft
from scipy.ndimage import gaussian_filter
from torch import Tensor

from backend.ops.cuda_kernels import SIMULATED
from backend.ops.patches import spectrum
from backend.ops.patches.constants import BANDS_PER_OCTAVE, MOST_GAIN

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
KERNELS_ON = "cpu" if SIMULATED else "cuda"


def terrain(rows: int, columns: int, seed: int, sigma: float = 1.5) -> Tensor:
    return torch.from_numpy(
        gaussian_filter(np.random.default_rng(seed).standard_normal((rows, columns)), sigma).astype(np.float32)
    )


def waves(side: int, *numbers: tuple[int, int, float]) -> Tensor:
    """A sum of cosines of the cosine transform's own basis: (down, across, amplitude of an orthonormal one)."""
    place = (np.arange(side) + 0.5) * np.pi / side
    total = np.zeros((side, side))
    for down, across, amplitude in numbers:
        total += amplitude * 2 / side * np.outer(np.cos(down * place), np.cos(across * place))
    return torch.from_numpy(total.astype(np.float32))


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_power_of_one_wave_lies_in_its_band_alone(impl: str) -> None:
    side, amplitude = 64, 3.0
    measured = spectrum.measure([waves(side, (5, 12, amplitude))], 32.0, impl=impl).log_power.exp()  # type: ignore[arg-type]
    band = int(math.log2(0.5 / (13 / (2 * side))) * BANDS_PER_OCTAVE)
    down, across = np.meshgrid(np.arange(side), np.arange(side), indexing="ij")
    octaves = np.log2(np.maximum(0.5 / np.maximum(np.hypot(down, across) / (2 * side), 1e-9), 1.0))
    inside = int((np.floor(octaves * BANDS_PER_OCTAVE) == band).sum())
    assert float(measured[band]) == pytest.approx(amplitude**2 / inside, rel=1e-4)
    assert float(np.delete(measured.numpy(), band).max()) < 1e-9 * amplitude**2


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_gain_is_half_the_log_ratio_times_the_strength_and_no_phase_turns(impl: str) -> None:
    height = terrain(96, 96, 1)
    target = spectrum.Spectrum(spectrum.measure([height], 40.0).log_power + 2 * math.log(1.3))
    made = spectrum.match(height, target, 0.5, impl=impl)  # type: ignore[arg-type]
    before, after = (fft.dctn(values.double().numpy(), norm="ortho") for values in (height, made))
    down, across = np.meshgrid(np.arange(96), np.arange(96), indexing="ij")
    known = np.hypot(down, across) / (2 * 96) > 1 / 32  # above the lowest band the gain fades out
    large = known & (np.abs(before) > 1e-3 * np.abs(before).max())
    np.testing.assert_allclose((after / before)[large], 1.3**0.5, rtol=2e-3)  # real and above 0: the phase is kept
    assert after[0, 0] == pytest.approx(before[0, 0], abs=1e-4 * np.abs(before).max())  # the mean is the map's


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_gain_is_bounded_and_a_map_that_is_right_stays(impl: str) -> None:
    height = terrain(64, 80, 1)
    own = spectrum.measure([height], 30.0)
    same = spectrum.match(height, own, 1.0, impl=impl)  # type: ignore[arg-type]
    torch.testing.assert_close(same, height, rtol=0, atol=1e-5)
    loud = spectrum.match(height, spectrum.Spectrum(own.log_power + 50.0), 1.0, impl=impl)  # type: ignore[arg-type]
    assert float(loud.std() / height.std()) <= MOST_GAIN * 1.001


@pytest.mark.parametrize(("rows", "columns"), [(20, 26), (17, 9)])
def test_the_cuda_twin_equals_the_plain_form(rows: int, columns: int) -> None:
    height = terrain(rows, columns, 1)
    there = height.to(KERNELS_ON)
    plain = spectrum.measure([height, terrain(30, 20, 2)], 12.0, impl="plain")
    twin = spectrum.measure([there, terrain(30, 20, 2).to(KERNELS_ON)], 12.0, impl="cuda")
    torch.testing.assert_close(twin.log_power.cpu(), plain.log_power, rtol=0, atol=1e-5)
    target = spectrum.Spectrum(plain.log_power + torch.linspace(-0.6, 0.6, len(plain.log_power)))
    changed = spectrum.match(height, target, 0.7, impl="plain")
    torch.testing.assert_close(spectrum.match(there, target, 0.7, impl="cuda").cpu(), changed, rtol=0, atol=1e-5)
    assert float((changed - height).abs().max()) > 0.01


def test_full_strength_brings_the_spectrum_of_the_exemplar() -> None:
    height, exemplar = terrain(128, 128, 1, 1.5), 1.2 * terrain(100, 140, 2, 1.6)
    target = spectrum.measure([exemplar], 16.0)

    def gap(values: Tensor) -> float:
        return float((spectrum.measure([values], 16.0).log_power - target.log_power)[1:].abs().mean())

    made = height
    for _ in range(3):
        made = spectrum.match(made, target, 1.0)
    assert gap(made) < 0.1 * gap(height)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("rows", "columns"), [(8, 8), (33, 40), (70, 131), (128, 128)])
def test_plain_form_equals_the_cpu_s(rows: int, columns: int, device: str) -> None:
    height, exemplars = terrain(rows, columns, 1), [terrain(50, 60, 2), terrain(61, 47, 3)]
    fused = spectrum.measure(exemplars, 40.0, impl="cpu")
    plain = spectrum.measure([exemplar.to(device) for exemplar in exemplars], 40.0, impl="plain")
    torch.testing.assert_close(plain.log_power.cpu(), fused.log_power, rtol=0, atol=1e-4, equal_nan=True)
    expected = spectrum.match(height, fused, 0.5, impl="cpu")
    found = spectrum.match(height.to(device), plain, 0.5, impl="plain").cpu()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 if device == "cpu" else 1e-4)  # transforms in float32
