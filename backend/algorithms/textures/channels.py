"""The maps of a material as channels that can be compared with each other, and back.

A patch of a material is all of its maps at once, so that what is wrong in one map must not drown what is wrong in another: colours
are taken as a person sees them (sRGB), turned to their principal axes, and weak axes are made a little stronger, without
which transport leaves coloured grain; every other map has its own share of the whole. Normals travel as x and y.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from backend.ops.mixing import limit, mixed
from shared.material_maps import COLORS
from shared.srgb import linear_to_srgb, srgb_to_linear

COLOR_SHARE, OTHER_SHARE = 1.0, 0.35  # deviation of a map, all of its channels together
EVENING = 0.3  # how far weak axes are made as strong as the first: 0 not at all, 1 fully
LEAST_DEVIATION = 1e-4  # of a channel that says something

Maps = Mapping[str, np.ndarray]  # by name [H, W, channels] float32


@dataclass(frozen=True)
class Channels:
    """The way from maps to channels and back.

    names: of the maps, in order. mixing float32 [C, V]: values to channels, V values per pixel; mean, low, high [V]: of the
    samples' values. Values that nowhere differ have no channel.
    """

    names: tuple[str, ...]
    mixing: Tensor
    inverse: Tensor
    mean: Tensor
    low: Tensor
    high: Tensor

    @staticmethod
    def of(samples: Sequence[Maps], evening: float = EVENING) -> Channels:
        """Fitted to samples that have the same maps. evening: how far weak axes are made as strong as the first, 0 to 1."""
        names = tuple(samples[0])
        values = torch.cat([_values(sample, names).flatten(1) for sample in samples], dim=1).double()
        mean, rows, start = torch.from_numpy(values.numpy().mean(axis=1)), [], 0
        for name in names:
            count = _width(name, samples[0])
            part = slice(start, start + count)
            axes = _axes(_covariance(values[part]), COLOR_SHARE if name in COLORS else OTHER_SHARE, evening)
            placed = torch.zeros(len(axes), len(values), dtype=torch.float64)
            placed[:, part] = axes
            rows.append(placed)
            start += count
        mixing = torch.cat(rows)
        inverse = torch.linalg.pinv(mixing) if len(mixing) else mixing.T
        return Channels(
            names, mixing.float(), inverse.float(), mean.float(), values.amin(1).float(), values.amax(1).float()
        )

    @property
    def count(self) -> int:
        return len(self.mixing)

    def encode(self, maps: Maps) -> Tensor:
        """[C, H, W] float32."""
        values = _values(maps, self.names)
        return mixed(self.mixing, values - self.mean[:, None, None])

    def decode(self, channels: Tensor) -> dict[str, np.ndarray]:
        """Maps [H, W, channels] float32 of channels [C, H, W], within the range of the samples' values."""
        mean, low, high = (bound.to(channels.device)[:, None, None] for bound in (self.mean, self.low, self.high))
        values = torch.minimum(torch.maximum(mixed(self.inverse, channels).add_(mean), low), high).cpu()
        maps, start = {}, 0
        for name in self.names:
            count = 2 if name == "normal" else 3 if name in COLORS else 1
            maps[name] = _decoded(name, values[start : start + count].permute(1, 2, 0).numpy())
            start += count
        return maps

    def limiter(self, device: torch.device) -> Callable[[Tensor], None]:
        """What brings channels [C, H, W] on the device, in place, to where all values are within the range of the samples' values.

        What is first cut to that range when all is done shifts the mean of a texture with many dark or bright places.
        """
        parts = [part.to(device) for part in (self.mixing, self.inverse, self.mean, self.low, self.high)]
        return lambda channels: limit(channels, *parts)


def _values(maps: Maps, names: Sequence[str]) -> Tensor:
    """[V, H, W] float32."""
    parts = [_encoded(name, maps[name]) for name in names]
    return torch.from_numpy(np.ascontiguousarray(np.concatenate(parts, axis=2).transpose(2, 0, 1), np.float32))


def _width(name: str, maps: Maps) -> int:
    return _encoded(name, maps[name][:1, :1]).shape[2]


def _encoded(name: str, values: np.ndarray) -> np.ndarray:
    if name in COLORS:
        return linear_to_srgb(np.clip(values, 0.0, None)).astype(np.float32)
    return values[..., :2] if name == "normal" else values[..., :1]


def _decoded(name: str, values: np.ndarray) -> np.ndarray:
    if name in COLORS:
        return srgb_to_linear(values).astype(np.float32)
    if name != "normal":
        return np.ascontiguousarray(values)
    flat = np.square(values).sum(axis=2, keepdims=True)
    values = values / np.sqrt(np.maximum(flat / 0.998, 1.0))  # a normal that lies flat has no height
    up = np.sqrt(np.maximum(1.0 - np.square(values).sum(axis=2, keepdims=True), 1e-6))
    return np.concatenate([values, up], axis=2).astype(np.float32)


def _covariance(values: Tensor) -> Tensor:
    """[n, n] of values [n, m] float64, the same whatever the number of threads."""
    apart = values.numpy() - values.numpy().mean(axis=1, keepdims=True)
    count = len(apart)
    made = [[float((apart[i] * apart[j]).mean()) for j in range(count)] for i in range(count)]
    return torch.tensor(made, dtype=torch.float64)


def _axes(covariance: Tensor, share: float, evening: float) -> Tensor:
    """Rows [c, n] that turn values to their principal axes, of which weak ones are made stronger; `share` is the deviation of all
    together."""
    variances, axes = torch.linalg.eigh(covariance)
    keep = variances > LEAST_DEVIATION**2
    deviations, axes = variances[keep].sqrt(), axes[:, keep]
    if not len(deviations):
        return torch.zeros(0, len(covariance), dtype=torch.float64)
    evened = deviations ** (1.0 - evening)
    evened *= share / evened.square().sum().sqrt()
    return (evened / deviations)[:, None] * axes.T
