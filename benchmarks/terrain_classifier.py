"""Reads classes back from a terrain: a small network over colour and form of the ground around each pixel, which never sees a
sketch of what it judges.

It is trained on other terrains of the same engine, made with other seeds from real ground of the training regions and from random
patches. Features per pixel: square root of albedo (averaged over 1.5 px), steepness over 3 and 10 px, the place between the lowest
and the highest ground nearby, and the logarithm of flow. The engine's water mask is not given. The answer is smoothed as class maps
of real ground are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn

from shared.terrain_classes import TERRAIN_CLASSES

HIDDEN, STEPS, BATCH, RATE = 48, 1500, 4096, 3e-3
PIXELS_EACH = 60_000
SMOOTH_PX = 2.0
CLASSES = len(TERRAIN_CLASSES)


def features(outputs: Mapping[str, Any], pixel_size_m: float) -> np.ndarray:
    """[H, W, 7] float32 of a result's albedo, water_level and flow."""
    from backend.training.data import class_maps

    surface = np.asarray(outputs["water_level"].values, np.float64)
    color = np.sqrt(np.clip(outputs["albedo"].values, 0.0, 1.0))
    down, across = np.gradient(surface, pixel_size_m)
    steepness = np.hypot(down, across)
    relative = class_maps.relative(torch.from_numpy(surface / pixel_size_m).float()).numpy()
    layers = [gaussian_filter(color[..., channel], 1.5) for channel in range(3)]
    layers += [np.log(gaussian_filter(steepness, sigma) + 1e-4) for sigma in (3.0, 10.0)]
    layers += [relative, gaussian_filter(np.log(outputs["flow"].values / pixel_size_m**2 + 1.0), 1.5)]
    return np.stack(layers, axis=-1).astype(np.float32)


class Classifier:
    """Call it with a result and its pixel size: classes uint8 [H, W]."""

    def __init__(self, results: Sequence[tuple[Mapping[str, Any], np.ndarray, float]], seed: int = 0) -> None:
        """results: outputs, the sketch [H, W] they were made from, metres per pixel."""
        drawn = np.random.default_rng(seed)
        rows, wanted = [], []
        for outputs, classes, pixel_size_m in results:
            flat = features(outputs, pixel_size_m).reshape(-1, 7)
            chosen = drawn.choice(len(flat), min(PIXELS_EACH, len(flat)), replace=False)
            rows.append(flat[chosen])
            wanted.append(classes.ravel()[chosen])
        values, targets = torch.from_numpy(np.concatenate(rows)), torch.from_numpy(np.concatenate(wanted)).long()
        self._mean, self._deviation = values.mean(0), values.std(0).clamp_min(1e-6)
        self._network = _trained((values - self._mean) / self._deviation, targets, seed)

    @torch.inference_mode()
    def __call__(self, outputs: Mapping[str, Any], pixel_size_m: float) -> np.ndarray:
        from backend.training.data import class_maps

        given = features(outputs, pixel_size_m)
        unit = (torch.from_numpy(given.reshape(-1, given.shape[-1])) - self._mean) / self._deviation
        classes = self._network(unit).argmax(1).reshape(1, *given.shape[:2])
        return class_maps.blobs(classes, SMOOTH_PX)[0].to(torch.uint8).numpy()


def _trained(values: torch.Tensor, targets: torch.Tensor, seed: int) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Linear(values.shape[1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES)
        )  # fmt: skip
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    weights = torch.bincount(targets, minlength=CLASSES).clamp_min(1).float().rsqrt()
    for _ in range(STEPS):
        rows = torch.randint(len(values), (BATCH,), generator=generator)
        loss = nn.functional.cross_entropy(network(values[rows]), targets[rows], weight=weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return network.eval()
