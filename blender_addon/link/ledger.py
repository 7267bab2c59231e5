"""What this Blender has asked for, on disk: after a crash the next Blender finds its jobs and fetches their
results.

Every running Blender holds one folder, locked by the operating system for as long as its process lives, and with it
the owner id under which the backend keeps its jobs; so two Blenders never take each other's results. No bpy and no
sockets here.
"""

from __future__ import annotations

import json
import logging
import os
import uuid
from pathlib import Path
from typing import IO, Any

from ..shared.read_files import parse_json

if os.name == "nt":
    import msvcrt
else:
    import fcntl

log = logging.getLogger(__name__)


def _lock(file: IO[str]) -> bool:
    """Whether the file is ours now. The lock goes when the process ends, however it ends."""
    try:
        if os.name == "nt":
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
        else:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


class Ledger:
    """One folder of job entries. adopt: take over the folder of a Blender that is gone, if there is one with entries."""

    def __init__(self, root: Path, *, adopt: bool = True) -> None:
        root.mkdir(parents=True, exist_ok=True)
        left_behind = (
            sorted((path for path in root.iterdir() if path.is_dir() and _has_entries(path)), reverse=True)
            if adopt
            else []
        )
        for folder in [*left_behind, root / str(uuid.uuid4())]:
            folder.mkdir(exist_ok=True)
            file = open(folder / "lock", "a", encoding="utf-8")  # noqa: SIM115  # held as long as this Ledger
            if _lock(file):
                self._file, self.folder = file, folder
                return
            file.close()
        raise OSError(f"{root} cannot be locked")

    @property
    def owner(self) -> str:
        return self.folder.name

    def entries(self) -> dict[str, dict[str, Any]]:
        """Job id -> what was written of it; an entry that was cut short by a crash is dropped, and the log says so."""
        found = {}
        for path in sorted(self.folder.glob("*.json"), key=lambda path: path.stat().st_mtime):
            try:
                entry = parse_json(path.read_bytes())
                if not isinstance(entry, dict):
                    raise ValueError("not an object")
                found[path.stem] = entry
            except ValueError as error:
                log.warning("dropping the unreadable entry %s: %s", path.name, error)
                path.unlink()
        return found

    def write(self, job: str, entry: dict[str, Any]) -> None:
        temporary = self.folder / f".{job}"
        temporary.write_text(json.dumps(entry), encoding="utf-8")
        os.replace(temporary, self.folder / f"{job}.json")

    def remove(self, job: str) -> None:
        (self.folder / f"{job}.json").unlink(missing_ok=True)

    def close(self) -> None:
        """Give the folder back; it goes for good when no entry is left in it."""
        self._file.close()
        if not _has_entries(self.folder):
            (self.folder / "lock").unlink(missing_ok=True)
            try:
                self.folder.rmdir()
            except OSError as error:  # another Blender has looked into it at this very moment
                log.info("leaving %s: %s", self.folder, error)


def _has_entries(folder: Path) -> bool:
    return any(folder.glob("*.json"))
