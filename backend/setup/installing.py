"""Makes an environment what its lock files say, step by step, and says what it does. Standard library only.

A run that was broken off is gone on with: what is done is recorded group by group, and uv skips what a group has already.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from backend.setup import locks, pytorch, uv
from backend.setup.environment import Environment, read_marker, write_marker
from backend.setup.interpreters import find_interpreter
from backend.setup.packages import Packages
from shared.errors import InstallFailed

FULL_DISK_BYTES = 4 << 20

Report = Callable[[str, float, str], None]
"""report(stage, fraction 0..1, line of output)"""


def ensure(
    environment: Environment, report: Report = lambda stage, fraction, line: None, *, interpreter: str = ""
) -> Path:
    """Makes the environment what it should be and returns its Python; at once where it is ready.

    interpreter: the Python to make it with, "" for one that fits. Raises InstallFailed.
    """
    if environment.state == "ready":
        return environment.python
    try:
        environment.root.mkdir(parents=True, exist_ok=True)
        with _only_one(environment.root):
            if environment.state != "ready":  # the one that was waited for may have done it
                _Installation(environment, report, interpreter, read_marker(environment.root)).run()
    except OSError as error:
        raise InstallFailed(
            f"The environment in {environment.root} could not be written: {error.strerror or error}.",
            hint="Free some space there, or choose another folder.",
        ) from error
    except InstallFailed as error:
        # asked of the disk itself: venv and pip often die of a full one without a word of it
        if shutil.disk_usage(environment.root).free < FULL_DISK_BYTES:
            raise InstallFailed(
                f"The disk with {environment.root} is full.",
                hint="Free some space and install again: what is installed is kept.",
            ) from error
        raise
    report("Ready", 1.0, "")
    return environment.python


@contextmanager
def _only_one(root: Path) -> Iterator[None]:
    """Two commands started at once must not install into one environment: the second waits for the first."""
    with open(root / "relievo.lock", "w", encoding="utf-8") as file:  # uv locks ".lock" in there itself
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@dataclass
class _Installation:
    """One run of ensure(): its steps share uv's program, the marker and the progress."""

    environment: Environment
    report: Report
    interpreter: str
    marker: dict
    uv: str = ""
    stage: str = "Starting"
    fraction: float = 0.0
    _steps: list[tuple[str, Callable[[], None]]] = field(default_factory=list)

    def run(self) -> None:
        environment = self.environment
        self._plan()
        self.marker = {**self.marker, "state": "incomplete"}
        write_marker(environment.root, self.marker)
        for index, (stage, run) in enumerate(self._steps):
            self.fraction = index / len(self._steps)
            self._say(stage)
            self.fraction = (index + 0.5) / len(self._steps)
            run()
        write_marker(environment.root, {**self.marker, "variant": environment.variant, "state": "ready"})

    def _plan(self) -> None:
        """What is still to be done, and whether there is room for it."""
        environment = self.environment
        made = environment.python.exists()
        if not made and any(pin.name == "torch" for group in environment.groups for pin in environment.pins(group)):
            pytorch.check_space(environment, environment.variant)
        self.uv = uv.find(self._uv_folder)
        if not self.uv:
            self._steps.append(("Fetching uv", self._fetch_uv))
        if not made:
            self._steps.append(("Creating the environment", self._create))
        done = self.marker.get("groups", {})
        for group, fingerprint in environment.fingerprints.items():
            if done.get(group) != fingerprint:
                self._plan_group(group, fingerprint)

    def _plan_group(self, group: str, fingerprint: str) -> None:
        chosen = {"variant": self.environment.variant}

        def install_pytorch() -> None:
            chosen["variant"] = pytorch.install(self.environment, self._packages, self._say, self._line)

        def install_rest() -> None:
            name = locks.lock_name(group, chosen["variant"])
            pins = locks.read(name, self.environment.locks)
            self._packages.install([pin for pin in pins if pin.name != "torch"], self._line)
            self._record(group, fingerprint, name)

        if any(pin.name == "torch" for pin in self.environment.pins(group)):
            self._steps.append((pytorch.stage_name(self.environment), install_pytorch))
        self._steps.append((f"Installing the {group.replace('-', ' ', 1)} libraries", install_rest))

    @property
    def _uv_folder(self) -> Path:
        return self.environment.root / uv.FETCHED

    @property
    def _packages(self) -> Packages:
        return Packages(python=self.environment.python, uv=self.uv, wheels=self.environment.wheels)

    def _fetch_uv(self) -> None:
        try:
            self.uv = uv.fetch(self._uv_folder, self.environment.wheels, self._line)
        except InstallFailed:
            if not self.environment.wheels:
                raise
            self._line("The folder of wheels has no uv: pip installs from it.")

    def _create(self) -> None:
        self._packages.create(self.interpreter or find_interpreter(self.uv), self._line)

    def _record(self, group: str, fingerprint: str, lock: str) -> None:
        for key, value in (("groups", fingerprint), ("locks", lock)):
            self.marker = {**self.marker, key: {**self.marker.get(key, {}), group: value}}
        write_marker(self.environment.root, self.marker)

    def _say(self, stage: str) -> None:
        self.stage = stage
        self.report(stage, self.fraction, "")

    def _line(self, line: str) -> None:
        self.report(self.stage, self.fraction, line)
