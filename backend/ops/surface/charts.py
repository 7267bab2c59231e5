"""Charts of a mesh's UVs on the texel grid: whose each texel is, how far UVs overlap, and which UDIM tile a triangle is in.

A chart is a set of triangles joined by edges that are one in space and in UV. UVs are v up, rows of a map run from the
top: texel (i, j) of a map of S x S spans u from j / S to (j + 1) / S and v from 1 - (i + 1) / S to 1 - i / S. Triangles
with a NaN among their UVs belong to no chart; those without area in UV touch no texel.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from backend.ops.dispatch import Impl, choose
from backend.ops.surface import charts_plain
from backend.ops.surface.constants import SUBTEXELS
from backend.ops.surface.edges import SharedEdges, shared_edges
from shared.errors import InvalidInput

FIRST_TILE = 1001
ACROSS = 1e-4  # in UV, how far a triangle may reach over its tile's border: rounding, not a layout
OVERREACH = 0.1  # in UV, how far the odd triangle may, and is still textured
STRAY_SHARE = 0.05  # of the triangles; more of them is a layout, and a wrong one


def tile_numbers(mesh: np.ndarray) -> np.ndarray:
    """[N] int32: the UDIM tile of every triangle of a MESH, 1001 + floor(u) + 10 floor(v); 0 where it takes no texture.

    The odd triangle that reaches over the border of the tiles that the others lie in, an artist's slip, belongs to the
    nearest of them; one that is further out than OVERREACH takes none, nor does one without UVs. Raises InvalidInput,
    naming their number, where more than STRAY_SHARE of the triangles are such.
    """
    return tiles_and_strays(mesh)[0]


def tiles_and_strays(mesh: np.ndarray) -> tuple[np.ndarray, int]:
    """tile_numbers, and how many triangles have UVs that are not wholly in their tile: what reaches over takes the
    texture's border, or none. Raises what tile_numbers raises."""
    uv = mesh[..., 3:].astype(np.float64)
    has_uv = ~np.isnan(uv).any(axis=(1, 2))
    cell = np.zeros((len(mesh), 2))
    cell[has_uv] = np.floor(uv[has_uv].mean(axis=1))
    outside = has_uv & ((cell < 0).any(axis=1) | (cell[:, 0] > 9))
    across = has_uv & ~outside & (_overreach(uv, cell) > ACROSS)
    stray = outside | across
    count = int(stray.sum())
    if count > STRAY_SHARE * len(mesh):
        where, hint = (
            ("lie outside every UDIM tile", "Move them to u from 0 to 10 and v above 0, or unwrap the mesh again.")
            if outside.sum() >= across.sum()
            else (
                "reach across the border of a tile: they repeat the texture",
                "Scale the UVs into 0 to 1 or into UDIM tiles, or unwrap the mesh again.",
            )
        )
        raise InvalidInput(f"The UVs of {count} of {len(mesh)} triangles {where}.", hint=hint, field="mesh")
    numbers = np.where(has_uv, FIRST_TILE + cell[:, 0] + 10 * cell[:, 1], 0).astype(np.int32)
    if count:
        used = tile_origin(np.unique(numbers[has_uv & ~stray]))
        beyond = np.stack([_overreach(uv[stray], origin) for origin in used])  # [tiles, strays]
        nearest = used[beyond.argmin(axis=0)]
        found = (FIRST_TILE + nearest[:, 0] + 10 * nearest[:, 1]).astype(np.int32)
        numbers[stray] = np.where(beyond.min(axis=0) <= OVERREACH, found, 0)
    return numbers, count


def _overreach(uv: np.ndarray, origin: np.ndarray) -> np.ndarray:
    """[N]: how far the corners of triangles [N, 3, 2] lie outside of the unit square at origin [2] or [N, 2]; 0 inside."""
    away = uv - np.broadcast_to(origin, (len(uv), 2))[:, None]
    return np.maximum(-away, away - 1.0).max(axis=(1, 2), initial=0.0)


def tile_origin(tile: np.ndarray | int) -> np.ndarray:
    """The lower left corner (u, v) of UDIM tiles, [..., 2] float64."""
    index = np.asarray(tile) - FIRST_TILE
    return np.stack([index % 10, index // 10], axis=-1).astype(np.float64)


def in_tile(mesh: np.ndarray, tiles: np.ndarray, tile: int) -> np.ndarray:
    """The triangles of one tile, float32 [n, 3, 5], their UVs moved into 0..1, which strays reach over.

    tiles: [N], tile_numbers(mesh).
    """
    chosen = mesh[tiles == tile].copy()
    chosen[..., 3:] = chosen[..., 3:].astype(np.float64) - tile_origin(tile)
    return chosen


def chart_numbers(mesh: np.ndarray, edges: SharedEdges | None = None) -> np.ndarray:
    """[N] int32: the chart of every triangle, numbered from 1 in the order of their first triangles; 0 without UVs.

    edges: shared_edges(mesh), where it is known already.
    """
    edges = shared_edges(mesh) if edges is None else edges
    a, b = edges.triangle_a[~edges.seam], edges.triangle_b[~edges.seam]
    links = coo_array((np.ones(len(a), bool), (a, b)), shape=(len(mesh), len(mesh)))
    found = connected_components(links, directed=False)[1]
    has_uv = ~np.isnan(mesh[..., 3:]).any(axis=(1, 2))
    numbers = np.zeros(len(mesh), np.int32)
    _, first, inverse = np.unique(found[has_uv], return_index=True, return_inverse=True)
    numbers[has_uv] = np.argsort(np.argsort(first))[inverse] + 1
    return numbers


def chart_map(
    mesh: np.ndarray,  # MESH [N, 3, 5], UVs in 0..1; what reaches over is cut off
    size: int,  # texels to a side
    numbers: np.ndarray | None = None,  # [N] chart_numbers(mesh), where they are known already
    *,
    device: torch.device | str = "cpu",  # where it is drawn
    impl: Impl = "auto",
) -> np.ndarray:
    """[size, size] int32: the chart that has a share of each texel, 0 in the gutter.

    Conservative to 1/512 texel: a texel counts however little of it is a chart's. Of several charts it goes to the one
    over its centre, else to the first that touches it.
    """
    numbers = chart_numbers(mesh) if numbers is None else numbers
    drawn = numbers > 0
    corners, numbers = _corners(mesh[drawn], size), numbers[drawn]
    if choose(impl, device) == "cpu":
        from backend.ops.surface import charts_cpu

        return charts_cpu.chart_map(corners, numbers, size, size)
    on = torch.from_numpy(corners).to(device), torch.from_numpy(numbers).to(device)
    return charts_plain.chart_map(*on, size, size).cpu().numpy()


def cover_counts(mesh: np.ndarray, size: int, *, device: torch.device | str = "cpu", impl: Impl = "auto") -> np.ndarray:
    """[size, size] uint8: how many triangles of a MESH (UVs in 0..1) lie over each texel's centre, 255 meaning more.

    Triangles that share an edge in UV never both count for a centre on it.
    """
    corners = _corners(mesh[~np.isnan(mesh[..., 3:]).any(axis=(1, 2))], size)
    if choose(impl, device) == "cpu":
        from backend.ops.surface import charts_cpu

        return charts_cpu.cover_counts(corners, size, size)
    return charts_plain.cover_counts(torch.from_numpy(corners).to(device), size, size).cpu().numpy()


def overlap_share(mesh: np.ndarray, size: int = 1024) -> float:
    """The part of the area that UVs cover at all which two triangles or more lay claim to, 0..1, sampled at size² points."""
    counts = cover_counts(mesh, size)
    return float(np.count_nonzero(counts > 1)) / max(int(np.count_nonzero(counts)), 1)


def _corners(mesh: np.ndarray, size: int) -> np.ndarray:
    """[N, 3, 2] int64: x, y of the corners in 1/256 texel, y downwards."""
    uv = mesh[..., 3:].astype(np.float64)
    places = np.stack([uv[..., 0], 1.0 - uv[..., 1]], axis=-1) * (size * SUBTEXELS)
    return np.ascontiguousarray(np.rint(places).astype(np.int64))
