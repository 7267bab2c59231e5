"""The integer hashes of backend.ops.hashing for kernels on a card, bit for bit the same."""

from __future__ import annotations

import numpy as np

from backend.ops.cuda_kernels import device_function
from backend.ops.hashing_constants import GOLDEN_64, MIX_32_1, MIX_32_2, MIX_64_1, MIX_64_2

_M1, _M2 = np.uint32(MIX_32_1), np.uint32(MIX_32_2)
_L1, _L2 = np.uint64(MIX_64_1), np.uint64(MIX_64_2)
_GOLDEN = np.uint64(GOLDEN_64)


@device_function
def mix32(key):
    """32 well-mixed bits of a uint32."""
    h = np.uint32(key)
    h = np.uint32(h ^ (h >> np.uint32(16)))
    h = np.uint32(h * _M1)
    h = np.uint32(h ^ (h >> np.uint32(15)))
    h = np.uint32(h * _M2)
    return np.uint32(h ^ (h >> np.uint32(16)))


@device_function
def finalise64(h):
    """64 well-mixed bits of a uint64: the finaliser of SplitMix64."""
    h = (h ^ (h >> np.uint64(30))) * _L1
    h = (h ^ (h >> np.uint64(27))) * _L2
    return h ^ (h >> np.uint64(31))


@device_function
def splitmix64(counter):
    """64 bits of a uint64: see backend.ops.hashing."""
    return finalise64(counter + _GOLDEN)
