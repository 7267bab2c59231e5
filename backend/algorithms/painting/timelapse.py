"""A painting as it forms: pictures of the canvas after more and more of its strokes.

Large strokes come first in a painting and cover the canvas soon, so a picture adds the fewer of them the earlier it is. Each
picture is painted on the one before it; the last is the whole painting. Knows no file.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from backend.algorithms.painting.output import brush
from backend.algorithms.painting.smudging import smudged
from backend.ops.strokes.brush import paint_with_brush
from backend.ops.strokes.codec import from_columns

PACE = 2.0  # power of time that the number of strokes grows with


def counts(strokes: int, frames: int) -> np.ndarray:
    """How many strokes are on the canvas in each frame [frames]: one at least in the first, all of them in the last."""
    share = (np.arange(frames) + 1) / frames
    return np.maximum(np.ceil(strokes * share**PACE - 1e-9), 1).astype(int)


def frames(
    values: np.ndarray, canvas: np.ndarray, count: int, *, bristles: float = 0.0, smudge: float = 0.0
) -> Iterator[np.ndarray]:
    """`count` pictures, uint8 [H, W, 3] in sRGB, of strokes [N, 19] on a canvas [H, W, 3], sRGB-encoded 0..1, which may be of
    another size than they were painted at. bristles: how strongly hairs show, 0 to 1; they lie elsewhere than in the painting.
    smudge: how much of the paint is blended along the strokes in the last picture, 0 to 1."""
    strokes = from_columns(
        torch.from_numpy(np.ascontiguousarray(values, np.float32)), (canvas.shape[0], canvas.shape[1])
    )
    image = torch.from_numpy(np.ascontiguousarray(canvas, np.float32))
    done = 0
    for number, end in enumerate(counts(len(values), count), 1):
        if end > done:
            new = slice(done, end)
            ends = None if strokes.end_color is None else strokes.end_color[new]
            some = strokes.geometry[new], strokes.opacity[new], strokes.color[new]
            image = paint_with_brush(*some, image, brush(bristles, seed=done), end_color=ends)[0]
            done = end
        if number == count:
            image, _ = smudged(strokes, image, torch.zeros_like(image[..., 0]), smudge)
        yield (image.clamp(0.0, 1.0) * 255.0).round().byte().numpy()
