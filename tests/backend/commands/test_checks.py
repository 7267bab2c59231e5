"""`relievo.py test` leaves nothing out: its parts together are all tests, and each Blender runs what depends on it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from backend.commands import test as command

ROOT = Path(__file__).resolve().parents[3]


def folders_of(check: command.Check) -> tuple[list[str], list[str]]:
    """What is tested and what is left out."""
    words = [word for word in check.command if "tests" in word]
    ignored = [word.removeprefix("--ignore=") for word in words if word.startswith("--ignore=")]
    return [word for word in words if not word.startswith("-")], ignored


def test_the_parts_together_are_all_tests() -> None:
    parts = [folders_of(check) for check in command._checks(["tests"], [], [])]
    (rest,) = [ignored for tested, ignored in parts if tested == ["tests"]]
    assert sorted(rest) == sorted(folder for tested, _ in parts for folder in tested if tested != ["tests"])
    assert all((ROOT / folder).is_dir() for folder in rest)


def test_options_for_pytest_make_one_part_of_them() -> None:
    (check,) = command._checks(["tests"], [], ["-k", "noise"])
    assert folders_of(check) == (["tests"], [])
    assert check.command[-2:] == ["-k", "noise"]


@pytest.mark.parametrize(
    ("blenders", "whole"), [(["4.2", "4.5", "5.0"], "4.5"), (["4.2", "5.0"], "5.0"), (["4.2"], "4.2")]
)
def test_one_blender_runs_all_tests_and_the_others_what_depends_on_it(blenders: list[str], whole: str) -> None:
    checks = command._checks(["blender"], blenders, [])
    assert sorted(check.name for check in checks) == [f"Blender {version}" for version in blenders]
    assert [check.name for check in checks if "-m" not in check.command[3:]] == [f"Blender {whole}"]


def test_pyright_reads_all_files_on_one_system_and_those_that_differ_on_the_others() -> None:
    first, *others = command._checks(["pyright"], [], [])
    assert not any(word.endswith(".py") for word in first.command)
    for check in others:
        names = {str(Path(word).relative_to(ROOT)) for word in check.command if word.endswith(".py")}
        assert {"backend/commands/interruption.py", "shared/handoff.py", "relievo.py"} <= names
        assert "backend/algorithms/noise.py" not in names


def test_a_failed_check_is_seen_and_the_others_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    run = lambda code: [sys.executable, "-c", code]
    checks = [
        command.Check("bad", run("print('why'); raise SystemExit(3)")),
        command.Check("good", run("print('fine')")),
    ]
    results = {result.name: result.is_ok for result in command._run_all(checks)}
    assert results == {"bad": False, "good": True}
    printed = capfd.readouterr().out
    assert "why" in printed
    assert "fine" in printed


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core runs one check at a time")
def test_two_checks_run_at_the_same_time(tmp_path: Path) -> None:
    """Each waits for the file of the other."""
    wait = """
import pathlib, sys, time
own, other = map(pathlib.Path, sys.argv[1:])
own.touch()
end = time.monotonic() + 20
while not other.exists() and time.monotonic() < end:
    time.sleep(0.01)
sys.exit(not other.exists())
"""
    paths = [str(tmp_path / "a"), str(tmp_path / "b")]
    checks = [
        command.Check(str(i), [sys.executable, "-c", wait, *order]) for i, order in enumerate((paths, paths[::-1]))
    ]
    assert all(result.is_ok for result in command._run_all(checks))
