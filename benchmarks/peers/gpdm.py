"""Generating patch distributions by gradient descent (Elnekave and Weiss 2022, "Generating natural images with
direct patch distributions matching", arXiv 2203.11862), on height maps and colours: the peer of our sliced
Wasserstein transport.

As published: 7 x 7 patches, 64 fresh random projections a step, L1 between sorted projections, Adam at 0.01 on maps
scaled to -1..1, 300 steps at each of the scales 0.85 apart, the result of one scale enlarged into the next. Kinder
than published in one thing: on a CPU sorting is NumPy's vectorised sort and not torch's, which is 14 times slower there,
and the gradient is written out and not recorded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F

PATCH = 7
COARSEST_PX = 32
CHECK_EVERY = 10


@dataclass(kw_only=True)
class Gpdm:
    """steps of Adam a scale, projections a step, ratio between scales; device: "cpu" or a graphics card. step_s: mean seconds of
    a step at each size, and spent_s: all of them, once run."""

    steps: int = 300
    projections: int = 64
    ratio: float = 0.85
    rate: float = 0.01
    device: str = "cpu"
    step_s: dict[int, float] = field(default_factory=dict)
    spent_s: float = 0.0

    def sizes(self, side: int) -> list[int]:
        """From coarse to fine."""
        return [round(side * self.ratio**n) for n in range(64) if side * self.ratio**n >= COARSEST_PX][::-1]

    def run(
        self,
        layout: np.ndarray,
        exemplar: np.ndarray,
        *,
        seed: int = 0,
        timed_steps: int | None = None,
        good_enough: Callable[[np.ndarray], bool] = lambda height: False,
    ) -> np.ndarray:
        """Square images, maps [N, N] in metres or [C, N, N], to one of their kind; `timed_steps` a scale in place of all of
        them, for timing only. good_enough(image) is asked every CHECK_EVERY steps at the finest scale and ends the run;
        asking costs no time of the peer's."""
        middle, half = (exemplar.max() + exemplar.min()) / 2, (exemplar.max() - exemplar.min()) / 2
        is_map = exemplar.ndim == 2
        if is_map:
            layout, exemplar = layout[None], exemplar[None]
        target = torch.from_numpy(((exemplar - middle) / half).astype(np.float32))[None].to(self.device)
        start = (layout - layout.mean()) / layout.std() * exemplar.std() + exemplar.mean()
        start = torch.from_numpy(((start - middle) / half).astype(np.float32))[None].to(self.device)
        generator = torch.Generator().manual_seed(seed)
        image = None
        self.spent_s = 0.0

        def metres(state: torch.Tensor) -> np.ndarray:
            values = state.detach()[0].cpu().numpy() * half + middle
            return values[0] if is_map else values

        def enough(state: torch.Tensor) -> bool:
            return good_enough(metres(state))

        for side in self.sizes(layout.shape[1]):
            goal = _resize(target, round(exemplar.shape[1] * side / layout.shape[1]))
            image = _resize(start if image is None else image, side)
            steps = self.steps if timed_steps is None else timed_steps
            last = side == layout.shape[1]
            before = self.spent_s
            taken, image = self._descend(image, goal, steps, generator, enough if last else lambda state: False)
            self.step_s[side] = (self.spent_s - before) / taken
        assert image is not None
        return metres(image)

    def seconds(self, finest_steps: int | None = None) -> float:
        """Seconds of a whole run, from the steps that were timed; or of all scales and `finest_steps` of the last."""
        finest = self.step_s[max(self.step_s)]
        whole = self.steps * sum(self.step_s.values())
        return whole if finest_steps is None else whole - (self.steps - finest_steps) * finest

    def _descend(
        self,
        image: torch.Tensor,
        goal: torch.Tensor,
        steps: int,
        generator: torch.Generator,
        enough: Callable[[torch.Tensor], bool],
    ) -> tuple[int, torch.Tensor]:
        image = image.clone().requires_grad_()
        adam = torch.optim.Adam([image], lr=self.rate)
        taken = 0
        for filters in self._draws(steps, image.shape[1], generator):
            began = time.perf_counter()
            image.grad = self._gradient(image.detach(), goal, filters)
            adam.step()
            self.spent_s += time.perf_counter() - began
            taken += 1
            if taken % CHECK_EVERY == 0 and enough(image):
                break
        return taken, image.detach()

    def _draws(self, steps: int, channels: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
        for _ in range(steps):
            draw = torch.randn(self.projections, channels, PATCH, PATCH, generator=generator)
            yield (draw / draw.flatten(1).norm(dim=1)[:, None, None, None]).to(self.device)

    def _gradient(self, image: torch.Tensor, goal: torch.Tensor, filters: torch.Tensor) -> torch.Tensor:
        """Of mean |sort(W x) - sort(W y)|; the smaller of two samples is repeated, as in the authors' program."""
        with torch.inference_mode():
            own, theirs = F.conv2d(image, filters), F.conv2d(goal, filters)
            sign = _signs(own[0].flatten(1), theirs[0].flatten(1))
            gradient = F.conv_transpose2d(sign.view_as(own), filters) / sign.numel()
        return gradient.clone()


def _signs(flat: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """The sign of the difference between each of the answers [K, n] and that of its rank among the wanted [K, m]."""
    count, most = flat.shape[1], wanted.shape[1]
    if flat.is_cuda:
        own, order = flat.sort(dim=1)
        wanted = wanted.sort(dim=1).values
        if most != count:
            wanted = wanted[:, torch.arange(count, device=flat.device) * most // count]
        return torch.empty_like(flat).scatter_(1, order, (own - wanted).sign())
    values = flat.numpy()
    order, ranked = np.argsort(values, axis=1), np.sort(wanted.numpy(), axis=1)
    if most != count:
        ranked = ranked[:, np.arange(count) * most // count]
    sign = np.empty_like(values)
    np.put_along_axis(sign, order, np.sign(np.take_along_axis(values, order, axis=1) - ranked), axis=1)
    return torch.from_numpy(sign)


def _resize(image: torch.Tensor, side: int) -> torch.Tensor:
    if image.shape[-1] == side:
        return image
    shrinks = side < image.shape[-1]
    return F.interpolate(image, size=(side, side), mode="bicubic", align_corners=False, antialias=shrinks)
