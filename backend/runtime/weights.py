"""Pretrained weights that the user brings: where they are looked for, how they are fetched on request, and that
they are whole.

Nothing is downloaded unless download() is called. A file counts only when its SHA-256 begins as its name says;
it is read with weights_only, so that a crafted file can run no code. Weights that ship with the project are in
backend/weights/.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import torch
from torch import Tensor

from shared.errors import InvalidInput, StorageFull

log = logging.getLogger(__name__)
FOLDER_VARIABLE = "RELIEVO_WEIGHTS"
CHUNK = 1 << 20
TIMEOUT_S = 30.0
Progress = Callable[[int, int], None]  # (bytes there, bytes in all or 0); may raise to stop, what is there is kept


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file of weights as its makers publish it. sha256_prefix: what the SHA-256 of the whole file begins
    with, hexadecimal."""

    name: str
    file: str
    url: str
    sha256_prefix: str
    size: str


VGG19 = WeightFile(
    name="VGG-19",
    file="vgg19-dcbb9e9d.pth",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    sha256_prefix="dcbb9e9d",
    size="548 MiB",
)


def cache_folder() -> Path:
    """The user's cache folder for weights; not made here."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return base / "relievo" / "weights"


def folders() -> list[Path]:
    """Where weights are looked for, in order: $RELIEVO_WEIGHTS, the cache folder, torch.hub's own folder."""
    named = os.environ.get(FOLDER_VARIABLE)
    return ([Path(named)] if named else []) + [cache_folder(), Path(torch.hub.get_dir()) / "checkpoints"]


def find(wanted: WeightFile, path: Path | None = None) -> Path | None:
    """The file at `path` (the file or its folder), else in the first of folders() that has it; None where there
    is none.

    InvalidInput when an explicit path has no such file, or when the file found is not what its name promises.
    """
    if path is not None:
        candidates = [path / wanted.file if path.is_dir() else path]
        if not candidates[0].is_file():
            raise InvalidInput(
                f"There are no {wanted.name} weights at {candidates[0]}.", hint=_where(wanted), field="weights"
            )
    else:
        candidates = [folder / wanted.file for folder in folders()]
    for candidate in candidates:
        if candidate.is_file():
            check(wanted, candidate)
            return candidate
    return None


_checked: set[tuple[Path, int, int]] = set()  # (path, size, time of change) that check() has read in this process


def check(wanted: WeightFile, path: Path) -> None:
    """InvalidInput unless the SHA-256 of the file begins with the promised digits. Reads a file once in a
    process."""
    status = path.stat()
    key = (path.resolve(), status.st_size, status.st_mtime_ns)
    if key in _checked:
        return
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if not digest.startswith(wanted.sha256_prefix):
        raise InvalidInput(
            f"{path} is damaged or another file: its SHA-256 begins with {digest[:8]}, not {wanted.sha256_prefix}.",
            hint="Delete it and fetch it again.",
            field="weights",
        )
    _checked.add(key)


def load(wanted: WeightFile, path: Path | None = None) -> dict[str, Tensor]:
    """The tensors of the file, on the CPU, mapped from disk rather than read whole. InvalidInput when it is
    nowhere."""
    found = find(wanted, path)
    if found is None:
        raise InvalidInput(f"The {wanted.name} weights are not on this machine.", hint=_where(wanted), field="features")
    try:
        state = torch.load(found, map_location="cpu", weights_only=True, mmap=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise InvalidInput(
            f"{found} holds something else than {wanted.name} weights.",
            hint="Delete it and fetch it again.",
            field="weights",
        ) from error
    return {str(name): value for name, value in state.items()}


def download(wanted: WeightFile, progress: Progress, folder: Path | None = None) -> Path:
    """Fetch the file into `folder` (the first of folders()), going on from an earlier, broken attempt. Returns
    its path.

    Written as FILE.part and renamed once its hash is right, so that a file of that name is always whole. Raises
    InvalidInput without a connection (what came is kept) or when the hash is wrong (what came is deleted),
    StorageFull when the folder takes no more, and whatever progress raises.
    """
    folder = folder or folders()[0]
    target = folder / wanted.file
    part = target.with_name(target.name + ".part")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(wanted, folder, error) from error
    try:
        _fetch(wanted, part, progress)
    except (OSError, HTTPException) as error:  # urllib's errors, broken connections and time-outs are OSErrors
        reason = getattr(error, "reason", None) or error
        raise InvalidInput(
            f"The {wanted.name} weights could not be fetched from {wanted.url}: {reason}.",
            hint="Try again to go on from where it stopped. " + _where(wanted),
            field="features",
        ) from error
    try:
        check(wanted, part)
    except InvalidInput:
        part.unlink()
        raise
    part.replace(target)
    log.info("%s weights are in %s", wanted.name, target)
    return target


def _fetch(wanted: WeightFile, part: Path, progress: Progress) -> None:
    """Append to `part` what is missing. A server that ignores the range sends everything, and the file begins
    anew."""
    there = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(wanted.url, headers={"Range": f"bytes={there}-"} if there else {})
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code == 416 and there:  # nothing follows: the file is whole, or another; the hash will tell
            return
        raise
    with answer:
        resumed = answer.status == 206
        there = there if resumed else 0
        missing = int(answer.headers.get("Content-Length") or 0)
        total = there + missing if missing else 0
        with part.open("ab" if resumed else "wb") as stream:
            while chunk := answer.read(CHUNK):
                try:
                    stream.write(chunk)
                    stream.flush()
                except OSError as error:
                    raise _unwritable(wanted, part.parent, error) from error
                there += len(chunk)
                progress(there, total)
    if total and there < total:
        raise ConnectionError(f"the connection ended after {there} of {total} bytes")


def _unwritable(wanted: WeightFile, folder: Path, error: OSError) -> StorageFull:
    return StorageFull(
        f"The {wanted.name} weights ({wanted.size}) could not be written to {folder}: {error.strerror or error}.",
        hint=f"Make room there, or let ${FOLDER_VARIABLE} name another folder.",
        field="features",
    )


def _where(wanted: WeightFile) -> str:
    return (
        f"Fetch them ({wanted.size}) with the setting download_weights (--download-weights; Download Weights in Blender), or "
        f"put torchvision's {wanted.file} into the folder named by ${FOLDER_VARIABLE} or into {cache_folder()}."
    )
