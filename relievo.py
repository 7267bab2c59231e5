#!/usr/bin/env python3
"""Start here: makes the environment once, then runs the backend's command line.

    python3 relievo.py demo        everything at once: Blender, backend, a terrain and its picture in out/demo
    python3 relievo.py test        the same set-up, then every check
    python3 relievo.py run         one algorithm on files: `relievo.py run morphology --help`
    python3 relievo.py serve       the backend for Blender on this or another machine
    python3 relievo.py list        algorithms, presets, exemplars
    python3 relievo.py doctor      what is installed, what is wrong, what to do
    python3 relievo.py bench       the claims of docs/performance.md, measured on this machine
    python3 relievo.py prepare     makes the environments ahead of time
    python3 relievo.py train       recreates what ships: exemplars, weights

PyTorch's build is chosen once: with CUDA where an NVIDIA card answers (3.0 GB to download), else for the CPU (0.4 GB).
`python3 relievo.py --cuda prepare` or `--cpu prepare` chooses it by hand.
Without internet: `python3 relievo.py --wheels FOLDER prepare` installs from a folder of wheels.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
PYTHON = (3, 11)
EXTRA_GROUPS = {"test": ("test", "bench"), "bench": ("bench", "peers")}


def main(argv: list[str]) -> int:
    variant, wheels, argv = _own_options(argv)
    if not argv or argv[0] in ("-h", "--help", "help"):
        print((__doc__ or "").strip())
        return 0
    if sys.version_info[:2] != PYTHON:
        return _with_the_right_python(argv, variant, wheels)
    sys.path.insert(0, str(HERE))
    from backend.setup import environment as environments
    from backend.setup.installing import ensure
    from shared.errors import RelievoError

    groups = EXTRA_GROUPS.get(argv[0], ())
    chosen = variant or environments.read_marker(HERE / ".venv").get("variant")
    environment = environments.Environment(
        root=HERE / ".venv",
        groups=("backend", *groups),
        variant=chosen or environments.variant_for_this_machine(),
        wheels=wheels,
    )
    began = time.monotonic()
    try:
        python = ensure(environment, _Report())
    except RelievoError as error:
        print(f"relievo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("relievo: Interrupted. The next run continues from here.", file=sys.stderr)
        return 130
    return _hand_over([str(python), "-m", "backend", *argv], time.monotonic() - began)


def _own_options(argv: list[str]) -> tuple[str, Path | None, list[str]]:
    """--cuda, --cpu and --wheels FOLDER before the command; all that follows is the command's."""
    variant, wheels = "", None
    while argv and argv[0] in ("--cuda", "--cpu", "--wheels"):
        if argv[0] == "--wheels":
            if len(argv) < 2 or not Path(argv[1]).is_dir():
                sys.exit("relievo: --wheels takes a folder of wheels.")
            wheels, argv = Path(argv[1]).resolve(), argv[2:]
        else:
            variant, argv = argv[0].removeprefix("--"), argv[1:]
    return variant, wheels, argv


def _with_the_right_python(argv: list[str], variant: str, wheels: Path | None) -> int:
    """Blender's modules exist for one Python version only: starts over with it where it is to be had."""
    name = f"{PYTHON[0]}.{PYTHON[1]}"
    options = [*([f"--{variant}"] if variant else []), *(["--wheels", str(wheels)] if wheels else [])]
    found = shutil.which(f"python{name}")
    if not found and (uv := _uv(wheels)):
        subprocess.run([uv, "python", "install", name], capture_output=True)
        result = subprocess.run([uv, "python", "find", name], capture_output=True, text=True)
        found = result.stdout.strip() if result.returncode == 0 else ""
    if not found:
        here = f"{sys.version_info[0]}.{sys.version_info[1]}"
        print(
            f"relievo: This is Python {here}; Relievo needs Python {name}, because Blender's modules exist for no other. "
            f"Install python{name}, or uv, which downloads it.",
            file=sys.stderr,
        )
        return 2
    return subprocess.call([found, str(HERE / "relievo.py"), *options, *argv])


def _uv(wheels: Path | None) -> str:
    """uv's program, fetched where it is missing; "" where it cannot be had."""
    if sys.version_info[:2] < PYTHON:  # what fetches it needs that one
        return shutil.which("uv") or ""
    sys.path.insert(0, str(HERE))
    from backend.setup import uv
    from shared.errors import RelievoError

    folder = HERE / ".venv" / uv.FETCHED
    try:
        return uv.find(folder) or uv.fetch(folder, wheels, lambda line: None)
    except (RelievoError, OSError):
        return ""


class _Report:
    """One line that changes, and stays silent where nothing has to be installed."""

    def __call__(self, stage: str, fraction: float, line: str) -> None:
        text = f"Setting up: {stage} ({fraction:.0%})" + (f"  {line}" if line else "")
        width = shutil.get_terminal_size().columns - 1
        if sys.stderr.isatty():
            print(f"\r{text[:width]:<{width}}", end="\n" if fraction == 1.0 else "", file=sys.stderr, flush=True)
        elif not line:
            print(text, file=sys.stderr, flush=True)


def _hand_over(command: list[str], set_up_s: float) -> int:
    """The backend's command line in the environment's Python, from the user's own folder."""
    environ = dict(os.environ)
    environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE), environ.get("PYTHONPATH", "")]))
    environ["RELIEVO_SET_UP_S"] = str(set_up_s)  # `test` tells what each of its parts takes
    if os.name == "nt":
        return subprocess.call(command, env=environ)
    os.execve(command[0], command, environ)
    raise AssertionError("execve does not return")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
