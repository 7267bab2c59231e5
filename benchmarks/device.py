"""Claim: `auto` takes a device that is at most 1.1 times slower than the best, a card is as fast as asked for, and 6 GB of it do.

For a machine that may be at hand for minutes only: first what `prepare` does, which compiles the kernels and measures the speeds
that "auto" goes by; then each engine on the CPU and on the card, the best run after a first one, with the card's peak of memory and
how far apart the results are; every engine at 4096² within 6 GB of the card; and the tests that name a card. What does not fit into
the budget in minutes is left out by name. Without a card the CPU alone is measured, so that the script can be tried anywhere.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

import backend
from backend.runtime import device_memory, device_speeds, registry
from backend.runtime.context import JobContext
from backend.runtime.device import device_names, resolve
from backend.setup import device_timing
from backend.setup.kernel_warmup import warm
from benchmarks.machine import describe_machine, print_machine, save_result
from shared.arrays import Array
from shared.errors import JobCancelled
from shared.params import parse

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
LIMIT, LIMITED_SIDE = "6G", 4096
TARGETS_S = {
    "noise 4096²": 0.03, "relief transfer 512²": 0.4, "relief transfer 2048²": 1.5, "relief transfer 4096²": 5.0,
    "hydrology 1024²": 0.5, "scan texture 1024², 89 views": 1.0, "scan texture 2048², 89 views": 1.5, "terrain 512²": 0.6,
    "terrain 512², network": 0.005, "texture 512²": 1.0, "texture 2048², three maps": 10.0, "paint 512², 5300 strokes": 2.0,
}  # fmt: skip

MOST_GAP = {"noise 1024²": 1e-5, "noise 4096²": 1e-5, "hydrology 1024²": 1e-5}
"""Of the range of the map, between devices; work whose descent amplifies rounding is compared in its statistics, by the tests."""

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
    chosen = _only(works(options.data), options.only)
    result["timings"] = dict(measure(chosen, devices, ends))
    if options.profile:
        result["profiles"] = dict(profiles(chosen, devices, ends))
    result["within 6 GB"] = dict(within_limit(_only(limited(options.data), options.only), devices, ends))
    if not options.no_tests:
        result["tests"] = run_tests(max(30.0, ends - time.monotonic()))
    missed = list(misses(result))
    result["reached"] = not missed
    kept = save_result("device", result, machine)
    print(f"\n{kept.name}: {'reached' if not missed else 'NOT reached: ' + '; '.join(missed)}")
    return 1 if missed else 0


def _only(works: dict[str, Work], texts: list[str]) -> dict[str, Work]:
    return {name: work for name, work in works.items() if not texts or any(text in name for text in texts)}


def misses(result: Mapping[str, Any]) -> Iterator[str]:
    """What of the claim does not hold, in words. Work that failed on a card, or that there was no time for, does not hold."""
    has_card = any(device != "cpu" for device in result["devices"])
    for name, row in result["timings"].items():
        if row.get("auto_slower", 0.0) > MOST_SLOWER:
            yield f"auto is {row['auto_slower']:.1f} times slower on {name}"
        if has_card and "card_s" not in row:
            yield f"{name} was not timed on the card"
        elif has_card and row["card_s"] > TARGETS_S.get(name, math.inf):
            yield f"{name} takes {row['card_s']:.2f} s of {TARGETS_S[name]:g}"
        if row.get("gap", 0.0) > MOST_GAP.get(name, math.inf):
            yield f"{name} differs by {row['gap']:.1e} of its range between devices"
    for name, row in result["within 6 GB"].items():
        if "seconds" not in row:
            yield f"{name} within {LIMIT}: {row.get('failed', 'there was no time for it')}"
    if result.get("tests", {}).get("status", 0):
        yield "tests fail"


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
    """By engine and size: seconds on each device, which one auto takes and how much slower it is than the best, the card's peak of
    memory, and the largest difference between the results of two devices as a share of their range."""
    print(f"\n{'work':<34}" + "".join(f"{device:>12}" for device in devices) + f"{'auto':>8}{'MiB':>8}{'gap':>9}")
    for name, work in chosen.items():
        row: dict[str, Any] = {}
        made: list[np.ndarray] = []
        for device in reversed(devices):
            if time.monotonic() > ends:
                row["left_out"] = True
                break
            try:
                row[device], peak, values = _best_run(functools.partial(work, device), device, ends)
                made += [] if values is None else [values]
                row |= {"peak_mib": peak, "card_s": row[device]} if device != "cpu" else {}
            except Exception as error:  # a device that cannot do it is a finding, and the others are still measured
                row[f"{device} failed"] = f"{type(error).__name__}: {error}"[:300]
                print(f"  {name} on {device}: {row[f'{device} failed']}")
        known = {device: row[device] for device in devices if device in row}
        taken = _taken_by_auto(name, devices)
        if known and taken:
            row["auto"] = taken
            row["auto_slower"] = known.get(taken, LONGEST_S) / min(known.values())
        if len(made) > 1:
            row["gap"] = _gap(made[0], made[1])
        print(
            f"{name:<34}"
            + "".join(f"{row[d] * 1e3:>10.1f}ms" if d in row else f"{'-':>12}" for d in devices)
            + f"{row.get('auto', '-'):>8}{row.get('peak_mib', 0.0):>8.0f}{row.get('gap', 0.0):>9.1e}"
        )
        yield name, row


def within_limit(chosen: Mapping[str, Work], devices: list[str], ends: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """By engine: seconds and peak of memory of a job of LIMITED_SIDE pixels squared with LIMIT of the first card, or why not."""
    card = next((device for device in devices if device.startswith("cuda")), None)
    os.environ[device_memory.VARIABLE] = LIMIT
    for name, work in chosen.items() if card else ():
        if time.monotonic() > ends:
            yield name, {"left_out": True}
            continue
        try:
            seconds, peak, _ = _best_run(functools.partial(work, str(card)), str(card), 0.0)
            row = {"seconds": seconds, "peak_mib": peak}
        except Exception as error:
            row = {"failed": f"{type(error).__name__}: {error}"[:300]}
        print(f"{name:<34} within {LIMIT}: {row}")
        yield name, row
    os.environ.pop(device_memory.VARIABLE)


def _taken_by_auto(name: str, devices: list[str]) -> str:
    """The device that "auto" takes for a job of ENGINES[name]; "" for work that is none."""
    if name not in ENGINES:
        return ""
    engine, side, values = ENGINES[name]
    spec = registry.find_algorithm(engine)
    kinds = device_speeds.ordered(spec, parse(spec.params, values), side * side)
    return str(resolve("auto", kinds, spec.label, devices).device)


def _gap(one: np.ndarray, other: np.ndarray) -> float:
    if one.shape != other.shape:
        return math.inf
    return float(np.abs(one.astype(np.float64) - other).max() / max(float(np.ptp(one)), 1e-12))


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


def _best_run(work: Callable[[], Any], device: str, ends: float) -> tuple[float, float, np.ndarray | None]:
    """Seconds of the best of up to three runs after a first one that compiles and loads, MiB of the card at most, and the map that
    was made. With `ends` behind us, those of the first."""
    import torch

    on_card = device.startswith("cuda")
    if on_card:
        torch.cuda.reset_peak_memory_stats(device)
    runs, made = [], None
    for _ in range(4):
        start = time.perf_counter()
        made = work()
        if on_card:
            torch.cuda.synchronize(device)
        runs.append(time.perf_counter() - start)
        if time.monotonic() + 2 * runs[-1] > ends or (len(runs) > 1 and runs[-1] > 4.0):
            break
    peak = torch.cuda.max_memory_allocated(device) / 2**20 if on_card else 0.0
    return min(runs[1:] or runs), peak, _first_map(made)


def _first_map(made: Any) -> np.ndarray | None:
    """Of what an engine has made: its heights, painting or texture; of a list of maps the first."""
    if not isinstance(made, Mapping):
        return None
    first = next((made[port] for port in ("height", "painting", "texture", "material") if port in made), None)
    first = first[0] if isinstance(first, (list, tuple)) and first else first
    return first.values if isinstance(first, Array) else None


ENGINES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "noise 1024²": ("noise", 1024, {}),
    "noise 4096²": ("noise", 4096, {}),
    "terrain 512²": ("terrain", 512, {}),
    "relief transfer 512²": ("morphology", 512, {}),
    "relief transfer 2048²": ("morphology", 2048, {}),
    "relief transfer 4096²": ("morphology", 4096, {}),
    "feature transfer 256², Gram": ("morphology", 256, {"method": "gram"}),
    "hydrology 1024²": ("hydrology", 1024, {}),
    "scan texture 1024², 89 views": ("scan_texture", 1024, {}),
    "scan texture 2048², 89 views": ("scan_texture", 2048, {}),
    "texture 512²": ("texture", 512, {}),
    "texture 2048², three maps": ("texture", 2048, {}),
    "paint 512², 5300 strokes": ("paint", 512, {}),
}
"""By the name of a piece of work its engine, side in pixels and the parameters that its devices depend on."""


def works(data: Path) -> dict[str, Work]:
    """Engines at the sizes that people use; those that need the data of the repository beside this one only where it is."""
    found: dict[str, Work] = {
        "noise 1024²": lambda device: _noise(1024, device),
        "noise 4096²": lambda device: _noise(4096, device),
        "hydrology 1024²": lambda device: _hydrology(1024, device),
        "relief transfer 512²": lambda device: _relief(512, device),
        "scan texture 1024², 89 views": lambda device: _scan(1024, device),
        "terrain 512²": functools.partial(_terrain, 512),
        "terrain 512², network": _network,
        "feature transfer 256², Gram": lambda device: _relief(256, device, method="gram", feature_iterations=20),
    }
    if data.is_dir():
        found["texture 512²"] = lambda device: _texture(data, 512, ("base_color",), device)
        found["paint 512², 5300 strokes"] = lambda device: _paint(data, 512, device)
    found |= {
        "scan texture 2048², 89 views": lambda device: _scan(2048, device),
        "relief transfer 2048²": lambda device: _relief(2048, device),
    }
    if data.is_dir():
        three = ("base_color", "normal", "roughness")
        found["texture 2048², three maps"] = lambda device: _texture(data, 2048, three, device)
    return found | {"relief transfer 4096²": lambda device: _relief(4096, device)}


def limited(data: Path) -> dict[str, Work]:
    """Each engine at LIMITED_SIDE."""
    side = LIMITED_SIDE
    found: dict[str, Work] = {
        "noise": lambda device: _noise(side, device),
        "hydrology": lambda device: _hydrology(side, device),
        "relief transfer": lambda device: _relief(side, device),
        "scan texture": lambda device: _scan(side, device),
        "terrain": functools.partial(_terrain, side),
    }
    if data.is_dir():
        found["texture"] = lambda device: _texture(data, side, ("base_color",), device)
        found["paint"] = lambda device: _paint(data, side, device)
    return found


def _run(engine: str, **values: Any) -> Any:
    """backend.run(), ended with JobCancelled where it takes longer than LONGEST_S or leaves its device."""
    began = time.perf_counter()

    def watch(done: int, total: int, stage: str, left: float | None) -> None:
        if stage.endswith("runs on the CPU."):
            raise JobCancelled(stage)
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


def _hydrology(side: int, device: str) -> Any:
    return _run("hydrology", height=_ground(side), pixel_size_m=30.0, device=device)


@functools.cache
def _sketch() -> Any:
    from benchmarks.terrain_sketches import by_hand

    return next(sketch for sketch in by_hand("regional") if sketch.name == "river")


def _terrain(side: int, device: str) -> Any:
    sketch = _sketch()
    repeated = (
        np.kron(sketch.classes, np.ones((side // len(sketch.classes),) * 2, np.uint8)) if side > 512 else sketch.classes
    )
    return _run("terrain", classes=repeated, size_m=sketch.size_m * side / 512, seed=3, device=device)


@functools.cache
def _generator(device: str) -> Any:
    import torch

    from backend.algorithms.sketch import network
    from shared.catalog.terrain import WEIGHTS
    from shared.terrain_classes import TERRAIN_CLASSES

    tensors = JobContext().weights(WEIGHTS["regional"])
    return network.load(tensors, len(TERRAIN_CLASSES), torch.device(device))


def _network(device: str) -> Any:
    """The terrain generator alone, on a sketch that is on the device."""
    import torch

    from backend.algorithms.sketch import network
    from shared.terrain_classes import TERRAIN_CLASSES

    classes = torch.from_numpy(_sketch().classes).to(device)
    return network.generate(_generator(device), classes, len(TERRAIN_CLASSES), scale=1.0, seed=1)


def _texture(data: Path, side: int, channels: tuple[str, ...], device: str) -> Any:
    from benchmarks.texture import sample
    from shared import texture_set
    from shared.srgb import srgb_to_linear

    linear = srgb_to_linear(sample(data / "textures", "water", 256).transpose(1, 2, 0)).astype(np.float32)
    maps = {"base_color": linear, "normal": _normals(linear), "roughness": linear[..., :1]}
    exemplar = [texture_set.stack({name: maps[name] for name in channels})]
    return _run("texture", exemplar=exemplar, width=side, height=side, estimate=False, seed=1, device=device)


def _normals(linear: np.ndarray) -> np.ndarray:
    """Of the colours' brightness as a height, -1..1 [H, W, 3], OpenGL's way."""
    down, across = np.gradient(linear.mean(-1))
    normal = np.stack([-across, down, np.full_like(down, 0.2)], -1)
    return (normal / np.linalg.norm(normal, axis=-1, keepdims=True)).astype(np.float32)


def _paint(data: Path, side: int, device: str) -> Any:
    from benchmarks.paint import QUICK, photograph
    from shared.arrays import COLOR_IMAGE
    from shared.srgb import srgb_to_linear

    values = srgb_to_linear(photograph(data / "photos", "kodak/kodim03.png")).astype(np.float32)
    larger = np.kron(values, np.ones((side // len(values),) * 2 + (1,), np.float32)) if side > len(values) else values
    return _run("paint", image=Array(COLOR_IMAGE, larger), seed=1, device=device, **QUICK)


@functools.cache
def _scan_inputs() -> dict[str, Any]:
    from benchmarks import scan_scene

    return scan_scene.build(1024).inputs()


def _scan(side: int, device: str) -> Any:
    return _run("scan_texture", size=side, device=device, **_scan_inputs())


if __name__ == "__main__":
    raise SystemExit(main())
