"""Base colour as it is, height by luminance, a normal map of that height, roughness that falls with brightness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backend.runtime.context import JobContext
from shared import texture_set
from shared.arrays import Array
from tests.support.toy_engines.catalog.toy_material import ToyMaterialParams

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def run(params: ToyMaterialParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    colors = np.clip(inputs["image"].values, 0.0, 1.0).astype(np.float32)
    job.step(0, 1, "making maps")
    height = colors @ LUMINANCE
    rows, columns = np.gradient(height)
    normal = np.stack([-columns, rows, np.full_like(height, 0.25)], axis=-1)  # rows run down, y up
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    maps = {
        "base_color": colors,
        "roughness": params.roughness * (1.0 - 0.5 * height),
        "normal": normal,
        "height": height,
    }
    made = texture_set.stack(maps)
    job.preview(material=made)
    return {"material": made}
