"""Losses that compare the features of a height map with those of its exemplars, and the published weights
between them.

Every style loss is an *additive statistic* and a distance. The statistic is a weighted sum over positions, so
the sums of tiles, of several exemplars, or of a class's area add up to the sums of the whole: a map of any
size, in any number of tiles, has exactly one loss. The distance compares two means and is reduced to a scalar.
Content and variation are plain sums, for the same reason.

Everything here is differentiable: torch.histogram, which the PyTorch variant of 2024 used, has no derivative
and stopped that program at its first backward step; a histogram whose samples are shared between the two
nearest knots has one. This module knows no network, no optimiser and no file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

HISTOGRAM_BINS = 256  # as in the PyTorch variant
OFFSETS = ((0, 1), (1, 0), (1, 1), (1, -1), (0, 4), (4, 0), (4, 4), (4, -4))  # (rows, columns), in feature pixels
DEVIATION_FLOOR = 1e-12  # added to a variance: the square root has no derivative at zero


class Sums(NamedTuple):
    """Weighted sums over positions. Sums of disjoint sets of positions may be added."""

    total: Tensor  # [C, K] sum of weight * statistic
    mass: Tensor  # [K] sum of weight; K where the columns count different pairs of positions

    def mean(self) -> Tensor:  # [C, K]
        return self.total / self.mass.clamp_min(torch.finfo(self.mass.dtype).tiny)


def add(left: Sums | None, right: Sums) -> Sums:
    return right if left is None else Sums(left.total + right.total, left.mass + right.mass)


def gram_sums(features: Tensor, weight: Tensor) -> Sums:
    """Sum over positions p of w(p) F_i(p) F_j(p): the Gram matrix F F^T of Gatys et al. 2015, not normalised.

    features: [B, C, h, w], any scale. weight: [B, 1, h, w], >= 0. Its mean() is F F^T / positions.
    """
    return Sums(_correlate(features * weight, features), _mass(weight).expand(features.shape[1]))


def moment_sums(features: Tensor, weight: Tensor) -> Sums:
    """Sums of F and of F squared, for channel means and deviations (Huang & Belongie 2017). Total: [C, 2]."""
    weighted = features * weight
    sums = torch.stack([weighted.sum((0, 2, 3)), (weighted * features).sum((0, 2, 3))], dim=1)
    return Sums(sums, _mass(weight).expand(2))


def histogram_sums(features: Tensor, weight: Tensor) -> Sums:
    """Cumulative histogram of each channel at 257 knots over [0, 1], and the distance of samples that lie
    outside.

    features: [B, C, h, w], scaled so that the exemplar spans 0..1. A sample is shared linearly between its two
    nearest knots, so the curve moves when the sample does: d/du of the knot below it is -256 times its weight.
    Outside the knots the share cannot move; there the last column, sum of w * (excess beyond 0..1), is exactly
    what the Wasserstein-1 distance adds, because the exemplar's own cumulative histogram is 0 below and 1
    above. Total: [C, 257 + 1].
    """
    channels, bins = features.shape[1], HISTOGRAM_BINS
    samples = features.transpose(0, 1).reshape(channels, -1)
    weights = weight.reshape(1, -1).expand_as(samples)
    place = (samples * bins).clamp(0, bins)
    knot = place.detach().floor().clamp(max=bins - 1)
    share = place - knot
    rows = torch.arange(channels, device=samples.device)[:, None] * (bins + 1)
    index = (rows + knot.long()).reshape(-1)
    flat = samples.new_zeros(channels * (bins + 1))
    flat = flat.index_add(0, index, (weights * (1 - share)).reshape(-1))
    flat = flat.index_add(0, index + 1, (weights * share).reshape(-1))
    excess = (weights * (F.relu(samples - 1) + F.relu(-samples))).sum(1, keepdim=True)
    curve = flat.reshape(channels, bins + 1).cumsum(1)
    return Sums(torch.cat([curve, excess], dim=1), _mass(weight).expand(bins + 2))


def spatial_sums(features: Tensor, weight: Tensor) -> Sums:
    """Gram matrices between the features and their copies shifted by OFFSETS (Berger & Memisevic 2016,
    "cross-correlation").

    Where a Gram matrix says which features occur, these say which stand a given way apart: ridges stay long and
    keep their spacing. A pair counts with the weight of its first position; pairs that leave the map do not
    count. Total: [C, C * offsets].
    """
    height, width = features.shape[2:]
    totals, masses = [], []
    for down, right in OFFSETS:
        rows, columns = height - down, width - abs(right)
        first, second = max(0, -right), max(0, right)
        if rows <= 0 or columns <= 0:
            totals.append(features.new_zeros(features.shape[1], features.shape[1]))
            masses.append(features.new_zeros(features.shape[1]))
            continue
        here = features[:, :, :rows, first : first + columns]
        there = features[:, :, down:, second : second + columns]
        share = weight[:, :, :rows, first : first + columns]
        totals.append(_correlate(here * share, there))
        masses.append(_mass(share).expand(features.shape[1]))
    return Sums(torch.cat(totals, dim=1), torch.cat(masses))


def _correlate(left: Tensor, right: Tensor) -> Tensor:  # [B, C, h, w], [B, C, h, w] -> [C, C]
    """Row by row, and the rows added in one order: a single long product is cut up differently for another
    number of threads."""
    rows = torch.bmm(left.permute(0, 2, 1, 3).flatten(0, 1), right.permute(0, 2, 3, 1).flatten(0, 1))
    return rows.sum(0)


def _mass(weight: Tensor) -> Tensor:  # [B, 1, h, w] -> [1]; by rows first, for the same reason
    return weight.sum(3).sum(2).sum(0)


def _total(values: Tensor) -> Tensor:
    """Of all values, a scalar: by rows first, for the same reason."""
    while values.dim():
        values = values.sum(-1)
    return values


def squared_distance(mean: Tensor, target: Tensor) -> Tensor:
    """Mean squared difference of two statistics: between Gram matrices, between spatial correlations.
    Scalar."""
    return _total((mean - target).square()) / mean.numel()


def moment_distance(mean: Tensor, target: Tensor) -> Tensor:
    """MSE between channel means plus MSE between channel standard deviations. mean, target: [C, 2] first and
    second moment."""
    return F.mse_loss(mean[:, 0], target[:, 0]) + F.mse_loss(_deviation(mean), _deviation(target))


def _deviation(moments: Tensor) -> Tensor:
    return ((moments[:, 1] - moments[:, 0].square()).clamp_min(0) + DEVIATION_FLOOR).sqrt()


def histogram_distance(mean: Tensor, target: Tensor) -> Tensor:
    """Mean over channels of the Wasserstein-1 distance, in units of the exemplar's range, to within one knot
    (1/256).

    The area between two cumulative histograms, as the PyTorch variant meant it; that one let every map choose
    its own range, which made the distance meaningless, and here both stand on the exemplar's.
    """
    area = (mean[:, :-1] - target[:, :-1]).abs().sum(1) / HISTOGRAM_BINS
    return (area + (mean[:, -1] - target[:, -1]).abs()).mean()


def content_squares(features: Tensor, target: Tensor, weight: Tensor) -> Tensor:
    """Sum over channels and positions of w (F - F_content)^2 (Gatys et al. 2015). Scalar, not normalised."""
    return _total(weight * (features - target).square())


def variation_keras(image: Tensor, weight: Tensor) -> Tensor:
    """Sum of w (dx^2 + dy^2)^1.25 over pixels that have both neighbours: the Keras program's. image: [B, C, H,
    W]. Scalar."""
    across = image[..., :-1, 1:] - image[..., :-1, :-1]
    down = image[..., 1:, :-1] - image[..., :-1, :-1]
    return _total(weight[..., :-1, :-1] * (across.square() + down.square()).pow(1.25))


def variation_absolute(image: Tensor, weight: Tensor) -> Tensor:
    """Sum of w |dx| plus sum of w |dy|, anisotropic total variation: the PyTorch variant's. image: [B, C, H,
    W]. Scalar."""
    across = weight[..., :, :-1] * (image[..., :, 1:] - image[..., :, :-1]).abs()
    down = weight[..., :-1, :] * (image[..., 1:, :] - image[..., :-1, :]).abs()
    return _total(across) + _total(down)


@dataclass(frozen=True, kw_only=True)
class StyleLoss:
    """One way to compare features. scale says how a channel is normalised by the exemplar before it is
    measured."""

    name: str
    measure: Callable[[Tensor, Tensor], Sums]
    distance: Callable[[Tensor, Tensor], Tensor]
    scale: Literal["magnitude", "range"]


STYLE_LOSSES = (
    StyleLoss(name="gram", measure=gram_sums, distance=squared_distance, scale="magnitude"),
    StyleLoss(name="channel-statistics", measure=moment_sums, distance=moment_distance, scale="magnitude"),
    StyleLoss(name="histogram", measure=histogram_sums, distance=histogram_distance, scale="range"),
    StyleLoss(name="spatial", measure=spatial_sums, distance=squared_distance, scale="magnitude"),
)


@dataclass(frozen=True, kw_only=True)
class Formula:
    """The weights between content, style and variation, for a map of `pixels` pixels whose heights span 0..1 in
    the exemplar.

    image_scale, feature_scale: what heights and features are multiplied with before the published weights
    apply. The programs of 2024 worked on 0..255; the Keras one on Oxford's weights, which take 0..255
    undivided, where torchvision's take the same values divided by 255 * deviation. Multiplying torchvision's
    features with 255 * 0.226 brings both to one order of magnitude.
    """

    name: str
    losses: tuple[str, ...]
    content: float
    style: float
    variation: float
    reference_pixels: int  # the published size: gradients a pixel are those at this size, whatever the size of the map
    image_scale: float = 1.0
    feature_scale: float = 1.0
    relative: bool = False  # channels are scaled by the exemplar's statistics, not by feature_scale
    sums: bool = False  # content and variation are sums over the map (Keras), not means (PyTorch)


CAFFE_SCALE = 255.0 * 0.2260  # mean of torchvision's three channel deviations

FORMULAS = (
    Formula(
        name="relative",
        losses=tuple(loss.name for loss in STYLE_LOSSES),
        content=1.0,
        style=1.0,
        variation=1.0,
        reference_pixels=512 * 512,
        relative=True,
    ),
    Formula(
        name="merizzi-2024",
        losses=("gram",),
        content=2.5e-11,
        style=1e-5,
        variation=1e-10,
        reference_pixels=512 * 512,
        image_scale=255.0,
        feature_scale=CAFFE_SCALE,
        sums=True,
    ),
    Formula(
        name="merizzi-2024-pytorch",
        losses=("gram", "channel-statistics", "histogram"),
        content=2.5e-5,
        style=1e2,
        variation=1e-5,
        reference_pixels=256 * 256,
        image_scale=255.0,
        feature_scale=CAFFE_SCALE,
    ),
)


def layer_factor(formula: Formula, loss: StyleLoss, channels: int, area: int) -> float:
    """What turns a distance between mean statistics into the formula's own term for one layer.

    Keras: sum (G - G_s)^2 / (4 * 3^2 * (H W)^2) with G not normalised and H W the pixels of the *image*, for
    every layer. With mean matrices that is C^2 / (36 area^2) times their mean squared difference, area the
    pixels that one position stands for: no resolution is left in it. PyTorch: G / (C H W), mean squared: 1 /
    C^2. Other losses and the relative formula: 1.
    """
    if loss.name != "gram" or formula.relative:
        return 1.0
    if formula.sums:
        return channels**2 / (36.0 * area**2)
    return 1.0 / channels**2


def balance(formula: Formula, pixels: int, content_values: int) -> tuple[float, float, float]:
    """Factors on (content, style, variation) that keep every gradient a pixel what it is at the published size.

    content and variation arrive as sums over the map, style as a mean over layers of distances between means.
    Sums grow with the map and means do not, so the published Keras weights are another balance at every size
    but 512 rows, and a step of plain gradient descent on means shrinks with the map. content_values: channels *
    positions of the content layer. The programs' variation runs over three channels, here equal: the sum is
    three times that of one, the mean the same.
    """
    growth = pixels / formula.reference_pixels
    if formula.sums:
        return formula.content, formula.style * growth, 3.0 * formula.variation
    return formula.content * growth / content_values, formula.style * growth, formula.variation * growth / pixels


def learning_rate(step: float, base: float, factor: float, interval: float) -> float:
    """base * factor^(step / interval), continuous. Published: 150 * 0.96^(step / 100), 66.3 at step 2000.

    The PyTorch variant meant the same and stepped a 100-step scheduler only every 100 steps, so that it stayed
    at 150.
    """
    return base * factor ** (step / interval)


def style_loss(name: str) -> StyleLoss:
    """The loss of that name; KeyError otherwise."""
    return {loss.name: loss for loss in STYLE_LOSSES}[name]


def formula(name: str) -> Formula:
    """The formula of that name; KeyError otherwise."""
    return {formula.name: formula for formula in FORMULAS}[name]
