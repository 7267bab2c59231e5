"""The layers of a painting: which brush, how many strokes, and at what resolution each is worked out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LEAST_RADIUS_PX = 0.6
WORKED_RADIUS_PX = 5.0  # a brush this large at reduced resolution is optimised as well as at full
COVER, MOST_FIRST = (
    1.6,
    0.34,
)  # how often the first layer covers the canvas, if that takes no more of the strokes than this
LEAST_SIDE_PX = 48  # of a reduced picture


@dataclass(frozen=True)
class Layer:
    """number: from 0. radius_px: at full resolution. reduction: pixels along a side that become one while it is worked out."""

    number: int
    radius_px: float
    count: int
    reduction: int


def layers(
    shape: tuple[int, int],
    budget: int,
    count: int,
    widths: tuple[float, float],
    detail: float,
    *,
    area_px: int | None = None,
) -> list[Layer]:
    """From the largest brush to the smallest; `budget` strokes in all.

    shape: of the picture, px. area_px: of the part of it that is painted, None for all. widths: of the largest and the smallest
    brush, as shares of the shorter side. detail: 0 to 1, how many more strokes small brushes get than large ones.
    """
    side = min(shape)
    largest, smallest = (max(0.5 * width * side, LEAST_RADIUS_PX) for width in (max(widths), min(widths)))
    count = min(count, budget)
    radii = np.geomspace(largest, smallest, count) if count > 1 else np.array([np.sqrt(largest * smallest)])
    shares = radii ** -(0.7 + 1.1 * detail)
    area_px = shape[0] * shape[1] if area_px is None else area_px
    covering = COVER * area_px / (8 * radii[0] ** 2)  # a stroke about twice as long as wide
    shares /= shares.sum()
    shares[0] = max(shares[0], min(covering / budget, MOST_FIRST))
    counts = _split(budget, shares / shares.sum())
    return [
        Layer(number, float(radius), int(strokes), _reduction(float(radius), side))
        for number, (radius, strokes) in enumerate(zip(radii, counts, strict=True))
    ]


def _split(total: int, shares: np.ndarray) -> np.ndarray:
    """Whole numbers of at least 1 in these shares that add up to the total."""
    counts = np.maximum(np.floor(shares * total).astype(int), 1)
    while counts.sum() > total:
        counts[counts.argmax()] -= 1
    counts[-1] += total - counts.sum()
    return counts


def _reduction(radius_px: float, side: int) -> int:
    reduction = 1
    while radius_px / (2 * reduction) >= WORKED_RADIUS_PX and side // (2 * reduction) >= LEAST_SIDE_PX:
        reduction *= 2
    return reduction
