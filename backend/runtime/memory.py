"""How much memory this process may still take, so that a job too large is refused before it starts, not killed in the middle.

And how it gives back what it no longer needs, which neither Python nor the C library does by itself.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import sys
from pathlib import Path

import numpy as np

_CGROUP = Path("/sys/fs/cgroup")


def available_bytes() -> int:
    """Bytes that can be taken without pushing anything out, the container's limit heeded; 0 where nobody says."""
    if sys.platform == "win32":
        return _windows_bytes()
    found = [*_linux_bytes(), *_container_bytes()]
    if found:
        return min(found)
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2  # macOS tells only what is built in
    except (ValueError, OSError):
        return 0


def trim_heap() -> None:
    """Return freed memory to the system. glibc keeps what lies between living allocations, hundreds of MiB of it after a
    while; elsewhere there is nothing to do."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def lazy_zeros(shape: tuple[int, ...]) -> np.ndarray:
    """Zeros, float32, that take memory only where something is written, a small page at a time.

    numpy asks for huge pages of 2 MiB, which a single number fills.
    """
    size = 4 * math.prod(shape)
    if not size:
        return np.zeros(shape, np.float32)
    private = {} if sys.platform == "win32" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}
    return np.frombuffer(mmap.mmap(-1, size, **private), np.float32).reshape(shape)


def drop_pages(values: np.ndarray) -> None:
    """Drop the pages of the file that a read-only array shows; whoever looks at it again reads them again."""
    base: object = values
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap) and not values.flags.writeable and hasattr(base, "madvise"):
        base.madvise(mmap.MADV_DONTNEED)


def _linux_bytes() -> list[int]:
    path = Path("/proc/meminfo")
    if not path.is_file():
        return []
    lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    return [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]


def _container_bytes() -> list[int]:
    """What a cgroup (version 2) leaves; its file cache counts as free."""
    try:
        most = (_CGROUP / "memory.max").read_text(encoding="ascii").strip()
        taken = int((_CGROUP / "memory.current").read_text(encoding="ascii"))
        stat = dict(line.split() for line in (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
    except (OSError, ValueError):
        return []  # no such limit on this system
    return [int(most) - taken + int(stat.get("inactive_file", 0))] if most.isdigit() else []


def _windows_bytes() -> int:
    class Status(ctypes.Structure):
        _fields_ = [
            ("length", ctypes.c_ulong), ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "total_page", "free_page", "total_virtual",
                                                      "free_virtual", "free_extended")),
        ]  # fmt: skip

    status = Status()
    status.length = ctypes.sizeof(Status)
    windll = getattr(ctypes, "windll")  # noqa: B009  # type checkers elsewhere do not know it
    return int(status.free) if windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)) else 0
