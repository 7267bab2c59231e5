"""The worker processes as the server sees them: started, spoken to, killed, replaced. No job logic; never computes,
never imports torch.

Workers connect to a socket of their own on loopback, with the key and a token each that only they were given.
"""

from __future__ import annotations

import hmac
import json
import logging
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import zmq

from backend.server.bind import router_socket, use_curve
from backend.server.connections import Connections, bytes_on_wire
from backend.server.state_folder import open_new

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
MAX_FRAME_BYTES = 16 << 20
MAX_PARTS = 64  # of a message
MESSAGES_A_TURN = 256  # before clients get their turn
MAX_STRANGERS = 16  # connections that have not shown a worker's token
HANDSHAKE_MS = 5000
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # between attempts to start a worker that does not come up
MAX_START_FAILURES = 3
LOG_TAIL_BYTES = 4096
_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "BELOW_NORMAL_PRIORITY_CLASS", 0)
_REINSTALL = "Run 'relievo.py doctor', or reinstall the backend."
EXIT_NO_DEVICE = 78  # as worker.py says it, which this module must not import


@dataclass(frozen=True)
class Ready:
    worker: str
    device: str
    devices: list[dict[str, Any]]


@dataclass(frozen=True)
class Said:
    """what: "progress", "preview", "done", "failed" or "cancelled". frames: of a preview, ready for a client."""

    worker: str
    what: str
    job: str
    values: dict[str, Any]
    frames: list[bytes] = field(default_factory=list)


@dataclass(frozen=True)
class Died:
    """was_ready: whether it had ever come up. reason: a sentence for a person. failed: the worker of this device has failed to
    start too often; attempts go on, ever more rarely.
    """

    worker: str
    device: str
    was_ready: bool
    reason: str
    hint: str
    failed: bool = False


@dataclass
class _Process:
    name: str
    device: str
    popen: subprocess.Popen
    token: str
    log_path: Path
    identity: bytes = b""  # known once it has shown its token
    is_killed: bool = False


class WorkerPool:
    """One worker per device. Call receive() when `socket` is readable and check() every now and then."""

    def __init__(self, context: zmq.Context, log_dir: Path) -> None:
        self._log_dir = log_dir
        self.socket = router_socket(context)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self.socket.setsockopt(zmq.HANDSHAKE_IVL, HANDSHAKE_MS)
        self.key = use_curve(self.socket)
        self._connections = Connections(self.socket, max_strangers=MAX_STRANGERS)
        self.socket.bind_to_random_port("tcp://127.0.0.1")
        self._address = self.socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0")
        self._processes: dict[str, _Process] = {}
        self._due: dict[str, float] = {}  # device -> monotonic time of the next attempt to start its worker
        self._failures: dict[str, int] = {}  # device -> attempts in a row that did not come up
        self._count = 0

    @property
    def sockets(self) -> tuple[zmq.Socket, ...]:
        """What to poll: receive() is to be called when one of them is readable, and every now and then."""
        return self.socket, self._connections.socket

    def want(self, device: str) -> None:
        """Have a worker on this device from now on; check() starts it."""
        if device not in self._due and device not in {process.device for process in self._processes.values()}:
            self._due[device] = 0.0

    @property
    def ready(self) -> dict[str, str]:
        """The workers that have come up, idle or not, with their devices."""
        alive = {name: process for name, process in self._processes.items() if not process.is_killed}
        return {name: process.device for name, process in alive.items() if process.identity}

    @property
    def is_killing(self) -> bool:
        """Whether a worker that was killed is not gone yet: the system takes its gigabytes back first."""
        return any(process.is_killed for process in self._processes.values())

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.popen.pid for name, process in self._processes.items()}

    def send(self, worker: str, order: dict[str, Any]) -> None:
        """Orders to one that has died meanwhile are lost; check() reports it."""
        process = self._processes.get(worker)
        if process is not None and process.identity:
            self.socket.send_multipart([process.identity, json.dumps(order).encode()])

    def receive(self) -> Iterator[Ready | Said]:
        """What workers have said since the last call, up to a limit."""
        now = time.monotonic()
        self._connections.receive(now)
        self._connections.check(now)
        for _ in range(MESSAGES_A_TURN):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            if not 2 <= len(frames) <= MAX_PARTS:
                continue
            self._note_received(frames, now)
            identity, head, *rest = (frame.bytes for frame in frames)
            process = next((p for p in self._processes.values() if p.identity and p.identity == identity), None)
            if process is None:
                yield from self._register(identity, head)
                continue
            try:
                values = json.loads(head)
                said = Said(process.name, values.pop("say"), values.pop("job"), values, rest)
            except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
                log.error("a message of worker %s cannot be read: %s", process.name, error)
                continue
            yield said

    def _note_received(self, frames: list[zmq.Frame], now: float) -> None:
        descriptor: Any = frames[1].get(zmq.SRCFD)
        if self._connections.get(int(descriptor)) is None:  # it has come since we looked
            self._connections.receive(now)
        connection = self._connections.get(int(descriptor))
        if connection is not None:
            connection.taken += bytes_on_wire(frames)
            connection.client = frames[0].bytes

    def _greet(self, identity: bytes, name: str) -> None:
        for connection in self._connections:
            if connection.client == identity:
                connection.owner = name

    def _register(self, identity: bytes, head: bytes) -> Iterator[Ready]:
        try:
            values = json.loads(head)
            token = str(values["token"]).encode()
        except (ValueError, KeyError, TypeError, RecursionError):
            log.warning("a connection to the workers' socket without a valid message was ignored")
            return
        for process in self._processes.values():
            if hmac.compare_digest(token, process.token.encode()) and not process.identity:
                process.identity = identity
                self._greet(identity, process.name)
                log.info("worker %s is ready on %s (pid %d)", process.name, values["device"], process.popen.pid)
                yield Ready(process.name, values["device"], values["devices"])

    def check(self, now: float) -> Iterator[Died]:
        """Start what is due, and report what has died. The dead are replaced; those that do not come up, ever later."""
        for process in list(self._processes.values()):
            code = process.popen.poll()
            if code is None:
                continue
            del self._processes[process.name]
            _close_pipe(process.popen)
            reason, hint = _explain(code, process)
            log.warning("worker %s ended with %s: %s", process.name, code, reason)
            was_ready = bool(process.identity)
            failed = self._try_again(process.device, now, failed=not was_ready, is_final=code == EXIT_NO_DEVICE)
            yield Died(process.name, process.device, was_ready, reason, hint, failed)
        for device in [device for device, due in self._due.items() if due <= now]:
            del self._due[device]
            try:
                self._start(device)
            except OSError as error:  # no process to be had, or the installation is being replaced
                log.warning("the worker on %s cannot be started: %s", device, error)
                reason = f"The computing process cannot be started: {error.strerror or error}."
                failed = self._try_again(device, now, failed=True)
                yield Died("", device, False, reason, _REINSTALL, failed)

    def _try_again(self, device: str, now: float, *, failed: bool, is_final: bool = False) -> bool:
        """Plan the next attempt; whether the device's worker has failed too often. is_final: this one need fail only once."""
        failures = self._failures.get(device, 0) + 1 if failed else 0
        self._failures[device] = failures
        self._due[device] = now + (min(FIRST_PAUSE_S * 2 ** (failures - 1), LONGEST_PAUSE_S) if failures else 0.0)
        return failures >= MAX_START_FAILURES or is_final

    def _start(self, device: str) -> None:
        self._count += 1
        name = f"{device}-{self._count}"
        log_path = self._log_dir / f"worker-{device.replace(':', '-')}.log"
        token = secrets.token_hex(32)
        settings = {
            "address": self._address,
            "key": self.key,
            "token": token,
            "device": device,
            "server_pid": os.getpid(),
        }
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])]
        with _fresh_log(log_path) as log_file:
            popen = subprocess.Popen(
                [sys.executable, "-m", "backend.server.worker"],
                stdin=subprocess.PIPE,
                stdout=log_file,
                stderr=log_file,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                creationflags=_WINDOWS_FLAGS,
            )
        self._processes[name] = _Process(name, device, popen, token, log_path)
        try:
            assert popen.stdin is not None
            popen.stdin.write(json.dumps(settings).encode() + b"\n")
            popen.stdin.flush()
        except OSError as error:  # it ended before it read its settings: the next check() says so
            log.warning("worker %s did not take its settings: %s", name, error)

    def kill(self, worker: str) -> None:
        """End a worker at once; check() reports it when it is gone, and starts another."""
        process = self._processes.get(worker)
        if process is not None:
            process.popen.kill()
            process.is_killed = True

    def close(self, patience_s: float = 5.0) -> None:
        """End every worker, whatever it does. Raises TimeoutError for those that the system does not let go of: a killed process
        that waits for a disk ends when the disk answers.
        """
        self._due.clear()
        deadline = time.monotonic() + patience_s
        for process in self._processes.values():
            process.popen.kill()
        left = []
        for process in self._processes.values():
            try:
                process.popen.wait(max(deadline - time.monotonic(), 0.05))
            except subprocess.TimeoutExpired:
                left.append(f"{process.name} (pid {process.popen.pid})")
            _close_pipe(process.popen)
        self._processes.clear()
        self._connections.close()
        self.socket.close()
        if left:
            raise TimeoutError(f"killed {patience_s:g} s ago and not gone: {', '.join(left)}")


def _fresh_log(path: Path) -> IO[bytes]:
    """An empty file for what a worker says; nowhere, where the disk takes no file: that is no reason not to compute."""
    try:
        path.unlink(missing_ok=True)  # not emptied: a link would have its target emptied
        return os.fdopen(open_new(path), "wb")
    except OSError as error:
        log.warning("there is no log of the worker: %s", error)
        return open(os.devnull, "wb")


def _close_pipe(popen: subprocess.Popen) -> None:
    if popen.stdin is not None:
        try:
            popen.stdin.close()
        except OSError:  # a line that a dead worker never read
            log.debug("the pipe of a dead worker was not empty")


def _explain(code: int, process: _Process) -> tuple[str, str]:
    """A sentence for how a worker ended, and what to do."""
    last = _last_line(process.log_path)
    if not process.identity:
        what = "The computing process does not start" + (f": {last}" if last else f" (exit code {code}).")
        return what, _REINSTALL
    if code == -getattr(signal, "SIGKILL", 9):
        return (
            "The computing process was killed, probably because the system ran out of memory.",
            "Use a smaller map or close other programs; the next job gets a fresh process.",
        )
    if code < 0:
        return (
            f"The computing process crashed ({signal.Signals(-code).name}).",
            f"Its log is {process.log_path}.",
        )
    return f"The computing process ended unexpectedly (exit code {code}).", f"Its log is {process.log_path}."


def _last_line(path: Path) -> str:
    """What the process said last; a log may be long."""
    try:
        with path.open("rb") as file:
            file.seek(max(file.seek(0, os.SEEK_END) - LOG_TAIL_BYTES, 0))
            lines = file.read().decode("utf-8", errors="replace").strip().splitlines()
    except OSError as error:
        return str(error)
    return lines[-1] if lines else ""
