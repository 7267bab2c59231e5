"""Where rivers meet: a mouth comes down to the river that it flows into, and beds that cross agree.

On the samples of samples.Run and the beds of profiles.river_bed; metres, float64, on the host. What a line asks for by
itself is backend.ops.terrain.curves.profiles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from backend.ops.terrain.curves.profiles import falling
from backend.ops.terrain.curves.samples import Run

MOUTH_SLOPE = 0.3  # at which a river comes down to the one that it joins, at most
OVERSHOOT_WIDTHS, OVERSHOOT_PX = (
    4.0,
    6.0,
)  # of the river that is crossed, and pixels: how far beyond it a hand may have drawn
OVERSHOOT_SHARE = 0.25  # of a river's length at most


def without_overshoot(runs: Sequence[Run], widths_px: Sequence[float]) -> list[Run]:
    """The runs [downstream], each that was drawn a little beyond the larger river that it flows into cut off at that river.

    Beyond it there would be a bed that leads nowhere. Of two rivers the narrower one is the tributary, or else the shorter.
    """
    rank = sorted(range(len(runs)), key=lambda n: (widths_px[n], runs[n].length_m, -n))
    made = list(runs)
    for place, number in enumerate(rank):
        larger = rank[place + 1 :]
        if larger and not made[number].cut[1]:
            made[number] = _cut_at(made[number], [runs[n] for n in larger], [widths_px[n] for n in larger])
    return made


def _cut_at(run: Run, others: Sequence[Run], widths_px: Sequence[float]) -> Run:
    """The run up to where it last meets one of the others, if little of it is left from there on."""
    last, allowed = -1, 0.0
    for other, width in zip(others, widths_px, strict=True):
        tree = KDTree(np.stack([other.row, other.column], axis=1))
        off, _ = tree.query(np.stack([run.row, run.column], axis=1))
        touching = np.flatnonzero(off <= 1.0 + 0.5 * width)
        if touching.size:
            left = touching[np.flatnonzero(np.diff(touching, prepend=-2) > 1)[-1] :]  # the last stay within its banks
            nearest = int(left[np.argmin(off[left])])
            if nearest > last:
                last, allowed = nearest, max(OVERSHOOT_WIDTHS * width, OVERSHOOT_PX)
    beyond = len(run.along) - 1 - last
    if last < 3 or beyond == 0 or beyond > OVERSHOOT_SHARE * len(run.along):
        return run
    step_px = float(np.hypot(run.row[1] - run.row[0], run.column[1] - run.column[0]))
    if beyond * step_px > allowed:
        return run
    kept = slice(0, last + 1)
    return replace(
        run,
        row=run.row[kept],
        column=run.column[kept],
        along=run.along[kept],
        z_m=run.z_m[kept],
        width_m=run.width_m[kept],
    )


def joined(beds: list[np.ndarray], runs: Sequence[Run], widths_px: Sequence[float], falls: Sequence[float]) -> None:
    """Lets the mouth of each river that ends on another come down to it, and beds that cross agree; changes `beds`."""
    tree = KDTree(np.concatenate([np.stack([run.row, run.column], axis=1) for run in runs]))
    first = np.cumsum([0, *(len(run.row) for run in runs)])
    mouths = [_receiving(number, runs, widths_px, tree, first) for number in range(len(runs))]
    for number in _downstream_first([mouth[0] if mouth else -1 for mouth in mouths]):
        mouth = mouths[number]
        if mouth is None:
            continue
        run, bed, level = runs[number], beds[number], beds[mouth[0]][mouth[1]]
        left_m = run.length_m - run.along
        bed = np.minimum(bed, level + MOUTH_SLOPE * left_m)
        beds[number] = np.maximum(bed, level + falls[number] * np.arange(len(bed))[::-1])


def _receiving(
    number: int, runs: Sequence[Run], widths_px: Sequence[float], tree: KDTree, first: np.ndarray
) -> tuple[int, int] | None:
    """The run, and its sample, on which a run's last sample lies."""
    run = runs[number]
    reach = 1.5 + 0.5 * max(widths_px)
    near = np.asarray(tree.query_ball_point([run.row[-1], run.column[-1]], reach), np.int64)
    other = near[(near < first[number]) | (near >= first[number + 1])]
    if not other.size:
        return None
    places = np.asarray(tree.data)[other]
    off = np.hypot(places[:, 0] - run.row[-1], places[:, 1] - run.column[-1])
    owner = np.searchsorted(first, other, side="right") - 1
    fits = off <= 1.5 + 0.5 * np.asarray(widths_px)[owner]
    if not fits.any():
        return None
    best = np.flatnonzero(fits)[np.lexsort((other[fits], off[fits]))[0]]
    return int(owner[best]), int(other[best] - first[owner[best]])


def _downstream_first(receivers: Sequence[int]) -> list[int]:
    """The runs in such an order that the one that another flows into comes before it; a ring is cut open somewhere."""
    order: list[int] = []
    seen: set[int] = set()
    for start in range(len(receivers)):
        chain = []
        while start >= 0 and start not in seen:
            seen.add(start)
            chain.append(start)
            start = receivers[start]
        order += chain[::-1]
    return order


def agreed(beds: list[np.ndarray], pixels: Sequence[np.ndarray], falls: Sequence[float]) -> None:
    """Where rivers share a pixel they share its lowest bed, and fall on from there; changes `beds`."""
    for _ in range(2 * len(beds)):
        lowest: dict[int, float] = {}
        shared = _shared(pixels)
        for bed, own in zip(beds, pixels, strict=True):
            for sample in np.flatnonzero(np.isin(own, shared)):
                pixel = int(own[sample])
                lowest[pixel] = min(lowest.get(pixel, np.inf), float(bed[sample]))
        changed = False
        for number, own in enumerate(pixels):
            bed = beds[number]
            for pixel in np.unique(own[np.isin(own, shared)]):
                samples = np.flatnonzero(own == pixel)
                if lowest[int(pixel)] < bed[samples].min() - falls[number]:
                    bed = bed.copy()
                    bed[samples[0]] = lowest[int(pixel)]
                    changed = True
            beds[number] = falling(bed, falls[number])
        if not changed:
            return


def _shared(pixels: Sequence[np.ndarray]) -> np.ndarray:
    own = [np.unique(entry) for entry in pixels]
    found, counts = np.unique(np.concatenate(own), return_counts=True)
    return found[counts > 1]
