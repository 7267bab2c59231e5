"""docs/reference says what the catalog says."""

from __future__ import annotations

from backend.commands import reference_pages
from shared.catalog import ALGORITHMS


def test_pages_are_up_to_date():
    there = {path.name: path.read_text(encoding="utf-8") for path in reference_pages.FOLDER.glob("*.md")}
    assert there == reference_pages.pages(), "run: python -m backend.commands.reference_pages"


def test_every_name_is_told():
    made = reference_pages.pages()
    for spec in ALGORITHMS:
        text = made[f"{spec.name}.md"]
        for item in (*spec.inputs, *spec.outputs, *spec.parameters, *spec.presets):
            assert f"| `{item.name}` |" in text
