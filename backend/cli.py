"""The command line: finds the command, and turns every error into one sentence and an exit code.

Each command is a module in backend/commands, imported only when it is asked for, so that --help needs no torch. Exit codes: 0 done,
1 failed, 2 wrong usage or input, 130 interrupted.
"""

from __future__ import annotations

import argparse
import difflib
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn

from backend.commands import suggestions
from shared.errors import (
    DeclarationError,
    InternalError,
    InvalidInput,
    InvalidParameter,
    JobCancelled,
    RelievoError,
    UnknownAlgorithm,
)
from shared.version import VERSION

PROGRAM = "relievo.py"

COMMANDS: dict[str, str] = {
    "demo": "compute a terrain and render it in Blender, in out/demo",
    "run": "compute one algorithm on files",
    "painting": "parts of a photograph, a timelapse and statistics of saved strokes",
    "list": "list algorithms, their presets and the exemplars",
    "serve": "start the backend for Blender, on this machine or another",
    "doctor": "check what is installed, what is wrong, and what to do",
    "bench": "measure the claims of docs/performance.md on this machine",
    "prepare": "make environments and compile kernels ahead of time",
    "train": "recreate what ships with Relievo",
    "test": "run every check of the project",
}

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130
_WRONG_USAGE = (InvalidInput, InvalidParameter, UnknownAlgorithm)


class UsageError(Exception):
    """The command line itself is wrong. usage: the parser's one-line usage."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message, self.hint = message, hint


class Parser(argparse.ArgumentParser):
    """argparse with no abbreviations, a suggestion for a mistyped option, and errors as exceptions."""

    def __init__(self, *args, **kwargs) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", Formatter)
        super().__init__(*args, **kwargs)
        self.add_argument("--debug", action="store_true", help="show the traceback of an error, and the log")

    def parse_args(self, args=None, namespace=None):  # type: ignore[override]
        known, rest = self.parse_known_args(args, namespace)
        if rest:
            raise self._unknown(rest)
        return known

    def _unknown(self, rest: Sequence[str]) -> UsageError:
        word = next((word for word in rest if word.startswith("-")), rest[0]).partition("=")[0]
        if not word.startswith("-"):
            return UsageError(f"Unexpected argument {word!r}.", hint=f"See {self.prog} --help.")
        actions = self._option_string_actions.items()
        options = {
            name: str(action.metavar or "") for name, action in actions if name.startswith("--") and name != "--help"
        }
        near = suggestions.nearest(word, options)
        return UsageError(
            f"Unknown option {word}.", hint=f"Did you mean {near}?" if near else f"See {self.prog} --help."
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message[:1].upper()}{message[1:]}.", hint=f"See {self.prog} --help.")


class Formatter(argparse.RawDescriptionHelpFormatter):
    """Help in two columns on up to 110 characters."""

    def __init__(self, prog: str) -> None:
        columns = min(110, int(os.environ.get("COLUMNS", "0")) or _columns())
        super().__init__(prog, max_help_position=34, width=max(60, columns - 2))


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size((100, 24)).columns


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    return answer(lambda: _dispatch(arguments), debug="--debug" in arguments)


def answer(command: Callable[[], int], *, debug: bool) -> int:
    """The command's exit status; whatever it raises becomes one sentence and an exit status of its own."""
    _set_up_logging(debug)
    if hasattr(signal, "SIGTERM"):
        signal.signal(signal.SIGTERM, _terminate)
    try:
        return command()
    except UsageError as error:
        return _tell(error.message, error.hint, WRONG_USAGE)
    except (KeyboardInterrupt, JobCancelled):
        return _tell("Interrupted; nothing was written.", "", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output has gone, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except DeclarationError as error:
        if debug:
            raise
        return _tell(str(error), "Correct the engine's declaration in shared/catalog, or its code.", FAILED)
    except Exception as error:
        if debug:
            raise
        if isinstance(error, RelievoError) and not isinstance(error, InternalError):
            return _tell(error.message, error.hint, WRONG_USAGE if isinstance(error, _WRONG_USAGE) else FAILED)
        message = error.message if isinstance(error, InternalError) else f"{type(error).__name__}: {error}"
        return _tell(message, "This is a bug. --debug shows where it comes from; please report it.", FAILED)


def _set_up_logging(debug: bool) -> None:
    """Warnings to stderr as sentences. Tracebacks, and what libraries say besides their exceptions, only with --debug."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("relievo: %(message)s"))
    if not debug:
        handler.addFilter(lambda record: not record.exc_info)
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, handlers=[handler])
    for library in ("numba", "rasterio", "asyncio", "PIL"):
        logging.getLogger(library).setLevel(logging.WARNING if debug else logging.CRITICAL)


def _dispatch(arguments: list[str]) -> int:
    words = [word for word in arguments if word != "--debug"]
    if not words or words[0] in ("-h", "--help", "help"):
        print(overview())
        return DONE if words else WRONG_USAGE
    if words[0] == "--version":
        print(f"relievo {VERSION}")
        return DONE
    name = words[0]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        raise UsageError(
            f"There is no command {name!r}.",
            hint=f"Did you mean {near[0]!r}?" if near else f"Available: {', '.join(COMMANDS)}.",
        )
    return importlib.import_module(f"backend.commands.{name}").main(arguments[arguments.index(name) + 1 :])


def _terminate(number: int, frame: object) -> NoReturn:
    sys.exit(128 + number)  # an exception, so that half-written files are cleared away


def overview() -> str:
    lines = [f"usage: {PROGRAM} COMMAND [options]", ""]
    lines += ["Terrain, relief and water for Blender, computed by PyTorch.", "", "commands:"]
    lines += [f"  {name:<9}{text}" for name, text in COMMANDS.items()]
    lines += ["", f"{PROGRAM} COMMAND --help explains a command; {PROGRAM} --version prints the version."]
    return "\n".join(lines)


def _tell(message: str, hint: str, code: int) -> int:
    print(f"relievo: {message}" + (f"\n         {hint}" if hint else ""), file=sys.stderr)
    return code
