"""What brush strokes are like as a crowd: where they lie, how large they are and when they were painted.

The numbers behind the six plots of de Guevara et al. 2023: two-dimensional histogram, heat map, density, size over the painting's
course, size by place, shares of area. Arrays of shared/strokes.py in, NumPy out; nothing is drawn here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.strokes import INDEX, in_painting_order

BIN_PX = 24.0  # of the two-dimensional histogram
POINTS = 17  # along a stroke
GRID = 192  # cells of the longer side, of heat map and density
CLASSES = 10  # of size


@dataclass(frozen=True)
class StrokeStatistics:
    """In painting order. middles [N, 2]: x to the right and y down, px. length, width, area [N]: px, px and px² of what a brush
    covers; the width is the mean one. layer [N]. canvas: width and height, px."""

    middles: np.ndarray
    length: np.ndarray
    width: np.ndarray
    area: np.ndarray
    layer: np.ndarray
    canvas: tuple[float, float]

    def __len__(self) -> int:
        return len(self.area)


def measure(values: np.ndarray, canvas: tuple[float, float]) -> StrokeStatistics:
    """Of strokes [N, 19] on a canvas of that width and height in pixels."""
    strokes = in_painting_order(values).astype(np.float64)
    points = _points(strokes, canvas)
    steps = np.linalg.norm(np.diff(points, axis=1), axis=2)
    ends = np.maximum(strokes[:, [INDEX["r0"], INDEX["r2"]]], 0.0) * max(canvas)
    t = np.linspace(0.0, 1.0, POINTS)
    radii = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * (t[1:] + t[:-1]) / 2
    return StrokeStatistics(
        middles=points[:, POINTS // 2],
        length=steps.sum(axis=1) + ends.sum(axis=1),
        width=ends.sum(axis=1),
        area=(2 * radii * steps).sum(axis=1) + np.pi / 2 * np.square(ends).sum(axis=1),
        layer=np.rint(strokes[:, INDEX["layer"]]).astype(int),
        canvas=canvas,
    )


def _points(strokes: np.ndarray, canvas: tuple[float, float]) -> np.ndarray:
    """Places along the strokes [N, POINTS, 2] px, x to the right and y down."""
    start, bend, end = (strokes[:, [INDEX[f"y{n}"], INDEX[f"x{n}"]]] for n in (0, 1, 2))
    control = start + (end - start) * bend
    t = np.linspace(0.0, 1.0, POINTS)[None, :, None]
    return ((1 - t) ** 2 * start[:, None] + 2 * t * (1 - t) * control[:, None] + t**2 * end[:, None]) * np.array(canvas)


def histogram(found: StrokeStatistics) -> np.ndarray:
    """How many strokes have their middle in each square of BIN_PX: [rows, columns]; those beyond the canvas are not counted."""
    width, height = found.canvas
    columns, rows = (int(np.ceil(side / BIN_PX)) for side in (width, height))
    spans = [[0.0, rows * BIN_PX], [0.0, columns * BIN_PX]]
    return np.histogram2d(found.middles[:, 1], found.middles[:, 0], bins=(rows, columns), range=spans)[0]


def heat(found: StrokeStatistics) -> np.ndarray:
    """Layers of paint on each cell [rows, columns]: each stroke's area spread over the cells around its middle as a round spot."""
    rows, columns, side = _grid(found)
    spread = np.zeros((rows, columns))
    radius = np.sqrt(found.area / np.pi)
    for level in np.unique(np.round(np.log2(np.maximum(radius, side)))):  # spots of about one size at a time
        chosen = np.round(np.log2(np.maximum(radius, side))) == level
        spread += _smoothed(
            _counted(found.middles[chosen], found.area[chosen], rows, columns, side), 2.0**level / 2 / side
        )
    return spread / side**2


def density(found: StrokeStatistics) -> np.ndarray:
    """Kernel density of the strokes' middles: strokes per px², [rows, columns], with a Gaussian as wide as Scott's rule says."""
    rows, columns, side = _grid(found)
    deviation = float(found.middles.std(axis=0).mean()) if len(found) > 1 else 0.0
    bandwidth = max(deviation * len(found) ** (-1 / 6), side)
    counts = _counted(found.middles, np.ones(len(found)), rows, columns, side)
    return _smoothed(counts, bandwidth / side) / side**2


def course(found: StrokeStatistics, parts: int = 60) -> tuple[np.ndarray, np.ndarray]:
    """The median area of each of so many equal parts of the painting's course: the middle stroke's number, and px²."""
    groups = np.array_split(np.arange(len(found)), min(parts, len(found)))
    return np.array([group.mean() for group in groups]), np.array([np.median(found.area[group]) for group in groups])


def area_shares(found: StrokeStatistics) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """By classes of area, evenly spaced in its logarithm: the edges [CLASSES + 1] px², and the classes' shares of all strokes'
    area and of their number, both [CLASSES]."""
    low, high = float(found.area.min()), float(found.area.max())
    low = max(low, 1e-6)
    edges = np.geomspace(low, max(high, low * 1.01), CLASSES + 1)
    place = np.clip(np.searchsorted(edges, found.area, side="right") - 1, 0, CLASSES - 1)
    areas = np.bincount(place, found.area, CLASSES)
    return edges, areas / max(float(areas.sum()), 1e-12), np.bincount(place, minlength=CLASSES) / len(found)


def _grid(found: StrokeStatistics) -> tuple[int, int, float]:
    """Rows, columns and the side of a cell in pixels."""
    width, height = found.canvas
    side = max(max(width, height) / GRID, 1.0)
    return max(round(height / side), 1), max(round(width / side), 1), side


def _counted(middles: np.ndarray, weights: np.ndarray, rows: int, columns: int, side: float) -> np.ndarray:
    row, column = (np.floor(middles[:, axis] / side).astype(int) for axis in (1, 0))
    inside = (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
    counts = np.bincount((row * columns + column)[inside], weights[inside], rows * columns)
    return counts.reshape(rows, columns)


def _smoothed(values: np.ndarray, deviation: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(values, deviation, mode="reflect")
