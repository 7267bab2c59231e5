"""The numba kernels of backend/ops/texels; each is the twin of an op there."""
