"""Jobs and results on disk: what was accepted survives a crash of everything else, and one spoiled job spoils no other.

    STATE_DIR/jobs/UUID/accepted.json    the job as it was accepted; never written again
                        job.json         the job as the server knows it now
                        inputs/          what came with Submit; gone once the job has ended
                        outputs/         what the worker made, with result.json
    STATE_DIR/handoff/                   large arrays on their way (shared/handoff.py)
    STATE_DIR/incoming/, trash/          halves: made whole by one rename, or removed at the next start

Nothing is half there: a folder gets its final name after its files are on disk. The files of a job are job_files.py's, the folder
around them state_folder.py's. Must not import torch or zmq.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.server.clock import counted_s
from backend.server.job import Job, error_json
from backend.server.job_files import (
    check_digests,
    disk_error,
    read_arrays,
    read_header,
    read_json,
    sync_folder,
    write_arrays,
    write_json,
)
from backend.server.state_folder import StateFolder
from shared.algorithm import Arrays
from shared.errors import BackendUnavailable, InternalError
from shared.handoff import Handoff
from shared.jobs import JobState

log = logging.getLogger(__name__)

MAX_AGE_S = 7 * 24 * 3600.0
MAX_BYTES = 20 * 10**9
TRUSTED_S = 600.0  # for so long a file that nobody has touched counts as read back: it is still in the system's memory


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """arrays: views of files that are mapped, not read. recipe: what repeats them."""

    arrays: Arrays
    recipe: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Spoiled:
    """An entry of jobs/ that is no readable job. changed_at: seconds since 1970."""

    path: Path
    size_bytes: int
    changed_at: float


class Store:
    """The jobs in one state folder, which one server at a time may use."""

    def __init__(self, state_dir: Path) -> None:
        """Takes the folder for this process. Raises BackendUnavailable when another backend has it, or when it cannot
        be used.
        """
        self.root = state_dir
        self._stuck: set[Path] = set()  # what was dropped and could not be moved to the trash yet
        self._checked: dict[str, tuple[tuple[Any, ...], float]] = {}  # job -> its files as they were, and when
        self.spoiled: list[Spoiled] = []
        self._jobs, self._incoming, self._trash = (state_dir / name for name in ("jobs", "incoming", "trash"))
        try:
            self.state_folder = StateFolder(state_dir)
            try:
                for folder in (self._incoming, self._trash):  # halves of a run that was killed
                    for path in folder.iterdir():
                        _remove(path)
                self.handoff, self.handoff_offer = self.state_folder.with_room(
                    lambda: Handoff.create(state_dir / "handoff")
                )
                with contextlib.suppress(OSError):  # a disk that is full: they are there already
                    sync_folder(state_dir)
            except BaseException:
                self.state_folder.close()
                raise
        except OSError as error:
            raise BackendUnavailable(
                f"The folder {state_dir} cannot be used: {error.strerror or error}.",
                hint="Check its permissions and the room on its disk, or choose another --state.",
                field="state_dir",
            ) from error

    def close(self) -> None:
        self.state_folder.close()

    def folder(self, job_id: str) -> Path:
        return self._jobs / str(uuid.UUID(job_id))  # a job id comes from outside: no other text may become a path

    def accept(self, job: Job, arrays: Arrays) -> None:
        """Put a new job on disk, whole; after this it survives, a power cut too. Raises StorageFull, InvalidInput or, where
        the state folder is gone, BackendUnavailable; then nothing of it is left.
        """
        folder, final = self._incoming / job.id, self.folder(job.id)
        try:
            folder.mkdir(mode=0o700)  # no parents: a state folder that was deleted is not made again
            (folder / "inputs").mkdir(mode=0o700)
            entries = write_arrays(folder / "inputs", arrays, self.handoff.folder)
            write_json(folder / "inputs" / "arrays.json", {"arrays": entries}, sync=True)
            sync_folder(folder / "inputs")
            for name in ("accepted.json", "job.json"):  # two files: one damaged block must not take both
                write_json(folder / name, job.to_json(), sync=True)
            sync_folder(folder)
            if final.exists() or final.is_symlink():  # spoiled, or the server would know it
                self._discard(final)
            os.replace(folder, final)
            sync_folder(self._jobs)
        except BaseException as error:  # whatever it is, no half may stay
            _remove(folder)
            if not isinstance(error, OSError):
                raise
            if not self.state_folder.is_there:
                raise BackendUnavailable(
                    f"The folder {self.root} was deleted while the backend used it; the backend ends.",
                    hint="Start it again and send the job once more.",
                ) from error
            raise disk_error(error, self.root) from error

    def save(self, job: Job) -> None:
        """Note a job's new state. A power cut may forget it, a killed process does not: the job would run once more."""
        try:
            write_json(self.folder(job.id) / "job.json", job.to_json(), sync=False)
        except OSError as error:  # the job itself goes on; its owner learns the state from us as long as we live
            log.warning("the state of job %s could not be written: %s", job.id, error)

    def load(self) -> list[Job]:
        """Every job on disk, the oldest first. What cannot be read is logged, counted as `spoiled` and left where it is."""
        for sentence in self.state_folder.put_aside:
            log.warning("%s: %s", self.root, sentence)
        jobs = []
        for path in sorted(self._jobs.iterdir()):
            try:
                jobs.append(_read_job(path))
            except Exception as error:  # whatever a file may hold: it must not keep the other jobs away
                self.set_aside(path, error)
        return sorted(jobs, key=lambda job: job.submitted_at)

    def set_aside(self, path: Path, error: Exception) -> None:
        """Count this entry of jobs/ as spoiled: it keeps its place until drop_spoiled()."""
        log.warning("job folder %s cannot be read and is ignored: %s: %s", path.name, type(error).__name__, error)
        self.spoiled.append(_spoiled(path))

    def drop_spoiled(self, is_too_old: Callable[[float], bool], max_bytes: int) -> bool:
        """Drop what is spoiled and too old, by its last change, and then the oldest until the rest fits; whether any was."""
        before = len(self.spoiled)
        total = sum(entry.size_bytes for entry in self.spoiled)
        for entry in sorted(self.spoiled, key=lambda entry: entry.changed_at):
            if is_too_old(entry.changed_at) or total > max_bytes:
                log.info("%s, which is no readable job, is removed: too old, or the store is full", entry.path.name)
                self._discard(entry.path)
                self.spoiled.remove(entry)
                total -= entry.size_bytes
        return len(self.spoiled) < before

    def has_result(self, job_id: str) -> bool:
        return (self.folder(job_id) / "outputs" / "result.json").exists()

    def outputs(self, job_id: str) -> dict[str, Any]:
        """{port: {"kind", "shape"}} of a result, for Finished. Raises InternalError where it is damaged."""
        entries = read_header(self.folder(job_id) / "outputs" / "result.json")["arrays"]
        return {entry["port"]: {"kind": entry["kind"], "shape": entry["shape"]} for entry in entries}

    def result(self, job_id: str) -> StoredResult:
        """Its files mapped, their sizes checked; for their bytes see check_result(). Raises InternalError naming a damaged file."""
        folder = self.folder(job_id) / "outputs"
        header = read_header(folder / "result.json")
        recipe = header.get("recipe")
        return StoredResult(
            arrays=read_arrays(folder, header["arrays"], mode="r"), recipe=recipe if isinstance(recipe, dict) else {}
        )

    def trust_result(self, job_id: str) -> None:
        """Note that a worker has just written it, or that check_result() has just read it."""
        with contextlib.suppress(InternalError, OSError):
            self._checked[job_id] = self._signature(job_id), counted_s()

    def is_trusted(self, job_id: str) -> bool:
        """Whether its bytes need no reading: nobody has touched the files since they were written or read, just now."""
        signature, at = self._checked.get(job_id, ((), 0.0))
        try:
            return counted_s() - at < TRUSTED_S and signature == self._signature(job_id)
        except OSError:
            return False

    def check_result(self, job_id: str) -> None:
        """Read every byte of a result and hold it against its digest. Slow: for another thread. Raises InternalError."""
        folder = self.folder(job_id) / "outputs"
        check_digests(folder, read_header(folder / "result.json")["arrays"])
        self.trust_result(job_id)

    def _signature(self, job_id: str) -> tuple[Any, ...]:
        found = sorted((self.folder(job_id) / "outputs").iterdir())
        return tuple((path.name, s.st_ino, s.st_size, s.st_mtime_ns) for path in found for s in (path.lstat(),))

    def drop_inputs(self, job_id: str) -> None:
        self._discard(self.folder(job_id) / "inputs")

    def drop_outputs(self, job_id: str) -> None:
        for name in ("outputs", "outputs.part"):
            self._discard(self.folder(job_id) / name)

    def drop(self, job_id: str) -> None:
        self._checked.pop(job_id, None)
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
        with contextlib.suppress(OSError):
            for path in self._trash.iterdir():
                _remove(path)

    def size_bytes(self, job_id: str) -> int:
        """What a job that has ended takes; a worker may move the files of one that runs while they are counted."""
        folder = self.folder(job_id)
        return _size(folder) + _size(folder / "outputs")


def expired(
    jobs: Iterable[tuple[Job, int]],
    now: float,
    *,
    max_age_s: float = MAX_AGE_S,
    max_bytes: int = MAX_BYTES,
    is_too_old: Callable[[float, str], bool] | None = None,
) -> list[Job]:
    """The ended jobs, of (job, bytes on disk) pairs, that must go: those too old, then the oldest until the rest fits.

    is_too_old: of the time of a job's end and its id, where there is more to age than `now` and max_age_s.
    """
    too_old = is_too_old or (lambda since, job_id: now - since > max_age_s)
    pairs = sorted(jobs, key=lambda pair: pair[0].finished_at)
    total = sum(size for _, size in pairs)
    gone = []
    for job, size in pairs:
        if job.state.is_final and (too_old(job.finished_at, job.id) or total > max_bytes):
            gone.append(job)
            total -= size
    return gone


def _read_job(folder: Path) -> Job:
    """The job in this folder. Where a power cut has spoiled its state, the job as it was accepted, to be tried again or, where its
    result is there, taken as done. Raises whatever a spoiled folder leads to.
    """
    if folder.is_symlink() or not folder.is_dir():
        raise ValueError("it is no folder")
    try:
        return _job_in(folder, "job.json")
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        try:
            job = _job_in(folder, "accepted.json")
        except FileNotFoundError:  # of an older version
            raise error from None
        log.warning("the state of job %s cannot be read (%s); it is taken up as it was accepted", folder.name, error)
        job.state, job.attempts = JobState.RUNNING, 1
        if not (folder / "inputs" / "arrays.json").exists() and not (folder / "outputs" / "result.json").exists():
            job.state, job.finished_at = JobState.FAILED, folder.stat().st_mtime
            lost = InternalError("What became of this job was lost on the disk.", hint="Run the job again.")
            job.error = error_json(lost)
        return job


def _job_in(folder: Path, name: str) -> Job:
    job = Job.from_json(read_json(folder / name))
    if job.id != folder.name or str(uuid.UUID(job.id)) != job.id:  # ValueError for what is no UUID
        raise ValueError(f"it belongs to job {job.id[:80]!r}")
    return job


def _spoiled(path: Path) -> Spoiled:
    size, changed_at = 0, 0.0
    with contextlib.suppress(OSError):
        status = path.lstat()
        size, changed_at = status.st_size, max(status.st_mtime, status.st_ctime)
        if path.is_dir() and not path.is_symlink():
            found = [Path(base) / name for base, _, names in os.walk(path) for name in names]
            size = sum(file.lstat().st_size for file in found)
    return Spoiled(path=path, size_bytes=size, changed_at=changed_at)


def _size(folder: Path) -> int:
    with contextlib.suppress(OSError):  # moved while they are counted
        return sum(path.lstat().st_size for path in folder.iterdir() if path.is_file())
    return 0


def _remove(path: Path) -> None:
    """A folder with all that is in it, or the link or file itself; what cannot be removed stays for the next time."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()
