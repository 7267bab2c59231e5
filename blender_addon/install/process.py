"""The backend as a process of this machine: start, stop, watch. No bpy, no sockets; nothing here waits.

<data>/state holds its connection file, jobs, results and log. Where its code comes from is installation.py's.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

from ..shared.endpoint import read_endpoint
from ..shared.errors import BackendUnavailable, RelievoError
from .child_process import clean_environ, is_alive, own_group
from .installation import Installation

START_TIMEOUT_S = 60.0  # a cold disk and a virus scanner included


def _for_this_user(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


class BackendProcess:
    """The running backend of one data folder. One Blender starts it; the others find its connection file and share it."""

    def __init__(
        self, installation: Installation, state_dir: Path, *, options: tuple[str, ...] = (), owner: str = ""
    ) -> None:
        """options: further words for `serve`, such as ("--device", "cuda:0"). owner: who starts it, and may always end it."""
        self.installation = installation
        self.state_dir = state_dir
        self.options = options
        self.owner = owner
        self.error: RelievoError | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    @property
    def endpoint_path(self) -> Path:
        return self.state_dir / "endpoint.json"

    @property
    def log_path(self) -> Path:
        return self.state_dir / "process.log"

    def start(self) -> None:
        """Starts it, or attaches to the one that runs already. Raises BackendUnavailable where nothing is installed."""
        self.error = None
        if self._running_pid():
            return
        state = self.installation.state
        if state in ("missing", "incomplete"):
            raise BackendUnavailable(
                "No backend is installed." if state == "missing" else "The backend's installation was interrupted.",
                hint="Press Install Backend.",
            )
        self.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.endpoint_path.unlink(missing_ok=True)
        command = [
            str(self.installation.python),
            "-m",
            "backend",
            "serve",
            "--state",
            str(self.state_dir),
            "--endpoint",
            str(self.endpoint_path),
            "--parent-pid",
            str(os.getpid()),
            *self.options,
        ]
        if self.owner and state == "ready":  # an older backend does not know the option
            command += ["--owner", self.owner]
        with contextlib.suppress(OSError):  # Windows keeps one that is open
            self.log_path.unlink(missing_ok=True)  # not emptied: it may be a link, or readable by others
        with open(self.log_path, "wb", opener=_for_this_user) as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.installation.source,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=clean_environ(),
                **own_group(),
            )
        self._started = time.monotonic()

    def poll(self) -> str:
        """ "stopped", "starting", "running" or "crashed" (then .error says how). Never blocks."""
        if self._process is not None and self._process.poll() is not None:
            status, self._process = self._process.returncode, None
            if status not in (0, -signal.SIGTERM):
                self.error = BackendUnavailable(
                    f"The backend ended with status {status}: {self.log_tail(1) or 'it printed nothing'}",
                    hint="Start it again; the log says more.",
                )
        if self._running_pid():
            return "running"
        if self._process is not None:
            if time.monotonic() - self._started > START_TIMEOUT_S:
                self.error = BackendUnavailable("The backend did not start within a minute.", hint="See its log.")
                self.stop()
                return "crashed"
            return "starting"
        return "crashed" if self.error else "stopped"

    def stop(self) -> None:
        """Asks it to end; jobs that wait stay on disk. A client that is connected sends Shutdown instead."""
        pid = self._process.pid if self._process is not None else self._running_pid()
        if pid:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGTERM)

    def log_tail(self, lines: int = 20) -> str:
        try:
            return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-lines:])
        except OSError:
            return ""

    def _running_pid(self) -> int:
        """The pid in the connection file if that process lives, else 0."""
        try:
            pid = read_endpoint(self.endpoint_path).pid
        except BackendUnavailable:
            return 0
        return pid if pid and is_alive(pid) else 0
