"""Procedural terrain from a seed: fractal gradient noise, Worley noise, or explicit layers, scaled to metres.

Heights are base_m + relief_m · s, where s runs from 0 to 1 over what the kind of noise typically spans: a fixed
range of the field (ops.noise.reference_range) or six standard deviations of the layers, never the extremes of
this map. So tiles and resolutions of one terrain agree. Only `legacy` stretches each map to its own extremes,
as the explicit noise was first published.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from backend.ops.terrain import explicit_noise, noise
from backend.ops.terrain.explicit_noise import ExplicitNoise
from backend.ops.terrain.noise import NoiseField, Window
from backend.ops.to_host import BandsToHost
from shared.arrays import HEIGHT_MAP, Array
from shared.catalog.noise import NoiseParams
from shared.errors import InvalidParameter

if TYPE_CHECKING:
    from backend.runtime.context import JobContext

# Pixels between two reports on a CPU, 10 ms or so, beside which the tables of a step's rows and columns cost little; and on a card,
# where a step's heights travel to the host while the next ones are made
STEP_PX = (1 << 20, 1 << 21)
EXPLICIT_DEVIATIONS = 6.0  # relief over the standard deviation of explicit noise, which is close to a Gaussian


def run(params: NoiseParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    """Output "height": HEIGHT_MAP [height_px, width_px]. Raises InvalidParameter for an explicit window that is
    zero."""
    heights = np.empty((params.height_px, params.width_px), np.float32)
    field = explicit_field(params) if params.basis == "explicit" else fractal_field(params)
    scale, offset = _to_relief(params, field)
    step = max(STEP_PX[job.device.type == "cuda"] // params.width_px, 1)
    made = torch.from_numpy(heights)
    at_end = params.legacy or job.device.type == "cpu"
    bands = BandsToHost(made, job.device)
    for top in range(0, params.height_px, step):
        job.step(top, params.height_px, "Noise")
        rows = min(step, params.height_px - top)
        window = Window(params.origin_x, params.origin_y + top, params.width_px, rows)
        if isinstance(field, NoiseField):
            band = noise.evaluate(field, window, scale=scale, offset=offset, device=job.device)
        else:
            band = explicit_noise.evaluate(field, window, job.device).mul_(scale).add_(offset)
        bands.put(top, band[0, 0] if at_end else _shaped(band[0, 0], params))
    bands.finish()
    if params.legacy:
        _stretch(heights)
    if at_end:
        _shaped(made, params)
    job.step(params.height_px, params.height_px, "Noise")
    return {"height": Array(HEIGHT_MAP, heights, {"pixel_size_m": params.pixel_size_m})}


def fractal_field(params: NoiseParams) -> NoiseField:
    """The parameters in pixels."""
    if params.basis == "explicit":
        raise ValueError("explicit noise is not a fractal field")
    across_px = params.feature_m / params.pixel_size_m * params.stretch
    if params.cells:
        across_px = params.width_px / params.cells
    return NoiseField(
        basis=params.basis,
        kind=params.fractal,
        wavelength_px=(across_px, across_px / params.stretch),
        octaves=params.octaves,
        lacunarity=params.lacunarity,
        gain=params.gain,
        warp=params.warp,
        seed=params.seed,
        period_px=(params.width_px, params.height_px) if params.tileable else None,
        axes_only=params.legacy,
    )


def explicit_field(params: NoiseParams) -> ExplicitNoise:
    """The layers; those after the fourth take the fourth sigma."""
    sigmas = (params.sigma_1, params.sigma_2, params.sigma_3, params.sigma_4)
    field = ExplicitNoise(
        kernel=params.kernel,
        kernel_px=params.kernel_px,
        sigmas_px=tuple(sigmas[min(layer, 3)] for layer in range(params.layers)),
        seed=params.seed,
        period_px=(params.width_px, params.height_px) if params.tileable else None,
        legacy=params.legacy,
    )
    try:
        explicit_noise.window_taps(field.kernel, field.kernel_px, sigmas[0], field.legacy)
    except ValueError as error:
        raise InvalidParameter(
            f"A {params.kernel} kernel of {params.kernel_px} pixels is zero everywhere.",
            hint="Take a larger kernel, or a Gaussian.",
            field="kernel_px",
        ) from error
    return field


def _to_relief(params: NoiseParams, field: NoiseField | ExplicitNoise) -> tuple[float, float]:
    """(scale, offset) that bring the field's typical span to 0..1."""
    if params.legacy:
        return 1.0, 0.0
    if isinstance(field, NoiseField):
        low, high = noise.reference_range(field)
        return 1.0 / (high - low), -low / (high - low)
    scale = 1.0 / (EXPLICIT_DEVIATIONS * explicit_noise.deviation(field))
    return scale, 0.5 - 0.5 * scale


def _stretch(heights: np.ndarray) -> None:
    low, high = heights.min(), heights.max()
    heights -= low
    if high > low:
        heights /= high - low


def _shaped(heights: Tensor, params: NoiseParams) -> Tensor:
    """From shares of the relief to metres, in place. Products and sums only: they round alike in every tile and on every device."""
    if params.lowlands:
        bend = np.float32(params.lowlands).item()
        heights *= heights.clamp_min(0.0).mul_(bend).add_(1.0 - bend)
    return heights.mul_(params.relief_m).add_(params.base_m)
