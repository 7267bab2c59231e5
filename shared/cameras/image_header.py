"""The size of a photograph from its first bytes: JPEG, PNG, TIFF and WebP, without decoding a pixel.

The size is that of the stored pixels: an EXIF orientation is not applied. What follows the header is not looked at, so that a file
whose size is found here may still be broken.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InvalidInput

SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")

_JPEG_FRAMES = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # start of frame; not the tables between them
_TIFF_WIDTH, _TIFF_HEIGHT = 256, 257
_TIFF_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}


def image_size(source: Path | str | bytes | memoryview | np.ndarray, name: str = "") -> tuple[int, int]:
    """(width, height) in pixels of an image file or of its bytes.

    name: what to call it in an error. Raises InvalidInput for another format, or a header that is cut short or of size 0.
    """
    if isinstance(source, (str, Path)):
        name = name or str(source)
        data = np.frombuffer(_mapped(Path(source)), np.uint8).data
    else:
        data = np.frombuffer(source, np.uint8).data
    try:
        size = _size(data)
    except (struct.error, IndexError) as error:
        raise InvalidInput(f"{name or 'The photograph'} is cut short.", hint="Copy it again.", field=name) from error
    if size is None:
        raise InvalidInput(
            f"{name or 'The photograph'} is neither JPEG, PNG, TIFF nor WebP.",
            hint="Convert it to one of these formats.",
            field=name,
        )
    if min(size) < 1:
        raise InvalidInput(f"{name or 'The photograph'} is empty ({size[0]} x {size[1]}).", field=name)
    return size


def _mapped(path: Path) -> Any:
    try:
        return np.memmap(path, np.uint8, mode="r") if path.stat().st_size else b""
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.", field=str(path)) from error


def _size(data: memoryview) -> tuple[int, int] | None:
    if data[:2] == b"\xff\xd8":
        return _jpeg(data)
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        return struct.unpack_from(">II", data, 16)
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return _tiff(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return None


def _jpeg(data: memoryview) -> tuple[int, int]:
    """Walks the segments (ITU T.81, annex B) up to the frame header; scans come after it."""
    at = 2
    while True:
        while data[at] == 0xFF and data[at + 1] == 0xFF:  # fill bytes
            at += 1
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0xD9, 0xDA):
            raise IndexError("no frame header")
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        at += 2 if 0xD0 <= marker <= 0xD8 or marker == 0x01 else 2 + struct.unpack_from(">H", data, at + 2)[0]


def _tiff(data: memoryview) -> tuple[int, int]:
    """The first directory of a TIFF 6.0 or BigTIFF."""
    order, big = "<" if data[0] == 0x49 else ">", 0x2B in (data[2], data[3])
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (count,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    first, step, inline = at + (8 if big else 2), 20 if big else 12, 12 if big else 8
    found = {}
    for entry in range(min(count, 4096)):
        tag, kind = struct.unpack_from(order + "HH", data, first + entry * step)
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT) and kind in _TIFF_TYPES:
            (found[tag],) = struct.unpack_from(order + _TIFF_TYPES[kind], data, first + entry * step + inline)
    return found.get(_TIFF_WIDTH, 0), found.get(_TIFF_HEIGHT, 0)


def _webp(data: memoryview) -> tuple[int, int] | None:
    """The three kinds of first chunk: lossy (RFC 6386, 9.1), lossless, and extended."""
    kind = bytes(data[12:16])
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, ((bits >> 14) & 0x3FFF) + 1
    if kind == b"VP8X":
        width, height = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        _ = data[29]
        return width, height
    return None
