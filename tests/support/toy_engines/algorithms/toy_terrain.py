"""Heights by class number, blurred by a box, with some roughness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from backend.runtime.context import JobContext
from shared.arrays import COLOR_IMAGE, HEIGHT_MAP, Array
from tests.support.toy_engines.catalog.toy_terrain import CLASSES, ToyTerrainParams


def run(params: ToyTerrainParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    numbers = torch.from_numpy(np.array(inputs["sketch"].values)).long()
    job.step(0, 2, "raising classes")
    steps = (numbers.float() * params.step_m)[None, None]
    padded = torch.nn.functional.pad(steps, (2, 2, 2, 2), mode="replicate")
    heights = torch.nn.functional.avg_pool2d(padded, 5, stride=1)[0, 0]
    heights = heights + 0.1 * params.step_m * torch.rand(heights.shape, generator=job.generator)
    srgb = torch.tensor([rgb for _, rgb in CLASSES])
    albedo = srgb.pow(2.2)[numbers.clamp(max=len(CLASSES) - 1)]
    job.preview(height=heights, albedo=albedo)
    job.step(1, 2, "painting")
    return {
        "height": Array(HEIGHT_MAP, heights.numpy(), {"pixel_size_m": params.ground_m}),
        "albedo": Array(COLOR_IMAGE, albedo.numpy()),
    }
