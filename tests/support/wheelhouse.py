"""Small wheels, lock files for them, and a package index on this machine that serves them: installing for real, in seconds."""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.setup.locks import Pin


def make_wheel(folder: Path, name: str, version: str, *, filler: int = 0) -> Path:
    """A wheel whose module `name` has a __version__. filler: bytes that do not compress, to make its download last."""
    import random

    folder.mkdir(parents=True, exist_ok=True)
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}/__init__.py": f"__version__ = {version!r}\n".encode(),
        f"{name}/filler.bin": random.Random(0).randbytes(filler),
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{path},sha256={_record_digest(data)},{len(data)}" for path, data in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, data in files.items():
            archive.writestr(zipfile.ZipInfo(path, date_time=(2026, 1, 1, 0, 0, 0)), data)
    return wheel


def _record_digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


def pin(wheel: Path, marker: str = "") -> Pin:
    name, version = wheel.name.split("-")[:2]
    return Pin(name, version, marker, (hashlib.sha256(wheel.read_bytes()).hexdigest(),))


def write_lock(folder: Path, name: str, *pins: Pin) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.lock"
    path.write_text("# made by a test\n" + "\n".join(map(str, pins)) + "\n", encoding="utf-8")
    return path


@contextmanager
def index(wheels: Path) -> Iterator[str]:
    """The address of a package index (PEP 503) that serves a folder of wheels on loopback while the block lasts."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            if not self.path.startswith("/simple/"):
                super().do_GET()
                return
            name = self.path.removeprefix("/simple/").strip("/").replace("-", "_")
            links = [f'<a href="/{p.name.replace("+", "%2B")}">{p.name}</a>' for p in wheels.glob(f"{name}-*.whl")]
            self.send_response(200 if links else 404)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(f"<html><body>{''.join(links)}</body></html>".encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    def handler(*args: object) -> Handler:
        return Handler(*args, directory=str(wheels))  # type: ignore[arg-type]

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/simple"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
