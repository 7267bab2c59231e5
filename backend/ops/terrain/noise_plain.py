"""Gradient and Worley noise with plain torch operations on any device: the op that the fast twins are held to.

Tensors of keys are int64 that hold 32 bits, since torch has no unsigned shifts on every device. The float32
operations and their order are those of backend/ops/terrain/noise_cpu.py and noise_points_cpu.py; do not simplify
one without the others.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from backend.ops.hashing import mix32
from backend.ops.terrain.constants import BILLOW, FBM, SINE, SQRT2


def sine(h: Tensor) -> Tensor:
    signed = torch.where(h >= 2**31, h - 2**32, h)
    u = signed.to(torch.float32) * 2.0**-31
    s = u * u
    inner = SINE[0] + s * (SINE[1] + s * SINE[2])
    return u * (1.0 - s) * inner


def gradient(h: Tensor, axes_only: bool) -> tuple[Tensor, Tensor]:
    if axes_only:
        sign = 1.0 - 2.0 * (h >> 31).to(torch.float32)
        along_x = ((h >> 30) & 1).to(torch.float32)
        return sign * along_x, sign * (1.0 - along_x)
    return sine(h), sine((h + 0x4000_0000) & 0xFFFF_FFFF)


def fade(f: Tensor) -> Tensor:
    return f * f * f * (f * (f * 6.0 - 15.0) + 10.0)


def gradient_octave(tables: tuple[np.ndarray, ...], axes_only: bool, device: torch.device) -> Tensor:
    """One octave of gradient noise [H, W]; see noise_cpu.py for the closed form.

    tables: keys of the left and the right lattice column (uint32 [W]), place between them (float32 [W]), keys of the
    lattice row and of the next (uint32 [H]), place between those (float32 [H]).
    """
    left, right, frac, below, above, rise = tables
    keys, rows = np.unique(np.concatenate([below, above]), return_inverse=True)
    at, next_at = (torch.from_numpy(part).to(device) for part in rows.reshape(2, -1))
    left_key, right_key = (torch.from_numpy(given.astype(np.int64)).to(device)[None, :] for given in (left, right))
    fx, fy = torch.from_numpy(frac).to(device)[None, :], torch.from_numpy(rise).to(device)[:, None]
    u, w = fade(fx), fade(fy)
    row_key = torch.from_numpy(keys.astype(np.int64)).to(device)[:, None]
    g0x, g0y = gradient(mix32(left_key ^ row_key), axes_only)
    g1x, g1y = gradient(mix32(right_key ^ row_key), axes_only)
    p = g0x * fx
    a, b = p + u * (g1x * (fx - 1.0) - p), g0y + u * (g1y - g0y)  # along the lattice rows, each once
    c0, c2 = SQRT2 * (1.0 - w), SQRT2 * w
    c1, c3 = c0 * fy, c2 * (fy - 1.0)
    return c0 * a[at] + c1 * b[at] + (c2 * a[next_at] + c3 * b[next_at])


def perlin_at(i: Tensor, j: Tensor, fx: Tensor, fy: Tensor, columns: Tensor, rows: Tensor, axes_only: bool) -> Tensor:
    """Gradient noise [H, W] at (fx, fy) in the cell (i, j); columns, rows: keys of the cells (int64)."""
    corners = []
    for dy in (0, 1):
        for dx in (0, 1):
            gx, gy = gradient(mix32(columns[i + dx] ^ rows[j + dy]), axes_only)
            corners.append(gx * (fx - dx) + gy * (fy - dy))
    u, w = fade(fx), fade(fy)
    top = corners[0] + u * (corners[1] - corners[0])
    bottom = corners[2] + u * (corners[3] - corners[2])
    return SQRT2 * (top + w * (bottom - top))


def worley_at(i: Tensor, j: Tensor, fx: Tensor, fy: Tensor, columns: Tensor, rows: Tensor, second_too: bool) -> Tensor:
    """Distance [H, W] in cells to the nearest point, or how much further away the second is; one point a cell.
    Two cells around always suffice: nine points lie within 1.81 of any place, and all beyond that square are
    further than 2."""
    first = torch.full_like(fx, 1e9)
    second = first.clone()
    for dy in range(-2, 3):
        for dx in range(-2, 3):
            h = mix32(columns[i + dx] ^ rows[j + dy])
            px = dx + (h & 0xFFFF).to(torch.float32) * 2.0**-16 - fx
            py = dy + (h >> 16).to(torch.float32) * 2.0**-16 - fy
            d = px * px + py * py
            second = torch.minimum(second, torch.maximum(first, d))
            first = torch.minimum(first, d)
    return second.sqrt() - first.sqrt() if second_too else first.sqrt()


def fractal_sum(octaves: Iterable[Tensor], amplitude: np.ndarray, kind: int, offset: float) -> Tensor:
    """The fractal sum of octaves [H, W], in order."""
    total: Tensor | float = float(np.float32(offset))
    weight: Tensor | float = 1.0
    for noise, factor in zip(octaves, amplitude.tolist(), strict=True):
        if kind == FBM:
            total = total + factor * noise
        elif kind == BILLOW:
            total = total + factor * noise.abs()
        else:
            crest = 1.0 - noise.abs()
            crest = crest * crest * weight
            weight = torch.clamp(crest * 2.0, max=1.0)
            total = total + factor * crest
    assert isinstance(total, Tensor)  # noise.lattices always keeps the first octave
    return total
