"""Which painted water is a river: long, narrow pieces of it; what is wide beside them is a lake or a sea.

Looks at the shape of the water alone. How a river's surface falls is river_levels.py.
"""

from __future__ import annotations

from typing import cast

import numpy as np
from scipy import ndimage

WIDEST_SHARE, WIDEST_PX = 0.02, 2  # of the map's longer side, and at least: half the width of rivers
LAKE = 2.5  # half widths of the river from which on a wider place of it is a lake
LONG, LONG_PX = 6.0, 12  # widths, and pixels, that a river is long
BESIDE = 0.15  # of a piece's pixels on lakes: more of them is a sliver along a shore, unless it leads far away from it

AROUND = np.ones((3, 3), bool)


def parts(is_water: np.ndarray) -> tuple[np.ndarray, int, int]:
    """labels int32 [H, W] of the parts of water bool [H, W], 0 on land: lakes and seas from 1 on, then rivers; how many of each."""
    flowing = _flowing(is_water)
    if flowing is None:
        labels, lakes = _label(is_water)
        return labels, lakes, 0
    labels, lakes = _label(is_water & ~flowing)
    own, rivers = _label(flowing)
    labels[flowing] = own[flowing] + lakes
    return labels, lakes, rivers


def _label(mask: np.ndarray) -> tuple[np.ndarray, int]:
    labels, count = cast("tuple[np.ndarray, int]", ndimage.label(mask, AROUND))
    return labels, count


def within(mask: np.ndarray) -> np.ndarray:
    """Steps, straight or diagonal, to the nearest pixel outside the mask; 0 outside, and farther than any where nothing is."""
    if mask.all():
        return np.full(mask.shape, max(mask.shape), np.int32)
    return cast("np.ndarray", ndimage.distance_transform_cdt(mask, "chessboard"))


def _flowing(is_water: np.ndarray) -> np.ndarray | None:
    """Where the rivers are, bool [H, W]; None where there are none."""
    if not is_water.any():
        return None
    half = within(is_water)
    widest = max(WIDEST_PX, round(WIDEST_SHARE * max(is_water.shape)))
    away = within(half <= widest)  # from the middles of wide water
    labels, _ = _label(is_water & (away > widest))
    found = None
    for number, window in enumerate(ndimage.find_objects(labels), 1):
        if max(part.stop - part.start for part in window) < LONG_PX:
            continue
        around = tuple(
            slice(max(p.start - 1, 0), min(p.stop + 1, side)) for p, side in zip(window, labels.shape, strict=True)
        )
        piece = labels[around] == number
        if _is_sliver(piece, away[around] - widest, is_water[around]):
            continue
        flows = _without_lakes(piece, half[around])
        flows, kept = _label(flows)
        for part in range(1, kept + 1):
            own = flows == part
            if _is_sliver(own, away[around] - widest, is_water[around]) or not _is_long(own, half[around]):
                flows[own] = 0
        if flows.any():
            found = np.zeros(is_water.shape, bool) if found is None else found
            found[around] |= flows > 0
    return found


def half_width(piece: np.ndarray, half: np.ndarray) -> float:
    """The median along its middle, pixels."""
    row, column = np.nonzero(piece)
    own = np.pad(np.where(piece, half, 0), 1)
    around = [own[row + down, column + across] for down in range(3) for across in range(3)]
    here = around[4]
    return float(np.median(here[here == np.maximum.reduce(around)]))


def _without_lakes(piece: np.ndarray, half: np.ndarray) -> np.ndarray:
    """A narrow piece of water without the places that are wide for it."""
    limit = int(np.ceil(LAKE * half_width(piece, half)))
    if half[piece].max() <= limit:
        return piece
    return piece & (within(~(piece & (half > limit))) > limit)


def _is_long(piece: np.ndarray, half: np.ndarray) -> bool:
    width = 2.0 * half_width(piece, half) - 1.0
    rows, columns = (np.flatnonzero(piece.any(axis)) for axis in (1, 0))
    extent = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    return extent >= LONG_PX and int(piece.sum()) >= LONG * width * width


def _is_sliver(piece: np.ndarray, away: np.ndarray, is_water: np.ndarray) -> bool:
    """Water along the shore of a lake, which no opening fills, is no river. away: steps from the wide water."""
    if int(away[piece].max()) >= LONG_PX:
        return False
    meets = piece & ndimage.binary_dilation(is_water & ~piece, AROUND)
    return int(meets.sum()) > BESIDE * int(piece.sum())
