"""Only plain files are read: a pipe would wait forever, a device has no end.

Every reader of files asks here first, also for the files that lie beside the one that was named (headers, coordinate systems).
"""

from __future__ import annotations

import difflib
import stat
from pathlib import Path

from .errors import InvalidInput

_OTHER = (
    (stat.S_ISFIFO, "a named pipe (FIFO)"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


def require_plain(path: Path, *, field: str = "") -> int:
    """The size in bytes of a plain file (links are followed). Raises InvalidInput for anything else, and where there is none."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InvalidInput(f"{path} does not exist.", hint=_neighbour(path), field=field or str(path)) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        reason = getattr(error, "strerror", None) or error
        raise InvalidInput(f"{path} cannot be opened: {reason}.", field=field or str(path)) from error
    if stat.S_ISREG(status.st_mode):
        return status.st_size
    kind = next((name for test, name in _OTHER if test(status.st_mode)), "a folder")
    raise InvalidInput(f"{path} is {kind}; a file is needed.", field=field or str(path))


def is_special(path: Path) -> bool:
    """Whether something is there that is neither a plain file nor a folder."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _neighbour(path: Path) -> str:
    try:
        names = [entry.name for entry in path.parent.iterdir()] if path.parent.is_dir() else []
    except OSError:
        return ""
    near = difflib.get_close_matches(path.name, names, n=1)
    return f"Did you mean {path.parent / near[0]}?" if near else ""
