"""Finding, checking and fetching weights, against a real HTTP server on this machine."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch

from backend.runtime import weights
from shared.errors import InvalidInput, JobCancelled, StorageFull


class Server(ThreadingHTTPServer):
    """Serves one body, with ranges unless told not to, and hangs up after `patience` bytes when that is set."""

    body = b""
    patience: int | None = None
    ranges = True
    asked: list[str | None]


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.server.ranges else 0
        if start >= len(self.server.body):
            self.send_error(416)
            return
        rest = self.server.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest if self.server.patience is None else rest[: self.server.patience])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(("127.0.0.1", 0), Handler) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def published(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> weights.WeightFile:
    """A small file of weights on the server, and this machine's folders empty."""
    source = tmp_path / "source.pth"
    torch.save({"layer.weight": torch.arange(300_000, dtype=torch.float32)}, source)
    server.body = source.read_bytes()
    digest = hashlib.sha256(server.body).hexdigest()[:8]
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return weights.WeightFile(
        name="Test",
        file=f"test-{digest}.pth",
        url=f"http://127.0.0.1:{server.server_port}/test.pth",
        sha256_prefix=digest,
        size="1 MiB",
    )


def test_fetched_file_is_found_and_loaded(published: weights.WeightFile) -> None:
    reports: list[tuple[int, int]] = []
    path = weights.download(published, lambda there, total: reports.append((there, total)))
    assert weights.find(published) == path
    assert torch.equal(weights.load(published)["layer.weight"], torch.arange(300_000, dtype=torch.float32))
    assert reports[-1][0] == reports[-1][1] == path.stat().st_size
    assert not path.with_name(path.name + ".part").exists()


def test_broken_fetch_goes_on_where_it_stopped(published: weights.WeightFile, server: Server) -> None:
    server.patience = 400_000
    with pytest.raises(InvalidInput, match="could not be fetched") as failure:
        weights.download(published, lambda there, total: None)
    assert "where it stopped" in failure.value.hint
    assert weights.find(published) is None
    server.patience = None
    path = weights.download(published, lambda there, total: None)
    assert server.asked == [None, "bytes=400000-"]
    assert path.read_bytes() == server.body


def test_cancelled_fetch_keeps_what_came(published: weights.WeightFile, server: Server) -> None:
    def cancel(there: int, total: int) -> None:
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        weights.download(published, cancel)
    part = weights.folders()[0] / (published.file + ".part")
    assert 0 < part.stat().st_size <= len(server.body)
    assert weights.download(published, lambda there, total: None).read_bytes() == server.body


def test_server_without_ranges_begins_anew(published: weights.WeightFile, server: Server) -> None:
    folder = weights.folders()[0]
    folder.mkdir(parents=True)
    (folder / (published.file + ".part")).write_bytes(b"x" * 1000)
    server.ranges = False
    assert weights.download(published, lambda there, total: None).read_bytes() == server.body


def test_wrong_hash_is_refused_and_deleted(published: weights.WeightFile, server: Server) -> None:
    server.body = server.body[:-1] + bytes([server.body[-1] ^ 1])
    with pytest.raises(InvalidInput, match="SHA-256"):
        weights.download(published, lambda there, total: None)
    assert list(weights.folders()[0].iterdir()) == []


def test_offline_says_where_to_put_the_file(published: weights.WeightFile, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(InvalidInput, match="could not be fetched") as failure:
        weights.download(published, lambda there, total: None)
    assert published.file in failure.value.hint
    with pytest.raises(InvalidInput, match="not on this machine") as failure:
        weights.load(published)
    assert weights.FOLDER_VARIABLE in failure.value.hint


def test_a_folder_that_cannot_be_made(published: weights.WeightFile, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFull, match="could not be written"):
        weights.download(published, lambda there, total: None, tmp_path / "file" / "below")


def test_order_of_search(
    published: weights.WeightFile, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(folder: Path) -> Path:
        folder.mkdir(parents=True)
        (folder / published.file).write_bytes(server.body)
        return folder / published.file

    hub = put(Path(torch.hub.get_dir()) / "checkpoints")
    assert weights.find(published) == hub
    cached = put(weights.cache_folder())
    assert weights.find(published) == cached
    named = put(tmp_path / "named")
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(named.parent))
    assert weights.find(published) == named
    explicit = put(tmp_path / "explicit")
    assert weights.find(published, explicit) == explicit
    assert weights.find(published, explicit.parent) == explicit
    with pytest.raises(InvalidInput, match="no Test weights"):
        weights.find(published, tmp_path / "nowhere.pth")


def test_damaged_file_is_not_used(published: weights.WeightFile, server: Server, tmp_path: Path) -> None:
    path = tmp_path / published.file
    path.write_bytes(server.body[:5000])
    with pytest.raises(InvalidInput, match="damaged"):
        weights.load(published, path)


class Payload:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("pwned"),))


def test_a_pickle_that_runs_code_is_refused(
    published: weights.WeightFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "crafted.pth"
    torch.save({"x": Payload()}, path)
    crafted = replace(published, sha256_prefix=hashlib.sha256(path.read_bytes()).hexdigest()[:8])
    with pytest.raises(InvalidInput, match="weights"):
        weights.load(crafted, path)
    assert not (tmp_path / "pwned").exists()


def test_the_published_name_carries_its_own_hash() -> None:
    assert weights.VGG19.sha256_prefix in weights.VGG19.file
    assert weights.VGG19.url.endswith(weights.VGG19.file)
