"""How good a texture is beside its sample: seams, copies, repetition, and the distance between their statistics.

Images are float [C, H, W], colours as a person sees them (sRGB, 0..1). Needs no trained network.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.ops.smoothing import gaussian

COPY_PX, COPY_STRIDE = 15, 5
ALIKE = 0.98  # correlation from which on a patch counts as a copy
LEAST_DEVIATION = 0.02  # of a patch: what is flat is like everything flat
NEAR_PX = 8  # an autocorrelation nearer to its centre is of the texture's grain
SCALES, FEATURES = (1, 2, 4), 32


def seam_ratio(image: np.ndarray, axis: int) -> float:
    """Mean step across the wrap against those within half a side of it, [C, H, W], axis 1 or 2; 1 where no seam is."""
    steps = np.abs(np.diff(image, axis=axis, append=np.take(image, [0], axis)))
    across = np.take(steps, -1, axis).mean()
    return float(across / max(steps.mean(), 1e-12))


def seam_rank(image: np.ndarray, axis: int) -> float:
    """Share 0..1 of an image's rows (axis 1) or columns (2) whose step to the next is smaller than the step across the wrap.

    A single row differs from the mean by much in most textures, a row of mortar most of all; a seam is a step that hardly any
    row inside has. Without seams, ranks are spread evenly over 0..1.
    """
    steps = np.abs(np.diff(image, axis=axis, append=np.take(image, [0], axis)))
    means = steps.mean(axis=tuple(other for other in range(3) if other != axis))
    return float((means[:-1] < means[-1]).mean())


def copied_share(image: np.ndarray, sample: np.ndarray) -> float:
    """Share of the 15 x 15 patches that are in the sample, with a correlation above 0.98 and at the same offset as a neighbour."""
    patches, keep = _normal_patches(image, COPY_STRIDE)
    theirs, _ = _normal_patches(sample, 1)
    across = sample.shape[2] - COPY_PX + 1
    rows, columns = ((side - COPY_PX) // COPY_STRIDE + 1 for side in image.shape[1:])
    best = [(some @ theirs.T).max(1) for some in patches.split(256)]
    alike = torch.cat([found.values for found in best]) > ALIKE
    place = torch.cat([found.indices for found in best])
    grid_y, grid_x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    offset = torch.stack([
        (place // across).view(rows, columns) - COPY_STRIDE * grid_y,
        (place % across).view(rows, columns) - COPY_STRIDE * grid_x,
    ])  # fmt: skip
    copied = (alike & keep).view(rows, columns)
    agrees = torch.zeros_like(copied)
    for axis in (0, 1):
        size = copied.shape[axis] - 1
        same = (offset.narrow(axis + 1, 0, size) == offset.narrow(axis + 1, 1, size)).all(0)
        both = same & copied.narrow(axis, 0, size) & copied.narrow(axis, 1, size)
        agrees.narrow(axis, 0, size).logical_or_(both)
        agrees.narrow(axis, 1, size).logical_or_(both)
    return float(agrees.sum() / keep.sum().clamp_min(1))


def _normal_patches(image: np.ndarray, stride: int) -> tuple[Tensor, Tensor]:
    """Patches [n, C * 225] without mean and of unit length, and which of them are not flat."""
    patches = F.unfold(torch.from_numpy(np.ascontiguousarray(image, np.float32))[None], COPY_PX, stride=stride)[0].T
    patches = patches - patches.mean(1, keepdim=True)
    length = patches.norm(dim=1, keepdim=True)
    return patches / length.clamp_min(1e-9), length[:, 0] > LEAST_DEVIATION * patches.shape[1] ** 0.5


def repetition(image: np.ndarray, *, wraps: bool) -> float:
    """The highest autocorrelation 0..1 of brightness, low frequencies removed, more than 8 pixels from the centre and no more than
    half a side. wraps: the image is a tile; the copies beside it do not count as repetition."""
    grey = torch.from_numpy(np.ascontiguousarray(image.mean(0), np.float32))
    side = min(grey.shape)
    high = (grey - gaussian(grey, side / 8, edge="nearest")).numpy().astype(np.float64)
    high -= high.mean()
    rows, columns = high.shape
    size = (rows, columns) if wraps else (2 * rows, 2 * columns)
    power = np.abs(np.fft.rfft2(high, size)) ** 2
    found = np.fft.irfft2(power, size)
    if not wraps:
        counts = np.fft.irfft2(np.abs(np.fft.rfft2(np.ones_like(high), size)) ** 2, size)
        found = found / np.maximum(counts, 1.0)
    y, x = (np.abs(np.fft.fftfreq(count, 1.0 / count)) for count in size)
    far = np.hypot(y[:, None], x[None]) > NEAR_PX
    inside = (y[:, None] <= rows / 2) & (x[None] <= columns / 2)
    return float((found / found[0, 0])[far & inside].max())


def feature_distance(image: np.ndarray, sample: np.ndarray, *, seed: int = 7) -> float:
    """Fréchet distance between what random filters answer to two images, at three scales: like SIFID, without a trained network.

    Shallow random filters make a good space to compare textures in (Ustyuzhaninov et al. 2016, arXiv 1606.00021).
    """
    generator = torch.Generator().manual_seed(seed)
    total = 0.0
    for scale in SCALES:
        filters = torch.randn(FEATURES, image.shape[0], 7, 7, generator=generator)
        filters = filters - filters.mean((2, 3), keepdim=True)
        filters = filters / filters.flatten(1).norm(dim=1)[:, None, None, None]
        total += _frechet(_answers(image, filters, scale), _answers(sample, filters, scale))
    return total / len(SCALES)


def _answers(image: np.ndarray, filters: Tensor, scale: int) -> np.ndarray:
    """[n, features] float64."""
    pooled = F.avg_pool2d(torch.from_numpy(np.ascontiguousarray(image, np.float32))[None], scale)
    answers = F.avg_pool2d(F.conv2d(pooled, filters).abs(), 5, stride=2)
    return answers[0].flatten(1).T.double().numpy()


def _frechet(first: np.ndarray, second: np.ndarray) -> float:
    """Squared distance of two Gaussians fitted to samples [n, d]."""
    covariances = [np.cov(values, rowvar=False) for values in (first, second)]
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    middle = np.linalg.eigvalsh(root @ covariances[1] @ root)
    apart = first.mean(0) - second.mean(0)
    return float(
        apart @ apart
        + np.trace(covariances[0])
        + np.trace(covariances[1])
        - 2.0 * np.sqrt(np.maximum(middle, 0.0)).sum()
    )
