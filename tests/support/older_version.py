"""Files that version 0.1 has made, and how near to it a later version has to come. data/version_0_1/make.py says what they are.

Imports nothing of the project: whatever is renamed there, these files stay as they are.
"""

from __future__ import annotations

import json
import os
import platform
from pathlib import Path
from typing import Any

import numpy as np

VERSION_0_1 = Path(__file__).resolve().parents[1] / "data/version_0_1"

ELSEWHERE = (
    1e-3  # of the values' range: rounding differs from one kind of processor to another, and steps build on steps
)


def read_json(name: str) -> Any:
    return json.loads((VERSION_0_1 / name).read_text(encoding="utf-8"))


def processor() -> str:
    """What bytes depend on beside the code: the processor, and whether there is more than one core of it."""
    info = Path("/proc/cpuinfo")
    first = (info.read_text(encoding="utf-8") if info.exists() else "").partition("\n\n")[0]
    known = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())}
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    named = [known.get(key, "") for key in ("vendor_id", "cpu family", "model")]
    return " ".join([platform.system(), platform.machine(), *named, "1 core" if cores == 1 else "several cores"])


def is_the_same_processor() -> bool:
    return processor() == read_json("made.json")["processor"]


def assert_same(found: np.ndarray, wanted: np.ndarray, what: str, *, device: str = "cpu") -> None:
    """The very bytes on a processor like the one that made the files, and on all others so near that nobody sees it."""
    assert (found.shape, found.dtype) == (wanted.shape, wanted.dtype), what
    if np.array_equal(found, wanted):
        return
    assert not (is_the_same_processor() and device == "cpu"), f"{what}: other bytes on the same kind of processor"
    apart = np.abs(found.astype(np.float64) - wanted.astype(np.float64))
    span = float(np.ptp(wanted.astype(np.float64)))
    assert apart.mean() <= ELSEWHERE * span, f"{what}: {apart.mean():g} apart on the average, of a range of {span:g}"
