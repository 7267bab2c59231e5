"""A file to the array that a port takes, by the port's kind.

Photographs are mapped, not loaded. Maps that come with every photograph are written out and mapped likewise, so that memory does
not grow with the number of photographs.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from backend.commands import recipe_files
from backend.commands.posed_photographs import ABSENT
from backend.files import kinds
from backend.files.raster_options import from_json
from shared.algorithm import Port
from shared.arrays import CAMERAS, DEPTH_MAP, MASK, PHOTOGRAPH, TEXTURE_SET, UV_MAP, Array
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

_FOLDERS = (CAMERAS, TEXTURE_SET)  # kinds that may come as a folder of files
_SPILLED = (UV_MAP, DEPTH_MAP, MASK)
FILES_A_PHOTOGRAPH = 5  # itself, its mask, UV, depth and facing maps
SPARE_FILES = 256  # that a process may open beside them


def read_item(
    port: Port,
    item: dict[str, Any],
    reading: Mapping[str, Any],
    photographs: list[dict[str, Any]],
    scratch: Path,
    ground: Array | None = None,
) -> Array:
    """The array of one of the port's files; notes the file's digest in the item.

    photographs: the items of the photographs that cameras belong to. scratch: a folder for maps that are spilled. ground: the map
    that lines lie on. Raises
    InvalidInput for a file that cannot be what the port takes, or that a recipe knows otherwise.
    """
    if ABSENT in item:
        return Array(MASK, np.ones((1, 1), np.float32))  # everything counts
    path = Path(item["path"])
    if path.is_dir() and port.kind not in _FOLDERS:
        raise InvalidInput(f"{path} is a folder; --{port.name.replace('_', '-')} takes a file.", field=port.name)
    recipe_files.check_digest(port.name, item, port.kind)
    if port.many:
        _allow_open_files(len(photographs))
    low_high = reading["height_range_m"]
    array = kinds.read(
        path,
        kinds.Reading(
            port=port,
            pixel_size_m=reading["pixel_size_m"],
            fill_nodata=reading["fill_nodata"],
            height_range_m=(low_high[0], low_high[1]) if low_high else None,
            flip=reading.get("flip") or "",
            photographs=photographs,
            name=item.get("name", path.name),
            options=from_json(reading.get("options")),
            own_first=port.many or not reading.get("pixel_size_wins"),
            ground=ground,
        ),
    )
    return _spilled(array, path, scratch) if port.many and port.kind in _SPILLED else array


def _spilled(array: Array, path: Path, scratch: Path) -> Array:
    scratch.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=scratch, suffix=".npy", delete=False) as file:
        np.save(file, array.values)
    return Array(array.kind, np.load(file.name, mmap_mode="r"), {**array.attributes, "name": path.name})


def tell_profiles(arrays: Mapping[str, tuple[Array, ...]]) -> None:
    """A word about photographs in other colours than sRGB, whose values are taken as they are."""
    photographs = [array for given in arrays.values() for array in given if array.kind is PHOTOGRAPH]
    if not photographs:
        return
    from backend.files.photographs import color_profile, size_of

    profiles: dict[str, list[str]] = {}
    for array in photographs:
        size_of(array)  # says best what is wrong with a file that is no photograph
        if profile := color_profile(array):
            profiles.setdefault(profile, []).append(str(array.attributes["name"]))
    for profile, names in profiles.items():
        logger.warning(
            "%d photographs, such as %s, have the colour profile %s; their values are taken as sRGB.",
            len(names),
            names[0],
            profile,
        )


def _allow_open_files(count: int) -> None:
    """Every mapped file counts as an open one; systems begin with 1024 or fewer and allow more when asked."""
    if sys.platform == "win32":  # which counts none and has no such module
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES_A_PHOTOGRAPH * count + SPARE_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
