"""Seams of a texture: edges that are one on the mesh and two in UV, as pairs of UV positions that must carry one colour,
and how far a finished texture keeps to that.

The rows go into the solve as equality observations (backend/ops/texels/solver.py); nothing here changes a texture.
Texture coordinates as everywhere: u right, v up, texel (i, j) of S x S centred at u = (j + 0.5) / S, v = 1 - (i + 0.5) / S.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from backend.ops.surface.charts import FIRST_TILE, chart_map, chart_numbers, in_tile, tile_numbers, tile_origin
from backend.ops.surface.edges import SharedEdges, shared_edges
from shared.sampling import bilinear

MOST_FINER = 1.5  # how much smaller texels may be on the mesh that a gutter's texels are tied to


@dataclass(frozen=True, eq=False)
class SeamEdges:
    """E seam edges, both sides from the same end to the same end; UVs are the tile's own, 0..1.

    uv_a, uv_b [E, 2, 2] float64: ends, then u and v. tile_a, tile_b [E] int32. length_m [E]. inward_a, inward_b [E, 2]: the
    change of UV a metre of the surface, straight away from the edge into its triangle. foot_a, foot_b [E]: where along
    the edge (0 to 1) the triangle's third corner stands. height_a_m, height_b_m [E]: how far away it stands. chart_a,
    chart_b [E] int32: of the triangles. mesh, tiles, numbers: the MESH, its triangles' tiles and charts.
    """

    mesh: np.ndarray
    tiles: np.ndarray
    numbers: np.ndarray
    chart_a: np.ndarray
    chart_b: np.ndarray
    uv_a: np.ndarray
    uv_b: np.ndarray
    tile_a: np.ndarray
    tile_b: np.ndarray
    length_m: np.ndarray
    inward_a: np.ndarray
    inward_b: np.ndarray
    foot_a: np.ndarray
    foot_b: np.ndarray
    height_a_m: np.ndarray
    height_b_m: np.ndarray

    @property
    def count(self) -> int:
        return len(self.length_m)


@dataclass(frozen=True, eq=False)
class SeamRows:
    """M pairs of places in UV that are one place on the mesh. uv_a, uv_b [M, 2] float32; tile_a, tile_b [M] int32.

    weight [M] float32: texels of the seam that a row stands for, 1 where rows are a texel apart.
    """

    uv_a: np.ndarray
    uv_b: np.ndarray
    weight: np.ndarray
    tile_a: np.ndarray
    tile_b: np.ndarray

    def within(self, tile: int) -> SeamRows:
        """The rows with both sides in one tile, which alone a solve of that tile can take."""
        keep = (self.tile_a == tile) & (self.tile_b == tile)
        return SeamRows(
            self.uv_a[keep], self.uv_b[keep], self.weight[keep], self.tile_a[keep], self.tile_b[keep]
        )  # fmt: skip


@dataclass(frozen=True)
class SeamQuality:
    """Mean absolute differences of colour, over channels and over the seams' length, in the texture's own units.

    across: between two places on either side of a seam, one texel apart on the mesh. inside: between two as far apart on
    one side of it. jump: between the two sides of the seam itself. samples: how many places were compared.
    """

    across: float
    inside: float
    jump: float
    samples: int

    @property
    def ratio(self) -> float:
        """1 where a seam cannot be told from the chart beside it; 1 as well for a texture without any difference."""
        return self.across / self.inside if self.inside > 0 else (float("inf") if self.across > 0 else 1.0)


def find_seams(mesh: np.ndarray, edges: SharedEdges | None = None) -> SeamEdges:
    """The seams of a MESH [N, 3, 5]. edges: shared_edges(mesh), where it is known already. Raises what tile_numbers does."""
    edges = shared_edges(mesh) if edges is None else edges
    tiles = tile_numbers(mesh)
    seam = edges.seam & (tiles[edges.triangle_a] > 0) & (tiles[edges.triangle_b] > 0)
    a = _side(mesh, tiles, edges.triangle_a[seam], edges.corners_a[seam])
    b = _side(mesh, tiles, edges.triangle_b[seam], edges.corners_b[seam])
    numbers = chart_numbers(mesh, edges)
    chart_a, chart_b = numbers[edges.triangle_a[seam]], numbers[edges.triangle_b[seam]]
    return SeamEdges(
        *(mesh, tiles, numbers, chart_a, chart_b, a[0], b[0], a[1], b[1], a[2], a[3], b[3], a[4], b[4], a[5], b[5])
    )


def _side(mesh: np.ndarray, tiles: np.ndarray, triangles: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, ...]:
    """UVs of the edge's ends, tile, length, inward, foot and height of one side of E edges."""
    values = mesh[triangles[:, None], corners].astype(np.float64)
    tile = tiles[triangles]
    uv = values[..., 3:] - tile_origin(tile)[:, None]
    along, across = (values[:, corner, :3] - values[:, 0, :3] for corner in (1, 2))
    length = np.linalg.norm(along, axis=1)
    foot = (along * across).sum(axis=1) / np.maximum(length**2, np.finfo(np.float64).tiny)
    height = np.linalg.norm(across - foot[:, None] * along, axis=1)
    rise = uv[:, 2] - uv[:, 0] - foot[:, None] * (uv[:, 1] - uv[:, 0])
    with np.errstate(divide="ignore", invalid="ignore"):
        inward = np.where(height[:, None] > 0, rise / height[:, None], 0.0)
    return uv[:, :2], tile, length, inward, foot, height


def seam_rows(
    edges: SeamEdges,
    size: int,  # texels to a side of the texture
    spacing: float = 1.0,  # texels between rows, along the side that has more of them
    reach: int = 2,  # texels beyond a chart's border
) -> SeamRows:
    """Rows along every seam, at the middles of equal steps of at most `spacing` texels; at least one an edge.

    Beside those on the seam itself there are rows up to `reach` texels to either side of it: the gutter beyond a chart's border
    against the inside of the chart that goes on there on the mesh. A photograph's pixel near a seam shows some of both
    charts, and the solver's area model looks for the other's part in the gutter; left free, that would take up whatever
    the border lacks. There is no such row where another chart uses the gutter, where the inside would be beyond the edge's
    own triangle, or where it is much finer than the gutter, whose texels would blur it.
    """
    edge, along, step = _places(edges, size, spacing)
    sides = (
        (edges.uv_a, edges.inward_a, edges.foot_a, edges.height_a_m, edges.tile_a, edges.chart_a),
        (edges.uv_b, edges.inward_b, edges.foot_b, edges.height_b_m, edges.tile_b, edges.chart_b),
    )
    texels_m = [texel_m[edge] for texel_m in _texels_m(edges, size)]
    charts = _chart_maps(edges, size) if reach and edges.count else {}
    kept, places = [], ([], [])
    for outer, ring in [(0, 0), *((side, ring) for ring in range(1, reach + 1) for side in (0, 1))]:
        inner = 1 - outer
        depth_m = ring * texels_m[outer] if ring else np.zeros(len(edge))
        free = np.isfinite(depth_m)
        depth_m = np.where(free, depth_m, 0.0)
        found = [
            ends[edge, 0]
            + along[:, None] * (ends[edge, 1] - ends[edge, 0])
            + (depth_m if side == inner else -depth_m)[:, None] * inward[edge]
            for side, (ends, inward, *_) in enumerate(sides)
        ]
        if ring:
            foot, height, tile, chart = sides[outer][2:]
            free &= _is_free(charts, size, found[outer], tile[edge], chart[edge])
            foot, height, *_ = sides[inner][2:]
            free &= _is_in_triangle(along, foot[edge], height[edge], depth_m)
            free &= texels_m[inner] * MOST_FINER > texels_m[outer]
        kept.append(np.flatnonzero(free))
        for side in (0, 1):
            places[side].append(found[side][free])
    rows = np.concatenate(kept)
    return SeamRows(
        np.concatenate(places[0]).astype(np.float32),
        np.concatenate(places[1]).astype(np.float32),
        step[rows].astype(np.float32),
        edges.tile_a[edge[rows]],
        edges.tile_b[edge[rows]],
    )


def _chart_maps(edges: SeamEdges, size: int) -> dict[int, np.ndarray]:
    """The charts of every tile that has a seam, [size, size] int32 by tile."""
    return {
        int(tile): chart_map(in_tile(edges.mesh, edges.tiles, int(tile)), size, edges.numbers[edges.tiles == tile])
        for tile in np.union1d(edges.tile_a, edges.tile_b)
    }


def _is_free(
    maps: Mapping[int, np.ndarray], size: int, uv: np.ndarray, tiles: np.ndarray, charts: np.ndarray
) -> np.ndarray:
    """[M] bool: whether a bilinear look-up at uv [M, 2] stays within its tile, and off every chart but its own."""
    place = np.stack([uv[:, 0], 1.0 - uv[:, 1]], axis=1) * size - 0.5
    free = np.asarray(((place >= 0) & (place <= size - 1)).all(axis=1))
    corner = np.clip(np.nan_to_num(place), 0, size - 2).astype(np.int64)
    for tile, taken in maps.items():
        chosen = tiles == tile
        for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
            found = taken[corner[chosen, 1] + down, corner[chosen, 0] + right]
            free[chosen] &= (found == 0) | (found == charts[chosen])
    return free


def _texels_m(edges: SeamEdges, size: int) -> tuple[np.ndarray, np.ndarray]:
    """[E], [E]: each side's texels, across the seam, in metres; infinite where a side has no area in UV."""
    with np.errstate(divide="ignore"):
        a, b = (1.0 / (size * np.linalg.norm(inward, axis=1)) for inward in (edges.inward_a, edges.inward_b))
    return a, b


def _is_in_triangle(along: np.ndarray, foot: np.ndarray, height_m: np.ndarray, depth_m: np.ndarray) -> np.ndarray:
    """[M] bool: whether the place `depth_m` inwards of one on an edge is still in the edge's own triangle."""
    with np.errstate(divide="ignore", invalid="ignore"):
        third = depth_m / height_m  # the weight of the third corner; the others share the rest
        end = along - foot * third
        return np.asarray((third <= 1) & (end >= 0) & (1 - third - end >= 0))


def _places(edges: SeamEdges, size: int, spacing: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For M places on E edges: the edge, where along it (0 to 1), and the texels it stands for."""
    texels = np.maximum(*(np.linalg.norm(ends[:, 1] - ends[:, 0], axis=1) for ends in (edges.uv_a, edges.uv_b))) * size
    count = np.maximum(np.ceil(texels / spacing), 1).astype(np.int64)
    edge = np.repeat(np.arange(edges.count), count)
    first = np.cumsum(count) - count
    along = (np.arange(len(edge)) - first[edge] + 0.5) / count[edge]
    return edge, along, (texels / count)[edge]


def measure_seams(
    textures: Mapping[int, np.ndarray] | np.ndarray,  # [3, S, S] by UDIM tile; an array alone is tile 1001
    edges: SeamEdges,
) -> SeamQuality:
    """How a texture's seams compare with the charts beside them.

    At each place of a seam the step across is that between the points half a texel inwards on either side, the step
    inside that between half and one and a half texels inwards on the same side; a texel is the larger of the two sides'
    on the mesh. Places whose points would leave the edge's own triangles are left out, so charts of triangles smaller
    than two texels count little.
    """
    maps = textures if isinstance(textures, Mapping) else {FIRST_TILE: textures}
    size = min(values.shape[-1] for values in maps.values())
    edge, along, step = _places(edges, size, 1.0)
    texel_m = np.maximum(*_texels_m(edges, size))[edge]
    inside = _is_in_triangle(along, edges.foot_a[edge], edges.height_a_m[edge], 1.5 * texel_m)
    inside &= _is_in_triangle(along, edges.foot_b[edge], edges.height_b_m[edge], 1.5 * texel_m)
    inside &= np.isin(edges.tile_a[edge], list(maps)) & np.isin(edges.tile_b[edge], list(maps))
    edge, along, texel_m, weight = edge[inside], along[inside], texel_m[inside], step[inside]
    if not len(edge):
        return SeamQuality(0.0, 0.0, 0.0, 0)

    def colors(ends: np.ndarray, inward: np.ndarray, tiles: np.ndarray, texels: float) -> np.ndarray:
        uv = (
            ends[edge, 0]
            + along[:, None] * (ends[edge, 1] - ends[edge, 0])
            + (texels * texel_m)[:, None] * inward[edge]
        )
        return _sample(maps, uv, tiles[edge])

    a, b = (edges.uv_a, edges.inward_a, edges.tile_a), (edges.uv_b, edges.inward_b, edges.tile_b)
    near_a, near_b = colors(*a, 0.5), colors(*b, 0.5)

    def step_of(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.average(np.abs(first - second).mean(axis=1), weights=weight))

    return SeamQuality(
        across=step_of(near_a, near_b),
        inside=(step_of(near_a, colors(*a, 1.5)) + step_of(near_b, colors(*b, 1.5))) / 2,
        jump=step_of(colors(*a, 0.0), colors(*b, 0.0)),
        samples=len(edge),
    )


def _sample(maps: Mapping[int, np.ndarray], uv: np.ndarray, tiles: np.ndarray) -> np.ndarray:
    """Bilinear colours [M, 3] float64 at uv [M, 2] of each place's tile; beyond the border its last texel goes on."""
    colors = np.empty((len(uv), 3))
    for tile in np.unique(tiles):
        chosen, texture = tiles == tile, maps[int(tile)].transpose(1, 2, 0)
        height, width = texture.shape[:2]
        colors[chosen] = bilinear(texture, uv[chosen, 0] * width, (1 - uv[chosen, 1]) * height, np.float64)
    return colors
