"""The exemplar height maps that ship, by name: landscapes simulated by backend/training/landscapes.py, each
beside its recipe.

They are read, never made, here; `relievo.py train landscapes` makes the present edition again to the byte. The first edition, six
landscapes of simpler rules, is kept as it was for recipes and projects that were made with it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared import digests
from shared.errors import InvalidInput
from shared.params import suggestion

if TYPE_CHECKING:
    from shared.arrays import Array

FOLDER = Path(__file__).resolve().parents[1] / "shipped" / "exemplars"
NAMES = (
    "alpine", "canyon", "badlands", "dunes", "volcanic", "glacial", "hills", "ridges", "mesas", "fans", "domes", "karst", "lava",
    "drumlins", "star-dunes",
)  # fmt: skip
# The first is the default of relief transfer; six had a first edition, which recipes of those days still need.
FIRST_NAMES = NAMES[:6]
EDITION = 2


def path(name: str, edition: int = EDITION) -> Path:
    """The GeoTIFF of an exemplar. Raises InvalidInput, with the nearest name, for one that does not ship in that edition."""
    names = FIRST_NAMES if edition == 1 else NAMES
    if name not in names:
        of = " in the first edition" if name in NAMES else ""
        raise InvalidInput(f"There is no exemplar {name!r}{of}.", hint=suggestion(name, names), field="exemplar")
    return (FOLDER / "first" if edition == 1 else FOLDER) / f"{name}.tif"


def load(name: str, edition: int = EDITION) -> Array:
    """The exemplar as a HEIGHT_MAP: float32 [512, 512] metres with its pixel size."""
    from backend.files.rasters import read_height  # GDAL takes a moment to import; listing names must not

    return read_height(path(name, edition))


def recipe(name: str, edition: int = EDITION) -> dict[str, Any]:
    """How it was made: simulator, parameters, seed, pixel size, code version, library versions, and what it
    shows ("help")."""
    return json.loads(path(name, edition).with_suffix(".json").read_text(encoding="utf-8"))


def recorded(name: str, *, file_sha256: str = "", array_sha256: str = "") -> Path:
    """The file that a recipe means by a name: the edition whose file or whose heights have that digest, else the present one."""
    if name in FIRST_NAMES:
        first = path(name, 1)
        if file_sha256 and digests.of_file(first) == file_sha256:
            return first
        if array_sha256 and not file_sha256 and load(name, 1).sha256 == array_sha256:
            return first
    return path(name)


def is_shipped(file: Path) -> bool:
    """Whether a resolved path is one of the exemplars, of either edition."""
    return file.parent in (FOLDER, FOLDER / "first")
