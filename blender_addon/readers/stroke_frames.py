"""The strokes of a painting in the scene -> pictures of the canvas with more and more of them, as flat ribbons with round ends.

Each picture is painted on the one before it, so that a film costs little more than its last frame. Needs no renderer.
"""

from __future__ import annotations

from collections.abc import Iterator

import bpy
import numpy as np

from ..datablocks import drawn_strokes, painting
from ..datablocks.drawn_strokes import Canvas, Drawn
from ..shared.errors import InvalidInput
from ..shared.srgb import srgb_to_linear
from . import rasterizing

SAMPLES = 2  # across a pixel, on each axis
PACE = 2.0  # power of time that the number of strokes grows with: the large ones come first and cover the canvas soon
SIDES = 24  # of the discs at both ends


def of(canvas: bpy.types.Object) -> tuple[Drawn, Canvas]:
    """The strokes of a canvas as they are now, from back to front, and what they lie on. Raises InvalidInput for none."""
    item = painting.strokes_of(canvas)
    curves = item.data if item is not None and isinstance(item.data, bpy.types.Curves) else None
    ground = Canvas.of(curves) if curves is not None and len(curves.curves) else None
    if curves is None or ground is None:
        raise InvalidInput(
            f"{canvas.name!r} has no strokes to film.", hint="Select a painting, or regenerate it.", field=canvas.name
        )
    drawn = drawn_strokes.drawn(curves)
    order = np.argsort(-drawn.positions[..., 1].mean(axis=1, dtype=np.float64), kind="stable")
    return Drawn(drawn.positions[order], drawn.radii[order], drawn.colors[order]), ground


def size(ground: Canvas, longest_px: int) -> tuple[int, int]:
    """Rows and columns of the pictures: even numbers, as encoders want them."""
    rows, columns = (max(2, 2 * round(longest_px * side / max(ground.size) / 2)) for side in ground.size[::-1])
    return rows, columns


def frames(drawn: Drawn, ground: Canvas, shape: tuple[int, int], count: int) -> Iterator[np.ndarray]:
    """`count` pictures in linear light, float32 [rows, columns, 3], top row first; the last has all strokes."""
    fine = (shape[0] * SAMPLES, shape[1] * SAMPLES)
    color = np.zeros(3) if ground.color is None else srgb_to_linear(np.array(ground.color))
    image = np.empty((*fine, 3), np.float32)
    image[...] = color
    done = 0
    for end in len(drawn.radii) * (np.arange(1, count + 1) / count) ** PACE:
        whole = min(int(end + 1e-6), len(drawn.radii))
        parts = [_points(drawn, slice(done, whole), 1.0)]
        if whole < len(drawn.radii) and end - whole > 1e-3:  # the one that is being painted
            parts.append(_points(drawn, slice(whole, whole + 1), end - whole))
        _lay(image, np.concatenate(parts), drawn.colors[done:], ground)
        done = whole
        yield image.reshape(shape[0], SAMPLES, shape[1], SAMPLES, 3).mean(axis=(1, 3))


def _points(drawn: Drawn, part: slice, share: float) -> np.ndarray:
    """Right, up and radius at twice as many points along strokes [N, P, 3], up to a share of their length; smooth between the
    points that are edited.
    """
    given = np.concatenate([drawn.positions[part][..., [0, 2]], drawn.radii[part][..., None]], axis=-1).astype(
        np.float64
    )
    padded = np.concatenate([2 * given[:, :1] - given[:, 1:2], given, 2 * given[:, -1:] - given[:, -2:-1]], axis=1)
    between = (9 * (given[:, :-1] + given[:, 1:]) - padded[:, :-3] - padded[:, 3:]) / 16  # Catmull-Rom
    points = np.empty((len(given), 2 * given.shape[1] - 1, 3))
    points[:, ::2], points[:, 1::2] = given, between
    if share < 1.0:
        place = np.linspace(0.0, share * (points.shape[1] - 1), points.shape[1])
        low = np.minimum(place.astype(int), points.shape[1] - 2)
        rest = (place - low)[None, :, None]
        points = points[:, low] * (1 - rest) + points[:, low + 1] * rest
    return points


def _lay(image: np.ndarray, points: np.ndarray, colors: np.ndarray, ground: Canvas) -> None:
    """Paint strokes of _points() over a picture, the last one on top. colors: [at least N, 4] linear."""
    if not len(points):
        return
    rows, columns = image.shape[:2]
    ring, triangles = _outlines(points)
    where = np.empty((*ring.shape[:2], 3))
    where[..., 0] = (ring[..., 0] / ground.size[0] + 0.5) * columns - 0.5
    where[..., 1] = (0.5 - ring[..., 1] / ground.size[1]) * rows - 0.5
    where[..., 2] = np.arange(len(ring))[:, None]  # later ones cover
    corners = np.arange(len(ring))[:, None, None] * ring.shape[1] + triangles
    owner = rasterizing.topmost(where.reshape(-1, 3), corners.reshape(-1, 3), (rows, columns))
    seen = owner >= 0
    image[seen] = colors[owner[seen] // len(triangles), :3]


def _outlines(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places [N, V, 2] around strokes [N, P, 3], and the triangles [T, 3] of these that fill a stroke: a ribbon and two discs."""
    count = points.shape[1]
    along = np.gradient(points[..., :2], axis=1)
    length = np.maximum(np.linalg.norm(along, axis=-1, keepdims=True), 1e-12)
    aside = np.stack([-along[..., 1], along[..., 0]], axis=-1) / length * points[..., 2:]
    angle = np.linspace(0.0, 2 * np.pi, SIDES, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    discs = [points[:, end, None, :2] + circle * points[:, end, None, 2:] for end in (0, -1)]
    places = np.concatenate([points[..., :2] + aside, points[..., :2] - aside, *discs], axis=1)
    left = np.arange(count - 1)
    ribbon = np.stack([left, left + 1, left + count, left + 1, left + count + 1, left + count], axis=-1).reshape(-1, 3)
    fan = np.stack([np.zeros(SIDES - 2, int), np.arange(1, SIDES - 1), np.arange(2, SIDES)], axis=-1)
    return places, np.concatenate([ribbon, fan + 2 * count, fan + 2 * count + SIDES])
