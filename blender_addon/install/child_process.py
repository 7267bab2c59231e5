"""Processes that Blender starts: what they inherit, whether they live, how all of one is ended. Nothing here waits long."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import TypedDict


def clean_environ() -> dict[str, str]:
    """The user's environment without what points Python at Blender's modules."""
    environ = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON") and key != "VIRTUAL_ENV"}
    return environ | {"PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


class _Group(TypedDict, total=False):
    """Arguments of Popen."""

    creationflags: int
    start_new_session: bool


def own_group() -> _Group:
    """So that Ctrl-C in Blender's terminal does not reach it, and that all of it can be ended at once."""
    return {"creationflags": 0x00000200 | 0x08000000} if os.name == "nt" else {"start_new_session": True}


def end_group(process: subprocess.Popen[bytes]) -> None:
    if os.name == "nt":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(process.pid)], capture_output=True)
    else:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=10)


def is_alive(pid: int) -> bool:
    """Whether a process of this number runs (a zombie, which has ended, does not)."""
    if os.name == "nt":
        import ctypes

        handle = ctypes.windll.kernel32.OpenProcess(0x1000, False, pid)  # PROCESS_QUERY_LIMITED_INFORMATION
        if not handle:
            return False
        code = ctypes.c_ulong()
        ctypes.windll.kernel32.GetExitCodeProcess(handle, ctypes.byref(code))
        ctypes.windll.kernel32.CloseHandle(handle)
        return code.value == 259  # STILL_ACTIVE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return True  # no /proc on this system
