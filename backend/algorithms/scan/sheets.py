"""Parts of the texture that are solved at one time: a UDIM tile each, or a block of one where a tile is too large as a whole.

A sheet is a square of texels with its own normal equations; UVs of the whole surface are moved into it. Blocks overlap and keep
their core only; their corners lie on multiples of the coarsest level's texels, so that a block sees the same mips as the whole.
Sheets know no photographs beyond the strips that they are handed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.algorithms.scan.views import Strip
from backend.ops.resampling import bilinear
from backend.ops.surface.charts import chart_map, tile_origin
from backend.ops.texels.observations import Loss, Residuals
from backend.ops.texels.problem import NO_SEAMS, Seams
from backend.ops.texels.pyramid import MOST_LEVELS, Pyramid, build_pyramid
from backend.ops.texels.solver import solve
from backend.ops.texels.stencil import accumulate
from backend.ops.texels.system import TexelSystem

OVERLAP = 64  # texels that a block is solved beyond its core; a multiple of the coarsest texel
ALIGNED = 1 << MOST_LEVELS
THOROUGH, IN_PASSING = (2, 20, 3e-4), (1, 10, 1e-3)  # the solver's sweeps, iterations and tolerance
UV = TypeVar("UV", np.ndarray, Tensor)
RINGS = 3  # of gutter texels that go with a chart


@dataclass(frozen=True)
class Place:
    """Where a sheet lies: `side` texels from (left, top) on of tile's `whole` x `whole`; it may reach beyond the tile's end.

    core: rows and columns (top, left, bottom, right) of the tile that the sheet answers for.
    """

    tile: int
    whole: int
    left: int = 0
    top: int = 0
    side: int = 0
    core: tuple[int, int, int, int] = (0, 0, 0, 0)

    @property
    def is_tile(self) -> bool:
        return self.side == self.whole

    def to_sheet(self, uv: UV) -> UV:
        """UVs of the surface [..., 2], float32, to the sheet's own 0..1; what lies outside of it lies outside of that."""
        if self.is_tile and self.tile == 1001:
            return uv
        origin = np.asarray(tile_origin(self.tile), np.float64)
        scale = self.whole / self.side
        shift = np.array([-self.left / self.side, 1.0 - scale + self.top / self.side]) - origin * scale
        if isinstance(uv, Tensor):
            return uv * float(np.float32(scale)) + uv.new_tensor(shift)
        return uv * np.float32(scale) + shift.astype(np.float32)

    def window(self) -> tuple[float, float, float, float]:
        """u0, v0, u1, v1 of the surface's UVs that the sheet shows."""
        u, v = (float(value) for value in tile_origin(self.tile))
        end = self.top + self.side
        return (
            u + self.left / self.whole, v + 1 - end / self.whole,
            u + (self.left + self.side) / self.whole, v + 1 - self.top / self.whole,
        )  # fmt: skip

    def core_window(self) -> tuple[np.ndarray, np.ndarray]:
        """Lower and upper ends [2] of the UVs that the sheet answers for; open at the tile's own end."""
        top, left, bottom, right = self.core
        origin = np.asarray(tile_origin(self.tile))
        low = origin + np.array([left, self.whole - bottom]) / self.whole
        high = origin + np.array([right, self.whole - top]) / self.whole
        last = np.array([right, self.whole - top]) == self.whole
        return low.astype(np.float32), np.where(last, np.nextafter(high, 1e9), high).astype(np.float32)


def whole_tile(tile: int, size: int) -> Place:
    return Place(tile, size, 0, 0, size, (0, 0, size, size))


def blocks_of_tile(tile: int, size: int, most: int) -> list[Place]:
    """A tile cut into blocks of at most `most` texels a side, overlap included."""
    if size <= most:
        return [whole_tile(tile, size)]
    core = max((most - 2 * OVERLAP) // ALIGNED, 1) * ALIGNED
    side = core + 2 * OVERLAP
    places = []
    for top in range(0, size, core):
        for left in range(0, size, core):
            inside = (top, left, min(top + core, size), min(left + core, size))
            places.append(Place(tile, size, max(left - OVERLAP, 0), max(top - OVERLAP, 0), side, inside))
    return places


@dataclass(frozen=True, eq=False)
class Surface:
    """What a sheet must know of the mesh. seams: of a tile, in the tile's own 0..1, or None."""

    mesh: np.ndarray
    charts: np.ndarray  # [N] chart_numbers
    seams: dict[int, Seams] = field(default_factory=dict)


@dataclass(eq=False)
class Sheet:
    """A place, its normal equations and its texture [3, side, side] as it stands."""

    place: Place
    system: TexelSystem
    texture: Tensor | None = None
    pyramid: Pyramid | None = None
    _charts: np.ndarray | None = None

    def charts(self, surface: Surface | None) -> np.ndarray | None:
        """[side, side] the number of the chart that each texel belongs to, 0 in the gutter; None without a mesh.

        A chart owns RINGS texels of the gutter around it: its pixels look that far, and what they see there must hang
        together with the chart, or its border would be left to noise.
        """
        if surface is None:
            return None
        if self._charts is None:
            self._charts = self._draw_charts(surface)
        return self._charts

    def _draw_charts(self, surface: Surface) -> np.ndarray:
        place = self.place
        numbers = surface.charts
        mine = np.flatnonzero(numbers > 0)
        uv = place.to_sheet(surface.mesh[mine, :, 3:])
        inside = ((uv.max(axis=1) > 0) & (uv.min(axis=1) < 1)).all(axis=1)
        moved = np.concatenate([surface.mesh[mine[inside], :, :3], uv[inside]], axis=2)
        drawn = chart_map(moved, place.side, numbers[mine[inside]])
        most = int(drawn.max(initial=0))
        small = np.uint8 if most < 256 else np.uint16 if most < 65536 else np.int32
        return _grown(drawn.astype(small), RINGS)

    def seams(self, surface: Surface | None) -> Seams:
        """The seam rows whose two ends lie in this sheet."""
        found = None if surface is None else surface.seams.get(self.place.tile)
        if found is None or self.place.is_tile:
            return NO_SEAMS if found is None else found
        origin = np.asarray(tile_origin(self.place.tile), np.float32)
        ends = [self.place.to_sheet(uv + origin) for uv in (found.uv_a, found.uv_b)]
        inside = ((ends[0] > 0) & (ends[0] < 1) & (ends[1] > 0) & (ends[1] < 1)).all(axis=1)
        return Seams(ends[0][inside], ends[1][inside], found.weight[inside])


def _grown(numbers: np.ndarray, rings: int) -> np.ndarray:
    """Each number [S, S] spread over so many rings of zeros around it; the larger where two meet."""
    for _ in range(rings):
        grown = numbers.copy()
        for to, of in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
            np.maximum(grown[to], numbers[of], out=grown[to], where=numbers[to] == 0)
            np.maximum(grown[:, to], numbers[:, of], out=grown[:, to], where=numbers[:, to] == 0)
        numbers = grown
    return numbers


class Sheets:
    """Sheets that are solved together, from the same strips."""

    def __init__(self, places: Sequence[Place], device: torch.device, area: bool) -> None:
        """area: pixels see means of texels (mip levels); otherwise the texels at their centre only."""
        self.device = device
        levels = None if area else 0
        self.sheets = [Sheet(place, TexelSystem(place.side, levels, device=device)) for place in places]

    def begin(self) -> None:
        """Start a pass: forget all observations, make the present texture's pyramids."""
        for sheet in self.sheets:
            sheet.system.reset()
            self._look(sheet)

    def look(self) -> None:
        """Make the present texture's pyramids, keeping the observations."""
        for sheet in self.sheets:
            self._look(sheet)

    def _look(self, sheet: Sheet) -> None:
        sheet.pyramid = None if sheet.texture is None else build_pyramid(sheet.texture, sheet.system.levels)

    def accumulate(
        self, strip: Strip, gain: np.ndarray, offset: np.ndarray, *, loss: Loss, threshold: float, gradient: float = 0.0,
        photograph: int | Sequence[int] | None = None, solve: bool = True, shown: Tensor | None = None,
    ) -> Residuals:  # fmt: skip
        """Take in a strip: corrected colour = gain * decoded + offset, [3] each. Returns its residuals over all sheets. Of B
        photographs everything has an axis more (stacks.py), and photograph is their numbers.

        shown: [rows, W, 3] float32, contiguous: the colours that the present textures show at the pixels that count are
        written there, the others' are left as they are. Only where every sheet has a texture that was looked at.
        """
        total: Residuals | None = None
        for sheet in self.sheets:
            place = sheet.place
            scale = np.float32(place.whole / place.side)
            found = accumulate(
                sheet.system,
                place.to_sheet(strip.uv),
                strip.footprint if place.is_tile else strip.footprint * float(scale),
                strip.weights,
                strip.pixels,
                gain=gain, offset=offset, pyramid=sheet.pyramid,
                loss=loss if sheet.pyramid is not None else "l2",
                threshold=threshold, gradient=gradient, photograph=photograph, solve=solve,
                shown=shown,
            )  # fmt: skip
            total = found if total is None else total + found
        assert total is not None
        return total

    def solve(
        self,
        surface: Surface | None,
        *,
        smoothness: float,
        seam_weight: float,
        thorough: bool,
        alive: Callable[[], None],
    ) -> None:
        """New textures from what the pass has gathered, from the present ones on. thorough: to the last digit that shows;
        a pass that others follow needs less."""
        for sheet in self.sheets:
            alive()
            sheet.pyramid = None
            seams = sheet.seams(surface) if seam_weight > 0 else NO_SEAMS
            if seam_weight != 1 and len(seams.weight):
                seams = Seams(seams.uv_a, seams.uv_b, seams.weight * np.float32(seam_weight))
            charts = sheet.charts(surface)
            effort = THOROUGH if thorough or sheet.texture is None else IN_PASSING
            sheet.texture = solve(
                sheet.system, sheet.texture, smoothness=smoothness, charts=charts, seams=seams, alive=alive,
                sweeps=effort[0], iterations=effort[1], tolerance=effort[2],
            )  # fmt: skip

    def start_from(self, coarse: dict[int, Tensor]) -> None:
        """Begin with coarser textures [3, n, n] of whole tiles, made larger smoothly."""
        for sheet in self.sheets:
            place = sheet.place
            whole = coarse[place.tile].to(self.device)
            sheet.texture = enlarged(whole, place)

    def textures(self) -> dict[int, Tensor]:
        """The textures by tile; only for sheets that are whole tiles."""
        return {sheet.place.tile: sheet.texture for sheet in self.sheets if sheet.texture is not None}


def enlarged(coarse: Tensor, place: Place) -> Tensor:
    """The part of a coarser tile [3, n, n] that a place shows, [3, side, side], bilinear."""
    if place.is_tile:
        return bilinear(coarse[None], (place.side, place.side))[0]
    scale = coarse.shape[-1] / place.whole
    result = torch.empty((3, place.side, place.side), device=coarse.device)
    columns = _positions(place.left, place.side, scale, coarse)
    for first in range(0, place.side, 256):
        rows = _positions(place.top + first, min(256, place.side - first), scale, coarse)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij")[::-1], dim=-1)[None]
        part = F.grid_sample(coarse[None], grid, mode="bilinear", padding_mode="border", align_corners=False)
        result[:, first : first + len(rows)] = part[0]
    return result


def _positions(first: int, count: int, scale: float, coarse: Tensor) -> Tensor:
    """Texel centres in grid_sample's -1..1."""
    centers = (torch.arange(first, first + count, device=coarse.device, dtype=torch.float32) + 0.5) * scale
    return 2.0 * centers / coarse.shape[-1] - 1.0
