"""Explicit noise: white noise on ever coarser grids, each repeated to full size and smoothed by a window, then
averaged.

    N = (1/L) sum over i < L of  K_i * (U_i repeated 2^i times),   U_i uniform on [0, 1)

with K_i the outer product of two windows of k taps (Merizzi's morphology transfer, arXiv 2403.08782). The
source takes the windows as they are, with peak 1, so that a wide one outweighs a narrow one by its mass; here
each sums to 1 unless legacy is asked for. U_i is a hash of global cell numbers: there is no border, hence none
of the source's reflection at it, and windows of one terrain agree bit for bit. Nothing here knows metres.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from scipy.signal import windows
from torch import Tensor

from backend.ops.hashing import mix32
from backend.ops.terrain.lattice import Lattice, make_lattice, stream_key
from backend.ops.terrain.noise import Window

Kernel = Literal["gaussian", "blackman-harris", "bartlett", "cosine", "bartlett-hann"]
_STREAM = 0x4558504C  # keeps the layers' hash apart from the octaves' of the gradient noise


@dataclass(frozen=True, kw_only=True)
class ExplicitNoise:
    """kernel_px: taps k. sigmas_px: of the Gaussian, one a layer; the other windows have no width but k.
    period_px: (width, height) after which it repeats, or None. legacy: windows with peak 1 instead of sum 1."""

    kernel: Kernel = "gaussian"
    kernel_px: int = 20
    sigmas_px: tuple[float, ...] = (1.0, 1.0, 3.0, 4.0)
    seed: int = 0
    period_px: tuple[int, int] | None = None
    legacy: bool = False


def window_taps(kernel: Kernel, taps: int, sigma_px: float, legacy: bool = False) -> np.ndarray:
    """The k taps of one window, float64; they sum to 1 unless legacy. Raises ValueError where all of them are zero."""
    values = {
        "gaussian": lambda: windows.gaussian(taps, sigma_px),
        "blackman-harris": lambda: windows.blackmanharris(taps),
        "bartlett": lambda: windows.bartlett(taps),
        "cosine": lambda: windows.cosine(taps),
        "bartlett-hann": lambda: windows.barthann(taps),
    }[kernel]()
    mass = float(values.sum())
    if mass < 1e-12:
        raise ValueError(f"a {kernel} window of {taps} taps is zero everywhere")
    return values if legacy else values / mass


def evaluate(noise: ExplicitNoise, window: Window, device: torch.device | str = "cpu") -> Tensor:
    """The noise over a window of global pixels, float32 [1, 1, H, W] on the device; mean 1/2 unless legacy."""
    device = torch.device(device)
    total = torch.zeros(window.height, window.width, device=device)
    for layer, sigma_px in enumerate(noise.sigmas_px):
        taps = window_taps(noise.kernel, noise.kernel_px, sigma_px, noise.legacy)
        along_x, along_y = (_layer_lattice(noise, layer, axis) for axis in range(2))
        total = total + _layer(taps, along_x, along_y, window, device)
    return (total / float(len(noise.sigmas_px)))[None, None]


def deviation(noise: ExplicitNoise) -> float:
    """The standard deviation over all pixels and seeds, in closed form: layers are independent, and the weights
    of a layer's cells in a pixel repeat every 2^i pixels."""
    variance = 0.0
    for layer, sigma_px in enumerate(noise.sigmas_px):
        taps = window_taps(noise.kernel, noise.kernel_px, sigma_px, noise.legacy)
        _, weights = _cell_weights(taps, Lattice(frequency=0.5**layer, shift=0.0, key=0), 0, 2**layer)
        variance += float(np.mean(np.sum(weights**2, axis=1))) ** 2 / 12.0
    return variance**0.5 / len(noise.sigmas_px)


def _layer_lattice(noise: ExplicitNoise, layer: int, axis: int) -> Lattice:
    period = noise.period_px[axis] if noise.period_px else None
    return make_lattice(2.0**layer, 0.0, stream_key(noise.seed, _STREAM, layer, axis), period)


def _cell_weights(taps: np.ndarray, lattice: Lattice, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of count pixels from start: the first cell under its window (int64 [count]), and the window's
    mass in that cell and in those after it (float64 [count, M]). Smoothing repeated cells is summing these few
    products."""
    # scipy.ndimage.convolve, which the source uses, lets an even window reach one pixel further to the right
    pixels = np.arange(count, dtype=np.int64)[:, None] + start - (taps.size - 1) // 2 + np.arange(taps.size)
    cells, _ = lattice.locate(pixels)
    if lattice.period_px is not None and lattice.cells is not None:
        cells = cells + np.floor_divide(pixels, lattice.period_px) * lattice.cells
    first = cells[:, 0]
    place = cells - first[:, None]
    weights = np.zeros((count, int(place.max()) + 1))
    np.add.at(weights, (np.arange(count)[:, None], place), taps)
    return first, weights


def _layer(taps: np.ndarray, along_x: Lattice, along_y: Lattice, window: Window, device: torch.device) -> Tensor:
    """One smoothed layer [H, W]: along x once for each lattice row in reach, then along y. Sums run cell by
    cell in a fixed order, so that the bits do not depend on the window."""
    first_x, weights_x = _cell_weights(taps, along_x, window.x, window.width)
    first_y, weights_y = _cell_weights(taps, along_y, window.y, window.height)
    columns = np.arange(first_x.min(), first_x.max() + weights_x.shape[1], dtype=np.int64)
    rows = np.arange(first_y.min(), first_y.max() + weights_y.shape[1], dtype=np.int64)
    column_keys, row_keys = (
        torch.from_numpy(lattice.keys(cells).astype(np.int64)).to(device)
        for lattice, cells in ((along_x, columns), (along_y, rows))
    )
    uniform = (mix32(column_keys[None, :] ^ row_keys[:, None]) >> 8).to(torch.float32) * 2.0**-24
    index_x = torch.from_numpy(first_x - columns[0]).to(device)
    index_y = torch.from_numpy(first_y - rows[0]).to(device)
    mass_x = torch.from_numpy(weights_x.astype(np.float32)).to(device)
    mass_y = torch.from_numpy(weights_y.astype(np.float32)).to(device)
    smooth_x = sum(mass_x[None, :, m] * uniform[:, index_x + m] for m in range(mass_x.shape[1]))
    assert isinstance(smooth_x, Tensor)
    smooth = sum(mass_y[:, m, None] * smooth_x[index_y + m, :] for m in range(mass_y.shape[1]))
    assert isinstance(smooth, Tensor)
    return smooth
