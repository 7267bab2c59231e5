"""One horizontal stroke per cell of a grid, in the cell's mean colour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from backend.runtime.context import JobContext
from shared.arrays import COLOR_IMAGE, NORMAL_MAP, STROKES, Array, height_map
from shared.errors import InvalidInput
from shared.strokes import COLUMNS, INDEX
from tests.support.toy_engines.catalog.toy_painting import ToyPaintingParams


def run(params: ToyPaintingParams, inputs: Mapping[str, Any], job: JobContext) -> dict[str, Array]:
    image = np.clip(inputs["image"].values, 0.0, 1.0)
    height, width = image.shape[:2]
    count = params.rows
    segments = inputs["segments"].values if inputs.get("segments") is not None else np.full((height, width), -1.0)
    if segments.shape != image.shape[:2]:
        raise InvalidInput("The segments are of another size than the image.", field="segments")
    strokes = np.zeros((count * count, len(COLUMNS)), np.float32)
    painting = np.zeros_like(image)
    for number in range(count * count):
        job.step(number, count * count, "painting")
        row, column = divmod(number, count)
        rows = slice(row * height // count, max((row + 1) * height // count, row * height // count + 1))
        columns = slice(column * width // count, max((column + 1) * width // count, column * width // count + 1))
        color = image[rows, columns].mean(axis=(0, 1))
        painting[rows, columns] = color
        half = 0.5 * params.length / count
        centre = (column + 0.5) / count
        values = {
            **dict.fromkeys(("x0", "x2"), (row + 0.5) / count),
            "y0": max(centre - half, 0.0),
            "y2": min(centre + half, 1.0),
            "x1": 0.5,
            "y1": 0.5,
            **dict.fromkeys(("r0", "r2"), 0.5 / count),
            **dict.fromkeys(("t0", "t2"), 1.0),
            **dict(zip(("red", "green", "blue"), color ** (1 / 2.2), strict=True)),
            **dict(zip(("red2", "green2", "blue2"), color ** (1 / 2.2), strict=True)),
            "layer": 0.0,
            "segment": float(segments[rows, columns][-1, -1]),
            "order": float(number),
        }
        for name, value in values.items():
            strokes[number, INDEX[name]] = value
    ridges, normals = _relief(count, height, width)
    canvas = {"canvas_width_px": width, "canvas_height_px": height}
    return {
        "strokes": Array(STROKES, strokes, canvas),
        "painting": Array(COLOR_IMAGE, np.ascontiguousarray(painting, np.float32)),
        "height": height_map(ridges, 1.0 / max(height, width)),
        "normal": Array(NORMAL_MAP, np.ascontiguousarray(normals, np.float32)),
    }


def _relief(count: int, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Heights in metres of a canvas one metre long, 0.01 at the middle of each row of strokes, and their normals."""
    ridge = 0.01 * np.sin(np.pi * ((np.arange(height) + 0.5) * count / height % 1.0))
    ridges = np.repeat(ridge[:, None], width, axis=1)
    slope = np.gradient(ridges, axis=0) * max(height, width)
    normals = np.stack([np.zeros_like(slope), slope, np.ones_like(slope)], axis=-1)
    return ridges, normals / np.linalg.norm(normals, axis=-1, keepdims=True)
