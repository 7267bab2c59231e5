"""The lock files in locks/: every package of an environment, transitive ones too, by version and SHA-256. Reading only.

They are in pip's requirements format, so that uv and pip install from them directly; relock.py makes them from pyproject.toml.
Each holds for Linux, Windows and macOS and for each Python that Relievo runs on: markers say what is for which. Standard library
only, since the add-on's installer reads them with Blender's Python.
"""

from __future__ import annotations

import ast
import os
import platform
import re
import sys
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "locks"
_LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)(?:\s*;\s*(?P<marker>.*))?$")


@dataclass(frozen=True)
class Pin:
    """One package of a lock: its version, on which machines it is wanted (PEP 508 marker, "" for all), and the SHA-256 of each file
    that may be installed for it.
    """

    name: str
    version: str
    marker: str = ""
    hashes: tuple[str, ...] = ()

    @property
    def wanted_here(self) -> bool:
        """Whether this machine and the running Python are among those that it is for."""
        return not self.marker or evaluate(self.marker)

    def __str__(self) -> str:
        line = f"{self.name}=={self.version}" + (f" ; {self.marker}" if self.marker else "")
        return " \\\n    ".join([line, *(f"--hash=sha256:{digest}" for digest in self.hashes)])


def lock_name(group: str, variant: str = "cpu") -> str:
    """The lock of a group of pyproject.toml. The backend has one for each build of PyTorch."""
    return f"backend-{variant}" if group == "backend" else group


def path(name: str, folder: Path = FOLDER) -> Path:
    return folder / f"{name}.lock"


def read(name: str, folder: Path = FOLDER) -> list[Pin]:
    """The pins of a lock in their order. Raises OSError without the file, ValueError for a line that is no pin."""
    text = path(name, folder).read_text(encoding="utf-8")
    return [_pin(entry) for entry in text.replace("\\\n", " ").splitlines() if entry.strip() and entry[0] != "#"]


def _pin(entry: str) -> Pin:
    requirement, *hashes = re.split(r"\s+--hash=sha256:", entry.partition(" #")[0].strip())
    found = _LINE.match(requirement)
    if not found:
        raise ValueError(f"{requirement!r} is not a pinned package")
    return Pin(found["name"], found["version"], (found["marker"] or "").strip(), tuple(h.strip() for h in hashes))


def _variables() -> dict[str, str]:
    """The variables of PEP 508 that locks use, for the running Python."""
    return {
        "sys_platform": sys.platform,
        "os_name": os.name,
        "platform_system": platform.system(),
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "implementation_name": sys.implementation.name,
        "python_version": ".".join(platform.python_version_tuple()[:2]),
        "python_full_version": platform.python_version(),
    }


def evaluate(marker: str, variables: dict[str, str] | None = None) -> bool:
    """A PEP 508 marker, for the running Python or for given variables. Its grammar is that of Python's own comparisons, so
    Python parses it. Raises ValueError for what locks do not use.
    """
    return _evaluate(ast.parse(marker, mode="eval").body, _variables() | (variables or {}))


def _evaluate(node: ast.expr, variables: dict[str, str]) -> bool:
    if isinstance(node, ast.BoolOp):
        results = [_evaluate(value, variables) for value in node.values]
        return all(results) if isinstance(node.op, ast.And) else any(results)
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        sides = [_value(side, variables) for side in (node.left, node.comparators[0])]
        names = {side.id for side in (node.left, node.comparators[0]) if isinstance(side, ast.Name)}
        if names & {"python_version", "python_full_version"}:
            sides = [tuple(map(int, re.findall(r"\d+", side)[:3])) for side in sides]
        return _compare(node.ops[0], *sides)
    raise ValueError(f"{ast.unparse(node)!r} is not a supported marker")


def _value(node: ast.expr, variables: dict[str, str]) -> str:
    if isinstance(node, ast.Name) and node.id in variables:
        return variables[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise ValueError(f"{ast.unparse(node)!r} is not part of a supported marker")


def _compare(operator: ast.cmpop, left: object, right: object) -> bool:
    comparisons = {
        ast.Eq: lambda a, b: a == b,
        ast.NotEq: lambda a, b: a != b,
        ast.Lt: lambda a, b: a < b,
        ast.LtE: lambda a, b: a <= b,
        ast.Gt: lambda a, b: a > b,
        ast.GtE: lambda a, b: a >= b,
        ast.In: lambda a, b: a in b,
        ast.NotIn: lambda a, b: a not in b,
    }
    return comparisons[type(operator)](left, right)
