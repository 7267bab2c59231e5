"""What draws the strokes of the published scheme on their patches: this project's renderer, or a network trained to draw them.

Both are differentiable. A patch is drawn by itself, so that the scheme's steps can be taken for some patches at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from backend.algorithms.model_files import UnknownModel, check_header
from backend.algorithms.painting.patch_cover import PATCH
from backend.models.stroke_renderer import NUMBERS, StrokeRenderer
from backend.ops.strokes.codec import from_patch
from backend.ops.strokes.compositing import Segments, composite
from backend.runtime import threads

MODEL, FORMAT = "stroke-renderer", 1  # what the header of a file of a trained network says
PATCHES_ON_CARD = 8  # that are drawn at once there, with all that their gradients need: about 1 MiB per stroke

Observe = Callable[[int, int], object]  # parts done, parts in all; may raise to stop


class Renderer(Protocol):
    def patches(self, numbers: Tensor, kept: Tensor | None, base: Tensor) -> Tensor:
        """Patches [P, 128, 128, 3] with the strokes [P, budget, 13] that are kept [P, budget] (None: all), each over its base."""
        ...

    def each(self, make: Callable[[slice], Tensor], count: int, observe: Observe) -> list[Tensor]:
        """make() for parts of `count` patches, in their order."""
        ...


class AnalyticRenderer:
    """The strokes themselves: all patches at once, one below the other on one canvas."""

    def patches(self, numbers: Tensor, kept: Tensor | None, base: Tensor) -> Tensor:
        count = len(numbers)
        patch = torch.arange(count, device=numbers.device)[:, None].expand(numbers.shape[:2])
        if kept is None:  # how many there are is known: the host does not wait for a card
            patch, own = patch.flatten(), numbers.flatten(0, 1)
        else:
            patch, own = patch[kept], numbers[kept]
        strokes = from_patch(own, (0.0, 0.0), PATCH)
        shift = torch.zeros_like(strokes.geometry)
        shift[:, (0, 2, 4)] = (patch * PATCH).to(shift)[:, None]
        labels = torch.arange(count, dtype=torch.int32, device=numbers.device).repeat_interleave(PATCH)[:, None]
        inside = Segments(labels.expand(-1, PATCH).contiguous(), patch.int())
        canvas = base.flatten(0, 1)
        stacked = composite(
            strokes.geometry + shift, strokes.opacity, strokes.color, canvas, segments=inside, clip=True
        )
        return stacked.view(count, PATCH, PATCH, 3)

    def each(self, make: Callable[[slice], Tensor], count: int, observe: Observe) -> list[Tensor]:
        return [make(slice(0, count))]


class NetworkRenderer:
    """What the network draws, blended stroke after stroke: C <- C (1 - alpha) + alpha color.

    On the CPU a patch is drawn on one thread, several at a time, so that no byte depends on how many threads there are.
    """

    def __init__(self, network: StrokeRenderer, device: torch.device) -> None:
        self._network = network.requires_grad_(False).eval().to(device)
        self._at_once = 1 if device.type == "cpu" else PATCHES_ON_CARD

    def patches(self, numbers: Tensor, kept: Tensor | None, base: Tensor) -> Tensor:
        count, budget = numbers.shape[:2]
        alpha = self._network(numbers[..., :NUMBERS].flatten(0, 1)).view(count, budget, PATCH, PATCH, 1)
        if kept is not None:
            alpha = alpha * kept[..., None, None, None]
        painted = base
        for number in range(budget):
            painted = torch.lerp(painted, numbers[:, number, None, None, NUMBERS:], alpha[:, number])
        return painted

    def each(self, make: Callable[[slice], Tensor], count: int, observe: Observe) -> list[Tensor]:
        parts = [slice(first, first + self._at_once) for first in range(0, count, self._at_once)]
        return threads.spread(make, parts, torch.get_num_threads() if self._at_once == 1 else 1, observe)


def load(tensors: Mapping[str, Tensor], about: Mapping[str, Any], device: torch.device) -> NetworkRenderer:
    """The network in a file that `train stroke-renderer` has written. Raises UnknownModel."""
    check_header(about, (MODEL,), FORMAT, "draws no strokes")
    try:
        network = StrokeRenderer(**about["network"])
        network.load_state_dict(dict(tensors))
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise UnknownModel.of_parts(error) from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise UnknownModel("it holds numbers that are not finite")
    return NetworkRenderer(network, device)
