"""Integer lattices at global coordinates: which cell a pixel lies in, where in it, and the cell's random key.

Everything here works along one axis at a time, in int64 and float64, so that a pixel ten million columns from
the origin is as exact as the first one; what is handed on to the float32 noise is only the place inside the
cell. Keys are counter-based (a hash of seed, octave, axis and cell), so no state is drawn in any order. Nothing
here knows about two dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from backend.ops.hashing import splitmix64

MAX_COORDINATE = 2**40  # pixels from the origin; float64 still resolves a 4096th of a pixel-wide cell there


def stream_key(*numbers: int) -> int:
    """One 64-bit key of a path of integers such as (seed, octave, axis); another path gives an unrelated key."""
    key = np.zeros(1, np.uint64)
    for number in numbers:
        key = splitmix64(key ^ np.array([number & 0xFFFF_FFFF_FFFF_FFFF], np.uint64))
    return int(key[0])


def cell_keys(cells: np.ndarray, key: int, period: int | None) -> np.ndarray:
    """A uint32 key for each cell number (int64, any shape), repeating every ``period`` cells where that is given."""
    if period is not None:
        cells = np.mod(cells, period)
    return (splitmix64(cells.astype(np.int64).view(np.uint64) ^ np.uint64(key)) >> np.uint64(32)).astype(np.uint32)


@dataclass(frozen=True, kw_only=True)
class Lattice:
    """One axis of one octave: position in cells = pixel · frequency + shift.

    frequency: cells a pixel. shift: in [0, 1), moves the octaves' zeros apart. period_px, cells: the pixels and
    the whole number of cells after which it repeats, or None.
    """

    frequency: float
    shift: float
    key: int
    period_px: int | None = None
    cells: int | None = None

    def wrap(self, pixels: np.ndarray) -> np.ndarray:
        """Global pixel numbers (int64), brought into the first period where there is one."""
        return pixels if self.period_px is None else np.mod(pixels, self.period_px)

    def locate(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Cell number (int64) and place in the cell (float32, 0 <= f <= 1) of global pixel numbers (int64)."""
        position = self.wrap(pixels).astype(np.float64) * self.frequency + self.shift
        cell = np.floor(position)
        return cell.astype(np.int64), (position - cell).astype(np.float32)

    def keys(self, cells: np.ndarray) -> np.ndarray:
        return cell_keys(cells, self.key, self.cells)

    def key_pairs(self, cells: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The keys of cells and of the cells after them; each cell is hashed once, however many pixels lie in it."""
        first = int(cells.min())
        table = self.keys(np.arange(first, int(cells.max()) + 2, dtype=np.int64))
        place = cells - first
        return table[place], table[place + 1]


def make_lattice(wavelength_px: float, shift: float, key: int, period_px: int | None) -> Lattice:
    """A lattice of that wavelength; with a period the wavelength is stretched until a whole number of cells
    fits in it."""
    if period_px is None:
        return Lattice(frequency=1.0 / wavelength_px, shift=shift, key=key)
    cells = max(1, round(period_px / wavelength_px))
    return Lattice(frequency=cells / period_px, shift=shift, key=key, period_px=period_px, cells=cells)
