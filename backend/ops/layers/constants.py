"""Numbers that the layers' ops and kernels share."""

SLOPE = 0.2  # of the leaky ReLU
EPSILON = 1e-4  # beside a mean square
