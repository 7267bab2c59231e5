"""The outline of a brush stroke as SVG path data: what the brush covers as it moves and its radius changes.

A stroke is the union of discs along a quadratic Bezier curve, their radius linear along it. Where the discs' envelope has no folds
the outline is one smooth path: its two sides as cubic curves, its ends as arcs. Where the brush turns more sharply than it is wide,
or widens faster than it moves, the envelope folds over itself; the stroke is then the union of short straight pieces, each the hull
of two discs, which the nonzero rule fills as one.
"""

from __future__ import annotations

import numpy as np

from shared.strokes import INDEX

SAMPLES = 33  # along the curve, at which the envelope is looked at for folds
PIECES = ((0.4, 2), (1.2, 4), (np.inf, 8))  # cubic curves of each side, for strokes that turn by up to so many radians
HULLS = 12  # straight pieces of a stroke that folds
STEEPEST = 0.95  # of the radius's change per length of the way; at 1 the envelope ends
LEAST_PX = 0.05  # radius


def path_data(strokes: np.ndarray, width: float, height: float, *, decimals: int = 2) -> list[str]:
    """The d attribute of each stroke [N, 19] on a canvas of that size in pixels, x to the right and y down."""
    centres, ways, radii, slopes = _sampled(strokes, width, height)
    sides, smooth = _envelope(centres, ways, radii, slopes)
    write = _Writer(decimals)
    made = []
    for number, is_smooth in enumerate(smooth):
        if is_smooth:
            made.append(_smooth(write, sides[number], radii[number], slopes[number], _pieces(ways[number])))
        else:
            made.append(_hulls(write, centres[number], radii[number]))
    return made


def curve_points(strokes: np.ndarray, width: float, height: float, t: np.ndarray) -> np.ndarray:
    """Places along the strokes' middle lines at t [T] from 0 to 1: [N, T, 2] pixels, x to the right and y down."""
    scale = np.array([width, height], np.float64)
    start, bend, end = (strokes[:, [INDEX[f"y{n}"], INDEX[f"x{n}"]]].astype(np.float64) for n in (0, 1, 2))
    control = start + (end - start) * bend
    u = t[None, :, None]
    points = (1 - u) ** 2 * start[:, None] + 2 * u * (1 - u) * control[:, None] + u**2 * end[:, None]
    return points * scale


def _sampled(strokes: np.ndarray, width: float, height: float) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Centres [N, S, 2], their derivatives [N, S, 2], radii [N, S] and the radii's derivatives [N, 1], pixels per unit of t."""
    t = np.linspace(0.0, 1.0, SAMPLES)
    centres = curve_points(strokes, width, height, t)
    start, middle, end = (centres[:, at] for at in (0, SAMPLES // 2, -1))
    control = 2.0 * middle - 0.5 * (start + end)
    ways = 2 * (1 - t[:, None]) * (control - start)[:, None] + 2 * t[:, None] * (end - control)[:, None]
    ends = np.maximum(strokes[:, [INDEX["r0"], INDEX["r2"]]].astype(np.float64) * max(width, height), LEAST_PX)
    radii = ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * t
    return centres, ways, radii, ends[:, 1:] - ends[:, :1]


def _envelope(
    centres: np.ndarray, ways: np.ndarray, radii: np.ndarray, slopes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both sides [N, 2, S, 2], and for which strokes they are smooth: bool [N].

    The envelope of discs of radius r(t) about c(t) touches each disc where its normal n has n . c' = -r'.
    """
    speeds = np.linalg.norm(ways, axis=2)
    with np.errstate(divide="ignore", invalid="ignore"):
        forward = ways / speeds[..., None]
        lean = -slopes / speeds
        steep = ~(np.abs(lean) < STEEPEST)
        across = np.sqrt(1.0 - np.where(steep, 0.0, lean) ** 2)[..., None] * _turned(forward)
    along = np.where(steep, 0.0, lean)[..., None] * forward
    sides = centres[:, None] + radii[:, None, :, None] * np.stack([along + across, along - across], axis=1)
    steps = np.diff(sides, axis=2)
    with np.errstate(invalid="ignore"):
        onward = (steps * (forward[:, None, 1:] + forward[:, None, :-1])).sum(axis=3) > 0.0
    return sides, ~steep.any(axis=1) & onward.all(axis=(1, 2))


def _turned(ways: np.ndarray) -> np.ndarray:
    """A quarter turn, from x to y."""
    return np.stack([-ways[..., 1], ways[..., 0]], axis=-1)


class _Writer:
    """Path commands with as many decimals as are asked for."""

    def __init__(self, decimals: int) -> None:
        number = f"%.{decimals}f"
        self.move, self.line = (f"{letter}{number} {number}" for letter in "ML")
        self.curve = f"C{' '.join([number] * 6)}"
        self.arc = f"A{number} {number} 0 %d 0 {number} {number}"


def _pieces(ways: np.ndarray) -> int:
    turned = np.ptp(np.unwrap(np.arctan2(ways[:, 1], ways[:, 0])))
    return next(pieces for most, pieces in PIECES if turned <= most)


def _smooth(write: _Writer, sides: np.ndarray, radii: np.ndarray, slope: np.ndarray, pieces: int) -> str:
    """Along one side, round the end, back along the other and round the start."""
    step = (SAMPLES - 1) // pieces
    knots = sides[:, ::step]
    tangents = np.gradient(sides, axis=1, edge_order=2)[:, ::step] * (step / 3.0)  # a third of what a piece covers
    first, second = knots
    parts = [write.move % tuple(first[0])]
    parts += _cubics(write, first, tangents[0])
    # The arc round an end is more than half a circle where the brush gets wider towards it.
    parts.append(write.arc % (radii[-1], radii[-1], slope[0] > 0.0, *second[-1]))
    parts += _cubics(write, second[::-1], -tangents[1][::-1])
    parts.append(write.arc % (radii[0], radii[0], slope[0] < 0.0, *first[0]))
    return "".join(parts) + "Z"


def _cubics(write: _Writer, knots: np.ndarray, tangents: np.ndarray) -> list[str]:
    handles = np.concatenate([knots[:-1] + tangents[:-1], knots[1:] - tangents[1:], knots[1:]], axis=1)
    return [write.curve % tuple(row) for row in handles.tolist()]


def _hulls(write: _Writer, centres: np.ndarray, radii: np.ndarray) -> str:
    """Straight pieces from disc to disc, all drawn the same way round."""
    at = np.rint(np.linspace(0, SAMPLES - 1, HULLS + 1)).astype(int)
    centres, radii = centres[at], radii[at]
    parts, widest = [], int(radii.argmax())
    for number in range(HULLS):
        gap = centres[number + 1] - centres[number]
        length = float(np.hypot(*gap))
        first, second = float(radii[number]), float(radii[number + 1])
        if length > abs(first - second) + 1e-9:
            parts.append(_hull(write, centres[number], first, gap / length, length, second))
    if not parts or radii[widest] > 0.0:
        parts.append(_disc(write, centres[widest], float(radii[widest])))
    return "".join(parts)


def _hull(write: _Writer, centre: np.ndarray, first: float, forward: np.ndarray, length: float, second: float) -> str:
    lean = (first - second) / length
    across = np.sqrt(max(1.0 - lean * lean, 0.0)) * _turned(forward)
    one, other = lean * forward + across, lean * forward - across
    end = centre + length * forward
    return "".join(
        (
            write.move % tuple(centre + first * one),
            write.line % tuple(end + second * one),
            write.arc % (second, second, second > first, *(end + second * other)),
            write.line % tuple(centre + first * other),
            write.arc % (first, first, first > second, *(centre + first * one)),
            "Z",
        )
    )


def _disc(write: _Writer, centre: np.ndarray, radius: float) -> str:
    left, right = (centre[0] - radius, centre[1]), (centre[0] + radius, centre[1])
    halves = write.arc % (radius, radius, 0, *right), write.arc % (radius, radius, 0, *left)
    return write.move % left + "".join(halves) + "Z"
