"""Finds a Python that the backend runs on. Standard library only."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator

from backend.setup.installer_process import capture, succeeds
from shared.errors import InstallFailed

PYTHON_VERSIONS = ((3, 11), (3, 12), (3, 13))


def find_interpreter(uv: str = "") -> str:
    """This Python where its version fits, else one in the PATH, else one that uv finds or fetches.

    uv: uv's program, "" where it cannot be had; the environment is then made by the interpreter's own venv. Raises InstallFailed.
    """
    if found := next(at_hand(with_venv=not uv), ""):
        return found
    if uv:
        version = ".".join(map(str, PYTHON_VERSIONS[0]))
        subprocess.run([uv, "python", "install", version], capture_output=True)  # does nothing where it is there
        if found := capture([uv, "python", "find", version]):
            return found
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    reason = "comes without venv" if sys.version_info[:2] in PYTHON_VERSIONS else f"is {here}"
    raise InstallFailed(
        f"The backend runs on Python 3.11 to 3.13. The current one {reason}, and no other was found on this machine.",
        hint="Install uv (docs.astral.sh/uv), which downloads a Python, or Python 3.11 from python.org. "
        "Then try again.",
    )


def at_hand(*, with_venv: bool) -> Iterator[str]:
    """Pythons of a fitting version on this machine, the running one first. with_venv: only those that can make environments."""
    if sys.version_info[:2] in PYTHON_VERSIONS and (not with_venv or (importable("venv") and importable("ensurepip"))):
        yield sys.executable
    test = "import ensurepip, venv" if with_venv else "import ssl"
    for major, minor in PYTHON_VERSIONS:
        found = shutil.which(f"python{major}.{minor}")
        if found and succeeds([found, "-c", test]):  # a version manager's shim may lead nowhere
            yield found


def importable(module: str) -> bool:
    return importlib.util.find_spec(module) is not None
