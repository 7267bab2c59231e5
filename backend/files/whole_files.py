"""Files that appear complete or not at all, and what the project says when one cannot be written.

Knows no format. A file is written beside its place, forced to the disk and then renamed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from shared.errors import InvalidInput, StorageFull

NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place when all has gone well, and is removed when not.

    Raises StorageFull, and InvalidInput where the place cannot be written.
    """
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        raise storage_error(path, error) from error
    except RuntimeError as error:  # OpenEXR's only exception
        raise StorageFull(
            f"{path} could not be written ({error}).", hint="Is there space on the disk?", field=str(path)
        ) from error
    finally:
        with suppress(OSError):  # it was moved, or its folder is none
            temporary.unlink()


def storage_error(path: Path, error: OSError) -> StorageFull | InvalidInput:
    """The project's error for what the file system said."""
    if error.errno in NO_ROOM:
        return StorageFull(
            f"{path} could not be written: the disk is full.", hint="Free some space and run it again.", field=str(path)
        )
    return InvalidInput(
        f"{path} cannot be written: {error.strerror or error}.",
        hint="Choose another folder with --out.",
        field=str(path),
    )


def write_bytes(path: Path, content: bytes) -> None:
    """Bytes into a file, whole or not at all. Raises as whole() does."""
    with whole(path) as temporary:
        put(temporary, [content])


def put(path: Path, parts: Iterable[bytes]) -> None:
    """Bytes into a file in its final place, forced to the disk; OSError where there is no room."""
    with open(path, "wb") as file:
        for part in parts:
            file.write(part)
        file.flush()
        os.fsync(file.fileno())  # a full disk may show only here
