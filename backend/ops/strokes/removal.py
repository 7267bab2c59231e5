"""What each stroke is worth: by how much the painting's squared error would grow without it.

With w the share of a pixel that a stroke shows, all that lies over it considered, and `before` what it has been painted on, its
removal changes the image by w (before - color): the cost is exact for one stroke that goes while all others stay.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.strokes import compositing_plain as plain
from backend.ops.strokes.compositing import Segments, as_array, check_strokes, kernel_arrays


def removal_cost(
    geometry: Tensor,  # [N, 8] px
    opacity: Tensor,  # [N, 2]
    color: Tensor,  # [N, 3]
    canvas: Tensor,  # [H, W, 3]
    target: Tensor,  # [H, W, 3]
    *,
    weight: Tensor | None = None,
    segments: Segments | None = None,
    clip: bool = False,
    softness: float = 1.0,
    impl: Impl = "auto",
) -> Tensor:
    """[N]: sum over pixels and colours of weight (painting - target)^2 without the stroke minus with it.

    Negative where the painting is better without. weight [H, W].
    """
    check_strokes(geometry, opacity, color, canvas, segments, clip, impl)
    labels, of_stroke = (None, None) if segments is None else (segments.labels, segments.of_stroke)
    scene = plain.Scene(geometry, opacity, color, canvas, labels, of_stroke, clip, softness)
    kind = choose(impl, geometry.device, cuda=True) if geometry.dtype == torch.float32 else "plain"
    if kind == "cpu":
        from backend.ops.strokes import removal_cpu

        area = np.empty((0, 0), np.float32) if weight is None else as_array(weight)
        return torch.from_numpy(
            removal_cpu.removal_costs(kernel_arrays(scene), as_array(canvas), as_array(target), area)
        )
    if kind == "cuda":
        from backend.ops.strokes import removal_cuda

        return removal_cuda.removal_costs(scene, target, weight)
    with torch.no_grad():
        image, _ = plain.paint(scene)
        error = image - target
        area = torch.ones_like(error[..., 0]) if weight is None else weight.to(error.dtype)
        return plain.removal_costs(scene, error, area)
