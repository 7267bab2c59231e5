"""Wet paint pulled along by a dry brush: colour and relief under a stroke are mixed with what lies behind them on its way.

At a pixel under a stroke the paint is that found on its trace: the points behind it that lie as far to the side of the curve. They
are mixed with weights that fall off exponentially with the way. Each hair drags the paint its own distance, and only some of them
touch it, so that streaks are left and no blur. The trace ends where the stroke starts: no paint comes from beyond the stroke.

All strokes read the paint as it was before the first of them. Plain torch on any device (smudge_plain.py); numba twins on the
CPU and on a card. Not differentiable. The idea is that of "Birth of a Painting", arXiv 2511.13191; the formulas are this project's.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.strokes import smudge_plain
from backend.ops.strokes.brush_plain import seeds
from backend.ops.strokes.compositing import as_array, check_strokes, kernel_arrays
from backend.ops.strokes.compositing_plain import Scene

SEED = 40503  # of the hairs: the same painting whatever the brush that laid the paint


def smudge(
    geometry: Tensor,  # [N, 8] float32 px, of the dry strokes in their order
    image: Tensor,  # [H, W, 3]
    height: Tensor,  # [H, W] thickness of the paint
    amount: float,
    *,
    impl: Impl = "auto",
) -> tuple[Tensor, Tensor]:
    """The image [H, W, 3] and the paint's thickness [H, W] after dry strokes. amount: share of the hairs that touch, 0 (none, the
    paint stays as it is) to 1. Raises ValueError for another amount, and for shapes that do not fit."""
    opacity, color = torch.ones_like(geometry[:, :2]), torch.zeros_like(geometry[:, :3])
    check_strokes(geometry, opacity, color, image, None, False, impl)
    if height.shape != image.shape[:2]:
        raise ValueError(f"height has shape {tuple(height.shape)}; it must be {tuple(image.shape[:2])}")
    if not 0.0 <= amount <= 1.0:
        raise ValueError(f"amount is {amount}; it must be from 0 to 1")
    if amount == 0.0 or not len(geometry):
        return image, height
    with torch.no_grad():
        scene = Scene(geometry, opacity, color, image.detach(), None, None, False, 1.0)
        own = seeds(len(geometry), SEED, geometry.device)
        kind = choose(impl, geometry.device, cuda=True) if geometry.dtype == torch.float32 else "plain"
        if kind == "plain":
            return smudge_plain.smudge(scene, height.detach(), own, amount)
        if kind == "cuda":
            from backend.ops.strokes import smudge_cuda

            return smudge_cuda.smudge(scene, height.detach(), own, amount)
        from backend.ops.strokes import smudge_cpu

        paint = as_array(image), as_array(height)
        made = paint[0].copy(), paint[1].copy()
        smudge_cpu.smudge(kernel_arrays(scene), own.numpy().astype(np.uint32), paint, made, amount)
        return torch.from_numpy(made[0]), torch.from_numpy(made[1])
