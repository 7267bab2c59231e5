"""`test`: every check there is: ruff, pyright, the tests, and the tests inside each Blender. CI calls exactly this."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from backend import environment
from backend.cli import DONE, FAILED, PROGRAM, Parser
from backend.commands.prepare import _report
from backend.progress import Bar

SOURCE = environment.SOURCE

DESCRIPTION = """Every check of the project: ruff, pyright, the tests, and the tests inside headless Blenders.
Words after -- go to pytest: `relievo.py test --only tests -- -k noise`."""


def main(argv: Sequence[str]) -> int:
    own, extra = (
        (list(argv[: argv.index("--")]), list(argv[argv.index("--") + 1 :])) if "--" in argv else (list(argv), [])
    )
    parser = Parser(
        prog=f"{PROGRAM} test", usage=f"{PROGRAM} test [options] [-- pytest options]", description=DESCRIPTION
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=("ruff", "pyright", "tests", "blender"),
        metavar="PART",
        help="ruff, pyright, tests or blender; may be repeated [default: all]",
    )
    parser.add_argument(
        "--blender",
        action="append",
        choices=environment.BLENDERS,
        metavar="VERSION",
        help=f"a Blender to test in: {', '.join(environment.BLENDERS)}; may be repeated [default: all]",
    )
    options = parser.parse_args(own)
    parts = options.only or ["ruff", "pyright", "tests", "blender"]
    checks = _checks(parts, options.blender or list(environment.BLENDERS), extra)
    results = [(name, *_run(name, command)) for name, command in checks]
    print(
        "\n"
        + "\n".join(
            f"{'ok    ' if code == 0 else 'FAILED'}  {name:<14}{seconds:6.0f} s" for name, code, seconds in results
        )
    )
    return DONE if all(code == 0 for _, code, _ in results) else FAILED


def _checks(parts: Sequence[str], blenders: Sequence[str], extra: Sequence[str]) -> list[tuple[str, list[str]]]:
    """Name and command of each check. Environments that are missing are made first."""
    checks: list[tuple[str, list[str]]] = []
    if "ruff" in parts:
        checks.append(("ruff", [sys.executable, "-m", "ruff", "check", "."]))
    if "pyright" in parts:
        checks.append(("pyright", [sys.executable, "-m", "pyright"]))
    if "tests" in parts:
        checks.append(("tests", [sys.executable, "-m", "pytest", "tests", *extra]))
    if "blender" in parts:
        checks += [(f"Blender {version}", _inside_blender(version, extra)) for version in blenders]
    return checks


def _inside_blender(version: str, extra: Sequence[str]) -> list[str]:
    with Bar(f"Blender {version}") as bar:
        python = environment.ensure(environment.blender_environment(version), _report(bar))
    return [str(python), "-m", "pytest", "tests/blender", *extra]


def _run(name: str, command: list[str]) -> tuple[int, float]:
    print(f"\n=== {name}", flush=True)
    start = time.monotonic()
    environ = {**os.environ, "RELIEVO_PYTHON": sys.executable, "RELIEVO_SOURCE": str(Path(SOURCE))}
    code = subprocess.call(command, cwd=SOURCE, env=environ)
    return code, time.monotonic() - start


__all__ = ["main"]
