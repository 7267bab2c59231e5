"""What a viewer gets of outputs that are still being computed: small arrays of the ports' kinds.

Reduction goes by what the kind's values mean: numbers that can be averaged are; class numbers, counts and stored colours are
picked; normals are averaged and made unit again. What is no map (strokes, a mesh) is passed on whole while it is small, else
every nth item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from shared.algorithm import AlgorithmSpec
from shared.arrays import NORMAL_MAP, STROKES, Array, ArrayKind

SIDE_PX = 512
MAX_ITEMS = 4096


class Previews:
    """Turns what job.preview() was given into arrays for `show`. pixel_size_m: metres per pixel of the outputs at full size."""

    def __init__(self, spec: AlgorithmSpec, pixel_size_m: float, show: Callable[[dict[str, Array]], None]) -> None:
        self._kinds = {port.name: port.kind for port in spec.outputs}
        self._pixel_size_m = pixel_size_m
        self._show = show

    def __call__(self, ports: Mapping[str, Any]) -> None:
        self._show({port: self._array(self._kinds[port], values) for port, values in ports.items()})

    def _array(self, kind: ArrayKind, given: Any) -> Array:
        values, factor = reduce(kind, to_numpy(kind, given))
        attributes: dict[str, Any] = {**getattr(given, "attributes", {}), "reduced_by": factor}
        if "pixel_size_m" in kind.attributes:
            attributes["pixel_size_m"] = self._pixel_size_m * factor
        return Array(kind, values.astype(kind.dtype, copy=False), attributes)


def to_numpy(kind: ArrayKind, given: Any) -> np.ndarray:
    """An Array, tensor or array as NumPy, with the kind's number of axes: torch's leading batch and channel axes fall away."""
    values = getattr(given, "values", given) if isinstance(given, Array) else given
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    values = np.asarray(values)
    while values.ndim > len(kind.axes) and values.shape[0] == 1:
        values = values[0]
    return values


def reduce(kind: ArrayKind, values: np.ndarray) -> tuple[np.ndarray, int]:
    """A small copy of the values, and the whole factor by which it was reduced."""
    if kind.axes[:2] == ("H", "W"):
        reduced, factor = reduce_map(values)
        if kind is NORMAL_MAP and factor > 1:
            reduced = reduced / np.maximum(np.linalg.norm(reduced, axis=-1, keepdims=True), 1e-6)
        return reduced, factor
    step = -(-len(values) // MAX_ITEMS) if kind is STROKES else 1
    return np.ascontiguousarray(values[::step]), max(step, 1)


def reduce_map(values: np.ndarray, side_px: int = SIDE_PX) -> tuple[np.ndarray, int]:
    """A map [H, W, ...] with no side above side_px, and the whole factor it was reduced by.

    Real numbers are averaged over factor² pixels; whole numbers are picked, for the mean of class numbers means nothing. Rows and
    columns that do not fill a last block fall away.
    """
    height, width = values.shape[:2]
    factor = -(-max(height, width) // side_px)
    if factor <= 1:
        return np.ascontiguousarray(values), 1
    if values.dtype.kind != "f":
        return np.ascontiguousarray(values[factor // 2 :: factor, factor // 2 :: factor]), factor
    rows, columns = max(height // factor, 1), max(width // factor, 1)
    deep, wide = min(height, factor), min(width, factor)  # a strip may be narrower than one block
    blocks = values[: rows * deep, : columns * wide].reshape(rows, deep, columns, wide, *values.shape[2:])
    return np.ascontiguousarray(blocks.mean(axis=(1, 3), dtype=np.float32)), factor
