"""Noise for a generator that is trained: drawn on its device from the step's own generator, which is on the CPU."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

Noise = Callable[[int, int, tuple[int, int]], Tensor]


def drawn_noise(
    count: int, device: torch.device, generator: torch.Generator, form: Literal["uniform", "normal"] = "uniform"
) -> Noise:
    """Noise of deviation 1 for `count` maps, see backend.models.terrain_generator.Noise."""
    source = torch.Generator(device).manual_seed(int(torch.randint(2**62, (), generator=generator)))

    def drawn(number: int, channels: int, size: tuple[int, int]) -> Tensor:
        if form == "normal":
            return torch.randn(count, channels, *size, device=device, generator=source)
        return (torch.rand(count, channels, *size, device=device, generator=source) - 0.5) * math.sqrt(12.0)

    return drawn
