"""The closed basins of a flow network, led out over their lowest passes (Cordonnier, Bovy and Braun 2019,
doi:10.5194/esurf-7-549-2019).

Plain torch on any device (basins_plain.py), kernels for some of its parts on a card (basins_cuda.py), a numba twin on the CPU: the
same codes, to the bit.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.terrain import basins_plain


def lead_out(height: Tensor, codes: Tensor, *, impl: Impl = "auto") -> tuple[Tensor, int]:
    """Codes [H, W] uint8 whose pits drain over their lowest passes, and how many pits there were.

    height: [H, W] float64; codes: those of steepest descent on it.
    """
    chosen = choose(impl, height.device, cuda=True)
    if chosen == "cuda":
        from backend.ops.terrain import basins_cuda

        parts = basins_plain.Parts(basins_cuda.ways_of, basins_cuda.order_of, basins_cuda.directions_of)
        return basins_plain.lead_out(height, codes, parts)
    if chosen == "plain":
        return basins_plain.lead_out(height, codes)
    from backend.ops.terrain import basins_cpu

    z, made = height.numpy(), codes.numpy().copy()
    labels, pits = basins_cpu.basin_labels(made)
    if pits.size:
        bits = basins_cpu.pass_bits(z, labels)
        edges = basins_cpu.basin_tree(z, made, labels, bits, pits.size)
        basins_cpu.carve_basins(made, labels, pits, edges)
    return torch.from_numpy(made), int(pits.size)
