"""Tests inside Blender: run with the Python of a .venv-blender-* environment, in a fresh, empty file each.

The suite runs on every Blender the add-on supports; what differs between them is compat.py's business and never a
test's. What touches bpy is tested in each of them. Tests of numbers that the backend computes, of the wire and of the
installation are marked any_version, and `relievo.py test` runs them in one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

bpy = pytest.importorskip("bpy", reason="these tests need Blender's own Python environment")


@pytest.fixture(autouse=True, scope="session")
def factory_settings():
    """Nobody's preferences. Once: it takes seven times as long as an empty file."""
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture(autouse=True)
def empty_file(factory_settings: None):
    """bpy is one process with one state: every test starts from an empty file."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)


@pytest.fixture(scope="module")
def addon(tmp_path_factory):
    """The add-on with a backend of the checkout, which starts at the first job; one for all tests of a module."""
    from tests.blender.support import live_addon

    with live_addon.registered(tmp_path_factory.mktemp("relievo")) as registered:
        yield registered


@pytest.fixture
def addon_alone(empty_file, tmp_path, monkeypatch):
    """The add-on, with no backend that it could find, and settings of its own."""
    import blender_addon

    monkeypatch.setenv("RELIEVO_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("RELIEVO_PYTHON", str(tmp_path / "nowhere/bin/python"))
    blender_addon.register()
    yield blender_addon
    blender_addon.unregister()


@pytest.fixture
def ramp():
    """An asymmetric height map: no flip, turn or transposition of it is itself. Float32 [H, W] metres, top row
    first.
    """
    import numpy as np

    rows, columns = 21, 33
    r, c = np.mgrid[0:rows, 0:columns].astype(np.float64)
    return (
        1000.0 * np.exp(-((r - 4) ** 2 + (c - 25) ** 2) / 40) + 13.7 * r - 3.1 * c + 200 * np.sin(c / 3) * np.cos(r / 5)
    ).astype(np.float32)
