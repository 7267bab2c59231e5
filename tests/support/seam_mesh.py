"""A mesh with a known seam: a height field cut in two along a line, its halves apart in UV."""

from __future__ import annotations

import numpy as np


def cut_height_field(cells: int, gap: float = 0.1, turned: bool = False) -> np.ndarray:
    """MESH [2 * cells², 3, 5] over x, y in 0..1 m, cut at x = 0.5; 0.8 of UV space a metre, `gap` between the halves.

    turned: the second half lies upside down in UV, so that its seam runs the other way. cells is even.
    """
    steps = np.linspace(0.0, 1.0, cells + 1)
    x, y = np.meshgrid(steps, steps)
    places = np.stack([x, y, 0.1 * np.sin(6 * x) * np.cos(5 * y)], axis=-1)
    a, b, c, d = places[:-1, :-1], places[:-1, 1:], places[1:, 1:], places[1:, :-1]
    corners = np.stack([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)], axis=2).reshape(-1, 3, 3)
    uv = corners[..., :2] * 0.8 + 0.05
    second = corners[..., 0].mean(axis=1) > 0.5
    uv[second, :, 0] += gap
    if turned:
        middle = np.array([0.65 + gap, 0.45])
        uv[second] = 2 * middle - uv[second]
    return np.concatenate([corners, uv], axis=-1).astype(np.float32)


def baked(mesh: np.ndarray, size: int, color) -> np.ndarray:
    """[3, size, size] float32: color(x, y) -> [..., 3] at the mesh's place of every texel centre of cut_height_field's UVs,
    each half carried on beyond its border."""
    middle = (np.arange(size) + 0.5) / size
    u, v = np.meshgrid(middle, 1 - middle)
    uv = mesh[..., 3:].astype(np.float64)
    second = mesh[..., 0].mean(axis=1) > 0.5
    texture = np.empty((size, size, 3))
    split = (uv[~second, :, 0].max() + uv[second, :, 0].min()) / 2
    for half, chosen in ((~second, u < split), (second, u >= split)):
        corners = mesh[half].reshape(-1, 5).astype(np.float64)
        to_place = np.linalg.lstsq(np.c_[corners[:, 3:], np.ones(len(corners))], corners[:, :2], rcond=None)[0]
        place = np.stack([u, v, np.ones_like(u)], axis=-1) @ to_place
        texture[chosen] = color(place[..., 0], place[..., 1])[chosen]
    return np.ascontiguousarray(texture.transpose(2, 0, 1), np.float32)
