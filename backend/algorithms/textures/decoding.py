"""Values of a generator, piece by piece, into the maps of a texture: what Channels.decode() does to a whole image, in one pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.textures.channels import Channels
from shared.material_maps import COLORS
from shared.srgb import srgb_to_linear

LEVELS = 65536  # of sRGB in the table to linear
FLAT = 0.998  # of a normal's length that may lie in the plane


class Decoder:
    """How values lie in the result: colours first, then the other maps; `drop`: names of maps that are left out."""

    def __init__(self, channels: Channels, device: torch.device, drop: Sequence[str] = ()) -> None:
        self.device = device
        self._mean, self._low, self._high = (
            part.to(device)[None, :, None, None] for part in (channels.mean, channels.low, channels.high)
        )
        starts, start = {}, 0
        for name in channels.names:
            starts[name] = start
            start += values_of(name)
        names = sorted((name for name in channels.names if name not in drop), key=lambda name: name not in COLORS)
        self.maps = [(name, starts[name], values_of(name), 1 if values_of(name) == 1 else 3) for name in names]
        self.width = sum(width for *_, width in self.maps)
        self._table = srgb_to_linear(np.arange(LEVELS) / (LEVELS - 1)).astype(np.float32)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, *_ in self.maps)

    def slices(self) -> dict[str, slice]:
        """Where each map is among the last axis of what write() fills."""
        found, start = {}, 0
        for name, _, _, width in self.maps:
            found[name] = slice(start, start + width)
            start += width
        return found

    def write(self, values: Tensor, out: np.ndarray) -> None:
        """values [1, V, h, w] without their mean, into out [h, w, width]."""
        whole = torch.minimum(torch.maximum(values.float() + self._mean, self._low), self._high)
        laid = whole[0].permute(1, 2, 0).cpu().numpy()
        for (name, start, count, _), place in zip(self.maps, self.slices().values(), strict=True):
            part = laid[..., start : start + count]
            if name in COLORS:
                levels = (part * np.float32(LEVELS - 1) + np.float32(0.5)).astype(np.uint16)
                out[..., place] = self._table[levels]
            elif name == "normal":
                out[..., place] = _normals(part)
            else:
                out[..., place] = part


def values_of(name: str) -> int:
    """Numbers per pixel that a map is encoded in."""
    return 3 if name in COLORS else 2 if name == "normal" else 1


def _normals(part: np.ndarray) -> np.ndarray:
    """Unit vectors [h, w, 3] of their x and y."""
    flat = np.square(part).sum(axis=2, keepdims=True)
    part = part / np.sqrt(np.maximum(flat / FLAT, 1.0))
    up = np.sqrt(np.maximum(1.0 - np.square(part).sum(axis=2, keepdims=True), 1e-6))
    return np.concatenate([part, up], axis=2)
