"""The exemplar height maps that ship, by name: landscapes simulated by backend/training/landscapes.py, each
beside its recipe.

They are read, never made, here; `relievo.py train landscapes` makes them again to the byte.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import InvalidInput
from shared.params import suggestion

if TYPE_CHECKING:
    from shared.arrays import Array

FOLDER = Path(__file__).resolve().parents[1] / "shipped" / "exemplars"
NAMES = ("alpine", "canyon", "badlands", "dunes", "volcanic", "glacial")  # the first is the default of relief transfer


def path(name: str) -> Path:
    """The GeoTIFF of an exemplar. Raises InvalidInput, with the nearest name, for one that does not ship."""
    if name not in NAMES:
        raise InvalidInput(f"There is no exemplar {name!r}.", hint=suggestion(name, NAMES), field="exemplar")
    return FOLDER / f"{name}.tif"


def load(name: str) -> Array:
    """The exemplar as a HEIGHT_MAP: float32 [512, 512] metres with its pixel size."""
    from backend.files.rasters import read_height  # GDAL takes a moment to import; listing names must not

    return read_height(path(name))


def recipe(name: str) -> dict[str, Any]:
    """How it was made: simulator, parameters, seed, pixel size, code version, library versions, and what it
    shows ("help")."""
    return json.loads(path(name).with_suffix(".json").read_text(encoding="utf-8"))
