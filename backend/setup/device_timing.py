"""Measures each engine on each kind of device of this machine, for "auto" to go by (backend/runtime/device_speeds.py).

Only where there is more than one kind to choose from: a machine without a card has nothing to measure. Two small jobs of each sort
of an engine's jobs, each run twice and the second one timed: the first loads libraries and weights.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from backend.files.whole_files import write_bytes
from backend.runtime import device_speeds, registry
from backend.runtime.device import describe_device, device_names
from backend.runtime.device_speeds import Samples, Speeds
from backend.setup.small_inputs import small_inputs
from shared.algorithm import AlgorithmSpec
from shared.devices import kind_of
from shared.errors import JobCancelled, OutOfMemory, RelievoError
from shared.params import parse, with_role

log = logging.getLogger(__name__)

SIDES_PX = (96, 256)
MOST_S = 15.0  # that a run may take
FIRST_S = 90.0  # that the first run on a card may take, which compiles its kernels

Report = Callable[[int, int, str], object]
"""Called with the measurements done and in all, and what is measured."""


def measure(report: Report = lambda done, total, what: None) -> Speeds | None:
    """The speeds of this machine's devices, None where it has only one kind. A device that fails a job is left out of its
    row."""
    first = {kind_of(name): name for name in reversed(device_names())}
    if len(first) < 2:
        return None
    jobs = [job for spec in registry.algorithms() for job in _sorts(spec, tuple(first))]
    engines: dict[str, dict[str, Samples]] = {}
    done = 0
    for spec, kinds, values in jobs:
        row = engines.setdefault(device_speeds.key(spec, spec.job_devices(parse(spec.params, values))), {})
        for kind in kinds:
            report(done, len(jobs) * len(first), f"{spec.label} on {first[kind]}")
            found = _samples(spec, values, first[kind])
            if found:
                row[kind] = found
            done += 1
    labels = {kind: describe_device(name)["label"] for kind, name in first.items()}
    return Speeds(kinds=labels, engines=engines)


def measure_and_keep(report: Report) -> Path | None:
    """As measure(); the file that the speeds lie in from now on, None where there was nothing to measure. Raises StorageFull and
    InvalidInput where it cannot be written."""
    speeds = measure(report)
    if speeds is None:
        return None
    file = device_speeds.path()
    file.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(file, json.dumps(device_speeds.to_json(speeds), indent=1).encode())
    return file


def _sorts(spec: AlgorithmSpec, here: tuple[str, ...]) -> Iterator[tuple[AlgorithmSpec, list[str], dict[str, Any]]]:
    """Default parameters and presets of an engine that differ in the kinds of devices they run on, with those that are here."""
    seen: set[frozenset[str]] = set()
    for values in ({}, *(dict(preset.values) for preset in spec.presets)):
        kinds = spec.job_devices(parse(spec.params, values))
        usable = [kind for kind in kinds if kind in here]
        if len(usable) > 1 and frozenset(kinds) not in seen:
            seen.add(frozenset(kinds))
            yield spec, usable, values


def _samples(spec: AlgorithmSpec, values: dict[str, Any], device: str) -> Samples:
    """(pixels, seconds) of the jobs on one device; () where it cannot do the first. A job that takes too long is stopped, and
    counts as long as that."""
    found: list[tuple[int, float]] = []
    for side in SIDES_PX:
        if found and found[-1][1] * (side / SIDES_PX[0]) ** 2 > MOST_S:
            break
        try:
            found.append(_timed(spec, values, side, device))
        except RelievoError as error:
            log.warning("%s on %s could not be measured: %s", spec.label, device, error)
            break
    return tuple(found)


def _timed(spec: AlgorithmSpec, values: dict[str, Any], side: int, device: str) -> tuple[int, float]:
    arrays = small_inputs(spec, side)
    many = {port.name for port in spec.inputs if port.many}
    sized = {entry.name: side for entry in with_role(spec.parameters, "size")}
    given: dict[str, Any] = {port: list(found) if port in many else found[0] for port, found in arrays.items()}
    given |= values | sized
    pixels = device_speeds.work_pixels(spec, parse(spec.params, {**values, **sized}), arrays)
    first = MOST_S if kind_of(device) == "cpu" else FIRST_S
    spent = _seconds(spec, given, device, first)
    return pixels, spent if spent >= first else _seconds(spec, given, device, MOST_S)


def _seconds(spec: AlgorithmSpec, given: dict[str, Any], device: str, most: float) -> float:
    """What one run takes, or how long it took until it was stopped, `most` or more. RelievoError where it leaves its device."""
    import backend

    began = time.perf_counter()

    def watch(done: int, total: int, stage: str, remaining_s: float | None) -> None:
        if device != "cpu" and stage.endswith("runs on the CPU."):
            raise OutOfMemory(stage)
        if time.perf_counter() - began > most:
            raise JobCancelled("It took too long.")

    with suppress(JobCancelled):
        backend.run(spec.name, device=device, on_progress=watch, **given)
    return time.perf_counter() - began
