"""Brush strokes from files and to files: strokes.npz, exact, and strokes.json, which other programs read without NumPy.

Both name their columns (shared/strokes.py) and the canvas, so that a file of another version is refused and not misread. A canvas
of one colour keeps it, so that strokes can be painted again without the picture; how much of the paint is blended is kept, too.
Their drawing, strokes.svg, is stroke_svg.py's and is not read back.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from backend.files import stroke_svg
from backend.files.kinds import Reading, Writing
from backend.files.whole_files import write_bytes
from shared.arrays import MAX_SIDE, STROKES, Array, check
from shared.errors import InvalidInput, OutOfMemory
from shared.read_files import MIB, check_plain, parse_json, read_bytes
from shared.strokes import COLUMNS, END_COLOR, SMUDGE, smudge_of, with_end_color

FORMAT = 2
EARLIER = {1: COLUMNS[: -len(END_COLOR)]}  # columns of strokes of one colour
MOST_BYTES = 4096 * MIB  # of JSON, or of what an npz unpacks to: tens of millions of strokes
CANVAS = ("canvas_width_px", "canvas_height_px")
COLOR = "canvas_color"  # red, green, blue, sRGB-encoded
_SUPPORTED = "Strokes are read from strokes.npz and strokes.json."
_BROKEN = (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


def write(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    if writing.format == "svg":
        stroke_svg.write(array, path)
        return {path.name: {}}
    canvas = {name: array.attributes[name] for name in (*CANVAS, COLOR, SMUDGE) if name in array.attributes}
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
    """A STROKES array from strokes.npz or strokes.json.

    Raises InvalidInput for a file that is damaged or of another version, and OutOfMemory.
    """
    port = reading.port.name
    try:
        check_plain(path, field=port)
        about, rows = _json(path) if path.suffix.lower() == ".json" else _npz(path)
        columns = _columns(path, about, port)
        values = _values(path, rows, columns, port)
        values = values if columns == COLUMNS else with_end_color(values)
    except FileNotFoundError as error:
        hint = "How many strokes to paint is the setting budget." if path.name.isdigit() else ""
        raise InvalidInput(f"{path} does not exist.", hint=hint, field=port) from error
    except MemoryError as error:
        raise OutOfMemory(f"{path} does not fit into memory.", field=port) from error
    except (*_BROKEN, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise InvalidInput(
            f"{path} is not a strokes file, or it is cut short or damaged ({_reason(error)}).",
            hint=_SUPPORTED,
            field=port,
        ) from error
    return check(Array(STROKES, values, _canvas(path, about, port)), port)


def _json(path: Path) -> tuple[dict[str, Any], Any]:
    content = parse_json(read_bytes(path, field=str(path), most=MOST_BYTES))
    return content, content["strokes"]


def _npz(path: Path) -> tuple[dict[str, Any], Any]:
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > MOST_BYTES:
        raise ValueError(f"it unpacks to {unpacked / MIB:,.0f} MiB; at most {MOST_BYTES / MIB:,.0f} are read")
    with np.load(path, allow_pickle=False) as archive:
        return parse_json(archive["about"].tobytes()), archive["strokes"]


def _columns(path: Path, about: dict[str, Any], port: str) -> tuple[str, ...]:
    """Those of the file's version, which it names. Raises InvalidInput for another version or other columns."""
    version = about.get("relievo_strokes")
    known = {**EARLIER, FORMAT: COLUMNS}
    if isinstance(version, int) and version in known:
        if about.get("columns") == list(known[version]):
            return known[version]
        said = f"{path} has other columns than version {version} of the format: {str(about.get('columns'))[:60]}"
        raise InvalidInput(f"{said}; it should have {', '.join(known[version])}.", hint=_SUPPORTED, field=port)
    raise InvalidInput(
        f"{path} has strokes of another version: {version!r}; this version reads {FORMAT} and {', '.join(map(str, EARLIER))}.",
        hint="Paint again, or update Relievo.",
        field=port,
    )


def _values(path: Path, rows: Any, columns: tuple[str, ...], port: str) -> np.ndarray:
    """Float32 [N, columns], all finite. Raises InvalidInput, which names the first stroke that is wrong, and ValueError."""
    if isinstance(rows, list):
        for number, row in enumerate(rows):
            if not isinstance(row, list) or len(row) != len(columns):
                many = f"{len(row)} numbers" if isinstance(row, list) else "no list of numbers"
                raise InvalidInput(
                    f"{path}: stroke {number} has {many}; a stroke has {len(columns)}.", hint=_SUPPORTED, field=port
                )
    elif rows.ndim != 2 or rows.shape[1] != len(columns):
        shape = " x ".join(map(str, rows.shape))
        raise InvalidInput(f"{path} holds {shape} numbers; a stroke has {len(columns)}.", hint=_SUPPORTED, field=port)
    if not len(rows):
        raise InvalidInput(f"{path} has no strokes.", hint="Paint with at least one stroke.", field=port)
    with np.errstate(over="ignore"):
        values = np.asarray(rows, np.float32)
    wrong = np.argwhere(~np.isfinite(values))
    if len(wrong):
        row, column = wrong[0]
        more = f"; so do {len(wrong) - 1} others" if len(wrong) > 1 else ""
        raise InvalidInput(
            f"{path}: stroke {row} has {values[row, column]:g} for {columns[column]}{more}. Every number of a stroke is finite.",
            hint="Correct it in the file, or leave the stroke out.",
            field=port,
        )
    return np.ascontiguousarray(values)


def _canvas(path: Path, about: dict[str, Any], port: str) -> dict[str, Any]:
    """The sides of the canvas in pixels, its colour, and how much of its paint is blended. Raises InvalidInput for those that none
    has."""
    for name in CANVAS:
        side = about.get(name)
        number = side if isinstance(side, (int, float)) and not isinstance(side, bool) else 0
        if not 1 <= number <= MAX_SIDE or number != int(number):
            raise InvalidInput(
                f"{path} has the {name} {side!r}; the side of a canvas is a whole number from 1 to {MAX_SIDE}.",
                field=port,
            )
    smudge = {SMUDGE: smudge_of(about, owner=str(path), field=port)} if SMUDGE in about else {}
    return {name: about[name] for name in CANVAS} | _color(path, about.get(COLOR), port) | smudge


def _color(path: Path, given: Any, port: str) -> dict[str, Any]:
    """{} for a canvas that has no one colour."""
    if given is None:
        return {}
    plain = isinstance(given, list) and len(given) == 3 and all(isinstance(v, (int, float)) for v in given)
    if not plain or not all(0.0 <= value <= 1.0 for value in given):
        raise InvalidInput(
            f"{path} has the {COLOR} {str(given)[:60]}; it is red, green and blue from 0 to 1.", field=port
        )
    return {COLOR: [float(value) for value in given]}


def _reason(error: Exception) -> str:
    """What the parser said, without a full stop; a missing entry by its name."""
    return f"it has no {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
