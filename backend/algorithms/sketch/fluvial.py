"""Fine valleys in large forms: running water cuts the land where it gathers, and the land rises by what it has lost.

Forms that are wider than the rise reaches stay as they are; ridges and valleys between them become sharp and branch down to a few
pixels. All but the least fall of a river is linear in the heights: land twice as high is cut twice as deep. Lengths are pixels.
Knows no job and no sketch.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from backend.algorithms.sketch import valleys
from backend.ops.smoothing import gaussian
from backend.ops.terrain import noise
from backend.ops.terrain.drainage import drain
from backend.ops.terrain.erosion import ErosionLaw, creep, incise, stream_rate
from backend.ops.terrain.routing import route

NOISE_DEVIATION = 0.37  # of its octaves together
ROUGH_PX, ROUGH_GAIN, OCTAVES = (
    24.0,
    0.7,
    4,
)  # of the noise: wavelength of the first octave, amplitude of one to the one before
LAW = ErosionLaw(erodibility=0.12, area_exponent=0.35)  # per step, of areas in pixels
MOST_CELLS = 80.0  # that water gathers from, at most: large rivers cross plains without a canyon
CREEP = 0.015  # square pixels per step
RISE_PX = 9.0  # over which the land rises by what was cut away
JITTER = 1.0  # of the directions of flow: on even slopes the steepest ones alone draw a comb
CUT_SHARE = 0.2  # of draining before the first step: hollows of plains are filled rather than cut open
DROP_M = 1e-3


def roughened(height: Tensor, amount: Tensor, seed: int) -> Tensor:
    """Heights [H, W] with noise whose deviation is `amount` [H, W], in metres both: chance that water finds its way by."""
    rows, columns = height.shape
    field = noise.NoiseField(wavelength_px=(ROUGH_PX, ROUGH_PX), octaves=OCTAVES, gain=ROUGH_GAIN, seed=seed)
    chance = noise.evaluate(field, noise.Window(0, 0, columns, rows))[0, 0]
    return height + chance * (amount / NOISE_DEVIATION)


def carved(height: Tensor, strength: Tensor, steps: int, seed: int, observe: Callable[[float], None]) -> Tensor:
    """Heights float32 [H, W] in metres, drained, and then cut by some steps of running water.

    strength [H, W] 0..1: how easily the ground wears. Where it is 0 there is water: it keeps its height, and rivers end there.
    observe: hears the share done before each step; may raise.
    """
    wet = strength == 0
    drained = drain(height, cut_share=CUT_SHARE, drop=DROP_M, outlets=wet).numpy()
    ground = torch.from_numpy(valleys.widened(drained, height.numpy(), wet.numpy(), 1.0, seed)).double()
    strength = strength.double()
    for step in range(steps):
        observe(step / steps)
        flow = route(ground, 1.0, jitter=JITTER, seed=seed + step)
        cells = flow.upstream.double().clamp_max(MOST_CELLS)
        lower = incise(ground, flow, LAW, stream_rate(flow, LAW, 1.0, cells=cells, strength=strength))
        lower = creep(lower, 1.0, CREEP, 1.0)
        risen = gaussian((ground - lower).float(), RISE_PX, edge="nearest")
        ground = torch.where(strength > 0, lower + risen.double(), ground)
    return ground.float()
