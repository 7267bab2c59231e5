"""The processors that this machine lends to algorithms, by the names that a person and the wire use: cpu, cuda:0,
mps.
"""

from __future__ import annotations

import os
from typing import Any

import torch

from shared.errors import InvalidParameter


def default_threads() -> int:
    """Threads that one job may use: every core this process may run on, or RELIEVO_THREADS where that is set."""
    wanted = os.environ.get("RELIEVO_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


def device_names() -> list[str]:
    """Every device there is, the best first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; "auto" is the best one there is, "cuda" the first GPU. InvalidParameter for one that
    is missing.
    """
    names = device_names()
    if name == "auto":
        return torch.device(names[0])
    full_name = "cuda:0" if name == "cuda" else name
    if full_name not in names:
        raise InvalidParameter(
            f"This machine has no device {name!r}.",
            hint=f"It has {', '.join(names)}; 'auto' takes the first.",
            field="device",
        )
    return torch.device(full_name)


def describe_device(name: str) -> dict[str, Any]:
    """What Welcome and doctor say of a device: name, kind, label, memory_bytes (0 where unknown), cores."""
    if name.startswith("cuda"):
        properties = torch.cuda.get_device_properties(torch.device(name))
        return {
            "name": name,
            "kind": "cuda",
            "label": properties.name,
            "memory_bytes": properties.total_memory,
            "cores": properties.multi_processor_count,
        }
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    label = "Apple GPU" if name == "mps" else "CPU"
    return {"name": name, "kind": name, "label": label, "memory_bytes": memory_bytes, "cores": default_threads()}
