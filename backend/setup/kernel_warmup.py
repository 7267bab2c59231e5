"""Compiles every engine's kernels before they are needed: a small job of each, in processes side by side.

numba compiles on one thread, the scan's kernels alone for more than a minute, and keeps the result beside the source for every
process after.
"""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.connection import wait
from typing import Any

from backend.commands.progress_bar import Bar
from backend.runtime import registry
from backend.setup.small_inputs import SIDE_PX, small_inputs
from shared.algorithm import AlgorithmSpec
from shared.errors import InternalError
from shared.params import with_role

MOST_PROCESSES = 4  # each takes some 600 MiB while it compiles


def warm(bar: Bar) -> None:
    """One small job of every engine. Raises InternalError where one fails."""
    specs = list(registry.algorithms())
    specs.sort(key=lambda spec: -len(spec.inputs))  # those that take most have most to compile: they begin
    starting = multiprocessing.get_context("spawn")
    running: dict[int, tuple[AlgorithmSpec, Any]] = {}
    done = 0
    while specs or running:
        while specs and len(running) < min(os.cpu_count() or 1, MOST_PROCESSES):
            spec = specs.pop(0)
            process = starting.Process(target=warm_one, args=(spec.name,))
            process.start()
            running[process.sentinel] = (spec, process)
        names = ", ".join(spec.label.lower() for spec, _ in running.values())
        bar(done, done + len(running) + len(specs), f"compiling {names}")
        for sentinel in wait(list(running)):
            assert isinstance(sentinel, int)
            spec, process = running.pop(sentinel)
            process.join()
            done += 1
            if process.exitcode != 0:
                for _, other in running.values():
                    other.terminate()
                raise InternalError(
                    f"The engine {spec.label} does not run here: its trial ended with status {process.exitcode}.",
                    hint="What it printed stands above.",
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
