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
# Names that are words of file formats, of Blender's nodes and of painting as well: only what they are compared with tells which
# is meant.
WORDS = {"paint", "texture"}
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
    names = NAMES - WORDS
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and node.value in names:
            yield node.lineno, str(node.value)
        elif isinstance(node, ast.Attribute) and (node.attr in names or (node.attr in WORDS and of_engines(node))):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in names:
            yield node.lineno, node.id
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from imported(node, names)
        elif isinstance(node, ast.Compare) and any(names_an_engine(side) for side in (node.left, *node.comparators)):
            yield from (
                (node.lineno, str(part.value))
                for part in ast.walk(node)
                if isinstance(part, ast.Constant) and part.value in WORDS
            )


def of_engines(node: ast.Attribute) -> bool:
    """Whether it is an attribute of what holds one for each engine: scene.relievo, bpy.ops.relievo, shared.catalog."""
    owner = node.value
    return isinstance(owner, ast.Attribute) and owner.attr in ("relievo", "catalog")


def names_an_engine(node: ast.AST) -> bool:
    """Whether it is the name of an algorithm: spec.name, job.algorithm, recipe["algorithm"]."""
    if isinstance(node, ast.Attribute):
        return node.attr == "algorithm" or (
            node.attr == "name" and isinstance(node.value, ast.Name) and "spec" in node.value.id
        )
    return isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant) and node.slice.value == "algorithm"


def imported(node: ast.Import | ast.ImportFrom, names: set[str]) -> Iterator[tuple[int, str]]:
    """Modules of engines that are imported; a word counts where it comes from the catalog or the algorithms."""
    source = getattr(node, "module", None) or ""
    for alias in node.names:
        parts = f"{source}.{alias.name}".split(".")
        if parts[-1] in names or (WORDS & set(parts) and {"catalog", "algorithms"} & set(parts)):
            yield node.lineno, alias.name


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_engine_is_named(path: Path) -> None:
    found = list(named(ast.parse(path.read_text(encoding="utf-8"))))
    assert not found, f"{found}: ask the engine's declaration (makes, kinds, roles, devices) instead"


def test_the_test_would_find_one() -> None:
    source = "if spec.name == 'noise':\n    scene.relievo.hydrology.seed = 1\nfrom shared.catalog import morphology\n"
    assert {name for _, name in named(ast.parse(source))} == {"noise", "hydrology", "morphology"}


@pytest.mark.parametrize(
    "source",
    [
        "if spec.name == 'texture': pass",
        "if job.algorithm in ('texture', 'noise'): pass",
        "if recipe['algorithm'] == 'texture': pass",
        "bpy.ops.relievo.texture()",
        "from shared.catalog import texture",
        "from backend.algorithms.texture import run",
    ],
)
def test_the_test_would_find_a_name_that_is_a_word(source: str) -> None:
    assert list(named(ast.parse(source)))
    assert not list(named(ast.parse("node = {'texture': 3}\nif kind == 'texture': image.texture = node")))
