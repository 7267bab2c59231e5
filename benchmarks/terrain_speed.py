"""The times and the memory of `bench terrain`: the network and the engine at 512², and large maps by tiles.

The peer is one pass of SPADE-Terrain-GAN's generator 1.0 as published, in plain PyTorch and float32. Its weights are random:
time does not depend on them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

import backend
from benchmarks.machine import time_pair
from benchmarks.terrain_sketches import PIXEL_M, SIDE, by_hand, patchwork
from shared.terrain_classes import TERRAIN_CLASSES

LARGE, SMALL = 4096, 1024
COUNT = len(TERRAIN_CLASSES)
CHILD = """
import json, resource, sys, time
import numpy as np
import backend
from benchmarks.terrain_sketches import patchwork
from backend.measures.sketched_terrain import seam_energy
from backend.algorithms.sketch.network import BORDER_PX, TILE_PX
side, pixel_m = int(sys.argv[1]), float(sys.argv[2])
backend.run("terrain", classes=patchwork("regional", 5, 256).classes, size_m=256 * pixel_m, seed=1, device="cpu")
classes = patchwork("regional", 5, 1024).classes.repeat(side // 1024, 0).repeat(side // 1024, 1)
began, busy = time.perf_counter(), time.process_time()
made = backend.run("terrain", classes=classes, size_m=side * pixel_m, seed=1, device="cpu")
seconds, busy = time.perf_counter() - began, time.process_time() - busy
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
borders = [line for line in range(TILE_PX - BORDER_PX, side, TILE_PX)]
seams = seam_energy(made["height"].values, borders, borders) if borders else None
print(json.dumps({"side_px": side, "seconds": seconds, "cpu_seconds": busy, "peak_gib": peak / 2**30, "seam_energy": seams}))
"""


def speed(repeats: int) -> dict[str, Any]:
    """Median seconds at 512² of network, engine and peer, and how busy the machine was with other things before.

    network_s: one pass over 512 x 512 px, noise and softened classes included, in turns with the peer's.
    network_with_border_s: as the engine calls it, which continues the sketch at its border first.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    sketch = next(sketch for sketch in by_hand("regional") if sketch.name == "river")
    classes = torch.from_numpy(sketch.classes).long()
    once, with_border = _network(classes, sketch.pixel_size_m)
    pair = time_pair(once, _spade(classes), repeats=repeats)

    def engine() -> object:
        return backend.run("terrain", classes=sketch.classes, size_m=sketch.size_m, seed=3, device="cpu")

    engine()
    both = time_pair(with_border, engine, repeats=max(repeats, 5))
    return {
        "side_px": SIDE,
        "load_before": load,
        "network_s": pair.fast_s,
        "spade_s": pair.slow_s,
        "ratio": pair.ratio,
        "network_with_border_s": both.fast_s,
        "engine_s": both.slow_s,
    }


def _network(classes: torch.Tensor, pixel_size_m: float) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Calls that draw a map with the shipped weights, which are loaded now: the map alone, and as the engine does."""
    from backend.algorithms.sketch import network
    from backend.ops.terrain import generator_units

    generator = _generator()
    scale = generator_units.regional_scale(pixel_size_m)
    whole = slice(0, classes.shape[0]), slice(0, classes.shape[1])
    tile = network._Tile(whole, whole, whole)

    @torch.inference_mode()
    def once() -> Any:
        return network._tile(generator, classes, COUNT, tile, scale, 3)

    return once, lambda: network.generate(generator, classes, COUNT, scale=scale, seed=3)


def _generator() -> Any:
    from safetensors.torch import load_file

    from backend.algorithms.sketch import network
    from backend.runtime.weights import SHIPPED

    return network.load(load_file(SHIPPED / "terrain-regional.safetensors"), COUNT, torch.device("cpu"))


def _spade(classes: torch.Tensor) -> Any:
    from backend.models.spade_generator import LATENT, WIDTH, SpadeGenerator
    from backend.models.symmetric_convolution import glorot

    drawn = torch.Generator().manual_seed(0)
    network = SpadeGenerator(COUNT, width=WIDTH).eval()
    glorot(network, drawn)
    shares = torch.nn.functional.one_hot(classes, COUNT).permute(2, 0, 1)[None].float()
    latent = torch.rand(1, LATENT, generator=drawn)

    @torch.inference_mode()
    def once() -> torch.Tensor:
        return network(shares, latent, lambda number, channels, size: torch.randn(1, channels, *size, generator=drawn))

    return once


def tiles() -> dict[str, Any]:
    """Time per pixel, peak memory and seams of a map of LARGE² and of SMALL², each in a process of its own."""
    found: dict[str, Any] = {str(side): _child(side) for side in (SMALL, LARGE)}
    small, large = found[str(SMALL)], found[str(LARGE)]
    found["time_per_pixel_ratio"] = (large["seconds"] / LARGE**2) / (small["seconds"] / SMALL**2)
    found["cpu_per_pixel_ratio"] = (large["cpu_seconds"] / LARGE**2) / (small["cpu_seconds"] / SMALL**2)
    found["tiles_differ"] = _tiles_differ()
    return found


def _child(side: int) -> dict[str, Any]:
    command = [sys.executable, "-c", CHILD, str(side), str(PIXEL_M["regional"])]
    done = subprocess.run(command, cwd=Path(__file__).resolve().parents[1], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"the terrain of {side} x {side} px failed: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def _tiles_differ() -> float:
    """The largest difference between a map of 768² in tiles of 256 and in one, as a share of its relief's deviation."""

    from backend.algorithms.sketch import network

    generator = _generator()
    classes = torch.from_numpy(patchwork("regional", 5, 768).classes).long()
    whole, parts = (
        network.generate(generator, classes, COUNT, scale=0.585, seed=3, tile_px=side).height.numpy()
        for side in (1024, 256)
    )
    return float(np.abs(whole - parts).max() / whole.std())
