"""From strokes to what the engine hands back: the painting in linear light at any size, its relief, and the strokes as columns."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.painting.descent import painted
from backend.algorithms.painting.segments import Segments
from backend.algorithms.painting.smudging import smudged
from backend.algorithms.painting.stroke_lists import chosen, points_on
from backend.algorithms.textures.relief import normals_of
from backend.ops.resampling import resize
from backend.ops.smoothing import gaussian
from backend.ops.strokes.brush import Brush, paint_with_brush
from backend.ops.strokes.codec import Strokes, from_columns, to_columns
from shared.arrays import COLOR_IMAGE, NORMAL_MAP, STROKES, Array, height_map
from shared.srgb import srgb_to_linear
from shared.strokes import SMUDGE

DRYNESS = 0.6  # of the brush at full bristles
STRONGER = 0.8  # how much more saturated colours are at full variation
ROWS = 256
STRAY = 0.11  # standard deviation of encoded values then
TOGETHER, DRIFTS = 0.75, 7  # how much of it near strokes share, and how often that changes along the longer side
PLAIN = 0.35  # how much is left of it on plain ground
ABOUT, BUSY = (
    0.02,
    0.12,
)  # a share of the shorter side, and the standard deviation of encoded values within that is not plain


@dataclass(frozen=True)
class Finish:
    """How strokes are drawn in the end. scale: size of the painting, in sizes of the canvas. impasto: height of the thickest paint
    as a share of the longer side, 0 for no relief. smudge: how much of the paint is blended along the strokes, 0 to 1."""

    brush: Brush
    scale: float = 1.0
    impasto: float = 0.0
    smudge: float = 0.0


def brush(bristles: float, seed: int = 0) -> Brush:
    """The brush of so strong bristles, 0 to 1: the more they show, the sooner it runs dry."""
    return Brush(bristles=bristles, dryness=DRYNESS * bristles, seed=seed)


def arrays(strokes: Strokes, canvas: Tensor, finish: Finish, blended: Tensor | None = None) -> dict[str, Array]:
    """The outputs of strokes on a canvas [H, W, 3], encoded. blended: what they look like at its size where that is more than
    one painted over the other."""
    size = (canvas.shape[0], canvas.shape[1])
    columns = to_columns(strokes, size)
    painting, thickness = drawn(columns, canvas, finish, blended)
    attributes = {"canvas_width_px": size[1], "canvas_height_px": size[0], **plain_color(canvas)}
    attributes |= {SMUDGE: finish.smudge} if finish.smudge else {}
    made = {
        "painting": Array(COLOR_IMAGE, linear(painting)),
        "strokes": Array(STROKES, columns.cpu().numpy(), attributes),
    }
    return made | _relief(thickness.cpu().numpy(), finish.impasto) if finish.impasto else made


def plain_color(canvas: Tensor) -> dict[str, list[float]]:
    """The attribute of strokes that says what they are painted on, where a canvas [H, W, 3] has one colour."""
    color = canvas[0, 0]
    return {"canvas_color": [float(value) for value in color]} if bool((canvas == color).all()) else {}


def drawn(columns: Tensor, canvas: Tensor, finish: Finish, blended: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Saved strokes [N, 19] on a canvas, at the finish's scale: encoded [H, W, 3], and the thickness of the paint [H, W]. blended:
    as in arrays()."""
    size = tuple(max(1, round(side * finish.scale)) for side in canvas.shape[:2])
    ground = resize(canvas.movedim(2, 0), size).movedim(0, 2).clamp(0, 1).contiguous()
    strokes = from_columns(columns, (size[0], size[1]))
    # between the hairs of the lowest strokes a thin coat of their paint is seen, and no canvas
    if finish.brush.bristles:
        ground = painted(chosen(strokes, strokes.layer == strokes.layer.min()), ground)
    painting, thickness = paint_with_brush(
        strokes.geometry, strokes.opacity, strokes.color, ground, finish.brush, end_color=strokes.end_color
    )
    if blended is not None and finish.scale == 1 and not finish.brush.bristles:
        painting = blended
    return smudged(strokes, painting, thickness, finish.smudge)


def _relief(thickness: np.ndarray, impasto: float) -> dict[str, Array]:
    """Height and normals of paint on a canvas whose longer side is one metre."""
    pixel_size_m = 1.0 / max(thickness.shape)
    height = thickness * (impasto / max(float(thickness.max()), 1e-6))
    normals = normals_of(height, 1.0 / pixel_size_m, wraps=(False, False))
    return {"height": height_map(height, pixel_size_m), "normal": Array(NORMAL_MAP, normals)}


def linear(encoded: Tensor) -> np.ndarray:
    """Linear light, float32 [H, W, 3], of encoded values."""
    values = encoded.detach().clamp(0, 1).cpu().numpy()
    for rows in np.array_split(
        values, max(1, len(values) // ROWS)
    ):  # some at a time, since the curve needs several copies
        rows[...] = srgb_to_linear(rows)
    return values


def numbered(strokes: Strokes, segments: Segments) -> Strokes:
    """The strokes with the segments' own numbers in the place of labels."""
    numbers = torch.tensor(segments.numbers, dtype=torch.int32, device=strokes.segment.device)
    return replace(strokes, segment=numbers[strokes.segment.long()])


def varied(strokes: Strokes, picture: Tensor, variation: float, generator: torch.Generator) -> Strokes:
    """The strokes in stronger colours that stray at random, near ones alike, and less where the picture [H, W, 3] is plain.

    variation: 0 (none) to 1.
    """
    if not variation:
        return strokes
    middle = points_on(strokes.geometry, 3)[0][:, 1]
    shape = (picture.shape[0], picture.shape[1])
    pixel = tuple(middle[:, axis].long().clamp(0, shape[axis] - 1) for axis in (0, 1))
    rows, columns = (max(2, round(DRIFTS * side / max(shape))) for side in shape)
    drift = torch.randn(3, rows, columns, generator=generator).to(strokes.color)
    drift = resize(drift, shape).movedim(0, 2)[pixel]
    stray = torch.randn(strokes.color.shape, generator=generator).to(drift)
    stray = TOGETHER * drift + (1 - TOGETHER**2) ** 0.5 * stray
    stray = stray * (PLAIN + (1 - PLAIN) * _activity(picture)[pixel])[:, None]
    ends = None if strokes.end_color is None else _strayed(strokes.end_color, stray, variation)
    return replace(strokes, color=_strayed(strokes.color, stray, variation), end_color=ends)


def _strayed(color: Tensor, stray: Tensor, variation: float) -> Tensor:
    grey = (0.299 * color[:, 0] + 0.587 * color[:, 1] + 0.114 * color[:, 2])[:, None]
    return (grey + (color - grey) * (1 + STRONGER * variation) + STRAY * variation * stray).clamp(0, 1)


def _activity(picture: Tensor) -> Tensor:
    """How much goes on about each pixel, from 0 for plain ground to 1 [H, W]."""
    radius = max(1.0, ABOUT * min(picture.shape[:2]))
    grey = picture.mean(2)
    spread = (gaussian(grey.square(), radius) - gaussian(grey, radius).square()).clamp_min(0).sqrt()
    return (spread / BUSY).clamp(0, 1)
