"""How fast each engine was on each kind of device of this machine: what "auto" goes by. Reading only; standard library only.

`prepare` measures it once, where there is more than one kind to choose from (backend/setup/device_timing.py), and keeps it in the
user's cache folder. Two sizes of a job give a line, seconds = start + rate * pixels, since a card that needs long to begin can
still win a large map; both sides of a server read the same file. Without it, "auto" takes the kind that the engine declares first.
"""

from __future__ import annotations

import functools
import json
import logging
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backend.runtime.weights import cache_folder
from shared.algorithm import AlgorithmSpec, Arrays
from shared.params import with_role

log = logging.getLogger(__name__)

VARIABLE = "RELIEVO_DEVICE_SPEEDS"  # names another file than the one in the cache folder
FORMAT = 1
TYPICAL_PX = 512 * 512

Samples = tuple[tuple[int, float], ...]
"""(pixels, seconds) of jobs, the smaller first."""


@dataclass(frozen=True, kw_only=True)
class Speeds:
    """kinds: by the kind of device its name, as describe_device() labels it. engines: by key() and kind what was measured."""

    kinds: Mapping[str, str]
    engines: Mapping[str, Mapping[str, Samples]]


def path() -> Path:
    """Where the measured speeds lie; there need be none."""
    named = os.environ.get(VARIABLE)
    return Path(named) if named is not None else cache_folder().parent / "device-speeds.json"


def load() -> Speeds | None:
    """What was measured on this machine; None where nothing was, or where the file is not one of this version."""
    file = path()
    try:
        changed = file.stat().st_mtime_ns
    except OSError:
        return None
    return _read(file, changed)


def to_json(speeds: Speeds) -> dict[str, Any]:
    """What load() reads."""
    engines = {
        name: {kind: [list(pair) for pair in found] for kind, found in row.items()}
        for name, row in speeds.engines.items()
    }
    return {"format": FORMAT, "kinds": dict(speeds.kinds), "engines": engines}


def key(spec: AlgorithmSpec, kinds: Iterable[str]) -> str:
    """The name under which a row is kept: engine, version, and the kinds of devices that such jobs run on. Jobs of an engine that
    run on different kinds, such as the methods of relief transfer, have rows of their own."""
    return f"{spec.name} {spec.version} {'+'.join(sorted(kinds))}"


def ordered(spec: AlgorithmSpec, params: Any, pixels: int = TYPICAL_PX) -> tuple[str, ...]:
    """The kinds of devices that a job of this size runs on, the fastest first. The order that the engine declares holds where fewer
    than two of them were measured. params: an instance of spec.params."""
    kinds = spec.job_devices(params)
    speeds = load() if len(kinds) > 1 else None
    row = speeds.engines.get(key(spec, kinds), {}) if speeds is not None else {}
    measured = [kind for kind in kinds if kind in row]
    if len(measured) < 2:
        return kinds
    by_speed = iter(sorted(measured, key=lambda kind: seconds(row[kind], pixels)))
    return tuple(next(by_speed) if kind in row else kind for kind in kinds)


def seconds(samples: Samples, pixels: int) -> float:
    """How long a job of this size would take, by the straight line through two measured jobs. The line never falls as pixels
    increase, and never starts below 0 seconds."""
    (small, small_s), (large, large_s) = samples[0], samples[-1]
    rate = max(0.0, (large_s - small_s) / (large - small)) if large > small else small_s / small
    start = max(0.0, small_s - rate * small)
    return start + (rate if start else large_s / large) * pixels


def work_pixels(spec: AlgorithmSpec, params: Any, arrays: Arrays) -> int:
    """The pixels of a job's result: those of its size, else of its largest single input; TYPICAL_PX where neither tells."""
    sides = [int(getattr(params, entry.name)) for entry in with_role(spec.parameters, "size")]
    if sides:
        return math.prod(sides) if len(sides) > 1 else sides[0] ** 2
    one = {port.name for port in spec.inputs if not port.many}
    maps = (array.values.shape for name, given in arrays.items() if name in one for array in given)
    return max((shape[0] * shape[1] for shape in maps if len(shape) > 1 and min(shape[:2]) > 1), default=TYPICAL_PX)


@functools.lru_cache(maxsize=4)
def _read(file: Path, changed: int) -> Speeds | None:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        if values["format"] != FORMAT:
            return None
        engines = {
            name: {kind: _samples(pairs) for kind, pairs in row.items()} for name, row in values["engines"].items()
        }
        return Speeds(kinds={str(kind): str(label) for kind, label in values["kinds"].items()}, engines=engines)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("%s does not hold device speeds (%s); `prepare` measures them again.", file, error)
        return None


def _samples(pairs: Any) -> Samples:
    found = tuple((int(pixels), float(spent)) for pixels, spent in pairs)
    if not found or any(pixels <= 0 or not spent > 0 for pixels, spent in found):
        raise ValueError("no pixels or seconds")
    return found
