"""Memory that is given back: what the system counts as this process's, before and after."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from backend.runtime.memory import available_bytes, drop_pages, lazy_zeros, trim_heap

MIB = 1 << 20
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def resident(kind: str) -> int:
    """Bytes of this process in memory: RssAnon, or RssFile."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{kind}:")).split()[1]) * 1024


def test_untouched_memory_is_zero_and_can_be_written() -> None:
    values = lazy_zeros((3, 1000, 8))
    assert values.shape == (3, 1000, 8)
    assert values.dtype == np.float32
    assert not values.any()
    values[1] = 2.0
    assert values.sum() == 16000.0
    assert lazy_zeros((0, 8)).shape == (0, 8)


@linux
def test_what_is_not_written_takes_no_memory() -> None:
    before = resident("RssAnon")
    values = lazy_zeros((64, MIB // 4))
    values[:, 0] = 1.0  # a page of each MiB
    assert resident("RssAnon") - before < 8 * MIB
    values[:] = 1.0
    assert resident("RssAnon") - before > 56 * MIB
    del values
    assert resident("RssAnon") - before < 8 * MIB


@linux
def test_files_that_were_looked_at_are_let_go_and_stay_readable(tmp_path: Path) -> None:
    path = tmp_path / "file"
    content = np.arange(32 * MIB // 8)
    content.tofile(path)
    values = np.memmap(path, np.uint8, "r")
    seen = values[16:].view(np.ndarray)
    total = int(seen.sum(dtype=np.int64))
    looked = resident("RssFile")
    drop_pages(seen)
    assert looked - resident("RssFile") > 24 * MIB
    assert int(seen.sum(dtype=np.int64)) == total


def test_what_was_written_is_not_let_go(tmp_path: Path) -> None:
    path = tmp_path / "file"
    np.zeros(8192, np.uint8).tofile(path)
    values = np.memmap(path, np.uint8, "c")  # private: the file does not hold what is written
    values[5000] = 7
    drop_pages(values)
    drop_pages(np.ones(3))  # no file at all
    assert values[5000] == 7


@linux
def test_freed_memory_goes_back_to_the_system() -> None:
    blocks = [bytearray(64 << 10) for _ in range(1024)]  # of the heap: too small to be mapped each by itself
    kept = blocks[::64]
    held = resident("RssAnon")
    del blocks
    trim_heap()
    assert held - resident("RssAnon") > 48 * MIB
    assert len(kept) == 16


def test_there_is_memory_or_nobody_says() -> None:
    assert available_bytes() >= 0
