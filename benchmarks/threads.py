"""Claim: sixteen threads are four times as fast as two, and no byte depends on their number.

Relief transfer, hydrology, scan texture and texture, each with one, two and all cores (16 at most) in turns, in one process. Where
there are fewer than 16 cores, Amdahl's law says from one thread and all what 16 would do: the share of the time on one thread that
no other helps with must be so small that four times two threads can be reached; on two cores that is 1.86 times one.
A machine that does other things besides tells nothing of this: before and after each work, hashing on one core and on all is
timed, and where a tenth of them was not to be had, nothing is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import backend  # before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks.machine import describe_machine, print_machine, save_result, time_once

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
MOST_THREADS, TARGET = 16, 4.0
PHOTOGRAPH_PX = 1024  # of the scan's own texture
STAGES = 8  # that are named
LEAST_FREE, PROBE_BYTES = 0.9, 32 << 20
Job = tuple[str, dict[str, Any]]
"""An engine's name, and its inputs and parameters."""


class Run(NamedTuple):
    """seconds: in all, and by stage as the engine reports them. digest: of every output."""

    seconds: float
    stages: dict[str, float]
    digest: str


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when bytes agree and the target is reached, else 1."""
    parser = argparse.ArgumentParser(prog="relievo.py bench threads", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the textures")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="only work whose name holds one of these")
    parser.add_argument("--repeats", type=int, default=2, help="runs with each number of threads (default: 2)")
    parser.add_argument("--quick", action="store_true", help="a quarter of the side, once; keeps nothing")
    options = parser.parse_args(argv)
    machine = describe_machine()
    print_machine(machine)
    if options.quick:
        print("\na quarter of each side that is named")
    counts = sorted({1, min(2, machine["cores"]), min(machine["cores"], MOST_THREADS)})
    works = {
        name: make for name, make in WORKS.items() if not options.only or any(text in name for text in options.only)
    }
    result: dict[str, Any] = {"threads": counts, "target": TARGET, "works": {}}
    for name, (make, side) in works.items():
        engine, values = make(side // 4 if options.quick else side, options.data)
        free = free_share(counts[-1])
        runs = in_turns(engine, values, counts, 1 if options.quick else options.repeats)
        free = min(free, free_share(counts[-1]))
        result["works"][name] = row = judged(runs) | {"free": free}
        show(name, row)
    result["reached"] = bool(works) and all(row["reached"] for row in result["works"].values())
    busy = any(row["free"] < LEAST_FREE for row in result["works"].values())
    if busy:
        print("\nthe machine was busy with other things: the figures say nothing and are not kept")
    kept = "" if busy or options.quick or options.only else f"{save_result('threads', result, machine).name}: "
    print(f"\n{kept}{'reached' if result['reached'] else 'NOT reached'}")
    return 0 if result["reached"] else 1


def free_share(cores: int) -> float:
    """Of so many cores, how many are to be had, 0..1: each hashes, first alone, then all at once."""
    data = bytes(PROBE_BYTES)

    def work(_: int = 0) -> None:
        hashlib.sha256(data).digest()

    alone = min(time_once(work) for _ in range(3))
    with ThreadPoolExecutor(cores) as pool:
        together = min(time_once(lambda: list(pool.map(work, range(cores)))) for _ in range(3))
    return min(alone / together, 1.0)


def in_turns(engine: str, values: dict[str, Any], counts: Sequence[int], repeats: int) -> dict[int, list[Run]]:
    """Runs by the number of threads, after one that is not counted: kernels are compiled and memory is had."""
    once(engine, values, counts[-1])
    runs: dict[int, list[Run]] = {count: [] for count in counts}
    for turn in range(repeats):
        for count in counts if turn % 2 else reversed(counts):
            runs[count].append(once(engine, values, count))
    return runs


def once(engine: str, values: dict[str, Any], threads: int) -> Run:
    seen: list[tuple[str, float]] = []

    def note(done: int, total: int, stage: str, remaining_s: float | None) -> None:
        if not seen or seen[-1][0] != stage:
            seen.append((stage, time.perf_counter()))

    began = time.perf_counter()
    made = backend.run(engine, device="cpu", threads=threads, on_progress=note, **values)
    ended = time.perf_counter()
    stages: dict[str, float] = {}
    for (stage, since), (_, until) in zip(seen, [*seen[1:], ("", ended)], strict=True):
        stages[stage] = stages.get(stage, 0.0) + until - since
    return Run(ended - began, stages, digest(made))


def digest(made: dict[str, Any]) -> str:
    whole = hashlib.sha256()
    for name, given in sorted(made.items()):
        for array in given if isinstance(given, tuple) else (given,):
            whole.update(f"{name} {array.values.shape} {array.values.dtype}".encode())
            whole.update(np.ascontiguousarray(array.values).tobytes())
    return whole.hexdigest()


def judged(runs: dict[int, list[Run]]) -> dict[str, Any]:
    """The fastest run with each number of threads, and what follows from them.

    serial: Amdahl's share of the time on one thread. allowed: times that 16 threads can be as fast as two with that share.
    """
    best = {count: min(several, key=lambda run: run.seconds) for count, several in runs.items()}
    most = max(best)
    serial = serial_share(best[1].seconds / best[most].seconds, most)
    allowed = speed_up(serial, MOST_THREADS) / speed_up(serial, 2)
    gained = best[2].seconds / best[most].seconds if most >= MOST_THREADS else allowed
    same = len({run.digest for several in runs.values() for run in several}) == 1
    return {
        "seconds": {str(count): run.seconds for count, run in best.items()},
        "stages": {str(count): run.stages for count, run in best.items()},
        "speed_up": best[1].seconds / best[most].seconds,
        "serial": serial,
        "allowed": allowed,
        "same_bytes": same,
        "reached": same and gained >= TARGET,
    }


def serial_share(gained: float, threads: int) -> float:
    """Of the time on one thread, 0..1, where so many threads are `gained` times as fast; 1 where there is one thread."""
    if threads == 1:
        return 1.0
    return min(max((threads / gained - 1) / (threads - 1), 0.0), 1.0)


def speed_up(serial: float, threads: int) -> float:
    """Amdahl's: of so many threads against one."""
    return 1 / (serial + (1 - serial) / threads)


def show(name: str, row: dict[str, Any]) -> None:
    seconds = ", ".join(f"{count}: {own:.2f} s" for count, own in row["seconds"].items())
    print(
        f"\n{name}: threads {seconds}; {row['speed_up']:.2f}x, serial share {row['serial']:.3f}, which allows"
        f" {row['allowed']:.1f}x from 2 to {MOST_THREADS}; bytes {'equal' if row['same_bytes'] else 'DIFFER'}"
    )
    few, many = (row["stages"][max(row["stages"], key=int) if last else "1"] for last in (False, True))
    for stage in sorted(few, key=few.__getitem__, reverse=True)[:STAGES]:
        print(f"    {stage:<44}{few[stage]:>8.2f}{many.get(stage, 0.0):>8.2f} s")


# What is run --------------------------------------------------------------------------------------------------------


def _ground(side: int) -> np.ndarray:
    return backend.run("noise", width_px=side, height_px=side, seed=1, device="cpu")["height"].values


def _relief(side: int, data: Path) -> Job:
    return "morphology", {"height": _ground(side), "pixel_size_m": 30.0, "seed": 1}


def _hydrology(side: int, data: Path) -> Job:
    return "hydrology", {"height": _ground(side), "pixel_size_m": 30.0}


def _scan(side: int, data: Path) -> Job:
    from benchmarks import scan_scene

    return "scan_texture", {"size": side, **scan_scene.build(PHOTOGRAPH_PX).inputs()}


def _texture(side: int, data: Path) -> Job:
    from benchmarks.texture import sample
    from shared import texture_set
    from shared.srgb import srgb_to_linear

    linear = srgb_to_linear(sample(data / "textures", "water", 256).transpose(1, 2, 0)).astype(np.float32)
    exemplar = [texture_set.stack({"base_color": linear})]
    return "texture", {"exemplar": exemplar, "width": side, "height": side, "estimate": False, "seed": 1}


WORKS: dict[str, tuple[Callable[[int, Path], Job], int]] = {
    "relief transfer, 2048²": (_relief, 2048),
    "hydrology, 2048²": (_hydrology, 2048),
    "scan texture, 2048², 89 views": (_scan, 2048),
    "texture, 1024²": (_texture, 1024),
}

if __name__ == "__main__":
    raise SystemExit(main())
