"""A digest of named tensors: how a file of weights says in its header what it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from torch import Tensor, uint8


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256, hexadecimal, of tensors on the CPU by their names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        digest.update(tensor.reshape(-1).view(uint8).numpy().tobytes())
    return digest.hexdigest()
