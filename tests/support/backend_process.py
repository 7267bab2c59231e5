"""A real backend in a process of its own, and a plain client to speak to it: what the server tests are made of."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import zmq

from shared.codec import decode, encode
from shared.endpoint import Endpoint, read_endpoint
from shared.handoff import Handoff
from shared.messages import Accepted, Failure, Fetch, Finished, Hello, Message, Query, Status, Submit, Welcome
from shared.version import PROTOCOL

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 60.0  # far above what anything takes: a test that waits so long has failed
M = TypeVar("M", bound=Message)

_SERVE = """
import json, pathlib, sys
from backend.server.server import serve
from shared.errors import RelievoError
options = json.loads(sys.argv[1])
options["state_dir"] = pathlib.Path(options["state_dir"])
try:
    sys.exit(serve(**options))
except RelievoError as error:
    sys.exit(f"{error.code}: {error}")
"""


class BackendProcess:
    """`with BackendProcess(tmp_path) as backend:` serves until the block ends. Options are those of serve()."""

    def __init__(self, state_dir: Path, *, wrapper: list[str] | None = None, **options: Any) -> None:
        self.state_dir = state_dir
        environment = {
            **os.environ,
            "RELIEVO_EXTRA_ALGORITHMS": "tests.support.probe_algorithms,tests.support.toy_engines",
            "RELIEVO_THREADS": "1",
        }
        environment["PYTHONPATH"] = str(ROOT)
        command = [*(wrapper or []), sys.executable, "-c", _SERVE, json.dumps({"state_dir": str(state_dir), **options})]
        self.popen = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    @property
    def endpoint(self) -> Endpoint:
        """The connection file's content, once it is there and this process wrote it."""
        path = self.state_dir / "endpoint.json"

        def read() -> Endpoint | None:
            if self.popen.poll() is not None:
                raise AssertionError(f"the backend ended: {self.output()}")
            endpoint = read_endpoint(path) if path.exists() else None
            return endpoint if endpoint is not None and endpoint.pid == self.popen.pid else None

        return wait_for(read)

    def client(self, owner: str | None = None, **options: Any) -> Peer:
        """A client that has said Hello."""
        peer = Peer(self.endpoint, owner, **options)
        peer.hello()
        return peer

    def output(self) -> str:
        assert self.popen.stdout is not None
        return self.popen.stdout.read().decode()

    def wait(self) -> int:
        return self.popen.wait(PATIENCE_S)

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()

    def stop(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        return self.wait()

    def worker_pids(self) -> list[int]:
        return [
            pid
            for pid in child_pids(self.popen.pid)
            if b"backend.server.worker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]

    def __enter__(self) -> BackendProcess:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        assert self.popen.stdout is not None
        self.popen.stdout.close()


class Peer:
    """A DEALER that sends a message and waits for what it is told to wait for; other messages are kept.

    still_open: those that nobody has closed. A context that is collected as garbage waits for its sockets, for ever if they are
    collected with it; so they are kept until tests/conftest.py closes them.
    """

    still_open: ClassVar[set[Peer]] = set()

    def __init__(
        self, endpoint: Endpoint, owner: str | None = None, receive_limit: int = 1000, routing_id: bytes = b""
    ) -> None:
        self.owner = owner or str(uuid.uuid4())
        self.endpoint = endpoint
        self.handoff: Handoff | None = None  # join_handoff() changes that
        self.inbox: list[Message] = []
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, receive_limit)
        if routing_id:
            self.socket.setsockopt(zmq.ROUTING_ID, routing_id)
        if endpoint.server_public_key:
            public, secret = zmq.curve_keypair()
            self.socket.setsockopt(zmq.CURVE_SERVERKEY, endpoint.server_public_key.encode())
            self.socket.setsockopt(zmq.CURVE_PUBLICKEY, public)
            self.socket.setsockopt(zmq.CURVE_SECRETKEY, secret)
        self.socket.connect(endpoint.address)
        self.still_open.add(self)

    def hello(self, **changes: Any) -> Message:
        values = {"token": self.endpoint.token, "owner": self.owner, "protocol": PROTOCOL, "client": "tests"} | changes
        return self.ask(Hello(**values))

    def join_handoff(self) -> None:
        """From here on large arrays go by file."""
        welcome = self.hello()
        assert isinstance(welcome, Welcome), welcome
        self.handoff = Handoff.join(welcome.handoff)
        assert self.handoff is not None

    def send(self, message: Message) -> None:
        self.socket.send_multipart(encode(message, self.handoff), copy=False)

    def ask(self, message: Message) -> Message:
        """Send a request and return its answer."""
        object.__setattr__(message, "id", str(uuid.uuid4()))
        self.send(message)
        return self.wait(lambda reply: reply.reply_to == message.id)

    def submit(
        self,
        algorithm: str = "probe",
        arrays: Any = None,
        *,
        preview: bool = False,
        device: str = "auto",
        job: str = "",
        **params: Any,
    ) -> str:
        """The id of a job that was accepted."""
        job = job or str(uuid.uuid4())
        submit = Submit(
            job=job, algorithm=algorithm, params=params, preview=preview, device=device, arrays=arrays or {}
        )
        reply = self.ask(submit)
        assert isinstance(reply, Accepted), reply
        return job

    def finished(self, job: str) -> Finished:
        return self.wait_type(Finished, lambda message: message.job == job)

    def result(self, job: str) -> Message:
        """The Result of a job that must succeed."""
        finished = self.finished(job)
        assert finished.state == "succeeded", finished
        return self.ask(Fetch(job=job, handoff=self.handoff is not None))

    def status(self, job: str) -> dict[str, Any]:
        reply = self.ask(Query(job=job))
        assert isinstance(reply, Status), reply
        return reply.jobs[0]

    def wait_running(self, job: str, done: int = 0) -> None:
        wait_for(lambda: (s := self.status(job))["state"] == "running" and s["done"] >= done and s["stage"] != "")

    def wait_type(self, cls: type[M], condition: Callable[[M], bool] = lambda message: True) -> M:
        return self.wait(lambda message: isinstance(message, cls) and condition(message))  # type: ignore[return-value]

    def wait(self, condition: Callable[[Message], bool]) -> Message:
        for index, message in enumerate(self.inbox):
            if condition(message):
                return self.inbox.pop(index)
        deadline = time.monotonic() + PATIENCE_S
        while self.socket.poll(int(max(deadline - time.monotonic(), 0) * 1000)):
            message = decode([frame.buffer for frame in self.socket.recv_multipart(copy=False)], self.handoff)
            if condition(message):
                return message
            self.inbox.append(message)
        raise AssertionError(f"no answer in {PATIENCE_S} s; the inbox holds {self.inbox[-5:]}")

    def drain(self, seconds: float) -> list[Message]:
        """Everything that comes within so many seconds."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0 and self.socket.poll(int(left * 1000) + 1):
            self.inbox.append(decode([frame.buffer for frame in self.socket.recv_multipart(copy=False)], self.handoff))
        messages, self.inbox = self.inbox, []
        return messages

    def close(self) -> None:
        self._context.destroy(linger=0)
        self.still_open.discard(self)


def refusal(message: Message) -> Failure:
    assert isinstance(message, Failure), message
    return message


def wait_for(condition: Callable[[], Any]) -> Any:
    """What the condition returns once that is true."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"it did not come true in {PATIENCE_S} s")


def child_pids(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
