"""Sliced Wasserstein distance between the 7 x 7 patches of two height maps, and its gradient in closed form.

With a bank of K filters W_k, L = 1/2 sum_k W2²(W_k x, W_k y) and, for fixed ranks,
    dL/dx = sum_k W_kᵀ (W_k x - T_k(W_k x)),   T_k = F⁻¹_{y,k} o F_{x,k}
(Bonneel et al. 2015, doi:10.1007/s10851-014-0506-3; on image patches: Elnekave and Weiss 2022, arXiv 2203.11862).
Where they sort, F_x is a histogram of BINS bins and T_k a table that is linear between bin edges: two passes over
the samples, an error below a bin's width. What the exemplar says (its quantiles) is measured once for a bank, not
at every step. No autograd: a convolution, a look-up and a transposed convolution.

`ascent_plain` is the op in plain torch, for any device; `ascent` takes the fused kernel on a CPU. Nothing here
knows a pyramid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.patches import sliced_wasserstein_cpu as kernel

PATCH = kernel.PATCH
BINS = 1024  # of the moving map's histogram
TARGET_BINS = 4096
QUANTILES = 2048
FLOOR = (
    0.5  # of the ascent's root mean square: Adam's epsilon; a small one draws lines where the ascent is nearly nothing
)
ENOUGH_PX = 60000  # of an exemplar, to know its quantiles
MARGIN = 0.3  # the table reaches this share of the target's span beyond each of its ends
ALL = np.empty((0, 0), np.uint8)
EVEN = np.empty((0, 0), np.float32)


@dataclass(frozen=True)
class FilterBank:
    """Filters and what the exemplar's patches look like through them. Arrays are float32, C-contiguous."""

    filters: np.ndarray  # [K, 7, 7], K even
    quantiles: np.ndarray  # [K, Q] of the exemplar's projections at levels 0..1
    low: np.ndarray  # [K] lower end of the table
    scale: np.ndarray  # [K] bins a unit


def random_filters(count: int, generator: torch.Generator, whiten: np.ndarray | None = None) -> np.ndarray:
    """count (even, at most 48) random orthonormal 7 x 7 filters, float32 [count, 7, 7].

    whiten [49, 49] is applied to them before they are scaled to unit length again: with a power of the inverse
    patch covariance the directions in which terrain varies little (slope, curvature) get a share of the bank, which
    uniform directions hardly give them.
    """
    if count % 2 or not 2 <= count <= PATCH * PATCH - 1:
        raise ValueError(f"a bank has an even number of filters from 2 to 48, not {count}")
    draw = torch.randn(PATCH * PATCH, PATCH * PATCH, generator=generator, dtype=torch.float64).numpy()
    filters = np.linalg.qr(draw)[0][:, :count].T
    if whiten is not None:
        filters = filters @ whiten
        filters /= np.linalg.norm(filters, axis=1, keepdims=True)
    return np.ascontiguousarray(filters.reshape(count, PATCH, PATCH), np.float32)


def derivative_filters(count: int, generator: torch.Generator) -> np.ndarray:
    """count first and count second differences in random directions, float32 [2 * count, 7, 7], unit length.

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
    return filters.astype(np.float32)


def whitening(height: np.ndarray, power: float) -> np.ndarray:
    """C^(-power/2) [49, 49] of the covariance C of the patches of a map [H, W]; eigenvalues below 1e-6 of the first
    are raised to it."""
    windows = np.lib.stride_tricks.sliding_window_view(height, (PATCH, PATCH))
    step = max(1, int(np.sqrt(windows.shape[0] * windows.shape[1] / 20000)))
    patches = windows[::step, ::step].reshape(-1, PATCH * PATCH).astype(np.float64)
    values, vectors = np.linalg.eigh(np.cov(patches, rowvar=False))
    values = np.maximum(values, max(1e-6 * float(values.max()), 1e-30))
    return (vectors * values ** (-power / 2)) @ vectors.T


def measure(exemplars: Sequence[np.ndarray], filters: np.ndarray) -> FilterBank:
    """The quantiles of the patches of exemplars [h, w] float32, pooled, from a histogram of TARGET_BINS bins
    between their extremes; of large maps on some of their rows, for a few 10000 patches tell as much as all."""
    steps = [max(1, exemplar.size // ENOUGH_PX) for exemplar in exemplars]
    extents = [kernel.projection_extent(exemplar, filters) for exemplar in exemplars]
    low = np.min([extent[0] for extent in extents], axis=0)
    span = np.maximum(np.max([extent[1] for extent in extents], axis=0) - low, np.float32(1e-6))
    scale = (TARGET_BINS / span).astype(np.float32)
    counts = sum(
        kernel.projection_histogram(exemplar, filters, low, scale, TARGET_BINS, 0, step, ALL, 0).astype(np.int64)
        for exemplar, step in zip(exemplars, steps, strict=True)
    )
    levels = np.linspace(0.0, 1.0, QUANTILES)
    edges = np.arange(TARGET_BINS + 1) / TARGET_BINS
    quantiles = np.empty((len(filters), QUANTILES), np.float32)
    for k, row in enumerate(np.asarray(counts)):
        below = np.concatenate(([0], np.cumsum(row))) / row.sum()
        quantiles[k] = low[k] + span[k] * np.interp(levels, below, edges)
    table_low = (low - MARGIN * span).astype(np.float32)
    return FilterBank(filters, quantiles, table_low, (BINS / ((1 + 2 * MARGIN) * span)).astype(np.float32))


def ascent(
    height: np.ndarray,  # [H, W] float32
    bank: FilterBank,
    *,
    row_first: int = 0,
    row_step: int = 1,
    labels: np.ndarray = ALL,
    label: int = 0,
    weight: np.ndarray = EVEN,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """-dL/dx [H, W], added to `out` where given. On the CPU, fused.

    row_first, row_step: the map's own distribution is counted on every row_step-th row of patches. labels, label:
    counted where the patch's centre has that label. weight [H, W]: a factor for each patch, at its centre.
    """
    counts = kernel.projection_histogram(
        height, bank.filters, bank.low, bank.scale, BINS, row_first, row_step, labels, label
    )
    table = kernel.transport_table(counts, bank.quantiles, bank.low, bank.scale)
    out = np.zeros_like(height) if out is None else out
    kernel.add_gradient(height, bank.filters, bank.low, bank.scale, table, weight, out)
    return out


def ascent_plain(height: Tensor, bank: FilterBank) -> Tensor:  # [1, 1, H, W] -> [1, 1, H, W]
    """The same in plain torch, on the tensor's own device, with every projection in memory: the form that the
    kernel must equal."""
    filters, quantiles, low, scale = (
        torch.as_tensor(values, device=height.device) for values in (bank.filters, bank.quantiles, bank.low, bank.scale)
    )
    filters = filters[:, None]
    projections = F.conv2d(height, filters)
    flat = projections[0].flatten(1)  # [K, N]
    place = (flat - low[:, None]) * scale[:, None]
    bins = place.clamp(0, BINS - 1).long()
    counts = torch.zeros(len(flat), BINS, device=flat.device, dtype=torch.float64)
    counts.scatter_add_(1, bins, torch.ones_like(flat, dtype=torch.float64))
    below = F.pad(counts.cumsum(1), (1, 0)) / flat.shape[1] * (quantiles.shape[1] - 1)
    index = below.long().clamp_max(quantiles.shape[1] - 2)
    lower, upper = quantiles.gather(1, index), quantiles.gather(1, index + 1)
    edges = low[:, None] + torch.arange(BINS + 1, device=flat.device) / scale[:, None]
    table = (lower + (below - index) * (upper - lower) - edges).float()
    place = place.clamp(0, BINS * (1 - 1e-6))
    bins = place.long()
    left, right = table.gather(1, bins), table.gather(1, bins + 1)
    displacement = (left + (place - bins) * (right - left)).view_as(projections)
    return F.conv_transpose2d(displacement, filters)


class Adam:
    """Adam with a rate that falls linearly to a twentieth; keeps its two moments as maps [H, W] float32."""

    def __init__(self, like: np.ndarray, rate: float, steps: int, decay: tuple[float, float] = (0.9, 0.98)) -> None:
        self._mean, self._square = np.zeros_like(like), np.zeros_like(like)
        self._rate, self._steps, self._decay, self._taken = rate, steps, decay, 0

    def step(self, height: np.ndarray, direction: np.ndarray) -> None:
        """Move `height` along `direction`, in place."""
        rate = self._rate * (1 - 0.95 * self._taken / self._steps)
        self._taken += 1
        first, second = self._decay
        floor = max(FLOOR * float(np.sqrt(np.mean(np.square(direction)))), 1e-12)
        kernel.adam_step(
            height, direction, self._mean, self._square, np.float32(rate), np.float32(floor), np.float32(first), np.float32(second),
            np.float32(1 / (1 - first**self._taken)), np.float32(1 / (1 - second**self._taken)),
        )  # fmt: skip


def held_out_distance(height: np.ndarray, exemplar: np.ndarray, *, projections: int = 128, seed: int = 123) -> float:
    """Sliced W1 between the 7 x 7 patches of two maps [H, W], in the unit of the maps, on filters that no
    optimisation used.

    Mean over `projections` random unit filters of the mean distance between sorted projections (at 4096 levels);
    exact sorts.
    """
    generator = torch.Generator().manual_seed(seed)
    draw = torch.randn(projections, PATCH * PATCH, generator=generator)
    filters = (draw / draw.norm(dim=1, keepdim=True)).view(projections, 1, PATCH, PATCH)
    levels = (np.arange(4096) + 0.5) / 4096
    total = 0.0
    for some in filters.split(8):  # a few at a time: the projections of a large map would not fit
        quantiles = []
        for values in (height, exemplar):
            with torch.inference_mode():
                flat = F.conv2d(torch.from_numpy(np.ascontiguousarray(values))[None, None], some)[0].flatten(1).numpy()
            flat = np.sort(flat, axis=1)
            quantiles.append(flat[:, (levels * flat.shape[1]).astype(np.int64)])
        total += float(np.abs(quantiles[0] - quantiles[1]).mean(axis=1, dtype=np.float64).sum())
    return total / projections
