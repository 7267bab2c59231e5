"""A run that does not end well leaves its output folder as it was: absent, empty, or with what it held."""

from __future__ import annotations

from pathlib import Path

import pytest

from backend.commands.output_folder import OutputFolder
from shared.errors import RelievoError


def everything(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ValueError])
@pytest.mark.parametrize("before", [(), ("a",), ("a", "a/b", "a/b/out")])
def test_folders_that_it_made_are_removed(tmp_path: Path, before: tuple[str, ...], error: type[BaseException]) -> None:
    for name in before:
        (tmp_path / name).mkdir()

    def run() -> None:
        with OutputFolder(tmp_path / "a" / "b" / "out") as folder:
            (folder.stage / "half.tif").write_bytes(b"half")
            raise error

    with pytest.raises(error):
        run()
    assert everything(tmp_path) == list(before)


def test_what_somebody_else_put_there_stays(tmp_path: Path) -> None:
    out = tmp_path / "a" / "out"
    with OutputFolder(out):
        (out / "notes.txt").write_text("mine")
    assert everything(tmp_path) == ["a", "a/out", "a/out/notes.txt"]


@pytest.mark.parametrize("before", [(), ("a",)])
def test_a_folder_that_cannot_be_made_leaves_none_of_its_parents(tmp_path: Path, before: tuple[str, ...]) -> None:
    for name in before:
        (tmp_path / name).mkdir()
    with pytest.raises(RelievoError), OutputFolder(tmp_path / "a" / ("x" * 300)):
        pass
    assert everything(tmp_path) == list(before)
