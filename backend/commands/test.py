"""`test`: every check there is: ruff, pyright, the tests, and the tests inside each Blender. CI calls exactly this.

The checks run side by side, as many at once as there are cores, so they are cut into parts of some minutes and the longest start
first. What each takes is printed at the end.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from backend.cli import DONE, FAILED, PROGRAM, Parser
from backend.commands.prepare import _report
from backend.commands.progress_bar import Bar
from backend.setup import environment, installing
from backend.setup.kernel_warmup import warm

SOURCE = environment.SOURCE
MOST_AT_ONCE = 4  # each takes up to 2 GB
SLOW = ["--durations=10", "--durations-min=3"]  # names the slow tests of each part

# folders of tests that are a part of their own; what is in none of them is the last part, so that nothing is left out
PARTS = (
    ("tests/backend/server", "tests/backend/runtime"),
    ("tests/backend/algorithms", "tests/backend/ops"),
    ("tests/backend/commands", "tests/backend/setup"),
    ("tests/backend/files", "tests/backend/training", "tests/backend/models"),
)
WHOLE_SUITE = "4.5"  # the Blender that also runs the tests marked any_version, if it is among those chosen

SYSTEMS = ("Linux", "Windows", "Darwin")  # pyright reads `if os.name == "nt"` and the like as on each
# modules of the standard library whose declarations depend on the system
_DEPENDS_ON_SYSTEM = re.compile(
    r"sys\.platform|os\.name|^\s*(import|from) (asyncio|ctypes|fcntl|grp|mmap|msvcrt|multiprocessing|os|platform|pwd|resource"
    r"|select|selectors|shutil|signal|socket|stat|subprocess|sys|tempfile|threading|time|winreg)\b",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Check:
    """One command of all that are run. kernels: it runs compiled ones. inside: its environment, where that is not the backend's."""

    name: str
    command: list[str]
    kernels: bool = False
    inside: environment.Environment | None = None


@dataclass(frozen=True)
class Result:
    name: str
    is_ok: bool
    seconds: float


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
    results = [*_set_up(checks), *_run_all(checks)]
    print()
    for result in results:
        print(f"{'ok    ' if result.is_ok else 'FAILED'}  {result.name:<36}{result.seconds:6.0f} s")
    return DONE if all(result.is_ok for result in results) else FAILED


def _checks(parts: Sequence[str], blenders: Sequence[str], extra: Sequence[str]) -> list[Check]:
    """The checks, the longest first."""
    checks: list[Check] = []
    if "blender" in parts:
        whole = WHOLE_SUITE if WHOLE_SUITE in blenders else blenders[-1]
        for version in sorted(blenders, key=lambda version: version != whole):
            inside = environment.blender_environment(version)
            rest = [] if version == whole else ["-m", "not any_version"]
            command = [str(inside.python), "-m", "pytest", *SLOW, "tests/blender", *rest, *extra]
            checks.append(Check(f"Blender {version}", command, kernels=True, inside=inside))
    if "tests" in parts:
        checks[1:1] = _tests(extra)
    if "pyright" in parts:
        checks += [_pyright(system) for system in SYSTEMS]
    if "ruff" in parts:
        checks.append(Check("ruff", [sys.executable, "-m", "ruff", "check", "."]))
    return checks


def _tests(extra: Sequence[str]) -> list[Check]:
    """The tests in their parts; in one where there are options for pytest, which may choose tests of one part only."""
    pytest = [sys.executable, "-m", "pytest", *SLOW]
    if extra:
        return [Check("tests", [*pytest, "tests", *extra], kernels=True)]
    named = [folder for folders in PARTS for folder in folders]
    rest = Check("tests, the others", [*pytest, "tests", *(f"--ignore={folder}" for folder in named)], kernels=True)
    names = [", ".join(Path(folder).name for folder in folders) for folders in PARTS]
    parts = [Check(f"tests of {name}", [*pytest, *folders], kernels=True) for name, folders in zip(names, PARTS)]
    return [rest, *parts]


def _pyright(system: str) -> Check:
    """On this system all files, on the others those that ask for the system or use what is declared by system."""
    import build_addon  # lies beside the backend in a checkout only

    build_addon.link()  # the add-on's code imports shared/ as its own
    command = [sys.executable, "-m", "pyright", "--pythonplatform", system]
    return Check(f"pyright {system}", command if system == SYSTEMS[0] else [*command, *_files_that_depend_on_system()])


def _files_that_depend_on_system() -> list[str]:
    folders = ("backend", "shared", "blender_addon")
    paths = [path for folder in folders for path in (Path(SOURCE) / folder).rglob("*.py")]
    mine = [path for path in paths if Path("blender_addon/shared") not in path.relative_to(SOURCE).parents]
    mine += [Path(SOURCE) / "relievo.py", Path(SOURCE) / "build_addon.py"]
    return sorted(str(path) for path in mine if _DEPENDS_ON_SYSTEM.search(path.read_text(encoding="utf-8")))


def _set_up(checks: Sequence[Check]) -> list[Result]:
    """What the checks need and is not there: the Blenders, which are downloaded, and meanwhile the kernels, which are compiled."""
    began = time.monotonic() - float(
        os.environ.get("RELIEVO_SET_UP_S", "0")
    )  # what relievo.py took before it came here
    missing = [check for check in checks if check.inside is not None and check.inside.state != "ready"]
    with ThreadPoolExecutor(1) as pool:
        installed = [pool.submit(_install, check) for check in missing]
        try:
            if sum(check.kernels for check in checks) > 1:
                with Bar("Kernels") as bar:
                    warm(bar)  # or several would compile the same ones at once
            for future in installed:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [Result("set-up", True, time.monotonic() - began)]


def _install(check: Check) -> None:
    assert check.inside is not None
    with Bar(check.name, quiet=sys.stderr.isatty()) as bar:  # a terminal has one line, which is that of the kernels
        installing.ensure(check.inside, _report(bar))


def _run_all(checks: Sequence[Check]) -> list[Result]:
    """The results in the order of their ends. What a check prints comes when it has ended, of a single one at once."""
    if len(checks) == 1:
        return [_run(checks[0], None)[0]]
    results = []
    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_AT_ONCE)) as pool:
        running: list[Future[tuple[Result, str]]] = [pool.submit(_run, check, subprocess.PIPE) for check in checks]
        try:
            for future in as_completed(running):
                result, output = future.result()
                results.append(result)
                print(f"\n=== {result.name}, {result.seconds:.0f} s\n{output}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return results


def _run(check: Check, output: int | None) -> tuple[Result, str]:
    """The result, and what the command printed where `output` is a pipe."""
    began = time.monotonic()
    environ = {**os.environ, "RELIEVO_PYTHON": sys.executable, "RELIEVO_SOURCE": str(Path(SOURCE))}
    done = subprocess.run(
        check.command, cwd=SOURCE, env=environ, stdout=output, stderr=output and subprocess.STDOUT, text=True,
        errors="replace",
    )  # fmt: skip
    return Result(check.name, done.returncode == 0, time.monotonic() - began), done.stdout or ""


__all__ = ["main"]
