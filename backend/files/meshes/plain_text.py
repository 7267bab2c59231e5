"""The bytes of a text mesh as its decoder expects them: UTF-8 without a byte order mark, \\n at line ends, points in numbers.

Decimal commas are turned into points only where they can be nothing else; otherwise the file is refused with that reason.
"""

from __future__ import annotations

import re

from backend.files.meshes.polygons import BrokenMesh
from shared.read_files import utf8_of

_BOM = b"\xef\xbb\xbf"
_WORD = re.compile(rb"[^\s]*,[^\s]*")
_DECIMAL = re.compile(rb"[+-]?\d*,\d+([eE][+-]?\d+)?$")
_THOUSANDS = re.compile(rb"[+-]?[1-9]\d{0,2},\d{3}$")


def with_newlines(data: bytes) -> bytes:
    """Marks left out, also those that joining files leaves in the middle; \\r and \\r\\n as \\n. Raises BrokenMesh."""
    try:
        data = utf8_of(data)
    except UnicodeDecodeError as error:
        raise BrokenMesh("begins as UTF-16 and is not") from error
    if _BOM in data:
        data = data.replace(_BOM, b"")
    if data.count(b"\r") != data.count(b"\r\n"):
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


def with_points(text: bytes, numbers: re.Pattern[bytes]) -> bytes:
    """The text with points for decimal commas in the parts that `numbers` matches.

    Raises BrokenMesh where points stand beside the commas, or each comma could as well part the thousands.
    """
    if b"," not in text:
        return text
    parts = [part.group() for part in numbers.finditer(text)]
    words = [word for part in parts for word in _WORD.findall(part)]
    if not words:
        return text
    if any(b"." in part for part in parts) or not all(map(_DECIMAL.match, words)):
        raise BrokenMesh(f"has commas in its numbers, such as {_shown(words[0])}, which cannot be told from separators")
    if all(map(_THOUSANDS.match, words)):
        raise BrokenMesh(f"has commas in its numbers, such as {_shown(words[0])}: decimals or thousands")
    return numbers.sub(lambda part: part.group().replace(b",", b"."), text)


def _shown(word: bytes) -> str:
    return repr(word[:40].decode("ascii", "replace"))
