"""Normals by central differences, and a threshold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backend.runtime.context import JobContext
from shared.arrays import MASK, NORMAL_MAP, Array
from tests.support.toy_engines.catalog.toy_maps import ToyMapsParams


def run(params: ToyMapsParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    height = inputs["height"]
    job.step(0, 1, "making maps")
    rows, columns = np.gradient(height.values, height.pixel_size_m)
    normal = np.stack([-columns, rows, np.ones_like(rows)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    low, high = height.values.min(), height.values.max()
    mask = (height.values >= low + params.level * (high - low)).astype(np.float32)
    return {"normal": Array(NORMAL_MAP, normal.astype(np.float32)), "high": Array(MASK, mask)}
