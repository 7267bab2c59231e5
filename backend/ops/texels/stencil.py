"""The normal equations of a texture, gathered from photographs that come and go: one pass over pixels, no matrix.

A pixel of footprint f and weight w sees the colour c. In the model of backend.ops.texels.pyramid it looks at two levels k
with shares t_k, bilinearly, w_k the four weights:   c = m = sum_k t_k w_k . (R_k T).   Its row is split by level: for
each, w t_k (w_k . R_k T - c_k)² with c_k = c + (w_k . R_k T' - m'), the present texture T' telling how much more a level
shows than the blend. By Jensen the split lies above the exact sum of squares and touches it at T': it is a
majoriser, passes with the texture of the pass before descend on the exact problem, and a fixed point solves that.
What the split buys: in every level texels couple with their eight neighbours only, so the matrix is
    sum_k R_k' A_k R_k,   A_k in five planes (itself, right, down, down right, down left), and three of right sides,
whatever the number of photographs. Those eight numbers of a texel lie together: one cache line for two texels.

Robust losses by iteratively re-weighted least squares (Holland and Welsch 1977), the weight from the length of the
residual over the three channels. "l1" and "huber" are one function, w min(1, threshold/|r|), apart by a scale that the
solution does not see: with a small threshold it is an L1 norm rounded off at zero, with a large one Huber's.
"geman-mcclure", w / (1 + (r/threshold)²)², forgets outliers altogether; it wants a good start.

Gradient rows hold differences of neighbouring pixels to the texture's slope. With bilinear weights w(x) in one cell,
(w(x_a) - w(x_b)) . T is exactly (x_a - x_b) . grad w at the midpoint, a row on the same four texels; where the pixels
fall into different cells the slope of the midpoint's cell stands for both, which is exact for textures linear there.
The level is the finest at which the pixels are no further apart than one texel.

It must not know where pixels come from, nor solve: see backend/ops/texels/solver.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, choose
from backend.ops.texels.constants import MOST_PHOTOGRAPHS
from backend.ops.texels.observations import LOSSES, Loss, Pixels, Residuals, Settings
from backend.ops.texels.pyramid import Pyramid
from backend.ops.texels.stencil_plain import accumulate_plain
from backend.ops.texels.system import TexelSystem

RGB = (1.0, 1.0, 1.0)


def accumulate(
    system: TexelSystem,
    uv: Tensor,
    footprint: Tensor,
    weight: Tensor,
    color: Tensor,
    *,
    gain: Sequence[float] | np.ndarray = RGB,
    offset: Sequence[float] | np.ndarray = (0.0, 0.0, 0.0),
    pyramid: Pyramid | None = None,
    loss: Loss = "l2",
    threshold: float = 0.02,
    gradient: float = 0.0,
    photograph: int | Sequence[int] | None = None,
    solve: bool = True,
    shown: Tensor | None = None,
    impl: Impl = "auto",
) -> Residuals:
    """Add a strip of a photograph, or any list of pixels, to a system, in place. Returns what the pixels say of the texture.

    uv [rows, W, 2] or [n, 2], u right and v up in 0..1 (NaN: nothing there), footprint [rows, W] or [n] UV units,
    weight likewise (0: skip), all float32; color [..., 3] uint8, uint16 or float32 (0..1); on the system's device.
    The colour taken is gain * decoded + offset. pyramid: of the present texture; without one the loss must be
    "l2" and the residual is of a black texture. gradient: weight of the gradient rows beside the colours' (0: none;
    needs rows; the last row of a strip has no lower neighbour). photograph: its number, 0 to 65534, to count
    coverage. solve: without it only the residuals are measured. shown: [..., 3] float32, contiguous: the colours that
    the present texture shows at the pixels that count are written there, the others' are left as they are.

    B photographs at once, which on a card is as quick as one: pixels [B, rows, W], gain and offset [B, 3], photograph their
    numbers, residuals [B, 22]. Raises ValueError for arguments that do not go together.
    """
    pixels = Pixels.checked(uv, footprint, weight, color, system.device)
    if pyramid is None and loss != "l2":
        raise ValueError(f"the loss {loss!r} needs the present texture's pyramid")
    if pyramid is not None and pyramid.sides != system.sides:
        raise ValueError(f"a pyramid of sides {pyramid.sides} for a system of sides {system.sides}")
    if shown is not None:
        if pyramid is None:
            raise ValueError("without the present texture's pyramid nothing is shown")
        if shown.shape != pixels.color.shape or shown.dtype != torch.float32 or not shown.is_contiguous():
            raise ValueError(f"shown is contiguous float32 {tuple(pixels.color.shape)}, not {tuple(shown.shape)}")
    numbers = [] if photograph is None else [photograph] if isinstance(photograph, int) else list(photograph)
    if not all(0 <= number < MOST_PHOTOGRAPHS for number in numbers):
        raise ValueError(f"photographs are numbered 0 to {MOST_PHOTOGRAPHS - 1}, not {photograph}")
    if solve and not len(system.cells):
        raise ValueError("this system was released: reset it first")
    if gradient > 0 and pixels.weight.ndim < 2:
        raise ValueError("gradient rows need pixels in rows and columns, not a list of them")
    settings = Settings(
        gain=np.asarray(gain, np.float32),
        offset=np.asarray(offset, np.float32),
        loss=LOSSES[loss],
        threshold=threshold,
        gradient=gradient,
        solve=solve,
    )
    chosen = choose(impl, system.device, cuda=True)
    if chosen == "cuda":
        return _accumulate_cuda(system, pixels, settings, pyramid, numbers, shown)
    one_of = _accumulate_cpu if chosen == "cpu" else accumulate_plain
    if pixels.weight.ndim < 3:
        return one_of(system, pixels, settings, pyramid, numbers[0] if numbers else None, shown)
    found = [
        one_of(
            system, pixels.of(own), settings.of(own), pyramid, numbers[own] if numbers else None,
            None if shown is None else shown[own],
        )
        for own in range(len(pixels.weight))
    ]  # fmt: skip
    return Residuals(torch.stack([residuals.sums for residuals in found]))


def _accumulate_cuda(
    system: TexelSystem,
    pixels: Pixels,
    settings: Settings,
    pyramid: Pyramid | None,
    numbers: list[int],
    shown: Tensor | None,
) -> Residuals:
    from backend.ops.texels import stencil_cuda as kernel

    shape, device = pixels.weight.shape, system.device
    count = shape[0] if len(shape) == 3 else 1
    uv, footprint, weight, color = (
        part.reshape(count, -1, *part.shape[len(shape) :])
        for part in (pixels.uv, pixels.footprint, pixels.weight, pixels.color)
    )
    tones = torch.from_numpy(settings.tones(color.dtype)).reshape(count, 3, 3).to(device)
    nothing = torch.zeros((3, 1), device=device)
    texture, coarse = (
        (nothing, nothing) if pyramid is None else (pyramid.texture.reshape(3, -1), pyramid.coarse.reshape(3, -1))
    )
    sums = kernel.accumulate(
        system.cells, system.size, system.levels, texture, coarse if coarse.numel() else nothing, uv, footprint, weight,
        color, tones, settings.loss, settings.threshold, settings.solve, settings.gradient, shape[-1],
        None if shown is None else shown.reshape(count, -1, 3),
    )  # fmt: skip
    if numbers:
        marks = torch.tensor([number + 1 for number in numbers], dtype=torch.int32).to(device)
        kernel.mark_coverage(system.touched_map(), marks, system.size, system.levels, uv, footprint, weight)
    return Residuals(sums if len(shape) == 3 else sums[0])


def _accumulate_cpu(
    system: TexelSystem,
    pixels: Pixels,
    settings: Settings,
    pyramid: Pyramid | None,
    photograph: int | None,
    shown: Tensor | None,
) -> Residuals:
    from backend.ops.texels.cpu.accumulation import accumulate
    from backend.ops.texels.cpu.binning import bin_pixels, tile_side
    from backend.ops.texels.cpu.coverage import mark_coverage

    tile = tile_side(system.levels, settings.gradient > 0)
    across = -(-system.size // tile)
    uv, footprint, weight, color = (part.numpy() for part in pixels.flat())
    nothing = torch.zeros(3, 1)  # as the kernel takes no texture
    texture, coarse = (nothing, nothing) if pyramid is None else (pyramid.texture.reshape(3, -1), pyramid.coarse)
    starts, runs, order, bounds = bin_pixels(uv, footprint, weight, system.size, tile, across)
    if photograph is not None:
        touched = system.touched_map().numpy()
        mark_coverage(
            touched, photograph + 1, system.size, system.levels, tile, uv, footprint, starts, runs, order, bounds
        )
    sums = accumulate(
        system.cells.view(-1).numpy(),
        system.table,
        texture.numpy(),
        coarse.numpy(),
        uv,
        footprint,
        weight,
        color,
        settings.tones(pixels.color.dtype),
        settings.loss,
        np.float32(settings.threshold),
        settings.solve,
        np.float32(settings.gradient if settings.solve else 0.0),
        pixels.weight.shape[-1],
        starts,
        runs,
        order,
        bounds,
        (torch.zeros(0) if shown is None else shown).reshape(-1).numpy(),
    )
    return Residuals(torch.from_numpy(sums))
