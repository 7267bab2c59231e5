"""The exemplar height maps that ship with Relievo, by name. Simulated by the project's own code, each beside its recipe."""

from __future__ import annotations

import json
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "weights" / "exemplars"


def find(name: str) -> Path | None:
    """The file of that exemplar, None where there is none of that name."""
    path = FOLDER / f"{name}.tif"
    return path if path.is_file() else None


def describe() -> list[dict[str, str]]:
    """[{"name", "help"}] of every exemplar; help comes from its recipe."""
    return [{"name": path.stem, "help": _help(path.with_suffix(".json"))} for path in sorted(FOLDER.glob("*.tif"))]


def _help(recipe: Path) -> str:
    try:
        return str(json.loads(recipe.read_text(encoding="utf-8")).get("help", ""))
    except FileNotFoundError:
        return ""
