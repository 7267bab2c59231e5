"""Pretrained weights of the table in shared/weights.py: where they are looked for, how they are fetched on request, and that they
are whole.

Nothing is downloaded unless download() is called. A file of the table counts only when its SHA-256 is the table's, all of it.
.safetensors hold no code; .pth files are read with weights_only, so that a crafted one can run none. Algorithms come here through
JobContext.weights() alone.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared import digests
from shared.errors import InvalidInput, StorageFull
from shared.weights import WeightFile

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)
FOLDER_VARIABLE = "RELIEVO_WEIGHTS"
CHUNK = 1 << 20
TIMEOUT_S = 30.0
Progress = Callable[[int, int], None]  # (bytes there, bytes in all or 0); may raise to stop, what is there is kept


SHIPPED = Path(__file__).resolve().parents[1] / "shipped" / "weights"


@dataclass(frozen=True, kw_only=True)
class LoadedWeights:
    """tensors: on the CPU, mapped from disk rather than read whole. sha256: of the whole file, hexadecimal. about: what the
    header of a file of Relievo's own training says."""

    tensors: dict[str, Tensor]
    sha256: str
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Presence:
    """Whether the weights are on this machine. path: None where they are not. problem, hint: of a file that is damaged."""

    entry: WeightFile
    path: Path | None
    problem: str = ""
    hint: str = ""

    @property
    def text(self) -> str:
        """Where they are, how large and under which licence, for people."""
        origin = "ships with Relievo" if self.entry.origin == "shipped" else f"{self.entry.size}"
        where = str(self.path) if self.path is not None else "not on this machine"
        return f"{self.problem or where} ({origin}; {self.entry.licence})"


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
    return ([Path(named)] if named else []) + [cache_folder(), _torch_hub_folder()]


def _torch_hub_folder() -> Path:
    """Where torch.hub keeps what it has fetched, by the rule of its documentation: importing torch takes seconds."""
    caches = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(os.environ.get("TORCH_HOME", f"{caches}/torch")).expanduser() / "hub" / "checkpoints"


def find(wanted: WeightFile, path: Path | None = None) -> Path | None:
    """The file at `path` (the file or its folder), else in the first of the folders that has it; None where there is none.

    The folders: backend/shipped/weights for what ships, folders() for what is fetched. InvalidInput when an explicit path has no
    such file, or when the file found is not what the table promises.
    """
    found = _explicit(wanted, path) if path is not None else _lies_at(wanted)
    if found is not None:
        check(wanted, found)
    return found


def _lies_at(wanted: WeightFile) -> Path | None:
    looked_through = [SHIPPED] if wanted.origin == "shipped" else folders()
    return next((folder / wanted.file for folder in looked_through if (folder / wanted.file).is_file()), None)


def presence(wanted: WeightFile, *, thorough: bool = False) -> Presence:
    """Whether the weights are here and of the right size, for doctor and list; thorough: their SHA-256 too. Never raises."""
    try:
        found = find(wanted) if thorough else _lies_at(wanted)
        if found is not None and found.stat().st_size != wanted.size_bytes:
            return Presence(
                entry=wanted, path=None, problem=f"{found} is damaged", hint="Delete it and download it again."
            )
        return Presence(entry=wanted, path=found)
    except (InvalidInput, OSError) as error:
        hint = error.hint if isinstance(error, InvalidInput) else ""
        return Presence(entry=wanted, path=None, problem=str(getattr(error, "message", error)), hint=hint)


def _explicit(wanted: WeightFile, path: Path) -> Path:
    candidate = path / wanted.file if path.is_dir() else path
    if not candidate.is_file():
        raise InvalidInput(f"There are no {wanted.label} weights at {candidate}.", hint=_where(wanted), field="weights")
    return candidate


_digests: dict[
    tuple[Path, int, int], str
] = {}  # by path, size and time of change: SHA-256 of files read in this process


def _digest(path: Path) -> str:
    """The SHA-256 of a file, read once in a process as long as it does not change."""
    status = path.stat()
    key = (path.resolve(), status.st_size, status.st_mtime_ns)
    if key not in _digests:
        _digests[key] = digests.of_file(path)
    return _digests[key]


def check(wanted: WeightFile, path: Path) -> None:
    """InvalidInput unless the SHA-256 of the file is the one in the table. Reads a file once in a process."""
    digest = _digest(path)
    if digest != wanted.sha256:
        raise InvalidInput(
            f"{path} is damaged or another file: its SHA-256 is {digest}, not {wanted.sha256}.",
            hint="Delete it and download it again." if wanted.origin == "fetched" else "Reinstall the backend.",
            field="weights",
        )


def load(wanted: WeightFile, path: Path | None = None) -> LoadedWeights:
    """The tensors of the file that find() finds, or of the user's own at `path`. InvalidInput where they are nowhere.

    A file that the user names need not be the table's: it may be of their own training. What it holds is the caller's to check.
    """
    found = _explicit(wanted, path) if path is not None else find(wanted)
    if found is None:
        raise InvalidInput(f"The {wanted.label} weights are not on this machine.", hint=_where(wanted), field="weights")
    from safetensors import SafetensorError

    try:
        return LoadedWeights(tensors=_read(found), sha256=_digest(found))
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, SafetensorError) as error:
        raise InvalidInput(
            f"{found} does not hold {wanted.label} weights.",
            hint="Delete it and download it again." if path is None else "Name a .safetensors or .pth file of tensors.",
            field="weights",
        ) from error


def load_trained(path: Path) -> LoadedWeights:
    """The tensors of a file that `train` has written, and what its header says of them. What model it is is the caller's to check.

    Raises InvalidInput: no such file, no safetensors, one without the header of a training, or one that is damaged.
    """
    from safetensors import SafetensorError, safe_open
    from safetensors.torch import load_file

    from backend.files.tensor_digests import tensors_digest

    if not path.is_file():
        raise InvalidInput(f"There is no file {path}.", hint=_TRAINED_HINT, field="model")
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("relievo", "null"))
        tensors = load_file(path)
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InvalidInput(f"{path} is damaged or no .safetensors file.", hint=_TRAINED_HINT, field="model") from error
    if not isinstance(about, dict) or not isinstance(about.get("model"), str):
        raise InvalidInput(f"{path} does not say what model it holds.", hint=_TRAINED_HINT, field="model")
    if about.get("tensors_sha256", "") not in ("", tensors_digest(tensors)):
        raise InvalidInput(
            f"{path} is damaged: its content is not what its header says.", hint=_TRAINED_HINT, field="model"
        )
    return LoadedWeights(tensors=tensors, sha256=_digest(path), about=about)


_TRAINED_HINT = "Name the weights.safetensors in the folder of a training."


def _read(path: Path) -> dict[str, Tensor]:
    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path)
    state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    if not isinstance(state, Mapping) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ValueError("no tensors by name")
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
            f"The {wanted.label} weights could not be downloaded from {wanted.url}: {reason}.",
            hint="Try again to continue where it stopped. " + _where(wanted),
            field="weights",
        ) from error
    try:
        check(wanted, part)
    except InvalidInput:
        part.unlink()
        raise
    part.replace(target)
    log.info("%s weights are in %s", wanted.label, target)
    return target


def keep(wanted: WeightFile, source: Path) -> Path:
    """Copy the user's file (or the one in that folder) to where find() looks first; returns its path.

    Raises InvalidInput where it is not there or not what the table promises, StorageFull where the folder takes no more.
    """
    source = _explicit(wanted, source)
    check(wanted, source)
    folder = folders()[0]
    part = folder / f"{wanted.file}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, part)
        part.replace(folder / wanted.file)
    except OSError as error:
        raise _unwritable(wanted, folder, error) from error
    return folder / wanted.file


def _fetch(wanted: WeightFile, part: Path, progress: Progress) -> None:
    """Append to `part` what is missing. A server that ignores the range sends everything, and the file begins
    again."""
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
        f"The {wanted.label} weights ({wanted.size}) could not be written to {folder}: {error.strerror or error}.",
        hint=f"Free some space there, or set ${FOLDER_VARIABLE} to another folder.",
        field="weights",
    )


def _where(wanted: WeightFile) -> str:
    if wanted.origin == "shipped":
        return "They ship with Relievo: reinstall the backend."
    return (
        f"Fetch them ({wanted.size}) with the setting download_weights (--download-weights; Download Weights in Blender), or "
        f"put {wanted.file} into the folder named by ${FOLDER_VARIABLE} or into {cache_folder()}."
    )
