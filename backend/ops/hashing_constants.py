"""The multipliers of the two integer hashes, for tensors (hashing) and for compiled kernels (hashing_cpu) alike."""

from __future__ import annotations

MIX_32_1, MIX_32_2 = 0x7FEB352D, 0x846CA68B  # "lowbias32" of C. Wellons, public domain
GOLDEN_64 = 0x9E3779B97F4A7C15  # SplitMix64
MIX_64_1, MIX_64_2 = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
