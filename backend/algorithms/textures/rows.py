"""Rows of bricks, tiles or planks: found in a sample, and a guide that keeps them straight.

A patch sees no further than its neighbours, so that rows put together from patches bend and end. Where a sample has rows of about
equal width along one of its sides, every pixel of it has a place within its row, a phase; so has every pixel of the texture, where
rows are straight. Both travel as two further channels when patches are compared. They move nothing by themselves.

Phases are local, so that rows of the sample may waver and differ in width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d
from torch import Tensor

from backend.algorithms.textures.torus import Wraps
from backend.ops.patches.constants import PATCH
from backend.ops.resampling import resize

SIDE_PX = 256  # large samples are looked at in this size
LENGTH = 10.0  # rows are looked for in means along a tenth of the sample
WIDEST = 16.0  # slower changes across rows than a sixteenth of the sample are light
LEAST_PX, MOST_SHARE = 5, 1 / 3  # of a row's width: pixels, and of the sample's shorter side
FIRST_PEAK = 0.6  # of the highest: two rows repeat as well as one
LEAST_STRENGTH = 0.08  # bricks and paving have 0.14 to 0.23, surfaces without rows up to 0.02
LEAST_STRAIGHT = (
    0.7  # of the length of phases, that is left of their means along rows; bricks have 0.9 to 0.99, rows that lean 0.4
)
WIDE_PX = 2.0 * PATCH  # of a row that coarser levels have drawn
DOUBT = 0.3  # of the mean amplitude, at which a phase counts half
ALIKE = 1.25  # widths of rows of two samples, one over the other
STRENGTH = 0.5  # of the guide, in deviations of the colours


@dataclass(frozen=True)
class Rows:
    """axis: 0 where rows lie one above the other, 1 for columns. width: of a row in pixels. channel: in which they show best.
    strength 0..1: share of the channel's variance that is explained by them."""

    axis: int
    width: float
    channel: int
    strength: float


def find(image: Tensor) -> Rows | None:
    """The rows of a sample [C, h, w], None where it has none that stand out and are nearly straight. Pieces of leaning rows, set
    straight, would break at every step from one to the next."""
    found = [rows for channel in range(len(image)) for axis in (0, 1) if (rows := _best(image, channel, axis))]
    if not found:
        return None
    best = max(found, key=lambda rows: rows.strength)
    places = phases(image, best).cpu().numpy()
    waves = places[0] + 1j * places[1]
    return best if np.abs(waves.mean(1 - best.axis)).mean() >= LEAST_STRAIGHT * np.abs(waves).mean() else None


@dataclass(frozen=True)
class Guide:
    """Where the rows of a source lie: in each of its parts, [2, h, w] of any size, and how many straight ones on a texture, along
    an axis, `start` 0..1 of a row off its edge."""

    parts: list[Tensor]
    axis: int
    count: float
    start: float

    @staticmethod
    def of(
        parts: Sequence[Tensor], shape: tuple[int, int], wraps: Wraps, generator: np.random.Generator
    ) -> Guide | None:
        """For parts [C, h, w] of a source and a texture of that shape, on which whole rows lie where it wraps. None where the parts
        have no rows, or not the same."""
        share = min(1.0, SIDE_PX / min(min(part.shape[1:]) for part in parts))
        small = [
            part if share == 1 else resize(part, [round(share * side) for side in part.shape[1:]]) for part in parts
        ]
        found = _common(small)
        if found is None:
            return None
        count = share * shape[found.axis] / found.width
        if wraps[found.axis]:
            count = max(1, round(count))
        return Guide([phases(part, found) for part in small], found.axis, count, float(generator.random()))


def are_seen_by_patches(guides: Sequence[Guide | None], shape: tuple[int, int]) -> bool:
    """Whether rows are so wide on a texture of that shape that patches carry on what coarser levels have set straight."""
    return all(shape[guide.axis] / guide.count >= WIDE_PX for guide in guides if guide is not None)


def straight(guides: Sequence[Guide | None], labels: Tensor) -> Tensor | None:
    """The guide [2, H, W] of a texture of any size whose pixels take the sources `labels` [H, W]: 0 where a source has no rows.
    None where no source has any."""
    if not any(guides):
        return None
    total = torch.zeros(2, *labels.shape)
    for source, guide in enumerate(guides):
        if guide is not None:
            side = labels.shape[guide.axis]
            place = guide.start + guide.count * (torch.arange(side, dtype=torch.float32) + 0.5) / side
            turn = 2.0 * math.pi * place
            wave = STRENGTH * torch.stack([torch.cos(turn), torch.sin(turn)])
            total += (wave[:, :, None] if guide.axis == 0 else wave[:, None]) * (labels == source).cpu()
    return total.to(labels.device)


def guided(samples: Sequence[Sequence[Tensor]], guides: Sequence[Guide | None]) -> list[list[Tensor]]:
    """Sources of parts [C, h, w], as large as the samples or smaller, with their guides as two more channels."""
    made: list[list[Tensor]] = []
    for parts, guide in zip(samples, guides, strict=True):
        made.append([])
        for number, part in enumerate(parts):
            shape = part.shape[1:]
            way = part.new_zeros(2, *shape) if guide is None else resize(guide.parts[number], shape, antialias=True)
            made[-1].append(torch.cat([part, way]))
    return made


def phases(image: Tensor, rows: Rows) -> Tensor:
    """Cosine and sine of each pixel's place in its row, [2, h, w], shorter than STRENGTH where the sample has no clear row."""
    across = _means(image, rows.channel, rows.axis)
    turn = np.exp(2j * math.pi * (np.arange(across.shape[1]) + 0.5) / rows.width)
    slow = across / turn  # where rows are exactly as wide as they should be, their part of it stands still
    wave = turn * (_smooth(slow.real, rows.width, 1) + 1j * _smooth(slow.imag, rows.width, 1))
    length = np.abs(wave)
    wave *= STRENGTH / (length + DOUBT * length.mean() + 1e-12)
    guide = np.stack([wave.real, wave.imag]).astype(np.float32)
    guide = np.ascontiguousarray(guide.transpose(0, 2, 1) if rows.axis == 0 else guide)
    return torch.from_numpy(guide).to(image.device)


def _common(pieces: Sequence[Tensor]) -> Rows | None:
    """The rows of several samples [C, h, w] that are used alike: those of the first, if all others have some of that width."""
    found = [find(piece) for piece in pieces]
    first = found[0]
    if first is None:
        return None
    alike = (
        other is not None and other.axis == first.axis and 1 / ALIKE < other.width / first.width < ALIKE
        for other in found[1:]
    )
    return first if all(alike) else None


def _means(image: Tensor, channel: int, axis: int) -> np.ndarray:
    """[along, across] float64: a channel's means along rows, slow changes across them left out."""
    values = image[channel].cpu().double().numpy()
    values = values.T if axis == 0 else values
    side = min(values.shape)
    rows = _smooth(values, side / LENGTH, 0)
    return rows - _smooth(rows, side / WIDEST, 1)


def _smooth(values: np.ndarray, sigma: float, axis: int) -> np.ndarray:
    return gaussian_filter1d(values, sigma, axis=axis, mode="nearest")


def _best(image: Tensor, channel: int, axis: int) -> Rows | None:
    across = _means(image, channel, axis)
    length = across.shape[1]
    power = np.abs(np.fft.rfft(across, 2 * length, axis=1)) ** 2
    alike = np.fft.irfft(power, axis=1).sum(0)[:length] / (length - np.arange(length))
    alike /= max(alike[0], 1e-12)
    last = int(min(image.shape[1:]) * MOST_SHARE)
    peaks = [lag for lag in range(LEAST_PX, last) if max(alike[lag - 1], alike[lag + 1], 0) < alike[lag]]
    if not peaks:
        return None
    width = next(lag for lag in peaks if alike[lag] >= FIRST_PEAK * max(alike[peaks]))
    share = across.var() / max(float(image[channel].cpu().double().numpy().var()), 1e-12)
    strength = float(share * alike[width])
    return Rows(axis, float(width), channel, strength) if strength >= LEAST_STRENGTH else None
