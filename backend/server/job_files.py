"""The files of one job: arrays as raw bytes beside a JSON description, whole on disk or not there, and read with suspicion.

What is read may have been cut short, swapped or written by an older version: each such file becomes one error that names it. The
server and its workers share this module, so it must not import torch or zmq. Where a job's folder lies is store.py's.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import os
import shutil
import stat
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from backend.server.state_folder import FULL, open_new
from shared.algorithm import Arrays
from shared.arrays import KINDS, Array
from shared.errors import InternalError, InvalidInput, StorageFull
from shared.handoff import map_values, mapped_file, write_values

log = logging.getLogger(__name__)

MAX_JSON_BYTES = 64 << 20  # far above any job's; a file of gigabytes in its place must not be read into memory
_UNSERIALISABLE = (TypeError, ValueError, RecursionError)  # what json.dump raises for what is no JSON


def write_result(folder: Path, arrays: Arrays, recipe: Mapping[str, Any]) -> None:
    """A worker's part: the outputs of the job in `folder`, whole or not at all, with a digest each. Raises StorageFull."""
    part = folder / "outputs.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir(mode=0o700)
        entries = write_arrays(part, arrays, with_digests=True)
        write_json(part / "result.json", {"arrays": entries, "recipe": recipe}, sync=True)
        sync_folder(part)
        shutil.rmtree(folder / "outputs", ignore_errors=True)  # of an attempt that nobody heard of
        os.replace(part, folder / "outputs")
        sync_folder(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise disk_error(error, folder) from error


def read_inputs(folder: Path) -> Arrays:
    """A worker's part: the arrays of the job in `folder`, mapped so that writing to them changes no file. Raises InternalError,
    naming the file, where one is damaged.
    """
    return read_arrays(folder / "inputs", read_header(folder / "inputs" / "arrays.json")["arrays"], mode="c")


def write_arrays(
    folder: Path, arrays: Arrays, handed_over: Path | None = None, *, with_digests: bool = False
) -> list[dict[str, Any]]:
    """Each array as N.raw, on disk on return; what each is, for the JSON beside them.

    Raw bytes, not .npy: a file that a client handed over becomes the job's by a rename. Digests are made beside the writing, on a
    thread of their own: hashing takes as long as the disk does.
    """
    entries: list[dict[str, Any]] = []
    with ThreadPoolExecutor(1) as hasher:
        digests: list[Future[str]] = []
        for port, given in arrays.items():
            for array in given:
                name = f"{len(entries)}.raw"
                if with_digests:
                    digests.append(hasher.submit(_digest, array.values))
                _keep_values(folder / name, array.values, handed_over)
                entries.append(
                    {
                        "file": name,
                        "port": port,
                        "kind": array.kind.name,
                        "dtype": array.values.dtype.str,
                        "shape": list(array.values.shape),
                        "attributes": dict(array.attributes),
                    }
                )
        for entry, digest in zip(entries, digests, strict=False):
            entry["sha256"] = digest.result()
    return entries


def read_arrays(folder: Path, entries: list[dict[str, Any]], mode: str) -> Arrays:
    """entries: as read_header() has checked them. Raises InternalError for a file that is not what its entry says."""
    arrays: dict[str, tuple[Array, ...]] = {}
    for entry in entries:
        path, dtype, shape = folder / entry["file"], np.dtype(entry["dtype"]), tuple(entry["shape"])
        _check_size(path, math.prod(shape) * dtype.itemsize)
        try:
            values = map_values(path, dtype, shape, mode)
        except (OSError, ValueError) as error:
            raise _damaged(path, f"it cannot be read ({error})") from error
        array = Array(KINDS[entry["kind"]], values, entry["attributes"])
        arrays[entry["port"]] = (*arrays.get(entry["port"], ()), array)
    return arrays


def check_digests(folder: Path, entries: list[dict[str, Any]]) -> None:
    """Raises InternalError for the first file whose bytes are not those that were written. Reads every byte: not for the server's
    own thread. Entries of older versions have no digest, and pass.
    """
    for entry in entries:
        if "sha256" not in entry:
            continue
        path = folder / entry["file"]
        try:
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise _damaged(path, f"it cannot be read ({error.strerror or error})") from error
        if digest != entry["sha256"]:
            raise _damaged(path, "its bytes are not those that were written (SHA-256)")


def read_header(path: Path) -> dict[str, Any]:
    """The JSON beside arrays, every entry checked, so that readers need not look again. Raises InternalError naming the file."""
    try:
        header = read_json(path)
        if not isinstance(header, dict) or not isinstance(header["arrays"], list):
            raise ValueError("it is no description of arrays")
        for entry in header["arrays"]:
            _check_entry(entry)
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise _damaged(path, _why(error)) from error
    return header


def _check_entry(entry: Any) -> None:
    """ValueError, KeyError or TypeError for what no version has written."""
    kind, dtype, shape, name = KINDS[entry["kind"]], entry["dtype"], entry["shape"], entry["file"]
    if len(shape) != len(kind.axes) or not isinstance(dtype, str) or np.dtype(dtype).kind not in "biuf":
        raise ValueError(f"{dtype!r} and {shape!r} are not those of a {kind.name}")
    if not all(type(length) is int and 0 <= length < 2**48 for length in shape):
        raise ValueError("a shape is none")
    if not isinstance(name, str) or not name.removesuffix(".raw").isdecimal() or not name.endswith(".raw"):
        raise ValueError("a file's name is none")
    if not isinstance(entry["port"], str) or not isinstance(entry["attributes"], dict):
        raise TypeError("a port or its attributes are none")


def write_json(path: Path, value: Any, *, sync: bool) -> None:
    """Whole or not at all. sync: on disk on return, not merely in the system's memory. Raises OSError, and InvalidInput for what is
    no JSON."""
    part = path.with_name(path.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(open_new(part), "w", encoding="utf-8") as file:
        try:
            json.dump(value, file)
        except _UNSERIALISABLE as error:
            raise InvalidInput(f"The job's description cannot be kept: {_why(error)}.", field="params") from error
        file.flush()
        if sync:
            os.fsync(file.fileno())
    os.replace(part, path)


def read_json(path: Path) -> Any:
    """Raises OSError or ValueError, and RecursionError for what is nested too deeply."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):  # a pipe would never end, a link may lead anywhere
        raise ValueError("it is no plain file")
    if status.st_size > MAX_JSON_BYTES:
        raise ValueError(f"it has {status.st_size} bytes")
    return json.loads(path.read_text(encoding="utf-8"))


def sync_folder(folder: Path) -> None:
    """Have the folder's names on disk on return."""
    if os.name == "nt":  # Windows cannot open a folder; its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def disk_error(error: OSError, where: Path) -> StorageFull | InternalError:
    if error.errno in FULL:
        return StorageFull(
            f"There is not enough space for the job on the disk of {where}.",
            hint="Free some space, or release old results.",
        )
    return InternalError(
        f"The job could not be written to {where}: {error.strerror or error}.", hint="Check the folder's permissions."
    )


def _check_size(path: Path, wanted: int) -> None:
    try:
        status = path.lstat()
    except OSError as error:
        raise _damaged(path, _why(error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise _damaged(path, "it is no plain file")
    if status.st_size != wanted:
        raise _damaged(path, f"it has {status.st_size} bytes instead of {wanted}")


def _damaged(path: Path, why: str) -> InternalError:
    return InternalError(
        f"A file of the job is damaged and cannot be read: {path.parent.name}/{path.name}: {why}.",
        hint="Run the job again.",
    )


def _why(error: BaseException) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    return f"{error}" if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"


def _digest(values: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data).hexdigest()


def _keep_values(path: Path, values: np.ndarray, handed_over: Path | None) -> None:
    source = mapped_file(values)
    if source is not None and source.parent == handed_over:
        try:
            os.replace(source, path)
        except OSError as error:  # Windows moves no file that is mapped; another disk takes no rename
            log.debug("%s is copied: %s", source.name, error)
            write_values(path, values)
    else:
        write_values(path, values)
    with path.open("r+b") as file:
        os.fsync(file.fileno())
