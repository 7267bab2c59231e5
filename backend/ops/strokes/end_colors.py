"""Strokes with a colour at each end: the colours between are mixed along the curve, and found by linear least squares.

At the place t* along its curve a stroke has the colour (1 - t*) start + t* end, as its opacity has it. The painting is linear in
both, so that they are the solution of the problem of color_fit.py with two unknowns for a channel, solved in the same way.

Plain torch on any device (end_colors_plain.py); numba twins on the CPU and on a card.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, Implementation, choose
from backend.ops.strokes import end_colors_plain
from backend.ops.strokes.color_fit import solve
from backend.ops.strokes.compositing import as_array, check_strokes, kernel_arrays
from backend.ops.strokes.compositing_plain import Scene


def composite_along(
    geometry: Tensor,  # [N, 8] px
    opacity: Tensor,  # [N, 2]
    color: Tensor,  # [N, 3]
    end_color: Tensor,  # [N, 3]
    canvas: Tensor,  # [H, W, 3]
    *,
    impl: Impl = "auto",
) -> Tensor:
    """The canvas [H, W, 3] with the strokes painted on it, the first one first. Not differentiable."""
    check_strokes(geometry, opacity, color, canvas, None, False, impl)
    check_strokes(geometry, opacity, end_color, canvas, None, False, impl)
    with torch.no_grad():
        scene = _scene(geometry, opacity, color, canvas)
        kind = _implementation(geometry, impl)
        if kind == "plain":
            return end_colors_plain.paint(scene, end_color)
        if kind == "cuda":
            from backend.ops.strokes import end_colors_cuda

            return end_colors_cuda.paint(scene, end_color)
        from backend.ops.strokes import end_colors_cpu

        image = as_array(canvas).copy()
        end_colors_cpu.paint(kernel_arrays(scene), as_array(end_color), image)
        return torch.from_numpy(image)


def end_color_fit(
    geometry: Tensor,  # [N, 8] px
    opacity: Tensor,  # [N, 2]
    color: Tensor,  # [N, 3] where both ends begin
    canvas: Tensor,  # [H, W, 3]
    target: Tensor,  # [H, W, 3]
    *,
    steps: int = 10,
    keep: float = 1.0,
    impl: Impl = "auto",
) -> tuple[Tensor, Tensor]:
    """Colours of the starts and of the ends [N, 3] each, 0..1. keep: as in color_fit, for each of the two."""
    check_strokes(geometry, opacity, color, canvas, None, False, impl)
    with torch.no_grad():
        start = color.detach().repeat(2, 1)
        scene = _scene(geometry, opacity, color, canvas)
        kind = _implementation(geometry, impl)
        if kind == "cpu":
            gather = _Twin(scene).gather
        elif kind == "cuda":
            from backend.ops.strokes.end_colors_cuda import Gathering

            gather = Gathering(scene).gather
        else:
            gather = end_colors_plain.gatherer(scene)
        found = (start + solve(gather, start, canvas, target, steps, keep)).clamp(0.0, 1.0)
        return found[: len(color)], found[len(color) :]


def _implementation(geometry: Tensor, impl: Impl) -> Implementation:
    return choose(impl, geometry.device, cuda=True) if geometry.dtype == torch.float32 else "plain"


def _scene(geometry: Tensor, opacity: Tensor, color: Tensor, canvas: Tensor) -> Scene:
    return Scene(geometry.detach(), opacity.detach(), color.detach(), canvas.detach(), None, None, False, 1.0)


class _Twin:
    def __init__(self, scene: Scene) -> None:
        from backend.ops.strokes import end_colors_cpu

        self.kernel = end_colors_cpu
        self.strokes = kernel_arrays(scene)
        self.tiles, *self.lists, self.own = end_colors_cpu.sort(self.strokes[3], *scene.canvas.shape[:2])

    def gather(self, colors: Tensor, ground: Tensor, wanted: Tensor) -> Tensor:
        count = len(self.own) - 1
        sums = np.zeros((len(self.lists[1]), 6), np.float32)
        both = as_array(colors)
        strokes = (*self.strokes[:2], both[:count], *self.strokes[3:])
        self.kernel.gather(self.tiles, self.lists, strokes, both[count:], as_array(ground), as_array(wanted), sums)
        made = np.empty((2 * count, 3), np.float32)
        self.kernel.add_up(sums, self.own, made)
        return torch.from_numpy(made)
