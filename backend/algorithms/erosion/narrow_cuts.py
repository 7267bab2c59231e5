"""Erosion as in version 1: every cell of the grid for itself, creep on everything, rivers one cell wide. For recipes."""

from __future__ import annotations

from torch import Tensor

from backend.algorithms.erosion.ground import Ground
from backend.algorithms.erosion.incision import Incision, erosion_law
from backend.ops.terrain import erosion
from backend.runtime.context import JobContext
from shared.catalog.hydrology import HydrologyParams


def erode(
    ground: Ground,
    params: HydrologyParams,
    pixel_size_m: float,
    relief_m: float,
    strength: Tensor | None,
    job: JobContext,
) -> None:
    """params.steps time steps on `ground`; ends early when the user asks for the current result."""
    if not (params.amount > 0 or params.smoothing > 0 or params.uplift > 0):
        return
    law = erosion_law(params, ground.height.shape, pixel_size_m, relief_m)
    incision = Incision(params, law, pixel_size_m, job)
    years = 1.0 / params.steps
    low, high = float(ground.height.min()), float(ground.height.max())
    rising = (ground.height - low) * (law.uplift * years / max(high - low, 1e-9))  # high land rises, coasts stay
    if strength is not None:
        rising *= strength
    for number in range(params.steps):
        if job.finish_early:
            return
        report(params, number, job)
        ground.height = ground.height + rising
        after = incision.step(number, ground.height, strength, lambda at=number: report(params, at, job))
        crept = erosion.creep(after, pixel_size_m, law.diffusivity, years)
        after = crept if strength is None else after + (crept - after) * strength
        erosion.lower_rim(ground.height, after)
        ground.move_to(after)
        if incision.settled is not None:
            ground.settled += incision.settled.reshape(after.shape)
        job.preview(height=lambda: ground.height.float())


def report(params: HydrologyParams, number: int, job: JobContext) -> None:
    job.step(1 + number, params.steps + 2, "cutting valleys")
