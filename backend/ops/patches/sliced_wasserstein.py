"""Sliced Wasserstein distance between the 7 x 7 patches of two images, and its gradient in closed form.

An image is a map [H, W] or has channels [C, H, W], such as the colours, height and roughness of a material: a patch is all of them.

With a bank of K filters W_k, L = 1/2 sum_k W2²(W_k x, W_k y) and, for fixed ranks,
    dL/dx = sum_k W_kᵀ (W_k x - T_k(W_k x)),   T_k = F⁻¹_{y,k} o F_{x,k}
(Bonneel et al. 2015, doi:10.1007/s10851-014-0506-3; on image patches: Elnekave and Weiss 2022, arXiv 2203.11862).
Where they sort, F_x is a histogram of BINS bins and T_k a table that is linear between bin edges: two passes over
the samples, an error below a bin's width. The exemplar's quantiles are measured once for a bank, not at every step. No
autograd: a convolution, a look-up and a transposed convolution.

Plain torch on any device (sliced_wasserstein_plain.py), a fused numba twin on the CPU, a CUDA twin of three launches; they agree
to 2e-4 of the largest value. Nothing here knows a pyramid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.patches import sliced_wasserstein_plain as plain
from backend.ops.patches.constants import PATCH

BINS = 1024  # of the moving map's histogram
TARGET_BINS = 4096
QUANTILES = 2048
ENOUGH_PX = 60000  # of an exemplar, to know its quantiles
MARGIN = 0.3  # the table reaches this share of the target's span beyond each of its ends
MOST_KEPT = 2**22  # projections that are kept from one pass to the next
NO_LABELS = np.empty((0, 0), np.uint8)  # what the kernels take for None
NO_WEIGHTS = np.empty((0, 0), np.float32)
NOT_KEPT = np.empty((0, 0, 0), np.float32)


@dataclass(frozen=True)
class FilterBank:
    """Filters and what the exemplar's patches look like through them: float32, contiguous, on one device."""

    filters: Tensor  # [K, C, 7, 7], K even
    quantiles: Tensor  # [K, Q] of the exemplar's projections at levels 0..1
    low: Tensor  # [K] lower end of the table
    scale: Tensor  # [K] bins per unit


def measure(
    exemplars: Sequence[Tensor], filters: Tensor, *, all_extremes: bool = True, impl: Impl = "auto"
) -> FilterBank:
    """The quantiles of the patches of exemplars [h, w] or [C, h, w] float32, pooled, from a histogram of TARGET_BINS bins between
    their extremes; of large ones on some of their rows, for a few 10000 patches tell as much as all. filters [K, C, 7, 7].

    all_extremes: extremes are looked for on all rows, which takes longer than everything else, or on the same rows.
    """
    exemplars = [_stack(exemplar) for exemplar in exemplars]
    steps = [max(1, exemplar[0].numel() // ENOUGH_PX) for exemplar in exemplars]
    filters = filters.to(exemplars[0].device)
    chosen = choose(impl, filters.device, cuda=True)
    if chosen == "cpu":
        return _measure_cpu(exemplars, filters, steps, all_extremes)
    if chosen == "cuda":
        from backend.ops.patches import sliced_wasserstein_cuda as forms
    else:
        forms = plain
    extents = [
        forms.projection_extent(exemplar, filters, 1 if all_extremes else step)
        for exemplar, step in zip(exemplars, steps, strict=True)
    ]
    low = torch.stack([extent[0] for extent in extents]).amin(0)
    span = (torch.stack([extent[1] for extent in extents]).amax(0) - low).clamp_min(1e-6)
    scale = TARGET_BINS / span
    counts = torch.stack([
        forms.projection_histogram(exemplar, filters, low, scale, TARGET_BINS, 0, step)
        for exemplar, step in zip(exemplars, steps, strict=True)
    ]).sum(0)  # fmt: skip
    quantiles = plain.quantiles(counts, low, span, QUANTILES)
    return FilterBank(filters, quantiles, low - MARGIN * span, BINS / ((1 + 2 * MARGIN) * span))


def measure_banks(
    exemplars: Sequence[Tensor], banks: Sequence[Tensor], *, all_extremes: bool = True, impl: Impl = "auto"
) -> list[FilterBank]:
    """measure() for several banks of filters [K, C, 7, 7] with as many filters each; away from the CPU all at once, for a card
    waits for each operation longer than it takes."""
    if choose(impl, exemplars[0].device, cuda=True) == "cpu" or not banks:
        return [measure(exemplars, filters, all_extremes=all_extremes, impl=impl) for filters in banks]
    whole = measure(exemplars, torch.cat(list(banks)), all_extremes=all_extremes, impl=impl)
    parts = [getattr(whole, field.name).split(len(banks[0])) for field in fields(whole)]
    return [FilterBank(*tensors) for tensors in zip(*parts, strict=True)]


def measure_at(image: Tensor, y: Tensor, x: Tensor, filters: Tensor) -> FilterBank:
    """The quantiles of those patches of an image [H, W] float32 whose corners are y, x (whole numbers of any shape), each as often
    as it is named. Of many, evenly spaced ones tell enough. filters [K, 1, 7, 7]."""
    step = max(1, y.numel() // ENOUGH_PX)
    y, x = (corner.flatten()[::step].long() for corner in (y, x))
    patches = image.unfold(0, PATCH, 1).unfold(1, PATCH, 1)[y, x].flatten(1)
    values = (filters.flatten(1).to(image.device) @ patches.T).sort(1).values
    levels = torch.linspace(0, 1, QUANTILES, device=image.device, dtype=torch.float64)
    quantiles = values[:, (levels * (values.shape[1] - 1)).round().long()].contiguous()
    low, span = quantiles[:, 0], (quantiles[:, -1] - quantiles[:, 0]).clamp_min(1e-6)
    return FilterBank(filters.to(image.device), quantiles, low - MARGIN * span, BINS / ((1 + 2 * MARGIN) * span))


def ascent(
    image: Tensor,  # [H, W] or [C, H, W] float32
    bank: FilterBank,
    *,
    row_first: int | Tensor = 0,
    row_step: int = 1,
    moved_step: int = 1,
    labels: Tensor | None = None,
    label: int = 0,
    weight: Tensor | None = None,
    out: Tensor | None = None,
    impl: Impl = "auto",
) -> Tensor:
    """-dL/dx of the image's shape, added to `out` where given.

    row_first, row_step: the image's own distribution is counted on every row_step-th row of patches. moved_step: every
    moved_step-th row is moved, from row_first % moved_step on: over some steps with rising row_first as good as all rows at each,
    since rows of patches overlap. row_first may be int64 [1] on the device: a step that is replayed from a graph takes other rows
    each time. labels [H, W] uint8, label: counted where the patch's centre has that label. weight [H, W]: a factor for each
    patch, at its centre.
    """
    out = torch.zeros_like(image) if out is None else out
    stack, made = _stack(image), _stack(out)
    chosen = choose(impl, image.device, cuda=True)
    if chosen == "cuda":
        from backend.ops.patches import sliced_wasserstein_cuda

        sliced_wasserstein_cuda.add_ascent(
            stack, bank.filters, bank.quantiles, bank.low, bank.scale, BINS, row_first, row_step, moved_step, labels, label,
            weight, made,
        )  # fmt: skip
        return out
    row_first = int(row_first)
    if chosen == "cpu":
        _add_ascent_cpu(stack, bank, row_first, row_step, moved_step, labels, label, weight, made)
        return out
    counts = plain.projection_histogram(
        stack, bank.filters, bank.low, bank.scale, BINS, row_first % row_step, row_step, labels, label
    )
    table = plain.transport_table(counts, bank.quantiles, bank.low, bank.scale)
    plain.add_gradient(
        stack, bank.filters, bank.low, bank.scale, table, weight, row_first % moved_step, moved_step, made
    )
    return out


def _stack(image: Tensor) -> Tensor:
    """The same memory as [C, H, W]."""
    return image[None] if image.dim() == 2 else image


def _add_ascent_cpu(
    image: Tensor,
    bank: FilterBank,
    row_first: int,
    row_step: int,
    moved_step: int,
    labels: Tensor | None,
    label: int,
    weight: Tensor | None,
    out: Tensor,
) -> None:
    from backend.ops.patches import projection_cpu, sliced_wasserstein_cpu

    values, filters, low, scale = image.numpy(), bank.filters.numpy(), bank.low.numpy(), bank.scale.numpy()
    if row_step == moved_step == 1 and labels is None and len(filters) * values[0].size <= MOST_KEPT:
        projected = projection_cpu.projections(values, filters, 1)  # once for both passes
        counts = projection_cpu.histogram(projected, low, scale, BINS)
    else:
        projected, at = NOT_KEPT, NO_LABELS if labels is None else labels.numpy()
        counts = projection_cpu.projection_histogram(
            values, filters, low, scale, BINS, row_first % row_step, row_step, at, label
        )
    table = sliced_wasserstein_cpu.transport_table(counts, bank.quantiles.numpy(), low, scale)
    factors = NO_WEIGHTS if weight is None else weight.numpy()
    sliced_wasserstein_cpu.add_gradient(
        values, filters, low, scale, table, factors, row_first % moved_step, moved_step, projected, out.numpy()
    )


def _measure_cpu(exemplars: Sequence[Tensor], filters: Tensor, steps: Sequence[int], all_extremes: bool) -> FilterBank:
    from backend.ops.patches import projection_cpu as kernel

    maps, bank = [exemplar.numpy() for exemplar in exemplars], filters.numpy()
    parts = [kernel.projections(values, bank, step) for values, step in zip(maps, steps, strict=True)]
    extents = [
        kernel.projection_extent(values, bank) if all_extremes and step > 1 else kernel.extent(part)
        for values, part, step in zip(maps, parts, steps, strict=True)
    ]
    low = np.min([extent[0] for extent in extents], axis=0)
    span = np.maximum(np.max([extent[1] for extent in extents], axis=0) - low, np.float32(1e-6))
    scale = (TARGET_BINS / span).astype(np.float32)
    counts = sum(kernel.histogram(part, low, scale, TARGET_BINS).astype(np.int64) for part in parts)
    quantiles = kernel.quantiles(np.asarray(counts), low, span, QUANTILES)
    table_low = (low - MARGIN * span).astype(np.float32)
    table_scale = (BINS / ((1 + 2 * MARGIN) * span)).astype(np.float32)
    return FilterBank(filters, *(torch.from_numpy(values) for values in (quantiles, table_low, table_scale)))


def held_out_distance(image: np.ndarray, exemplar: np.ndarray, *, projections: int = 128, seed: int = 123) -> float:
    """Sliced W1 between the 7 x 7 patches of two images [H, W] or [C, H, W], in the unit of the images, on filters that no
    optimisation used.

    Mean over `projections` random unit filters of the mean distance between sorted projections (at 4096 levels);
    exact sorts.
    """
    generator = torch.Generator().manual_seed(seed)
    both = [_stack(torch.from_numpy(np.ascontiguousarray(values))) for values in (image, exemplar)]
    channels = len(both[0])
    draw = torch.randn(projections, channels * PATCH * PATCH, generator=generator)
    filters = (draw / draw.norm(dim=1, keepdim=True)).view(projections, channels, PATCH, PATCH)
    levels = (np.arange(4096) + 0.5) / 4096
    total = 0.0
    for some in filters.split(8):  # a few at a time: the projections of a large map would not fit
        quantiles = []
        for values in both:
            flat = plain.project(values, some).flatten(1).numpy()
            flat = np.sort(flat, axis=1)
            quantiles.append(flat[:, (levels * flat.shape[1]).astype(np.int64)])
        total += float(np.abs(quantiles[0] - quantiles[1]).mean(axis=1, dtype=np.float64).sum())
    return total / projections
