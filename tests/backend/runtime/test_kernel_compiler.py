"""Kernels compiled in child processes: what is asked for comes into the cache, failures are reported, and no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from backend.runtime import kernel_compiler
from backend.runtime.kernel_compile_process import types_of
from backend.runtime.kernel_compiler import Entry, Kernel, KernelCompiler, signals_held, table

ROOT = Path(__file__).resolve().parents[3]
SMALL = Entry(
    Kernel("backend.ops.terrain.hillslope_cpu", "_shares", "(float64, Array(float64, 1, 'C', False, aligned=True),)"),
    ("hydrology",), 3, 0.5,
)  # fmt: skip


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    made = KernelCompiler(2)
    yield made
    made.close()


def test_a_kernel_comes_into_the_cache_and_progress_moves(compiler: KernelCompiler, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    compiler.want([SMALL])
    assert compiler.wait([SMALL.kernel], lambda done, total, _: reports.append((done, total))) == []
    assert list(tmp_path.rglob("*_shares*.nbc"))
    assert reports == sorted(reports)
    assert reports[0][0] == 0
    assert reports[-1] == (3, 3)


def test_what_cannot_be_compiled_is_told_and_the_rest_goes_on(compiler: KernelCompiler) -> None:
    unknown = Entry(Kernel(SMALL.kernel.module, "no_such_kernel", "(float64,)"), (), 1, 1.0)
    typo = Entry(Kernel(SMALL.kernel.module, SMALL.kernel.function, "(Array(float65, 2, 'C'),)"), (), 1, 1.0)
    compiler.want([unknown, typo, SMALL])
    problems = compiler.wait([unknown.kernel, typo.kernel, SMALL.kernel])
    assert len(problems) == 2
    assert "no_such_kernel" in problems[0]
    assert "float65" in problems[1]


def test_a_child_that_is_killed_is_told(compiler: KernelCompiler) -> None:
    compiler.want([SMALL])
    (child,) = compiler._busy.values()
    child._popen.kill()
    (problem,) = compiler.wait([SMALL.kernel])
    assert "ended" in problem


def test_whoever_is_told_may_end_the_waiting_and_no_child_is_left(compiler: KernelCompiler) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    compiler.want([SMALL])
    processes = [child._popen for child in compiler._busy.values()]
    with pytest.raises(KeyboardInterrupt):
        compiler.wait([SMALL.kernel], stop)
    compiler.close()
    assert all(process.returncode is not None for process in processes)


def test_every_row_of_the_table_names_a_kernel_and_its_types() -> None:
    import importlib

    assert {engine for entry in table() for engine in entry.engines} >= {
        "noise",
        "morphology",
        "hydrology",
        "scan_texture",
    }
    for entry in table():
        kernel = getattr(importlib.import_module(entry.kernel.module), entry.kernel.function)
        assert kernel_compiler.kernel_of(kernel.py_func, types_of(entry.kernel.signature)) == entry.kernel
        assert entry.parts >= 1
        assert entry.seconds >= 0


@pytest.mark.parametrize("name", sorted({f"{entry.kernel.module}.{entry.kernel.function}" for entry in table()}))
def test_a_kernel_releases_pythons_lock(name: str) -> None:
    """Otherwise the thread that ends an interrupted command waits for the kernel, and the process has to be killed. Kernels on
    numba's own threads keep the lock, because not every threading layer of numba bears two callers at once."""
    import importlib

    module, function = name.rsplit(".", 1)
    options = getattr(importlib.import_module(module), function).targetoptions
    assert options.get("nogil") or options.get("parallel"), f"{name}: njit(nogil=True) is missing"


COLD = """
import hashlib, sys
from numba.core import event
own = []
class Listener(event.Listener):
    def on_start(self, event):
        own.append(event.data["dispatcher"].py_func.__qualname__)
    def on_end(self, event):
        pass
event.register("numba:compile", Listener())
import backend
from backend.runtime.kernel_compiler import STAGE
reports = []
made = backend.run("noise", width_px=32, height_px=32, seed=3, device="cpu", on_progress=lambda *a: reports.append(a))
assert not [name for name in own if "<locals>" not in name], own
compiling = [a for a in reports if a[2] == STAGE]
assert compiling and compiling[-1][0] > compiling[0][0], compiling
print(hashlib.sha256(made["height"].values.tobytes()).hexdigest())
"""


def test_a_job_without_compiled_kernels_has_them_compiled_aside(tmp_path: Path) -> None:
    """Nothing is compiled in the job's process, its progress moves meanwhile, and the second run gives the same bytes at once."""
    reports = [
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for code in (COLD, "compiling = 0\n" + COLD.replace("assert compiling and", "assert not compiling or"))
    ]
    assert reports[0]
    assert reports[0] == reports[1]


@pytest.mark.skipif(os.name != "posix", reason="raises a signal in this process")
def test_signals_are_held_and_not_lost() -> None:
    assert threading.current_thread() is threading.main_thread()
    past = []

    def hold() -> None:
        with signals_held():
            signal.raise_signal(signal.SIGINT)
            time.sleep(0.01)
            past.append("the end of the block")

    with pytest.raises(KeyboardInterrupt):
        hold()
    assert past
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
