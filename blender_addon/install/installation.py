"""The backend's installation on this machine: find it, install and update it, remove it. No bpy, no sockets; nothing here waits.

It lives in a folder of its own, outside Blender's Python and outside the add-on's folder:

    <data>/backend/venv         its environment, made by backend/setup/install_command.py in a child process
    <data>/backend/source       its code, copied from the add-on's payload when the environment is ready
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..shared.errors import InstallFailed, RelievoError, error_from_code
from ..shared.version import VERSION
from .child_process import clean_environ, end_group, own_group

ADDON = Path(__file__).resolve().parents[1]


def payload_dir() -> Path:
    """The backend's sources: the zip's payload, or the checkout that the add-on is linked from."""
    packed = ADDON / "payload"
    return packed if packed.is_dir() else ADDON.parent


# What is installed ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Installation:
    """A backend's folder. managed is False for an environment that the user made (RELIEVO_PYTHON): never changed from here."""

    root: Path
    python: Path
    source: Path
    managed: bool = True

    @property
    def _marker(self) -> dict[str, Any]:
        try:
            return json.loads((self.root / "installation.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}

    @property
    def state(self) -> str:
        """ "missing", "incomplete" (an install broke off), "outdated" (of another version than the add-on) or "ready"."""
        if not self.managed:
            return "ready" if self.python.exists() and (self.source / "backend").is_dir() else "missing"
        if not self.root.exists():
            return "missing"
        marker = self._marker
        if not marker.get("ready"):
            return "incomplete"
        if not self.python.exists() or not (self.source / "backend").is_dir():
            return "incomplete"
        return "ready" if marker.get("fingerprint") == payload_fingerprint() else "outdated"

    @property
    def version(self) -> str:
        return VERSION if not self.managed else str(self._marker.get("version", ""))

    @property
    def variant(self) -> str:
        """ "cpu" or "cuda", "" where nothing is installed."""
        return str(self._marker.get("variant", ""))


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder, 0 where there is none. A backend that runs may delete some meanwhile."""
    total = 0
    for entry in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            status = entry.lstat()
            total += status.st_size if stat.S_ISREG(status.st_mode) else 0
    return total


def find_installation(data_dir: Path) -> Installation:
    """The installation in the data folder, or the one that RELIEVO_PYTHON names (RELIEVO_SOURCE: its sources)."""
    if python := os.environ.get("RELIEVO_PYTHON"):
        source = Path(os.environ.get("RELIEVO_SOURCE") or payload_dir())
        return Installation(Path(python).parent.parent, Path(python), source, managed=False)
    root = data_dir / "backend"
    return Installation(
        root, root / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python"), root / "source"
    )


def payload_fingerprint() -> str:
    """What an update changes: the version, and in a zip the digest that build_addon.py wrote beside the sources."""
    stamp = payload_dir() / "payload.txt"
    return f"{VERSION} {stamp.read_text(encoding='utf-8').strip()}" if stamp.exists() else VERSION


# Installing ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class InstallProgress:
    """fraction 0..1; line is the installer's last word; selftest is what the new environment said of itself."""

    stage: str
    fraction: float
    line: str = ""
    done: bool = False
    error: RelievoError | None = None
    selftest: dict[str, Any] | None = None


class Installer:
    """One run of Install, Update or Remove. start(), then poll() from a timer until it is done; cancel() at any time.

    What has been installed stays: the next run goes on where this one broke off.
    """

    def __init__(self, data_dir: Path, variant: str = "auto", wheels: Path | None = None) -> None:
        self.installation = find_installation(data_dir)
        self.variant = variant
        self.wheels = wheels
        self.log: deque[str] = deque(maxlen=400)
        self._process: subprocess.Popen[bytes] | None = None
        self._output: IO[bytes] | None = None
        self._rest = b""
        self._trying = False
        self._progress = InstallProgress("Starting", 0.0)

    def start(self) -> None:
        root = self.installation.root
        if not self.installation.managed:
            raise InstallFailed(
                "This backend is not managed from here (RELIEVO_PYTHON is set).", hint="Unset it, or update it by hand."
            )
        try:
            root.mkdir(parents=True, exist_ok=True)
            self._mark(ready=False)
            log = root / "install.log"
            self._output = open(log, "w+b")  # noqa: SIM115  # read by poll() while the child writes
        except OSError as error:
            raise InstallFailed(
                f"{root} cannot be written to: {error.strerror}.", hint="Choose another folder in the preferences."
            ) from error
        command = [
            _blenders_python(),
            "-m",
            "backend.setup.install_command",
            str(root / "venv"),
            "--variant",
            self.variant,
        ]
        if self.wheels:
            command += ["--wheels", str(self.wheels)]
        self._reader = open(log, "rb")  # noqa: SIM115
        # it runs in the add-on's folder, which is not ours to write
        self._run(command, payload_dir(), {"PYTHONDONTWRITEBYTECODE": "1"})

    def _run(self, command: list[str], folder: Path, environ: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=clean_environ() | environ,
            **own_group(),
        )

    def poll(self) -> InstallProgress:
        """What has happened since; never blocks. After done it answers the same for ever."""
        if self._progress.done or self._process is None:
            return self._progress
        ended = self._process.poll() is not None  # asked first, so that nothing written before the end is missed
        self._read()
        if ended and not self._progress.done:
            self._go_on()
        if self._progress.done:
            self._close()
        return self._progress

    def cancel(self) -> None:
        if self._process is not None and self._process.poll() is None:
            end_group(self._process)
        if not self._progress.done:
            self._set(
                done=True,
                error=error_from_code(
                    "cancelled", "Installing was cancelled.", hint="Install continues where it stopped."
                ),
            )
        self._close()

    def remove(self) -> None:
        """Deletes the backend's folder, and nothing else. Raises InstallFailed where a file cannot be deleted."""
        self.cancel()
        if not self.installation.managed:
            raise InstallFailed(
                "This backend is not managed from here (RELIEVO_PYTHON is set).", hint="Unset it first."
            )
        try:
            if self.installation.root.exists():
                shutil.rmtree(self.installation.root)
        except OSError as error:
            raise InstallFailed(
                f"{error.filename} could not be deleted: {error.strerror}.", hint="Stop the backend and try again."
            ) from error

    def _read(self) -> None:
        *lines, self._rest = (self._rest + self._reader.read()).split(b"\n")
        for line in lines:
            text = line.decode(errors="replace").strip()
            try:
                fields = json.loads(text)
            except ValueError:
                self.log.append(text)
                continue
            if isinstance(fields, dict):
                self._take(fields)

    def _take(self, fields: dict[str, Any]) -> None:
        if line := fields.get("line"):
            self.log.append(line)
        if error := fields.get("error"):
            self._set(done=True, error=error_from_code(error["code"], error["message"], hint=error["hint"]))
        elif "selftest" in fields:
            self._set(selftest=fields["selftest"])
        elif "stage" in fields:
            self._set(
                stage=fields["stage"], fraction=fields["fraction"], line=fields.get("line") or self._progress.line
            )

    def _go_on(self) -> None:
        """After the environment comes the code, after the code one small job of each engine, and then it is ready."""
        assert self._process is not None
        try:
            if self._process.returncode != 0:
                last = self.log[-1] if self.log else f"it ended with status {self._process.returncode}"
                hint = "Press Install again to continue."
                self._set(done=True, error=InstallFailed(f"The installer stopped: {last}", hint=hint))
            elif not self._trying:
                self._trying = True
                _copy_sources(payload_dir(), self.installation.source)
                # numba compiles in these jobs, and keeps it: the user's first terrain does not wait for that
                self._set(stage="Compiling, and trying each engine", fraction=0.97, line="")
                command = [str(self.installation.python), "-m", "backend", "prepare", "--blender", "none"]
                self._run(command, self.installation.source, {})
            else:
                self._mark(ready=True)
                self._set(stage="Ready", fraction=1.0, done=True)
        except OSError as error:
            failed = InstallFailed(
                f"The backend's code could not be copied: {error.strerror}.", hint="Free some space."
            )
            self._set(done=True, error=failed)

    def _mark(self, *, ready: bool) -> None:
        variant = (
            ""
            if not ready
            else str(_read_json(self.installation.root / "venv/relievo-environment.json").get("variant", ""))
        )
        marker = {"ready": ready, "version": VERSION, "fingerprint": payload_fingerprint(), "variant": variant}
        temporary = self.installation.root / ".installation.json"
        temporary.write_text(json.dumps(marker), encoding="utf-8")
        os.replace(temporary, self.installation.root / "installation.json")

    def _set(self, **changes: Any) -> None:
        self._progress = InstallProgress(**{**self._progress.__dict__, **changes})

    def _close(self) -> None:
        for file in (self._output, getattr(self, "_reader", None)):
            if file is not None:
                file.close()


def _copy_sources(payload: Path, target: Path) -> None:
    """Whole or not at all: the new sources are laid beside the old and take their place."""
    fresh = target.with_name("source.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    for name in ("backend", "shared"):
        shutil.copytree(payload / name, fresh / name, ignore=shutil.ignore_patterns("__pycache__", "*.nbi", "*.nbc"))
    shutil.copy2(payload / "pyproject.toml", fresh / "pyproject.toml")
    shutil.copytree(payload / "locks", fresh / "locks")
    _keep_compiled(target / "backend/ops", fresh / "backend/ops")
    old = target.with_name("source.old")
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    shutil.rmtree(old, ignore_errors=True)


def _keep_compiled(old: Path, new: Path) -> None:
    """Carry what numba has compiled over to the same kernels. It knows a source by its time, and not the functions that are
    compiled into others: where a single file differs, nothing is kept."""
    names = [{path.relative_to(folder) for path in folder.rglob("*.py")} for folder in (old, new)]
    if names[0] != names[1] or any((old / name).read_bytes() != (new / name).read_bytes() for name in names[0]):
        return
    shutil.rmtree(new)
    shutil.copytree(old, new)


def _blenders_python() -> str:
    """Blender's Python as a program. sys.executable is Blender itself in some builds; the Python beside it then serves."""
    name = Path(sys.executable).name.lower()
    if name.startswith("python"):
        return sys.executable
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for folder in (Path(sys.prefix) / "bin", Path(sys.prefix)):
        for candidate in (version, "python3", "python", "python.exe"):
            if (folder / candidate).exists():
                return str(folder / candidate)
    if found := shutil.which(version) or shutil.which("python3"):
        return found
    raise InstallFailed("Blender's own Python was not found.", hint="Install Python 3.11, or use a running backend.")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
