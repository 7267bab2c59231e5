"""The exemplar height maps that ship with Relievo: found by name. Simulated by the project's own code, each with its recipe."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "weights" / "exemplars"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.tif"))


def find(name: str) -> Path | None:
    """The file of that exemplar, None where there is none of that name."""
    path = FOLDER / f"{name}.tif"
    return path if path.is_file() else None
