"""Whether a PNG is whole: GDAL reads one that was cut short without an error, and its missing rows hold whatever memory held."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from backend.files.rasters.pixels import broken

SIGNATURE_BYTES = 8
CRITICAL = 0x20  # a chunk whose first letter is upper case (bit clear) is critical (PNG specification, 5.4)
PART_BYTES = 1 << 20


def check_chunks(path: Path) -> None:
    """Raises InvalidInput where a chunk is cut short, a critical chunk's CRC does not fit, or the end (IEND) is missing."""
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(SIGNATURE_BYTES)
        while True:
            head = file.read(8)
            if len(head) < 8:
                raise broken(path, f"it ends after {size} bytes, before its last chunk")
            length, kind = struct.unpack(">I4s", head)
            if file.tell() + length + 4 > size:
                raise broken(path, f"it ends after {size} bytes, in the middle of a chunk")
            checksum = zlib.crc32(kind)
            while length:
                part = file.read(min(length, PART_BYTES))
                checksum = zlib.crc32(part, checksum)
                length -= len(part)
            if struct.unpack(">I", file.read(4))[0] != checksum and not kind[0] & CRITICAL:
                name = kind.decode("ascii", "replace")
                raise broken(path, f"the checksum of a chunk {name} does not fit its bytes")
            if kind == b"IEND":
                return
