"""Modules of a folder that can be run as commands of their own: the benches, the trainings. Found without importing one."""

from __future__ import annotations

import ast
import contextlib
import difflib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.cli import UsageError

SOURCE = Path(__file__).resolve().parent.parent.parent


def find(folder: Path) -> dict[str, str]:
    """Name and first docstring line of each module in the folder that has a function main()."""
    found = {}
    for path in sorted(folder.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree.body):
            found[path.stem.replace("_", "-")] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def check(name: str, found: Mapping[str, str], what: str) -> str:
    """The name itself; UsageError with the nearest name where there is no such task."""
    if name in found:
        return name
    near = difflib.get_close_matches(name, found, n=1)
    hint = f"Did you mean {near[0]!r}?" if near else f"Available: {', '.join(found) or 'none'}."
    raise UsageError(f"There is no {what} {name!r}.", hint=hint)


def table(found: Mapping[str, str]) -> str:
    return "\n".join(f"  {name:<16}{text}" for name, text in found.items())


def run(package: str, name: str, words: Sequence[str]) -> int:
    """In a process of its own, so that its memory and threads are no matter of the next; returns its exit code."""
    command, environ = _process_of(package, name, words)
    return subprocess.call(command, env=environ)


def become(package: str, name: str, words: Sequence[str]) -> int:
    """In the place of this process, where the system can do that: a signal finds the task itself, which ends in its own time."""
    command, environ = _process_of(package, name, words)
    if os.name != "nt":
        sys.stdout.flush()
        sys.stderr.flush()
        os.execve(command[0], command, environ)
    with subprocess.Popen(command, env=environ) as process:
        while True:
            with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C goes to every process of the console
                return process.wait()


def _process_of(package: str, name: str, words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Command line and environment."""
    environ = dict(
        os.environ, PYTHONPATH=os.pathsep.join(filter(None, [str(SOURCE), os.environ.get("PYTHONPATH", "")]))
    )
    return [sys.executable, "-m", f"{package}.{name.replace('-', '_')}", *words], environ
