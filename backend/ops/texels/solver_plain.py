"""The solver of scan textures in plain torch operations, for any device: conjugate gradients over a whole grid.

What a GPU runs, and the CPU's blocks are held to: it wants seven vectors of the texture's size, which
a GPU has room for. Seam rows are added by indices that repeat, so on a GPU their sums go through index_put_, which sorts.
It must not choose grids or weights: see backend/ops/texels/solver.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from backend.ops.cuda_graphs import RepeatedStep
from backend.ops.texels.pyramid import halve, spread

LOOKS_EVERY = 8  # iterations: each look at a GPU's numbers waits for all that it has been asked for


@dataclass(frozen=True)
class Grid:
    """The equations of one grid.

    planes: [n, n, 8] of the grid itself and then of every coarser level that acts on it. smoothness: absolute. right_ties,
    down_ties: [n, n] 1 where a texel and its right (lower) neighbour are held together, 0 where not and at the edge.
    corners [M, 8], amounts [M, 8]: the seam rows.
    """

    planes: list[Tensor]
    smoothness: float
    right_ties: Tensor
    down_ties: Tensor
    corners: Tensor
    amounts: Tensor

    def multiply(self, texture: Tensor) -> Tensor:
        """The matrix times a texture [3, n, n]."""
        means = [texture]
        for _ in self.planes[1:]:
            means.append(halve(means[-1]))
        result = multiply_level(self.planes[-1], means[-1])
        for planes, mean in zip(self.planes[-2::-1], means[-2::-1]):
            result = multiply_level(planes, mean) + spread(result, planes.shape[0])
        result += self.smoothness * self._laplacian(texture)
        if len(self.corners):
            differences = (texture.reshape(3, -1)[:, self.corners] * self.amounts).sum(-1, keepdim=True) * self.amounts
            add_at(result.reshape(3, -1), self.corners, differences)
        return result

    def right_side(self) -> Tensor:
        """[3, n, n]."""
        result = self.planes[-1][..., 5:].permute(2, 0, 1)
        for planes in self.planes[-2::-1]:
            result = planes[..., 5:].permute(2, 0, 1) + spread(result, planes.shape[0])
        return result

    def diagonal(self) -> Tensor:
        """[1, n, n]."""
        result = self.planes[-1][None, ..., 0]
        for planes in self.planes[-2::-1]:
            side = planes.shape[0]
            share = spread(torch.ones_like(result), side)
            result = planes[None, ..., 0] + share * spread(result, side)
        ties = self.right_ties + self.down_ties
        ties[:, 1:] += self.right_ties[:, :-1]
        ties[1:] += self.down_ties[:-1]
        result = result + self.smoothness * ties
        if len(self.corners):
            add_at(result.reshape(1, -1), self.corners, (self.amounts**2)[None])
        return result

    def _laplacian(self, texture: Tensor) -> Tensor:
        result = torch.zeros_like(texture)
        step = (texture[..., :-1] - texture[..., 1:]) * self.right_ties[:, :-1]
        result[..., :-1] += step
        result[..., 1:] -= step
        step = (texture[..., :-1, :] - texture[..., 1:, :]) * self.down_ties[:-1]
        result[..., :-1, :] += step
        result[..., 1:, :] -= step
        return result


def ties_between(charts: Tensor | None, side: int, level: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Grid.right_ties and down_ties for chart numbers [S, S] (None: one chart) on the grid of a level."""
    right, down = torch.ones((side, side), device=device), torch.ones((side, side), device=device)
    right[:, -1], down[-1] = 0, 0
    if charts is not None:
        places = ((torch.arange(side, device=device) << level) + ((1 << level) >> 1)).clamp(max=charts.shape[0] - 1)
        numbers = charts.to(device)[places][:, places].to(torch.int64)
        right[:, :-1] = (numbers[:, :-1] == numbers[:, 1:]).to(right)
        down[:-1] = (numbers[:-1] == numbers[1:]).to(down)
    return right, down


def multiply_level(planes: Tensor, values: Tensor) -> Tensor:
    """The nine-point matrix of planes [n, n, 8] times values [C, n, n]."""
    own, right, down, down_right, down_left = planes[..., :5].unbind(-1)
    result = own * values
    result[..., :-1] += right[:, :-1] * values[..., 1:]
    result[..., 1:] += right[:, :-1] * values[..., :-1]
    result[..., :-1, :] += down[:-1] * values[..., 1:, :]
    result[..., 1:, :] += down[:-1] * values[..., :-1, :]
    result[..., :-1, :-1] += down_right[:-1, :-1] * values[..., 1:, 1:]
    result[..., 1:, 1:] += down_right[:-1, :-1] * values[..., :-1, :-1]
    result[..., :-1, 1:] += down_left[:-1, 1:] * values[..., 1:, :-1]
    result[..., 1:, :-1] += down_left[:-1, 1:] * values[..., :-1, 1:]
    return result


def coarsen(fine: Tensor, coarse: Tensor) -> Tensor:
    """The planes [m, m, 8] of the next coarser grid: its own observations and P' A P of the finer one's [n, n, 8].

    P repeats a texel's value in its 2 x 2 children. A coupling becomes the one between the parents; within one parent
    it counts twice on the diagonal.
    """
    odd = fine.shape[0] % 2
    padded = torch.nn.functional.pad(fine, (0, 0, 0, odd, 0, odd))
    result = coarse.clone()
    for row in (0, 1):
        for column in (0, 1):
            own, right, down, down_right, down_left, *colors = padded[row::2, column::2].unbind(-1)
            result[..., 0] += own
            result[..., 5:] += torch.stack(colors, -1)
            if column:
                result[..., 1] += right
            else:
                result[..., 0] += 2 * right
            if row:
                result[..., 2] += down
            else:
                result[..., 0] += 2 * down
            diagonal = 3 if row and column else 2 if row else 1 if column else 0
            result[..., diagonal] += down_right if diagonal else 2 * down_right
            if row:
                result[..., 2 if column else 4] += down_left
            elif column:
                result[..., 0] += 2 * down_left
            else:
                result[:, :-1, 1] += down_left[:, 1:]
    return result


def add_at(flat: Tensor, index: Tensor, values: Tensor) -> None:
    """flat [C, N] += values [C, ...] at index [...], in a fixed order on every device."""
    for channel, added in zip(flat, values):
        if flat.is_cuda:
            channel.index_put_((index.reshape(-1),), added.reshape(-1), accumulate=True)
        else:
            channel.index_add_(0, index.reshape(-1), added.reshape(-1))


def conjugate_gradients(
    grid: Grid, texture: Tensor, iterations: int, tolerance: float, alive: Callable[[], object] = lambda: None,
    multiply: Callable[[Tensor], Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """The solution from `texture` [3, n, n] on, channels side by side, with Jacobi's preconditioner (Saad 2003, algorithm 9.1).

    Ends when the root mean square of the step that the diagonal asks for is below the tolerance in every channel, which is
    looked at every LOOKS_EVERY iterations; between two looks a card is asked for nothing, its iterations are replayed. multiply:
    another form of grid.multiply, its result good until the next one is asked for.
    """
    multiply = multiply or grid.multiply
    diagonal = grid.diagonal()
    inverse = torch.where(diagonal > 0, 1 / diagonal, torch.zeros_like(diagonal))
    residual = (grid.right_side() - multiply(texture)) * (inverse > 0)
    texture = texture.clone()
    wanted = inverse * residual
    direction = wanted.clone()
    energy = (residual * wanted).sum((1, 2), keepdim=True, dtype=torch.float64)

    def iterate() -> None:
        product = multiply(direction)
        curvature = (direction * product).sum((1, 2), keepdim=True, dtype=torch.float64)
        step = torch.where(curvature > 0, energy / curvature, torch.zeros_like(energy)).to(texture.dtype)
        texture.add_(step * direction)
        residual.sub_(step * product)
        torch.mul(inverse, residual, out=wanted)
        left = (residual * wanted).sum((1, 2), keepdim=True, dtype=torch.float64)
        share = torch.where(energy > 0, left / energy, torch.zeros_like(energy)).to(texture.dtype)
        energy.copy_(left)
        direction.mul_(share).add_(wanted)

    repeated = RepeatedStep(iterate, texture.device)
    for turn in range(iterations):
        alive()
        if turn % LOOKS_EVERY == 0 and float(wanted.square().mean((1, 2)).max()) <= tolerance**2:
            break
        repeated()
    return texture
