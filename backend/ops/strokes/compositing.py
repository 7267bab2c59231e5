"""Painting strokes one over the other on a canvas: C <- C (1 - alpha) + alpha color, with gradients for every stroke.

Colours are sRGB-encoded and blended as they are, as painting programs do and de Guevara et al. 2023 did. The derivative runs from
the last stroke to the first: dL/dcolor = sum of alpha g, dL/dalpha = g (color - C before the stroke), g <- (1 - alpha) g; what
alpha owes to the geometry is exact, the nearest point's own movement included.

Plain torch on any device (compositing_plain.py), tiles batched; a numba twin on the CPU. Time and memory grow with
the pixels that strokes cover, not with the canvas times the strokes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from backend.ops.dispatch import Impl
from backend.ops.strokes import compositing_plain as plain


@dataclass(frozen=True)
class Segments:
    """Which segment each pixel is in and each stroke belongs to."""

    labels: Tensor  # [H, W] int32
    of_stroke: Tensor  # [N] int32; -1: of none, may go anywhere


def composite(
    geometry: Tensor,  # [N, 8] float32 px
    opacity: Tensor,  # [N, 2] 0..1
    color: Tensor,  # [N, 3]
    canvas: Tensor,  # [H, W, 3]
    *,
    segments: Segments | None = None,
    clip: bool = False,
    softness: float = 1.0,
    impl: Impl = "auto",
) -> Tensor:
    """The canvas [H, W, 3] with the strokes painted on it, the first one first; the canvas itself is not changed.

    Differentiable by geometry, opacity and color. clip: a stroke leaves no paint outside its segment (needs segments), as at
    the borders of UV charts. softness: width of the edges in px. Radii are 0 or more.
    """
    return composite_with_leak(
        geometry, opacity, color, canvas, segments=segments, clip=clip, softness=softness, impl=impl
    )[0]


def composite_with_leak(
    geometry: Tensor,
    opacity: Tensor,
    color: Tensor,
    canvas: Tensor,
    *,
    segments: Segments | None = None,
    clip: bool = False,
    softness: float = 1.0,
    impl: Impl = "auto",
) -> tuple[Tensor, Tensor]:
    """As composite, and the leak: the sum of alpha over all pixels that are not of their stroke's segment, in px.

    A scalar, differentiable too; 0 without segments and for clipped strokes.
    """
    check_strokes(geometry, opacity, color, canvas, segments, clip)
    labels, of_stroke = (None, None) if segments is None else (segments.labels, segments.of_stroke)
    canvas = canvas.detach()
    return _Composite.apply(geometry, opacity, color, canvas, labels, of_stroke, clip, softness, impl)  # pyright: ignore[reportReturnType]


def check_strokes(
    geometry: Tensor, opacity: Tensor, color: Tensor, canvas: Tensor, segments: Segments | None, clip: bool
) -> None:
    count = len(geometry)
    for name, values, shape in (
        ("geometry", geometry, (count, 8)), ("opacity", opacity, (count, 2)), ("color", color, (count, 3)),
        ("canvas", canvas, (*canvas.shape[:2], 3)),
    ):  # fmt: skip
        if values.shape != shape:
            raise ValueError(f"{name} has shape {tuple(values.shape)}; it must be {shape}")
    if not bool(torch.isfinite(geometry).all()):
        raise ValueError("geometry has values that are not finite")
    if segments is not None and segments.labels.shape != canvas.shape[:2]:
        raise ValueError(f"labels are {tuple(segments.labels.shape)}, the canvas is {tuple(canvas.shape[:2])}")
    if segments is not None and segments.of_stroke.shape != (count,):
        raise ValueError(f"{len(segments.of_stroke)} segments of strokes for {count} strokes")
    if clip and segments is None:
        raise ValueError("clip needs segments")


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, geometry: Tensor, opacity: Tensor, color: Tensor, canvas: Tensor, labels: Tensor | None,
        of_stroke: Tensor | None, clip: bool, softness: float, impl: Impl,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        scene = plain.Scene(geometry, opacity, color, canvas, labels, of_stroke, clip, softness)
        image, leak = plain.paint(scene)
        ctx.scene = scene
        return image, leak

    @staticmethod
    def backward(ctx: Any, *wanted: Tensor) -> tuple[Tensor | None, ...]:
        image, leak = wanted
        needed = ctx.needs_input_grad[:3]
        return *plain.gradients(ctx.scene, image, leak, shapes=needed[0] or needed[1]), *[None] * 6
