"""SHA-256 of files and of folders of sources. Standard library only: build_addon.py uses it before anything is installed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path


def of_file(path: Path) -> str:
    """Hexadecimal; the file is read in pieces. Raises OSError."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def of_tree(base: Path, files: Iterable[Path]) -> str:
    """Hexadecimal; changes with the name (relative to base) and the bytes of any of the files, whatever their order."""
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(path.relative_to(base).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
