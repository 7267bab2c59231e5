"""The surface as water changes it, and the masks of what was laid on it and worn away."""

from __future__ import annotations

import torch
from torch import Tensor

SEDIMENT_HALF = 1.0 / 500.0  # share of the relief at which a layer of sediment hides half the rock
WEAR_HALF = 1.0 / 10.0


class Ground:
    """Metres, float64 [H, W]: height, sediment on it, rock worn away, all that ever settled."""

    def __init__(self, height: Tensor) -> None:
        self.height = height.double()
        self.sediment, self.wear, self.settled = (torch.zeros_like(self.height) for _ in range(3))

    def move_to(self, height: Tensor) -> None:
        """Take a new surface: gain is sediment; loss takes sediment first and rock after."""
        left = self.sediment + (height - self.height)
        self.wear -= left.clamp_max(0.0)
        self.sediment = left.clamp_min(0.0)
        self.height = height


def wear_mask(ground: Ground, relief_m: float) -> Tensor:
    """How deep the ground was worn [H, W] float32 0..1; one half at WEAR_HALF of the relief."""
    return _share(ground.wear, WEAR_HALF * relief_m)


def sediment_mask(ground: Ground, relief_m: float) -> Tensor:
    """How far sediment hides the rock [H, W] float32 0..1: by the layer that lies there, or by what keeps settling on its way.

    Where as much settles as is worn away the bed is all sediment though no layer grows (Shobe, Tucker and Barnhart
    2017, doi:10.5194/gmd-10-4577-2017, section 2); where little settles and much wears it is bare.
    """
    half_m = SEDIMENT_HALF * relief_m
    if half_m <= 0:
        return torch.zeros_like(ground.height, dtype=torch.float32)
    passing = ground.settled / (ground.settled + ground.wear + half_m)
    return torch.maximum(passing.float(), _share(ground.sediment, half_m))


def _share(thickness_m: Tensor, half_m: float) -> Tensor:
    """A thickness as a mask 0..1 that reaches one half at `half_m` and nears one slowly."""
    if half_m <= 0:
        return torch.zeros_like(thickness_m, dtype=torch.float32)
    return (thickness_m / (thickness_m + half_m)).float()
