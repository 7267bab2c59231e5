"""Filters for sliced Wasserstein distances: the directions in which the patches of two images are compared.

Drawn on the CPU from an explicit generator, so that a seed gives the same filters on every device. What exemplars look like
through them is backend.ops.patches.sliced_wasserstein.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from backend.ops.patches.constants import PATCH

LOCAL_SIGMAS = (0.5, 2.0)  # pixels, the least and the most of local_filters()


def random_filters(
    count: int, generator: torch.Generator, whiten: Tensor | None = None, *, channels: int = 1
) -> Tensor:
    """count (even, fewer than a patch has values) random orthonormal filters, float32 [count, channels, 7, 7].

    whiten [49 * channels, 49 * channels] is applied to them before they are scaled to unit length again: with a power of the
    inverse patch covariance the directions in which terrain varies little (slope, curvature) get a share of the bank, which
    uniform directions hardly give them.
    """
    values = channels * PATCH * PATCH
    if count % 2 or not 2 <= count < values:
        raise ValueError(f"a bank has an even number of filters from 2 to {(values - 1) // 2 * 2}, not {count}")
    if channels == 1:  # what the seeds of a map give was settled with LAPACK
        draw = torch.randn(values, values, generator=generator, dtype=torch.float64).numpy()
        filters = np.linalg.qr(draw)[0][:, :count].T
    else:
        filters = _orthonormal(torch.randn(count, values, generator=generator, dtype=torch.float64).numpy())
    if whiten is not None:
        filters = filters @ whiten.numpy()
        filters /= np.linalg.norm(filters, axis=1, keepdims=True)
    return torch.from_numpy(np.ascontiguousarray(filters.reshape(count, channels, PATCH, PATCH), np.float32))


def _orthonormal(rows: np.ndarray) -> np.ndarray:
    """Gram and Schmidt's rows, twice over. LAPACK's bytes depend on its number of threads for matrices of this size."""
    made = np.zeros_like(rows)
    for number, row in enumerate(rows):
        for _ in range(2):
            along = (made[:number] * row).sum(axis=1, keepdims=True)
            row = row - (made[:number] * along).sum(axis=0)
        made[number] = row / np.sqrt(np.square(row).sum())
    return made


def local_filters(count: int, generator: torch.Generator, *, channels: int = 1) -> Tensor:
    """count random filters of unit length that look at a few pixels about the centre, float32 [count, channels, 7, 7]; every second
    one has the sum 0.

    What a filter over a whole patch answers is nearly normal, as every sum of many numbers is, and hardly tells specks from haze.
    """
    place = torch.arange(PATCH, dtype=torch.float64) - PATCH // 2
    square = place[:, None] ** 2 + place**2
    least, most = (math.log(sigma) for sigma in LOCAL_SIGMAS)
    sigmas = torch.exp(least + (most - least) * torch.rand(count, 1, 1, 1, generator=generator, dtype=torch.float64))
    window = torch.exp(-square / (2.0 * sigmas**2))
    filters = torch.randn(count, channels, PATCH, PATCH, generator=generator, dtype=torch.float64) * window
    sums = filters.sum((2, 3), keepdim=True) / window.sum((2, 3), keepdim=True)
    filters[1::2] -= (sums * window)[1::2]
    return (filters / filters.square().sum((1, 2, 3), keepdim=True).sqrt()).float().contiguous()


def derivative_filters(count: int, generator: torch.Generator) -> Tensor:
    """count first and count second differences of a map in random directions, float32 [2 * count, 1, 7, 7], unit length.

    Every second of the second differences is the five-point Laplacian. A bank that holds some of these matches
    slope and curvature, on which a light falls and water runs, to a few hundredths; random directions hardly see
    them, for height varies so much more.
    """
    filters = np.zeros((2 * count, PATCH, PATCH))
    angles = 2 * np.pi * torch.rand(2 * count, generator=generator, dtype=torch.float64).numpy()
    for n, angle in enumerate(angles):
        cosine, sine = np.cos(angle), np.sin(angle)
        if n < count:
            across, down, centre, sign = cosine, sine, 0.0, -1.0
        else:
            across, down = (cosine**2, sine**2) if n % 2 else (0.5, 0.5)
            centre, sign = -2.0 * (across + down), 1.0
        filters[n, 3, 4], filters[n, 3, 2] = across, sign * across
        filters[n, 4, 3], filters[n, 2, 3] = down, sign * down
        filters[n, 3, 3] = centre
        filters[n] /= np.linalg.norm(filters[n])
    return torch.from_numpy(filters[:, None].astype(np.float32))


def whitening(height: Tensor, power: float) -> Tensor:
    """C^(-power/2) [49, 49] float64 on the CPU, of the covariance C of the patches of a map [H, W]; eigenvalues below 1e-6
    of the first are raised to it."""
    windows = np.lib.stride_tricks.sliding_window_view(height.cpu().numpy(), (PATCH, PATCH))
    step = max(1, int(np.sqrt(windows.shape[0] * windows.shape[1] / 20000)))
    patches = windows[::step, ::step].reshape(-1, PATCH * PATCH).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    values = np.maximum(values, max(1e-6 * float(values.max()), 1e-30))
    return torch.from_numpy((vectors * values ** (-power / 2)) @ vectors.T)
