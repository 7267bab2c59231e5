"""Finds Pythons of other versions on this machine: in the PATH, by uv, by pyenv, or the one that a Blender runs on."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from backend.setup import uv

DOWNLOAD_S = 60.0  # for uv to fetch a Python; without internet it gives up by itself after some seconds


@functools.cache
def find_python(version: str) -> str:
    """Program of a Python of this version ("3.14"), "" where there is none and uv cannot fetch one."""
    if version == "{}.{}".format(*sys.version_info[:2]):
        return sys.executable
    return next((program for program in _candidates(version) if _version_of(program) == version), "")


def _candidates(version: str) -> Iterator[str]:
    if found := shutil.which(f"python{version}"):
        yield found
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    yield from map(str, sorted(pyenv.glob(f"{version}.*/bin/python"), reverse=True))
    if blender := shutil.which("blender"):
        said = _output([blender, "-b", "--python-expr", "import sys; print('python=' + sys.executable)"])
        yield said.rpartition("python=")[2].partition("\n")[0]
    if program := uv.find():
        _output([program, "python", "install", version])
        yield _output([program, "python", "find", version]).strip()


def _version_of(program: str) -> str:
    return _output([program, "-c", "import sys; print('{}.{}'.format(*sys.version_info[:2]))"]).strip()


def _output(command: list[str]) -> str:
    """What a program prints, "" where it cannot be run, fails, or takes too long."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=DOWNLOAD_S)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout if done.returncode == 0 else ""
