"""The plain form of backend/ops/texels/stencil.py: torch operations on any device, in the precision of the system's cells."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from backend.ops.texels import pyramid as texel_pyramid
from backend.ops.texels.constants import HUBER, L2, PLANES, REACH, SAME_SURFACE
from backend.ops.texels.observations import Pixels, Residuals, Settings
from backend.ops.texels.pyramid import Pyramid
from backend.ops.texels.system import TexelSystem


def accumulate_plain(
    system: TexelSystem,
    pixels: Pixels,
    settings: Settings,
    pyramid: Pyramid | None,
    photograph: int | None,
    shown: Tensor | None = None,
) -> Residuals:
    """Arguments as stencil.accumulate has checked them."""
    uv, footprint, weight, color = pixels.flat()
    used = ((uv >= 0) & (uv <= 1)).all(-1) & (weight > 0) & (weight < torch.inf) & (footprint > 0)
    precision = system.cells.dtype
    uv, footprint, weight = uv[used].to(precision), footprint[used].to(precision), weight[used].to(precision)
    decoding, gain, offset = torch.from_numpy(settings.tones(color.dtype)).to(uv)
    decoded = color.to(precision)[used] * decoding  # CUDA cannot index uint16
    target = decoded * gain + offset
    finer, share = texel_pyramid.choose_levels(footprint, system.size, system.levels)
    place = texel_pyramid.to_texels(uv, system.size)
    rows = []
    model = torch.zeros_like(target)
    for level, side in enumerate(system.sides):
        amount = torch.where(finer == level, 1 - share, torch.where(finer == level - 1, share, torch.zeros_like(share)))
        index, weights = texel_pyramid.cells(place, level, side)
        own = torch.zeros_like(target)
        if pyramid is not None:
            flat = pyramid[level].reshape(3, -1)
            corners = torch.stack([flat[:, index + step] for step in (0, 1, side, side + 1)], -1)
            own = (corners * weights).sum(-1).T
            model = model + amount[:, None] * own
        rows.append((amount, index, weights, own))
    if shown is not None:
        shown.view(-1, 3)[used] = model.to(shown.dtype)
    residual = target - model
    squared = (residual**2).sum(-1)
    robust = weight * robust_weight_plain(squared, settings.loss, settings.threshold)
    if settings.solve:
        for level, (amount, index, weights, own) in enumerate(rows):
            add_rows_plain(system.level(level), index, robust * amount, weights, residual + own)
        if settings.gradient > 0:
            used = used.reshape(pixels.weight.shape)
            rows_high, columns = used.shape
            for first, second in (
                ((slice(None), slice(columns - 1)), (slice(None), slice(1, None))),
                (slice(rows_high - 1), slice(1, None)),
            ):
                add_gradients_plain(system, pixels, settings, pyramid, used, first, second)
    if photograph is not None:
        mark_coverage_plain(system.touched_map(), photograph + 1, system, uv, footprint)
    return Residuals(_sums_plain(robust, model, decoded, residual, squared))


def robust_weight_plain(squared: Tensor, loss: int, threshold: float) -> Tensor:
    """The factors on pixels' weights for the squared lengths of their residuals."""
    if loss == L2:
        return torch.ones_like(squared)
    if loss == HUBER:
        return threshold / squared.sqrt().clamp(min=threshold)
    return (1 + squared / threshold**2) ** -2


def add_rows_plain(level: Tensor, index: Tensor, weight: Tensor, corners: Tensor, target: Tensor) -> None:
    """Rows weight (corners . T - target)² into the planes of a level [n, n, 8]; index as from texel_pyramid.cells."""
    side = level.shape[0]
    a, b, c, d = (corners * weight[:, None]).unbind(-1)
    p, q, r, s = corners.unbind(-1)
    nothing = torch.zeros_like(a)
    couplings = (
        (a * p, a * q, a * r, a * s, nothing),
        (b * q, nothing, b * s, nothing, b * r),
        (c * r, c * s, nothing, nothing, nothing),
        (d * s, nothing, nothing, nothing, nothing),
    )
    cells = level.reshape(side * side, PLANES)
    for step, own, coupling in zip((0, 1, side, side + 1), (a, b, c, d), couplings):
        values = torch.cat((torch.stack(coupling, -1), own[:, None] * target), -1)
        if cells.is_cuda:
            cells.index_put_((index + step,), values, accumulate=True)  # sorts: the same bytes every time
        else:
            cells.index_add_(0, index + step, values)


def add_gradients_plain(
    system: TexelSystem,
    pixels: Pixels,
    settings: Settings,
    pyramid: Pyramid | None,
    used: Tensor,
    first: Any,
    second: Any,
) -> None:
    """The gradient rows of the pixels maps[first] with their neighbours maps[second]; used [rows, W]."""
    precision, size = system.cells.dtype, system.size
    both = used[first] & used[second]
    (p, q), (wide_p, wide_q), (weight_p, weight_q), (color_p, color_q) = (
        [part[place].to(precision)[both] for place in (first, second)]
        for part in (pixels.uv, pixels.footprint, pixels.weight, pixels.color)
    )
    p, q = texel_pyramid.to_texels(p, size), texel_pyramid.to_texels(q, size)
    step = q - p
    distance = step.abs().amax(-1)
    close = distance <= SAME_SURFACE * torch.maximum(wide_p, wide_q) * size
    level_of = torch.zeros_like(distance, dtype=torch.int64)
    for level in range(system.levels):
        level_of = torch.where((level_of == level) & (distance * 2.0**-level > 1), level + 1, level_of)
    close &= distance * torch.exp2(-level_of.to(precision)) <= 2
    decoding, gain, _ = torch.from_numpy(settings.tones(pixels.color.dtype)).to(p)
    for level, side in enumerate(system.sides):
        here = close & (level_of == level)
        index, corners = texel_pyramid.cells((p[here] + q[here]) / 2, level, side)
        dx, dy = (step[here] * 2.0**-level).unbind(-1)
        up, down = corners[:, 0] + corners[:, 1], corners[:, 2] + corners[:, 3]
        left, right = corners[:, 0] + corners[:, 2], corners[:, 1] + corners[:, 3]
        slope = torch.stack(
            (-up * dx - left * dy, up * dx - right * dy, left * dy - down * dx, down * dx + right * dy), -1
        )
        target = (color_q[here] - color_p[here]) * decoding * gain
        weight = settings.gradient * torch.minimum(weight_p[here], weight_q[here])
        if settings.loss != L2 and pyramid is not None:
            flat = pyramid[level].reshape(3, -1)
            shown = (torch.stack([flat[:, index + step] for step in (0, 1, side, side + 1)], -1) * slope).sum(-1).T
            weight = weight * robust_weight_plain(((target - shown) ** 2).sum(-1), settings.loss, settings.threshold)
        add_rows_plain(system.level(level), index, weight, slope, target)


def mark_coverage_plain(touched: Tensor, number: int, system: TexelSystem, uv: Tensor, footprint: Tensor) -> None:
    """Count photograph `number` once at every place of `touched` [h, h, 2], 2 x 2 texels each, that a pixel covers."""
    side = touched.shape[0]
    x, y = texel_pyramid.to_texels(uv, system.size).unbind(-1)
    reach = (0.5 * footprint * system.size).clamp(max=REACH * 2.0**system.levels)
    left, right = ((x + sign * reach).to(torch.int64).clamp(0) >> 1 for sign in (-1, 1))
    top, bottom = ((y + sign * reach).to(torch.int64).clamp(0) >> 1 for sign in (-1, 1))
    right, bottom = right.clamp(max=side - 1), bottom.clamp(max=side - 1)
    # rectangles as steps at their corners, which sums along both axes fill
    steps = torch.zeros((side + 1) ** 2, dtype=torch.int32, device=uv.device)
    one = torch.ones_like(top, dtype=torch.int32)
    for row, column, sign in ((top, left, 1), (top, right + 1, -1), (bottom + 1, left, -1), (bottom + 1, right + 1, 1)):
        steps.index_add_(0, row * (side + 1) + column, one, alpha=sign)
    covering = steps.unflatten(0, (side + 1, side + 1)).cumsum(0).cumsum(1)
    now = covering[:side, :side] > 0
    counts, last = touched.to(torch.int32).unbind(-1)
    counts = counts + (now & (last != number))
    touched.copy_(torch.stack((counts, torch.where(now, number, last)), -1).to(torch.uint16))


def _sums_plain(w: Tensor, m: Tensor, c: Tensor, residual: Tensor, squared: Tensor) -> Tensor:
    w, m, c, residual, squared = (part.double() for part in (w, m, c, residual, squared))
    wm, wc = w[:, None] * m, w[:, None] * c
    scalars = torch.stack((torch.ones_like(w).sum(), w.sum(), (w * squared).sum(), squared.sqrt().sum()))
    return torch.cat((scalars, *((part).sum(0) for part in (wm, wc, wm * m, wm * c, wc * c, residual**2))))
