"""Ctrl-C and SIGTERM while kernels are compiled, at random moments: the command ends at once and leaves nothing behind."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from backend.runtime.kernel_compiler import STAGE

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 120.0  # until the first kernel is asked for, on a machine that does much else
AT_ONCE_S = 3.0  # what a person waits for is below 1 s where the machine does nothing else

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals to a process are POSIX's")


def start(folder: Path, cache: Path) -> tuple[subprocess.Popen[str], list[str], threading.Event]:
    """A run with nothing compiled; its lines on stderr, and whether it has said that it compiles."""
    np.save(folder / "strip.npy", np.linspace(0, 100, 48 * 40, dtype=np.float32).reshape(48, 40))
    command = [sys.executable, "-m", "backend", "run", "hydrology", "--height", str(folder / "strip.npy")]
    process = subprocess.Popen(
        [*command, "--pixel-size", "30", "--out", str(folder / "out")],
        cwd=ROOT,
        env={**os.environ, "NUMBA_CACHE_DIR": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    lines: list[str] = []
    compiling = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if STAGE in line:
                compiling.set()

    threading.Thread(target=listen, daemon=True).start()
    return process, lines, compiling


@pytest.mark.parametrize("turn", range(4))
def test_a_signal_while_compiling_ends_the_command_at_once(turn: int, tmp_path: Path) -> None:
    """Even turns: Ctrl-C, which reaches the whole group, children too. Odd ones: SIGTERM to the command alone."""
    process, lines, compiling = start(tmp_path, tmp_path / "cache")
    try:
        assert compiling.wait(PATIENCE_S), lines
        time.sleep(random.Random(turn).uniform(0.0, 4.0))
        assert process.poll() is None, lines
        if turn % 2:
            process.send_signal(signal.SIGTERM)
        else:
            os.killpg(process.pid, signal.SIGINT)
        sent_s = time.monotonic()
        code = process.wait(30)
        assert time.monotonic() - sent_s < AT_ONCE_S
        assert code == (128 + signal.SIGTERM if turn % 2 else 130), lines
        assert not (tmp_path / "out").exists()
        assert "Traceback" not in "".join(lines)
        assert "Exception ignored" not in "".join(lines)
        assert not group_lives(process.pid)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def group_lives(group: int) -> bool:
    """Whether a process of the group is left after a moment: children must not outlive the command."""
    for _ in range(50):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return False
        time.sleep(0.1)
    return True
