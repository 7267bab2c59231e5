"""How much of each ground lies at each vertex of a terrain that has classes: by class, steepness and the flow of water.

Numbers alone, no bpy. A terrain without classes needs none of this: its material's own layers say it (materials.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

STEEP, STREAMS = "Steep Ground", "Stream Beds"  # what a terrain has besides its classes
STEEP_FROM, STEEP_TO = np.radians(30.0), np.radians(42.0)
STREAM_SHARE, RIVER_SHARE = -3.3, -2.3  # log10 of the map's area that drains through a vertex
STREAM_CELLS = 16.0  # fewer make no stream, however small the map is
NEAR = 8  # vertices to a border, as far as colours may lie off the classes
ALIKE = 0.05  # how far colours of one class are apart, as square roots of linear light
LEAST = 30  # vertices inside a class that say what its colour is
_BARE = ("water", "rock", "snow", "ice", "sand", "beach", "scree", "cliff")  # classes that steepness does not change


def layers(classes: Sequence[str]) -> tuple[str, ...]:
    """The grounds of a terrain of these classes; water has none."""
    return (*(name for name in classes if not _has(name, ("water",))), STEEP, STREAMS)


def of(
    classes: Sequence[str],
    numbers: np.ndarray,
    slope: np.ndarray,
    flow: np.ndarray | None,
    colors: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Weights 0..1 by layer, float32 [H, W]; together at most 1, less where there is water.

    numbers: of classes, [H, W]. slope: radians. flow: the area that drains through each vertex, in cells of the map. colors: the
    terrain's, linear [H, W, 3]: near the border of two classes they say where the one ends.
    """
    shares = _shares(len(classes), numbers, colors)
    steep = _smoothstep(slope, STEEP_FROM, STEEP_TO)
    streams = np.zeros_like(steep)
    if flow is not None:
        order = np.log10(np.maximum(np.where(flow < STREAM_CELLS, 0.0, flow) / flow.size, 1e-9))
        streams = _smoothstep(order, STREAM_SHARE, RIVER_SHARE) * (1.0 - steep)
    found: dict[str, np.ndarray] = {}
    taken, washed = np.zeros_like(steep), np.zeros_like(steep)
    for number, name in enumerate(classes):
        if _has(name, ("water",)):
            continue
        own = shares[number]
        broken = np.zeros_like(own) if _has(name, _BARE) else own * steep
        wet = np.zeros_like(own) if _has(name, ("snow", "ice")) else (own - broken) * streams
        found[name] = own - broken - wet
        taken += broken
        washed += wet
    return {**found, STEEP: taken, STREAMS: washed}


def _has(name: str, words: Sequence[str]) -> bool:
    return any(word in words for word in name.lower().split())


def _shares(count: int, numbers: np.ndarray, colors: np.ndarray | None) -> list[np.ndarray]:
    """How much of each class lies at each vertex, 1 in all; near a border as likely as the colour makes it."""
    own = [(numbers == number).astype(np.float32) for number in range(count)]
    if colors is None:
        return [_mean(values, 1) for values in own]
    shown = np.sqrt(np.maximum(colors, 0.0))
    likely = []
    for values in own:
        inside = _mean(values, 3) > 0.999
        inside = inside if inside.sum() >= LEAST else values > 0.0
        if not inside.any():
            likely.append(values)
            continue
        off = ((shown - shown[inside].mean(axis=0)) ** 2).sum(axis=-1)
        likely.append(_mean(values, NEAR) * (np.exp(off / (-2.0 * ALIKE**2)) + np.float32(1e-4)))
    whole = np.maximum(np.sum(likely, axis=0), np.float32(1e-12))
    return [_mean(values / whole, 1) for values in likely]


def _mean(values: np.ndarray, reach: int) -> np.ndarray:
    """The mean over so many vertices to every side, float32 [H, W]."""
    for axis in (0, 1):
        ends = [(0, 0), (0, 0)]
        ends[axis] = (reach + 1, reach)
        summed = np.cumsum(np.pad(values, ends, mode="edge"), axis=axis, dtype=np.float64)
        size = values.shape[axis]
        last = np.take(summed, range(2 * reach + 1, size + 2 * reach + 1), axis)
        values = ((last - np.take(summed, range(size), axis)) / (2 * reach + 1)).astype(np.float32)
    return np.clip(values, 0.0, 1.0)


def _smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return share * share * (3.0 - 2.0 * share)
