"""Painting strokes one over the other on a canvas: C <- C (1 - alpha) + alpha color, with gradients for every stroke.

Colours are sRGB-encoded and blended as they are, as painting programs do and de Guevara et al. 2023 did. The derivative runs from
the last stroke to the first: dL/dcolor = sum of alpha g, dL/dalpha = g (color - C before the stroke), g <- (1 - alpha) g; what
alpha owes to the geometry is exact, the nearest point's own movement included.

Plain torch on any device (compositing_plain.py), tiles batched; numba twins on the CPU and on a card. Time and memory grow with
the pixels that strokes cover, not with the canvas times the strokes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from backend.ops.dispatch import Impl, Implementation, choose
from backend.ops.strokes import compositing_plain as plain
from backend.ops.strokes.constants import BLOCKS, TILE
from backend.ops.strokes.tiles import boxes

MOST_KEPT_PAIRS = 2**17  # of tile and stroke, for the way back: 256 MiB; of more, alphas are computed twice


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
    check_strokes(geometry, opacity, color, canvas, segments, clip, impl)
    labels, of_stroke = (None, None) if segments is None else (segments.labels, segments.of_stroke)
    canvas = canvas.detach()
    return _Composite.apply(geometry, opacity, color, canvas, labels, of_stroke, clip, softness, impl)  # pyright: ignore[reportReturnType]


def check_strokes(
    geometry: Tensor, opacity: Tensor, color: Tensor, canvas: Tensor, segments: Segments | None, clip: bool, impl: Impl
) -> None:
    """Raises ValueError. The kernels of a card say themselves what is not finite: the host would wait for the card here."""
    count = len(geometry)
    for name, values, shape in (
        ("geometry", geometry, (count, 8)), ("opacity", opacity, (count, 2)), ("color", color, (count, 3)),
        ("canvas", canvas, (*canvas.shape[:2], 3)),
    ):  # fmt: skip
        if values.shape != shape:
            raise ValueError(f"{name} has shape {tuple(values.shape)}; it must be {shape}")
    if implementation(geometry, impl) != "cuda" and not bool(torch.isfinite(geometry).all()):
        raise ValueError("geometry has values that are not finite")
    if segments is not None and segments.labels.shape != canvas.shape[:2]:
        raise ValueError(f"labels are {tuple(segments.labels.shape)}, the canvas is {tuple(canvas.shape[:2])}")
    if segments is not None and segments.of_stroke.shape != (count,):
        raise ValueError(f"{len(segments.of_stroke)} segments of strokes for {count} strokes")
    if clip and segments is None:
        raise ValueError("clip needs segments")


def implementation(geometry: Tensor, impl: Impl) -> Implementation:
    """What runs for strokes [N, 8]; kernels take float32."""
    return choose(impl, geometry.device, cuda=True) if geometry.dtype == torch.float32 else "plain"


class _Composite(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, geometry: Tensor, opacity: Tensor, color: Tensor, canvas: Tensor, labels: Tensor | None,
        of_stroke: Tensor | None, clip: bool, softness: float, impl: Impl,
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        scene = plain.Scene(geometry, opacity, color, canvas, labels, of_stroke, clip, softness)
        shape, fade, paint = ctx.needs_input_grad[:3]
        kind = implementation(geometry, impl)
        if kind == "plain":
            ctx.scene = scene
            return plain.paint(scene)
        if kind == "cuda":
            from backend.ops.strokes.compositing_cuda import Painting

            ctx.scene = Painting(scene, placed=fade)
        else:
            ctx.scene = _Twin(scene, fading=fade)
        return ctx.scene.paint(keep=shape or fade or paint)

    @staticmethod
    def backward(ctx: Any, *wanted: Tensor) -> tuple[Tensor | None, ...]:
        image, leak = wanted
        shapes = ctx.needs_input_grad[0] or ctx.needs_input_grad[1]
        if isinstance(ctx.scene, plain.Scene):
            return *plain.gradients(ctx.scene, image, leak, shapes=shapes), *[None] * 6
        return *ctx.scene.gradients(image, leak, shapes=shapes), *[None] * 6


class _Twin:
    """A scene as the kernels want it: float32 arrays, strokes sorted into tiles once for both ways."""

    def __init__(self, scene: plain.Scene, *, fading: bool) -> None:
        from backend.ops.strokes import compositing_cpu

        self.kernel = compositing_cpu
        self.canvas = as_array(scene.canvas)
        strokes = kernel_arrays(scene)
        self.tiles, *self.lists, self.own = compositing_cpu.sort_strokes(strokes[3], *self.canvas.shape[:2])
        self.strokes = (*strokes, fading)
        self.kept = NOTHING_KEPT

    def paint(self, *, keep: bool) -> tuple[Tensor, Tensor]:
        count = len(self.lists[1])
        if keep:
            self.kept = BUFFERS.take(count)
        image, leaks = self.canvas.copy(), np.zeros(count, np.float32)
        self.kernel.paint(self.tiles, self.lists, self.strokes, self.kept, image, leaks)
        return torch.from_numpy(image), torch.tensor(leaks.sum(dtype=np.float64), dtype=torch.float32)

    def gradients(self, image: Tensor, leak: Tensor, *, shapes: bool) -> tuple[Tensor | None, Tensor | None, Tensor]:
        sums = np.zeros((len(self.lists[1]), self.kernel.SUMS), np.float32)
        kept, self.kept = self.kept, NOTHING_KEPT  # a second way back computes again
        self.kernel.gradients(
            self.tiles, self.lists, self.strokes, kept, self.canvas, as_array(image), np.float32(leak), shapes, sums
        )
        BUFFERS.give_back(kept)
        by_shape, by_color = (np.empty((len(self.own) - 1, width), np.float32) for width in (10, 3))
        self.kernel.add_up(sums, self.own, by_shape, by_color)
        made = torch.from_numpy(by_shape)
        return (made[:, :8] if shapes else None), (made[:, 8:] if shapes else None), torch.from_numpy(by_color)


Kept = tuple[np.ndarray, np.ndarray, np.ndarray]  # alphas and places [P, TILE TILE] float32, blocks [P, BLOCKS] uint8
NOTHING_KEPT: Kept = (
    np.empty((0, TILE * TILE), np.float32),
    np.empty((0, TILE * TILE), np.float32),
    np.empty((0, BLOCKS), np.uint8),
)


class _Buffers:
    """Memory for what the way back needs, used again from one iteration to the next: new pages cost as much as the painting."""

    def __init__(self) -> None:
        self._free: list[Kept] = []

    def take(self, count: int) -> Kept:
        """Room for `count` pairs, or none where that is more than MOST_KEPT_PAIRS."""
        if count > MOST_KEPT_PAIRS:
            return NOTHING_KEPT
        try:
            kept = self._free.pop()
        except IndexError:
            kept = NOTHING_KEPT
        if len(kept[0]) < count:
            room = min(MOST_KEPT_PAIRS, count + count // 4)
            floats = np.empty((2, room, TILE * TILE), np.float32)
            kept = floats[0], floats[1], np.empty((room, BLOCKS), np.uint8)
        return kept

    def give_back(self, kept: Kept) -> None:
        if len(kept[0]) and not self._free:
            self._free.append(kept)


BUFFERS = _Buffers()


def kernel_arrays(scene: plain.Scene) -> tuple[Any, ...]:
    """Geometry, opacity, color, boxes, labels and segments as float32 arrays, clip and softness, as all kernels want them."""
    labels, of_stroke = np.empty((0, 0), np.float32), np.empty(0, np.float32)
    if scene.labels is not None and scene.of_stroke is not None:
        labels, of_stroke = as_array(scene.labels), as_array(scene.of_stroke)
    strokes = (as_array(values) for values in (scene.geometry, scene.opacity, scene.color))
    box = as_array(boxes(scene.geometry.detach(), scene.softness))
    return *strokes, box, labels, of_stroke, scene.clip, np.float32(scene.softness)


def as_array(values: Tensor) -> np.ndarray:
    """float32, contiguous."""
    return values.detach().contiguous().float().numpy()
