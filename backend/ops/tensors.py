"""NumPy arrays as tensors on a device, without a copy where that can be."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def as_tensor(values: np.ndarray, device: torch.device | str = "cpu", dtype: torch.dtype | None = None) -> Tensor:
    """On the CPU the array's own memory, unless it is read-only or of another type than `dtype`: torch knows no read-only
    tensors, and kernels are compiled for writable arrays."""
    own = torch.from_numpy(np.ascontiguousarray(values) if values.flags.writeable else values.copy())
    return own.to(device, dtype)
