"""Compiles every engine's kernels before they are needed, in processes side by side; numba keeps them beside the source.

The kernels are those of backend/runtime/kernel_table.json, which backend/setup/kernel_table.py writes: what a small job of each
engine asks for. An engine without kernels there does its small job instead.
"""

from __future__ import annotations

import multiprocessing
from typing import Any

from backend.commands.progress_bar import Bar
from backend.runtime import registry
from backend.runtime.kernel_compiler import KernelCompiler, table
from backend.setup.small_inputs import SIDE_PX, small_inputs
from shared.algorithm import AlgorithmSpec
from shared.errors import InternalError
from shared.params import with_role


def warm(bar: Bar) -> None:
    """All kernels of the table, and a small job of every engine that has none in it. Raises InternalError where one fails."""
    entries = table()
    compiler = KernelCompiler()
    try:
        compiler.want(sorted(entries, key=lambda entry: -entry.seconds))  # the longest last would be waited for alone
        problems = compiler.wait(
            [entry.kernel for entry in entries],
            lambda done, total, remaining_s: bar(done, total, "compiling", remaining_s),
        )
    finally:
        compiler.close()
    if problems:
        raise InternalError(
            f"A kernel cannot be compiled here: {problems[0]}.",
            hint="RELIEVO_IMPL=plain runs everything without compiled kernels, but slower. Please report it.",
        )
    for spec in registry.algorithms():
        if not any(spec.name in entry.engines for entry in entries):
            bar(0, 1, f"trying {spec.label}")
            _run_small_job(spec)


def _run_small_job(spec: AlgorithmSpec) -> None:
    process = multiprocessing.get_context("spawn").Process(target=warm_one, args=(spec.name,))
    process.start()
    process.join()
    if process.exitcode != 0:
        raise InternalError(
            f"The engine {spec.label} does not run here: its test run ended with status {process.exitcode}.",
            hint="See its output above.",
        )


def warm_one(name: str) -> None:
    """A small job of the engine of this name, in this process."""
    import backend

    spec = registry.find_algorithm(name)
    many = {port.name for port in spec.inputs if port.many}
    values: dict[str, Any] = {
        port: list(given) if port in many else given[0] for port, given in small_inputs(spec).items()
    }
    values |= {entry.name: SIDE_PX for entry in with_role(spec.parameters, "size")}
    backend.run(name, **values)
