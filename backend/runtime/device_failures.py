"""What goes wrong on a card, told from what libraries raise: too little memory, a card in use by others, a card that is lost.

None of it ends a job that can run on the CPU as well (backend/runtime/compute.py), and none of it is a bug of an engine, except
perhaps a kernel that reads beyond its arrays: the log has the traceback.
"""

from __future__ import annotations

import gc
import re
from dataclasses import dataclass

import torch

_MEMORY = re.compile(r"out of memory|_ALLOC_FAILED", re.IGNORECASE)
_IN_USE = re.compile(r"busy or unavailable")
_NO_CODE = re.compile(r"no kernel image")
_OF_A_CARD = re.compile(r"\b(CUDA|HIP|NVRTC)\b|CUDNN_|CUBLAS_|cuFFT|CUFFT_|CUSOLVER_|cuSOLVER|NCCL")


@dataclass(frozen=True, kw_only=True)
class Failure:
    """what: how the card failed, as part of a sentence after its name. is_lost: whether this process can use its cards no more."""

    what: str
    is_lost: bool = False


def failure_of(error: BaseException, device: torch.device) -> Failure | None:
    """How `device` failed; None where the device is no card, or the error says nothing of it."""
    text = str(error)
    if device.type == "cpu" or not isinstance(error, (RuntimeError, MemoryError)):
        return None
    if isinstance(error, torch.OutOfMemoryError) or (_OF_A_CARD.search(text) and _MEMORY.search(text)):
        return Failure(what="has too little free memory")
    if not _OF_A_CARD.search(text):
        return None
    if _IN_USE.search(text):
        return Failure(what="is in use by another program")
    if _NO_CODE.search(text):
        return Failure(what="is of a kind that this PyTorch was not built for")
    return Failure(what=f"failed ({_first_sentence(text)})", is_lost=not still_works(device))


def still_works(device: torch.device) -> bool:
    """Whether the card still computes for this process; after some errors every later call fails as well."""
    try:
        return bool((torch.ones(8, device=device).sum() == 8).item())
    except RuntimeError:
        return False


def free_memory(device: torch.device) -> None:
    """Return what PyTorch keeps of a card's memory, once nothing refers to it any more."""
    gc.collect()
    if device.type == "cuda" and torch.cuda.is_initialized():
        try:
            torch.cuda.empty_cache()
        except RuntimeError:  # of a lost card
            return


def _first_sentence(text: str) -> str:
    """CUDA's own words, without PyTorch's advice on how to find the kernel."""
    return re.split(r"\n|(?<=[a-z])\. ", text.strip())[0].removeprefix("CUDA error: ").rstrip(".")[:120]
