"""The compact network: class maps to heights (regional) or to heights and albedo (continental), a generative adversarial network.

Three things pull at the generator: a regression on averages over LOW_PX, strong at first; the sliced Wasserstein distance, class by
class, between its local forms and the real ones; and two patch discriminators (hinge loss, lazy R1: Mescheder et al. 2018), which
see heights with their differences beside the classes. The continental model's colours are lit by a formula before they are judged,
and half of its maps are turned over before that (the flip route of SPADE-Terrain-GAN), so that light painted into the albedo
would come from the wrong side. Weights are the moving average of the generator's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from backend.models.patch_discriminator import MultiScale, discriminator_loss, generator_loss
from backend.models.terrain_generator import WIDTHS, TerrainGenerator, initialise
from backend.ops.terrain.generator_units import REGIONAL_UNIT_PX, from_continental
from backend.training.architectures.moving_average import follow
from backend.training.architectures.noise import drawn_noise
from backend.training.data import class_maps, light
from backend.training.data.batches import Batch, inner
from backend.training.data.crops import crops_of, sources
from backend.training.data.globe_crops import HELD_OUT
from backend.training.sample_sheets import sheet
from backend.training.training import Stateful, Training
from shared.errors import InvalidInput
from shared.params import param

LOW_PX = 16
R1_EVERY = 16
R1 = 800.0  # per mean square of the gradient of all patches' logits over the pixels
WARM_SHARE = 0.125  # of the length, from which on the discriminators have their full say
FORMS = 24  # filters of the sliced Wasserstein distance
FORM_PIXELS = 4096  # pixels compared per class


@dataclass(frozen=True, kw_only=True)
class CompactParams:
    """What is learned, from which pack, and how large the networks are."""

    data: str = param("", label="Data", help="Folder of a terrain data pack")
    scale: Literal["regional", "continental"] = param(
        "regional",
        label="Scale",
        help="Regional: 30 to 180 m per pixel, heights. Continental: 4 to 10 km, heights and albedo",
    )
    side: int = param(256, label="Side", help="Pixels along a side of a crop", min=64, max=1024, unit="px")
    batch: int = param(16, label="Batch", help="Crops per step", min=1, max=256)
    rate: float = param(
        3e-4, label="Learning Rate", help="Of both Adams; it falls to a tenth at the end", min=1e-6, max=0.1
    )
    width: float = param(
        1.0, label="Width", help="Channels of the generator, relative to the default", min=0.1, max=4.0
    )
    length: int = param(12000, label="Length", help="Steps over which the learning rate falls", min=1, role="count")
    start_from: str = param(
        "",
        label="Start From",
        help="A .safetensors file of a generator to go on from, such as one that ships; discriminators begin anew",
    )
    judge_width: int = param(
        48, label="Judge Width", help="Channels of the discriminators' first layer", min=4, max=256
    )


class Compact(Training):
    """Terrain from a map of classes: heights, and albedo at continental scale."""

    name = "terrain"
    params_type = CompactParams
    licence = "GPL-3.0-or-later"
    steps = 12000

    def __init__(self, params: CompactParams, device: torch.device, generator: torch.Generator) -> None:
        super().__init__(params, device, generator)
        self._continental = params.scale == "continental"
        folder = Path(params.data)
        self.data = sources(folder, params.scale)
        self._crops = crops_of(folder, params.scale, params.side, device, leave_out=HELD_OUT)
        self._colored = self._continental and self._crops.colored
        self._generator = generator_of(params, generator, color=self._colored).to(device)
        if params.start_from:
            _load(self._generator, Path(params.start_from))
        self._average = generator_of(params, None, color=self._colored).to(device).requires_grad_(False)
        self._average.load_state_dict(self._generator.state_dict())
        channels = 4 + class_maps.CLASSES + (3 if self._colored else 0)
        self._judges = MultiScale(channels, params.judge_width)
        initialise(self._judges, generator)
        self._judges.to(device)
        fused = {"fused": True} if device.type == "cuda" else {}
        self._adam = torch.optim.Adam(self._generator.parameters(), lr=params.rate, betas=(0.0, 0.99), **fused)
        self._judges_adam = torch.optim.Adam(
            self._judges.parameters(), lr=1.3 * params.rate, betas=(0.0, 0.99), **fused
        )
        self._filters = torch.randn(FORMS, 1, 5, 5, generator=generator).to(device)

    def parts(self) -> Mapping[str, Stateful]:
        return {
            "generator": self._generator, "average": self._average, "judges": self._judges,
            "adam": self._adam, "judges_adam": self._judges_adam,
        }  # fmt: skip

    def step(self, number: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        self._set_rates(number)
        batch = self._crops.batch(self.params.batch, generator)
        shares = inner(batch.shares)
        height, color = self._made(self._generator, batch, generator)
        turned = self._turned(height, color, shares, generator)
        judged = self._judges_step(number, batch, shares, turned)
        weight = min(1.0, (number + 1) / (WARM_SHARE * self.params.length))
        with self._autocast():
            adversarial = generator_loss(self._judge(*turned))
        low = self._low_loss(height, color, batch)
        forms = self._forms_loss(height, batch.height, shares)
        loss = weight * adversarial + (4.0 * (1.0 - weight) + 0.7 * weight) * low + 0.5 * forms
        losses = {"judges": judged, "adversarial": adversarial, "low": low, "forms": forms}
        if color is not None:
            losses["leak"] = light.leak(color, self._in_pixels(height, batch)).mean()
            loss = loss + 2.0 * F.relu(losses["leak"] - 0.004)
        self._adam.zero_grad()
        loss.backward()
        self._adam.step()
        follow(self._average, self._generator, number)
        return {name: value.detach() for name, value in losses.items()}

    # What is made ---------------------------------------------------------------------------------------------------

    def _made(
        self, network: TerrainGenerator, batch: Batch, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None]:
        """Heights with mean 0 where regional, in the model's unit, and albedo, both without the margin."""
        chance = drawn_noise(batch.shares.shape[0], self.device, generator)
        shares = batch.shares.contiguous(memory_format=torch.channels_last)
        with self._autocast():
            height, color = network(shares, batch.scale, chance)
        height = inner(height)
        if not self._continental:
            height = height - height.mean((2, 3), keepdim=True)
        return height, inner(color) if color is not None else None

    def _in_pixels(self, height: Tensor, batch: Batch) -> Tensor:
        """Heights in pixels, whatever the model's unit."""
        if not self._continental:
            return height * REGIONAL_UNIT_PX
        pixel_m = 5000.0 * torch.exp2(batch.scale)[:, None, None, None]
        return from_continental(height) / pixel_m

    def _turned(
        self, height: Tensor, color: Tensor | None, shares: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Maps mirrored left to right and upside down by chance, which in nature changes nothing but where the light comes from."""
        flips = torch.randint(0, 2, (2, height.shape[0], 1, 1, 1), generator=generator).to(self.device, torch.bool)
        for axis, chosen in zip((3, 2), flips, strict=True):
            height, shares = (torch.where(chosen, part.flip(axis), part) for part in (height, shares))
            color = torch.where(chosen, color.flip(axis), color) if color is not None else None
        return height, color, shares

    # Judging --------------------------------------------------------------------------------------------------------

    def _judge(self, height: Tensor, color: Tensor | None, shares: Tensor, lit: bool = True) -> list[Tensor]:
        """Logits of each discriminator. color: albedo, or where `lit` is False a picture with its light."""
        if color is not None and lit:
            pixels = from_continental(height) / 6000.0
            color = (color * light.lambert(pixels).sqrt()).clamp(0.0, 1.2)
        views = []
        for scale in self._judges.scales:
            maps = [height, shares] if color is None else [height, shares, color * 2.0 - 1.0]
            small = [F.avg_pool2d(part, scale) if scale > 1 else part for part in maps]
            view = torch.cat([_with_differences(small[0], scale), *small[1:]], dim=1)
            views.append(
                view.contiguous(memory_format=torch.channels_last)
            )  # what convolutions in bfloat16 are fast in
        return self._judges(views)

    def _judges_step(
        self, number: int, batch: Batch, shares: Tensor, turned: tuple[Tensor, Tensor | None, Tensor]
    ) -> Tensor:
        real = batch.height.detach()  # shares its values, but takes no gradient from the batch
        penal = number % R1_EVERY == 0
        picture = batch.color.detach() if self._colored and batch.color is not None else None
        for part in (real, picture):
            if part is not None:
                part.requires_grad_(penal)
        with self._autocast():
            logits = self._judge(real, picture, shares, lit=False)
            height, color, turned_shares = turned
            made = self._judge(height.detach(), None if color is None else color.detach(), turned_shares)
            loss = discriminator_loss(logits, made)
        total = loss
        if penal:
            seen = [part for part in (real, picture) if part is not None]
            everything = torch.stack([part.sum() for part in logits]).sum()
            gradients = torch.autograd.grad(everything, seen, create_graph=True)
            total = loss + R1_EVERY * R1 * torch.stack([gradient.square().mean() for gradient in gradients]).sum()
        self._judges_adam.zero_grad()
        total.backward()
        self._judges_adam.step()
        return loss

    def _low_loss(self, height: Tensor, color: Tensor | None, batch: Batch) -> Tensor:
        loss = (F.avg_pool2d(height, LOW_PX) - F.avg_pool2d(batch.height, LOW_PX)).abs().mean()
        if color is not None and batch.color is not None:
            loss = loss + (F.avg_pool2d(color, LOW_PX) - F.avg_pool2d(batch.color, LOW_PX)).abs().mean()
        return loss

    def _forms_loss(self, height: Tensor, real: Tensor, shares: Tensor) -> Tensor:
        """Sliced Wasserstein distance between small forms of made and real ground, class by class: both have the same classes, so
        that sorted responses pair up."""
        filters = self._filters - self._filters.mean((2, 3), keepdim=True)
        responses = F.conv2d(torch.cat([height, real]), filters).abs().clamp_min(1e-4).pow(0.7)
        classes = shares[:, :, 2:-2, 2:-2].argmax(1).flatten()
        made, actual = responses.transpose(0, 1).reshape(FORMS, 2, -1).unbind(1)
        places = _places_per_class(classes, FORM_PIXELS)
        pairs = [
            part.index_select(1, places).reshape(FORMS, class_maps.CLASSES, FORM_PIXELS).sort(-1).values
            for part in (made, actual)
        ]
        return (pairs[0] - pairs[1]).abs().mean()

    # Housekeeping ---------------------------------------------------------------------------------------------------

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16)

    def _set_rates(self, number: int) -> None:
        """A short rise, then a cosine fall to a tenth."""
        share = min(1.0, number / self.params.length)
        factor = min(1.0, (number + 1) / 200) * (0.1 + 0.9 * 0.5 * (1.0 + math.cos(math.pi * share)))
        for adam, ratio in ((self._adam, 1.0), (self._judges_adam, 1.3)):
            for group in adam.param_groups:
                group["lr"] = self.params.rate * ratio * factor

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> np.ndarray:
        batch = self._crops.batch(4, generator)
        height, color = self._made(self._average, batch, generator)
        return sheet(
            inner(batch.shares), self._in_pixels(height, batch), self._in_pixels(batch.height, batch), color, batch.color,
            exaggeration=1.0 if not self._continental else light.EXAGGERATION,
        )  # fmt: skip

    def weights(self) -> Mapping[str, Tensor]:
        return {name: tensor.half() for name, tensor in self._average.state_dict().items()}


def _load(network: TerrainGenerator, path: Path) -> None:
    """The weights of a file into a network of the same shape."""
    try:
        tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
        network.load_state_dict(tensors)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise InvalidInput(
            f"{path} cannot be gone on from: {str(error).partition(chr(10))[0]}",
            hint="It must hold the generator's weights for the same scale and width.",
            field="start_from",
        ) from error


def generator_of(params: CompactParams, generator: torch.Generator | None, *, color: bool) -> TerrainGenerator:
    """The generator, with weights drawn from `generator` where there is one."""
    widths = [max(8, round(channels * params.width / 8) * 8) for channels in WIDTHS]
    network = TerrainGenerator(class_maps.CLASSES, color=color, widths=widths)
    if generator is not None:
        initialise(network, generator)
    return network


def _with_differences(height: Tensor, scale: int) -> Tensor:
    """Heights, their slopes to the east and south, and their curvature, each at about the same strength: [B, 4, H, W]."""
    padded = F.pad(height, (1, 1, 1, 1), mode="replicate")
    middle = padded[..., 1:-1, 1:-1]
    east, south = middle - padded[..., 1:-1, :-2], middle - padded[..., :-2, 1:-1]
    curve = (
        padded[..., 1:-1, 2:] + padded[..., 1:-1, :-2] + padded[..., 2:, 1:-1] + padded[..., :-2, 1:-1] - 4.0 * middle
    )
    strength = 12.0 / scale
    return torch.cat([height, east * strength, south * strength, curve * strength], dim=1)


def _places_per_class(classes: Tensor, count: int) -> Tensor:
    """Pixels [classes * count] of each class, evenly over its pixels; of any class where it has none. No round trip to the host."""
    order = classes.argsort(stable=True)
    sizes = torch.zeros(class_maps.CLASSES, dtype=torch.int64, device=classes.device)
    sizes.scatter_add_(0, classes, torch.ones_like(classes))  # bincount() would wait for the device
    starts = sizes.cumsum(0) - sizes
    steps = torch.arange(count, device=classes.device) / count
    places = starts[:, None] + (steps[None] * sizes[:, None]).long()
    return order[places.clamp_max(classes.numel() - 1).flatten()]
