"""The names of a picture's parts, from the list that lies beside it: segments.json beside segments.png.

A part is found in the list by its colour, as backend.files.segment_pictures draws it, so that a picture that was corrected in an
image editor keeps its names; where there are no colours, by its number.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from shared.errors import InvalidInput
from shared.read_files import MIB, parse_json, read_bytes

MOST_BYTES = MIB
DEEPEST = 4  # levels of JSON; a list of names has three


def names_beside(path: Path, numbers: np.ndarray, colors: np.ndarray | None, *, field: str) -> dict[str, Any]:
    """{"names": the name of each number of a picture, "" for one without}, or {} where no list lies beside it.

    numbers: uint8 [H, W]. colors: its levels 0..255 [H, W, 3], None for a picture of numbers. Raises InvalidInput for a list that
    is damaged. A JSON file that is no list of segments is another program's.
    """
    listed = path.with_suffix(".json")
    if listed == path or not listed.is_file():
        return {}
    try:
        content = parse_json(read_bytes(listed, field=field, most=MOST_BYTES), deepest=DEEPEST)
        if not isinstance(content, dict) or "segments" not in content:
            return {}
        by_number = {int(entry["number"]): str(entry["name"]) for entry in content["segments"]}
        by_color = {str(entry["color"]).lower(): str(entry["name"]) for entry in content["segments"]}
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InvalidInput(
            f"{listed} is not a list of segments ({error}).",
            hint='An entry is {"number": 1, "name": "sky", "color": "#1f77b4"}',
            field=field,
        ) from error
    found, places = np.unique(numbers, return_index=True)
    names = [""] * (int(found[-1]) + 1)
    for number, at in zip(found.tolist(), places.tolist(), strict=True):
        color = (
            None if colors is None else "#" + "".join(f"{level:02x}" for level in colors.reshape(-1, 3)[at].tolist())
        )
        names[number] = by_number.get(number, "") if color is None else by_color.get(color, "")
    return {"names": names} if any(names) else {}
