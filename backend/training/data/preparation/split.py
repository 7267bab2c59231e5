"""Which pieces are kept from training: whole neighbourhoods, since two pieces of one valley say the same thing twice."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BLOCK = 4  # pieces on each side of a neighbourhood within one raster
SLACK = 1.5  # by which a neighbourhood may exceed what was asked for

Place = tuple[int, int, int]  # raster, row and column of a piece


def held_out(places: Sequence[Place], share: float, seed: int) -> set[int]:
    """Numbers of the pieces that no training sees, about `share` of them. One neighbourhood that is too large alone gives its last
    pieces; a pack of too few pieces keeps none back."""
    wanted = share * len(places)
    if wanted < 1.0:
        return set()
    neighbourhoods: dict[Place, list[int]] = {}
    for number, (raster, row, column) in enumerate(places):
        neighbourhoods.setdefault((raster, row // BLOCK, column // BLOCK), []).append(number)
    members = list(neighbourhoods.values())
    found: set[int] = set()
    for chosen in np.random.Generator(np.random.PCG64(seed)).permutation(len(members)):
        if len(found) < wanted and len(found) + len(members[chosen]) <= SLACK * wanted:
            found |= set(members[chosen])
    return found or set(max(members, key=len)[-int(wanted) :])
