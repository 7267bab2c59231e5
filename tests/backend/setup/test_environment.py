"""Environments are made, broken off, resumed and refused for real, with small packages in place of PyTorch."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from backend.setup import environment as environments
from backend.setup.environment import Environment, ensure
from shared.errors import InstallFailed

PROJECT = """
[project]
dependencies = ["sortedcontainers==2.4.0"]
[dependency-groups]
extra = ["iniconfig==2.3.1"]
impossible = ["sortedcontainers==0.0.0"]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "pyproject.toml"
    path.write_text(PROJECT)
    return path


def imports(python: Path, module: str) -> bool:
    return subprocess.run([str(python), "-c", f"import {module}"], capture_output=True).returncode == 0


def test_environment_is_made_once_and_extended_by_a_group(tmp_path: Path, project: Path):
    environment = Environment(root=tmp_path / "venv", project=project)
    assert environment.state == "missing"
    python = ensure(environment)
    assert environment.state == "ready"
    assert imports(python, "sortedcontainers")

    said: list[str] = []
    ensure(environment, lambda stage, fraction, line: said.append(stage))
    assert said == []  # nothing to do, nothing said

    wider = Environment(root=environment.root, groups=("backend", "extra"), project=project)
    assert wider.state == "outdated"
    ensure(wider, lambda stage, fraction, line: said.append(stage))
    assert imports(python, "iniconfig")
    assert not any("backend" in stage for stage in said)  # what was there is not installed again
    assert environment.state == "ready"  # and the narrower wish is still fulfilled


def test_changed_pin_is_outdated(tmp_path: Path, project: Path):
    environment = Environment(root=tmp_path / "venv", project=project)
    ensure(environment)
    project.write_text(PROJECT.replace("2.4.0", "2.3.0"))
    assert environment.state == "outdated"
    python = ensure(environment)
    version = subprocess.run(
        [str(python), "-c", "import sortedcontainers as s; print(s.__version__)"], capture_output=True, text=True
    )
    assert version.stdout.strip() == "2.3.0"


def test_kill_in_the_middle_is_seen_and_mended(tmp_path: Path, project: Path):
    root = tmp_path / "venv"
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "backend.setup.environment",
            str(root),
            "--variant",
            "cpu",
            "--group",
            "extra",
            "--project",
            str(project),
        ],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    for text in process.stdout:
        if "libraries" in json.loads(text)["stage"]:
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    environment = Environment(root=root, groups=("extra",), project=project)
    assert environment.state == "incomplete"
    ensure(environment)
    assert environment.state == "ready"
    assert imports(environment.python, "iniconfig")


def test_a_version_that_does_not_exist_is_named(tmp_path: Path, project: Path):
    environment = Environment(root=tmp_path / "venv", groups=("impossible",), project=project)
    with pytest.raises(InstallFailed, match=r"sortedcontainers==0\.0\.0"):
        ensure(environment)
    assert environment.state == "incomplete"


def test_folder_of_wheels_serves_without_index(tmp_path: Path, project: Path):
    wheels = tmp_path / "wheels"
    wheels.mkdir()
    environment = Environment(root=tmp_path / "venv", project=project, wheels=wheels)
    with pytest.raises(InstallFailed, match="not to be had") as caught:
        ensure(environment)
    assert "wheels" in caught.value.hint
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(wheels), "sortedcontainers==2.4.0"]
    subprocess.run(command, check=True, capture_output=True)
    ensure(environment)
    assert imports(environment.python, "sortedcontainers")


def test_full_disk_is_said_in_one_sentence(tmp_path: Path, project: Path):
    mount = tmp_path / "small"
    mount.mkdir()
    if (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "tmpfs", str(mount)], capture_output=True).returncode
        != 0
    ):
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(InstallFailed) as caught:
            ensure(Environment(root=mount / "venv", project=project))
    finally:
        subprocess.run(["umount", str(mount)], check=True)
    assert "is full" in caught.value.message
    assert "\n" not in caught.value.message


def test_too_little_space_for_pytorch_is_said_before_the_download(tmp_path: Path, project: Path):
    mount = tmp_path / "small"
    mount.mkdir()
    if (
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(mount)], capture_output=True).returncode
        != 0
    ):
        pytest.skip("a small file system cannot be mounted here")
    try:
        with pytest.raises(InstallFailed, match=r"needs about 1\.5 GB; 0\.0 GB are free"):
            ensure(Environment(root=mount / "venv"))
        assert not (mount / "venv" / "bin").exists()
    finally:
        subprocess.run(["umount", str(mount)], check=True)


def test_uv_is_used_where_it_is(tmp_path: Path, project: Path, monkeypatch: pytest.MonkeyPatch):
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if not uv:
        pytest.skip("uv is not installed")
    monkeypatch.setenv("PATH", f"{Path(uv).parent}{os.pathsep}{os.environ['PATH']}")
    environment = Environment(root=tmp_path / "venv", project=project)
    python = ensure(environment)
    assert imports(python, "sortedcontainers")
    assert not imports(python, "pip")  # uv makes environments without it


def test_unknown_blender_is_refused():
    with pytest.raises(InstallFailed, match=r"no Blender 3\.6"):
        environments.blender_environment("3.6")


def test_another_python_is_told_which_one_it_wants(tmp_path: Path):
    """The front door under a Python that Blender has no modules for, with neither python3.11 nor uv at hand."""
    source = (Path(__file__).parents[3] / "relievo.py").read_text()
    copy = tmp_path / "relievo.py"
    copy.write_text(source.replace("PYTHON = (3, 11)", "PYTHON = (3, 7)"))
    result = subprocess.run(
        [sys.executable, str(copy), "demo"], capture_output=True, text=True, env={"PATH": str(tmp_path)}
    )
    assert result.returncode == 2
    assert "needs Python 3.7" in result.stderr
    assert "Traceback" not in result.stderr
