"""Compiles kernels in processes of their own: on all cores, with progress, and with Ctrl-C heeded at once.

numba compiles on one thread, for seconds a kernel, mostly inside LLVM, where an exception of a signal handler is lost. So a
kernel that is in no cache is not compiled where it is called: a child process compiles it into numba's cache, from which the
caller loads it. The other kernels of the engine, listed in kernel_table.json, follow without being asked for. Where no
child can be had, or one fails, numba compiles in this process, as it does of itself.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

ROOT = Path(__file__).resolve().parents[2]
TABLE = Path(__file__).with_name("kernel_table.json")
MOST_PROCESSES = 4  # each takes some 400 MiB
WAIT_S = 0.1  # how often whoever waits is asked whether it still wants to
_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NO_WINDOW", 0)

Report = Callable[[int, int, "float | None"], None]  # parts done, parts in all, seconds that remain; may raise


STAGE = "preparing for the first run"  # what a progress line says while kernels are compiled, in words of the interface


@dataclass(frozen=True)
class Kernel:
    """A function and the types that it is compiled for, as numba writes them."""

    module: str
    function: str
    signature: str


@dataclass(frozen=True)
class Entry:
    """A row of the table. parts: functions that numba compiles for it; seconds: of one core, on the machine of the table."""

    kernel: Kernel
    engines: tuple[str, ...]
    parts: int
    seconds: float


def table() -> list[Entry]:
    """The kernels that each engine's default needs, in the order of their first use."""
    rows = json.loads(TABLE.read_text(encoding="utf-8"))
    return [
        Entry(
            Kernel(row["module"], row["function"], row["signature"]),
            tuple(row["engines"]),
            row["parts"],
            row["seconds"],
        )
        for row in rows
    ]


def kernel_of(function: Any, types: Any) -> Kernel:
    """types: of the arguments, as numba's cache is asked for them."""
    return Kernel(function.__module__, function.__qualname__, f"({', '.join(map(repr, types))},)")


class KernelCompiler:
    """Child processes that compile what is wanted, first what somebody waits for. Belongs to one thread."""

    def __init__(self, processes: int = 0) -> None:
        self._limit = processes or min(os.cpu_count() or 1, MOST_PROCESSES)
        self._idle: list[_Child] = []
        self._busy: dict[int, _Child] = {}
        self._said: queue.SimpleQueue[tuple[_Child, dict[str, Any] | None]] = queue.SimpleQueue()
        self._waiting: list[Entry] = []
        self._known: dict[Kernel, Entry] = {}
        self._ended: dict[Kernel, str] = {}  # "" for one that is compiled, else what went wrong
        self._parts: dict[Kernel, int] = {}
        self._began_s = time.monotonic()

    def want(self, entries: Iterable[Entry]) -> None:
        """Have these compiled, in this order, after what is wanted already."""
        for entry in entries:
            if entry.kernel not in self._known:
                self._known[entry.kernel] = entry
                self._waiting.append(entry)
        self._start()

    def wait(self, kernels: Iterable[Kernel], report: Report | None = None) -> list[str]:
        """Until these, which are wanted, are compiled. Returns what went wrong, a sentence each.

        report is called every WAIT_S at most; what it raises ends the waiting.
        """
        kernels = list(kernels)
        first = {kernel for kernel in kernels if kernel not in self._ended}
        self._waiting.sort(key=lambda entry: entry.kernel not in first)
        while any(kernel not in self._ended for kernel in kernels):
            self._start()
            if report is not None:
                report(*self._progress())
            with contextlib.suppress(queue.Empty):
                self._take(*self._said.get(timeout=WAIT_S))
        if report is not None:
            report(*self._progress())
        return [self._ended[kernel] for kernel in kernels if self._ended[kernel]]

    def _progress(self) -> tuple[int, int, float | None]:
        done = sum(entry.parts if k in self._ended else self._parts.get(k, 0) for k, entry in self._known.items())
        total = sum(entry.parts for entry in self._known.values())
        share = {
            k: 1.0 if k in self._ended else min(self._parts.get(k, 0) / max(entry.parts, 1), 0.9)
            for k, entry in self._known.items()
        }
        behind = sum(entry.seconds * share[k] for k, entry in self._known.items())
        ahead = sum(entry.seconds * (1 - share[k]) for k, entry in self._known.items())
        elapsed = time.monotonic() - self._began_s
        remaining = elapsed * ahead / behind if behind > 0.5 and elapsed > 2.0 else None
        return min(done, total), total, remaining

    def _start(self) -> None:
        """Give work to whoever has none."""
        while self._waiting and (self._idle or len(self._busy) < self._limit):
            try:
                child = self._idle.pop() if self._idle else _Child(self._said)
            except OSError as error:
                log.warning("no process to compile kernels in: %s", error)
                self._give_up(str(error))
                return
            child.entry = self._waiting.pop(0)
            self._busy[id(child)] = child
            child.ask(child.entry.kernel)

    def _take(self, child: _Child, said: dict[str, Any] | None) -> None:
        """said: a line of the child's, None where it has ended."""
        if said is not None and "part" in said:
            kernel = child.entry.kernel
            self._parts[kernel] = min(self._parts.get(kernel, 0) + 1, max(child.entry.parts - 1, 0))
            return
        if self._busy.pop(id(child), None) is None:
            return  # an idle one that has ended
        self._ended[child.entry.kernel] = "the process that compiled it has ended" if said is None else said["error"]
        if said is not None:
            self._idle.append(child)

    def _give_up(self, reason: str) -> None:
        for entry in self._waiting:
            self._ended[entry.kernel] = reason
        self._waiting.clear()

    def close(self) -> None:
        """End the children, whatever they do."""
        for child in itertools.chain(self._idle, self._busy.values()):
            child.close()
        self._idle.clear()
        self._busy.clear()
        self._waiting.clear()


class _Child:
    """One process; what it says goes into a queue. It ends when its standard input does, so that it never outlives this one."""

    def __init__(self, said: queue.SimpleQueue[Any]) -> None:
        self.entry: Entry
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH", "")])]
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "backend.runtime.kernel_compile_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            creationflags=_WINDOWS_FLAGS,
        )
        threading.Thread(target=self._listen, args=(said,), name="kernel-compiler", daemon=True).start()

    def _listen(self, said: queue.SimpleQueue[Any]) -> None:
        assert self._popen.stdout is not None
        with contextlib.suppress(OSError, ValueError):
            for line in self._popen.stdout:
                said.put((self, json.loads(line)))
        said.put((self, None))

    def ask(self, kernel: Kernel) -> None:
        assert self._popen.stdin is not None
        line = json.dumps({"module": kernel.module, "function": kernel.function, "signature": kernel.signature})
        with contextlib.suppress(OSError):  # it has ended: the queue says so
            self._popen.stdin.write(line.encode() + b"\n")
            self._popen.stdin.flush()

    def close(self) -> None:
        self._popen.kill()
        self._popen.wait()
        with contextlib.suppress(OSError):  # an order that was never read
            if self._popen.stdin is not None:
                self._popen.stdin.close()


class _Aside:
    """What is in force while kernels are compiled aside. is_given_up: nothing is, numba compiles everything in this process."""

    compiler: KernelCompiler | None = None
    engine = ""
    report: Report | None = None
    depth = 0
    is_given_up = False


def compile_here() -> None:
    """From now on numba compiles in this process, as it does of itself."""
    _Aside.is_given_up = True


@contextlib.contextmanager
def compiling_aside(engine: str = "", report: Report | None = None) -> Iterator[None]:
    """Within, kernels that are in no cache are compiled in child processes; may be nested, the innermost reports.

    engine: whose kernels in the table follow the first that is missing. report: called with how far they are; may raise.
    """
    before = _Aside.engine, _Aside.report
    _Aside.engine, _Aside.report = engine or before[0], report or before[1]
    _Aside.depth += 1
    try:
        with _numba_asks_first() if _Aside.depth == 1 else contextlib.nullcontext():
            yield
    finally:
        _Aside.depth -= 1
        _Aside.engine, _Aside.report = before
        if _Aside.depth == 0 and _Aside.compiler is not None:
            _Aside.compiler.close()
            _Aside.compiler = None


@contextlib.contextmanager
def _numba_asks_first() -> Iterator[None]:
    """Within, numba's cache asks `load_or_have_compiled`, and signals are held while numba compiles here all the same."""
    try:
        with signals_held():
            from numba.core import event
            from numba.core.caching import FunctionCache
    except Exception:  # whatever a broken numba raises: no kernel will be compiled
        yield
        return

    class Holder(event.Listener):
        held = _HeldSignals()

        def on_start(self, event: Any) -> None:
            self.held.hold()

        def on_end(self, event: Any) -> None:
            self.held.release()

    FunctionCache.load_overload = load_or_have_compiled  # type: ignore[method-assign]
    try:
        with event.install_listener("numba:compile", Holder()):
            yield
    finally:
        del FunctionCache.load_overload  # the base class's comes to light again


def load_or_have_compiled(cache: Any, types: Any, target: Any) -> Any:
    """Stands for numba's FunctionCache.load_overload: None where the kernel has to be compiled here."""
    from numba.core.caching import Cache

    with signals_held():
        found = Cache.load_overload(cache, types, target)
    function = cache._py_func
    if found is not None or _Aside.is_given_up or "<locals>" in function.__qualname__:
        return found
    problems = _have_compiled(kernel_of(function, types))
    if problems:
        log.warning("a kernel could not be compiled in a child process: %s", problems[0])
        compile_here()
        return None
    with signals_held():
        return Cache.load_overload(cache, types, target)


def _have_compiled(kernel: Kernel) -> list[str]:
    if _Aside.compiler is None:
        _Aside.compiler = KernelCompiler()
    compiler, listed = _Aside.compiler, table()
    own = next((entry for entry in listed if entry.kernel == kernel), Entry(kernel, (), 1, 1.0))
    engine = _Aside.engine if _Aside.engine in own.engines else ""
    compiler.want([own, *(entry for entry in listed if engine and engine in entry.engines)])
    return compiler.wait([kernel], _Aside.report)


@contextlib.contextmanager
def signals_held() -> Iterator[None]:
    """Within, Ctrl-C and SIGTERM are noted; they take effect at the end. For what calls back from LLVM: an exception that
    a signal handler raises in a callback of ctypes is printed and lost."""
    held = _HeldSignals()
    held.hold()
    try:
        yield
    finally:
        held.release()


class _HeldSignals:
    """SIGINT and SIGTERM noted from the first hold() to the last release(), on the main thread."""

    def __init__(self) -> None:
        self._depth = 0
        self._before: dict[int, Any] = {}
        self._noted: list[int] = []

    def hold(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._depth += 1
        if self._depth == 1:
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(handler):
                    self._before[number] = handler
                    signal.signal(number, lambda number, frame: self._noted.append(number))

    def release(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        self._depth -= 1
        if self._depth == 0:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._before.clear()
            if self._noted:
                number, self._noted = self._noted[0], []
                signal.raise_signal(number)
