"""Brush strokes from files and to files: strokes.npz, exact, and strokes.json, which other programs read without NumPy.

Both name their columns (shared/strokes.py) and the canvas, so that a file of another version is refused and not misread.
"""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from backend.files.kinds import Reading, Writing
from backend.files.whole_files import write_bytes
from shared.arrays import STROKES, Array, check
from shared.errors import InvalidInput
from shared.read_files import MIB, check_plain, parse_json, read_bytes
from shared.strokes import COLUMNS

FORMAT = 1
MOST_BYTES = 4096 * MIB  # of JSON: twenty million strokes
CANVAS = ("canvas_width_px", "canvas_height_px")


def write(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    canvas = {name: array.attributes[name] for name in CANVAS}
    if writing.format == "json":
        rows = [[float(f"{value:.9g}") for value in row] for row in array.values.tolist()]  # 9 digits carry a float32
        content = {"relievo_strokes": FORMAT, "columns": list(COLUMNS), **canvas, "strokes": rows}
        write_bytes(path, (json.dumps(content, separators=(",", ":")) + "\n").encode())
        return {path.name: {}}
    buffer = io.BytesIO()
    note = json.dumps({"relievo_strokes": FORMAT, "columns": list(COLUMNS), **canvas})
    np.savez_compressed(buffer, strokes=array.values, about=np.frombuffer(note.encode(), np.uint8))
    write_bytes(path, buffer.getvalue())
    return {path.name: {}}


def read(path: Path, reading: Reading) -> Array:
    """A STROKES array from strokes.npz or strokes.json. Raises InvalidInput for a file that is damaged or of another version."""
    port = reading.port.name
    try:
        check_plain(path, field=port)
        about, values = _json(path) if path.suffix.lower() == ".json" else _npz(path)
    except FileNotFoundError as error:
        raise InvalidInput(f"{path} does not exist.", field=port) from error
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError, zipfile.BadZipFile) as error:
        raise InvalidInput(
            f"{path} is not a strokes file, or it is damaged ({error}).",
            hint="Strokes are read from strokes.npz and strokes.json.",
            field=port,
        ) from error
    if about.get("relievo_strokes") != FORMAT or about.get("columns") != list(COLUMNS):
        raise InvalidInput(
            f"{path} has strokes of another version: {about.get('relievo_strokes')!r}; this version reads {FORMAT}.",
            hint="Paint again, or update Relievo.",
            field=port,
        )
    return check(Array(STROKES, values, {name: about.get(name) for name in CANVAS}), port)


def _json(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    content = parse_json(read_bytes(path, field=str(path), most=MOST_BYTES))
    rows = content["strokes"]
    return content, np.array(rows, np.float32).reshape(len(rows), -1)


def _npz(path: Path) -> tuple[dict[str, Any], np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return parse_json(archive["about"].tobytes()), archive["strokes"]
