"""Dunes: sand in slabs, blown from one direction or by turns from several.

Source: Werner (1995, doi:10.1130/0091-7613(1995)023<1107:EDCSAA>2.3.CO;2): one wind and little sand make barchans, much sand
transverse dunes; two winds more than a right angle apart linear dunes; several make stars.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from backend.ops.terrain.noise import NoiseField, Window, evaluate
from backend.training.landforms import sand_cpu
from backend.training.landforms.grid import NOISE_DEVIATION, cut_out

TURNS = 8  # of the wind, about its direction, in each part of a year


def blown(
    side: int,
    pixel_size_m: float,
    seed: int,
    *,
    sand_m: float,
    uneven: float,
    slab_m: float,
    hop_px: float,
    rounds: int,
    winds_deg: Sequence[float],
    season: int,
    gusty_deg: float,
    keep_sand: float,
    keep_bare: float,
    ground_m: float,
) -> np.ndarray:
    """Dunes of `sand_m` of sand on average over a gently rolling plain, periodic, then cut out.

    winds_deg: where the winds blow to, by turns of `season` rounds; gusty_deg: how far each turn strays. rounds: times that every
    cell is drawn once.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    supply = _periodic(side, side / 3.0, seed, 4)
    ground = ground_m * _periodic(side, side / 2.0, seed + 5, 4)
    sand = generator.poisson(np.clip(sand_m / slab_m * (1.0 + uneven * supply), 0.0, None)).astype(np.int32)
    for turn in range(rounds):
        wind = np.radians(winds_deg[(turn // season) % len(winds_deg)] + gusty_deg * generator.normal())
        sand_cpu.blow(
            sand, slab_m / pixel_size_m, hop_px * np.cos(wind), hop_px * np.sin(wind), keep_sand, keep_bare, side * side,
            seed + 131 * turn,
        )  # fmt: skip
    depth = sand * slab_m
    smooth = ndimage.gaussian_filter(depth, 1.0, mode="wrap")
    smooth = ndimage.gaussian_filter(
        ndimage.median_filter(smooth, 3, mode="wrap"), 1.3, mode="wrap"
    )  # no steps of slabs
    z = smooth + ground + 0.02 * slab_m * _periodic(side, 12.0, seed + 6, 3)
    return cut_out(np.pad(z, side // 4, mode="wrap"), side)


def _periodic(side: int, wavelength_px: float, seed: int, octaves: int) -> np.ndarray:
    cells = max(1, round(side / wavelength_px))
    field = NoiseField(wavelength_px=(side / cells, side / cells), octaves=octaves, seed=seed, period_px=(side, side))
    return evaluate(field, Window(0, 0, side, side)).numpy()[0, 0].astype(np.float64) / NOISE_DEVIATION
