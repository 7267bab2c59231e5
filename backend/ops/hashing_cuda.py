"""The integer hashes of backend.ops.hashing for kernels on a card: the functions of hashing_cpu, compiled for it."""

from __future__ import annotations

import numpy as np

from backend.ops import hashing_cpu
from backend.ops.cuda_kernels import device_function
from backend.ops.hashing_constants import GOLDEN_64

_GOLDEN = np.uint64(GOLDEN_64)

mix32 = device_function(hashing_cpu.mix32.py_func)
finalise64 = device_function(hashing_cpu.finalise64.py_func)


@device_function
def splitmix64(counter):
    """64 bits of a uint64: see backend.ops.hashing."""
    return finalise64(counter + _GOLDEN)
