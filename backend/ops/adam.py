"""Adam (Kingma and Ba 2015, algorithm 1) on tensors, in place: the one that style descent and patch transport share.

Plain torch on any device, by the operations of torch.optim.Adam in their order; a map takes one fused pass of a numba twin on the
CPU and three launches of a CUDA twin. Nothing here computes a gradient or sets a rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.moments import mean


class Adam:
    """The moments of some variables; step() moves them.

    decay: of the first and the second moment. epsilon: added to the root of the second moment. floor: epsilon is at least
    this share of the direction's root mean square; a small one draws lines where the direction is nearly nothing.
    patch: 0, or the side of the patches that a map's direction was gathered from: a pixel near the edge lies under fewer of
    them, and Adam would divide their noise by its own size and draw a rough frame, so that there the step is as short as
    the pixel's share of patches. Takes one float32 map [H, W] then.
    """

    def __init__(
        self,
        variables: Sequence[Tensor],
        *,
        decay: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
        floor: float = 0.0,
        patch: int = 0,
    ) -> None:
        self._moments = [(torch.zeros_like(v), torch.zeros_like(v)) for v in variables]
        self._decay, self._epsilon, self._floor, self._patch = decay, epsilon, floor, patch
        self._taken = 0
        self._known_on_card: Any = None

    @torch.no_grad()
    def step(
        self, variables: Sequence[Tensor], directions: Sequence[Tensor], rate: float | Tensor, *, impl: Impl = "auto"
    ) -> None:
        """Move each variable by about `rate` along its direction (minus its gradient), in place.

        The variables are those of the beginning or tensors of the same shape that have taken their place. rate: a number, or
        float32 [1] on the device, for a step that is replayed from a graph.
        """
        self._taken += 1
        for variable, direction, (first, second) in zip(variables, directions, self._moments, strict=True):
            chosen = choose(impl, variable.device, cuda=True) if self._patch else "plain"
            if chosen == "cuda":
                self._step_cuda(variable, direction, first, second, rate)
            elif chosen == "cpu":
                self._step_cpu(variable, direction, first, second, float(rate))
            else:
                self._step_plain(variable, direction, first, second, float(rate))

    def _step_plain(self, variable: Tensor, direction: Tensor, mean: Tensor, square: Tensor, rate: float) -> None:
        first, second = self._decay
        mean.lerp_(direction, 1 - first)
        square.mul_(second).addcmul_(direction, direction, value=1 - second)
        epsilon: float | Tensor = self._epsilon
        if self._floor:
            epsilon = (self._floor * _mean_square(direction).sqrt()).clamp_min(self._epsilon)
        root = (square.sqrt() / math.sqrt(1 - second**self._taken)).add_(epsilon)
        size = rate / (1 - first**self._taken)
        if self._patch:
            variable.addcdiv_(patch_share(variable, self._patch) * mean, root, value=size)
        else:
            variable.addcdiv_(mean, root, value=size)

    def _step_cpu(self, variable: Tensor, direction: Tensor, mean: Tensor, square: Tensor, rate: float) -> None:
        from backend.ops import adam_cpu

        first, second = self._decay
        along = direction.numpy()
        epsilon = max(self._floor * float(np.sqrt(adam_cpu.mean_square(along))), self._epsilon)
        adam_cpu.adam_step(
            variable.numpy(), along, mean.numpy(), square.numpy(), np.float32(rate), np.float32(epsilon),
            np.float32(first), np.float32(second), np.float32(1 / (1 - first**self._taken)),
            np.float32(1 / (1 - second**self._taken)), self._patch,
        )  # fmt: skip

    def _step_cuda(
        self, variable: Tensor, direction: Tensor, mean: Tensor, square: Tensor, rate: float | Tensor
    ) -> None:
        from backend.ops import adam_cuda

        if self._known_on_card is None:
            self._known_on_card = adam_cuda.Steps(variable.device)
        along = rate if isinstance(rate, Tensor) else torch.full((1,), rate, device=variable.device)
        adam_cuda.adam_step(
            variable,
            direction,
            mean,
            square,
            self._known_on_card,
            along,
            self._floor,
            self._epsilon,
            self._decay,
            self._patch,
        )


def _mean_square(direction: Tensor) -> Tensor:
    """A scalar; on the CPU by NumPy, whose sum does not depend on the number of threads, and without waiting for a GPU."""
    if direction.device.type == "cpu":
        return torch.tensor(mean(direction.square()), dtype=direction.dtype)
    return direction.square().mean()


def patch_share(like: Tensor, patch: int) -> Tensor:
    """Share 0..1 [H, W] of the patch x patch windows on a pixel that a map leaves it: 1 but for the edge."""
    sides = []
    for side in like.shape:
        place = torch.arange(side, device=like.device)
        sides.append(torch.minimum(place + 1, side - place).clamp_max(patch))
    return (sides[0][:, None] * sides[1][None]).to(like.dtype) / (patch * patch)
