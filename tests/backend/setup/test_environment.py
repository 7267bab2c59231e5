"""Environments are made, broken off, resumed and refused for real, with small packages from an index on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from backend.setup import environment as environments
from backend.setup import uv
from backend.setup.environment import Environment
from backend.setup.installing import ensure
from shared.errors import InstallFailed
from tests.support import wheelhouse

ROOT = Path(__file__).resolve().parents[3]


def version_in(python: Path, module: str) -> str:
    code = f"import {module}; print({module}.__version__)"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True).stdout.strip()


@contextmanager
def small_disk(mount: Path, size: str) -> Iterator[Path]:
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(mount)]
    if subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted here")
    try:
        yield mount
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_environment_is_made_once_and_extended_by_a_group(tmp_path: Path, locks: Path, package_index: str):
    environment = Environment(root=tmp_path / "venv", locks=locks)
    assert environment.state == "missing"
    python = ensure(environment)
    assert environment.state == "ready"
    assert version_in(python, "relievo_first") == "2.4.0"

    said: list[str] = []
    ensure(environment, lambda stage, fraction, line: said.append(stage))
    assert said == []  # nothing to do, nothing said

    wider = Environment(root=environment.root, groups=("backend", "extra"), locks=locks)
    assert wider.state == "outdated"
    ensure(wider, lambda stage, fraction, line: said.append(stage))
    assert version_in(python, "relievo_extra") == "1.0"
    assert not any("backend" in stage for stage in said)  # what was there is not installed again
    assert environment.state == "ready"  # and the narrower wish is still fulfilled


def test_changed_lock_is_outdated(tmp_path: Path, locks: Path, wheels: Path, package_index: str):
    environment = Environment(root=tmp_path / "venv", locks=locks)
    ensure(environment)
    older = wheelhouse.pin(wheels / "relievo_first-2.3.0-py3-none-any.whl")
    wheelhouse.write_lock(locks, "backend-cpu", older)
    assert environment.state == "outdated"
    assert version_in(ensure(environment), "relievo_first") == "2.3.0"


@pytest.mark.parametrize("stage", ["Creating", "libraries"])
def test_kill_in_the_middle_is_seen_and_mended(tmp_path: Path, locks: Path, package_index: str, stage: str):
    root = tmp_path / "venv"
    options = ["--variant", "cpu", "--group", "extra", "--locks", str(locks)]
    process = subprocess.Popen(
        [sys.executable, "-m", "backend.setup.install_command", str(root), *options],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=ROOT,
    )
    assert process.stdout is not None
    for text in process.stdout:
        if stage in json.loads(text)["stage"]:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    environment = Environment(root=root, groups=("extra",), locks=locks)
    assert environment.state in ("missing", "incomplete")
    assert environments.read_marker(root)["state"] == "incomplete"
    assert version_in(ensure(environment), "relievo_extra") == "1.0"
    assert environment.state == "ready"


def test_another_file_under_the_pinned_version_is_refused(
    tmp_path: Path, locks: Path, wheels: Path, package_index: str
):
    wheelhouse.make_wheel(wheels, "relievo_first", "2.4.0", filler=10)
    environment = Environment(root=tmp_path / "venv", locks=locks)
    with pytest.raises(InstallFailed, match=r"SHA-256 differs.*relievo-first==2\.4\.0") as caught:
        ensure(environment)
    assert "\n" not in caught.value.message
    assert version_in(environment.python, "relievo_first") == ""
    assert environment.state == "incomplete"


def test_a_version_that_does_not_exist_is_named(tmp_path: Path, locks: Path, package_index: str):
    environment = Environment(root=tmp_path / "venv", groups=("impossible",), locks=locks)
    with pytest.raises(InstallFailed, match=r"relievo-first==0\.0\.0"):
        ensure(environment)
    assert environment.state == "incomplete"


def test_index_that_cannot_be_reached_is_said(tmp_path: Path, locks: Path, package_index: str, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(InstallFailed, match="package index cannot be reached") as caught:
        ensure(Environment(root=tmp_path / "venv", locks=locks))
    assert "folder of wheels" in caught.value.hint


def test_folder_of_wheels_serves_without_index(
    tmp_path: Path, locks: Path, wheels: Path, package_index: str, monkeypatch
):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InstallFailed, match="not available") as caught:
        ensure(Environment(root=tmp_path / "venv", locks=locks, wheels=empty))
    assert "wheels" in caught.value.hint
    python = ensure(Environment(root=tmp_path / "venv", locks=locks, wheels=wheels))
    assert version_in(python, "relievo_first") == "2.4.0"


@pytest.mark.parametrize("damaged", [False, True])
def test_folder_of_wheels_serves_without_index_and_uv(
    tmp_path: Path, locks: Path, wheels: Path, package_index: str, damaged: bool
):
    """pip then installs, and holds each file to its digest as uv does."""
    if damaged:
        wheelhouse.make_wheel(wheels, "relievo_extra", "1.0", filler=10)
    done = without_uv(tmp_path, locks, "--wheels", str(wheels))
    last = json.loads(done.stdout.splitlines()[-1])
    if damaged:
        assert "SHA-256 differs" in last["error"]["message"]
        assert "relievo_extra==1.0" in last["error"]["message"]
    else:
        assert version_in(Path(last["ready"]), "relievo_extra") == "1.0"


def without_uv(tmp_path: Path, locks: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """The installer on a machine that has a Python with pip, and no uv."""
    python = Path(sys.base_prefix) / "bin/python3"
    home = tmp_path / "home"
    home.mkdir()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("UV_", "VIRTUAL_ENV"))}
    environ |= {"HOME": str(home), "PATH": f"{python.parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [str(python), "-m", "backend.setup.install_command", str(tmp_path / "venv"), "--locks", str(locks)]
    return subprocess.run(
        [*command, "--group", "extra", *options], capture_output=True, text=True, env=environ, timeout=300, cwd=tmp_path
    )


def test_uv_is_fetched_where_it_is_missing(tmp_path: Path, locks: Path, wheels: Path):
    """From the real package index; the small package comes from a folder that pip has been told of."""
    done = without_uv(tmp_path, locks, "--wheels", str(_with_uv(wheels)))
    stages = [json.loads(line).get("stage", "") for line in done.stdout.splitlines()]
    assert "Fetching uv" in stages
    assert version_in(Path(json.loads(done.stdout.splitlines()[-1])["ready"]), "relievo_extra") == "1.0"
    assert uv.find(tmp_path / "venv" / uv.FETCHED)
    assert (tmp_path / "venv" / uv.FETCHED / "bin/uv").exists()


def _with_uv(wheels: Path) -> Path:
    """Adds uv's wheel to a folder, as the lock pins it."""
    command = [sys.executable, "-m", "pip"]
    if subprocess.run([*command, "--version"], capture_output=True).returncode != 0:
        command = [str(Path(sys.base_prefix) / "bin/python3"), "-m", "pip"]
    lock = str(ROOT / "locks/installer.lock")
    subprocess.run([*command, "download", "-q", "--no-deps", "-d", str(wheels), "-r", lock], check=True)
    return wheels


def test_full_disk_is_said_in_one_sentence(tmp_path: Path, locks: Path, wheels: Path, package_index: str):
    big = wheelhouse.make_wheel(wheels, "relievo_big", "1.0", filler=20 << 20)
    wheelhouse.write_lock(locks, "big", wheelhouse.pin(big))
    with small_disk(tmp_path / "small", "6m") as mount, pytest.raises(InstallFailed) as caught:
        ensure(Environment(root=mount / "venv", groups=("big",), locks=locks))
    assert "is full" in caught.value.message
    assert "\n" not in caught.value.message


def test_too_little_space_for_pytorch_is_said_before_the_download(tmp_path: Path):
    with small_disk(tmp_path / "small", "40m") as mount:
        with pytest.raises(InstallFailed, match=r"needs about 1\.5 GB; 0\.0 GB are free"):
            ensure(Environment(root=mount / "venv"))
        assert not (mount / "venv" / "bin").exists()


def test_unknown_blender_is_refused():
    with pytest.raises(InstallFailed, match=r"no Blender 3\.6"):
        environments.blender_environment("3.6")


def test_another_python_is_told_which_one_it_wants(tmp_path: Path):
    """The front door under a Python that Blender has no modules for, with neither python3.11 nor uv at hand."""
    source = (ROOT / "relievo.py").read_text()
    copy = tmp_path / "relievo.py"
    copy.write_text(source.replace("PYTHON = (3, 11)", "PYTHON = (3, 7)"))
    for name in ("backend", "shared", "locks"):
        (tmp_path / name).symlink_to(ROOT / name)
    python = Path(sys.base_prefix) / "bin/python3"  # there may be a uv in the environment of the tests
    environ = {"PATH": str(tmp_path), "HOME": str(tmp_path), "PIP_NO_INDEX": "1"}
    result = subprocess.run([str(python), str(copy), "demo"], capture_output=True, text=True, env=environ)
    assert result.returncode == 2
    assert "needs Python 3.7" in result.stderr
    assert "Traceback" not in result.stderr
