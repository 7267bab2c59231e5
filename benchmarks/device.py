"""Claim: `auto` is never slower than the best device, and every engine and op runs on a graphics card.

For a machine that may be at hand for minutes only: first the tests that name a card, then each engine on the CPU, on it and as
"auto" takes it, the second run of each, with a budget in minutes after which the rest is left out by name. Without a card the CPU
alone is measured, so that the script can be tried anywhere.
"""

from __future__ import annotations

import argparse
import functools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

import backend
from benchmarks.machine import describe_machine, print_machine, save_result

ROOT = Path(__file__).resolve().parents[1]
TESTS = (
    "tests/backend/ops",
    "tests/backend/runtime",
    "tests/backend/server/test_server_gpu.py",
    "tests/test_contract.py",
)
SELECTED = "cuda or gpu"
MOST_SLOWER = 1.1

Work = Callable[[str], Any]
"""A computation on the device of this name."""


def main(argv: list[str] | None = None) -> int:
    """Print the table, keep the result; 0 when the tests pass and auto is nowhere slower, else 1."""
    parser = argparse.ArgumentParser(prog="relievo.py bench device", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--minutes", type=float, default=8.0, help="budget for all of it (default: 8)")
    parser.add_argument("--no-tests", action="store_true", help="only the timings")
    options = parser.parse_args(argv)
    ends = time.monotonic() + 60 * options.minutes
    from backend.runtime.device import device_names

    devices = device_names()
    machine = describe_machine()
    print_machine(machine)
    result: dict[str, Any] = {"devices": devices}
    if not options.no_tests:
        result["tests"] = run_tests(min(ends - time.monotonic(), 30 * options.minutes))
    result["timings"] = dict(measure(devices, ends))
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


def measure(devices: list[str], ends: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """By engine and size: seconds of the second run on each device and with auto, and how much slower auto is than the best."""
    print(f"\n{'work':<34}" + "".join(f"{device:>12}" for device in (*devices, "auto")))
    for name, work in works().items():
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


def works() -> dict[str, Work]:
    """Engines at the sizes that people use."""
    return {
        "noise 1024²": lambda device: _noise(1024, device),
        "noise 4096²": lambda device: _noise(4096, device),
        "relief transfer 512²": lambda device: _relief(512, device),
        "feature transfer 256², Gram": lambda device: _relief(256, device, method="gram", feature_iterations=20),
        "feature transfer 256², histogram": lambda device: _relief(
            256, device, method="histogram", feature_iterations=20
        ),
        "hydrology 512²": lambda device: backend.run(
            "hydrology", height=_ground(512), pixel_size_m=30.0, device=device
        ),
        "scan texture 512²": lambda device: backend.run("scan_texture", size=512, device=device, **_scan()),
    }


def _noise(side: int, device: str) -> Any:
    return backend.run("noise", width_px=side, height_px=side, seed=1, device=device)


def _ground(side: int) -> np.ndarray:
    return _noise(side, "cpu")["height"].values


def _relief(side: int, device: str, **values: Any) -> Any:
    return backend.run("morphology", height=_ground(side), pixel_size_m=30.0, seed=1, device=device, **values)


def _scan() -> dict[str, Any]:
    from backend.setup.small_inputs import small_inputs
    from shared.algorithm import find
    from shared.catalog import ALGORITHMS

    spec = find(ALGORITHMS, "scan_texture")
    many = {port.name for port in spec.inputs if port.many}
    return {port: list(given) if port in many else given[0] for port, given in small_inputs(spec, 512).items()}


if __name__ == "__main__":
    raise SystemExit(main())
