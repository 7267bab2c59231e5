"""The state folder as a place: whose it is, who may read it, that nothing in it leads elsewhere, and that it is still there.

    STATE_DIR/lock        held while a backend uses the folder
              reserve     bytes kept back, so that the backend starts on a full disk too

What is odd and harms nobody is put aside under another name, and the backend starts; what could lead it to write or delete outside
is refused: links, and folders of another user. Knows no job.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import stat
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from shared.errors import BackendUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
FOLDERS = ("jobs", "incoming", "trash", "handoff")
FILES = re.compile(r"lock|reserve|curve\.json|endpoint(-[\w-]+)?\.json|.*\.log(\.\d+)?")
RESERVE_BYTES = 64 << 10  # a connection file, a proof and some lines of log
_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class StateFolder:
    """One state folder, held for this process until close()."""

    def __init__(self, path: Path) -> None:
        """Raises BackendUnavailable when another backend holds it, or when it is not safe to use; OSError otherwise."""
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        _check_root(path)
        self.path = path
        self.put_aside: list[str] = []  # what was renamed, for the log, which is not open yet
        self._lock = self._take_lock()
        try:
            self._tidy()
            for name in FOLDERS:
                (path / name).mkdir(exist_ok=True, mode=0o700)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self._lock.close()

    @property
    def is_there(self) -> bool:
        """Whether the folder is still the one that this process holds: not deleted, not another in its place."""
        if os.name == "nt":  # Windows deletes no folder with an open file in it
            return True
        try:
            found = os.stat(self.path / "lock", follow_symlinks=False)
        except OSError as error:
            return error.errno not in (errno.ENOENT, errno.ENOTDIR)  # a disk that does not answer has not been deleted
        held = os.fstat(self._lock.fileno())
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def with_room(self, write: Callable[[], T]) -> T:
        """write()'s value. On a full disk it is tried once more with the room that is kept back. Raises OSError as it does."""
        try:
            return write()
        except OSError as error:
            if error.errno not in FULL or not self._give_way():
                raise
            log.warning("the disk of %s is full; the backend goes on with what it had kept back", self.path)
        return write()

    def keep_room(self) -> None:
        """Have some bytes to give up when the disk is full. A full disk leaves none to keep."""
        path = self.path / "reserve"
        with contextlib.suppress(OSError):
            if path.stat().st_size == RESERVE_BYTES:
                return
        try:
            path.unlink(missing_ok=True)
            with os.fdopen(open_new(path), "wb") as file:
                file.write(os.urandom(RESERVE_BYTES))  # a file system that compresses would keep no room for zeros
        except OSError as error:
            log.debug("no room is kept back: %s", error)
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _give_way(self) -> bool:
        for name in ("reserve", "backend.log.2", "backend.log.1"):
            with contextlib.suppress(OSError):
                (self.path / name).unlink()
                return True
        return False

    def _take_lock(self) -> Any:
        path = self.path / "lock"
        _refuse_link(path)
        if path.is_dir():
            self._put_aside(path)
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NO_FOLLOW, 0o600), "a+b")
        try:
            lock(file)
        except OSError as error:
            file.close()
            raise BackendUnavailable(
                f"Another backend already uses the folder {self.path}.",
                hint="Connect to it, stop it, or choose another --state.",
                field="state_dir",
            ) from error
        return file

    def _tidy(self) -> None:
        """Every entry that this program would open: no link, of its right type, of this user, for this user's eyes only."""
        for path in sorted(self.path.iterdir()):
            name = path.name
            if name not in FOLDERS and not FILES.fullmatch(name):
                continue
            _refuse_link(path)
            mode = path.lstat().st_mode
            if not (stat.S_ISDIR(mode) if name in FOLDERS else stat.S_ISREG(mode)):
                self._put_aside(path)
                continue
            if os.name != "nt":
                _refuse_stranger(path)
                _close_to_others(path, mode)

    def _put_aside(self, path: Path) -> None:
        kept = path.with_name(f"{path.name}.odd-{uuid.uuid4().hex[:8]}")
        os.replace(path, kept)
        self.put_aside.append(f"{path.name} was not what belongs there and is now called {kept.name}")


def open_new(path: Path) -> int:
    """A descriptor to write a file that was not there, readable by this user alone. Raises OSError, for a link too."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)


def lock(file: Any) -> None:
    """Lock an open file until it is closed, or this process ends in whatever way. Raises OSError where another has."""
    if os.name == "nt":
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _check_root(path: Path) -> None:
    """A user may keep the folder on another disk, by a link of their own; what it leads to has to be theirs too."""
    if os.name == "nt":
        return
    if path.is_symlink():
        _refuse_stranger(path)
    status = path.stat()
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
    _refuse_stranger(path.resolve())
    _close_to_others(path, status.st_mode)


def _close_to_others(path: Path, mode: int) -> None:
    """What was made by hand, or under another umask: jobs and logs are nobody else's. mode: as the path has it now."""
    if mode & 0o077:
        try:
            os.chmod(path, 0o700 if stat.S_ISDIR(mode) else 0o600)
        except OSError as error:  # a file system that keeps no modes, such as a memory card's
            log.warning("%s may be read by others: %s", path, error.strerror)


def _refuse_link(path: Path) -> None:
    if path.is_symlink():
        raise BackendUnavailable(
            f"{path} is a link; the backend would write to and delete from the place that it leads to.",
            hint="Remove the link, or choose another --state.",
            field="state_dir",
        )


def _refuse_stranger(path: Path) -> None:
    owner = path.lstat().st_uid
    if owner != os.geteuid():  # pyright: ignore[reportAttributeAccessIssue]
        raise BackendUnavailable(
            f"{path} belongs to another user (number {owner}), who could read and change what the backend keeps there.",
            hint="Choose another --state, or have the folder given to you (chown).",
            field="state_dir",
        )
