"""Palettes as JSON: a list of {"name", "color"}, the colour in linear RGB, or "#rrggbb" in sRGB where a person wrote the file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from backend.files.kinds import Reading, Writing
from backend.files.whole_files import write_bytes
from shared.arrays import PALETTE, Array, check
from shared.errors import InvalidInput
from shared.read_files import MIB, parse_json, read_bytes
from shared.srgb import srgb_to_linear

MOST_BYTES = 16 * MIB
DEEPEST = 8  # levels of JSON; a palette has three
_HEX = re.compile(r"#([0-9a-fA-F]{2})([0-9a-fA-F]{2})([0-9a-fA-F]{2})$")


def write(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    names = array.attributes.get("names") or [""] * len(array.values)
    entries = [
        {"name": name, "color": [float(f"{value:.9g}") for value in color]}
        for name, color in zip(names, array.values.tolist(), strict=True)
    ]
    write_bytes(path, (json.dumps(entries, indent=1, ensure_ascii=False) + "\n").encode())
    return {path.name: {}}


def read(path: Path, reading: Reading) -> Array:
    """A PALETTE [N, 3] from JSON. Raises InvalidInput."""
    data = read_bytes(path, field=reading.port.name, most=MOST_BYTES)
    try:
        entries = parse_json(data, deepest=DEEPEST)
        names = [str(entry["name"]) for entry in entries]
        colors = np.array([_color(entry["color"]) for entry in entries], np.float32)
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InvalidInput(
            f"{path} is not a palette ({error}).",
            hint='A palette is a JSON list of {"name": "Grass", "color": "#4d9933"}.',
            field=reading.port.name,
        ) from error
    return check(Array(PALETTE, colors.reshape(len(names), -1), {"names": names}), reading.port.name)


def _color(value: Any) -> np.ndarray:
    if isinstance(value, str):
        found = _HEX.match(value)
        if found is None:
            raise ValueError(f"{value!r} is not a colour")
        return srgb_to_linear(np.array([int(part, 16) / 255.0 for part in found.groups()]))
    return np.array([float(part) for part in value])
