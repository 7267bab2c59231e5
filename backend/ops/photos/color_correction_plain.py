"""The plain form of color_correction.py: torch operations, float64. Sums run in another order than the kernel's."""

from __future__ import annotations

import torch
from torch import Tensor


def gather_cells(
    uv: Tensor, weights: Tensor, pixels: Tensor, scale: float, left: int, bottom: int, width: int, side: int, sums: Tensor
) -> None:  # fmt: skip
    """Add a strip's colours to sums float64 [tiles * side * side, 4]: weight, and weighted decoded colour. On any device.

    uv [h, W, 2], weights [h, W], pixels [h, W, 3]; or of B photographs, each with sums of its own [B, ...]. Tiles: a table of width
    columns from (left, bottom) on.
    """
    height = sums.shape[-2] // (width * side * side)
    u, v = uv[..., 0].to(torch.float64) - left, uv[..., 1].to(torch.float64) - bottom
    counts = (weights > 0) & (u >= 0) & (u < width) & (v >= 0) & (v < height)
    u, v = torch.where(counts, u, 0.0), torch.where(counts, v, 0.0)
    column, row = u.to(torch.int64), v.to(torch.int64)
    cell = (row * width + column) * side * side
    cell += ((v - row) * side).to(torch.int64) * side + ((u - column) * side).to(torch.int64)
    if sums.ndim == 3:
        cell += torch.arange(len(sums), device=sums.device)[:, None, None] * sums.shape[1]
    weight = torch.where(counts, weights, 0.0).to(torch.float64)[..., None]
    values = torch.cat([weight, weight * scale * pixels.to(torch.float64)], -1)
    _add_rows(sums.view(-1, 4), cell.flatten(), values.flatten(0, -2))


def alternate(
    photograph: Tensor, cell: Tensor, weight: Tensor, color: Tensor, per_channel: bool, with_bias: bool, knee: float,
    prior: Tensor, rounds: int, gain: Tensor, bias: Tensor, cells: Tensor,
) -> None:  # fmt: skip
    """Colours of cells [C, 3] and gain and bias [P, 3] of photographs in turn, in place: color = gain * cell + bias.

    photograph, cell int64 [n]; weight [n], color [n, 3]. prior [2]: how firmly a gain is held to 1 and a bias to 0.
    """
    robust, one = weight[:, None], torch.ones_like(weight)[:, None]
    for turn in range(rounds):
        own_gain, own_bias = gain[photograph], bias[photograph]
        above, below = torch.zeros_like(cells), torch.zeros_like(cells)
        _add_rows(above, cell, robust * own_gain * (color - own_bias))
        _add_rows(below, cell, robust * own_gain * own_gain)
        cells.copy_(above / below.clamp(min=1e-30))
        model = cells[cell]
        residual = (own_gain * model + own_bias - color).square().sum(1, keepdim=True).sqrt()
        robust = weight[:, None] * (torch.minimum(knee / residual, one) if turn > 1 else one)
        terms = torch.stack([robust.expand_as(color), robust * model, robust * color], -1)
        terms = torch.cat([terms, torch.stack([robust * model * model, robust * model * color], -1)], -1)
        sums = color.new_zeros((len(gain), 3, 5))
        _add_rows(sums, photograph, terms)
        regress(sums, per_channel, with_bias, prior, gain, bias)
        fix_gauge(gain, bias, sums)


def regress(sums: Tensor, per_channel: bool, with_bias: bool, prior: Tensor, gain: Tensor, bias: Tensor) -> None:
    """Gains and biases [P, 3], in place, from sums [P, 3, 5]: weight, model, color, model², model color."""
    w, m, d, mm, md = sums.unbind(-1)
    mm, md = mm + prior[0] * w, md + prior[0] * w
    none = torch.zeros_like(bias)
    if not per_channel:
        found, shift = (md.sum(1, keepdim=True) / mm.sum(1, keepdim=True)).expand_as(gain), none
    elif with_bias:
        ww = w * (1.0 + prior[1])
        determinant = mm * ww - m * m
        found, shift = ((md * ww - m * d) / determinant).clamp(0.1, 10.0), (mm * d - m * md) / determinant
    else:
        found, shift = (md / mm).clamp(0.1, 10.0), none
    seen = w[:, :1] > 0
    gain.copy_(torch.where(seen, found, 1.0))
    bias.copy_(torch.where(seen, shift, 0.0))


def fix_gauge(gain: Tensor, bias: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """Make the weighted geometric mean of the gains 1 and the weighted mean of the biases 0, channel by channel, in place.

    Returns scale, shift [3]: colours that were t are now scale * t + shift. sums[p, k, 0] is photograph p's weight.
    """
    weight = sums[..., 0]
    total = weight.sum(0)
    known = total > 0
    scale = torch.where(known, torch.exp((weight * gain.log()).sum(0) / total), 1.0)
    gain /= scale
    shift = torch.where(known, (weight * bias).sum(0) / (weight * gain).sum(0), 0.0)
    bias -= gain * shift
    return scale, shift


def _add_rows(target: Tensor, index: Tensor, values: Tensor) -> None:
    """target[index] += values, in a fixed order on every device: on CUDA index_put_ sorts."""
    if target.is_cuda:
        target.index_put_((index,), values, accumulate=True)
    else:
        target.index_add_(0, index, values)
