"""The CPU's way of solving a texture: square blocks with a margin, one after the other, in place.

backend/ops/texels/solver.py says what is solved, backend/ops/texels/cpu/solver.py how one block is.
"""

from __future__ import annotations

import numba
import numpy as np
from torch import Tensor

from backend.ops.texels.cpu import solver as kernel
from backend.ops.texels.problem import Problem
from backend.ops.texels.system import TexelSystem

BLOCK, MARGIN = 256, 12
BLOCKS_PER_THREAD = 3  # between two signs of life


def relax_blocks(system: TexelSystem, cells: Tensor, level: int, texture: Tensor, problem: Problem) -> None:
    """solver.relax on a CPU."""
    side = system.sides[level]
    last = max([level, *(k for k in range(level + 1, system.levels + 1) if bool(system.level(k)[..., 0].any()))])
    coarsest = 1 << (last - level)
    whole = -(-side // max(16, coarsest)) * max(16, coarsest)
    block = min(BLOCK, whole)
    alone = block == whole  # nothing beyond to agree with
    ring = coarsest
    margin = -(-(ring + (0 if alone else MARGIN)) // max(8, coarsest)) * max(8, coarsest) - ring
    corners, amounts = problem.seams.rows(system.size, level, side, problem.seam_scale)
    starts, rows = _seams_of_blocks(corners, side, block, margin)
    flat = texture.reshape(3, -1).numpy()
    differences = np.zeros((3, len(corners)), np.float32)
    chunk = BLOCKS_PER_THREAD * numba.get_num_threads()
    for places in _phases(-(-side // block)) * (problem.sweeps if side > block else 1):
        kernel.seam_differences(flat, corners, amounts, differences)
        for at in range(0, len(places), chunk):
            problem.alive()
            kernel.relax(
                cells.numpy(),
                system.cells.numpy(),
                system.table[:, : last + 1],
                level,
                flat,
                problem.charts,
                np.float32(problem.smoothness),
                level,
                (corners, amounts, differences),
                starts,
                rows,
                places[at : at + chunk],
                ring,
                margin,
                block,
                problem.iterations,
                problem.tolerance,
                numba.get_num_threads(),
            )


def _phases(across: int) -> list[np.ndarray]:
    """The blocks of a square of across x across as rows and columns [B, 2] int64, in up to four phases without neighbours."""
    places = np.indices((across, across)).reshape(2, -1).T.copy()
    color = places[:, 0] % 2 * 2 + places[:, 1] % 2
    return [places[color == phase] for phase in range(4) if (color == phase).any()]


def _seams_of_blocks(corners: np.ndarray, side: int, block: int, margin: int) -> tuple[np.ndarray, np.ndarray]:
    """For every block of a grid the seam rows with a corner in its region: starts [blocks + 1], rows."""
    across, count = -(-side // block), len(corners)
    keys = []
    for first in (corners[:, 0], corners[:, 4]):  # the top left texels of a row's two cells
        for y in (first // side - margin, first // side + 1 + margin):
            for x in (first % side - margin, first % side + 1 + margin):
                place = np.clip(y, 0, side - 1) // block * across + np.clip(x, 0, side - 1) // block
                keys.append(place * count + np.arange(count))
    found = np.unique(np.concatenate(keys))
    starts = np.searchsorted(found, np.arange(across * across + 1) * count)
    return starts, found % max(count, 1)
