"""A folder that appears whole or not at all: made beside its place, and moved there when all is done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from backend.files.whole_files import storage_error
from shared.errors import InvalidInput


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A new folder to write to, which becomes `out` at the end of the with block, and is removed where it fails or is interrupted.

    Raises InvalidInput where `out` already holds something, StorageFull where the disk does.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InvalidInput(
            f"{out} is there already.", hint="Choose another folder with --out, or delete it.", field="out"
        )
    stage = out.with_name(f".{out.name}.{os.getpid()}")
    made = [folder for folder in out.parents if not folder.exists()]
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        stage.mkdir()
        yield stage
        if out.is_dir():
            out.rmdir()  # an empty one, see above
        os.replace(stage, out)
    except OSError as error:
        raise storage_error(out, error) from error
    finally:
        shutil.rmtree(stage, ignore_errors=True)
        for folder in made:
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()
