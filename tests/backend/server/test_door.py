"""What a program without the key, and one with it, can do to the backend and to its other clients: nothing that lasts."""

from __future__ import annotations

import io
import json
import logging
import os
import socket
import struct
import subprocess
import sys
import time
import uuid
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import zmq

from backend.server.connections import MAX_STRANGERS, REST_S
from backend.server.logs import LINES_A_SPAN, MAX_CHARS, SPAN_S, Bounded
from shared.arrays import height_map
from shared.codec import MAGIC, encode
from shared.endpoint import Endpoint, read_endpoint
from shared.errors import InvalidParameter
from shared.messages import (
    Accepted,
    Failure,
    Fetch,
    Goodbye,
    Hello,
    Ping,
    Pong,
    Query,
    Result,
    Shutdown,
    Submit,
    Welcome,
)
from shared.version import PROTOCOL
from tests.support.backend_process import ROOT, BackendProcess, Peer, refusal, wait_for

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
COSTLY = b'{"type":"Ping","x":[' + b"[]," * 349_000 + b"[]]}"  # 1 MiB, 0.1 s to parse
UNSEEDED = 0x6B8B4567  # what rand() gives in a process where nobody has seeded it: libzmq's first routing id


def plain_connection(endpoint: Endpoint) -> socket.socket:
    host, port = endpoint.address.removeprefix("tcp://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def answers(peer: Peer) -> bool:
    return isinstance(peer.ask(Ping()), Pong)


# Without the key ----------------------------------------------------------------------------------------------------


def greeting(version: bytes, mechanism: bytes) -> bytes:
    return b"\xff" + b"\0" * 8 + b"\x7f" + version + mechanism.ljust(20, b"\0") + b"\0" * 32


@pytest.mark.parametrize(
    "first",
    [
        greeting(b"\x03\x00", b"NULL"),
        greeting(b"\x03\x01", b"PLAIN"),
        b"\x01\x00",
        b"\xff" + b"\0" * 8 + b"\x7f\x01\x05",
    ],
    ids=["null", "plain", "zmtp 1", "zmtp 2"],
)
def test_a_peer_of_another_mechanism_is_cut_off(backend: BackendProcess, peer: Peer, first: bytes) -> None:
    """Whatever it sends after that, under whatever routing id: the backend never sees it."""
    with plain_connection(backend.endpoint) as stranger:
        stranger.sendall(first)
        ready = b"\x05READY\x0bSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\5\0" + struct.pack(">I", UNSEEDED)
        shutdown = encode(Shutdown(id="x"))
        frames = b"".join(bytes([i == 0, len(frame)]) + bytes(frame) for i, frame in enumerate(shutdown))
        try:
            stranger.sendall(bytes([4, len(ready)]) + ready + frames)
            heard = b"".join(iter(lambda: stranger.recv(4096), b""))
        except ConnectionError:
            heard = b""
    assert b"READY" not in heard
    assert b"Goodbye" not in heard
    assert answers(peer)


def test_more_connections_than_may_be_leave_room_for_a_client(backend: BackendProcess, peer: Peer) -> None:
    with ExitStack() as stack:
        for _ in range(MAX_STRANGERS + 100):
            stack.enter_context(plain_connection(backend.endpoint))
        client = backend.client()
        assert answers(client)
        client.close()
        assert isinstance(peer.result(peer.submit()), Result)


@linux_only
def test_idle_connections_do_not_eat_up_the_files(tmp_path: Path) -> None:
    with (
        BackendProcess(tmp_path, wrapper=["bash", "-c", 'ulimit -n 256; exec "$@"', "x"]) as backend,
        ExitStack() as stack,
    ):
        client = backend.client()
        for _ in range(400):
            stack.enter_context(plain_connection(backend.endpoint))
        wait_for(lambda: len(os.listdir(f"/proc/{backend.popen.pid}/fd")) < 150)
        height = height_map(np.ones((8, 8)), 10.0)
        assert isinstance(client.result(client.submit(arrays={"height": (height,)})), Result)
        client.close()


def test_a_stranger_who_stays_does_not_keep_it_running(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, idle_exit_s=1.0) as backend, plain_connection(backend.endpoint):
        with_key = Peer(backend.endpoint)
        with_key.send(Ping())
        assert backend.wait() == 0
        with_key.close()


# With the key, before Hello -----------------------------------------------------------------------------------------


def test_announced_routing_ids_end_nothing(tmp_path: Path) -> None:
    """libzmq aborts when it gives a number to a client that another has announced: nobody must be able to foresee it."""
    with BackendProcess(tmp_path) as backend:
        first = backend.client()
        announced = [
            Peer(backend.endpoint, routing_id=b"\0" + struct.pack(">I", (base + number) & 0xFFFFFFFF))
            for base in (0, UNSEEDED)
            for number in range(8)
        ]
        time.sleep(0.3)
        later = [backend.client() for _ in range(3)]
        assert all(answers(client) for client in (first, *later))
        for peer in announced:
            peer.send(Hello(token=backend.endpoint.token, owner=peer.owner, protocol=PROTOCOL))
            assert "routing id" in peer.wait_type(Failure).message, "also where it has the form of libzmq's own"
        for client in (first, *later, *announced):
            client.close()


@linux_only
def test_what_comes_before_hello_is_bounded(backend: BackendProcess, peer: Peer) -> None:
    """An endless message of one connection, and one of tiny parts: both are cut off long before they are whole."""
    before = memory_bytes(backend)
    for part in (os.urandom(1 << 20), b"x"):
        stranger = Peer(backend.endpoint)
        stranger.socket.setsockopt(zmq.SNDHWM, 0)
        for _ in range(64 if len(part) > 1 else 200_000):
            stranger.socket.send(part, zmq.SNDMORE)
        assert answers(peer)
        stranger.close()
    assert memory_bytes(backend) - before < 32 << 20


def test_who_says_no_hello_is_closed(tmp_path: Path) -> None:
    # argv: -c, python, -c, the program of BackendProcess, its options
    shorter = (
        "import sys; from backend.server import connections; connections.HELLO_WITHIN_S = 0.5; "
        "program = sys.argv[3]; sys.argv = ['-c', sys.argv[4]]; exec(program)"
    )
    with BackendProcess(tmp_path, wrapper=[sys.executable, "-c", shorter]) as backend:
        known = backend.client()
        with plain_connection(backend.endpoint) as stranger:
            heard = b"".join(iter(lambda: stranger.recv(4096), b""))
        assert len(heard) < 100, "its greeting, and then the end"
        assert answers(known)
        known.close()


# With the key and the token -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [[0, 2**32, 2**32], [2**32, 0, 2**32], [0] + [2**32] * 7, [2**31, 2**31]])
def test_a_shape_beyond_all_limits_is_refused(peer: Peer, shape: list[int]) -> None:
    array = {"port": "height", "kind": "HEIGHT_MAP", "dtype": "<f4", "shape": shape, "attributes": {}}
    header = {"type": "Submit", "id": "x", "job": str(uuid.uuid4()), "algorithm": "probe", "arrays": [array]}
    peer.socket.send_multipart([MAGIC, json.dumps(header).encode(), b""])
    assert peer.wait_type(Failure).code == "protocol"
    assert answers(peer)


def test_costly_headers_of_one_client_delay_no_other(backend: BackendProcess, peer: Peer) -> None:
    others = [backend.client() for _ in range(4)]
    for _ in range(25):
        for other in others:
            other.socket.send_multipart([MAGIC, COSTLY])
    started = time.monotonic()
    assert answers(peer)
    assert time.monotonic() - started < 1.0
    for other in others:  # cut off by now
        other.close()


SMALL = [encode(Ping()), [MAGIC, *[b"x"] * 4000]]


def flood(client: Peer, frames: list[bytes], size: int) -> None:
    """Send `frames` again and again, `size` bytes in all as libzmq holds them, without waiting for anything."""
    client.socket.setsockopt(zmq.SNDHWM, 0)
    for _ in range(size // sum(len(frame) + 40 for frame in frames)):
        client.socket.send_multipart(frames)


@linux_only
@pytest.mark.parametrize("frames", [*SMALL, [MAGIC, COSTLY]], ids=["pings", "frames", "headers"])
def test_messages_that_come_too_fast_hold_no_memory(backend: BackendProcess, peer: Peer, frames: list[bytes]) -> None:
    """They would be kept by this process and, at many times their size, by libzmq."""
    before, flooding = memory_bytes(backend), backend.client()
    flood(flooding, frames, 48 << 20)
    started = time.monotonic()
    assert answers(peer)
    assert time.monotonic() - started < 2.0
    assert memory_bytes(backend) - before < 100 << 20
    flooding.close()


@linux_only
@pytest.mark.parametrize("frames", SMALL, ids=["pings", "frames"])
def test_who_sends_small_messages_too_fast_is_cut_off_for_a_while(backend: BackendProcess, frames: list[bytes]) -> None:
    """A flood that is read as fast as it comes is not cut off: so again and again until one is not."""
    again = backend.client()

    def refused_after_a_flood() -> Failure | None:
        flooding = backend.client(again.owner)
        flood(flooding, frames, 8 << 20)
        reply = again.hello()
        flooding.close()
        return reply if isinstance(reply, Failure) else None

    failure = wait_for(refused_after_a_flood)
    assert failure.code == "queue_full"
    assert "cut off" in failure.message
    time.sleep(REST_S)
    assert isinstance(again.hello(), Welcome)
    assert answers(again)
    again.close()


def test_a_message_of_too_many_parts_ends_its_connection_alone(backend: BackendProcess, peer: Peer) -> None:
    other = backend.client()
    other.socket.send_multipart([MAGIC, *[b""] * 30_000])
    assert answers(peer)
    assert not other.socket.poll(300), "no answer: the connection is closed"
    other.close()


@linux_only
@pytest.mark.parametrize("after_hello", [False, True])
@pytest.mark.parametrize("large", [False, True])
def test_hanging_up_with_much_unread_ends_nothing(
    backend: BackendProcess, peer: Peer, after_hello: bool, large: bool
) -> None:
    """libzmq's assertion "!_io_error": a connection that breaks while libzmq does not read it, with heartbeats on."""
    program = (
        "import os, sys, time, zmq\nfrom pathlib import Path\n"
        "from shared.endpoint import read_endpoint\nfrom shared.codec import MAGIC\n"
        "from tests.support.backend_process import Peer\n"
        f"peer = Peer(read_endpoint(Path({str(backend.state_dir / 'endpoint.json')!r})))\n"
        "peer.socket.setsockopt(zmq.SNDHWM, 0)\n"
        f"if {after_hello}: peer.hello()\n"
        f"head = b'x' * {(1 << 20) if large else 10}\n"
        f"for _ in range({40 if large else 3000}): peer.socket.send_multipart([MAGIC, head])\n"
        "time.sleep(0.05)\nos.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, timeout=60)
    assert answers(peer)
    assert backend.popen.poll() is None


def test_a_handed_over_file_that_shrinks_fails_its_job_alone(backend: BackendProcess, peer: Peer) -> None:
    peer.join_handoff()
    assert peer.handoff is not None
    values = np.random.default_rng(1).random((4096, 4096), dtype=np.float32)
    for delay_s in (0.0, 0.002, 0.01, 0.03):
        frames = encode(
            Submit(id="x", job=str(uuid.uuid4()), algorithm="probe", arrays={"height": (height_map(values, 3.0),)}),
            peer.handoff,
        )
        name = json.loads(bytes(frames[1]))["arrays"][0]["file"]
        with open(backend.state_dir / "handoff" / name, "r+b") as file:
            peer.socket.send_multipart(frames)
            time.sleep(delay_s)
            file.truncate(4096)
        peer.wait(lambda message: isinstance(message, Accepted | Failure))
        assert backend.popen.poll() is None
    peer.handoff = None
    assert isinstance(peer.result(peer.submit()), Result)
    assert [path.name for path in (backend.state_dir / "handoff").iterdir()] == ["proof"]


def test_a_result_that_shrinks_fails_its_fetch_alone(backend: BackendProcess, peer: Peer) -> None:
    big = height_map(np.ones((2048, 1024), np.float32), 10.0)
    job = peer.submit(arrays={"height": (big,)})
    peer.finished(job)
    for file in (backend.state_dir / "jobs" / job / "outputs").glob("*.raw"):
        os.truncate(file, 4096)
    assert refusal(peer.ask(Fetch(job=job))).code == "internal"
    assert answers(peer)


@linux_only
def test_unread_results_hold_neither_files_nor_memory_without_bound(backend: BackendProcess, peer: Peer) -> None:
    values = np.random.default_rng(2).random((1024, 1024), dtype=np.float32)
    slow = backend.client(receive_limit=1)
    job = slow.submit(arrays={"height": (height_map(values, 3.0),)})
    slow.finished(job)
    files, memory = open_files(backend), memory_bytes(backend)
    for number in range(60):
        slow.send(Fetch(id=f"fetch {number}", job=job))
    time.sleep(1.0)
    assert answers(peer)
    assert open_files(backend) - files < 20
    assert memory_bytes(backend) - memory < 100 << 20
    for number in range(60):
        result = slow.wait(lambda message, number=number: message.reply_to == f"fetch {number}")
        assert isinstance(result, Result)
    np.testing.assert_array_equal(result.arrays["height"][0].values, values)
    slow.close()


def test_the_backend_ends_for_one_client_only_when_no_other_has_a_job(tmp_path: Path) -> None:
    starter = str(uuid.uuid4())
    with BackendProcess(tmp_path, starter=starter) as backend:
        busy, idle = backend.client(), backend.client()
        job = busy.submit(steps=1000, step_s=0.05)
        failure = refusal(idle.ask(Shutdown()))
        assert failure.code == "access_denied"
        assert failure.message.startswith("1 job of other clients waits or runs")
        assert busy.status(job)["state"] in ("queued", "running")
        first = backend.client(starter)
        assert isinstance(first.ask(Shutdown()), Goodbye)
        assert backend.wait() == 0
        for client in (busy, idle, first):
            client.close()


def test_each_user_has_a_token_and_jobs_of_their_own(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, users=["ann"]) as backend:
        main = backend.client()
        ann = Peer(read_endpoint(tmp_path / "endpoint-ann.json"), main.owner)
        ann.hello()
        assert ann.endpoint.token != main.endpoint.token
        if os.name != "nt":
            assert (tmp_path / "endpoint-ann.json").stat().st_mode & 0o777 == 0o600
        job = main.submit()
        main.finished(job)
        assert refusal(ann.ask(Fetch(job=job))).code == "access_denied", "the same owner id, but another person's"
        assert ann.ask(Query()).jobs == []  # type: ignore[attr-defined]
        main.close()
        ann.close()
    assert not list(tmp_path.glob("endpoint*.json"))


def test_one_token_cannot_fill_the_whole_queue(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, users=["ann"]) as backend:
        greedy = [backend.client() for _ in range(3)]
        refused = 0
        for client in greedy:
            for _ in range(60):
                answer = client.ask(
                    Submit(job=str(uuid.uuid4()), algorithm="probe", params={"steps": 1000, "step_s": 1.0})
                )
                refused += isinstance(answer, Failure)
        assert refused >= 3 * 60 - 128 - 1
        ann = Peer(read_endpoint(tmp_path / "endpoint-ann.json"))
        ann.hello()
        ann.submit()
        for client in (*greedy, ann):
            client.close()


@pytest.mark.parametrize("name", ["", "../x", "a b", "x" * 33, "-a"])
def test_a_user_whose_name_is_no_file_name_is_refused(tmp_path: Path, name: str) -> None:
    from backend.server.access import check_users

    with pytest.raises(InvalidParameter):
        check_users([name])


def test_a_session_ends_with_its_connection(backend: BackendProcess) -> None:
    client = backend.client()
    assert answers(client)
    client.socket.disconnect(client.endpoint.address)
    client.socket.connect(client.endpoint.address)
    client.send(Ping(id="again"))
    assert refusal(client.wait(lambda message: message.reply_to == "again")).code == "access_denied"
    client.close()


def test_the_last_words_of_one_connection_are_not_taken_for_the_next_ones(backend: BackendProcess) -> None:
    """A new connection has the descriptor of one that has just ended, whose messages still wait to be dealt with."""
    for _ in range(10):
        hasty = Peer(backend.endpoint)
        for number in range(300):
            hasty.socket.send_multipart([MAGIC, b'{"type":"' + b"x" * 5000 + b'"}'])
            if number == 200:
                hasty.socket.poll(1)
        hasty.socket.setsockopt(zmq.LINGER, 200)
        hasty.socket.close()
        hasty.close()
        client = backend.client()
        assert answers(client)
        client.close()


# Logs ---------------------------------------------------------------------------------------------------------------


def record(text: str, line: int = 1) -> logging.LogRecord:
    return logging.LogRecord("backend", logging.INFO, "file.py", line, "%s", (text,), None)


def written(bounded: Bounded, *records: logging.LogRecord) -> list[str]:
    """The lines that a handler with this filter writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(bounded)
    for one in records:
        handler.handle(one)
    return stream.getvalue().splitlines()


def test_lines_are_cut_and_repeated_ones_left_out() -> None:
    bounded = Bounded()
    assert [len(line) for line in written(bounded, record("x" * (1 << 20)))] == [MAX_CHARS]
    assert len(written(bounded, *[record("again", 2) for _ in range(1000)])) == LINES_A_SPAN
    assert written(bounded, record("another", 3)) == ["another"]


def test_what_was_left_out_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    bounded, now = Bounded(), 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    written(bounded, *[record("again") for _ in range(LINES_A_SPAN + 7)])
    now += 2 * SPAN_S
    assert written(bounded, record("again")) == ["again (7 more like this)"]


def test_standard_error_is_bounded() -> None:
    lines = written(Bounded(5000), *[record("x" * 900, line) for line in range(100)])
    assert sum(map(len, lines)) < 6000
    assert "nothing more is written here" in lines[-1]


def test_what_strangers_send_does_not_fill_the_log(backend: BackendProcess) -> None:
    before = log_bytes(backend)
    for _ in range(
        50
    ):  # of each one message, which is answered: who sends more than a stranger may is cut off without a word
        stranger = Peer(backend.endpoint)
        stranger.socket.send_multipart([MAGIC, b'{"type":"' + b"x" * 10_000 + b'"}'])
        assert refusal(stranger.wait_type(Failure)).code == "protocol"
        stranger.close()
    assert log_bytes(backend) - before < 100_000


def log_bytes(backend: BackendProcess) -> int:
    return sum(path.stat().st_size for path in backend.state_dir.glob("backend.log*"))


def open_files(backend: BackendProcess) -> int:
    return len(os.listdir(f"/proc/{backend.popen.pid}/fd"))


def memory_bytes(backend: BackendProcess) -> int:
    lines = Path(f"/proc/{backend.popen.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))
