"""The perceptual loss of SPADE-Terrain-GAN: how far made and real maps are apart in VGG-19's features.

The weights are used where the user has them and never downloaded here: without them there is no such loss, and the log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import torch
from torch import Tensor

from backend.models.vgg19 import Vgg19
from backend.ops.style.features import VGG_STYLE
from backend.ops.style.losses import CAFFE_SCALE
from backend.runtime import weights
from shared.errors import InvalidInput
from shared.weights import VGG19

log = logging.getLogger(__name__)


class Perceptual:
    """Sum over conv1_1 to conv5_1 of the mean absolute difference of features.

    The original's weights take colours in Caffe's way (BGR, 0..255 less a mean); ours, torchvision's, take RGB less a mean over a
    deviation. Multiplied by that deviation, features have the original's size, and so has the loss. A checkpoint says whether the
    loss was there: a run that has begun with it cannot go on without.
    """

    def __init__(self, network: Vgg19 | None) -> None:
        self._network = network

    def __bool__(self) -> bool:
        return self._network is not None

    def __call__(self, made: Tensor, real: Tensor) -> Tensor:
        """made, real: [B, 3, H, W] in -1..1."""
        assert self._network is not None
        of_made, of_real = (self._network(part * 0.5 + 0.5, VGG_STYLE) for part in (made, real))
        terms = [(of_made[name] - of_real[name]).abs().mean() for name in VGG_STYLE]
        return torch.stack(terms).sum() * CAFFE_SCALE

    def state_dict(self) -> dict[str, bool]:
        return {"there": bool(self)}

    def load_state_dict(self, state: Mapping[str, bool], /) -> None:
        if bool(state["there"]) == bool(self):
            return
        if self:
            log.warning("The run was begun without the perceptual loss, and goes on without it.")
            self._network = None
            return
        raise InvalidInput(
            "This run was begun with the perceptual loss, and the VGG-19 weights are not on this machine.",
            hint=f"Put {VGG19.file} where `relievo.py prepare --weights vgg19` would, or begin a run in another folder.",
            field="out",
        )


def load(device: torch.device, weight: float) -> Perceptual:
    """The loss with the user's weights, or none: where `weight` is 0, or where there are no weights, which is said."""
    if weight <= 0.0:
        return Perceptual(None)
    if weights.find(VGG19) is None:
        log.warning(
            "The perceptual loss is off: the VGG-19 weights are not on this machine (relievo.py prepare --weights vgg19)."
        )
        return Perceptual(None)
    network = Vgg19(VGG_STYLE[-1])
    network.load_torchvision(weights.load(VGG19).tensors)
    return Perceptual(network.to(device).eval())
