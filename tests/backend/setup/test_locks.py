"""The lock files: complete, of this pyproject.toml, with digests, and with one version of each package per environment."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from backend.setup import locks, relock, uv
from backend.setup.locks import Pin

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", relock.names())
def test_lock_is_of_this_pyproject_and_pins_all_that_it_names(name: str):
    assert relock.is_current(name), "run: python3 -m backend.setup.relock"
    pins = locks.read(name)
    assert all(len(pin.hashes) > 0 and all(re.fullmatch(r"[0-9a-f]{64}", h) for h in pin.hashes) for pin in pins)
    assert all(pin.wanted_here in (True, False) for pin in pins)  # every marker can be read
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    group = "backend" if name.startswith("backend-") else name
    direct = project["project"]["dependencies"] if group == "backend" else project["dependency-groups"][group]
    pinned = {(pin.name, pin.version.partition("+")[0]) for pin in pins}
    for requirement in direct:
        package, version = re.sub(r"\[.*?\]", "", requirement.partition(";")[0]).strip().split("==")
        if not (name == "backend-cpu" and package == "numba-cuda"):
            assert (package.lower().replace("_", "-"), version) in pinned


def test_no_lock_names_an_address():
    for file in locks.FOLDER.iterdir():
        assert "://" not in file.read_text()


def test_groups_of_one_environment_agree():
    versions: dict[str, set[str]] = {}
    for name in ("backend-cpu", *relock.BESIDE_THE_BACKEND):
        for pin in locks.read(name):
            if pin.wanted_here:
                versions.setdefault(pin.name, set()).add(pin.version)
    assert {package: found for package, found in versions.items() if len(found) > 1} == {}


def test_cpu_lock_has_nothing_of_cuda():
    names = {pin.name for pin in locks.read("backend-cpu")}
    assert not any(name.startswith(("nvidia-", "cuda-", "numba-cuda")) or name == "triton" for name in names)
    assert {"torch", "sympy", "llvmlite"} <= names  # transitive ones are in it


def test_what_is_installed_here_is_what_the_lock_says():
    """The environment that runs the tests was made from the lock, and its packages are content with each other."""
    from backend.setup.doctor import wrong_versions

    pins = [pin for name in ("backend-cpu", "test") for pin in locks.read(name) if pin.wanted_here]
    assert list(wrong_versions(pins)) == []
    checked = subprocess.run([uv.find(), "pip", "check", "--python", sys.executable], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr  # nothing that a package needs is missing from the locks


@pytest.mark.parametrize(
    ("marker", "wanted"),
    [
        ("sys_platform == 'linux'", sys.platform == "linux"),
        ("sys_platform != 'linux'", sys.platform != "linux"),
        ("python_full_version < '3.9'", False),
        ("python_full_version >= '3.9' and python_version < '3.100'", True),  # versions, not texts
        ("implementation_name == 'pypy' or python_version >= '3.11'", True),
        ("(sys_platform == 'win32' and os_name == 'posix') or sys_platform in 'linux darwin win32'", True),
    ],
)
def test_markers(marker: str, wanted: bool):
    assert locks.evaluate(marker) is wanted


@pytest.mark.parametrize(
    "marker", ["sys_platform", "extra == 'x'", "__import__('os') == 'x'", "sys_platform + 'x' == 'y'"]
)
def test_a_marker_that_is_not_known_is_no_false(marker: str):
    with pytest.raises(ValueError, match="supported"):
        locks.evaluate(marker)


def test_a_pin_is_read_as_it_is_written(tmp_path: Path):
    pins = [Pin("a-b", "1.0+cpu", "sys_platform == 'linux'", ("0" * 64, "1" * 64)), Pin("c", "2", "", ("2" * 64,))]
    (tmp_path / "x.lock").write_text("# a comment\n" + "\n".join(map(str, pins)) + "\n")
    assert locks.read("x", tmp_path) == pins
    (tmp_path / "y.lock").write_text("a>=1\n")
    with pytest.raises(ValueError, match="not a pinned package"):
        locks.read("y", tmp_path)
