"""Where the pixels of a bent photograph look in the texture: UVs, footprints and weights moved by a displacement.

UVs are carried on by their derivative within a chart, for they are smooth where colours are not; colours are never resampled.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.photos.surface_maps import SAME_CHART
from backend.ops.surface.rasterization import SurfaceMap


def bent(
    surface: SurfaceMap,
    weights: Tensor,
    nodes: np.ndarray,
    cell_px: float,
    first_row: int,
    halo: int,
    rows: int,
    *,
    impl: Impl = "auto",
) -> tuple[Tensor, Tensor, Tensor]:
    """uv [rows, W, 2], footprint and weights [rows, W] of a photograph whose pixel p shows what was drawn at p - d(p).

    surface, weights [h, W]: drawn, `halo` rows more before the first written one. nodes: [gy, gx, 2] px (x, y), d bilinear
    between them, cell_px apart from the photograph's corner on. Pixels that look beyond the drawn rows see nothing.

    B photographs at once, which on a card is as quick as one: everything has an axis more, nodes [B, gy, gx, 2] among them.
    """
    chosen, width, nodes = choose(impl, weights.device, cuda=True), weights.shape[-1], nodes.astype(np.float32)
    if chosen == "cuda":
        return _bent_cuda(surface, weights, nodes, float(cell_px), first_row, halo, rows)
    if weights.ndim == 3:
        each = (
            bent(surface.of(own), weights[own], nodes[own], cell_px, first_row, halo, rows, impl=chosen)
            for own in range(len(weights))
        )
        uv, footprint, moved = (torch.stack(parts) for parts in zip(*each, strict=True))
        return uv, footprint, moved
    if chosen == "plain":
        return _bent_plain(surface, weights, nodes, float(cell_px), first_row, halo, rows)
    from backend.ops.photos.bending_cpu import bend

    uv, footprint, moved = torch.empty((rows, width, 2)), torch.empty((rows, width)), torch.empty((rows, width))
    bend(
        surface.uv.numpy(), surface.footprint.numpy(), surface.stretch.numpy(), weights.numpy(), np.float32(SAME_CHART),
        nodes, float(cell_px), first_row, halo, rows, uv.numpy(), footprint.numpy(), moved.numpy(),
    )  # fmt: skip
    return uv, footprint, moved


def _bent_cuda(
    surface: SurfaceMap, weights: Tensor, nodes: np.ndarray, cell_px: float, first_row: int, halo: int, rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    from backend.ops.photos.bending_cuda import bend

    shape = (*weights.shape[:-2], rows, weights.shape[-1])
    uv, footprint, moved = weights.new_empty((*shape, 2)), weights.new_empty(shape), weights.new_empty(shape)
    alone = weights.ndim == 2
    drawn = (surface.uv, surface.footprint, surface.stretch, weights)
    given, made = ([part[None] if alone else part for part in parts] for parts in (drawn, (uv, footprint, moved)))
    held = torch.from_numpy(nodes[None] if alone else nodes).to(weights.device)
    bend.launch(tuple(made[2].shape), *given, SAME_CHART, held, cell_px, first_row, halo, *made)
    return uv, footprint, moved


def _bent_plain(
    surface: SurfaceMap, weights: Tensor, nodes: np.ndarray, cell_px: float, first_row: int, halo: int, rows: int
) -> tuple[Tensor, Tensor, Tensor]:
    height, width = weights.shape
    moved = _displacements(torch.from_numpy(nodes).to(weights.device), cell_px, first_row, rows, width)
    whole = torch.floor(moved + 0.5)
    offset = (moved - whole).abs().to(torch.float32)
    towards = torch.where(moved < whole, -1, 1)
    column = torch.arange(width, device=weights.device)[None] + whole[..., 0].to(torch.int64)
    row = torch.arange(halo, halo + rows, device=weights.device)[:, None] + whole[..., 1].to(torch.int64)
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    row, column = torch.where(inside, row, 0), torch.where(inside, column, 0)
    counts = inside & (weights[row, column] > 0)
    footprint, stretch = surface.footprint[row, column], surface.stretch[row, column]
    here = surface.uv[row, column]
    reach = (SAME_CHART * footprint * stretch.sqrt())[..., None]
    uv = here
    for axis, (down, right) in enumerate(((0, 1), (1, 0))):
        near, far = (
            _neighbour(surface.uv, row + side * down * towards[..., 1], column + side * right * towards[..., 0])
            for side in (1, -1)
        )
        to_near, from_far = near - here, here - far
        is_near, is_far = (
            (step.abs() <= reach).all(-1, keepdim=True) for step in (to_near, from_far)
        )  # NaN, nothing seen, is out of reach
        step = torch.where(is_near, to_near, torch.where(is_far, from_far, 0.0))
        uv = uv + offset[..., axis, None] * step
    return (
        torch.where(counts[..., None], uv, torch.nan),
        torch.where(counts, footprint, torch.nan),
        torch.where(counts, weights[row, column], 0.0),
    )


def _displacements(nodes: Tensor, cell_px: float, first_row: int, rows: int, width: int) -> Tensor:
    """-d of every pixel, [rows, W, 2] float64 px (x, y), bilinear between nodes [gy, gx, 2]."""
    y = torch.arange(first_row, first_row + rows, device=nodes.device, dtype=torch.float64) + 0.5
    x = torch.arange(width, device=nodes.device, dtype=torch.float64) + 0.5
    nodes = nodes.to(torch.float64)
    high, low, below = _between(nodes, 0, (y / cell_px).clamp(max=nodes.shape[0] - 1.0))
    along = high + below[:, None, None] * (low - high)
    left, right, share = _between(along, 1, (x * (1.0 / cell_px)).clamp(max=nodes.shape[1] - 1.0))
    return -(left + share[:, None] * (right - left))


def _between(nodes: Tensor, axis: int, place: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The nodes before and after places along an axis, and the share of the latter."""
    last = nodes.shape[axis] - 1
    first = place.to(torch.int64).clamp(max=max(last - 1, 0))
    return nodes.index_select(axis, first), nodes.index_select(axis, (first + 1).clamp(max=last)), place - first


def _neighbour(uv: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """UVs at rows and columns, NaN beyond the map."""
    height, width = uv.shape[:2]
    inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
    return torch.where(inside[..., None], uv[row.clamp(0, height - 1), column.clamp(0, width - 1)], torch.nan)
