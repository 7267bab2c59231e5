"""Values of a generator, piece by piece, into the maps of a texture: what Channels.decode() does to a whole image, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.textures.channels import Channels
from shared.material_maps import COLORS
from shared.srgb import srgb_to_linear

CODES = 65536  # that a bfloat16 can be
FLAT = 0.998  # of a normal's length that may lie in the plane


class Decoder:
    """How values lie in the result: colours first, then the other maps; `drop`: names of maps that are left out."""

    def __init__(self, channels: Channels, device: torch.device, drop: Sequence[str] = ()) -> None:
        self.device = device
        self._bounds = [part.tolist() for part in (channels.mean, channels.low, channels.high)]
        self._is_color: list[bool] = []
        starts: dict[str, int] = {}
        for name in channels.names:
            starts[name] = len(self._is_color)
            self._is_color += [name in COLORS] * values_of(name)
        names = sorted((name for name in channels.names if name not in drop), key=lambda name: name not in COLORS)
        self.maps = [(name, starts[name], values_of(name)) for name in names]
        self.width = sum(_width(name) for name in names)
        codes = torch.arange(CODES).to(torch.int16).view(torch.bfloat16).float().nan_to_num()
        self._tables = [self._decoded(codes.numpy()[None], number)[0] for number in range(len(self._is_color))]

    def slices(self) -> dict[str, slice]:
        """Where each map is among the last axis of what write() fills."""
        found, start = {}, 0
        for name, _, _ in self.maps:
            found[name] = slice(start, start + _width(name))
            start += _width(name)
        return found

    def write(self, values: Tensor, out: np.ndarray) -> None:
        """values [1, V, h, w] without their mean, into out [h, w, width]."""
        laid = values[0].cpu()
        for (name, start, count), place in zip(self.maps, self.slices().values(), strict=True):
            parts = [self._one(laid[number], number) for number in range(start, start + count)]
            if name == "normal":
                out[..., place] = _normals(np.stack(parts, axis=2))
            else:
                for number, part in enumerate(parts):
                    out[..., place.start + number] = part

    def _one(self, values: Tensor, number: int) -> np.ndarray:
        """One value of each pixel [h, w]. There are few bfloat16: they are looked up."""
        if values.dtype == torch.bfloat16:
            return np.take(self._tables[number], values.view(torch.int16).numpy().view(np.uint16), mode="clip")
        return self._decoded(values.float().numpy(), number)

    def _decoded(self, values: np.ndarray, number: int) -> np.ndarray:
        mean, low, high = (part[number] for part in self._bounds)
        whole = np.clip(values.astype(np.float64) + mean, low, high)
        return (srgb_to_linear(whole) if self._is_color[number] else whole).astype(np.float32)


def values_of(name: str) -> int:
    """Numbers per pixel that a map is encoded in."""
    return 3 if name in COLORS else 2 if name == "normal" else 1


def _width(name: str) -> int:
    return 1 if values_of(name) == 1 else 3


def _normals(part: np.ndarray) -> np.ndarray:
    """Unit vectors [h, w, 3] of their x and y."""
    flat = np.square(part).sum(axis=2, keepdims=True)
    part = part / np.sqrt(np.maximum(flat / FLAT, 1.0))
    up = np.sqrt(np.maximum(1.0 - np.square(part).sum(axis=2, keepdims=True), 1e-6))
    return np.concatenate([part, up], axis=2)
