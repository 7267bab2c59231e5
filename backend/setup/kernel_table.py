"""Writes backend/runtime/kernel_table.json: `python -m backend.setup.kernel_table`, wherever kernels or their types have changed.

Each engine does its small job in a process of its own that has nothing compiled, and what numba compiles for it is written down;
then once more, with everything compiled, and what it asks numba for is written down. A test holds the table to that. The job has
the engine's default settings: the kernels of what is off by default (strokes of two colours, the smudge pass) are compiled when it
is first asked for, so that nobody waits for what they do not use.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import Any

from backend.runtime import kernel_compiler, registry
from backend.runtime.kernel_compiler import TABLE, compile_here, kernel_of
from backend.setup.kernel_warmup import warm_one


def main(argv: list[str]) -> int:
    if argv:
        (asked if "--asked" in argv else record)(argv[0])
        return 0
    rows: dict[tuple[str, ...], dict[str, Any]] = {}
    for spec in registry.algorithms():
        with tempfile.TemporaryDirectory() as folder:
            compiled = {key_of(row): row for row in run("--record", spec.name, folder)}
            for row in run("--asked", spec.name, folder):
                known = compiled.get(key_of(row), {**row, "parts": 1, "seconds": 0.1})  # compiled as a part of another
                rows.setdefault(key_of(row), {**known, "engines": []})["engines"].append(spec.name)
        sys.stderr.write(f"{spec.name}: {len(rows)} kernels so far\n")
    lines = ",\n".join(json.dumps(row) for row in rows.values())
    TABLE.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    return 0


def key_of(row: dict[str, Any]) -> tuple[str, ...]:
    return row["module"], row["function"], row["signature"]


def run(what: str, engine: str, cache: str | None = None) -> list[dict[str, Any]]:
    """What `record` or `asked` writes in a process of its own."""
    environ = {**os.environ, "NUMBA_CACHE_DIR": cache} if cache else None
    command = [sys.executable, "-m", "backend.setup.kernel_table", engine, what]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def record(engine: str) -> None:
    """A row for every kernel that the engine's small job has compiled, in that order, on standard output."""
    from numba.core import event

    rows: list[dict[str, Any]] = []

    class Recorder(event.Listener):
        depth = 0

        def on_start(self, event: Any) -> None:
            self.depth += 1
            if self.depth == 1:
                self.began_s, self.parts = time.thread_time(), 0

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            self.parts += 1
            if self.depth == 0:
                row = _row(kernel_of(event.data["dispatcher"].py_func, event.data["args"]))
                rows.append({**row, "parts": self.parts, "seconds": round(time.thread_time() - self.began_s, 2)})

    compile_here()
    with event.install_listener("numba:compile", Recorder()):
        warm_one(engine)
    sys.stdout.write(json.dumps(rows))


def asked(engine: str) -> None:
    """A row for every kernel that the engine's small job asks numba for, in that order; none of them is compiled here."""
    rows: list[dict[str, Any]] = []
    plain = kernel_compiler.load_or_have_compiled

    def noting(cache: Any, types: Any, target: Any) -> Any:
        kernel = kernel_of(cache._py_func, types)
        if "<locals>" not in kernel.function:
            rows.append(_row(kernel))
        return plain(cache, types, target)

    kernel_compiler.load_or_have_compiled = noting
    warm_one(engine)
    sys.stdout.write(json.dumps(rows))


def _row(kernel: kernel_compiler.Kernel) -> dict[str, Any]:
    return {"module": kernel.module, "function": kernel.function, "signature": kernel.signature}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
