"""The two integer hashes of this project, on tensors and NumPy arrays: a value for every place, drawn in no order.

`mix32` is "lowbias32" of C. Wellons (public domain), `splitmix64` the finaliser of SplitMix64 (Steele, Lea and Flood 2014,
doi:10.1145/2714064.2660195). hashing_cpu holds them for compiled kernels. What is hashed (a cell, a seed, an octave) is
the caller's business.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from backend.ops.hashing_constants import GOLDEN_64, MIX_32_1, MIX_32_2, MIX_64_1, MIX_64_2


def mix32(key: Tensor) -> Tensor:
    """32 well-mixed bits of 32 bits; int64 in and out, since torch has no unsigned shifts on every device."""
    h = key ^ (key >> 16)
    h = (h * MIX_32_1) & 0xFFFF_FFFF
    h = h ^ (h >> 15)
    h = (h * MIX_32_2) & 0xFFFF_FFFF
    return h ^ (h >> 16)


def splitmix64(counter: np.ndarray) -> np.ndarray:
    """64 bits (uint64) of 64 bits, any shape: a bijection that flips half the bits."""
    z = (counter + np.uint64(GOLDEN_64)).astype(np.uint64)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(MIX_64_1)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(MIX_64_2)
    return z ^ (z >> np.uint64(31))


def finalise64(z: Tensor) -> Tensor:
    """The finaliser alone, on int64 whose bits are meant as unsigned; products wrap around, as they must."""
    z = (z ^ shift_right(z, 30)) * _signed(MIX_64_1)
    z = (z ^ shift_right(z, 27)) * _signed(MIX_64_2)
    return z ^ shift_right(z, 31)


def shift_right(bits: Tensor, count: int) -> Tensor:
    """A logical shift of int64: zeros come in from the left."""
    return (bits >> count) & ((1 << (64 - count)) - 1)


def _signed(constant: int) -> int:
    return constant - (1 << 64) if constant >= 1 << 63 else constant
