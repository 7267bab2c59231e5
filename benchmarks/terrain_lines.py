"""Twenty drawn lines in a terrain: times at 512² and 4096², the memory of the whole process; and the picture of the guide.

relievo.py bench terrain --part lines
relievo.py bench terrain --lines-picture docs/images/curves.jpg
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

from shared.curves import TYPES, Line

LARGE, SMALL, COUNT = 4096, 512, 20
CHILD = """
import json, resource, sys, time
import torch
import backend
from backend.ops.terrain.curves.bending import bend
from benchmarks import terrain_lines as own
from benchmarks.terrain_sketches import patchwork
from shared.arrays import CURVES, Array
from shared.curves import rows_of
side, pixel_m = int(sys.argv[1]), float(sys.argv[2])
lines = own.twenty()
ground = torch.from_numpy(own.hills(side))
bend(torch.from_numpy(own.hills(256)), lines, pixel_m)
times = []
for _ in range(5 if side < 1024 else 1):
    began = time.perf_counter()
    bend(ground, lines, pixel_m)
    times.append(time.perf_counter() - began)
del ground
found = {"side_px": side, "bending_s": sorted(times)[len(times) // 2]}
if side >= 1024:
    curves = Array(CURVES, rows_of(lines))
    classes = patchwork("regional", 5, 1024).classes.repeat(side // 1024, 0).repeat(side // 1024, 1)
    began = time.perf_counter()
    backend.run("terrain", classes=classes, size_m=side * pixel_m, seed=1, device="cpu", curves=curves)
    found["engine_s"] = time.perf_counter() - began
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps(found | {"peak_gib": peak / 2**30}))
"""


def lines() -> dict[str, Any]:
    """Seconds of the op at SMALL² and LARGE², and of the engine with lines at LARGE² with its peak memory; each side in a process
    of its own.
    """
    return {str(side): _child(side) for side in (SMALL, LARGE)}


def _child(side: int) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, str(side), "30.0"]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"lines on {side} x {side} px failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def twenty() -> list[Line]:
    """Lines of all types that wander over the whole map and beyond, 60 m wide."""
    drawn = np.random.default_rng(0)
    made = []
    for number in range(COUNT):
        start, end = (drawn.random(2) * 1.2 - 0.1 for _ in range(2))
        made.append(Line(type=TYPES[number % len(TYPES)], points=_wandering(number, start, end), width_m=60.0))
    return made


def _wandering(seed: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    share = np.linspace(0, 1, 40)[:, None]
    steps = gaussian_filter(np.random.default_rng(seed).normal(size=(40, 2)), (4, 0)) * np.sin(np.pi * share)
    return start + (end - start) * share + 0.06 * steps / np.abs(steps).max()


def hills(side: int) -> np.ndarray:
    """Ground float32 [side, side] with forms of every size, 600 m high."""
    from backend.ops.terrain import noise

    field = noise.NoiseField(wavelength_px=(side / 4.0, side / 4.0), octaves=7, warp=0.3, seed=1)
    made = noise.evaluate(field, noise.Window(0, 0, side, side))[0, 0].numpy()
    return ((made - made.min()) * (600.0 / np.ptp(made))).astype(np.float32)
