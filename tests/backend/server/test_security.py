"""Who may speak to the backend, and what strangers and broken programs get."""

from __future__ import annotations

import os
import socket
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from backend.server.bind import check_address
from shared.codec import MAGIC_PREFIX, encode
from shared.endpoint import Endpoint, normalise_address, read_endpoint, write_endpoint
from shared.errors import BackendUnavailable, InsecureAddress
from shared.messages import Failure, Fetch, Hello, Ping, Pong, Query, Result, Shutdown, Submit, Welcome
from shared.version import PROTOCOL
from tests.support.backend_process import PATIENCE_S, BackendProcess, Peer, refusal

posix_only = pytest.mark.skipif(os.name == "nt", reason="file modes are a POSIX matter")


@pytest.fixture
def stranger(backend: BackendProcess) -> Iterator[Peer]:
    """A client that has not said Hello."""
    client = Peer(backend.endpoint)
    yield client
    client.close()


@pytest.mark.parametrize("token", ["", "0" * 64, "tökén", "x" * 10_000])
def test_a_wrong_token_is_refused_with_a_hint(stranger: Peer, token: str) -> None:
    failure = refusal(stranger.hello(token=token))
    assert failure.code == "access_denied"
    assert "connection file" in failure.hint


@pytest.mark.parametrize(
    "request_",
    [Ping(), Query(), Shutdown(), Fetch(job="j"), Submit(job="j", algorithm="probe")],
    ids=lambda r: type(r).__name__,
)
def test_nothing_goes_before_hello(backend: BackendProcess, stranger: Peer, request_: Ping) -> None:
    assert refusal(stranger.ask(request_)).code == "access_denied"
    assert backend.popen.poll() is None


def test_a_wrong_token_does_not_follow_a_right_one(stranger: Peer) -> None:
    assert isinstance(stranger.hello(), Welcome)
    refusal(stranger.hello(token="wrong"))
    assert refusal(stranger.ask(Ping())).code == "access_denied"


def test_owner_must_be_a_uuid(stranger: Peer) -> None:
    assert refusal(stranger.hello(owner="me")).code == "protocol"


@posix_only
def test_the_connection_file_is_for_its_owner_alone(backend: BackendProcess) -> None:
    assert stat.S_IMODE((backend.state_dir / "endpoint.json").stat().st_mode) == 0o600
    assert stat.S_IMODE((backend.state_dir / "handoff").stat().st_mode) == 0o700
    assert stat.S_IMODE((backend.state_dir / "jobs").stat().st_mode) == 0o700
    assert len(bytes.fromhex(backend.endpoint.token)) == 32
    assert backend.endpoint.address.startswith("tcp://127.0.0.1:")


BROKEN = {
    "empty": [b""],
    "one frame": [b"hello"],
    "random": [os.urandom(5), os.urandom(200)],
    "random header": [MAGIC_PREFIX + b"\x01", os.urandom(200)],
    "pickle": [MAGIC_PREFIX + b"\x01", b"\x80\x04\x95\x0f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."],
    "cut short": [bytes(frame) for frame in encode(Query(job="x" * 30))[:1]],
    "cut in the header": [bytes(encode(Ping())[0]), bytes(encode(Ping())[1])[:-3]],
    "many frames": [b"x"] * 2000,
    "large header": [MAGIC_PREFIX + b"\x01", b" " * (2 << 20)],
    "id that cannot be repeated": [MAGIC_PREFIX + b"\x01", rb'{"type":"Ping","id":"\ud800"}'],
    "long id": [MAGIC_PREFIX + b"\x01", b'{"type":"Ping","id":"%s"}' % (b"x" * ((1 << 20) - 30))],
    "long type": [MAGIC_PREFIX + b"\x01", b'{"type":"%s"}' % ("\ue000" * 300_000).encode()],
    "token that is no text": [MAGIC_PREFIX + b"\x01", rb'{"type":"Hello","token":"\udfff","owner":"","protocol":""}'],
    "another version": [MAGIC_PREFIX + b"\x63", b"{}"],
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_frames_get_a_failure_and_the_server_lives_on(
    backend: BackendProcess, stranger: Peer, peer: Peer, name: str
) -> None:
    if len(BROKEN[name]) > 64 or sum(map(len, BROKEN[name])) > 1 << 14:
        stranger.hello()  # before that, so much ends the connection without an answer
    stranger.socket.send_multipart(BROKEN[name])
    failure = stranger.wait_type(Failure)
    assert failure.code == ("version_mismatch" if name == "another version" else "protocol")
    assert isinstance(peer.ask(Ping()), Pong)


def test_random_bytes_on_the_bare_port_do_no_harm(backend: BackendProcess, peer: Peer) -> None:
    host, port = backend.endpoint.address.removeprefix("tcp://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as bare:
            bare.sendall(b"GET / HTTP/1.1\r\n\r\n" + os.urandom(1000))
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as silent:
        silent.send(b"\xff")
        assert isinstance(peer.ask(Ping()), Pong)


def test_a_chosen_identity_cannot_take_over_a_session(backend: BackendProcess) -> None:
    first = Peer(backend.endpoint)
    known = Peer(backend.endpoint, first.owner, routing_id=b"blender")
    known.send(Hello(token=backend.endpoint.token, owner=first.owner, protocol=PROTOCOL))
    failure = known.wait_type(Failure)
    assert failure.code == "protocol"
    assert "routing id" in failure.message
    known.close()
    first.close()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "::", "8.8.8.8", "example.org", "*"])
def test_a_public_address_without_keys_is_refused(host: str) -> None:
    with pytest.raises(InsecureAddress, match="CURVE"):
        check_address(host, curve=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost"])
def test_loopback_needs_no_keys(host: str) -> None:
    check_address(host, curve=False)


def test_the_refusal_comes_before_anything_is_bound(tmp_path: Path) -> None:
    process = BackendProcess(tmp_path / "state", host="0.0.0.0")
    assert process.wait() == 1
    assert process.output().startswith("insecure_address")
    assert not (tmp_path / "state").exists()


def test_curve_on_a_public_address(tmp_path: Path) -> None:
    with BackendProcess(tmp_path, host="0.0.0.0", curve=True) as backend:
        client = backend.client()
        assert backend.endpoint.server_public_key
        assert isinstance(client.result(client.submit()), Result)
        client.close()
        plain = Peer(Endpoint(address=backend.endpoint.address, token=backend.endpoint.token))
        plain.send(Hello(token=backend.endpoint.token, owner=plain.owner, protocol=PROTOCOL))
        other_key = zmq.curve_keypair()[0].decode()
        wrong = Peer(
            Endpoint(address=backend.endpoint.address, token=backend.endpoint.token, server_public_key=other_key)
        )
        wrong.send(Hello(token=backend.endpoint.token, owner=wrong.owner, protocol=PROTOCOL))
        time.sleep(0.5)
        assert not plain.socket.poll(0), "without keys there is no conversation"
        assert not wrong.socket.poll(0), "nor with another server's key"
        plain.close()
        wrong.close()
        if os.name != "nt":
            assert stat.S_IMODE((tmp_path / "curve.json").stat().st_mode) == 0o600
        key = backend.endpoint.server_public_key
    with BackendProcess(tmp_path, curve=True) as again:
        assert again.endpoint.server_public_key == key, "clients elsewhere keep their copy"


def test_broken_keys_are_told(tmp_path: Path) -> None:
    (tmp_path / "curve.json").write_text("{}")
    process = BackendProcess(tmp_path, curve=True)
    assert process.wait() == 1
    assert "holds no CURVE keys" in process.output()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"address": 3}', '{"address": "tcp://127.0.0.1:1"}'])
def test_a_broken_connection_file_is_told(tmp_path: Path, text: str) -> None:
    path = tmp_path / "endpoint.json"
    path.write_text(text)
    with pytest.raises(BackendUnavailable):
        read_endpoint(path)
    with pytest.raises(BackendUnavailable, match="No backend is running"):
        read_endpoint(tmp_path / "none.json")


def test_connection_file_round_trip(tmp_path: Path) -> None:
    endpoint = Endpoint(
        address="tcp://127.0.0.1:5555", token="t", session="s", pid=3, version="1", server_public_key="k"
    )
    write_endpoint(tmp_path / "new" / "endpoint.json", endpoint)
    assert read_endpoint(tmp_path / "new" / "endpoint.json") == endpoint


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("host:5555", "tcp://host:5555"),
        (" http://host:5555/ ", "tcp://host:5555"),
        (":5555", "tcp://127.0.0.1:5555"),
        ("tcp://[::1]:1", "tcp://[::1]:1"),
    ],
)
def test_addresses_are_normalised(text: str, address: str) -> None:
    assert normalise_address(text) == address


@pytest.mark.parametrize("text", ["", "host", "host:", "host:0", "host:70000", "host:port"])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(BackendUnavailable):
        normalise_address(text)
