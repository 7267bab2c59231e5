"""Two renderers of strokes on patches of 128 x 128 pixels, as de Guevara et al. 2023 have them: a network, and the same curves in
plain torch.

The network is the one of "Learning to Paint" with its 11.0 million numbers (backend/models/stroke_renderer.py). What is timed here
does not depend on their values, so they are random. The other evaluates backend/ops/strokes/curves.py for every pixel of the
patch: what the network was trained to draw, without it. Both blend stroke after stroke and are differentiated by autograd.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.models.stroke_renderer import SIDE, StrokeRenderer
from backend.ops.strokes.curves import coverage


def blended(alpha: Tensor, color: Tensor, canvas: Tensor) -> Tensor:
    """C <- C (1 - alpha) + alpha color, stroke after stroke: alpha [P, K, H, W], color [P, K, 3], canvas [P, 3, H, W]."""
    for number in range(alpha.shape[1]):
        share = alpha[:, number, None]
        canvas = canvas * (1 - share) + share * color[:, number, :, None, None]
    return canvas


def network_s(patches: int, strokes: int, repeats: int = 2) -> float:
    """Seconds for a stroke and a step (drawn, blended, differentiated) on so many patches at once; the best of the repeats."""
    torch.manual_seed(0)
    network = StrokeRenderer()
    target = torch.rand(patches, 3, SIDE, SIDE)

    def step() -> None:
        shapes = torch.rand(patches * strokes, 10, requires_grad=True)
        color = torch.rand(patches, strokes, 3, requires_grad=True)
        alpha = network(shapes).view(patches, strokes, SIDE, SIDE)
        F.l1_loss(blended(alpha, color, torch.zeros_like(target)), target).backward()

    return _best(step, repeats) / (patches * strokes)


def analytic_s(patches: int, strokes: int, radius_px: float, repeats: int = 2) -> float:
    """The same for the curves themselves."""
    torch.manual_seed(0)
    target = torch.rand(patches, 3, SIDE, SIDE)
    start = torch.rand(patches * strokes, 2) * SIDE
    along = torch.randn(patches * strokes, 2) * 2 * radius_px
    geometry = torch.cat([start, start + 0.5 * along, start + along, torch.full((len(start), 2), radius_px)], dim=1)

    def step() -> None:
        shapes = geometry.clone().requires_grad_(True)
        color = torch.rand(patches, strokes, 3, requires_grad=True)
        alpha = coverage(shapes, torch.ones(len(shapes), 2), (SIDE, SIDE)).view(patches, strokes, SIDE, SIDE)
        F.l1_loss(blended(alpha, color, torch.zeros_like(target)), target).backward()

    return _best(step, repeats) / (patches * strokes)


def _best(step: object, repeats: int) -> float:
    assert callable(step)
    spent = []
    for _ in range(repeats + 1):
        began = time.perf_counter()
        step()
        spent.append(time.perf_counter() - began)
    return min(spent[1:])
