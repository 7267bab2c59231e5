"""SPADE-Terrain-GAN as it was published, to be measured against: colour and height of one generator, shading of a second.

The generator makes lightness, a, b (CIELAB) and height; the shadow generator adds shading to the lightness, from the heights alone.
That light be in the texture costs: everything is judged a second time mirrored, when painted light comes from the wrong side (the
flip route). Three discriminators see classes, colour, height and its differences; hinge loss, a perceptual loss where the user has
VGG-19's weights, and dynamic training (gate.py). Departures: heights span the pack's range instead of the 16-bit one, maps need not
be square, crops are drawn at every step and not once, and the weights that are kept are a moving average.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.models.patch_discriminator import MultiScale, discriminator_loss, generator_loss, selu_patches
from backend.models.shadow_generator import ShadowGenerator, differences
from backend.models.spade_generator import HALVINGS, HIDDEN, LATENT, MODULATED_WIDTH, WIDTH, SpadeGenerator
from backend.models.symmetric_convolution import glorot
from backend.training.architectures import perceptual
from backend.training.architectures.gate import Gate
from backend.training.architectures.moving_average import follow
from backend.training.architectures.noise import drawn_noise
from backend.training.data import cielab, class_maps, light, pack
from backend.training.data.batches import Batch, inner
from backend.training.data.crops import crops_of, sources
from backend.training.data.globe_crops import HELD_OUT
from backend.training.sample_sheets import sheet
from backend.training.training import Stateful, Training
from shared.errors import InvalidInput, InvalidParameter
from shared.params import param

SCALES = (1, 4, 16)  # by which maps are made smaller before each discriminator sees them
CHANNELS = class_maps.CLASSES + 3 + 1 + 2  # classes, colour, height, differences
LARGEST_GRADIENT = 100.0  # per tensor of weights
EPSILON = 1e-7


@dataclass(frozen=True, kw_only=True)
class SpadeParams:
    """What is learned from which pack; the defaults are those of the original."""

    data: str = param("", label="Data", help="Folder of a terrain data pack")
    scale: Literal["regional", "continental"] = param(
        "continental", label="Scale", help="Which maps of the pack: below or above 900 m per pixel"
    )
    side: int = param(256, label="Side", help="Pixels along a side of a crop", min=64, max=1024, unit="px")
    batch: int = param(5, label="Batch", help="Crops per step", min=1, max=256)
    rate: float = param(1e-4, label="Learning Rate", help="Of both generators", min=1e-6, max=0.1)
    judge_rate: float = param(1e-3, label="Judge Rate", help="Learning rate of the discriminators", min=1e-6, max=0.1)
    width: int = param(
        0,
        label="Width",
        help=f"Channels at the coarsest level, a multiple of {HALVINGS[-1]}; 0: as published",
        min=0,
        max=2048,
    )
    hidden: int = param(HIDDEN, label="Hidden", help="Channels between classes and scales", min=4, max=512)
    judge_width: int = param(
        128, label="Judge Width", help="Channels of the discriminators' first layer", min=4, max=256
    )
    epoch: int = param(
        1000,
        label="Epoch",
        help="Steps per epoch; each epoch begins with the generator training again",
        min=1,
        role="count",
    )
    perceptual: float = param(
        1e-3, label="Perceptual Loss", help="Its weight; needs the VGG-19 weights, 0 for none", min=0.0, max=1.0
    )


class Spade(Training):
    """Colour and height from a map of classes: SPADE-Terrain-GAN 1.0."""

    name = "terrain-spade"
    params_type = SpadeParams
    licence = "GPL-3.0-or-later"
    steps = 500_000  # 500 epochs of 5000 crops, 5 per step
    width: ClassVar[int] = WIDTH
    modulated: ClassVar[bool] = False

    def __init__(self, params: SpadeParams, device: torch.device, generator: torch.Generator) -> None:
        super().__init__(params, device, generator)
        folder = Path(params.data)
        self.data = sources(folder, params.scale)
        self._crops = crops_of(folder, params.scale, params.side, device, leave_out=HELD_OUT)
        if not self._crops.colored:
            raise InvalidInput(
                f"{folder} has {params.scale} maps without colours; this architecture learns colour and height together.",
                hint="Give prepare terrain-data a folder of colours, or train --architecture compact.",
                field="data",
            )
        self._low_m, self._high_m = _range(folder, params.scale)
        self._makers = self._new_makers(generator).to(device)
        self._average = self._new_makers(None).to(device).requires_grad_(False)
        self._average.load_state_dict(self._makers.state_dict())
        self._judges = MultiScale(CHANNELS, params.judge_width, SCALES, selu_patches)
        glorot(self._judges, generator)
        self._judges.to(device)
        self._adam = torch.optim.Adam(self._makers.parameters(), lr=params.rate, betas=(0.5, 0.999), eps=EPSILON)
        self._judges_adam = torch.optim.Adam(
            self._judges.parameters(), lr=params.judge_rate, betas=(0.5, 0.999), eps=EPSILON
        )
        self._gate = Gate()
        self._perceptual = perceptual.load(device, params.perceptual)

    def _new_makers(self, generator: torch.Generator | None) -> nn.ModuleDict:
        width = self.params.width or self.width
        if width % HALVINGS[-1]:
            raise InvalidParameter(f"width is {width}; it must be a multiple of {HALVINGS[-1]}.", field="width")
        network = SpadeGenerator(class_maps.CLASSES, width=width, hidden=self.params.hidden, modulated=self.modulated)
        makers = nn.ModuleDict({"generator": network, "shadow": ShadowGenerator()})
        if generator is not None:
            glorot(makers, generator)
        return makers

    def parts(self) -> Mapping[str, Stateful]:
        return {
            "makers": self._makers, "average": self._average, "judges": self._judges, "adam": self._adam,
            "judges_adam": self._judges_adam, "gate": self._gate, "perceptual": self._perceptual,
        }  # fmt: skip

    def step(self, number: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        if number % self.params.epoch == 0:
            self._gate.reset()
        learns = self._gate.open
        batch = self._crops.batch(self.params.batch, generator)
        classes = one_hot(inner(batch.classes))
        assert batch.color is not None  # checked above
        real = torch.cat([batch.color * 2.0 - 1.0, self._scaled(batch)], dim=1)
        with torch.set_grad_enabled(learns):
            raw = self._raw(self._makers, classes, generator)
            made = self._lit(self._makers, raw)
            turned_raw, turned_classes = turned(raw, classes, generator)
            turned_made = self._lit(self._makers, turned_raw)
        judged = self._judges_step(real, classes, made.detach(), turned_made.detach(), turned_classes)
        self._gate.see(float(self.processes.mean(judged)))
        losses = {"judges": judged, "learns": torch.tensor(float(learns))}
        if learns:
            losses |= self._makers_step(real, classes, made, turned_made, turned_classes)
            follow(self._average, self._makers, number)
        return losses

    # What is made ---------------------------------------------------------------------------------------------------

    def _raw(self, makers: nn.ModuleDict, classes: Tensor, generator: torch.Generator) -> Tensor:
        count = classes.shape[0]
        latent = torch.rand(count, LATENT, generator=generator).to(self.device)
        return makers["generator"](classes, latent, drawn_noise(count, self.device, generator, "normal"))

    @staticmethod
    def _lit(makers: nn.ModuleDict, raw: Tensor) -> Tensor:
        """Colour with its shading and height, [B, 4, H, W] in -1..1."""
        lab = makers["shadow"](raw)
        return torch.cat([cielab.to_srgb(lab[:, :3]) * 2.0 - 1.0, lab[:, 3:]], dim=1)

    def _scaled(self, batch: Batch) -> Tensor:
        """Heights in -1..1 over the range of the pack."""
        return (batch.height_m - self._low_m) / (self._high_m - self._low_m) * 2.0 - 1.0

    # Learning -------------------------------------------------------------------------------------------------------

    def _judge(self, maps: Tensor, classes: Tensor) -> list[Tensor]:
        """Logits of each discriminator. maps: colour and height; classes: one-hot."""
        whole = torch.cat([classes, maps, differences(maps[:, 3:])], dim=1)
        sizes = [(whole.shape[2] // scale, whole.shape[3] // scale) for scale in self._judges.scales]
        return self._judges(
            [whole if scale == 1 else F.interpolate(whole, size=size, mode="bilinear", align_corners=False)
             for scale, size in zip(self._judges.scales, sizes, strict=True)]
        )  # fmt: skip

    def _judges_step(
        self, real: Tensor, classes: Tensor, made: Tensor, turned_made: Tensor, turned_classes: Tensor
    ) -> Tensor:
        """The hinge losses of both pairs, 4 where the discriminators know nothing."""
        logits = self._judge(real, classes)
        loss = discriminator_loss(logits, self._judge(made, classes)) + discriminator_loss(
            logits, self._judge(turned_made, turned_classes)
        )
        _descend(self._judges_adam, loss)
        return loss.detach()

    def _makers_step(
        self, real: Tensor, classes: Tensor, made: Tensor, turned_made: Tensor, turned_classes: Tensor
    ) -> dict[str, Tensor]:
        straight = generator_loss(self._judge(made, classes))
        mirrored = generator_loss(self._judge(turned_made, turned_classes))
        losses = {"straight": straight.detach(), "mirrored": mirrored.detach()}
        loss = straight + mirrored
        if self._perceptual:
            seen = self._perceptual(made[:, :3], real[:, :3]) + self._perceptual(*_grey(made, real))
            losses["perceptual"] = seen.detach()
            loss = loss + self.params.perceptual * seen
        _descend(self._adam, loss)
        return losses

    # What is shown and kept -----------------------------------------------------------------------------------------

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> np.ndarray:
        """Classes, made and real relief, flat texture, the same with its shading, and the real picture."""
        batch = self._crops.batch(3, generator)
        classes = one_hot(inner(batch.classes))
        raw = self._raw(self._average, classes, generator)
        flat, lit = cielab.to_srgb(torch.tanh(raw[:, :3])), self._lit(self._average, raw)[:, :3] * 0.5 + 0.5
        pixel_m = batch.pixel_size_m[:, None, None, None]
        height_m = (torch.tanh(raw[:, 3:]) * 0.5 + 0.5) * (self._high_m - self._low_m) + self._low_m
        exaggeration = light.EXAGGERATION if self.params.scale == "continental" else 1.0
        return sheet(
            classes, height_m / pixel_m, batch.height_m / pixel_m, flat, lit, batch.color, exaggeration=exaggeration
        )

    def weights(self) -> Mapping[str, Tensor]:
        """Both generators in half precision, and the heights of -1 and 1 in metres."""
        tensors = {name: tensor.half() for name, tensor in self._average.state_dict().items()}
        return tensors | {"heights_m": torch.tensor([self._low_m, self._high_m])}


class SpadeModulated(Spade):
    """Colour and height from a map of classes: SPADE-Terrain-GAN 1.1, with modulated convolutions."""

    name = "terrain-spade-modulated"
    width = MODULATED_WIDTH
    modulated = True


def one_hot(classes: Tensor) -> Tensor:
    """[B, classes, H, W] of numbers [B, H, W]."""
    return F.one_hot(classes, class_maps.CLASSES).permute(0, 3, 1, 2).float()


def turned(raw: Tensor, classes: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Maps and their classes mirrored left to right and upside down by chance; a quarter stays as it is."""
    flips = torch.randint(0, 2, (2, raw.shape[0], 1, 1, 1), generator=generator).to(raw.device, torch.bool)
    for axis, chosen in zip((3, 2), flips, strict=True):
        raw, classes = (torch.where(chosen, part.flip(axis), part) for part in (raw, classes))
    return raw, classes


def _grey(*maps: Tensor) -> list[Tensor]:
    """Heights as three equal channels."""
    return [part[:, 3:].expand(-1, 3, -1, -1) for part in maps]


def _descend(adam: torch.optim.Optimizer, loss: Tensor) -> None:
    adam.zero_grad()
    loss.backward()
    for group in adam.param_groups:
        for tensor in group["params"]:
            torch.nn.utils.clip_grad_norm_([tensor], LARGEST_GRADIENT)  # of each by itself
    adam.step()


def _range(folder: Path, scale: pack.Scale) -> tuple[float, float]:
    """Lowest and highest ground of what trains, metres."""
    seen = [region for region in pack.regions(folder) if region.scale == scale and region.split == "train"]
    low, high = min(region.low_m for region in seen), max(region.high_m for region in seen)
    return low, max(high, low + 1.0)
