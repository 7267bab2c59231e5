"""Constants shared by the ops of this folder and their compiled twins; kernels import no op, so they have their own file."""

from __future__ import annotations

PLANES = 8  # numbers of a texel in the normal equations: five of the matrix, three right sides
L2, HUBER, REDESCEND = 0, 1, 2  # robust losses as kernels take them
SAME_SURFACE = 4.0  # footprints that neighbouring pixels of one surface may be apart, by the larger axis
MOST_PHOTOGRAPHS = 65535  # that coverage can count
REACH = 0.87  # texels of the coarsest level that a pixel covers to each side at most
# The width of a texel whose bilinear look-up blurs as much as a square pixel of width 1. A bilinear look-up in box means
# of width b has, mean over its phase, the variance b²/12 (the box) + b²/6 (the tent): b²/4. A pixel has 1/12.
# Equal for b = 1/sqrt(3).
TEXELS_PER_PIXEL = 3.0**-0.5
