"""Makes the lock files from pyproject.toml: `python3 -m backend.setup.relock`, after a change of a requirement.

uv resolves each group once for Linux, Windows and macOS and for Python 3.11 to 3.13, and writes down the SHA-256 of every file of
every package. Versions that are locked already stay, unless --upgrade asks for newer ones of what pyproject.toml does not pin.
Standard library only; uv is found or fetched.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import sys
import tempfile
import tomllib
from pathlib import Path

from backend.setup import locks, uv
from backend.setup.environment import SOURCE
from backend.setup.installer_process import run
from backend.setup.interpreters import PYTHON_VERSIONS
from backend.setup.locks import Pin
from shared.errors import InstallFailed

PYPROJECT = SOURCE / "pyproject.toml"
BESIDE_THE_BACKEND = ("test", "bench", "peers")  # groups that share the backend's environment, and so its versions
_CUDA_LIBRARY = re.compile(r"nvidia-.*|(numba-)?cuda(-.*)?|triton")
_PLATFORMS = (
    {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux", "platform_machine": "x86_64"},
    {"sys_platform": "linux", "os_name": "posix", "platform_system": "Linux", "platform_machine": "aarch64"},
    {"sys_platform": "win32", "os_name": "nt", "platform_system": "Windows", "platform_machine": "AMD64"},
    {"sys_platform": "darwin", "os_name": "posix", "platform_system": "Darwin", "platform_machine": "arm64"},
)
_HEADER = """\
# Made from pyproject.toml by `python3 -m backend.setup.relock`; not edited by hand.
# requirements: {digest}
"""


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="relock", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--upgrade", action="store_true", help="use the newest versions of what is not pinned")
    parser.add_argument("--check", action="store_true", help="only report locks that are out of date")
    options = parser.parse_args(argv)
    stale = [name for name in names() if not is_current(name)]
    if options.check:
        print("\n".join(f"{name}: out of date" for name in stale) or "every lock is up to date with pyproject.toml")
        return 1 if stale else 0
    try:
        relock(upgrade=options.upgrade)
    except InstallFailed as error:
        print(f"relock: {error}", file=sys.stderr)
        return 1
    return 0


def names() -> list[str]:
    """Every lock: one for each group, two for the backend."""
    groups = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))["dependency-groups"]
    return ["backend-cuda", "backend-cpu", *groups]


def is_current(name: str) -> bool:
    """Whether the lock was made from the requirements that pyproject.toml has now."""
    file = locks.path(name)
    return file.exists() and f"# requirements: {_digest(name)}\n" in file.read_text(encoding="utf-8")


def _project(name: str) -> tuple[list[str], dict[str, str]]:
    """The requirements that a lock is made from, and PyTorch's CPU wheels for Linux by file name."""
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    group = name.partition("-c")[0] if name.startswith("backend-") else name
    requirements = project["project"]["dependencies"] if group == "backend" else project["dependency-groups"][group]
    return requirements, project["tool"]["relievo"]["torch-cpu"] if name == "backend-cpu" else {}


def _digest(name: str) -> str:
    return hashlib.sha256(json.dumps(_project(name)).encode()).hexdigest()[:16]


def relock(*, upgrade: bool = False) -> None:
    """Writes every lock. Raises InstallFailed where a requirement cannot be resolved."""
    with tempfile.TemporaryDirectory() as folder:
        program = uv.find() or uv.fetch(Path(folder) / "uv", None, print)
        shared: list[Pin] = []  # what the groups of one environment have to agree on
        for name in names():
            if name == "backend-cpu":  # names() has CUDA's before it
                pins = _cpu_pins(locks.read("backend-cuda"))
            else:
                beside = name in BESIDE_THE_BACKEND
                pins = _resolve(program, name, shared if beside else [], Path(folder), upgrade=upgrade)
                if name == "backend-cuda":
                    pins = _without_torch_on_windows(pins)
                if beside or name == "backend-cuda":
                    shared += [pin for pin in pins if not _is_torch(pin)]
            _write(name, pins)
            print(f"{locks.path(name).name}: {len(pins)} packages")


def _resolve(program: str, name: str, constraints: list[Pin], folder: Path, *, upgrade: bool) -> list[Pin]:
    """One group's requirements with all that they need. constraints: versions that other groups beside it have."""
    requirements, _ = _project(name)
    (folder / "requirements.in").write_text("\n".join(requirements), encoding="utf-8")
    lines = {f"{pin.name}=={pin.version}" + (f" ; {pin.marker}" if pin.marker else "") for pin in constraints}
    (folder / "constraints.txt").write_text("\n".join(sorted(lines)), encoding="utf-8")
    resolved = folder / "resolved.lock"
    # what is locked stays: uv takes the versions of its output file as its wishes
    old = locks.path(name).read_text(encoding="utf-8") if locks.path(name).exists() and not upgrade else ""
    resolved.write_text(old, encoding="utf-8")
    form = ["--universal", "--python-version", "3.11", "--generate-hashes", "--no-header", "--no-annotate", "--quiet"]
    files = ["--constraints", str(folder / "constraints.txt"), "--output-file", str(resolved)]
    run([program, "pip", "compile", str(folder / "requirements.in"), *form, *files], print)
    return [pin for pin in locks.read("resolved", folder) if _wanted_somewhere(pin)]


def _wanted_somewhere(pin: Pin) -> bool:
    """uv also resolves for Pythons and platforms that Relievo does not run on: PyPy, later versions, browsers."""
    pythons = [
        {"python_version": f"{major}.{minor}", "python_full_version": f"{major}.{minor}.0"}
        for major, minor in PYTHON_VERSIONS
    ]
    here = {"implementation_name": "cpython", "platform_python_implementation": "CPython"}
    return not pin.marker or any(
        locks.evaluate(pin.marker, {**here, **platform, **python}) for platform in _PLATFORMS for python in pythons
    )


def _is_torch(pin: Pin) -> bool:
    return pin.name == "torch" or bool(_CUDA_LIBRARY.fullmatch(pin.name))


def _without_torch_on_windows(pins: list[Pin]) -> list[Pin]:
    """There the build with CUDA depends on the driver, so that a lock cannot name its file (pytorch.py)."""
    return [Pin(p.name, p.version, "sys_platform != 'win32'", p.hashes) if p.name == "torch" else p for p in pins]


def _cpu_pins(cuda: list[Pin]) -> list[Pin]:
    """The CPU's lock is CUDA's without its libraries, and on Linux with the CPU build of PyTorch.

    Raises InstallFailed where pyproject.toml does not have the digests of that build.
    """
    _, wheels = _project("backend-cpu")
    pins = []
    for pin in cuda:
        if pin.name == "torch":
            version = f"{pin.version}+cpu"
            if not wheels or any(file.split("-")[1] != version for file in wheels):
                raise InstallFailed(
                    f"pyproject.toml has no digests of torch {version}.",
                    hint="Write those of PyTorch's CPU index into [tool.relievo.torch-cpu].",
                )
            pins.append(Pin("torch", version, "sys_platform == 'linux'", tuple(sorted(wheels.values()))))
            pins.append(Pin("torch", pin.version, "sys_platform != 'linux'", pin.hashes))
        elif not _CUDA_LIBRARY.fullmatch(pin.name):
            pins.append(pin)
    return pins


def _write(name: str, pins: list[Pin]) -> None:
    text = _HEADER.format(digest=_digest(name)) + "\n".join(map(str, pins)) + "\n"
    locks.path(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
