"""How much each pixel of a photograph counts, and where it looks in the texture once the photograph is bent.

A pixel's weight is the product of
    cos(angle)^power   of the surface's normal and the line of sight: errors of pose slide furthest where it grazes;
    silhouettes        (d / (radius + 1))^2, d px from where the surface ends or another hides it: such a pixel mixes both;
    the border         fading over border_px, so that no photograph ends with a step;
    the mask           of the photograph;
    the sensor         a full channel says only "at least this bright" (SATURATED).
Coarse pixels need no weight of their own: each is taken for the mean of the texels under it (backend/ops/texels/pyramid.py).

Decides nothing about colours or outliers: those are the solver's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from backend.ops.photos import bending_cpu
from backend.ops.photos import view_weights_cpu as kernel
from backend.ops.surface.rasterization import SurfaceMap

BREAK = (
    0.005  # relative change of 1/z from pixel to pixel, beyond the slopes', that counts as one surface behind another
)
LEAST_AT_SILHOUETTE = 1e-3  # never 0: the rim of an open mesh may be seen nowhere else
SATURATED = 0.996  # of the full range: 254 of 255
SATURATED_WEIGHT = 0.05
SAME_CHART = 3.0  # neighbours' UVs of one chart differ by less than this many footprints along the longer axis


@dataclass(frozen=True)
class WeightSettings:
    """power: of the cosine. steepest_deg: 0..90, views more grazing than this count nothing. silhouette_px, border_px:
    where weights fade, 0 for nowhere."""

    power: float = 1.0
    steepest_deg: float = 80.0
    silhouette_px: float = 2.0
    border_px: float = 4.0

    @property
    def halo_px(self) -> int:
        """Rows that must be drawn beyond those that are weighed."""
        return math.ceil(self.silhouette_px) + 2

    def at_scale(self, reduction: int) -> WeightSettings:
        """The same distances on the object in a photograph reduced so many times."""
        return WeightSettings(self.power, self.steepest_deg, self.silhouette_px / reduction, self.border_px / reduction)


def surface_weights(surface: SurfaceMap, settings: WeightSettings) -> np.ndarray:
    """Weights [h, W] float32 in 0..1 from the surface alone, 0 where nothing is seen. NaN depths throughout mean unknown ones."""
    weights = np.empty(surface.facing.shape, np.float32)
    reach = min(math.ceil(settings.silhouette_px) + 1, 255)
    if settings.silhouette_px > 0:
        distances = np.empty(surface.facing.shape, np.uint8)
        kernel.silhouettes(surface.depth, surface.facing, np.float32(BREAK), reach, distances)
    else:
        distances = np.full(surface.facing.shape, reach, np.uint8)
    least = math.cos(math.radians(min(settings.steepest_deg, 89.9)))
    kernel.weigh(
        surface.facing, surface.footprint, distances, float(settings.silhouette_px), np.float32(settings.power),
        np.float32(least), np.float32(LEAST_AT_SILHOUETTE), weights,
    )  # fmt: skip
    return weights


def frame_weights(
    weights: np.ndarray,
    pixels: np.ndarray,
    mask: np.ndarray | None,
    first_row: int,
    height: int,
    settings: WeightSettings,
) -> None:
    """Multiply weights [rows, W], in place, by what the photograph's border, its mask and its full pixels leave of them.

    pixels: [rows, W, 3] uint8 or uint16. mask: [rows, W] float32 0..1 or None. first_row: of the photograph's height.
    """
    none = np.empty((0, 0), np.float32)
    kernel.frame(
        weights, none if mask is None else mask, mask is not None, np.ascontiguousarray(pixels), float(np.iinfo(pixels.dtype).max),
        SATURATED, np.float32(SATURATED_WEIGHT), first_row, height, float(settings.border_px),
    )  # fmt: skip


def bent(
    surface: SurfaceMap, weights: np.ndarray, nodes: np.ndarray, cell_px: float, first_row: int, halo: int, rows: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """uv [rows, W, 2], footprint and weights [rows, W] of a photograph whose pixel p shows what was drawn at p - d(p).

    surface, weights: drawn, `halo` rows more before the first written one. nodes: [gy, gx, 2] px (x, y), d bilinear between
    them, cell_px apart from the photograph's corner on. UVs are carried on by their derivative within a chart; colours are
    never resampled.
    """
    width = weights.shape[1]
    uv = np.empty((rows, width, 2), np.float32)
    footprint, moved = np.empty((rows, width), np.float32), np.empty((rows, width), np.float32)
    bending_cpu.bend(
        surface.uv, surface.footprint, surface.stretch, weights, np.float32(SAME_CHART), nodes.astype(np.float32),
        float(cell_px), first_row, halo, rows, uv, footprint, moved,
    )  # fmt: skip
    return uv, footprint, moved


def surface_of_maps(
    uv: np.ndarray, depth: np.ndarray | None, facing: np.ndarray | None, most_jump: float = 0.05
) -> SurfaceMap:
    """A surface map from given maps: uv [H, W, 2] with NaN outside, and where known depth and facing [H, W].

    Footprint and stretch are differences of the UVs; where only neighbours of other charts are seen they are NaN and the
    pixel counts nothing. Without facing every pixel counts as frontal. most_jump: no chart changes its UV faster a pixel.
    """
    uv = np.ascontiguousarray(uv, np.float32)
    shape = uv.shape[:2]
    footprint, stretch = np.empty(shape, np.float32), np.empty(shape, np.float32)
    kernel.slopes(uv, footprint, stretch, np.float32(most_jump))
    seen = np.isfinite(uv[..., 0])
    facing = np.where(seen, 1.0 if facing is None else facing, np.nan).astype(np.float32)
    depth = np.full(shape, np.nan, np.float32) if depth is None else np.ascontiguousarray(depth, np.float32)
    return SurfaceMap(uv, depth, facing, footprint, stretch, np.where(seen, 0, -1).astype(np.int32))
