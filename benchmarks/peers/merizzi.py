"""The loop of Merizzi 2024 (arXiv 2403.08782): an image descends a Gram loss on VGG-19, as its published program
does it.

Only its time is measured, so the network has VGG-19's shape and random weights. What the program does is done: at
every step one batch of three images (content, style, result) goes through the network up to block 5, convolution 2,
Gram matrices of five layers, gradients to the result alone, and plain descent at 150 * 0.96^(t / 100); 2000 steps.
"""

from __future__ import annotations

import time

import torch
import torch.nn.functional as F
from torch import Tensor

BLOCKS = (
    (2, 64),
    (2, 128),
    (4, 256),
    (4, 512),
    (2, 512),
)  # convolutions, channels; the last block is cut after its second
STEPS = 2000


class Merizzi:
    def __init__(self, seed: int = 0) -> None:
        generator = torch.Generator().manual_seed(seed)
        self._weights: list[list[Tensor]] = []
        channels = 3
        for count, width in BLOCKS:
            block = []
            for _ in range(count):
                block.append(torch.randn(width, channels, 3, 3, generator=generator) * (2 / (9 * channels)) ** 0.5)
                channels = width
            self._weights.append(block)

    def features(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """images [B, 3, H, W] -> the first map of each block, and the content map."""
        first, values = [], images
        for n, block in enumerate(self._weights):
            values = F.max_pool2d(values, 2) if n else values
            for m, weight in enumerate(block):
                values = F.relu(F.conv2d(values, weight, padding=1))
                if m == 0:
                    first.append(values)
        return first, values

    def loss(self, content: Tensor, style: Tensor, result: Tensor) -> Tensor:
        """Of three images [1, 3, H, W]: content, Gram and total variation terms with the published weights."""
        first, deep = self.features(torch.cat([content, style, result]))
        total = 2.5e-11 * (deep[2] - deep[0]).square().sum()
        size = result.shape[2] * result.shape[3]
        for maps in first:
            flat = maps.flatten(2)
            gram = flat @ flat.transpose(1, 2)
            total = total + (1e-5 / len(first)) * (gram[1] - gram[2]).square().sum() / (4 * 3**2 * size**2)
        across, down = result.diff(dim=3)[:, :, :-1], result.diff(dim=2)[:, :, :, :-1]
        return total + 1e-10 * (across.square() + down.square() + 1e-12).pow(1.25).sum()

    def seconds(self, side: int, timed_steps: int) -> float:
        """Seconds of all STEPS on side x side images, from `timed_steps` of them after one to warm up."""
        generator = torch.Generator().manual_seed(1)
        content, style = (255 * torch.rand(1, 3, side, side, generator=generator) - 128 for _ in range(2))
        result = content.clone().requires_grad_()
        began = 0.0
        for step in range(timed_steps + 1):
            if step == 1:
                began = time.perf_counter()
            (gradient,) = torch.autograd.grad(self.loss(content, style, result), result)
            with torch.no_grad():
                result -= 150 * 0.96 ** (step / 100) * gradient / gradient.abs().max().clamp_min(1e-30)
        return (time.perf_counter() - began) / timed_steps * STEPS
