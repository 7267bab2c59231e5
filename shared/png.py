"""PNG files from uint8 and uint16 arrays, a band of rows at a time: a texture of 16384 pixels a side needs no second copy.

The backend writes files with it, and the add-on packs images: Blender's own way to a packed image leads through four float32
per pixel and a colour space, this one converts nothing. Bands are compressed side by side, each on its own, so that the bytes do
not depend on the number of threads. What the numbers mean is the caller's part.
"""

from __future__ import annotations

import struct
import zlib
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOR_TYPES = {1: 0, 3: 2, 4: 6}  # by channels: grey, RGB, RGB with alpha (PNG specification, 11.2.1)
BAND_BYTES = 4 << 20
SMALL, FAST = 3, 1  # levels of zlib: the next ones take twice the time for the last few per cent; where a person waits
THREADS = 4
_UP = 2  # the filter: each byte less the one above (12.8 says to choose one for each row; one for all is 10 % larger)


def encode(values: np.ndarray, *, level: int = SMALL, comment: str = "", srgb: bool = False) -> Iterator[bytes]:
    """The parts of a PNG file for uint8 or uint16 values, [H, W] grey, [H, W, 3] RGB or [H, W, 4] with alpha, from the top.

    level: zlib's, 1 to 9. comment: kept in the file under "Comment". srgb: the file says that its colours are sRGB.
    Raises ValueError for values of another type or shape.
    """
    rows, columns = values.shape[:2]
    channels = values.shape[2] if values.ndim == 3 else 1
    if values.dtype not in (np.uint8, np.uint16) or channels not in COLOR_TYPES:
        raise ValueError(f"a PNG holds uint8 or uint16, grey, RGB or RGBA; not {values.dtype} {values.shape}")
    yield SIGNATURE
    yield _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 8 * values.itemsize, COLOR_TYPES[channels], 0, 0, 0))
    if srgb:
        yield _chunk(b"sRGB", b"\0")  # perceptual
    if comment:
        yield _chunk(b"tEXt", b"Comment\0" + comment.encode("latin-1", "replace"))
    yield _chunk(b"IDAT", b"\x78\x5e")  # zlib's header (RFC 1950): deflate, 32 KiB window
    checksum = 1
    for raw, packed in _bands(values, level):
        checksum = zlib.adler32(raw, checksum)
        yield _chunk(b"IDAT", packed)
    yield _chunk(b"IDAT", b"\x03\x00" + struct.pack(">I", checksum))  # an empty last block, and the checksum of it all
    yield _chunk(b"IEND", b"")


def encoded(values: np.ndarray, *, level: int = SMALL) -> bytes:
    """The whole PNG file of encode()."""
    return b"".join(encode(values, level=level))


def _bands(values: np.ndarray, level: int) -> Iterator[tuple[bytes, bytes]]:
    """Filtered rows and the same compressed, band after band; a few are under way at a time."""
    line_bytes = values[0].nbytes
    step = max(1, BAND_BYTES // line_bytes)
    under_way: deque[Future[tuple[bytes, bytes]]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for first in range(0, len(values), step):
            under_way.append(pool.submit(_pack, values, first, step, level))
            if len(under_way) > THREADS:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _pack(values: np.ndarray, first: int, count: int, level: int) -> tuple[bytes, bytes]:
    """Scan lines with their filter byte in front, and as raw deflate blocks that end on a byte and refer to nothing before."""
    start = max(first - 1, 0)
    band = np.ascontiguousarray(values[start : first + count], values.dtype.newbyteorder(">"))
    lines = band.view(np.uint8).reshape(len(band), -1)
    filtered = np.empty((len(band) - (first - start), lines.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    if first == start:  # the first row of all has none above it
        filtered[0, 1:] = lines[0]
        np.subtract(lines[1:], lines[:-1], out=filtered[1:, 1:])
    else:
        np.subtract(lines[1:], lines[:-1], out=filtered[:, 1:])
    raw = filtered.tobytes()
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return raw, packer.compress(raw) + packer.flush(zlib.Z_FULL_FLUSH)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))


def from_values(values: np.ndarray, *, bits: int) -> np.ndarray:
    """The bytes of a PNG, uint8 [N], of values 0..1 [H, W, 3] in 8 or 16 bits per channel, compressed fast."""
    kind = np.uint16 if bits == 16 else np.uint8
    levels = np.round(np.clip(values, 0.0, 1.0) * np.iinfo(kind).max).astype(kind)
    return np.frombuffer(encoded(levels, level=FAST), np.uint8)
