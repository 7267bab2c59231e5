"""Settings of segments and presets of one's own on the command line, and the names of segments that lie beside a picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from backend.commands import run
from backend.files import kinds, segment_pictures
from shared.algorithm import Port
from shared.arrays import CLASS_MAP, Array
from shared.errors import InvalidInput, InvalidParameter

SETTINGS = {"sky": {"strokes": 30}}
PORT = Port(name="segments", kind=CLASS_MAP, label="", help="", any_colors=True)


def _resolved(capsys: pytest.CaptureFixture[str], *words: object) -> dict[str, Any]:
    """The parameters of a run that is not made."""
    assert run.main(["paint", "--image", "p.png", "--dry-run", *map(str, words)]) == 0
    return json.loads(capsys.readouterr().out)["params"]


def test_settings_of_segments_are_text_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "classes.json"
    file.write_text(json.dumps(SETTINGS), encoding="utf-8-sig")
    for word in (json.dumps(SETTINGS), file):
        assert json.loads(_resolved(capsys, "--segment-settings", word)["segment_settings"]) == SETTINGS
    with pytest.raises(InvalidInput, match="There is no file"):
        run.main(["paint", "--image", "p.png", "--dry-run", "--segment-settings", str(tmp_path / "none.json")])


def test_a_preset_is_a_name_or_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({"preset": "painterly", "budget": 900, "segment_settings": SETTINGS}))
    made = _resolved(capsys, "--preset", file, "--steps", 7)
    named = _resolved(capsys, "--preset", "painterly")
    assert json.loads(made["segment_settings"]) == SETTINGS
    changed = {"budget": 900, "steps": 7, "segment_settings": made["segment_settings"]}
    assert made == named | changed


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "must be a JSON object"),
        ('{"preset": 3}', "must be the name of one"),
        ('{"preset": "baroque"}', "has no preset 'baroque'"),
        ('{"budgets": 3}', "Unknown parameter 'budgets'"),
        ('{"budget": -3}', "budget is -3"),
    ],
)
def test_a_preset_with_a_mistake_is_refused(tmp_path: Path, content: str, said: str) -> None:
    file = tmp_path / "mine.json"
    file.write_text(content)
    with pytest.raises((InvalidInput, InvalidParameter), match=said):
        run.main(["paint", "--image", "p.png", "--dry-run", "--preset", str(file)])


def _segments(folder: Path) -> Path:
    segment_pictures.write(np.repeat(np.arange(3, dtype=np.uint8), 8)[:, None].repeat(9, axis=1), folder / "parts.png")
    segment_pictures.write_names(["background", "sky-other-merged", "person"], folder / "parts.json")
    return folder / "parts.png"


def _read(path: Path) -> Array:
    return kinds.read(path, kinds.Reading(port=PORT))


def test_names_beside_a_picture_are_its_segments(tmp_path: Path) -> None:
    path = _segments(tmp_path)
    assert _read(path).attributes["names"] == ["background", "sky-other-merged", "person"]
    Image.open(path).convert("RGB").save(path)  # as an image editor saves it: numbered anew, in the colours' order
    read = _read(path)
    names = read.attributes["names"]
    assert [names[read.values[row, 0]] for row in (0, 8, 16)] == ["background", "sky-other-merged", "person"]
    path.with_suffix(".json").unlink()
    assert not _read(path).attributes


def test_another_file_beside_a_picture_is_left_alone_and_a_damaged_list_is_told(tmp_path: Path) -> None:
    path = _segments(tmp_path)
    path.with_suffix(".json").write_text('{"camera": 1}')
    assert not _read(path).attributes
    path.with_suffix(".json").write_text('{"segments": [{"number": 1}]}')
    with pytest.raises(InvalidInput, match="is not a list of segments"):
        _read(path)
