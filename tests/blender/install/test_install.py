"""Install Backend through its operator, end to end: the zip in a fresh Blender, broken off, resumed, used, updated,
removed.

Takes a minute and more, so it runs in one Blender only; the installer's own edges are in
tests/blender_addon/test_process.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import bpy
import pytest

ROOT = Path(__file__).resolve().parents[3]

pytestmark = [
    pytest.mark.any_version,
    pytest.mark.skipif(bpy.app.version[:2] != (4, 5), reason="a minute of installing; once is enough: in 4.5"),
]


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> dict:
    folder = tmp_path_factory.mktemp("install")
    built = subprocess.run(
        [sys.executable, str(ROOT / "build_addon.py"), "--only", "4.2-5.0", "--out", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    (packed,) = folder.glob("*.zip")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RELIEVO_")}
    environ.pop("NUMBA_CACHE_DIR", None)  # a user has none
    environ |= {"BLENDER_USER_RESOURCES": str(folder / "user"), "RELIEVO_DATA": str(folder / "data")}
    command = [sys.executable, str(ROOT / "tests/blender/support/installed_addon.py"), str(packed)]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=900)
    seen_lines = [line for line in done.stdout.splitlines() if line.startswith("SEEN ")]
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert seen_lines, done.stdout[-3000:]
    return json.loads(seen_lines[0].removeprefix("SEEN "))


def test_offline_is_refused_with_what_to_do(seen):
    assert seen["at first"] == "not installed"
    assert "allow online access" in seen["offline"]


def test_an_interrupted_install_says_that_it_goes_on(seen):
    assert "cancelled" in seen["interrupted"]
    assert "continue" in seen["interrupted"]
    assert seen["after the interrupt"] == "incomplete"
    assert "Install Backend" in seen["generate without"]


def test_it_blocks_until_the_backend_is_there_and_shows_the_self_test(seen):
    assert seen["install"] == ["FINISHED"]
    assert seen["installed"] == "ready"
    assert seen["selftest"]["torch"].startswith("2.")
    assert seen["selftest"]["seconds"] < 60
    assert seen["compiled"] > 0, "the kernels that were not there are compiled"
    assert seen["standing"].startswith("Ready")
    assert seen["noise"] == ["FINISHED"]
    assert seen["vertices"] == 48 * 32


def test_an_upgraded_add_on_asks_for_an_update_which_works(seen):
    assert seen["after an upgrade"] == "outdated"
    assert seen["update"] == ["FINISHED"]
    assert seen["updated"]
    assert seen["state after update"] == "ready"
    assert seen["noise again"] == ["FINISHED"]


def test_remove_takes_a_running_backend_away(seen):
    assert seen["size"] > 100e6
    assert seen["remove"] == ["FINISHED"]
    assert seen["removed"]
    assert seen["at last"] == "not installed"
