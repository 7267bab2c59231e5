"""Hillslope creep on a card: half a step, implicit down the columns, with a thread a column (Thomas's algorithm): see
hillslope_cpu.

Threads side by side read cells side by side; the half along the rows is that of the map turned over.
"""

from __future__ import annotations

from backend.ops.cuda_kernels import cuda, kernel


@kernel
def half_step(height, half, ratio, made):
    """[H, W] float64 into `made`, the edge held. half: diffusivity * time / pixel_size^2 / 2; ratio: float64 [H], of a pivot's
    elimination."""
    c = cuda.grid(1)
    rows, columns = height.shape
    if c >= columns:
        return
    made[0, c], made[rows - 1, c] = height[0, c], height[rows - 1, c]
    if c == 0 or c == columns - 1:
        for r in range(1, rows - 1):
            made[r, c] = height[r, c]
        return
    above = height[0, c]
    for r in range(1, rows - 1):
        across = height[r, c] + half * (height[r, c - 1] - 2.0 * height[r, c] + height[r, c + 1])
        above = (across + half * above) / (1.0 + 2.0 * half - half * ratio[r - 1])
        made[r, c] = above
    below = height[rows - 1, c]
    for r in range(rows - 2, 0, -1):
        below = made[r, c] + ratio[r] * below
        made[r, c] = below
