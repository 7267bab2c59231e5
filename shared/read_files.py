"""Files that people and other programs wrote, opened with care: plain files only, of a size that is known before they are read,
and text with or without a byte order mark.

Whoever made the file may be mistaken or malicious: a pipe would wait for ever, a device never end, and JSON nested ten thousand
deep exhaust the stack. Each becomes an InvalidInput. What the content means is not decided here.
"""

from __future__ import annotations

import codecs
import json
import os
from pathlib import Path
from typing import Any

from .errors import InvalidInput
from .plain_files import is_special, require_plain

MIB = 1 << 20
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class TooDeep(ValueError):
    """JSON that is nested too deeply."""


def read_bytes(path: Path, *, field: str, most: int, first: int | None = None) -> bytes:
    """The bytes of a plain file, or no more than the `first` of them. most: bytes that may be read. field: for the errors.

    Raises InvalidInput for a file that is missing, cannot be read, is a pipe, a device or a socket, or is larger than `most`.
    """
    try:
        check_plain(path, field=field)
        with open(path, "rb", opener=_without_waiting) as file:
            size = os.fstat(file.fileno()).st_size
            size = size if first is None else min(size, first)
            if size > most:
                raise InvalidInput(f"{path} is too large: {_size(size)}; at most {_size(most)} are read.", field=field)
            return file.read(size)
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no file {path}.", hint="Check its spelling and folder.", field=field) from error
    except ValueError as error:  # a NUL in the name
        raise InvalidInput(f"{str(path)!r} cannot be a file's name: {error}.", field=field) from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.", field=field) from error


def check_plain(path: Path, *, field: str) -> None:
    """Raises InvalidInput for a pipe, a device or a socket. A folder passes, and what is not there."""
    if is_special(path):
        require_plain(path, field=field)


def read_text(path: Path, *, field: str, most: int) -> str:
    """The text of a plain file, UTF-8 or marked as UTF-16 or UTF-32, its line ends as \\n. Raises what read_bytes raises."""
    data = read_bytes(path, field=field, most=most)
    try:
        return text_of(data)
    except UnicodeDecodeError as error:
        raise InvalidInput(
            f"{path} is not text in UTF-8: byte {error.start + 1} is {data[error.start]:#04x}.",
            hint="Save it as UTF-8.",
            field=field,
        ) from error


def text_of(data: bytes) -> str:
    """Text of UTF-8, or of what its byte order mark says, with line ends as \\n. Raises UnicodeDecodeError."""
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    return data.decode(encoding).replace("\r\n", "\n").replace("\r", "\n")


def utf8_of(data: bytes) -> bytes:
    """The same text in UTF-8 without a byte order mark; bytes without a mark as they are. Raises UnicodeDecodeError."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :] if mark == codecs.BOM_UTF8 else data.decode(encoding).encode()
    return data


def parse_json(data: bytes | str, *, deepest: int | None = None) -> Any:
    """A JSON document, from bytes in UTF-8, UTF-16 or UTF-32, with or without a mark.

    deepest: levels of lists and objects that may lie within each other; None for as many as the parser can take, where walking
    through a large document would be slow. Raises ValueError for what is no JSON, TooDeep for what is nested deeper.
    """
    try:
        document = json.loads(data.removeprefix("\ufeff") if isinstance(data, str) else data)
    except RecursionError as error:
        raise TooDeep("it is nested too deeply") from error
    if deepest is not None:
        _check_depth(document, deepest)
    return document


def _check_depth(document: Any, deepest: int) -> None:
    level = [document]
    for _ in range(deepest + 1):
        level = [
            inner
            for outer in level
            if isinstance(outer, (dict, list))
            for inner in (outer.values() if isinstance(outer, dict) else outer)
        ]
        if not level:
            return
    raise TooDeep(f"it is nested more than {deepest} levels deep")


def _without_waiting(path: str, flags: int) -> int:
    """Open as a descriptor: a pipe that took the file's place since it was looked at does not block."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _size(count: int) -> str:
    return f"{count / MIB:,.0f} MiB" if count >= MIB else f"{count:,} bytes"
