"""Compile time: how long kernels take where nothing has been compiled yet, before a first terrain and before a first scan.

Every turn begins with an empty cache and compiles, in child processes as `relievo.py prepare` and a first run do, the kernels
that backend/runtime/kernel_table.json lists for one engine, for a first terrain (noise, relief transfer, hydrology) and for
all. Told are seconds on the clock and seconds of processors: the second hardly depends on what else the machine does.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from backend.runtime.kernel_compiler import KernelCompiler, table
from benchmarks import machine

TERRAIN = ("noise", "morphology", "hydrology")
REACH_S = {"a first terrain": 10.0, "all": 40.0}


def main() -> int:
    parser = argparse.ArgumentParser(prog="relievo.py bench compile-time", description=__doc__.partition("\n")[0])
    parser.add_argument("--only", nargs="+", metavar="NAME", help="engines, 'a first terrain' or 'all' [default: each]")
    parser.add_argument("--processes", type=int, default=0, help="side by side [default: as prepare does]")
    parser.add_argument("--slowest", type=int, default=0, metavar="N", help="list the N slowest kernels of the table")
    options = parser.parse_args()
    for entry in sorted(table(), key=lambda entry: -entry.seconds)[: options.slowest]:
        print(f"{entry.seconds:7.2f} s {entry.parts:4d} functions  {entry.kernel.module}.{entry.kernel.function}")
    engines = list(dict.fromkeys(engine for entry in table() for engine in entry.engines))
    sets: dict[str, Sequence[str]] = {name: [name] for name in engines}
    sets |= {"a first terrain": TERRAIN, "all": engines}
    results = {}
    for name, chosen in sets.items():
        if not options.only or name in options.only:
            results[name] = measure(chosen, options.processes)
            asked = f"   (asked: {REACH_S[name]:.0f} s)" if name in REACH_S else ""
            found = results[name]
            print(
                f"{name:<16} {found['kernels']:3d} kernels  {found['wall_s']:6.1f} s  "
                f"{found['cpu_s']:6.1f} s of processors{asked}",
                flush=True,
            )
    described = machine.describe_machine()
    machine.print_machine(described)
    machine.save_result("compile-time", {"sets": results, "asked_s": REACH_S}, described)
    return 0 if all(results[name]["wall_s"] <= asked for name, asked in REACH_S.items() if name in results) else 1


def measure(engines: Sequence[str], processes: int) -> dict[str, Any]:
    """Compile these engines' kernels into an empty cache. Raises RuntimeError where one cannot be compiled."""
    entries = [entry for entry in table() if set(entry.engines) & set(engines)]
    before, began_s = os.times(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        kept, os.environ["NUMBA_CACHE_DIR"] = os.environ.get("NUMBA_CACHE_DIR"), folder
        compiler = KernelCompiler(processes)
        try:
            compiler.want(sorted(entries, key=lambda entry: -entry.seconds))
            problems = compiler.wait(entry.kernel for entry in entries)
            wall_s = time.perf_counter() - began_s
        finally:
            compiler.close()
            os.environ.pop("NUMBA_CACHE_DIR")
            if kept is not None:
                os.environ["NUMBA_CACHE_DIR"] = kept
    if problems:
        raise RuntimeError(problems[0])
    after = os.times()
    cpu_s = after.children_user + after.children_system - before.children_user - before.children_system
    return {"kernels": len(entries), "wall_s": round(wall_s, 1), "cpu_s": round(cpu_s, 1)}


if __name__ == "__main__":
    raise SystemExit(main())
