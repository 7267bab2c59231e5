"""A signal ends a command within a second: by an exception where Python runs, by the end of the process in compiled code."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from backend.commands.interruption import ended_promptly

ROOT = Path(__file__).resolve().parents[3]
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals to a process are POSIX's")

# a lock that is taken twice is a call into C that no signal ends
_SCRIPT = """
import ctypes, pathlib, sys, time
from backend import cli
from backend.commands.interruption import ended_promptly
folder = pathlib.Path(sys.argv[1])

def clear_away():
    (folder / "half").unlink(missing_ok=True)

def command():
    (folder / "half").touch()
    with ended_promptly(clear_away):
        try:
            print("ready", flush=True)
            {work}
        finally:
            clear_away()
    return 0

sys.exit(cli.answer(command, debug=False))
"""
_IN_C = "lock = (ctypes.c_char * 256)(); c = ctypes.CDLL(None); [c.pthread_mutex_lock(lock) for _ in range(2)]"


@pytest.mark.parametrize(("work", "longest_s"), [(_IN_C, 1.5), ("time.sleep(60)", 1.0)], ids=["compiled", "python"])
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it(tmp_path: Path, work: str, longest_s: float, number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT.format(work=work), str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    began = time.monotonic()
    process.send_signal(number)
    _, told = process.communicate(timeout=20)
    assert time.monotonic() - began < longest_s
    assert process.returncode == code
    assert not (tmp_path / "half").exists(), "what is half done is cleared away"
    assert "Traceback" not in told
    assert ("Interrupted" in told) == (number == signal.SIGINT)


def test_it_leaves_signals_as_they_were() -> None:
    before = signal.set_wakeup_fd(-1)
    with ended_promptly(lambda: None):
        pass
    assert signal.set_wakeup_fd(before) == before
