"""docs/reference says what the catalog says."""

from __future__ import annotations

from backend import reference
from shared.catalog import ALGORITHMS


def test_pages_are_up_to_date():
    there = {path.name: path.read_text(encoding="utf-8") for path in reference.FOLDER.glob("*.md")}
    assert there == reference.pages(), "run: python -m backend.reference"


def test_every_name_is_told():
    made = reference.pages()
    for spec in ALGORITHMS:
        text = made[f"{spec.name}.md"]
        for item in (*spec.inputs, *spec.outputs, *spec.parameters, *spec.presets):
            assert f"| `{item.name}` |" in text
