"""Heights that let water run off, as near as can be to given ones: what keeps relief transfer draining while it
works.

Filling a pit raises a plain, breaching it cuts a canal; both move one side by the pit's whole depth. The least
largest change under the condition "never rise on the way to the edge" moves both sides by half: for a fixed
drainage tree the isotonic regression in the maximum norm is the mean of the greatest height downstream and the
least height upstream (Ubhaya 1974, J. Approx. Theory 12: the midpoint of the two envelopes), which is the mean of
the filled and the carved surface. It costs one priority flood and two sweeps, on the host whatever the device: the flood
takes cell after cell from one heap. This module knows no patch statistics.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.terrain.routing import Flow, pieces_along


def drain(
    height: Tensor,
    *,
    cut_share: float = 0.5,
    drop: float = 0.0,
    outlets: Tensor | None = None,
    impl: Impl = "auto",
) -> Tensor:
    """Heights float32 [H, W] without pits, near `height`; cells at the edge of the grid are outlets.

    cut_share 0 fills, 1 carves, 0.5 changes the largest change least. drop: the fall to the next cell downstream,
    at least; raised to what float32 can hold at these heights, so that no cell ends level with the one that it
    flows to. outlets: bool [H, W], cells where water may end as at the edge, such as lakes; they keep their heights.
    """
    if height.ndim != 2 or min(height.shape) < 1:
        raise ValueError(f"a height map is a non-empty map [H, W], not one of shape {tuple(height.shape)}")
    if not 0.0 <= cut_share <= 1.0:
        raise ValueError(f"cut_share is {cut_share}; it must be 0 to 1")
    result = np.array(height.cpu().numpy(), np.float32, order="C")
    ends = np.zeros(result.shape, bool) if outlets is None else np.array(outlets.cpu().numpy(), bool, order="C")
    if ends.shape != result.shape:
        raise ValueError(f"outlets of shape {ends.shape} for heights of shape {result.shape}")
    fall = np.float32(
        max(drop, 4.0 * float(np.spacing(np.abs(result).max())))
    )  # blending and subtracting round twice each
    if choose(impl) == "cpu":
        from backend.ops.terrain import drainage_cpu

        order, parent = drainage_cpu.drainage_tree(result, ends)
        drainage_cpu.settle(result.reshape(-1), order, parent, ends.reshape(-1), np.float32(cut_share), fall)
        return torch.from_numpy(result).to(height.device)
    from backend.ops.terrain import drainage_plain

    receiver = torch.from_numpy(drainage_plain.drainage_tree(result, ends))
    settled = drainage_plain.settle(
        torch.from_numpy(result).flatten(), receiver, torch.from_numpy(ends).flatten(), cut_share, float(fall)
    )
    return settled.reshape(height.shape).to(height.device)


def falling(height: Tensor, flow: Flow, *, cut_share: float = 0.5, impl: Impl = "auto") -> Tensor:
    """Heights [N] float64 that never rise along a flow network over `height` [H, W] float64: cut_share of the way from the filled
    to the carved surface."""
    flat = height.flatten()
    chosen = choose(impl, height.device, cuda=True)
    if chosen == "cuda":
        return _falling_on_card(flat, flow, cut_share)
    if chosen == "cpu":
        from backend.ops.terrain import drainage_cpu

        return torch.from_numpy(drainage_cpu.falling(flat.numpy(), pieces_along(flow), cut_share))
    from backend.ops.terrain import drainage_plain

    outlets = torch.zeros(flat.shape, dtype=torch.bool, device=flat.device)
    return drainage_plain.settle(flat, flow.receiver, outlets, cut_share, 0.0)


def _falling_on_card(flat: Tensor, flow: Flow, cut_share: float) -> Tensor:
    from backend.ops.terrain import drainage_cuda

    walk, threads = flow.walk, drainage_cuda.THREADS
    order = walk.order.long()
    height = flat[order]
    filled, made = torch.empty_like(height), torch.empty_like(height)
    tree = (walk.starts, walk.parent, walk.donors, walk.first_donor)
    drainage_cuda.settle.launch(threads, *tree, height, float(cut_share), filled, made, block=(threads,))
    return torch.empty_like(made).scatter_(0, order, made)
