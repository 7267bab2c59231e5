"""UVs for the parts of a mesh that have none, beside those that it has: into the free space of its texture, or into a new tile.

UVs that are there stay as they are, so that whatever else uses them still fits. Only where the free space would make the new parts
much coarser than the others is the whole mesh unwrapped again.
"""

from __future__ import annotations

import numpy as np

from backend.files.meshes.unwrapping import unwrap
from backend.ops.surface.charts import FIRST_TILE, chart_map, chart_numbers, tile_numbers, tile_origin

GRID = 512  # cells to a side, in which free space is looked for
GUTTER = 2  # cells between charts
COARSEST = 0.25  # of the other parts' texels per metre
SHRINK = 0.85  # from one try to the next
MOST_CHARTS = 1000  # that are placed one by one


def unwrap_missing(mesh: np.ndarray) -> tuple[np.ndarray, str]:
    """The mesh [N, 3, 5] with UVs at every corner, and where the new ones are, as the end of a sentence.

    Some of the triangles must have UVs, and some not. Raises InvalidInput as unwrap() and tile_numbers() do.
    """
    missing = np.isnan(mesh[..., 3:]).any(axis=(1, 2))
    part, made = unwrap(mesh[missing], keep_aspect=True), mesh.copy()
    tiles = sorted(set(tile_numbers(mesh).tolist()) - {0})
    if tiles != [FIRST_TILE]:
        tile = tiles[-1] + 1  # beside the last one; after the tenth in a row comes the first of the next
        made[missing, :, 3:] = part[..., 3:] + tile_origin(tile).astype(np.float32)
        return made, f"they have the tile {tile}"
    placed = _in_free_space(mesh[~missing], part)
    if placed is None:
        return unwrap(mesh), "there was no room for them beside the others, so that the whole mesh has new UVs"
    made[missing, :, 3:] = placed
    return made, "they have the free part of the texture"


def _in_free_space(known: np.ndarray, part: np.ndarray) -> np.ndarray | None:
    """The UVs [n, 3, 2] of the part where nothing known lies; None where they would have to be too coarse."""
    taken = _dilated(chart_map(known, GRID)[::-1] > 0)  # rows by rising v
    charts = chart_numbers(part) - 1
    if charts.max() >= MOST_CHARTS:
        charts = np.zeros(len(part), np.int64)
    layouts = [_lying(part[..., 3:].astype(np.float64), charts, flat=flat) for flat in (True, False)]
    alike = _texels_per_metre(known) / max(_texels_per_metre(part), 1e-12)
    scale = alike
    while scale >= COARSEST * alike:
        for uv, low, sides in layouts:
            places = _pack(taken, sides * scale * GRID)
            if places is not None:
                return ((uv - low[charts][:, None]) * scale + (places / GRID)[charts][:, None]).astype(np.float32)
        scale *= SHRINK
    return None


def _lying(uv: np.ndarray, charts: np.ndarray, *, flat: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The UVs [n, 3, 2] with every chart turned so that it is wider than high (flat) or higher than wide; the lower left corners
    and the sides of the charts [charts, 2]."""
    low, high = _by_chart(np.minimum, uv, charts, np.inf), _by_chart(np.maximum, uv, charts, -np.inf)
    turned = ((high - low)[:, 0] >= (high - low)[:, 1]) != flat
    uv = np.where(
        turned[charts][:, None, None], np.stack([-uv[..., 1], uv[..., 0]], axis=-1), uv
    )  # by 90 degrees, no mirror
    low, high = _by_chart(np.minimum, uv, charts, np.inf), _by_chart(np.maximum, uv, charts, -np.inf)
    return uv, low, high - low


def _by_chart(function: np.ufunc, uv: np.ndarray, charts: np.ndarray, start: float) -> np.ndarray:
    found = np.full((int(charts.max()) + 1, 2), start)
    for corner in range(3):
        function.at(found, charts, uv[:, corner])
    return found


def _texels_per_metre(mesh: np.ndarray) -> float:
    a, b = (mesh[:, corner].astype(np.float64) - mesh[:, 0] for corner in (1, 2))
    in_uv = np.abs(a[:, 3] * b[:, 4] - a[:, 4] * b[:, 3]).sum()
    in_space = np.linalg.norm(np.cross(a[:, :3], b[:, :3]), axis=1).sum()
    return float(np.sqrt(in_uv / max(in_space, 1e-300)))


def _dilated(taken: np.ndarray) -> np.ndarray:
    """With a gutter around everything that is taken."""
    for _ in range(GUTTER):
        grown = taken.copy()
        grown[1:] |= taken[:-1]
        grown[:-1] |= taken[1:]
        grown[:, 1:] |= taken[:, :-1]
        grown[:, :-1] |= taken[:, 1:]
        taken = grown
    return taken


def _pack(taken: np.ndarray, sides: np.ndarray) -> np.ndarray | None:
    """Lower left corners [n, 2], in cells, of where charts of these sides [n, 2] go; None where one has no room."""
    taken, places = taken.copy(), np.empty((len(sides), 2))
    needed = np.ceil(sides).astype(int) + GUTTER
    if (needed > GRID).any():
        return None
    for chart in np.argsort(-needed.max(axis=1), kind="stable"):
        width, height = needed[chart]
        sums = np.zeros((GRID + 1, GRID + 1), np.int64)
        sums[1:, 1:] = taken.cumsum(0).cumsum(1)
        within = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
        free = np.argwhere(within == 0)
        if not len(free):
            return None
        row, column = free[0]
        taken[row : row + height, column : column + width] = True
        places[chart] = column + GUTTER / 2, row + GUTTER / 2
    return places
