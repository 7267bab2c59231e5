"""How far what a texture shows is from a photograph: the losses of a texture's refinement, after NeuralTexGen.

Colours here run from -1 to 1, as the original's do, so that its weights and rates mean the same. `pixel_losses` counts
pixels by an explicit weight: one that is not the mesh's has no part in any sum, nor in the division afterwards, so the
size of a photograph's background changes nothing. `original_losses` is the published formula with its faults, for
comparison. Everything is differentiable in what is rendered; nothing here knows a texture, a file or an optimiser.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.style.losses import gram_sums

Penalty = Literal["l1", "charbonnier", "huber"]
# The original takes VGG-16's relu1_2, relu2_2, relu3_3 and relu4_3, fed with 0..1 without ImageNet's mean and deviation.
# Here they are VGG-19's layers of those names (to relu3_3 the same architecture), with its own normalisation.
CONTENT_LAYER = "conv2_2"
STYLE_LAYERS = ("conv1_2", "conv2_2", "conv3_3", "conv4_3")
DEEPEST_LAYER = STYLE_LAYERS[-1]
SMALLEST_PX = 16  # of an image for the deepest layer, two features of it
TILE_PX = 512  # the layers' values of a tile and their gradients are some 700 MiB
Features = Callable[[Tensor, Iterable[str]], dict[str, Tensor]]  # images [B, 3, H, W] 0..1, names -> [B, C, h, w]


@dataclass(frozen=True, kw_only=True)
class LossWeights:
    """What each loss counts; every one may be 0, and is then not computed."""

    l1: float = 10.0
    l2: float = 0.0
    gradient: float = 20.0
    content: float = 0.0
    style: float = 0.0


def penalized(difference: Tensor, penalty: Penalty, knee: float) -> Tensor:
    """What differences count, each by itself: |d|, or the same rounded off within about `knee` of 0.

    charbonnier: sqrt(d² + knee²) - knee (Charbonnier et al. 1994). huber: d² / (2 knee) up to |d| = knee, |d| - knee / 2
    beyond (Huber 1964, scaled to slope 1).
    """
    if penalty == "charbonnier":
        return (difference.square() + knee * knee).sqrt() - knee
    if penalty == "huber":
        return F.huber_loss(difference, torch.zeros_like(difference), reduction="none", delta=knee) / knee
    return difference.abs()


def pixel_losses(
    rendered: Tensor,  # [H, W, 3] -1..1
    target: Tensor,  # [H, W, 3] -1..1
    weight: Tensor,  # [H, W] >= 0; what either image holds where it is 0 does not matter, as long as it is finite
    weights: LossWeights,
    penalty: Penalty = "l1",
    knee: float = 0.04,
) -> Tensor:
    """The colour and gradient losses as a sum over pixels, to be divided by the sum of weight. Scalar.

    Colour: mean over channels of weight * p(f - t), and of weight * (f - t)². Gradient: the same of the differences between
    neighbours to the right and below, each pair with the smaller of its two weights: no edge of the mask is an edge.
    """
    difference = rendered - target
    total = rendered.new_zeros(())
    if weights.l1:
        total = total + weights.l1 * (weight * penalized(difference, penalty, knee).mean(-1)).sum()
    if weights.l2:
        total = total + weights.l2 * (weight * difference.square().mean(-1)).sum()
    if weights.gradient:
        for axis in (0, 1):
            count = weight.shape[axis] - 1
            pair = torch.minimum(weight.narrow(axis, 1, count), weight.narrow(axis, 0, count))
            edges = penalized(difference.diff(dim=axis), penalty, knee)
            total = total + weights.gradient * (pair * edges.mean(-1)).sum()
    return total


def original_losses(
    rendered: Tensor,  # [H, W, 3] -1..1, at invalid pixels the texel of the texture's upper left corner
    target: Tensor,  # [H, W, 3] -1..1
    mask: Tensor,  # [H, W] bool
    weights: LossWeights,
) -> Tensor:
    """NeuralTexGen's L1 and gradient losses of a photograph, as published. Scalar.

    l1 * mean|m(f) - m(t)| * M/N + gradient * (mean|dx f - dx m(t)| + mean|dy f - dy m(t)|) * M/N, with m() setting
    pixels outside of the mask to 0, and M of N pixels inside. The means run over all N already, so a photograph counts by the
    square of its coverage; and f is not masked in the gradients, so they pull at the mask's border and at one texel.
    """
    total = rendered.new_zeros(())
    coverage = mask.to(rendered.dtype).mean()
    shown, wanted = rendered * mask[..., None], target * mask[..., None]
    if weights.l1:
        total = total + weights.l1 * coverage * (shown - wanted).abs().mean()
    if weights.l2:
        total = total + weights.l2 * coverage * (shown - wanted).square().mean()
    if weights.gradient:
        for axis in (0, 1):
            edges = (rendered.diff(dim=axis) - wanted.diff(dim=axis)).abs().mean()
            total = total + weights.gradient * coverage * edges
    return total


def perceptual_tiles(weight: Tensor, side: int = TILE_PX) -> list[tuple[slice, slice]]:
    """Rows and columns of the tiles that the perceptual losses are taken of: the box of pixels that weigh, in equal parts of at
    most `side`, none under SMALLEST_PX. Empty where nothing weighs or the photograph is smaller than that."""
    parts = []
    for axis in (1, 0):
        length = weight.shape[1 - axis]
        used = torch.nonzero((weight > 0).any(dim=axis))
        if not len(used) or length < SMALLEST_PX:
            return []
        first, end = int(used[0]), int(used[-1]) + 1
        first = max(0, min(first, end - SMALLEST_PX))
        end = min(length, max(end, first + SMALLEST_PX))
        count = -(-(end - first) // side)
        borders = [first + (end - first) * index // count for index in range(count + 1)]
        parts.append([slice(low, high) for low, high in itertools.pairwise(borders)])
    tiles = [(rows, columns) for rows in parts[0] for columns in parts[1]]
    return [tile for tile in tiles if bool((weight[tile] > 0).any())]


def perceptual_losses(
    features: Features,
    rendered: Tensor,  # [H, W, 3] -1..1, one of perceptual_tiles
    target: Tensor,  # [H, W, 3] -1..1
    weight: Tensor,  # [H, W] >= 0, some of it above 0
    weights: LossWeights,
) -> Tensor:
    """VGG content and style (Gatys et al. 2016) of a tile, as a sum to be divided by the sum of weight. Scalar.

    The photograph stands in for what is not the mesh's, so that its border is no edge, and a feature weighs what the pixels
    under it do. Content: mean square over channels and positions. Style: for each layer the mean square over the
    C x C entries of Gram matrices divided by C and by the positions' weight.
    """
    shown = torch.where((weight > 0)[..., None], rendered, target)
    return weight.sum() * _feature_losses(features, shown, target, weight, weights)


def original_perceptual_losses(
    features: Features, rendered: Tensor, target: Tensor, mask: Tensor, weights: LossWeights
) -> Tensor:
    """NeuralTexGen's VGG losses of a photograph: both images set to 0 outside of the mask, then plain means over all
    features. Scalar. Its network is another one: CONTENT_LAYER."""
    shown, wanted = rendered * mask[..., None], target * mask[..., None]
    return _feature_losses(features, shown, wanted, torch.ones_like(rendered[..., 0]), weights)


def _feature_losses(features: Features, shown: Tensor, target: Tensor, weight: Tensor, weights: LossWeights) -> Tensor:
    names = {*((CONTENT_LAYER,) if weights.content else ()), *(STYLE_LAYERS if weights.style else ())}
    total = shown.new_zeros(())
    if not names:
        return total
    with torch.no_grad():
        wanted = features(_as_images(target), names)
    for name, found in features(_as_images(shown), names).items():
        share = F.interpolate(weight[None, None].to(found.dtype), size=found.shape[2:], mode="area")
        if weights.content and name == CONTENT_LAYER:
            squares = (share * (found - wanted[name]).square()).sum(dim=(2, 3)).mean()
            total = total + weights.content * squares / share.sum()
        if weights.style and name in STYLE_LAYERS:
            grams = [gram_sums(values, share).mean() / values.shape[1] for values in (found, wanted[name])]
            total = total + weights.style * (grams[0] - grams[1]).square().mean()
    return total


def _as_images(colors: Tensor) -> Tensor:
    """[H, W, 3] in -1..1 -> [1, 3, H, W] in 0..1."""
    return (colors.permute(2, 0, 1)[None] + 1) / 2
