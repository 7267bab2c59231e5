"""What the probe of texture_probe_algorithms.py does."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.arrays import COUNT_MAP, MASK, MESH, REPORT, TEXTURE, Array
from tests.support.texture_probe_algorithms import TextureProbeParams

FOUND = {
    "photographs": [
        {
            "name": "a.jpg",
            "used": True,
            "residual": 0.021,
            "psnr": 33.5,
            "gain": [1.1, 1.0, 0.9],
            "shift_px": [0.3, -0.4],
        },
        {"name": "b.jpg", "used": False, "reason": "it shows something else"},
    ],
    "summary": ["1 of 2 photographs made the texture.", "Not used, for it shows something else: b.jpg."],
    "hold_out_psnr": 31.25,
}


def run(params: TextureProbeParams, inputs: Mapping[str, Any], job: Any) -> dict[str, Any]:
    """The outputs, after `steps` previews from coarse to fine."""
    texture = colors(params)
    for step in range(params.steps):
        job.step(step, params.steps, f"step {step}")
        if job.finish_early:
            break
        coarse = max(1, params.size >> (params.steps - step))
        job.preview(
            texture=lambda coarse=coarse: texture[: max(2, params.size // coarse), : max(2, params.size // coarse)]
        )
        time.sleep(params.step_s)
    size, ramp = params.size, np.linspace(0.0, 1.0, params.size, dtype=np.float32)
    columns, rows = np.broadcast_to(ramp * 20, (size, size)), np.broadcast_to(ramp[:, None], (size, size))
    tiles = [{"tile": 1001 + number} for number in range(params.tiles)] if params.tiles > 1 else [{}]
    outputs: dict[str, Any] = {
        "texture": tuple(Array(TEXTURE, np.roll(texture, number, 1), tile) for number, tile in enumerate(tiles)),
        "coverage": tuple(Array(COUNT_MAP, columns.astype(np.uint16), tile) for tile in tiles),
        "confidence": tuple(Array(MASK, np.ascontiguousarray(rows), tile) for tile in tiles),
        "report": Array(REPORT, np.frombuffer(json.dumps(FOUND).encode(), np.uint8).copy()),
    }
    if params.unwraps:
        outputs["mesh"] = Array(MESH, with_new_uvs(inputs["mesh"].values))
    return outputs


def colors(params: TextureProbeParams) -> np.ndarray:
    """uint16 [size, size, 3]: no level is left out, none is its neighbour's."""
    return np.random.default_rng(params.seed).integers(0, 65536, (params.size, params.size, 3), np.uint16)


def with_new_uvs(soup: np.ndarray) -> np.ndarray:
    """Each triangle in a column of its own."""
    made = soup.copy()
    left = np.arange(len(soup)) / len(soup)
    made[:, :, 3] = left[:, None] + np.float32([0.0, 0.5, 0.0]) / len(soup)
    made[:, :, 4] = np.float32([0.1, 0.1, 0.9])
    return made
