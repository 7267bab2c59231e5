"""Every module of the staged add-on imports on each Python that a supported Blender brings, without any Blender: a name that a
newer Python or Blender has taken away is seen in seconds. How it behaves is tested in the real Blenders.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from importlib.metadata import distribution
from pathlib import Path

import pytest

import build_addon
from backend.setup import uv
from tests.support.import_addon import modules
from tests.support.pythons import find_python

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "tests/support/import_addon.py"
DECLARATIONS = "fake-bpy-module-5-2"
BLENDERS = {"3.11": "4.2.0", "3.13": "5.1.0", "3.14": "5.2.0"}  # by Python, the oldest Blender that brings it


@pytest.fixture(scope="module")
def addon(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The add-on's folder as it is zipped, less the wheels."""
    folder = tmp_path_factory.mktemp("staged") / "relievo"
    build_addon.stage(folder, build_addon.TARGETS[-1], wheels={})
    return folder


def import_all(addon: Path, python: str, blender: str, libraries: Path | None = None) -> dict:
    """What import_addon.py found out. libraries: a folder with numpy and pyzmq, where this Python has none of its own."""
    declarations = Path(str(distribution(DECLARATIONS).locate_file("")))
    done = subprocess.run(
        [python, str(PROGRAM), str(declarations), str(addon), blender],
        capture_output=True,
        text=True,
        cwd=addon.parent,
        env={"PYTHONPATH": str(libraries)} if libraries is not None else {},
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def libraries_for(version: str, folder: Path) -> Path:
    """numpy and pyzmq for another Python, as pinned; both come with Blender or with the add-on's zip."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [pin for pin in project["project"]["dependencies"] if pin.split("==")[0] in ("numpy", "pyzmq")]
    program = uv.find()
    if not program:
        pytest.skip(f"no uv to install numpy and pyzmq for Python {version} with")
    command = [program, "pip", "install", "-q", "--target", str(folder), "--python-version", version]
    done = subprocess.run([*command, "--no-deps", "--only-binary", ":all:", *wanted], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"numpy and pyzmq for Python {version} cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    return folder


def test_the_declarations_do_not_pass_for_blender():
    """Tests that need Blender are left out where there is none, which they know by the missing bpy."""
    assert importlib.util.find_spec("bpy") is None


@pytest.mark.parametrize("version", BLENDERS)
def test_every_module_imports(addon: Path, version: str, tmp_path: Path):
    python = find_python(version)
    if not python:
        pytest.skip(f"no Python {version} on this machine, and uv cannot fetch one")
    libraries = None if python == sys.executable else libraries_for(version, tmp_path)
    found = import_all(addon, python, BLENDERS[version], libraries)
    assert found["python"].startswith(f"{version}.")
    assert not found["failed"], "\n".join(found["failed"].values())
    assert found["imported"] == modules(addon)
    assert {"relievo", "relievo.pump", "relievo.ui.panels", "relievo.shared.codec"} <= set(found["imported"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("from bpy.app.handlers import gone", "gone"),
        ("import bpy\nGONE = bpy.types.NoSuchPanel", "NoSuchPanel"),
        ("import bpy\nclass Gone(bpy.types.Panel):\n    wrong: bpy.props.NoSuchProperty(name='')", "NoSuchProperty"),
    ],
)
def test_a_name_that_blender_has_not_is_found(addon: Path, line: str, message: str):
    broken = addon / "broken.py"
    broken.write_text(f"from __future__ import annotations\n{line}\n", encoding="utf-8")
    try:
        found = import_all(addon, sys.executable, "5.2.0")
    finally:
        broken.unlink()
    assert list(found["failed"]) == ["relievo.broken"]
    assert message in found["failed"]["relievo.broken"]
