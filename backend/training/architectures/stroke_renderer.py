"""The network that draws strokes (backend/models/stroke_renderer.py) as a training: it learns what this project's renderer draws.

Nothing is read: strokes are drawn at random for every step. The network of de Guevara et al. 2023 came without its training; that
of "Learning to Paint" (arXiv 1903.04411), from which it is, took the squared error of uniform strokes over millions of them. Here
the error is the cross-entropy of the pixels over the stroke's area, under which thin strokes are learned sooner, weights are a
moving average, and a part of the strokes is as the scheme paints them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from backend.algorithms.painting.patch_renderers import FORMAT, MODEL
from backend.models.stroke_renderer import HIDDEN, StrokeRenderer, initialise
from backend.runtime.device import cpu_computes_bfloat16
from backend.training.architectures.moving_average import follow
from backend.training.data.random_strokes import alphas, shapes
from backend.training.training import Stateful, Training
from shared.params import param

WARM_STEPS, WARM_SHARE = 100, 0.05  # at the most, and of the length: over these the learning rate rises
LARGEST_GRADIENT = 1.0  # of all weights together
HELD_OUT, HELD_OUT_SEED = 128, 2023  # strokes that the error in the file is measured on
SHOWN = 12
LEAST_AREA_PX = (
    100.0  # added to a stroke's area, by which its error is divided: without, thin strokes would not be learned
)


@dataclass(frozen=True, kw_only=True)
class StrokeRendererParams:
    """Which strokes are learned, and how large the network is."""

    bristles: float = param(
        0.0,
        label="Bristles",
        help="How strongly the hairs of the brush show in what is learned; 0 for smooth strokes",
        min=0.0,
        max=1.0,
    )
    scheme: float = param(
        0.5,
        label="Scheme",
        help="Share of strokes that are as the published scheme begins them: opaque, of its brush sizes and lengths; the others "
        "are uniform in all ten numbers",
        min=0.0,
        max=1.0,
    )
    width: float = param(
        1.0, label="Width", help="Neurons of the linear layers, relative to the published network", min=0.01, max=4.0
    )
    batch: int = param(64, label="Batch", help="Strokes per step", min=1, max=4096)
    rate: float = param(
        1e-3, label="Learning Rate", help="Of Adam; it falls to a hundredth at the end", min=1e-6, max=0.1
    )
    length: int = param(20000, label="Length", help="Steps over which the learning rate falls", min=1, role="count")


class StrokeRenderers(Training):
    """The network that draws strokes in place of the renderer, to compare with the published scheme."""

    name = MODEL
    params_type = StrokeRendererParams
    data = "strokes drawn at random by Relievo's own renderer"
    licence = "GPL-3.0-or-later"
    steps = 20000
    keeps_unfinished = True

    def __init__(self, params: StrokeRendererParams, device: torch.device, generator: torch.Generator) -> None:
        super().__init__(params, device, generator)
        self._network = self._new()
        initialise(self._network, generator)
        self._average = self._new().requires_grad_(False)
        self._average.load_state_dict(self._network.state_dict())
        for network in (self._network, self._average):
            network.to(device)
        self._adam = torch.optim.Adam(self._network.parameters(), lr=params.rate, fused=device.type in ("cpu", "cuda"))
        self._half = device.type != "cpu" or cpu_computes_bfloat16()

    def _new(self) -> StrokeRenderer:
        return StrokeRenderer(**self._shape())

    def _shape(self) -> dict[str, Any]:
        return {"hidden": [max(8, round(neurons * self.params.width)) for neurons in HIDDEN]}

    def parts(self) -> Mapping[str, Stateful]:
        return {"network": self._network, "average": self._average, "adam": self._adam}

    def step(self, number: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        self._set_rate(number)
        drawn, target = self._strokes(self.params.batch, generator)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._half):
            logits = self._network.logits(drawn)
        by_pixel = F.binary_cross_entropy_with_logits(logits.float(), target, reduction="none")
        loss = (by_pixel.sum((1, 2)) / (target.sum((1, 2)) + LEAST_AREA_PX)).mean()
        self._adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), LARGEST_GRADIENT)
        self._adam.step()
        follow(self._average, self._network, number)
        error = (torch.sigmoid(logits.detach().float()) - target).abs().mean()
        return {"loss": loss.detach(), "alpha_error": error}

    def _strokes(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Shapes [N, 10] and the alphas [N, 128, 128] that they have."""
        drawn = shapes(count, self.params.scheme, generator)
        return drawn.to(self.device), alphas(drawn, self.params.bristles).to(self.device)

    def _set_rate(self, number: int) -> None:
        share = min(1.0, number / self.params.length)
        warm = max(1.0, min(WARM_STEPS, WARM_SHARE * self.params.length))
        factor = min(1.0, (number + 1) / warm) * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * share)))
        for group in self._adam.param_groups:
            group["lr"] = self.params.rate * factor

    # What is shown and kept -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> np.ndarray:
        """A column per stroke: as it is, as the network draws it, and what differs, lighter where the network has more."""
        drawn, target = self._strokes(SHOWN, generator)
        made = self._average(drawn)
        rows = [target, made, 0.5 + 0.5 * (made - target)]
        sheet = torch.cat([row.permute(1, 0, 2).flatten(1) for row in rows])
        levels = (sheet * 255).round().clamp(0, 255).byte().cpu().numpy()
        return np.repeat(levels[..., None], 3, axis=2)

    def weights(self) -> Mapping[str, Tensor]:
        return self._average.state_dict()

    @torch.no_grad()
    def description(self) -> Mapping[str, Any]:
        """The network's shape, and how far its alphas are from the true ones on strokes that it has not learned: the mean over all
        pixels, and over the area of the strokes."""
        drawn, target = self._strokes(HELD_OUT, torch.Generator().manual_seed(HELD_OUT_SEED))
        made = torch.cat([self._average(part) for part in drawn.split(self.params.batch)])
        error = (made - target).abs()
        return {
            "format": FORMAT,
            "network": self._shape(),
            "alpha_error": round(float(error.mean()), 5),
            "alpha_error_by_area": round(float(error.sum() / target.sum()), 4),
        }
