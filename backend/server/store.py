"""Jobs and results on disk: what was accepted survives a crash of everything else.

    STATE_DIR/jobs/UUID/job.json         the job as the server knows it
                        inputs/          what came with Submit; gone once the job has ended
                        outputs/         what the worker made, with result.json
    STATE_DIR/handoff/                   large arrays on their way (shared/handoff.py)
    STATE_DIR/incoming/, trash/          halves: made whole by one rename, or removed at the next start

Nothing is half there: a folder gets its final name after its files are on disk. Arrays are raw bytes beside a JSON
description. The server and its workers share this module, so it must not import torch or zmq.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from backend.server.job import Job
from shared.algorithm import Arrays
from shared.arrays import KINDS, Array
from shared.errors import BackendUnavailable, InternalError, StorageFull
from shared.handoff import Handoff, map_values, mapped_file, write_values

log = logging.getLogger(__name__)

MAX_AGE_S = 7 * 24 * 3600.0
MAX_BYTES = 20 * 10**9
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """arrays: views of files that are mapped, not read. recipe: what repeats them."""

    arrays: Arrays
    recipe: Mapping[str, Any]


class Store:
    """The jobs in one state folder, which one server at a time may use."""

    def __init__(self, state_dir: Path) -> None:
        """Takes the folder for this process. Raises BackendUnavailable when another backend has it, or when it cannot
        be used.
        """
        self.root = state_dir
        self._stuck: set[Path] = set()  # what was dropped and could not be moved to the trash yet
        self._jobs, self._incoming, self._trash = (state_dir / name for name in ("jobs", "incoming", "trash"))
        try:
            state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._lock = _lock(state_dir / "lock")
            for folder in (self._incoming, self._trash):
                shutil.rmtree(folder, ignore_errors=True)  # halves of a run that was killed
            for folder in (self._jobs, self._incoming, self._trash):
                folder.mkdir(exist_ok=True, mode=0o700)
            self.handoff, self.handoff_offer = Handoff.create(state_dir / "handoff")
        except OSError as error:
            raise BackendUnavailable(
                f"The folder {state_dir} cannot be used: {error.strerror or error}.",
                hint="Check its permissions, or choose another --state.",
                field="state_dir",
            ) from error

    def close(self) -> None:
        self._lock.close()

    def folder(self, job_id: str) -> Path:
        return self._jobs / str(uuid.UUID(job_id))  # a job id comes from outside: no other text may become a path

    def accept(self, job: Job, arrays: Arrays) -> None:
        """Put a new job on disk, whole; after this it survives. Raises StorageFull, and then nothing of it is left."""
        folder = self._incoming / job.id
        try:
            (folder / "inputs").mkdir(parents=True)
            entries = write_arrays(folder / "inputs", arrays, self.handoff.folder)
            _write_json(folder / "inputs" / "arrays.json", {"arrays": entries}, sync=True)
            _sync_folder(folder / "inputs")
            _write_json(folder / "job.json", job.to_json(), sync=True)
            _sync_folder(folder)
            os.replace(folder, self.folder(job.id))
            _sync_folder(self._jobs)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise _disk_error(error, self.root) from error

    def save(self, job: Job) -> None:
        """Note a job's new state. A power cut may forget it, a killed process does not: the job would run once more."""
        try:
            _write_json(self.folder(job.id) / "job.json", job.to_json(), sync=False)
        except OSError as error:  # the job itself goes on; its owner learns the state from us as long as we live
            log.warning("the state of job %s could not be written: %s", job.id, error)

    def load(self) -> list[Job]:
        """Every job on disk, the oldest first. A folder that cannot be read is logged and set aside in place."""
        jobs = []
        for folder in sorted(self._jobs.iterdir()):
            try:
                job = Job.from_json(json.loads((folder / "job.json").read_text(encoding="utf-8")))
                if job.id != folder.name:
                    raise ValueError(f"it belongs to job {job.id}")
                jobs.append(job)
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.warning("job folder %s cannot be read and is ignored: %s", folder.name, error)
        return sorted(jobs, key=lambda job: job.submitted_at)

    def has_result(self, job_id: str) -> bool:
        return (self.folder(job_id) / "outputs" / "result.json").exists()

    def outputs(self, job_id: str) -> dict[str, Any]:
        """{port: {"kind", "shape"}} of a result, for Finished."""
        entries = _read_entries(self.folder(job_id) / "outputs" / "result.json")["arrays"]
        return {entry["port"]: {"kind": entry["kind"], "shape": entry["shape"]} for entry in entries}

    def result(self, job_id: str) -> StoredResult:
        folder = self.folder(job_id) / "outputs"
        header = _read_entries(folder / "result.json")
        try:
            return StoredResult(arrays=read_arrays(folder, header["arrays"], mode="r"), recipe=header["recipe"])
        except (OSError, ValueError) as error:  # ValueError: a file that is shorter than its array
            raise InternalError(f"The result's files cannot be read: {error}.", hint="Run the job again.") from error

    def drop_inputs(self, job_id: str) -> None:
        self._discard(self.folder(job_id) / "inputs")

    def drop_outputs(self, job_id: str) -> None:
        for name in ("outputs", "outputs.part"):
            self._discard(self.folder(job_id) / name)

    def drop(self, job_id: str) -> None:
        self._discard(self.folder(job_id))

    def _discard(self, folder: Path) -> None:
        # one rename makes it gone; unlinking gigabytes is left to empty_trash(), which may take its time
        try:
            os.replace(folder, self._trash / uuid.uuid4().hex)
        except FileNotFoundError:
            return
        except OSError as error:  # Windows keeps a file that is mapped: empty_trash() tries again
            log.info("%s stays for now: %s", folder.name, error)
            self._stuck.add(folder)

    def empty_trash(self) -> None:
        """Remove what was dropped. Slow for large results: call it where nobody waits."""
        for folder in list(self._stuck):
            self._stuck.discard(folder)
            self._discard(folder)
        for folder in self._trash.iterdir():
            shutil.rmtree(folder, ignore_errors=True)

    def size_bytes(self, job_id: str) -> int:
        """What a job that has ended takes; a worker may move the files of one that runs while they are counted."""
        folders = (self.folder(job_id), self.folder(job_id) / "outputs")
        files = [path for folder in folders if folder.is_dir() for path in folder.iterdir() if path.is_file()]
        return sum(path.stat().st_size for path in files)


def expired(
    jobs: Iterable[tuple[Job, int]], now: float, *, max_age_s: float = MAX_AGE_S, max_bytes: int = MAX_BYTES
) -> list[Job]:
    """The ended jobs, of (job, bytes on disk) pairs, that must go: those too old, then the oldest until the rest
    fits.
    """
    pairs = sorted(jobs, key=lambda pair: pair[0].finished_at)
    total = sum(size for _, size in pairs)
    gone = []
    for job, size in pairs:
        if job.state.is_final and (now - job.finished_at > max_age_s or total > max_bytes):
            gone.append(job)
            total -= size
    return gone


def write_result(folder: Path, arrays: Arrays, recipe: Mapping[str, Any]) -> None:
    """A worker's part: the outputs of the job in `folder`, whole or not at all. Raises StorageFull."""
    part = folder / "outputs.part"
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        entries = write_arrays(part, arrays)
        _write_json(part / "result.json", {"arrays": entries, "recipe": recipe}, sync=True)
        _sync_folder(part)
        shutil.rmtree(folder / "outputs", ignore_errors=True)  # of an attempt that nobody heard of
        os.replace(part, folder / "outputs")
        _sync_folder(folder)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise _disk_error(error, folder) from error


def read_inputs(folder: Path) -> Arrays:
    """A worker's part: the arrays of the job in `folder`, mapped so that writing to them changes no file."""
    return read_arrays(folder / "inputs", _read_entries(folder / "inputs" / "arrays.json")["arrays"], mode="c")


def write_arrays(folder: Path, arrays: Arrays, handed_over: Path | None = None) -> list[dict[str, Any]]:
    """Each array as N.raw, on disk on return; what each is, for the JSON beside them.

    Raw bytes, not .npy: a file that a client handed over becomes the job's by a rename.
    """
    entries = []
    for port, given in arrays.items():
        for array in given:
            name = f"{len(entries)}.raw"
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
    return entries


def read_arrays(folder: Path, entries: list[dict[str, Any]], mode: str) -> Arrays:
    arrays: dict[str, tuple[Array, ...]] = {}
    for entry in entries:
        values = map_values(folder / entry["file"], np.dtype(entry["dtype"]), tuple(entry["shape"]), mode)
        array = Array(KINDS[entry["kind"]], values, entry["attributes"])
        arrays[entry["port"]] = (*arrays.get(entry["port"], ()), array)
    return arrays


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


def _write_json(path: Path, value: Any, *, sync: bool) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file)
        file.flush()
        if sync:
            os.fsync(file.fileno())
    os.replace(part, path)


def _read_entries(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InternalError(f"The job's files cannot be read: {error}.", hint="Run the job again.") from error


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _disk_error(error: OSError, where: Path) -> StorageFull | InternalError:
    if error.errno in _FULL:
        return StorageFull(
            f"There is not enough space for the job on the disk of {where}.",
            hint="Free some space, or release old results.",
        )
    return InternalError(
        f"The job could not be written to {where}: {error.strerror or error}.", hint="Check the folder's permissions."
    )


def _lock(path: Path) -> Any:
    """An open file that locks the state folder until it is closed, or this process ends in whatever way."""
    file = path.open("a+b")
    try:
        if os.name == "nt":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise BackendUnavailable(
            f"Another backend already uses the folder {path.parent}.",
            hint="Connect to it, stop it, or choose another --state.",
            field="state_dir",
        ) from error
    return file
