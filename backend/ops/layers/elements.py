"""Features of a network as kernels take them: flat arrays, bfloat16 as its bits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

TYPES = (torch.bfloat16, torch.float32)
LANES = 8  # features that a kernel takes at a time


def fits_kernels(values: Tensor) -> bool:
    """Whether kernels can take these features [B, C, h, w] here: they give no gradient."""
    return not torch.is_grad_enabled() and values.dtype in TYPES and values.shape[1] % LANES == 0


def elements(tensor: Tensor) -> np.ndarray:
    """A flat view of [B, C, h, w] in channels_last: float32, or uint16 for bfloat16."""
    flat = tensor.permute(0, 2, 3, 1).flatten()
    return flat.view(torch.int16).numpy().view(np.uint16) if flat.dtype == torch.bfloat16 else flat.numpy()
