"""The user's own list of classes: what it may say, what is refused, and that nothing is made by other classes in silence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared.errors import InvalidInput
from shared.painted_classes import PAINTED_CLASSES, VARIABLE, read_classes
from shared.terrain_classes import FOREST, GRASS, TERRAIN_CLASSES, WATER
from tests.support.backend_process import ROOT

LIST = [
    {"name": "Sea", "like": "Water", "color": "#0000ff"},
    {"name": "Forest", "growth": 0.25},
    {
        "name": "Moor",
        "like": "Grassland",
        "color": "#6b5a3a",
        "ground": "#403020",
        "ground_high": "#403020",
        "slope_deg": 20,
    },
    {"name": "Tarn", "like": "Water", "color": "#003366"},
]


def written(folder: Path, entries: Any) -> Path:
    path = folder / "classes.json"
    path.write_text(entries if isinstance(entries, str) else json.dumps(entries), encoding="utf-8")
    return path


def test_without_a_list_there_are_the_seven() -> None:
    assert [entry.name for entry in PAINTED_CLASSES] == [entry.name for entry in TERRAIN_CLASSES]
    assert [entry.like for entry in PAINTED_CLASSES] == list(range(len(TERRAIN_CLASSES)))


def test_what_an_entry_leaves_out_is_that_of_its_model(tmp_path: Path) -> None:
    sea, forest, moor, tarn = read_classes(written(tmp_path, LIST))
    assert [entry.like for entry in (sea, forest, moor, tarn)] == [WATER, FOREST, GRASS, WATER]
    assert forest.color == TERRAIN_CLASSES[FOREST].color
    assert forest.growth == 0.25
    assert moor.ground == (0x40, 0x30, 0x20)
    assert forest.ground_high == TERRAIN_CLASSES[FOREST].ground_high
    assert moor.slope_deg == 20.0


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ("[", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ({}, "a JSON list of 1 to 64 classes is expected"),
        ([], "a JSON list of 1 to 64 classes is expected"),
        ([{"name": "Lava"}], "Lava is like 'Lava', which the models do not know"),
        ([{"like": "Water"}], "class 0 has no name"),
        ([{"name": "Water", "colour": "#ffffff"}], "has 'colour', which classes do not have"),
        ([{"name": "Water", "color": "blue"}], '"#rrggbb" in sRGB is expected'),
        ([{"name": "Water", "growth": 2}], "growth 2; 0 to 1 is expected"),
        ([{"name": "Water", "slope_deg": True}], "slope_deg True"),
        ([{"name": "Water"}, {"name": "Water", "color": "#ffffff"}], "has the name of Water"),
        ([{"name": "Water"}, {"name": "Sea", "like": "Water"}], "has the color of Water"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, entries: Any, words: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_classes(written(tmp_path, entries))
    assert words in caught.value.message
    assert caught.value.hint


def run_with(path: Path, code: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, VARIABLE: str(path), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-c", code], env=environ, cwd=ROOT, capture_output=True, text=True)


MAKE = """
import numpy as np, backend
from shared.arrays import CLASS_MAP, Array
classes = np.full((48, 48), 2, np.uint8)
classes[:, :8], classes[20:28, 30:38] = 0, 3
made = backend.run("terrain", classes=Array(CLASS_MAP, classes), size_m=4000.0)
assert (made["water"].values == np.isin(classes, (0, 3))).all()
assert [part.attributes["name"] for part in made["density"]] == ["Sea", "Forest", "Moor", "Tarn"]
assert made["albedo"].values[10:40, 14:26].mean() < 0.05, "as dark as the list says"
"""


def test_an_engine_works_with_the_list(tmp_path: Path) -> None:
    done = run_with(written(tmp_path, LIST), MAKE)
    assert done.returncode == 0, done.stderr


def test_an_engine_refuses_to_work_without_the_list_that_is_wanted(tmp_path: Path) -> None:
    for path in (written(tmp_path, [{"name": "Lava"}]), tmp_path / "missing.json"):
        done = run_with(path, MAKE)
        assert done.returncode != 0
        assert f"The list of classes {path} cannot be used" in done.stderr
