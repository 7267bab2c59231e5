"""`test`: every check there is: ruff, pyright, the tests, and the tests inside each Blender. CI calls exactly this."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from backend.cli import DONE, FAILED, PROGRAM, Parser
from backend.commands.prepare import _report
from backend.commands.progress_bar import Bar
from backend.setup import environment, installing
from backend.setup.kernel_warmup import warm

SOURCE = environment.SOURCE
SYSTEMS = ("Linux", "Windows", "Darwin")  # pyright reads `if os.name == "nt"` and the like as on each


@dataclass(frozen=True)
class Check:
    """One command of all that are run. aside: it goes beside the tests, on another core. kernels: it runs compiled ones."""

    name: str
    command: list[str]
    aside: bool = False
    kernels: bool = False


DESCRIPTION = """Every check of the project: ruff, pyright, the tests, and the tests inside headless Blenders.
Arguments after -- go to pytest: `relievo.py test --only tests -- -k noise`."""


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
    results = _run_all(checks)
    print(
        "\n"
        + "\n".join(
            f"{'ok    ' if code == 0 else 'FAILED'}  {name:<14}{seconds:6.0f} s" for name, code, seconds in results
        )
    )
    return DONE if all(code == 0 for _, code, _ in results) else FAILED


def _run_all(checks: Sequence[Check]) -> list[tuple[str, int, float]]:
    """Name, exit status and seconds of each check. Those in Blenders and the type checks go beside the others, one at a time; what
    they print comes when they have ended."""
    here = [check for check in checks if not check.aside]
    aside = [check for check in checks if check.aside]
    if not here:
        here, aside = aside, []
    if sum(check.kernels for check in checks) > 1:
        with Bar("Kernels") as bar:
            warm(bar)  # or several would compile the same ones at once
    with ThreadPoolExecutor(1) as pool:
        waiting = [pool.submit(_run, check, subprocess.PIPE) for check in aside]
        results = []
        for check in here:
            print(f"\n=== {check.name}", flush=True)
            code, seconds, _ = _run(check, None)
            results.append((check.name, code, seconds))
        for check, future in zip(aside, waiting, strict=True):
            code, seconds, output = future.result()
            print(f"\n=== {check.name}\n{output}", flush=True)
            results.append((check.name, code, seconds))
    return results


def _checks(parts: Sequence[str], blenders: Sequence[str], extra: Sequence[str]) -> list[Check]:
    """The checks in their order. Environments that are missing are made first."""
    checks: list[Check] = []
    if "ruff" in parts:
        checks.append(Check("ruff", [sys.executable, "-m", "ruff", "check", "."]))
    if "tests" in parts:
        checks.append(Check("tests", [sys.executable, "-m", "pytest", "tests", *extra], kernels=True))
    if "blender" in parts:
        checks += [
            Check(f"Blender {version}", _inside_blender(version, extra), aside=True, kernels=True)
            for version in blenders
        ]
    if "pyright" in parts:
        import build_addon  # lies beside the backend in a checkout only

        build_addon.link()  # the add-on's code imports shared/ as its own
        checks += [
            Check(f"pyright {system}", [sys.executable, "-m", "pyright", "--pythonplatform", system], aside=True)
            for system in SYSTEMS
        ]
    return checks


def _inside_blender(version: str, extra: Sequence[str]) -> list[str]:
    with Bar(f"Blender {version}") as bar:
        python = installing.ensure(environment.blender_environment(version), _report(bar))
    return [str(python), "-m", "pytest", "tests/blender", *extra]


def _run(check: Check, output: int | None) -> tuple[int, float, str]:
    """Exit status, seconds, and what it printed where `output` is a pipe."""
    start = time.monotonic()
    environ = {**os.environ, "RELIEVO_PYTHON": sys.executable, "RELIEVO_SOURCE": str(Path(SOURCE))}
    done = subprocess.run(
        check.command, cwd=SOURCE, env=environ, stdout=output, stderr=output and subprocess.STDOUT, text=True,
        errors="replace",
    )  # fmt: skip
    return done.returncode, time.monotonic() - start, done.stdout or ""


__all__ = ["main"]
