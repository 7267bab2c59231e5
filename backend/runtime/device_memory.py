"""How much memory of a device a job may plan with, and the user's limit on it.

RELIEVO_DEVICE_MEMORY limits what Relievo takes of each card, such as "6G": for a card that others use as well. PyTorch refuses what
goes beyond, and the job goes on on the CPU (backend/runtime/device_failures.py).
"""

from __future__ import annotations

import os
import re

import torch

from backend.runtime import memory
from shared.errors import InvalidParameter

VARIABLE = "RELIEVO_DEVICE_MEMORY"
SHARE = 0.85  # of what is free: libraries and fragments take the rest
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def wanted_bytes() -> int | None:
    """The user's limit in bytes, None without one. Raises InvalidParameter for what is no amount of memory."""
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    amount = float(found[1]) * _UNITS[found[2].upper()] if found else 0.0
    if amount < 2**20:
        raise InvalidParameter(
            f"{VARIABLE} is {text[:80]!r}, which is no amount of memory.",
            hint="Write a number with K, M or G, such as 6G, or unset it.",
        )
    return int(amount)


def limit(device: torch.device) -> None:
    """Have PyTorch refuse what goes beyond the user's limit on this card; nothing on other devices."""
    wanted = wanted_bytes() if device.type == "cuda" else None
    if wanted is not None:
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, wanted / total), device)


def budget(device: torch.device) -> int:
    """Bytes that a job may plan with on this device: a share of what is free, within the user's limit on cards."""
    if device.type != "cuda":
        return int(SHARE * memory.available_bytes())
    free, _ = torch.cuda.mem_get_info(device)
    kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    wanted = wanted_bytes()
    room = free + kept if wanted is None else min(free + kept, wanted - torch.cuda.memory_allocated(device))
    return max(0, int(SHARE * room))
