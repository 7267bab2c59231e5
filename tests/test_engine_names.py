"""No engine is known by its name outside of its own files and the demo: what it declares is all that anybody asks it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from shared.algorithm import Makes
from shared.catalog import ALGORITHMS

ROOT = Path(__file__).resolve().parents[1]
# A name that is also that of a result form or a training stands for those everywhere.
NAMES = {spec.name for spec in ALGORITHMS} - set(get_args(Makes))
FOLDERS = (
    *("blender_addon", "shared"),
    *(f"backend/{folder}" for folder in ("commands", "server", "runtime", "setup", "files", "training", "measures")),
)
OWN_FILES = {
    "shared/catalog/__init__.py",  # the list of engines
    *(f"shared/catalog/{name}.py" for name in NAMES),
    "backend/commands/demo_steps.py",
    "blender_addon/demo.py",
}


def files() -> list[Path]:
    found = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    return [
        path
        for path in found
        if path.relative_to(ROOT).as_posix() not in OWN_FILES and not path.is_relative_to(ROOT / "blender_addon/shared")
    ]


def named(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and name of every string, attribute, import and variable that is an engine's name."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in NAMES:
            yield node.lineno, str(node.value)
        elif isinstance(node, ast.Attribute) and node.attr in NAMES:
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in NAMES:
            yield node.lineno, node.id
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.split(".")[-1] in NAMES)


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_engine_is_named(path: Path) -> None:
    found = list(named(ast.parse(path.read_text(encoding="utf-8"))))
    assert not found, f"{found}: ask the engine's declaration (makes, kinds, roles, devices) instead"


def test_the_test_would_find_one() -> None:
    source = "if spec.name == 'noise':\n    scene.relievo.hydrology.seed = 1\nfrom shared.catalog import morphology\n"
    assert {name for _, name in named(ast.parse(source))} == {"noise", "hydrology", "morphology"}
