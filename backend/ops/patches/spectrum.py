"""The radial power spectrum of a height map brought to that of exemplars, by a smooth gain that keeps every phase.

Patches of 7 x 7 pixels see relief through the windows of one level: power that draining and the levels above add between
those scales is corrected by nothing else, and runs up to half too high. Here each third of an octave gets its gain, by a
cosine transform: mirrored edges have no seam, and every place counts alike. (Under a window the middle of the map would
count most, and the gain would make up for where the mountains happen to stand: slopes came out wrong by a tenth.)

Plain torch on any device, NumPy and SciPy on the CPU, kernels between cuFFT's transforms on CUDA. This module knows no pyramid;
backend.measures.terrain_statistics judges by a definition of its own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, Implementation, choose
from backend.ops.patches.constants import BANDS_PER_OCTAVE, HIGHEST_FREQUENCY, MOST_GAIN
from backend.ops.resampling import interpolate


@dataclass(frozen=True)
class Spectrum:
    """Log power in bands that fall from HIGHEST_FREQUENCY by a third of an octave; nan where a band holds no frequency."""

    log_power: Tensor  # [bands] float64, natural log


def measure(heights: Sequence[Tensor], longest_px: float, *, impl: Impl = "auto") -> Spectrum:
    """The mean spectrum of several maps [h, w] float32, down to a wavelength of longest_px."""
    bands = max(1, round(BANDS_PER_OCTAVE * math.log2(longest_px * HIGHEST_FREQUENCY)))
    chosen = choose(impl, heights[0].device, cuda=True)
    if chosen == "cpu":
        from backend.ops.patches import spectrum_cpu

        return Spectrum(torch.from_numpy(spectrum_cpu.log_power([height.numpy() for height in heights], bands)))
    powers = [_band_power(_transform(height), bands, chosen) for height in heights]
    return Spectrum(torch.stack(powers).mean(0).log())


def match(height: Tensor, target: Spectrum, strength: float, *, impl: Impl = "auto") -> Tensor:
    """A map [H, W] float32 whose spectrum lies `strength` (0..1) of the way nearer to the target, in the log."""
    chosen = choose(impl, height.device, cuda=True)
    if chosen == "cpu":
        from backend.ops.patches import spectrum_cpu

        return torch.from_numpy(spectrum_cpu.match(height.numpy(), target.log_power.numpy(), strength))
    transformed = _transform(height)
    wanted = target.log_power.to(height.device)
    gain = 0.5 * strength * (wanted - _band_power(transformed, len(wanted), chosen).log())
    gain = torch.where(gain.isfinite(), gain, 0.0).clamp(-math.log(MOST_GAIN), math.log(MOST_GAIN))
    # above the lowest band the gain goes on level for one band and then fades out: the largest forms are the map's
    gain = torch.cat([gain, gain.new_zeros(1)])
    if chosen == "cuda":
        from backend.ops.patches import spectrum_cuda

        changed = spectrum_cuda.scaled(transformed, gain)
    else:
        at = (torch.arange(len(gain), device=gain.device, dtype=gain.dtype) + 0.5) / BANDS_PER_OCTAVE
        changed = transformed * interpolate(_octaves(height), at, gain).exp().float()
    return _inverse_dct(_inverse_dct(changed).T).T.contiguous()


def _transform(height: Tensor) -> Tensor:
    """The orthonormal cosine transform of a map [H, W]."""
    return _dct(_dct(height).T).T


def _band_power(transformed: Tensor, bands: int, chosen: Implementation) -> Tensor:
    """Mean power [bands] float64 of a cosine transform [H, W]; orthonormal, so maps of unlike size compare."""
    if chosen == "cuda":
        from backend.ops.patches import spectrum_cuda

        return spectrum_cuda.band_power(transformed, bands)
    # a frequency on the border of two bands, such as a quarter, goes to the lower one on every device, whatever its last bit
    band = (_octaves(transformed) * BANDS_PER_OCTAVE + 1e-9).floor().long().flatten()
    band = torch.where((band < 0) | (band >= bands), bands, band)
    squares = transformed.double().square().flatten()
    power, count = (
        squares.new_zeros(bands + 1).index_add(0, band, values) for values in (squares, torch.ones_like(squares))
    )
    return power[:bands] / count[:bands]


def _octaves(like: Tensor) -> Tensor:
    """Octaves below HIGHEST_FREQUENCY [H, W] float64 of the coefficients of a cosine transform, the corners (above it) at it."""
    down, across = (torch.arange(side, device=like.device, dtype=torch.float64) / (2 * side) for side in like.shape)
    radius = torch.hypot(down[:, None], across[None])
    radius[0, 0] = 1e-9
    return torch.log2(HIGHEST_FREQUENCY / radius).clamp_min(0.0)


def _dct(values: Tensor) -> Tensor:
    """Orthonormal DCT-II along the last axis: the Fourier transform of the row followed by its mirror image."""
    count = values.shape[-1]
    doubled = torch.fft.rfft(torch.cat([values, values.flip(-1)], dim=-1))[..., :count]
    scale, turn = _phases(values)
    return (doubled * turn.conj()).real * scale


def _inverse_dct(coefficients: Tensor) -> Tensor:
    count = coefficients.shape[-1]
    scale, turn = _phases(coefficients)
    doubled = torch.cat([coefficients / scale * turn, coefficients.new_zeros(*coefficients.shape[:-1], 1)], dim=-1)
    return torch.fft.irfft(doubled, n=2 * count)[..., :count]


def _phases(like: Tensor) -> tuple[Tensor, Tensor]:
    """For each coefficient the factor that makes it orthonormal, and the half-sample turn of its mirrored row."""
    return _phases_of(like.shape[-1], like.dtype, like.device)


@functools.lru_cache(maxsize=8)
def _phases_of(count: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    scale = torch.full((count,), math.sqrt(1 / (2 * count)), device=device, dtype=dtype)
    scale[0] = math.sqrt(1 / (4 * count))
    angle = torch.arange(count, device=device, dtype=torch.float64) * (math.pi / (2 * count))
    return scale, torch.polar(torch.ones_like(angle), angle).to(torch.complex64)
