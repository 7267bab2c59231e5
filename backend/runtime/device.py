"""The devices of this machine, by the names that a person and the wire use (cpu, cuda:0, mps), and which of them a job runs on.

The only place that decides on a device: workers, the command line and Python calls all come here through compute().
"""

from __future__ import annotations

import os
import platform
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from shared.devices import AUTO, full_name, kind_of
from shared.errors import InvalidParameter


@dataclass(frozen=True, kw_only=True)
class Resolved:
    """device: what the job runs on. note: one sentence where that is not what was asked for, else ""."""

    device: torch.device
    note: str = ""


def default_threads() -> int:
    """Threads that one job may use: every core this process may run on, or RELIEVO_THREADS where that is set."""
    wanted = os.environ.get("RELIEVO_THREADS", "")
    if wanted.isdigit() and int(wanted) > 0:
        return int(wanted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)  # pyright: ignore[reportAttributeAccessIssue]


def device_names() -> list[str]:
    """Every device of this machine, GPUs first."""
    names = [f"cuda:{index}" for index in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def why_no_cuda() -> str:
    """A sentence for why no CUDA device is there; "" where one is."""
    if torch.version.cuda is None and torch.version.hip is None:
        return "The PyTorch that is installed computes on the CPU alone; `relievo.py --cuda prepare` installs the one for cards."
    with warnings.catch_warnings(record=True) as said:  # PyTorch tells of a driver that is too old in a warning
        warnings.simplefilter("always")
        if torch.cuda.is_available():
            return ""
    old = next((text for text in (str(entry.message) for entry in said) if "too old" in text), "")
    if old:
        found = re.search(r"found version (\d+)", old)
        version = f", for CUDA {int(found[1]) // 1000}.{int(found[1]) % 1000 // 10}," if found else ""
        wanted = f"which needs CUDA {torch.version.cuda}"
        return f"The NVIDIA driver{version} is too old for this PyTorch, {wanted}: install a newer one."
    return "No driver of a card answers: install NVIDIA's, or see whether nvidia-smi finds the card."


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name: "auto" a GPU where there is one (for training; jobs go by resolve()), "cuda" the first CUDA device.

    InvalidParameter for one that this machine lacks.
    """
    names = device_names()
    if name == AUTO:
        return torch.device(names[0])
    if full_name(name) not in names:
        why = why_no_cuda() if kind_of(name) == "cuda" else ""
        raise InvalidParameter(
            f"This machine has no device {name!r}.",
            hint=f"{why} It has {', '.join(names)}; 'auto' chooses the fastest for the algorithm.".lstrip(),
            field="device",
        )
    return torch.device(full_name(name))


def resolve(wanted: str, kinds: Sequence[str], label: str, usable: Sequence[str] = ()) -> Resolved:
    """The device that a job runs on.

    wanted: "auto" or a device's name. kinds: the kinds of devices that the job can run on, the preferred first. label: of its
    algorithm, for sentences. usable: names of the devices that this process may use; () for all of the machine.

    "auto" takes the first of `kinds` that is there. A device that the machine has and the algorithm (or this process) does not
    use is replaced by the CPU, and the note says so. Raises InvalidParameter for a device that the machine lacks, and where
    nothing is there that the algorithm runs on.
    """
    usable = list(usable) or device_names()
    if wanted == AUTO:
        found = next((name for kind in kinds for name in usable if kind_of(name) == kind), None)
        if found is None:
            raise _runs_nowhere(kinds, label, usable)
        return Resolved(device=torch.device(found))
    device = pick_device(wanted)
    if kind_of(str(device)) not in kinds:
        reason = f"{label} does not use {device} for this job"
    elif str(device) not in usable:
        reason = f"This backend was not started with the device {device}"
    else:
        return Resolved(device=device)
    if "cpu" not in kinds or "cpu" not in usable:
        raise _runs_nowhere(kinds, label, usable)
    return Resolved(device=torch.device("cpu"), note=f"{reason}; it runs on the CPU.")


def _runs_nowhere(kinds: Sequence[str], label: str, usable: Sequence[str]) -> InvalidParameter:
    return InvalidParameter(
        f"{label} runs on {' or '.join(kinds)}; this machine has {', '.join(usable)}.",
        hint="Use a machine that has such a device.",
        field="device",
    )


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
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0  # pyright: ignore[reportAttributeAccessIssue]
    label = "Apple GPU" if name == "mps" else "CPU"
    return {"name": name, "kind": name, "label": label, "memory_bytes": memory_bytes, "cores": default_threads()}


def cpu_computes_bfloat16() -> bool:
    """Whether this CPU has bfloat16 arithmetic (AVX-512 BF16 or AMX); elsewhere it is emulated and slower than float32."""
    if platform.system() != "Linux":
        return False
    flags = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    return "avx512_bf16" in flags or "amx_bf16" in flags
