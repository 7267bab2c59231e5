"""Large arrays between two processes of one machine, by a file in a folder that both can open: one copy instead of six.

The backend says in Welcome where its folder is and what its proof is; a client that finds the same proof there is on
the same machine and of the same user. A name stands for the file until its receiver takes it: what is left over, the
backend sweeps away. Files are raw little-endian C-contiguous bytes, as they would be on the wire. No socket, no
message here.
"""

from __future__ import annotations

import ctypes
import errno
import logging
import math
import os
import re
import shutil
import stat
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from .errors import ProtocolError

log = logging.getLogger(__name__)

MIN_BYTES = 1 << 20  # below, a frame is as fast
PROOF = "proof"
MAX_AGE_S = 600.0
_CHUNK_BYTES = 16 << 20
_BLOCK_BYTES = 1 << 20  # stays in the processor's cache between reading and use
_SYNC_FILE_RANGE_WRITE = 2  # of Linux's fcntl.h; Python's os module lacks the call
_sync_file_range = getattr(ctypes.CDLL(None), "sync_file_range", None) if sys.platform == "linux" else None
_NAME = re.compile(r"[0-9a-f]{32}")


class Handoff:
    """One side's hold on the folder. owns_taken: whether take() also removes the name, as clients do; the backend
    moves the file.
    """

    def __init__(self, folder: Path, *, owns_taken: bool) -> None:
        self.folder = folder
        self._owns_taken = owns_taken
        self._seen: dict[str, float] = {}  # name -> monotonic time at which sweep() first found it

    @classmethod
    def create(cls, folder: Path) -> tuple[Handoff, dict[str, str]]:
        """The backend's side: a fresh folder, and what Welcome says of it. Raises OSError, for a folder that is a link too: what
        it leads to would be emptied.
        """
        if folder.is_symlink():
            raise OSError(errno.ELOOP, "it is a link", str(folder))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
        proof = uuid.uuid4().hex
        descriptor = os.open(folder / PROOF, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(proof)
        return cls(folder, owns_taken=False), {"folder": str(folder), "proof": proof}

    @classmethod
    def join(cls, offer: Mapping[str, Any]) -> Handoff | None:
        """A client's side: None when the offer's folder is not one that both sides see."""
        folder = Path(str(offer.get("folder", "")))
        try:
            proof = (folder / PROOF).read_text(encoding="ascii")
        except (OSError, ValueError):
            return None
        return cls(folder, owns_taken=True) if proof and proof == offer.get("proof") else None

    def put(self, values: np.ndarray) -> str:
        """The name of a file that holds these C-contiguous values. Raises OSError.

        The backend links a mapped file, for it maps its own results; a client copies, for what it maps is the user's
        own photograph, which must not change under an accepted job when the user edits it.
        """
        name = uuid.uuid4().hex
        source = mapped_file(values)
        if source is not None and not self._owns_taken:
            try:
                os.link(source, self.folder / name)
                return name
            except OSError:  # a file system without links, or a file that has lost its name: copy
                pass
        write_values(self.folder / name, values)
        return name

    def take(self, name: Any, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
        """A read-only view of the file of that name. Raises ProtocolError for a name that is none, or a file of
        another size, which is removed.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ProtocolError(f"{str(name)[:80]!r} is not the name of a handoff file.")
        path = self.folder / name
        try:
            status = path.lstat()
            if not stat.S_ISREG(status.st_mode) or status.st_size != math.prod(shape) * dtype.itemsize:
                _remove(path)  # nobody else knows its name
                raise ProtocolError(f"The handed-over file {name} is not what its description says.")
            values = map_values(path, dtype, shape, "r")
        except (OSError, ValueError) as error:  # ValueError: it has become shorter since
            reason = getattr(error, "strerror", None) or error
            raise ProtocolError(f"The handed-over file {name} cannot be opened: {reason}.") from error
        if self._owns_taken and os.name != "nt":  # Windows removes no file that is mapped; the backend sweeps it away
            path.unlink()
            _forget_file(values)
        return values

    def discard(self, values: np.ndarray) -> None:
        """Remove the file behind values that were taken and are not wanted, unless it has been moved away."""
        source = mapped_file(values)
        if source is not None and source.parent == self.folder:
            _remove(source)

    def sweep(self, max_age_s: float = MAX_AGE_S) -> None:
        """Remove files that were never taken: those that an earlier sweep, so long ago, has found here already. Their own times
        say nothing: somebody may have set the clock.
        """
        now = time.monotonic()
        found = {path.name: path for path in self.folder.iterdir() if path.name != PROOF}
        self._seen = {name: self._seen.get(name, now) for name in found}
        for name, seen in self._seen.items():
            if now - seen > max_age_s:
                _remove(found[name])


def _forget_file(values: np.ndarray) -> None:
    """The map stays; the name of its file stands for nothing any more."""
    base: Any = values
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap):
            base.filename = None
        base = base.base


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:  # Windows removes no file that is mapped: the next sweep tries again
        log.debug("%s stays for now: %s", path.name, error)


def write_values(path: Path, values: np.ndarray) -> None:
    """A new file of the values' bytes, readable by this user alone. Raises OSError, and then leaves nothing."""
    # not numpy.tofile: on a full disk it raises an OSError without an errno
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            if values.nbytes and hasattr(
                os, "posix_fallocate"
            ):  # room asked for at once: a third faster, and a full disk shows first
                os.posix_fallocate(file.fileno(), 0, values.nbytes)  # pyright: ignore[reportAttributeAccessIssue]
            done = 0
            for block in blocks(np.ascontiguousarray(values)):
                left = block.reshape(-1).view(np.uint8).data
                while left:
                    written = file.write(left[:_CHUNK_BYTES])
                    _begin_writeback(file.fileno(), done, written)
                    done, left = done + written, left[written:]
    except OSError:
        path.unlink(missing_ok=True)
        raise


def _begin_writeback(descriptor: int, offset: int, length: int) -> None:
    """Have the disk begin with this part while we copy the next: the sync that follows then waits a fifth as long."""
    if _sync_file_range is not None and length >= MIN_BYTES:
        # a hint: where it fails (a file system without it), the sync does all the work, as it would have
        _sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), _SYNC_FILE_RANGE_WRITE)


def map_values(path: Path, dtype: np.dtype, shape: tuple[int, ...], mode: Any) -> np.ndarray:
    """The file's values without reading them yet. mode: "r", or "c" for a view whose changes reach no file."""
    if math.prod(shape) == 0:  # nothing cannot be mapped
        return np.empty(shape, dtype)
    return np.memmap(path, dtype=dtype, mode=mode, shape=(math.prod(shape),)).reshape(shape).view(np.ndarray)


def blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """All values in order, in pieces that are good until the next is asked for: the array itself where it is in memory.

    Those of a mapped file are read from it, never through the map: its other owner may make it shorter at any time, and touching
    a map beyond the end of its file ends the process (SIGBUS). Raises OSError where the file holds less than the map.
    """
    source = mapped_file(values)
    if source is None:
        if values.size:
            yield values
        return
    buffer = np.empty(min(max(_BLOCK_BYTES // values.itemsize, 1), values.size), values.dtype)
    with source.open("rb", buffering=0) as file:
        left = values.size
        while left:
            block = buffer[: min(left, buffer.size)]
            _read_into(file, block)
            yield block
            left -= block.size


def read_values(values: np.ndarray) -> np.ndarray:
    """The values in memory of their own if a file is mapped behind them, read as blocks() does; otherwise as they are."""
    source = mapped_file(values)
    if source is None:
        return values
    whole = np.empty(values.shape, values.dtype)
    with source.open("rb", buffering=0) as file:
        _read_into(file, whole)
    return whole


def _read_into(file: IO[bytes], values: np.ndarray) -> None:
    left = values.reshape(-1).view(np.uint8).data
    while left:
        count = file.readinto(left[:_CHUNK_BYTES])  # type: ignore[attr-defined]
        if not count:
            raise OSError(errno.EIO, "the file has become shorter")
        left = left[count:]


def mapped_file(values: np.ndarray) -> Path | None:
    """The file of which these values are the whole, or None."""
    base: Any = values
    while isinstance(base, np.ndarray):
        if isinstance(base, np.memmap) and base.filename is not None:
            whole = base.offset == 0 and base.nbytes == values.nbytes and values.flags.c_contiguous
            return Path(base.filename) if whole else None
        base = base.base
    return None
