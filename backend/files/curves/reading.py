"""CURVES from and to files: GeoJSON (.geojson, .json) and SVG.

Where a file's coordinates lie on the map is its reader's business; what is off the map is said here. Units are never guessed.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np

from backend.files.curves import geojson, svg
from backend.files.kinds import Reading, Writing
from backend.files.whole_files import write_bytes
from shared.arrays import CURVES, Array, check
from shared.curves import FARTHEST, Line, lines_of, rows_of
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

READERS = {".geojson": geojson.lines, ".json": geojson.lines, ".svg": svg.lines}


def read(path: Path, reading: Reading) -> Array:
    """A CURVES array. Raises InvalidInput for a file that is damaged, has no lines, or none on the map."""
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise InvalidInput(
            f"{path} has no ending of a file of lines.",
            hint=f"Lines are read from {', '.join(sorted(READERS))}.",
            field=reading.port.name,
        )
    found = _on_the_map(reader(path, reading), path, reading.port.name)
    return check(Array(CURVES, rows_of(found)), reading.port.name)


def write(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    """GeoJSON in the map's coordinates where the array knows them, else in shares of the map, exact."""
    write_bytes(path, geojson.text_of(lines_of(array.values), array.attributes).encode())
    return {path.name: {}}


def _on_the_map(found: list[Line], path: Path, port: str) -> list[Line]:
    """The lines that touch the map; says how many lie outside of it or reach beyond. Raises InvalidInput where none is on it."""
    for line in found:
        if not np.isfinite(line.points).all():
            raise InvalidInput(f"{path} has points that are nowhere (NaN or infinite).", field=port)
    low = np.array([line.points.min(axis=0) for line in found])
    high = np.array([line.points.max(axis=0) for line in found])
    outside = (high < 0).any(axis=1) | (low > 1).any(axis=1) | (np.abs([low, high]).max(axis=(0, 2)) > FARTHEST)
    if outside.all():
        left, top, right, bottom = *low.min(axis=0), *high.max(axis=0)
        raise InvalidInput(
            f"None of the {len(found)} lines of {path} lies on the map: they run from {left:g} to {right:g} of its width and from"
            f" {1 - bottom:g} to {1 - top:g} of its height.",
            hint="Are the coordinates those of this map? The guide says how they are understood.",
            field=port,
        )
    beyond = ~outside & ((low < -1e-6).any(axis=1) | (high > 1 + 1e-6).any(axis=1))
    if outside.any():
        logger.warning("%d of %d lines of %s lie off the map and are left out.", outside.sum(), len(found), path)
    if beyond.any():
        logger.warning("%d lines of %s reach beyond the map and end at its edge.", beyond.sum(), path)
    return [line for line, is_off in zip(found, outside, strict=True) if not is_off]
