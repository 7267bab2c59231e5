"""Files of bare numbers: NumPy's .npy, and raw grids (.r16, .r32, .raw) whose size has to be given.

Nothing is guessed that the file does not say: a raw grid without a size is refused with the sizes that would fit it.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np

from backend.files.rasters import pixels as px
from backend.files.rasters.pixels import Pixels, broken, not_finite
from shared.errors import InvalidInput

logger = logging.getLogger(__name__)

RAW_SUFFIXES = (".r8", ".r16", ".r32", ".raw")
RAW_TYPES = {"u8": "|u1", "u16": "<u2", "u16be": ">u2", "i16": "<i2", "i16be": ">i2", "f32": "<f4", "f32be": ">f4"}
"""What --raw-type takes: unsigned, signed and floating-point numbers, little-endian unless it ends in "be"."""

_BY_BYTES = {1: "u8", 2: "u16", 4: "f32"}
MAX_BANDS = 4
ROUGHER = 8.0  # neighbours that differ so many times more than with swapped bytes are in the wrong order


def load_npy(path: Path) -> Pixels:
    """[H, W], [H, W, bands], or [1, H, W] as image networks write it. Raises InvalidInput."""
    try:
        # mapped, not read: a header that claims more than the file holds fails here, before any memory is taken
        stored = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OverflowError, RecursionError, SyntaxError) as error:
        raise broken(path, str(error)) from error
    if not isinstance(stored, np.ndarray):
        raise InvalidInput(
            f"{path} is an archive of several arrays (.npz).", hint="Save one array with numpy.save.", field=str(path)
        )
    stored = _rows_and_columns(path, stored)
    px.check_size(path, stored.shape[0], stored.shape[1])
    px.check_dtype(path, stored.dtype)
    px.check_claim(path, stored.shape[0], stored.shape[1], stored.dtype.itemsize * stored.shape[2], sparse=False)
    values = np.array(stored)
    return Pixels(values=values, hole=not_finite(values), format="npy", eight_bits=values.dtype.itemsize == 1)


def _rows_and_columns(path: Path, stored: np.ndarray) -> np.ndarray:
    """[H, W, bands]; axes of length 1 before the rows are dropped."""
    shape = " x ".join(map(str, stored.shape)) or "a single number"
    while stored.ndim > 2 and stored.shape[0] == 1 and min(stored.shape[1:3]) > 4:
        stored = stored[0]
    if stored.ndim == 3 and stored.shape[0] in (2, 3, 4) and min(stored.shape[1:]) > 4:
        raise InvalidInput(
            f"{path} has the shape {shape}: its channels come first; they must come last, or be one.",
            hint="Save one map, array[0], or the channels last: numpy.moveaxis(array, 0, -1).",
            field=str(path),
        )
    if stored.ndim == 3 and stored.shape[2] > MAX_BANDS:
        raise InvalidInput(
            f"{path} has the shape {shape}, several maps in one array; one map has rows and columns.",
            hint="Save one of them: numpy.save('height.npy', array[0]) or array[..., 0].",
            field=str(path),
        )
    if stored.ndim not in (2, 3):
        raise InvalidInput(
            f"{path} holds {shape}; a map has rows and columns.",
            hint="Save it as a two-dimensional array." if stored.ndim else "",
            field=str(path),
        )
    return stored if stored.ndim == 3 else stored[..., None]


def load_raw(path: Path, size: tuple[int, int] | None, kind: str) -> Pixels:
    """A grid of bare numbers, first row north. size: (columns, rows); kind: one of RAW_TYPES, "" for the usual type of that length.

    Raises InvalidInput where the size is missing or does not fit the file.
    """
    length = path.stat().st_size
    if size is None:
        raise InvalidInput(
            f"{path} does not say how many columns and rows it has.",
            hint=f"Give them with --raw-size{_likely(path, length, kind)}.",
            field=str(path),
        )
    columns, rows = size
    px.check_size(path, rows, columns)
    cell, rest = divmod(length, rows * columns)
    kind = kind or (_BY_BYTES.get(cell, "") if not rest else "")
    if not kind or np.dtype(RAW_TYPES[kind]).itemsize * rows * columns != length:
        each = f"{length / (rows * columns):.4g} bytes per pixel"
        raise InvalidInput(
            f"{path} has {length} bytes, which is {each} for {columns} x {rows} pixels"
            + (f"; {kind} takes {np.dtype(RAW_TYPES[kind]).itemsize}." if kind else "; 1, 2 or 4 are read."),
            hint=f"Check the size{_likely(path, length, kind)}; a header before the numbers is not supported.",
            field=str(path),
        )
    px.check_claim(path, rows, columns, np.dtype(RAW_TYPES[kind]).itemsize, sparse=False)
    stored = np.fromfile(path, RAW_TYPES[kind]).reshape(rows, columns)
    _warn_of_byte_order(path, stored, kind)
    values = stored.astype(stored.dtype.newbyteorder("="), copy=False)[..., None]
    return Pixels(values=values, hole=not_finite(values), format="raw", eight_bits=values.dtype.itemsize == 1)


def _likely(path: Path, length: int, kind: str) -> str:
    """A square size that would fit, as a suggestion."""
    names = {".r8": "u8", ".r16": "u16", ".r32": "f32"}
    wanted = kind or names.get(path.suffix.lower(), "")
    for name in (wanted,) if wanted else ("u16", "f32", "u8"):
        bytes_each = np.dtype(RAW_TYPES[name]).itemsize
        side = math.isqrt(length // bytes_each)
        if side and side * side * bytes_each == length:
            return f", such as {side}x{side} ({name})"
    return ", such as 1024x512"


def _warn_of_byte_order(path: Path, stored: np.ndarray, kind: str) -> None:
    """Heights change little from pixel to pixel; in the wrong byte order they jump."""
    if stored.dtype.itemsize == 1 or stored.shape[1] < 2:
        return
    some = stored[:: max(1, len(stored) // 64)]
    if some.dtype.kind == "f":
        wrong = not _terrestrial(some) and _terrestrial(some.byteswap())
    else:
        steps, swapped = (
            np.median(np.abs(np.diff(values.astype(np.float64), axis=1))) for values in (some, some.byteswap())
        )
        wrong = swapped * ROUGHER < steps
    if wrong:
        other = kind.removesuffix("be") if kind.endswith("be") else f"{kind}be"
        logger.warning("%s looks as if its bytes were in the other order: try --raw-type %s.", path, other)


def _terrestrial(values: np.ndarray) -> bool:
    """Whether floating-point numbers are heights at all: in the wrong byte order they are anything, most of them next to 0."""
    with np.errstate(invalid="ignore"):
        finite = np.isfinite(values)
        return bool(finite.mean() > 0.5 and 1e-6 < np.median(np.abs(values[finite])) < 1e6)
