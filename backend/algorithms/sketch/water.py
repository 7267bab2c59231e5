"""Seas and lakes in a terrain whose water was painted: level surfaces, beds below them, and shores that rise.

Heights are metres on the host. Rivers are not water bodies here: they come from draining.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy import ndimage

SHORE_QUANTILE = 0.1  # of the heights along a shore at which its water stands: a few low places do not empty a lake
BED_SLOPE = 0.06
DEEPEST_SHARE, DEEPEST_M = 0.02, 4000.0  # of a body's width, and at most
LAND_STEP_M = 0.5  # that land stands above the water beside it, at least
SHORE_PX = 3.0  # over which land comes down to the water
BANK_PX = 2.0  # how far land beside the water is above it, at least
BANK_SLOPE, BANK_REACH_PX = 0.04, 64  # how a bank falls to land that is lower, and how far it reaches at most
BAND_ROWS = 512  # taken at a time, so that memory does not grow with the map


@dataclass(frozen=True)
class Bodies:
    """labels int32 [H, W]: 0 land, else the number of the body. levels_m [bodies + 1]: of the surfaces; levels_m[0] is nothing."""

    labels: np.ndarray
    levels_m: np.ndarray

    @property
    def mask(self) -> np.ndarray:
        return self.labels > 0

    def surface(self, height_m: np.ndarray) -> np.ndarray:
        """Water where there is water and ground elsewhere, [H, W]."""
        return np.where(self.mask, self.levels_m.astype(height_m.dtype)[self.labels], height_m)


def find(height_m: np.ndarray, is_water: np.ndarray) -> Bodies:
    """The bodies of water [H, W] of a sketch and the levels at which they stand in these heights.

    A body's level is a low one of its shore's, so that no land has to be raised by much; where a body has no shore it is the mean
    of what it covers.
    """
    labels, count = cast("tuple[np.ndarray, int]", ndimage.label(is_water, structure=np.ones((3, 3), int)))
    levels = np.zeros(count + 1)
    for number, window in enumerate(ndimage.find_objects(labels), 1):
        around = tuple(
            slice(max(part.start - 1, 0), min(part.stop + 1, side))
            for part, side in zip(window, labels.shape, strict=True)
        )
        inside = labels[around] == number
        shore = ndimage.binary_dilation(inside, np.ones((3, 3), bool)) & (labels[around] == 0)
        heights = height_m[around]
        levels[number] = np.quantile(heights[shore], SHORE_QUANTILE) if shore.any() else heights[inside].mean()
    return Bodies(labels.astype(np.int32), levels)


def with_sea_level(height_m: np.ndarray, bodies: Bodies) -> tuple[np.ndarray, Bodies]:
    """Heights and levels shifted so that the largest body that reaches the border is at 0 m; without one, the lowest ground is."""
    edge = np.concatenate([bodies.labels[0], bodies.labels[-1], bodies.labels[:, 0], bodies.labels[:, -1]])
    touching = np.unique(edge[edge > 0])
    if touching.size:
        sizes = np.bincount(bodies.labels.ravel(), minlength=len(bodies.levels_m))
        zero = bodies.levels_m[touching[np.argmax(sizes[touching])]]
    else:
        zero = min(height_m.min(), bodies.levels_m[1:].min(initial=np.inf))
    levels = bodies.levels_m - zero
    levels[0] = 0.0
    return height_m - float(zero), Bodies(bodies.labels, levels)


def settled(height_m: np.ndarray, bodies: Bodies, pixel_size_m: float) -> np.ndarray:
    """The ground float32 [H, W] with beds under its water, and land that comes down to the water beside it and no lower."""
    ground = height_m.astype(np.float32)
    if not bodies.mask.any():
        return ground
    rows = ground.shape[0]
    for top in range(0, rows, BAND_ROWS):
        bottom = min(top + BAND_ROWS, rows)
        wide = slice(max(0, top - BANK_REACH_PX), min(rows, bottom + BANK_REACH_PX))
        inner = slice(top - wide.start, bottom - wide.start)
        if bodies.labels[wide].any():
            ground[top:bottom] = _with_shores(height_m[wide].astype(np.float32), bodies, wide, pixel_size_m)[inner]
    ground -= _depths(bodies, pixel_size_m)
    return ground


def _with_shores(ground: np.ndarray, bodies: Bodies, rows: slice, pixel_size_m: float) -> np.ndarray:
    """Land and the level of the water in some rows; exact where water is nearer than the rows' end."""
    labels = bodies.labels[rows]
    distance, nearest = cast(
        "tuple[np.ndarray, np.ndarray]", ndimage.distance_transform_edt(labels == 0, return_indices=True)
    )
    distance = distance.astype(np.float32)
    level = bodies.levels_m.astype(np.float32)[labels[tuple(nearest)]]
    above = ground - level
    above *= np.where(above > 0.0, 1.0 - np.exp(-distance / np.float32(SHORE_PX)), 1.0)
    bank = LAND_STEP_M - BANK_SLOPE * pixel_size_m * np.maximum(distance - BANK_PX, 0.0).astype(np.float32)
    shore = level + np.maximum(above, bank)
    return np.where(labels > 0, level, np.where(distance < BANK_REACH_PX, shore, ground))


def _depths(bodies: Bodies, pixel_size_m: float) -> np.ndarray:
    """Metres of water, float32 [H, W]: a bed that slopes away from the shore and levels out."""
    if bodies.mask.all():  # an open sea has no shore to count from
        offshore = np.full(bodies.mask.shape, min(bodies.mask.shape) / 4.0 * pixel_size_m, np.float32)
    else:
        apart = ndimage.distance_transform_edt(np.pad(bodies.mask, 1, mode="edge"))
        offshore = cast("np.ndarray", apart)[1:-1, 1:-1].astype(np.float32) * np.float32(pixel_size_m)
    widest = np.asarray(ndimage.maximum(offshore, bodies.labels, np.arange(len(bodies.levels_m))))
    deepest = np.clip(DEEPEST_SHARE * 2.0 * widest, 1.0, DEEPEST_M).astype(np.float32)[bodies.labels]
    offshore *= np.float32(-BED_SLOPE)
    offshore /= deepest
    np.expm1(offshore, out=offshore)
    offshore *= -deepest
    offshore[bodies.labels == 0] = 0.0
    return offshore
