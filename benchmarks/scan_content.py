"""The ground truth of the synthetic scan: a picture on its surface with edges, letters, stripes and detail at every scale.

It is a function of the place on the surface, so it knows nothing of charts: chart borders agree, and the gutters
between charts continue what lies on them. Drawn here from noise and letters; no photograph of anybody's is needed.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from PIL import Image, ImageDraw, ImageFont

OCTAVES, FIRST_CYCLES, GAIN = 9, 1.1, 0.74  # finest octave: 280 cycles a metre, beyond what any photograph resolves
CELLS_PER_M = 3.5
STRIPES_PER_M = 14.0
INKED_M = 6.4  # width in metres of the sheet of letters, which repeats
SHEET = 4096  # pixels of its side

_WORDS = "RELIEVO scan 0123456789 texel stencil gain bias chart seam photograph silhouette "


def letters(seed: int) -> np.ndarray:
    """Lines of letters of two sizes, white on black, uint8 [SHEET, SHEET]."""
    sheet = Image.new("L", (SHEET, SHEET))
    pen, rng = ImageDraw.Draw(sheet), np.random.default_rng(seed)
    top = 40
    while top < SHEET - 200:
        size = int(rng.choice([90, 150]))
        start = int(rng.integers(len(_WORDS)))
        line = (_WORDS[start:] + _WORDS * 3)[:90]
        pen.text((int(rng.integers(-200, 60)), top), line, fill=255, font=ImageFont.load_default(size))
        top += int(size * rng.uniform(2.2, 3.4))
    return np.asarray(sheet)


@numba.njit(cache=True, inline="always")
def _hash(x: int, y: int, z: int, salt: int) -> float:
    """0..1 from lattice coordinates: the finaliser of MurmurHash3 on a weighted sum."""
    h = np.uint32(x * 73856093) ^ np.uint32(y * 19349663) ^ np.uint32(z * 83492791) ^ np.uint32(salt * 2654435761)
    h ^= h >> np.uint32(16)
    h = np.uint32(h * np.uint32(0x85EBCA6B))
    h ^= h >> np.uint32(13)
    h = np.uint32(h * np.uint32(0xC2B2AE35))
    h ^= h >> np.uint32(16)
    return float(h) / 4294967296.0


@numba.njit(cache=True)
def _value_noise(x: float, y: float, z: float, salt: int) -> float:
    """Smooth noise -1..1 with one lattice cell a unit."""
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    a, b, c = x - i, y - j, z - k
    a, b, c = a * a * (3 - 2 * a), b * b * (3 - 2 * b), c * c * (3 - 2 * c)
    near = (1 - a) * (1 - b) * _hash(i, j, k, salt) + a * (1 - b) * _hash(i + 1, j, k, salt)
    near += (1 - a) * b * _hash(i, j + 1, k, salt) + a * b * _hash(i + 1, j + 1, k, salt)
    far = (1 - a) * (1 - b) * _hash(i, j, k + 1, salt) + a * (1 - b) * _hash(i + 1, j, k + 1, salt)
    far += (1 - a) * b * _hash(i, j + 1, k + 1, salt) + a * b * _hash(i + 1, j + 1, k + 1, salt)
    return 2 * ((1 - c) * near + c * far) - 1


@numba.njit(cache=True)
def _fractal(x: float, y: float, z: float, octaves: int, salt: int) -> float:
    total, weight, cycles = 0.0, 1.0, FIRST_CYCLES
    for octave in range(octaves):
        total += weight * _value_noise(x * cycles, y * cycles, z * cycles, salt + octave)
        weight *= GAIN
        cycles *= 2.0
    return total


@numba.njit(cache=True)
def _stones(x: float, y: float, z: float, salt: int) -> tuple[float, int]:
    """Distance in cells to the border between the two nearest of scattered points, and which point is nearest."""
    x, y, z = x * CELLS_PER_M, y * CELLS_PER_M, z * CELLS_PER_M
    i, j, k = math.floor(x), math.floor(y), math.floor(z)
    nearest, second, which = 1e9, 1e9, 0
    for di in range(-1, 2):
        for dj in range(-1, 2):
            for dk in range(-1, 2):
                p, q, r = i + di, j + dj, k + dk
                dx = p + _hash(p, q, r, salt) - x
                dy = q + _hash(p, q, r, salt + 1) - y
                dz = r + _hash(p, q, r, salt + 2) - z
                far = math.sqrt(dx * dx + dy * dy + dz * dz)
                if far < nearest:
                    second, nearest = nearest, far
                    which = int(_hash(p, q, r, salt + 3) * 65536)
                elif far < second:
                    second = far
    return second - nearest, which


@numba.njit(cache=True)
def _ink(sheet: np.ndarray, across: float, down: float) -> float:
    """The sheet of letters at a place in metres, bilinear, repeating, 0..1."""
    side = sheet.shape[0]
    x, y = across / INKED_M * side, down / INKED_M * side
    i, j = math.floor(y), math.floor(x)
    b, a = y - i, x - j
    i, j = i % side, j % side
    ii, jj = (i + 1) % side, (j + 1) % side
    upper = (1 - a) * sheet[i, j] + a * sheet[i, jj]
    return ((1 - b) * upper + b * ((1 - a) * sheet[ii, j] + a * sheet[ii, jj])) / 255.0


@numba.njit(cache=True, parallel=True)
def paint(places: np.ndarray, sheet: np.ndarray, salt: int) -> np.ndarray:
    """Colours at places on the surface.

    places: float32 [N, 5] m: x, y, z, and the two coordinates along which letters run. Returns uint8 [N, 3], sRGB-encoded,
    between 0.05 and 0.82, so that a gain of 1.2 clips nothing.
    """
    out = np.empty((places.shape[0], 3), np.uint8)
    for n in numba.prange(places.shape[0]):
        x, y, z = float(places[n, 0]), float(places[n, 1]), float(places[n, 2])
        detail = _fractal(x, y, z, OCTAVES, salt)
        bend = 0.05 * _fractal(x, y, z, 2, salt + 31)
        border, stone = _stones(x + bend, y - bend, z + bend, salt + 41)
        mortar = min(max((border - 0.03) / 0.03, 0.0), 1.0)
        zone = _fractal(x, y, z, 2, salt + 53)
        stripes = 0.0
        if zone > 0.35:
            stripes = min(max(0.5 + 4.0 * math.sin(2 * math.pi * STRIPES_PER_M * (x + 0.6 * y + 0.8 * z)), 0.0), 1.0)
        ink = _ink(sheet, float(places[n, 3]), float(places[n, 4])) if zone < 0.25 else 0.0
        for c in range(3):
            base = 0.22 + 0.42 * _hash(stone, c, 0, salt + 61)
            color = mortar * base + (1 - mortar) * 0.15
            color *= 1.0 - 0.55 * stripes
            color += 0.11 * detail + 0.03 * _value_noise(9 * x, 9 * y, 9 * z, salt + 71 + c)
            dark = 0.07 if base > 0.4 else 0.78
            color = (1 - ink) * color + ink * dark
            out[n, c] = np.uint8(round(255 * min(max(color, 0.05), 0.82)))
    return out
