"""Simulated landscapes of many kinds, to widen what a model has seen: a random pattern of uplift and of erodible rock, worn by
rivers, creep and rock falls with the simulators of the exemplars that ship (backend/training/landforms).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.training.landforms.erosion import evolve
from backend.training.landforms.grid import cut_out, refine, rough, whole_side

PIXELS_M = (30.0, 90.0)
UPLIFTS = ("block", "range", "tilted", "domes", "faults")
ROCKS = ("even", "patches", "bands")
LEVELS = ((4, 50, 1.0), (2, 20, 0.1), (1, 14, 0.04))  # pixels per cell, steps, part of the time
SEA_CHANCE = 0.3  # of a landscape with a sea
EVEN_RELIEF = 1.3e-5 / 1e-3  # erodibility per uplift (m a year) of high mountains


@dataclass(frozen=True)
class Landscape:
    """height: float32 [side, side] m; a sea is level at 0. kind: in words, for the pack's list of sources."""

    height: np.ndarray
    pixel_size_m: float
    kind: str


def simulate(side: int, seed: int) -> Landscape:
    """A landscape of [side, side] pixels, the same for the same seed: some seconds for 256 pixels."""
    rng = np.random.Generator(np.random.PCG64(seed))
    pixel_size_m = float(np.exp(rng.uniform(*np.log(PIXELS_M))))
    uplift, rock = (str(rng.choice(names)) for names in (UPLIFTS, ROCKS))
    rate = 1e-3 * 10.0 ** rng.uniform(-0.6, 0.2)
    erodibility = rate * EVEN_RELIEF * np.exp(rng.uniform(-0.6, 0.9))
    spread, direction = rng.uniform(0.1, 0.7), rng.uniform(0.0, np.pi)
    diffusivity, steepest = 0.005 * 8.0 ** rng.uniform(), rng.uniform(30.0, 44.0)
    million_years = rng.uniform(1.5, 5.0) * 1e-3 / rate
    whole = whole_side(side)
    z = np.zeros(0)
    for level, (coarse, steps, share) in enumerate(LEVELS):
        n = whole // coarse
        z = 40.0 * rough(n, n / 4, seed) + 200.0 if level == 0 else refine(z) + 1.5 * rough(n, 12, seed + 20 + level, 3)
        z = evolve(
            z, pixel_size_m * coarse, 1e6 * million_years * share, steps, seed + 1000 * level,
            strength=erodibility * np.exp(spread * _rock(rock, n, seed, direction, whole)),
            uplift=rate * _uplift(uplift, n, seed, direction),
            diffusivity=diffusivity, steepest=steepest,
        )  # fmt: skip
    height = cut_out(z, side)
    if rng.uniform() < SEA_CHANCE:
        height = np.maximum(height - np.quantile(height, rng.uniform(0.1, 0.5)), 0.0)
    return Landscape(height.astype(np.float32), pixel_size_m, f"{uplift} uplift, {rock} rock")


def _axes(n: int, direction: float) -> tuple[np.ndarray, np.ndarray]:
    """Places along and across a direction, -1..1 at the borders."""
    offsets = np.linspace(-1.0, 1.0, n)
    rows, columns = np.meshgrid(offsets, offsets, indexing="ij")
    return (
        np.cos(direction) * columns + np.sin(direction) * rows,
        np.cos(direction) * rows - np.sin(direction) * columns,
    )


def _uplift(kind: str, n: int, seed: int, direction: float) -> np.ndarray:
    """Uplift [n, n] as parts of the landscape's rate."""
    along, across = _axes(n, direction)
    waver = 0.25 * rough(n, n / 2.0, seed + 9, 3)
    rng = np.random.Generator(np.random.PCG64(seed + 31))
    if kind == "range":
        pattern = 0.1 + 1.4 * np.exp(-(((across + 0.6 * waver) / rng.uniform(0.2, 0.5)) ** 2))
    elif kind == "tilted":
        pattern = 0.85 + 0.8 * along
    elif kind == "domes":
        pattern = np.full((n, n), 0.15)
        for _ in range(int(rng.integers(2, 6))):
            centre = rng.uniform(-0.7, 0.7, 2)
            far = np.hypot(along - centre[0], across - centre[1]) / rng.uniform(0.2, 0.5)
            pattern += rng.uniform(0.6, 1.4) * np.exp(-(far**2))
    elif kind == "faults":
        blocks = np.floor((along + 0.4 * waver) * rng.uniform(1.5, 3.5)).astype(int)
        pattern = rng.uniform(0.1, 1.6, 16)[blocks % 16]
    else:
        pattern = np.ones((n, n))
    return np.clip(pattern * (1.0 + 0.4 * waver), 0.03, 2.5)


def _rock(kind: str, n: int, seed: int, direction: float, whole: int) -> np.ndarray:
    """Logarithm of the erodibility [n, n], of deviation about 1."""
    if kind == "even":
        return 0.3 * rough(n, n / 12, seed + 7, 4)
    if kind == "patches":
        return rough(n, n / 6, seed + 7, 5)
    _, across = _axes(n, direction + 0.6)
    return 1.2 * np.sin(2.0 * np.pi * (across + 0.12 * rough(n, n / 3.0, seed + 8, 3)) * max(2.0, whole / 120.0))
