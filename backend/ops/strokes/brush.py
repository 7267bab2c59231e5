"""Strokes as a brush leaves them: bristles, ragged ends, and the height of the paint.

Bristles are noise that runs along a stroke; in their furrows the paint is thinner and lets through what lies below. A brush pushes
paint to both sides and to where it stops, and runs out on the way. Paint that is laid over paint presses part of it flat: height
<- height (1 - LEVELLED alpha) + alpha thickness, less of both at its edges. All is measured in shares of the stroke's radius and
of the canvas, so that strokes look alike at every size. The noise is made here; no image is needed.

Without bristles and dryness the painting is that of composite(), and the paint has the profile of a smooth brush. Plain torch on
any device (brush_plain.py, bristles.py); numba twins on the CPU and on a card. Not differentiable.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.strokes import brush_plain
from backend.ops.strokes.compositing import Segments, as_array, check_strokes, kernel_arrays
from backend.ops.strokes.compositing_plain import Scene


@dataclass(frozen=True)
class Brush:
    """How strokes are drawn.

    bristles: how strongly hairs show in colour, ends and relief, 0 (not at all) to 1. dryness: how much a stroke breaks up
    towards its end, 0 to 1. seed: of the hairs; the nth stroke's are the same at every size.
    """

    bristles: float = 0.5
    dryness: float = 0.3
    seed: int = 0


def paint_with_brush(
    geometry: Tensor,  # [N, 8] float32 px
    opacity: Tensor,  # [N, 2]
    color: Tensor,  # [N, 3]
    canvas: Tensor,  # [H, W, 3]
    brush: Brush,
    *,
    end_color: Tensor | None = None,  # [N, 3]
    segments: Segments | None = None,
    clip: bool = False,
    impl: Impl = "auto",
) -> tuple[Tensor, Tensor]:
    """The painting [H, W, 3], and the thickness of its paint [H, W]. end_color: colours of the ends where those of the starts,
    `color`, are others; it is mixed along the stroke.

    Thickness is 0 where no stroke is and about 1 on the ridges of a brush whose radius is FULL_SHARE of the canvas's longer side,
    more where paint lies on paint; smaller brushes carry less.
    """
    check_strokes(geometry, opacity, color, canvas, segments, clip, impl)
    ends = color if end_color is None else end_color
    check_strokes(geometry, opacity, ends, canvas, segments, clip, impl)
    labels, of_stroke = (None, None) if segments is None else (segments.labels, segments.of_stroke)
    with torch.no_grad():
        scene = Scene(geometry, opacity, color, canvas.detach(), labels, of_stroke, clip, 1.0)
        kind = choose(impl, geometry.device, cuda=True) if geometry.dtype == torch.float32 else "plain"
        if kind == "plain":
            return brush_plain.paint(scene, ends, brush.bristles, brush.dryness, brush.seed)
        own = brush_plain.seeds(len(geometry), brush.seed, geometry.device)
        if kind == "cuda":
            from backend.ops.strokes import brush_cuda

            return brush_cuda.paint(scene, ends, own, brush.bristles, brush.dryness)
        from backend.ops.strokes import brush_cpu

        seeds = own.numpy().astype(np.uint32)
        image, height = as_array(canvas).copy(), np.zeros(canvas.shape[:2], np.float32)
        brush_cpu.paint(kernel_arrays(scene), as_array(ends), seeds, image, height, brush.bristles, brush.dryness)
        return torch.from_numpy(image), torch.from_numpy(height)
