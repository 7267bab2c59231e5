"""uv, which installs: found on this machine, else fetched from the package index; and pip's settings, passed on to uv.

Standard library only.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from backend.setup import interpreters, locks
from backend.setup.installer_process import Line, NotAvailable, capture, run, succeeds
from shared.errors import InstallFailed

OLDEST = (0, 7)  # the first with --torch-backend as it is used here; an older one is taken for a missing one
FETCHED = "uv"  # folder in an environment for the uv that was fetched for it
_PROGRAM = "uv.exe" if os.name == "nt" else "uv"


def find(fetched: Path | None = None) -> str:
    """uv's program, "" where there is none. fetched: a folder that fetch() may have written to.

    Programs that a desktop starts do not have the folder of uv's own installer in their PATH, so it is looked into as well; and
    so is the running environment.
    """
    folders = [Path.home() / ".local/bin", Path.home() / ".cargo/bin", Path(sys.executable).parent]
    folders.append(Path(sys.prefix) / FETCHED / "bin")
    folders += [fetched / "bin"] if fetched else []
    found = [shutil.which("uv"), *(folder / _PROGRAM for folder in folders)]
    return next((str(program) for program in found if program and _fits(str(program))), "")


def _fits(program: str) -> bool:
    version = re.match(r"uv (\d+)\.(\d+)", capture([program, "--version"]))
    return bool(version) and (int(version[1]), int(version[2])) >= OLDEST


def fetch(into: Path, wheels: Path | None, line: Line) -> str:
    """Has pip install the pinned uv into a folder of its own and returns its program. wheels: a folder to take it from instead.

    Raises InstallFailed where no Python here has pip, or the package index cannot be reached.
    """
    pip = next(_pips(into), None)
    if pip is None:
        raise InstallFailed(
            "uv, which installs the backend, is not on this machine, and no Python here has pip to download it.",
            hint="Install uv (docs.astral.sh/uv), or Python 3.11 from python.org. Then try again.",
        )
    source = ["--no-index", "--find-links", str(wheels)] if wheels else []
    lock = str(locks.path("installer"))
    quiet = ["--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
    options = ["--upgrade", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", lock]
    try:
        run([*pip, "install", *quiet, "--target", str(into), *options, *source], line)
    except NotAvailable as error:  # pip says no more where it cannot reach an index
        raise NotAvailable(
            "uv, which installs the backend, is not on this machine, and pip cannot download it from the package index.",
            hint="Check the connection, install uv (docs.astral.sh/uv), or install from a folder of wheels.",
        ) from error
    program = into / "bin" / _PROGRAM
    if not _fits(str(program)):
        raise InstallFailed("uv was downloaded, but does not run here.", hint="Install uv (docs.astral.sh/uv).")
    return str(program)


def _pips(into: Path) -> Iterator[list[str]]:
    """Ways to call a pip, the nearest first. Blender's Python brings pip only as what ensurepip unpacks."""
    pythons = [sys.executable, *interpreters.at_hand(with_venv=False)]
    for python in pythons:
        if succeeds([python, "-m", "pip", "--version"]):
            yield [python, "-m", "pip"]
    for python in pythons:
        if succeeds([python, "-m", "venv", str(into / "pip")]):
            yield [str(into / "pip" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")), "-m", "pip"]


# pip's option -> uv's variable, and what stands between several values there
_SETTINGS = {
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "proxy": ("ALL_PROXY", ""),
    "default-timeout": ("UV_HTTP_TIMEOUT", ""),
    "timeout": ("UV_HTTP_TIMEOUT", ""),
}


def environ_from_pip() -> dict[str, str]:
    """Variables for uv that say what pip's settings say: a user who has given pip a mirror or a folder means both.

    What the user has set for uv itself is left as it is. Variables and not options, because addresses may hold passwords.
    """
    pip = _pip_settings()
    environ = {
        variable: separator.join(pip[option].split()) if separator else pip[option]
        for option, (variable, separator) in _SETTINGS.items()
        if pip.get(option) and variable not in os.environ
    }
    if environ.keys() & {"UV_DEFAULT_INDEX", "UV_INDEX"} and "UV_INDEX_STRATEGY" not in os.environ:
        # uv stops at the first index that knows a name; pip asks all. With hashes it does not matter who serves a file.
        environ["UV_INDEX_STRATEGY"] = "unsafe-best-match"
    return environ


def _pip_settings() -> dict[str, str]:
    """pip's settings by option, from its files and its variables; the variables count first."""
    listed = next((text for python in _pythons() if (text := capture([python, "-m", "pip", "config", "list"]))), "")
    settings: dict[str, str] = {}
    for section in ("global", "install", ":env:"):
        for entry in listed.splitlines():
            key, _, value = entry.partition("=")
            if key.startswith(f"{section}."):
                settings[key.removeprefix(f"{section}.")] = str(ast.literal_eval(value))
    from_variables = {option: os.environ.get(f"PIP_{option.upper().replace('-', '_')}", "") for option in _SETTINGS}
    return settings | {option: value for option, value in from_variables.items() if value}


def _pythons() -> Iterator[str]:
    yield sys.executable
    yield from interpreters.at_hand(with_venv=False)
