"""A map taken in bands of rows, so that what is made of one does not grow with the map. Small maps are one band."""

from __future__ import annotations

BAND_PX = 1 << 19


def row_bands(shape: tuple[int, ...]) -> list[slice]:
    """The rows of a map [H, W], in order; every band but the last has an even number of them."""
    rows = max(2, BAND_PX // (2 * shape[1]) * 2)
    return [slice(top, min(top + rows, shape[0])) for top in range(0, shape[0], rows)]
