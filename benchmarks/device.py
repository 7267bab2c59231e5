"""Claim: `auto` is never slower than the best device, and every engine and op runs on a graphics card.

For a machine that may be at hand for minutes only: first what `prepare` does, which compiles the kernels and measures the speeds
that "auto" goes by; then the tests that name a card, and each engine on the CPU, on the card and as "auto" takes it, the second run
of each, with a budget in minutes after which the rest is left out by name. Without a card the CPU alone is measured, so that the
script can be tried anywhere.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import backend
from benchmarks.machine import describe_machine, print_machine, save_result
from shared.errors import JobCancelled

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
TESTS = (
    "tests/backend/ops",
    "tests/backend/runtime",
    "tests/backend/server/test_server_gpu.py",
    "tests/test_contract.py",
)
SELECTED = "cuda or gpu"
MOST_SLOWER = 1.1
LONGEST_S = 20.0  # of one run: a device that is so slow is not waited for

Work = Callable[[str], Any]
"""A computation on the device of this name."""


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when the tests pass and auto is nowhere slower, else 1."""
    parser = argparse.ArgumentParser(prog="relievo.py bench device", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="budget for all of it (default: 8)")
    parser.add_argument("--no-tests", action="store_true", help="only the timings")
    parser.add_argument("--no-speeds", action="store_true", help="leave kernels and the measured speeds as they are")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the photographs and textures")
    parser.add_argument("--only", nargs="+", default=[], metavar="TEXT", help="only work whose name holds one of these")
    parser.add_argument("--profile", action="store_true", help="also count launches and waits of one run on each card")
    options = parser.parse_args(argv)
    ends = time.monotonic() + 60 * options.minutes
    from backend.commands.progress_bar import Bar
    from backend.runtime import device_speeds
    from backend.runtime.device import device_names
    from backend.setup import device_timing
    from backend.setup.kernel_warmup import warm

    devices = device_names()
    machine = describe_machine()
    print_machine(machine)
    result: dict[str, Any] = {"devices": devices}
    if not options.no_speeds:
        with Bar("Kernels") as bar:
            warm(bar)
        device_timing.measure_and_keep(lambda done, total, what: print(f"  measuring {what}"))
        speeds = device_speeds.load()
        result["speeds"] = device_speeds.to_json(speeds) if speeds else None
    if not options.no_tests:
        result["tests"] = run_tests(min(ends - time.monotonic(), 30 * options.minutes))
    chosen = {
        name: work
        for name, work in works(options.data).items()
        if not options.only or any(text in name for text in options.only)
    }
    result["timings"] = dict(measure(chosen, devices, ends))
    if options.profile:
        result["profiles"] = dict(profiles(chosen, devices, ends))
    slower = [name for name, row in result["timings"].items() if row.get("auto_slower", 0.0) > MOST_SLOWER]
    result["reached"] = not slower and result.get("tests", {}).get("status", 0) == 0
    kept = save_result("device", result, machine)
    print(f"\n{kept.name}: {'reached' if result['reached'] else 'NOT reached'} {', '.join(slower)}")
    return 0 if result["reached"] else 1


def run_tests(seconds: float) -> dict[str, Any]:
    """The tests that name a card, for at most so long: their exit status (5: none was selected) and last lines."""
    command = [sys.executable, "-m", "pytest", "-q", "--maxfail=20", "-k", SELECTED, *TESTS]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=seconds)
        status, text = done.returncode, done.stdout
    except subprocess.TimeoutExpired as error:
        status, text = 124, (error.stdout or b"").decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()][-25:]
    print("\n".join(lines))
    return {
        "status": 0 if status == 5 else status,
        "last": lines[-1:],
        "failed": [x for x in lines if x.startswith("FAILED")],
    }


def measure(chosen: Mapping[str, Work], devices: list[str], ends: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """By engine and size: seconds of the second run on each device and with auto, and how much slower auto is than the best."""
    print(f"\n{'work':<34}" + "".join(f"{device:>12}" for device in (*devices, "auto")))
    for name, work in chosen.items():
        row: dict[str, Any] = {}
        for device in (*devices, "auto"):
            if time.monotonic() > ends:
                row["left_out"] = True
                break
            try:
                row[device] = _second_run(functools.partial(work, device), ends)
            except Exception as error:  # a device that cannot do it is a finding, and the others are still measured
                row[f"{device} failed"] = f"{type(error).__name__}: {error}"[:300]
        known = [row[device] for device in devices if device in row]
        if known and "auto" in row:
            row["auto_slower"] = row["auto"] / min(known)
        print(
            f"{name:<34}"
            + "".join(f"{row[d] * 1e3:>10.0f}ms" if d in row else f"{'-':>12}" for d in (*devices, "auto"))
        )
        yield name, row


def profiles(
    chosen: Mapping[str, Work], devices: list[str], ends: float
) -> Iterator[tuple[str, dict[str, float | int]]]:
    """By engine, of one run on the first card: seconds in all and busy on the card, kernels launched, waits of the host, copies
    from the card; and the costliest operations of the host, printed."""
    import torch
    from torch.profiler import ProfilerActivity, profile

    card = next((device for device in devices if device != "cpu"), None)
    for name, work in chosen.items() if card else ():
        if time.monotonic() > ends:
            return
        began = time.perf_counter()
        with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA], acc_events=True) as seen:
            work(str(card))
            torch.cuda.synchronize()
        averages = seen.key_averages()
        counts = {entry.key: entry.count for entry in averages}
        row = {
            "seconds": time.perf_counter() - began,
            "busy_s": sum(entry.self_device_time_total for entry in averages) / 1e6,
            "launches": sum(n for key, n in counts.items() if key in ("cudaLaunchKernel", "cuLaunchKernel", "cudaLaunchKernelExC")),
            "waits": sum(n for key, n in counts.items() if "Synchronize" in key),
            "to_host": counts.get("Memcpy DtoH (Device -> Pageable)", 0) + counts.get("Memcpy DtoH (Device -> Pinned)", 0),
        }  # fmt: skip
        print(
            f"\n{name}: {row}\n{averages.table(sort_by='self_cpu_time_total', row_limit=12, max_name_column_width=60)}"
        )
        yield name, row


def _second_run(work: Callable[[], Any], ends: float) -> float:
    """Seconds of the best of up to three runs after a first one that compiles and loads."""
    start = time.perf_counter()
    work()
    first = time.perf_counter() - start
    runs = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        runs.append(time.perf_counter() - start)
        if time.monotonic() + 2 * runs[-1] > ends or runs[-1] > 4.0:
            break
    return min(runs or [first])


def works(data: Path) -> dict[str, Work]:
    """Engines at the sizes that people use; those that need the data of the repository beside this one only where it is."""
    found: dict[str, Work] = {
        "noise 1024²": lambda device: _noise(1024, device),
        "noise 4096²": lambda device: _noise(4096, device),
        "terrain 512²": _terrain,
        "relief transfer 512²": lambda device: _relief(512, device),
        "hydrology 1024²": lambda device: _run("hydrology", height=_ground(1024), pixel_size_m=30.0, device=device),
        "feature transfer 256², Gram": lambda device: _relief(256, device, method="gram", feature_iterations=20),
        "feature transfer 256², histogram": lambda device: _relief(
            256, device, method="histogram", feature_iterations=20
        ),
        "scan texture 512²": lambda device: _run("scan_texture", size=512, device=device, **_scan()),
    }
    if data.is_dir():
        found["texture 512²"] = functools.partial(_texture, data)
        found["paint 512², 5300 strokes"] = functools.partial(_paint, data)
    return found


def _run(engine: str, **values: Any) -> Any:
    """backend.run(), ended with JobCancelled where it takes longer than LONGEST_S."""
    began = time.perf_counter()

    def watch(*progress: object) -> None:
        if time.perf_counter() - began > LONGEST_S:
            raise JobCancelled(f"It takes longer than {LONGEST_S:.0f} s.")

    return backend.run(engine, on_progress=watch, **values)


def _noise(side: int, device: str) -> Any:
    return _run("noise", width_px=side, height_px=side, seed=1, device=device)


@functools.cache
def _ground(side: int) -> np.ndarray:
    return _noise(side, "cpu")["height"].values


def _relief(side: int, device: str, **values: Any) -> Any:
    return _run("morphology", height=_ground(side), pixel_size_m=30.0, seed=1, device=device, **values)


def _terrain(device: str) -> Any:
    from benchmarks.terrain_sketches import by_hand

    sketch = next(sketch for sketch in by_hand("regional") if sketch.name == "river")
    return _run("terrain", classes=sketch.classes, size_m=sketch.size_m, seed=3, device=device)


def _texture(data: Path, device: str) -> Any:
    from benchmarks.texture import sample
    from shared import texture_set
    from shared.srgb import srgb_to_linear

    linear = srgb_to_linear(sample(data / "textures", "water", 256).transpose(1, 2, 0)).astype(np.float32)
    exemplar = [texture_set.stack({"base_color": linear})]
    return _run("texture", exemplar=exemplar, width=512, height=512, estimate=False, seed=1, device=device)


def _paint(data: Path, device: str) -> Any:
    from benchmarks.paint import QUICK, photograph
    from shared.arrays import COLOR_IMAGE, Array
    from shared.srgb import srgb_to_linear

    values = srgb_to_linear(photograph(data / "photos", "kodak/kodim03.png")).astype(np.float32)
    return _run("paint", image=Array(COLOR_IMAGE, values), seed=1, device=device, **QUICK)


def _scan() -> dict[str, Any]:
    from backend.setup.small_inputs import small_inputs
    from shared.algorithm import find
    from shared.catalog import ALGORITHMS

    spec = find(ALGORITHMS, "scan_texture")
    many = {port.name for port in spec.inputs if port.many}
    return {port: list(given) if port in many else given[0] for port, given in small_inputs(spec, 512).items()}


if __name__ == "__main__":
    raise SystemExit(main())
