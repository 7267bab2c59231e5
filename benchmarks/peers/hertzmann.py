"""Own implementation of A. Hertzmann 1998, "Painterly rendering with curved brush strokes of multiple sizes" (SIGGRAPH), in NumPy.

Layers from the largest brush to the smallest; each repaints where the canvas differs from the blurred picture by more than a
threshold, with strokes that follow the normals of the gradient. Drawn by Pillow, without smoothing. The threshold is searched for
so that the painting has as many strokes as it may.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

LUMINANCE = np.array([0.3, 0.59, 0.11])


@dataclass(frozen=True)
class Style:
    """The paper's "impressionist" style with smaller brushes. radii px; blur: deviations per radius; grid: steps per radius;
    longest, shortest: points of a stroke; curvature: how much of each new direction is taken."""

    radii: tuple[int, ...] = (16, 8, 4, 2)
    blur: float = 0.5
    grid: float = 1.0
    longest: int = 16
    shortest: int = 4
    curvature: float = 1.0


def paint(
    picture: np.ndarray, budget: int, *, style: Style | None = None, turns: int = 7, seed: int = 0
) -> tuple[np.ndarray, int]:
    """(painting, strokes) of a picture [H, W, 3] in sRGB 0..1 with at most `budget` strokes."""
    style = style or Style()
    low, high = 0.0, 1.0
    best = (np.ones_like(picture), 0)
    for _ in range(turns):
        threshold = 0.03 if (low, high) == (0.0, 1.0) else (low + high) / 2
        made = _painted(picture, threshold, style, np.random.default_rng(seed))
        if made[1] > budget:
            low = threshold
        else:
            high = threshold
            best = made if made[1] >= best[1] else best
    return best


def _painted(picture: np.ndarray, threshold: float, style: Style, rng: np.random.Generator) -> tuple[np.ndarray, int]:
    canvas = Image.fromarray(np.full(picture.shape, 255, np.uint8))
    total = 0
    for radius in style.radii:
        reference = gaussian_filter(picture, (style.blur * radius, style.blur * radius, 0))
        shown = np.asarray(canvas, np.float64) / 255
        difference = np.sqrt(((shown - reference) ** 2).sum(axis=2))
        if radius == style.radii[0]:
            difference[:] = 10.0  # the canvas counts as infinitely far away
        strokes = _layer(reference, shown, difference, radius, threshold, style)
        rng.shuffle(strokes)
        draw = ImageDraw.Draw(canvas)
        for points, color in strokes:
            _draw(draw, points, radius, color)
        total += len(strokes)
    return np.asarray(canvas, np.float64) / 255, total


def _layer(
    reference: np.ndarray, shown: np.ndarray, difference: np.ndarray, radius: int, threshold: float, style: Style
) -> list[tuple[list[tuple[float, float]], tuple[int, int, int]]]:
    height, width = difference.shape
    down, right = np.gradient(reference @ LUMINANCE)
    step = max(1, round(style.grid * radius))
    strokes = []
    for top in range(0, height, step):
        for left in range(0, width, step):
            area = difference[top : top + step, left : left + step]
            if area.mean() > threshold:
                row, column = np.unravel_index(int(area.argmax()), area.shape)
                strokes.append(
                    _stroke(top + int(row), left + int(column), radius, reference, shown, down, right, style)
                )
    return strokes


def _stroke(
    row: int,
    column: int,
    radius: int,
    reference: np.ndarray,
    shown: np.ndarray,
    down: np.ndarray,
    right: np.ndarray,
    style: Style,
) -> tuple[list[tuple[float, float]], tuple[int, int, int]]:
    color = reference[row, column]
    x, y, before = float(column), float(row), (0.0, 0.0)
    points = [(x, y)]
    for number in range(1, style.longest + 1):
        r, c = min(int(y), down.shape[0] - 1), min(int(x), down.shape[1] - 1)
        if (
            number > style.shortest
            and np.abs(reference[r, c] - shown[r, c]).sum() < np.abs(reference[r, c] - color).sum()
        ):
            break
        gx, gy = right[r, c], down[r, c]
        if gx == gy == 0.0:
            break
        dx, dy = -gy, gx
        if before[0] * dx + before[1] * dy < 0:
            dx, dy = -dx, -dy
        dx = style.curvature * dx + (1 - style.curvature) * before[0]
        dy = style.curvature * dy + (1 - style.curvature) * before[1]
        length = float(np.hypot(dx, dy)) or 1.0
        before = (dx / length, dy / length)
        x, y = x + radius * before[0], y + radius * before[1]
        if not (0 <= x < down.shape[1] and 0 <= y < down.shape[0]):
            break
        points.append((x, y))
    red, green, blue = np.rint(255 * np.clip(color, 0, 1)).astype(int).tolist()
    return points, (red, green, blue)


def _draw(
    draw: ImageDraw.ImageDraw, points: list[tuple[float, float]], radius: int, color: tuple[int, int, int]
) -> None:
    if len(points) > 1:
        draw.line(points, fill=color, width=2 * radius, joint="curve")
    for x, y in (points[0], points[-1]):
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
