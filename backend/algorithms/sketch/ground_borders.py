"""Where one class of ground ends and the next begins: by the brush's strokes, and within a few pixels of them by form and chance.

Trees climb gullies, grass ends at ridges, snow lies in hollows and rock stands out of it. Water's borders stay where they are.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from backend.algorithms.sketch.ground_form import Form
from backend.algorithms.sketch.ground_patches import Patches
from backend.ops.smoothing import gaussian
from shared.painted_classes import PAINTED_CLASSES
from shared.terrain_classes import FOREST, GRASS, HILLS, ROCK, SAND, SNOW

HALF_PX, WIDE = 2, 1.5  # borders are widened on a map of half the size, by this deviation
REACH_PX = 20
KEPT = 0.22  # of the strokes as they are, so that small ones stay
CHANCE = 0.7
BEACH = 2.0  # that draws sand to water


class Liking(NamedTuple):
    """What draws a class across its border: fine hollows, lower ground, steepness."""

    hollow: float = 0.0
    low: float = 0.0
    steep: float = 0.0


LIKINGS = {
    SAND: Liking(0.3, 0.8, -0.5), GRASS: Liking(0.1, 0.2, -0.4), FOREST: Liking(0.8, 0.3, 0.0),
    HILLS: Liking(-0.3, -0.2, 0.1), ROCK: Liking(-0.8, -0.4, 0.5), SNOW: Liking(0.6, -0.5, -0.5),
}  # fmt: skip


def shares_by_form(shares: Tensor, wet: Tensor, shore: Tensor, form: Form, patches: Patches) -> dict[int, Tensor]:
    """Shares [h, W] by class of ground, adding up to 1 where it is not wet (bool [h, W]); of those classes that there are.

    shares [classes, h, W]: of the brush's strokes. shore [h, W]: 0..1, near water.
    """
    steep = ((form.steepness - 22.0) / 14.0).clamp_(-1.0, 1.0)
    made = {}
    total = torch.full_like(steep, 1e-6)
    for number, entry in enumerate(PAINTED_CLASSES):
        if entry.like not in LIKINGS or float(shares[number].amax()) == 0.0:
            continue
        liking = LIKINGS[entry.like]
        pull = liking.hollow * form.hollow + liking.low * form.broad_hollow
        pull.add_(steep, alpha=liking.steep).add_(patches.stands, alpha=CHANCE if number % 2 else -CHANCE)
        if entry.like == SAND:
            pull.add_(shore, alpha=BEACH)
        weight = _wide(shares[number]) * pull.exp_()
        made[number] = weight * weight * weight
        total += made[number]
    ground = (~wet).float().div_(total)
    return {number: weight.mul_(ground) for number, weight in made.items()}


def _wide(share: Tensor) -> Tensor:
    rows, columns = share.shape
    half = F.avg_pool2d(share[None, None], HALF_PX, ceil_mode=True)[0, 0]
    smooth = gaussian(half.contiguous(), WIDE)
    large = F.interpolate(smooth[None, None], scale_factor=HALF_PX, mode="bilinear")[0, 0]
    return torch.lerp(large[:rows, :columns], share, KEPT)
