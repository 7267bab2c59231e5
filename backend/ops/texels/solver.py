"""The texture that explains the observations best: (sum_k R_k' A_k R_k + lambda L) T = sum_k R_k' b_k, and seam rows.

Coarse to fine when there is nothing to start from: the system of a grid half as fine is P' A P of this one's, P repeating
values, still a nine-point stencil; levels coarser than the grid act on it as they are. The Laplacian L over neighbouring
texels fills what nobody has seen, smoothly, and its weight is relative to what a seen texel weighs on average, so that
it means the same for any number of photographs and any exposure of weights. In two dimensions its energy does not
depend on the grid: every grid takes the same lambda.

On a CPU blocks are solved one after another (solver_blocks.py), in place, with little memory beside the observations;
elsewhere conjugate gradients over the whole texture (solver_plain.py). It must not know pixels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.resampling import bilinear
from backend.ops.texels import solver_plain
from backend.ops.texels.constants import PLANES
from backend.ops.texels.problem import NO_SEAMS, Problem, Seams
from backend.ops.texels.system import TexelSystem

COARSEST_SIDE = 64  # of the grid that a solution from nothing begins on
ONE_CHART = np.zeros((1, 1), np.uint8)


def solve(
    system: TexelSystem,
    start: Tensor | None = None,
    *,
    smoothness: float = 0.002,
    charts: np.ndarray | None = None,
    seams: Seams = NO_SEAMS,
    sweeps: int = 2,
    iterations: int = 40,
    tolerance: float = 1e-4,
    alive: Callable[[], object] = lambda: None,
    impl: Impl = "auto",
) -> Tensor:
    """The texture [3, S, S] float32 of a system; `start`, which is changed in place, or a new one from coarse to fine.

    smoothness: weight of (T_i - T_j)² for neighbours relative to the mean weight of a seen texel. charts [S, S] uint8,
    uint16 or int32: smoothness holds only between texels of one number. sweeps: over all blocks, each with at most
    `iterations` of conjugate gradients, ended when the root mean square of the step that its diagonal asks for is
    below `tolerance` (units of colour). alive: called every tenth of a second or so; what it raises ends the solution.
    """
    weight = mean_weight(system, impl=impl)
    problem = Problem(
        smoothness=smoothness * weight,
        charts=ONE_CHART if charts is None else np.ascontiguousarray(charts),
        seams=seams,
        seam_scale=weight,
        sweeps=sweeps,
        iterations=iterations,
        tolerance=tolerance,
        alive=alive,
    )
    if start is not None:
        relax(system, system.level(0).reshape(-1, PLANES), 0, start, problem, impl=impl)
        return start
    grids = coarser_grids(system, impl=impl)
    texture: Tensor | None = None
    while grids:
        level = len(grids) - 1
        cells, side = grids.pop(), system.sides[level]
        texture = mean_color(system, impl=impl) if texture is None else texture
        texture = bilinear(texture[None], (side, side))[0]
        relax(system, cells, level, texture, problem, impl=impl)
    assert texture is not None
    return texture


def mean_weight(system: TexelSystem, *, impl: Impl = "auto") -> float:
    """The mean observation weight of the texels that have any; 1 where nobody has seen anything."""
    if choose(impl, system.device, cuda=True) == "cpu":
        from backend.ops.texels.cpu.solver import count_seen

        seen = int(count_seen(system.cells.numpy(), system.table))
    else:
        seen = torch.count_nonzero(system.observation_weight() > 0)
        found = torch.cat([system.cells.sum(0, dtype=torch.float64), seen[None].to(torch.float64)]).cpu().numpy()
        return total_weight(found[:-1]) / float(found[-1]) if found[-1] else 1.0
    return total_weight(column_sums(system, impl=impl)) / seen if seen else 1.0


def mean_color(system: TexelSystem, *, impl: Impl = "auto") -> Tensor:
    """The weighted mean of all observations, [3, 1, 1]; mid grey where there is none."""
    sums = column_sums(system, impl=impl)
    weight = total_weight(sums)
    color = sums[5:] / weight if weight > 0 else np.full(3, 0.5)
    return torch.from_numpy(color.astype(np.float32)).to(system.device)[:, None, None]


def column_sums(system: TexelSystem, *, impl: Impl = "auto") -> np.ndarray:
    """The sums of the eight planes over all levels, [8] float64."""
    if choose(impl, system.device, cuda=True) == "cpu":
        from backend.ops.texels.cpu import solver as kernel

        return kernel.column_sums(system.cells.numpy())
    return system.cells.sum(0, dtype=torch.float64).cpu().numpy()


def total_weight(sums: np.ndarray) -> float:
    """The sum of all observations' weights: of all numbers in the matrix, where a coupling stands twice."""
    return float(sums[0] + 2 * sums[1:5].sum())


def coarser_grids(system: TexelSystem, *, impl: Impl = "auto") -> list[Tensor]:
    """The cells of grids 0 (the system's own) and coarser, [n*n, 8] each, down to about COARSEST_SIDE texels a side."""
    grids = [system.level(0).reshape(-1, PLANES)]
    for level in range(1, system.levels + 1):
        if system.sides[level - 1] <= COARSEST_SIDE:
            break
        if choose(impl, system.device, cuda=True) != "cpu":
            fine = grids[-1].unflatten(0, (system.sides[level - 1],) * 2)
            grids.append(solver_plain.coarsen(fine, system.level(level)).reshape(-1, PLANES))
            continue
        from backend.ops.texels.cpu import solver as kernel

        result = torch.empty((system.sides[level] ** 2, PLANES))
        kernel.coarsen(
            grids[-1].numpy(),
            system.sides[level - 1],
            system.cells.numpy(),
            int(system.table[1, level]),
            system.sides[level],
            result.numpy(),
        )
        grids.append(result)
    return grids


def relax(
    system: TexelSystem, cells: Tensor, level: int, texture: Tensor, problem: Problem, *, impl: Impl = "auto"
) -> None:
    """Bring the texture of a grid [3, n, n] nearer to the solution, in place."""
    chosen = choose(impl, system.device, cuda=True)
    if chosen == "cpu":
        from backend.ops.texels.solver_blocks import relax_blocks

        relax_blocks(system, cells, level, texture, problem)
        return
    side, device = system.sides[level], system.device
    charts = None if problem.charts is ONE_CHART else torch.from_numpy(problem.charts)
    corners, amounts = problem.seams.rows(system.size, level, side, problem.seam_scale)
    grid = solver_plain.Grid(
        [cells.unflatten(0, (side, side)), *(system.level(k) for k in range(level + 1, system.levels + 1))],
        problem.smoothness,
        *solver_plain.ties_between(charts, side, level, device),
        torch.from_numpy(corners).to(device),
        torch.from_numpy(amounts).to(device),
    )
    iterations = problem.iterations * problem.sweeps
    multiply = grid.multiply
    if chosen == "cuda":
        from backend.ops.texels.solver_cuda import Product

        multiply = Product(grid.planes, grid.smoothness, grid.right_ties, grid.down_ties, grid.corners, grid.amounts)
    texture.copy_(
        solver_plain.conjugate_gradients(grid, texture, iterations, problem.tolerance, problem.alive, multiply)
    )
