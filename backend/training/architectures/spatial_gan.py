"""The spatial GAN as a training, as it was published: alternate updates, and the mode-regularised variant (MDGAN, Che et al. 2016,
arXiv 1612.02136) with its manifold and diffusion steps.

Steps are counted from 1. Plain: odd steps train the discriminator, even ones the generator. Regularised: even
steps are manifold steps (a discriminator tells images from images that went through encoder and generator; those are also to be
the images themselves), odd ones are diffusion steps (another discriminator tells those from images of noise). Departures:
the squared difference is a mean over pixels, unless `reconstruction` says "published"; what is kept has statistics of
normalisation that are settled over several batches. No moving average of weights: measured on sand, it lost all grain, whose phases
turn all the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.models.spatial_gan import (
    SpatialGenerator,
    discriminator,
    encoder,
    image_side,
    initialise,
    settle,
)
from backend.training.architectures.texture_files import described, file_tensors
from backend.training.data import texture_sources
from backend.training.training import Stateful, Training
from shared.params import param

SETTLING = 8  # batches that the statistics of what is kept are the mean over
SAMPLES = 4
MEAN_FACTOR = (
    10.0  # that makes a mean over pixels about as loud as the discriminator; the sum is a thousand times louder
)


@dataclass(frozen=True, kw_only=True)
class SpatialGanParams:
    """What is learned, and how; the defaults are those of the original."""

    data_dir: str = param("", label="Data", help="Folder of pictures; several are learned together")
    layers: int = param(5, label="Layers", help="Each doubles the size of an image", min=3, max=6)
    z_size: int = param(9, label="Cells", help="Cells of noise along a side in training", min=2, max=64)
    z_dim: int = param(100, label="Noise Channels", help="Numbers of noise per cell", min=1, max=1024)
    around: int = param(
        0, label="Global Dimensions", help="Numbers of noise that are one for a whole image (PSGAN)", min=0, max=256
    )
    periodic: int = param(
        0, label="Periodic Dimensions", help="Waves over the noise, for textures with a beat (PSGAN)", min=0, max=64
    )
    width: int = param(64, label="Width", help="Channels before the last layer", min=4, max=256)
    batch: int = param(32, label="Batch", help="Crops per step", min=1, max=256)
    rate: float = param(5e-4, label="Learning Rate", help="Of every Adam", min=1e-6, max=0.1)
    beta: float = param(0.5, label="Beta", help="Decay of Adam's first moment", min=0.0, max=0.99)
    l2: float = param(
        0.0, label="L2", help="Weight of the squares of all weights; the Theano original has 1e-5", min=0.0, max=1.0
    )
    reg: bool = param(False, label="Regularised", help="Train with an encoder in manifold and diffusion steps")
    reconstruction: Literal["mean", "published"] = param(
        "mean",
        label="Reconstruction",
        help="With --reg, how images and their reconstructions differ: ten times the mean over pixels, or the published sum over "
        "pixels, which with both weights at 1 is the original",
    )
    reconstruction_weight: float = param(
        1.0, label="Reconstruction Weight", help="With --reg, of that difference", min=0.0, max=1e4
    )
    manifold_weight: float = param(
        1.0, label="Manifold Weight", help="With --reg, of the discriminator in manifold steps", min=0.0, max=1e4
    )
    half: bool = param(
        False, label="Half Precision", help="Compute in bfloat16, which is faster where the processor has it"
    )


class SpatialGan(Training):
    """Textures by a spatial GAN, as it was published."""

    name = "texture-spatial-gan"
    params_type = SpatialGanParams
    licence = "that of the pictures"
    steps = 25000
    keeps_unfinished = True

    def __init__(self, params: SpatialGanParams, device: torch.device, generator: torch.Generator) -> None:
        super().__init__(params, device, generator)
        found = texture_sources.colors(texture_sources.read(params.data_dir, estimate=False))
        self.data = found.text
        self._side = image_side(params.z_size, params.layers)
        texture_sources.check_sides(found, self._side, "Give larger pictures, or fewer cells with --z-size.")
        self._channels = texture_sources.spread(found.maps)
        self._images = [self._channels.encode(maps).to(device) for maps in found.maps]
        colors = self._channels.count
        self._networks: dict[str, nn.Module] = {"generator": self._new_generator()}
        if params.reg:
            self._networks["encoder"] = encoder(colors, self._depth, layers=params.layers, width=params.width)
        for name in ("manifold", "diffusion") if params.reg else ("discriminator",):
            self._networks[name] = discriminator(colors, layers=params.layers, width=params.width)
        for network in self._networks.values():
            initialise(network, generator)
            network.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
        self._adams = {name: self._adam(network) for name, network in self._networks.items()}
        if params.reg:  # the steps keep a moment of the generator each, as published
            self._adams["generator_diffusion"] = self._adam(self._networks["generator"])

    @property
    def _depth(self) -> int:
        return self.params.z_dim + self.params.around + self.params.periodic

    def _new_generator(self) -> SpatialGenerator:
        return SpatialGenerator(self._channels.count, **self._shape())

    def _shape(self) -> dict[str, Any]:
        p = self.params
        return {
            "layers": p.layers, "width": p.width, "local": p.z_dim, "around": p.around, "periodic": p.periodic,
            "leaky": p.reg,
        }  # fmt: skip

    def _adam(self, network: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.Adam(network.parameters(), lr=self.params.rate, betas=(self.params.beta, 0.999))

    def parts(self) -> Mapping[str, Stateful]:
        return {
            **self._networks,
            **{f"adam_{name}": adam for name, adam in self._adams.items()},
        }

    # One step -------------------------------------------------------------------------------------------------------

    def step(self, number: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        real = texture_sources.crops(self._images, self.params.batch, self._side, generator)
        real = real.contiguous(memory_format=torch.channels_last)
        is_odd = number % 2 == 0  # counted from 1
        if self.params.reg:
            losses = self._diffusion(real, generator) if is_odd else self._manifold(real)
        elif is_odd:
            losses = self._judge("discriminator", real, self._without_gradient(self._fields(generator)))
        else:
            losses = self._make("generator", "discriminator", self._generated(self._fields(generator)))
        return {name: value.detach() for name, value in losses.items()}

    def _manifold(self, real: Tensor) -> dict[str, Tensor]:
        """Images against their reconstructions, which are to be judged real and to be the images."""
        remade = self._remade(real)
        losses = self._judge("manifold", real, remade.detach())
        apart = self._apart(remade, real)
        losses |= self._make(
            "generator", "manifold", remade, weight=self.params.manifold_weight, beside=apart, also=("encoder",)
        )
        return losses | {"reconstruction": apart}

    def _diffusion(self, real: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """Reconstructions against images of noise; the encoder learns on."""
        made = self._generated(self._fields(generator))
        remade = self._remade(real)
        losses = self._judge("diffusion", remade.detach(), made.detach())
        losses |= self._make("generator_diffusion", "diffusion", made)
        apart = self._apart(self._remade(real), real)
        self._descend("encoder", apart)
        return {**losses, "reconstruction": apart}

    def _judge(self, name: str, real: Tensor, made: Tensor) -> dict[str, Tensor]:
        """One step of a discriminator: its logits are to be high for `real`."""
        network = self._networks[name]
        with self._autocast():
            high, low = network(real).float(), network(made).float()
        loss = F.softplus(-high).mean() + F.softplus(low).mean()  # -log D(x) - log(1 - D(G(z)))
        self._descend(name, loss)
        return {name: loss}

    def _make(
        self, adam: str, judge: str, made: Tensor, *, weight: float = 1.0, beside: Tensor | None = None,
        also: tuple[str, ...] = (),
    ) -> dict[str, Tensor]:  # fmt: skip
        """One step of the generator, whose images are to be judged real; `also` take the gradient of `beside` alone."""
        with self._autocast():
            adversarial = F.softplus(-self._networks[judge](made).float()).mean()  # -log D(G(z))
        shares = {}
        for name in also:
            assert beside is not None
            own = list(self._networks[name].parameters())
            shares[name] = torch.autograd.grad(beside, own, retain_graph=True)
        loss = weight * adversarial if beside is None else weight * adversarial + beside
        self._descend(adam, loss)
        for name, gradients in shares.items():
            for tensor, gradient in zip(self._networks[name].parameters(), gradients, strict=True):
                tensor.grad = gradient
            self._adams[name].step()
        return {"generator": adversarial}

    def _descend(self, name: str, loss: Tensor) -> None:
        adam = self._adams[name]
        adam.zero_grad()
        own = [tensor for group in adam.param_groups for tensor in group["params"]]
        if self.params.l2:
            loss = loss + self.params.l2 * torch.stack([tensor.square().sum() for tensor in own]).sum()
        gradients = torch.autograd.grad(loss, own, retain_graph=True)
        for tensor, gradient in zip(own, gradients, strict=True):
            tensor.grad = gradient
        adam.step()

    def _apart(self, remade: Tensor, real: Tensor) -> Tensor:
        """Half the squared difference: a mean over everything, or the published sum over pixels."""
        square = (remade.float() - real).square()
        whole = MEAN_FACTOR * square.mean() if self.params.reconstruction == "mean" else square.sum() / len(real)
        return 0.5 * self.params.reconstruction_weight * whole

    # What is made ---------------------------------------------------------------------------------------------------

    def _fields(self, generator: torch.Generator, count: int = 0, cells: int = 0) -> Tensor:
        return fields(
            self._networks["generator"], count or self.params.batch, cells or self.params.z_size, generator, self.device
        )

    def _generated(self, field: Tensor) -> Tensor:
        with self._autocast():
            return self._networks["generator"](field.contiguous(memory_format=torch.channels_last)).float()

    def _without_gradient(self, field: Tensor) -> Tensor:
        with torch.no_grad():
            return self._generated(field)

    def _remade(self, real: Tensor) -> Tensor:
        with self._autocast():
            return self._networks["generator"](self._networks["encoder"](real)).float()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.params.half)

    # What is shown and kept -----------------------------------------------------------------------------------------

    def _settled(self) -> SpatialGenerator:
        """The generator as it is, with statistics that are not those of the last few batches."""
        kept = self._new_generator().to(self.device).requires_grad_(False)
        kept.load_state_dict(self._networks["generator"].state_dict())
        generator = torch.Generator().manual_seed(0)
        settle(kept, [self._fields(generator) for _ in range(SETTLING)])
        return kept

    @torch.no_grad()
    def sample(self, generator: torch.Generator) -> np.ndarray:
        network = self._settled()
        made = network(self._fields(generator, SAMPLES, 2 * self.params.z_size))
        sheet = torch.cat(list(made), dim=2).permute(1, 2, 0)
        return ((sheet + 1.0) * 127.5).round().clamp(0, 255).byte().cpu().numpy()[..., :3]

    def weights(self) -> Mapping[str, Tensor]:
        return file_tensors(self._settled(), self._channels)

    def description(self) -> Mapping[str, Any]:
        return described(self._channels, self._shape())


def fields(network: nn.Module, count: int, cells: int, generator: torch.Generator, device: torch.device) -> Tensor:
    """Fields [count, channels, cells, cells] of random noise for a SpatialGenerator, drawn on the CPU."""
    assert isinstance(network, SpatialGenerator)
    drawn = torch.rand(count, network.local, cells, cells, generator=generator) * 2.0 - 1.0
    around = torch.rand(count, network.around, generator=generator) * 2.0 - 1.0
    phases = torch.rand(count, network.periodic, generator=generator) * 2.0 * torch.pi
    return network.field(drawn.to(device), around.to(device), phases.to(device))
