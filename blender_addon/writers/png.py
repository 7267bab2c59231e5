"""Arrays -> the bytes of a PNG file, 8 or 16 bits a channel, so that a packed image holds just these values.

Blender's own way to a packed image leads through four float32 a pixel and a colour space; this one needs a band of rows at a
time and converts nothing. No bpy here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOR_TYPES = {1: 0, 3: 2}  # by channels: grey, RGB (PNG specification, 11.2.1)
_FILTER_UP = 2  # each byte less the one above: cheap in numpy, and pictures shrink by a third
_BAND_BYTES = 8 << 20
_LEVEL = 1  # of zlib: the file stays inside the .blend, and a person waits for it


def encode(values: np.ndarray) -> bytes:
    """The PNG file of an array: uint8 or uint16 [H, W] grey or [H, W, 3] RGB, top row first. Raises ValueError for
    any other.
    """
    rows, columns = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.dtype not in (np.uint8, np.uint16) or channels not in _COLOR_TYPES:
        raise ValueError(f"a PNG holds uint8 or uint16, grey or RGB; not {values.dtype} {values.shape}")
    header = struct.pack(">IIBBBBB", columns, rows, 8 * values.itemsize, _COLOR_TYPES[channels], 0, 0, 0)
    compressor = zlib.compressobj(_LEVEL)
    body = b"".join([*(compressor.compress(band) for band in _filtered(values)), compressor.flush()])
    return b"".join([_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", body), _chunk(b"IEND", b"")])


def _filtered(values: np.ndarray) -> Iterator[bytes]:
    """Scan lines with their filter byte in front, a band of rows at a time."""
    rows = values.shape[0]
    line_bytes = values[0].nbytes
    band_rows = max(1, _BAND_BYTES // line_bytes)
    above = np.zeros(line_bytes, np.uint8)
    for first in range(0, rows, band_rows):
        band = np.ascontiguousarray(values[first : first + band_rows], values.dtype.newbyteorder(">"))
        lines = band.view(np.uint8).reshape(len(band), line_bytes)
        filtered = np.empty((len(band), line_bytes + 1), np.uint8)
        filtered[:, 0] = _FILTER_UP
        np.subtract(lines[0], above, out=filtered[0, 1:])
        np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
        above = lines[-1]
        yield filtered.tobytes()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))
