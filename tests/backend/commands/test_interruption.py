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
from backend.commands.output_folder import OutputFolder
from backend.commands.interruption import ended_promptly

def command():
    with OutputFolder(pathlib.Path(sys.argv[1]) / "new" / "out") as folder, ended_promptly(folder.stage, folder.made):
        (folder.stage / "done").touch()
        print("ready", flush=True)
        {work}
    return 0

sys.exit(cli.answer(command, debug=False))
"""
_IN_C = "lock = (ctypes.c_char * 256)(); c = ctypes.{library}(None); [c.pthread_mutex_lock(lock) for _ in range(2)]"
WORKS = {
    "python": "time.sleep(60)",
    "compiled": _IN_C.format(library="CDLL"),
    "compiled, with Python's lock": _IN_C.format(library="PyDLL"),
}


@pytest.mark.parametrize("work", WORKS)
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it(tmp_path: Path, work: str, number: signal.Signals, code: int) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT.format(work=WORKS[work]), str(tmp_path)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.3)  # the second process is there
    began = time.monotonic()
    process.send_signal(number)
    try:
        _, told = process.communicate(timeout=20)
    finally:
        process.kill()  # or a test that fails leaves it behind
    assert time.monotonic() - began < 1.5  # below 1 s on a machine that does nothing else
    is_killed = "lock" in work  # nobody else can say more
    assert process.returncode == (-signal.SIGKILL if is_killed else code)
    for _ in range(100 if is_killed else 1):  # by the second process, once the first has ended
        if (tmp_path / "new").exists():
            time.sleep(0.02)
    assert not (tmp_path / "new").exists(), "what is half done is cleared away, and the folders that it was in"
    assert "Traceback" not in told
    assert is_killed or ("Interrupted" in told) == (number == signal.SIGINT)


def test_it_leaves_signals_as_they_were(tmp_path: Path) -> None:
    before = signal.set_wakeup_fd(-1)
    with ended_promptly(tmp_path):
        pass
    assert signal.set_wakeup_fd(before) == before


# the signal comes while a library is imported, whose C++ may call Python where an exception ends the process by abort()
_IMPORTS = """
import os, signal, sys
from backend import cli
from backend.commands import interruption
interruption.GRACE_S = interruption.LAST_GRACE_S = 60.0  # so that it ends by its own exception
numbers = [signal.SIGTERM]

def hook(event, given):
    if event == "import" and given[0] == sys.argv[1] and numbers:
        os.kill(os.getpid(), numbers.pop())

sys.addaudithook(hook)
try:
    cli.main(["run", "noise", "--width-px", "64", "--height-px", "64", "--out", sys.argv[2]])
except SystemExit as end:
    print(end.code, len(numbers), sys.argv[1].partition(".")[0] in sys.modules)
"""


@pytest.mark.parametrize("module", ["torch._C", "llvmlite.binding"])
def test_a_signal_waits_for_the_import_of_a_library(tmp_path: Path, module: str) -> None:
    out = tmp_path / "out"
    done = subprocess.run([sys.executable, "-c", _IMPORTS, module, str(out)], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.split() == ["143", "0", "True"], f"{done.stdout}{done.stderr}"  # whole: none that fails stays
    assert not out.exists()
