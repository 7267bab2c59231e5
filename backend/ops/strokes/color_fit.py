"""The colours that make a painting closest to a picture, its strokes' shapes given: linear least squares.

The painting is linear in its colours, image = W c + w0 canvas with W the strokes' visible shares, so that
min |W c + w0 canvas - target|^2 + keep |c - c0|^2 is solved by conjugate gradients (Hestenes and Stiefel 1952). W and its transpose
are composite() and its derivative; they are divided by the rows' sums of W^T W, to which it has no eigenvalue above 1.

Plain torch on any device; numba twins on the CPU and on a card, which compute the strokes' alphas once for all steps.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.strokes import compositing_plain as plain
from backend.ops.strokes.compositing import BUFFERS, Segments, as_array, check_strokes, composite, kernel_arrays

Gather = Callable[
    [Tensor, Tensor, Tensor], Tensor
]  # colours [N, 3], ground, wanted -> W^T weight (W colours + w0 ground - wanted)


def color_fit(
    geometry: Tensor,  # [N, 8] px
    opacity: Tensor,  # [N, 2]
    color: Tensor,  # [N, 3] where to begin
    canvas: Tensor,  # [H, W, 3]
    target: Tensor,  # [H, W, 3]
    *,
    weight: Tensor | None = None,
    segments: Segments | None = None,
    clip: bool = False,
    softness: float = 1.0,
    steps: int = 6,
    keep: float = 1.0,
    impl: Impl = "auto",
) -> Tensor:
    """Colours [N, 3] in 0..1 after `steps` steps of conjugate gradients from `color`.

    weight [H, W]: of the pixels' errors. keep: how strongly a stroke holds on to the colour it has, as though that many px of
    it showed; one that is hidden keeps it.
    """
    check_strokes(geometry, opacity, color, canvas, segments, clip, impl)
    labels, of_stroke = (None, None) if segments is None else (segments.labels, segments.of_stroke)
    with torch.no_grad():
        start = color.detach()
        scene = plain.Scene(geometry.detach(), opacity.detach(), start, canvas, labels, of_stroke, clip, softness)
        kind = choose(impl, geometry.device, cuda=True) if geometry.dtype == torch.float32 else "plain"
        if kind == "cpu":
            twin = _Twin(scene, weight)
            moved = solve(twin.gather, start, canvas, target, steps, keep)
            twin.close()
        elif kind == "cuda":
            from backend.ops.strokes.color_fit_cuda import Gathering

            moved = solve(Gathering(scene, weight).gather, start, canvas, target, steps, keep)
        else:
            moved = solve(_plain_gather(scene, segments, weight), start, canvas, target, steps, keep)
        return (start + moved).clamp(0.0, 1.0)


def solve(gather: Gather, start: Tensor, canvas: Tensor, target: Tensor, steps: int, keep: float) -> Tensor:
    """How the colours [N, 3] move from `start`; each channel is a problem of its own."""
    nothing = torch.zeros_like(canvas)
    rest = -gather(start, canvas, target)
    scale = gather(torch.ones_like(start), nothing, nothing) + keep
    moved, along = torch.zeros_like(start), torch.zeros_like(start)
    none = old = torch.zeros(3, dtype=start.dtype, device=start.device)
    for _ in range(steps):
        conditioned = rest / scale
        new = (rest * conditioned).sum(0)
        along = conditioned + torch.where(old > 0, new / old, none) * along
        bent = gather(along, nothing, nothing) + keep * along
        curvature = (along * bent).sum(0)
        step = torch.where(curvature > 0, new / curvature, none)
        moved, rest, old = moved + step * along, rest - step * bent, new
    return moved


def _plain_gather(scene: plain.Scene, segments: Segments | None, weight: Tensor | None) -> Gather:
    area = 1.0 if weight is None else weight[..., None]

    def gather(colors: Tensor, ground: Tensor, wanted: Tensor) -> Tensor:
        colors = colors.detach().requires_grad_()
        with torch.enable_grad():
            image = composite(
                scene.geometry, scene.opacity, colors, ground, segments=segments, clip=scene.clip,
                softness=scene.softness, impl="plain",
            )  # fmt: skip
        return torch.autograd.grad(image, colors, area * (image.detach() - wanted))[0]

    return gather


class _Twin:
    def __init__(self, scene: plain.Scene, weight: Tensor | None) -> None:
        from backend.ops.strokes import color_fit_cpu

        self.kernel = color_fit_cpu
        self.geometry, self.opacity, _, self.box, *self.bounds = kernel_arrays(scene)
        self.tiles, *self.lists, self.own = color_fit_cpu.sort(self.box, *scene.canvas.shape[:2])
        self.weight = np.empty((0, 0), np.float32) if weight is None else as_array(weight)
        self.kept = BUFFERS.take(len(self.lists[1]))
        self.known = False

    def gather(self, colors: Tensor, ground: Tensor, wanted: Tensor) -> Tensor:
        sums = np.zeros((len(self.lists[1]), 3), np.float32)
        alphas, _, blocks = self.kept
        strokes = (self.geometry, self.opacity, as_array(colors), self.box, *self.bounds)
        self.kernel.gather(
            self.tiles, self.lists, strokes, (alphas, blocks), self.known, as_array(ground), as_array(wanted), self.weight,
            sums,
        )  # fmt: skip
        self.known = True
        made = np.empty((len(self.own) - 1, 3), np.float32)
        self.kernel.add_up(sums, self.own, made)
        return torch.from_numpy(made)

    def close(self) -> None:
        BUFFERS.give_back(self.kept)
