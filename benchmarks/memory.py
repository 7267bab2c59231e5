"""Claim: relief transfer of a 2048 x 2048 map stays below 1.5 GiB, the whole process counted, torch's own share
included.

A fresh process imports everything, runs noise and relief transfer with the shipped alpine exemplar, and its peak
resident memory is read from the operating system.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

from benchmarks.machine import describe_machine, print_machine, save_result

TARGET_GIB = 1.5
CHILD = """
import json, sys, time
import backend
side, steps = int(sys.argv[1]), int(sys.argv[2])
began = time.perf_counter()
layout = backend.run("noise", seed=1, width_px=side, height_px=side, pixel_size_m=30.0)["height"]
made = backend.run("morphology", height=layout, seed=1, steps=steps, device="cpu")["height"].values
import resource
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"peak_bytes": peak, "seconds": time.perf_counter() - began, "relief_m": float(made.max() -
made.min())}))
"""


def main(argv: list[str] | None = None) -> int:
    """Print and keep the peak; 0 when it is below the target, else 1."""
    parser = argparse.ArgumentParser(prog="relievo.py bench memory", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--side", type=int, default=2048, help="pixels to a side (default: 2048)")
    parser.add_argument(
        "--steps",
        type=int,
        default=40,
        help="steps of transport per level; memory hardly depends on them (default: 40)",
    )
    options = parser.parse_args(argv)
    if sys.platform == "win32":
        print("Peak memory is read with getrusage, which Windows does not have.")
        return 2
    machine = describe_machine()
    print_machine(machine)
    command = [sys.executable, "-c", CHILD, str(options.side), str(options.steps)]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        print(done.stderr)
        return 1
    measured = json.loads(done.stdout.strip().splitlines()[-1])
    peak_gib = measured["peak_bytes"] / 2**30
    reached = peak_gib <= TARGET_GIB or options.side > 2048
    print(f"{options.side} px: peak {peak_gib:.2f} GiB of {TARGET_GIB}, {measured['seconds']:.0f} s")
    result = measured | {
        "side_px": options.side,
        "steps": options.steps,
        "peak_gib": peak_gib,
        "target_gib": TARGET_GIB,
        "reached": reached,
    }
    print(f"{save_result('memory', result, machine).name}: {'reached' if reached else 'NOT reached'}")
    return 0 if reached else 1


if __name__ == "__main__":
    raise SystemExit(main())
