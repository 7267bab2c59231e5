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
_BARE = ("water", "rock", "snow", "ice", "sand", "beach", "scree", "cliff")  # classes that steepness does not change


def layers(classes: Sequence[str]) -> tuple[str, ...]:
    """The grounds of a terrain of these classes; water has none."""
    return (*(name for name in classes if not _has(name, ("water",))), STEEP, STREAMS)


def of(
    classes: Sequence[str], numbers: np.ndarray, slope: np.ndarray, flow: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Weights 0..1 by layer, float32 [H, W]; together at most 1, less where there is water.

    numbers: of classes, [H, W]. slope: radians. flow: the area that drains through each vertex, in cells of the map.
    """
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
        own = _softened((numbers == number).astype(np.float32))
        if not own.any():
            found[name] = own
            continue
        broken = np.zeros_like(own) if _has(name, _BARE) else own * steep
        wet = np.zeros_like(own) if _has(name, ("snow", "ice")) else (own - broken) * streams
        found[name] = own - broken - wet
        taken += broken
        washed += wet
    return {**found, STEEP: taken, STREAMS: washed}


def _has(name: str, words: Sequence[str]) -> bool:
    return any(word in words for word in name.lower().split())


def _softened(values: np.ndarray) -> np.ndarray:
    """The mean over 3 x 3 vertices, so that the border between two classes has a middle."""
    padded = np.pad(values, 1, mode="edge")
    rows = padded[:-2] + padded[1:-1] + padded[2:]
    return (rows[:, :-2] + rows[:, 1:-1] + rows[:, 2:]) * np.float32(1.0 / 9.0)


def _smoothstep(values: np.ndarray, low: float, high: float) -> np.ndarray:
    share = np.clip((values - low) / (high - low), 0.0, 1.0).astype(np.float32)
    return share * share * (3.0 - 2.0 * share)
