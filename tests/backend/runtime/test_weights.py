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
from safetensors.torch import save_file

from backend.commands import prepare
from backend.runtime import context, weights
from backend.runtime.context import JobContext
from shared.errors import InternalError, InvalidInput, InvalidParameter, JobCancelled, StorageFull
from shared.weights import VGG19, WEIGHTS, WeightFile


class Server(ThreadingHTTPServer):
    """Serves one body, with ranges unless it is switched off, and hangs up after `patience` bytes when that is set."""

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
def published(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightFile:
    """A small file of weights on the server, and this machine's folders empty."""
    source = tmp_path / "source.pth"
    torch.save({"layer.weight": torch.arange(300_000, dtype=torch.float32)}, source)
    server.body = source.read_bytes()
    digest = hashlib.sha256(server.body).hexdigest()
    monkeypatch.delenv(weights.FOLDER_VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return WeightFile(
        name="test",
        label="Test",
        file=f"test-{digest[:8]}.pth",
        origin="fetched",
        url=f"http://127.0.0.1:{server.server_port}/test.pth",
        sha256=digest,
        size_bytes=len(server.body),
        licence="CC0",
        help="numbers",
    )


def test_fetched_file_is_found_and_loaded(published: WeightFile) -> None:
    reports: list[tuple[int, int]] = []
    path = weights.download(published, lambda there, total: reports.append((there, total)))
    assert weights.find(published) == path
    assert torch.equal(weights.load(published).tensors["layer.weight"], torch.arange(300_000, dtype=torch.float32))
    assert reports[-1][0] == reports[-1][1] == path.stat().st_size
    assert not path.with_name(path.name + ".part").exists()


def test_broken_fetch_goes_on_where_it_stopped(published: WeightFile, server: Server) -> None:
    server.patience = 400_000
    with pytest.raises(InvalidInput, match="could not be downloaded") as failure:
        weights.download(published, lambda there, total: None)
    assert "where it stopped" in failure.value.hint
    assert weights.find(published) is None
    server.patience = None
    path = weights.download(published, lambda there, total: None)
    assert server.asked == [None, "bytes=400000-"]
    assert path.read_bytes() == server.body


def test_cancelled_fetch_keeps_what_came(published: WeightFile, server: Server) -> None:
    def cancel(there: int, total: int) -> None:
        raise JobCancelled("stop")

    with pytest.raises(JobCancelled):
        weights.download(published, cancel)
    part = weights.folders()[0] / (published.file + ".part")
    assert 0 < part.stat().st_size <= len(server.body)
    assert weights.download(published, lambda there, total: None).read_bytes() == server.body


def test_server_without_ranges_begins_anew(published: WeightFile, server: Server) -> None:
    folder = weights.folders()[0]
    folder.mkdir(parents=True)
    (folder / (published.file + ".part")).write_bytes(b"x" * 1000)
    server.ranges = False
    assert weights.download(published, lambda there, total: None).read_bytes() == server.body


def test_wrong_hash_is_refused_and_deleted(published: WeightFile, server: Server) -> None:
    server.body = server.body[:-1] + bytes([server.body[-1] ^ 1])
    with pytest.raises(InvalidInput, match="SHA-256"):
        weights.download(published, lambda there, total: None)
    assert list(weights.folders()[0].iterdir()) == []


def test_the_whole_digest_is_held_against_the_file(published: WeightFile) -> None:
    """A file whose digest has the same first digits is another file."""
    path = weights.download(published, lambda there, total: None)
    other = replace(published, sha256=published.sha256[:-1] + ("0" if published.sha256[-1] != "0" else "1"))
    with pytest.raises(InvalidInput, match=published.sha256):
        weights.check(other, path)
    assert all(len(entry.sha256) == 64 and int(entry.sha256, 16) for entry in WEIGHTS.values())


def test_offline_says_where_to_put_the_file(published: WeightFile, server: Server) -> None:
    server.shutdown()
    server.server_close()
    with pytest.raises(InvalidInput, match="could not be downloaded") as failure:
        weights.download(published, lambda there, total: None)
    assert published.file in failure.value.hint
    with pytest.raises(InvalidInput, match="not on this machine") as failure:
        weights.load(published)
    assert weights.FOLDER_VARIABLE in failure.value.hint


def test_a_folder_that_cannot_be_made(published: WeightFile, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageFull, match="could not be written"):
        weights.download(published, lambda there, total: None, tmp_path / "file" / "below")


def test_order_of_search(
    published: WeightFile, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
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


def test_damaged_file_is_not_used(published: WeightFile, server: Server) -> None:
    path = weights.folders()[0] / published.file
    path.parent.mkdir(parents=True)
    path.write_bytes(server.body[:5000])
    with pytest.raises(InvalidInput, match="damaged"):
        weights.load(published)
    for thorough in (False, True):
        presence = weights.presence(published, thorough=thorough)
        assert presence.path is None
        assert "damaged" in presence.problem
        assert presence.hint


def test_torchs_own_folder_is_the_one_that_torch_names(published: WeightFile, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.folders()[-1] == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.delenv("TORCH_HOME")
    assert weights.folders()[-1] == Path(torch.hub.get_dir()) / "checkpoints"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert weights.folders()[-1] == Path(torch.hub.get_dir()) / "checkpoints"


def test_a_users_own_file_need_not_be_the_tables(published: WeightFile, tmp_path: Path) -> None:
    own = {"layer.weight": torch.ones(3)}
    torch.save(own, tmp_path / "own.pth")
    save_file(own, tmp_path / "own.safetensors")
    for name in ("own.pth", "own.safetensors"):
        loaded = weights.load(published, tmp_path / name)
        assert torch.equal(loaded.tensors["layer.weight"], own["layer.weight"])
        assert loaded.sha256 == hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    with pytest.raises(InvalidInput, match="SHA-256"):  # but it is not put in the place of the table's
        weights.keep(published, tmp_path / "own.pth")
    with pytest.raises(InvalidInput, match="no Test weights"):
        weights.load(published, tmp_path / "none.pth")


def test_a_users_copy_of_the_tables_file_is_kept(published: WeightFile, server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    folder.mkdir()
    (folder / published.file).write_bytes(server.body)
    kept = weights.keep(published, folder)
    assert weights.find(published) == kept == weights.cache_folder() / published.file
    assert [path.name for path in kept.parent.iterdir()] == [published.file]
    assert server.asked == []


def test_prepare_knows_the_weights_by_name() -> None:
    assert prepare._entry(WEIGHTS, "vgg19") == (VGG19, "")
    assert prepare._entry(WEIGHTS, "vgg19=a=b.pth") == (VGG19, "a=b.pth")
    with pytest.raises(InvalidParameter, match="no weights 'vgg'") as caught:
        prepare._entry(WEIGHTS, "vgg")
    assert "vgg19" in caught.value.hint


@pytest.mark.parametrize("name", ["x.safetensors", "x.pth"])
@pytest.mark.parametrize("content", [b"", b"no weights", b"\xff" * 4096])
def test_what_holds_no_tensors_is_refused(published: WeightFile, tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InvalidInput, match="does not hold"):
        weights.load(published, tmp_path / name)


def test_tensors_without_names_are_refused(published: WeightFile, tmp_path: Path) -> None:
    torch.save([torch.ones(3)], tmp_path / "list.pth")
    with pytest.raises(InvalidInput, match="does not hold"):
        weights.load(published, tmp_path / "list.pth")


# Shipped, and through a job -----------------------------------------------------------------------------------------


@pytest.fixture
def shipped(published: WeightFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WeightFile:
    """A safetensors file where shipped weights lie, and its row."""
    folder = tmp_path / "shipped"
    folder.mkdir()
    save_file({"layer.weight": torch.arange(5.0)}, folder / "shipped.safetensors")
    monkeypatch.setattr(weights, "SHIPPED", folder)
    content = (folder / "shipped.safetensors").read_bytes()
    return replace(
        published, origin="shipped", file="shipped.safetensors", url="", size_bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
    )  # fmt: skip


def test_shipped_weights_are_read_from_their_folder_alone(shipped: WeightFile, monkeypatch: pytest.MonkeyPatch) -> None:
    assert torch.equal(weights.load(shipped).tensors["layer.weight"], torch.arange(5.0))
    assert weights.presence(shipped, thorough=True).path == weights.SHIPPED / shipped.file
    monkeypatch.setenv(weights.FOLDER_VARIABLE, str(weights.SHIPPED))
    (weights.SHIPPED / shipped.file).rename(weights.SHIPPED / "gone")
    with pytest.raises(InvalidInput, match="not on this machine") as caught:
        weights.load(shipped)
    assert "reinstall the backend" in caught.value.hint


def test_a_job_gets_tensors_and_remembers_their_hash(shipped: WeightFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "WEIGHTS", {"test": shipped})
    job = JobContext()
    assert torch.equal(job.weights("test")["layer.weight"], torch.arange(5.0))
    assert job.used_weights == {"test": shipped.sha256}
    job.declared_weights = ("other",)
    with pytest.raises(InternalError, match="does not list"):
        job.weights("test")


def test_a_job_fetches_only_when_it_is_told_to(
    published: WeightFile, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(context, "WEIGHTS", {"test": published})
    stages: list[str] = []
    job = JobContext(on_progress=lambda done, total, stage, left: stages.append(stage))
    with pytest.raises(InvalidInput, match="not on this machine"):
        job.weights("test")
    assert server.asked == []
    own = tmp_path / "own.pth"
    torch.save({"layer.weight": torch.ones(3)}, own)
    assert job.weights("test", file=str(own), fetch=True)["layer.weight"].numel() == 3
    assert server.asked == [], "the user's file stands first"
    assert job.weights("test", fetch=True)["layer.weight"].numel() == 300_000
    assert "downloading the Test weights" in stages
    assert len(job.weights("test", fetch=True)) == len(server.asked) == 1, "once"


def test_a_fetch_stops_with_its_job(published: WeightFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "WEIGHTS", {"test": published})
    with pytest.raises(JobCancelled):
        JobContext(is_cancelled=lambda: True).weights("test", fetch=True)


class Payload:
    def __reduce__(self) -> tuple:
        return (Path.touch, (Path("pwned"),))


def test_a_pickle_that_runs_code_is_refused(
    published: WeightFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "crafted.pth"
    torch.save({"x": Payload()}, path)
    crafted = replace(published, sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    with pytest.raises(InvalidInput, match="weights"):
        weights.load(crafted, path)
    assert not (tmp_path / "pwned").exists()


def test_the_published_name_carries_its_own_hash() -> None:
    assert VGG19.sha256[:8] in VGG19.file, "as its publisher names it"
    assert VGG19.url.endswith(VGG19.file)
    assert VGG19.size == "548 MiB"


def test_every_row_says_what_it_is() -> None:
    for entry in WEIGHTS.values():
        assert entry.licence
        assert entry.help
        assert entry.size_bytes > 0
        assert bool(entry.url) == (entry.origin == "fetched")
        if entry.origin == "shipped":
            assert entry.file.endswith(".safetensors")
            assert weights.presence(entry, thorough=True).path is not None
