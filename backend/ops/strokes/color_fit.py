"""The colours that make a painting closest to a picture, its strokes' shapes given: linear least squares.

The painting is linear in its colours, image = W c + w0 canvas with W the strokes' visible shares, so that
min |W c + w0 canvas - target|^2 + keep |c - c0|^2 is solved by conjugate gradients (Hestenes and Stiefel 1952). W and its transpose
are composite() and its derivative; they are divided by the rows' sums of W^T W, to which it has no eigenvalue above 1.
"""

from __future__ import annotations

import torch
from torch import Tensor

from backend.ops.dispatch import Impl
from backend.ops.strokes.compositing import Segments, composite


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
    geometry, opacity, start = geometry.detach(), opacity.detach(), color.detach()
    area = 1.0 if weight is None else weight[..., None]

    def painted(colors: Tensor, ground: Tensor) -> Tensor:
        return composite(
            geometry, opacity, colors, ground, segments=segments, clip=clip, softness=softness, impl=impl
        )  # fmt: skip

    def gathered(colors: Tensor, ground: Tensor, wanted: Tensor | float) -> Tensor:
        """W^T weight (W colors + w0 ground - wanted)."""
        colors = colors.detach().requires_grad_()
        with torch.enable_grad():
            image = painted(colors, ground)
        return torch.autograd.grad(image, colors, area * (image.detach() - wanted))[0]

    nothing = torch.zeros_like(canvas)
    with torch.no_grad():
        rest = -gathered(start, canvas, target)
        scale = gathered(torch.ones_like(start), nothing, 0.0) + keep
        moved, old = torch.zeros_like(start), torch.zeros(3, dtype=start.dtype, device=start.device)
        along = torch.zeros_like(start)
        for _ in range(steps):
            conditioned = rest / scale
            new = (rest * conditioned).sum(0)
            along = conditioned + torch.where(old > 0, new / old, torch.zeros_like(old)) * along
            bent = gathered(along, nothing, 0.0) + keep * along
            curvature = (along * bent).sum(0)
            step = torch.where(curvature > 0, new / curvature, torch.zeros_like(curvature))
            moved, rest, old = moved + step * along, rest - step * bent, new
        return (start + moved).clamp(0.0, 1.0)
