"""Class maps of real ground, as a person would have painted them: seven classes by rules, grown into blobs of random size.

The classes are those of shared/terrain_classes.py. Everything works on batches on any device; sizes in pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from shared.terrain_classes import FOREST, GRASS, HILLS, ROCK, SAND, SNOW, TERRAIN_CLASSES, WATER

CLASSES = len(TERRAIN_CLASSES)
NEARBY_PX = 129  # the surroundings in which a place is low or high
LEAST_RANGE_PX = 4.0  # of heights nearby, in pixels: flat land is low all over
FLAT_RANGE = 0.012  # of the heights over five pixels, in pixels: a lake of a 90 m map, levelled to a metre

# sRGB of ground without light, as Natural Earth III draws it
COLORS = {
    SAND: ((224, 198, 168), (206, 168, 138), (212, 196, 150)),
    GRASS: ((168, 162, 108), (150, 152, 98)),
    FOREST: ((92, 128, 84), (112, 140, 100)),
    HILLS: ((158, 134, 100), (146, 134, 88)),
    ROCK: ((150, 138, 124), (172, 160, 148)),
    SNOW: ((236, 240, 242), (206, 208, 212)),
}
HILLY_M, ROCKY_M = 120.0, 330.0  # deviation of the heights over some 40 km from which ground is hilly, and mountainous


def blur(values: Tensor, sigma: float) -> Tensor:
    """[B, C, H, W] smoothed with a Gaussian of `sigma` pixels, the border repeated."""
    radius = max(1, int(3.0 * sigma + 0.5))
    distance = torch.arange(-radius, radius + 1, device=values.device, dtype=values.dtype)
    taps = torch.exp(-0.5 * (distance / sigma) ** 2)
    taps = (taps / taps.sum()).expand(values.shape[1], 1, -1)
    for shape, pad in (((1, -1), (radius, radius, 0, 0)), ((-1, 1), (0, 0, radius, radius))):
        kernel = taps.reshape(values.shape[1], 1, *shape)
        values = F.conv2d(F.pad(values, pad, mode="replicate"), kernel, groups=values.shape[1])
    return values


def slopes(height_px: Tensor) -> tuple[Tensor, Tensor]:
    """Rise per pixel to the east and to the south, [B, 1, H, W] each, by central differences."""
    padded = F.pad(height_px, (1, 1, 1, 1), mode="replicate")
    return (padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]) / 2, (padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]) / 2


def relative(height_px: Tensor) -> Tensor:
    """The place of each height [H, W] between the lowest and the highest ground nearby, 0..1."""
    smooth = blur(height_px[None, None], 3.0)
    coarse = F.avg_pool2d(smooth, 4, ceil_mode=True)
    window = NEARBY_PX // 4 | 1
    low, high = (sign * F.max_pool2d(sign * coarse, window, 1, window // 2) for sign in (-1.0, 1.0))
    low, high = (
        F.interpolate(blur(edge, 8.0), size=height_px.shape, mode="bilinear", align_corners=False)
        for edge in (low, high)
    )
    return ((smooth - low) / (high - low).clamp_min(LEAST_RANGE_PX))[0, 0].clamp(0.0, 1.0)


def regional(height_px: Tensor, relative: Tensor, sigma: float, blob_sigma: float) -> Tensor:
    """Classes int64 [B, H, W] of ground at 10 to 90 m per pixel.

    height_px: heights in pixels, [B, 1, H, W]. relative: the place of the smoothed heights between the lowest and the highest
    ground nearby, 0..1. sigma: pixels over which slopes are averaged. blob_sigma: how strongly the map is smoothed into blobs.
    """
    east, south = slopes(height_px)
    steepness = blur((east.square() + south.square()).sqrt(), sigma)
    relative = blur(relative, sigma)
    span = F.max_pool2d(height_px, 5, 1, 2) + F.max_pool2d(-height_px, 5, 1, 2)
    still = blur((span <= FLAT_RANGE).float(), 1.5) > 0.6
    classes = torch.full_like(steepness, FOREST)
    classes[(steepness < 0.30) & (relative > 0.42)] = HILLS
    classes[(steepness < 0.11) & (relative <= 0.60)] = GRASS
    classes[steepness < 0.028] = SAND
    classes[(steepness >= 0.58) | ((steepness >= 0.42) & (relative > 0.58))] = ROCK
    classes[(relative > 0.80) & (steepness > 0.10)] = SNOW
    classes[still] = WATER
    return blobs(classes[:, 0].long(), blob_sigma)


def continental(height_m: Tensor, color: Tensor, water: Tensor, sigma: float, blob_sigma: float) -> Tensor:
    """Classes int64 [B, H, W] of ground at 2 to 10 km per pixel, by colour and relief.

    height_m [B, 1, H, W]. color: sRGB 0..1 [B, 3, H, W]. water: its share [B, 1, H, W]. sigma, blob_sigma: as in regional().
    """
    shade_free = blur(color, sigma)
    mean = blur(height_m, 4.0)
    relief = blur((height_m - mean).square(), 4.0).sqrt()
    scores = []
    for name in range(SAND, CLASSES):
        targets = torch.tensor(COLORS[name], device=color.device) / 255.0  # [n, 3]
        distances = (shade_free[:, None] - targets[None, :, :, None, None]).square().sum(2).sqrt()  # [B, n, H, W]
        scores.append(distances.amin(1, keepdim=True))
    scores[HILLS - 1] = scores[HILLS - 1] - 0.10 * ((relief - HILLY_M) / HILLY_M).clamp(-1, 1)
    scores[ROCK - 1] = scores[ROCK - 1] - 0.16 * ((relief - ROCKY_M) / ROCKY_M).clamp(-1, 1)
    classes = torch.cat(scores, dim=1).argmin(1) + 1
    classes = blobs(classes, blob_sigma)
    return torch.where(blur(water, 1.0)[:, 0] > 0.5, torch.zeros_like(classes), classes)


def blobs(classes: Tensor, sigma: float) -> Tensor:
    """Each pixel's class replaced by the one that prevails around it, as far as `sigma` pixels; int64 [B, H, W]."""
    if sigma <= 0:
        return classes
    return blur(F.one_hot(classes, CLASSES).permute(0, 3, 1, 2).float(), sigma).argmax(1)
