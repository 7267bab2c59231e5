"""Mean and variance of a tensor that are the same to the last bit whatever the number of threads.

PyTorch cuts a sum over everything up by threads; NumPy adds on one, pairwise. For numbers that results depend
on, not for losses.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor


def mean(values: Tensor) -> float:
    """Arithmetic mean over all elements, added in float64."""
    return float(values.detach().cpu().numpy().mean(dtype=np.float64))


def variance(values: Tensor) -> float:
    """Population variance over all elements, in float64."""
    return float(values.detach().cpu().numpy().var(dtype=np.float64))
