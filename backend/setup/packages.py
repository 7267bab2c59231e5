"""Installs pinned packages into an environment: with uv, or with pip where there is no uv but a folder of wheels.

Nothing is resolved here: the lock names every package, so dependencies are not asked for, and each file is held to its SHA-256.
Standard library only.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backend.setup import uv
from backend.setup.installer_process import Line, run, succeeds
from backend.setup.locks import Pin


@dataclass(frozen=True, kw_only=True)
class Packages:
    """python: the environment's, which need not exist yet. uv: its program, or "" for pip. wheels: a folder of wheels, or None."""

    python: Path
    uv: str
    wheels: Path | None

    @property
    def root(self) -> Path:
        return self.python.parents[1]

    def create(self, interpreter: str, line: Line) -> None:
        """Makes the environment; one that is there already is kept."""
        if self.uv:
            run([self.uv, "venv", "--allow-existing", "--python", interpreter, str(self.root)], line)
        else:
            run([interpreter, "-m", "venv", str(self.root)], line)

    def install(self, pins: Sequence[Pin], line: Line, *options: str) -> None:
        """Raises InstallFailed, and NotAvailable where a pinned version is nowhere to be found. No pins: nothing to do."""
        if not pins:
            return
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "requirements.txt"
            file.write_text("\n".join(map(str, pins)) + "\n", encoding="utf-8")
            self._run(["--require-hashes", "--requirement", str(file), *options], line)

    def install_unlocked(self, requirement: str, line: Line, *options: str) -> None:
        """One package by version only, without a digest to hold it to. Raises InstallFailed."""
        self._run([requirement, *options], line)

    def _run(self, options: Sequence[str], line: Line) -> None:
        source = ["--no-index", "--find-links", str(self.wheels)] if self.wheels else []
        command = [*self._command(line), "--no-deps", *options, *source]
        run(command, line, {} if self.wheels or not self.uv else uv.environ_from_pip())

    def _command(self, line: Line) -> list[str]:
        if self.uv:
            return [self.uv, "pip", "install", "--python", str(self.python)]
        pip = [str(self.python), "-m", "pip"]
        if not succeeds([*pip, "--version"]):  # uv has made the environment, and is gone
            run([str(self.python), "-m", "ensurepip"], line)
        return [*pip, "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
