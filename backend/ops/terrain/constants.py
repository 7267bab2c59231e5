"""Constants shared by the ops of this folder and their compiled twins; kernels import no op, so they have their own file."""

from __future__ import annotations

import struct

# ---- noise ----
FBM, BILLOW, RIDGED = 0, 1, 2  # kinds of fractal sum, as kernels take them
PERLIN, WORLEY_F1, WORLEY_F2_F1 = 0, 1, 2  # bases
SINE = (3.13903427, -1.99486840, 0.433770657)  # sin(pi u) = u (1 - u²) (s0 + s1 u² + s2 u⁴) to 3e-4 on [-1, 1], own fit
SQRT2 = struct.unpack("f", struct.pack("f", 2.0**0.5))[0]  # as float32; brings a gradient octave to [-1, 1]

# ---- flow ----
NO_RECEIVER = (
    8  # direction code of an outlet on the edge or a pit inside; codes 0..7 are the neighbours in row-major order
)
POWERS_TABLE = 4096  # most cells drain few others: their powers are looked up
LAKE_SLOPE = 1e-5  # m / m by which a full lake rises from its outlet: level ground would be a pit in every cell
OVER_RELAXATION = 1.8  # of the membrane between rivers, which lie about ten cells apart
