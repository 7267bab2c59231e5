"""What every benchmark needs to be believed elsewhere: the machine, a fair clock, and a place for the result.

Machines differ and their neighbours are noisy, so a benchmark reports a ratio taken side by side in one
process, beside two probes of the machine (matrix product and memory copy) that let a reader scale the seconds.
Nothing here knows any engine, and nothing here records a host or user name.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results"

# The instruction sets that change which of our kernels is fast; all the others only make the report unreadable.
FLAGS_OF_INTEREST = (
    "sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "avx512dq", "avx512bw", "avx512vl", "avx512_bf16",
    "avx512_vnni", "amx_bf16", "asimd", "asimddp", "sve", "bf16",
)  # fmt: skip


class PairTiming(NamedTuple):
    """Median seconds of two rivals that took turns; unpacks as ``fast_s, slow_s``."""

    fast_s: float
    slow_s: float

    @property
    def ratio(self) -> float:
        """How many times faster the first one is."""
        return self.slow_s / self.fast_s


def time_once(work: Callable[[], Any]) -> float:
    """Wall seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def time_pair(fast: Callable[[], Any], slow: Callable[[], Any], repeats: int = 7, warm_up: int = 1) -> PairTiming:
    """Time two callables in turns, so that a busy neighbour hurts both alike, and return the median of each.

    ``warm_up`` calls of each come first and are not counted (compilation, page faults, caches). Where ``slow``
    takes many seconds pass ``warm_up=0`` after warming both by hand, or fewer ``repeats``.
    """
    if repeats < 1:
        raise ValueError(f"repeats must be at least 1, not {repeats}")
    for _ in range(warm_up):
        fast()
        slow()
    fast_times, slow_times = [], []
    for _ in range(repeats):
        fast_times.append(time_once(fast))
        slow_times.append(time_once(slow))
    return PairTiming(statistics.median(fast_times), statistics.median(slow_times))


def describe_machine() -> dict[str, Any]:
    """The processor, its instruction sets, the threads in use, two probes of its speed, the versions that matter.

    Takes about half a second. GEMM is a float32 product of 2048² matrices; copy counts bytes read and bytes
    written, over 256 MiB.
    """
    import torch

    model, flags = _processor()
    return {
        "cpu": model,
        "flags": [flag for flag in FLAGS_OF_INTEREST if flag in flags],
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1),
        "torch_threads": torch.get_num_threads(),
        "numba_threads": _numba_threads(),
        "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        "gemm_fp32_gflops": round(_gemm_gflops(), 1),
        "copy_gb_per_s": round(_copy_gb_per_s(), 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions("torch", "numpy", "numba", "scipy") | {"python": platform.python_version()},
    }


def versions(*distributions: str) -> dict[str, str]:
    """Installed version of each distribution, 'missing' where there is none: results name their peers."""
    found = {}
    for name in distributions:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "missing"
    return found


def save_result(name: str, result: Mapping[str, Any], machine: Mapping[str, Any] | None = None) -> Path:
    """Write ``results/<name>-<machine>.json`` (result, machine, time in UTC) and return its path.

    Pass the dict of `describe_machine` when it was already taken: its probes then ran beside the measurement.
    """
    machine = dict(machine) if machine is not None else describe_machine()
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}-{machine_slug(machine)}.json"
    when = datetime.now(UTC).isoformat(timespec="seconds")
    document = {"benchmark": name, "when": when, "machine": machine, "result": dict(result)}
    path.write_text(json.dumps(document, indent=2, default=_plain) + "\n", encoding="utf-8")
    return path


def machine_slug(machine: Mapping[str, Any]) -> str:
    """A short name of the kind of machine, such as ``amd-epyc-2c`` or ``...-h100``; never a host name."""
    words = re.sub(r"\(.*?\)|@.*|\d+-core|processor|cpu", " ", str(machine["cpu"]).lower())
    parts = [*re.findall(r"[a-z0-9]+", words)[:3], f"{machine['cores']}c"]
    if machine.get("gpu"):
        parts += re.findall(r"[a-z0-9]+", str(machine["gpu"]).lower())[1:2]
    return "-".join(parts)


def print_machine(machine: Mapping[str, Any]) -> None:
    """One paragraph on standard output for the head of a benchmark's table."""
    print(f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}; gpu: {machine['gpu'] or 'none'}")
    print(f"  flags: {' '.join(machine['flags'])}")
    print(
        f"  threads: torch {machine['torch_threads']}, numba {machine['numba_threads']};"
        f" GEMM {machine['gemm_fp32_gflops']} GFLOP/s, copy {machine['copy_gb_per_s']} GB/s;"
        f" {', '.join(f'{name} {version}' for name, version in machine['versions'].items())}"
    )


def _processor() -> tuple[str, set[str]]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:  # macOS and Windows have no such file; the platform module knows less, but something
        return platform.processor() or platform.machine(), set()
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
    name = model.group(1).strip() if model else platform.machine()
    return name, set(flags.group(1).split()) if flags else set()


def _numba_threads() -> int | None:
    try:
        import numba
    except ModuleNotFoundError:
        return None
    return numba.get_num_threads()


def _gemm_gflops(n: int = 2048, repeats: int = 5) -> float:
    import torch

    a, b = torch.randn(n, n), torch.randn(n, n)
    torch.mm(a, b)
    return 2.0 * n**3 / min(time_once(lambda: torch.mm(a, b)) for _ in range(repeats)) / 1e9


def _copy_gb_per_s(mebibytes: int = 256, repeats: int = 5) -> float:
    import torch

    source = torch.ones(mebibytes << 18)  # float32; copied by torch's own threads, as the engines do
    target = torch.empty_like(source)
    target.copy_(source)
    best_s = min(time_once(lambda: target.copy_(source)) for _ in range(repeats))
    return 2.0 * source.numel() * source.element_size() / best_s / 1e9


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Path):
        return value.name
    raise TypeError(f"{type(value).__name__} does not belong in a benchmark's JSON")
