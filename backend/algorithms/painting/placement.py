"""Where strokes are placed: more of them where the picture still differs, spread apart, and in every segment.

Systematic sampling along a space-filling curve: the curve visits each segment in turn, and every n-th part of the weight that it
passes gets a stroke. Neighbours on the curve are neighbours in the picture, so that places are spread as evenly as their weights
say. Plays the part of "visual working memory" in de Guevara et al. 2023, section 3.3, which ranks a few hundred windows instead.
"""

from __future__ import annotations

import functools

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.painting.scene import block_means
from backend.ops.smoothing import gaussian

MOST_SIDE = 1024  # pixels along the curve's map; larger pictures are taken in blocks


def attention(residual: Tensor, radius_px: float, detail: float) -> Tensor:
    """Weights [H, W] of places for brushes of this radius: the residual [H, W], blurred as the brush will, over an even floor."""
    blurred = gaussian(residual, max(0.5, 0.7 * radius_px))
    if blurred.device.type == "cpu":
        return blurred + max(float(blurred.numpy().mean(dtype=np.float64)), 1e-6) * (1.0 - detail)
    return blurred + blurred.mean().clamp_min(1e-6) * (1.0 - detail)  # the host does not wait for the card


def draw(weights: Tensor, labels: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """Places [count, 2] (row, column) px, in random order, as many in each part as its share of the weights [H, W].

    labels: the segment of each pixel [H, W].
    """
    shape = weights.shape
    block = -(-max(weights.shape) // MOST_SIDE)
    weights, labels = block_means(weights[..., None], block)[..., 0], labels[block // 2 :: block, block // 2 :: block]
    order = _curve(*weights.shape)
    if labels.shape == weights.shape:
        order = order[np.argsort(labels.cpu().numpy().ravel()[order], kind="stable")]
    passed = np.cumsum(weights.detach().cpu().numpy().ravel()[order].astype(np.float64))
    if passed[-1] <= 0:
        passed = np.arange(1.0, len(order) + 1)
    random = torch.rand(count, 3, generator=generator, dtype=torch.float64).numpy()
    stops = (np.arange(count) + random[:, 0]) * (passed[-1] / count)
    pixel = order[np.minimum(np.searchsorted(passed, stops, side="right"), len(order) - 1)]
    rows, columns = np.divmod(pixel, weights.shape[1])
    places = block * np.stack([rows + random[:, 1], columns + random[:, 2]], axis=1)
    places = np.minimum(places, np.array(shape) - 0.5).astype(np.float32)
    shuffled = torch.randperm(count, generator=generator)
    return torch.from_numpy(places)[shuffled].to(weights.device)


@functools.lru_cache(maxsize=4)  # a painting asks for that of each of its layers' resolutions several times
def _curve(rows: int, columns: int) -> np.ndarray:
    """Every pixel of a map, numbered row by row, in the order of Hilbert's curve; not to be written to."""
    bits = max(rows - 1, columns - 1, 1).bit_length()
    y, x = (part.ravel() for part in np.mgrid[0:rows, 0:columns])
    place = np.zeros(rows * columns, np.int64)
    for bit in reversed(range(bits)):
        side = 1 << bit
        right, lower = (x & side) > 0, (y & side) > 0
        place += side * side * ((3 * right) ^ lower)
        flip = right & ~lower  # turn the quarter so that the curve goes on where it has left off
        x, y = np.where(flip, side - 1 - (x & (side - 1)), x), np.where(flip, side - 1 - (y & (side - 1)), y)
        x, y = np.where(lower, x, y), np.where(lower, y, x)
    return np.argsort(place, kind="stable")
