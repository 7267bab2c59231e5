"""The networks of SPADE-Terrain-GAN: their sizes, borders, noise and shading, as published."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from backend.models.patch_discriminator import MultiScale, selu_patches
from backend.models.shadow_generator import ShadowGenerator, differences
from backend.models.spade_generator import AddedNoise, SpadeGenerator
from backend.models.symmetric_convolution import glorot, mirrored

CLASSES = 7


def count(network: nn.Module) -> int:
    return sum(tensor.numel() for tensor in network.parameters())


def noise(seed: int, strength: float = 1.0):
    source = torch.Generator().manual_seed(seed)
    return lambda number, channels, size: strength * torch.randn(1, channels, *size, generator=source)


def small(modulated: bool = False, strength: float = 0.5) -> SpadeGenerator:
    network = SpadeGenerator(CLASSES, width=32, hidden=8, modulated=modulated)
    glorot(network, torch.Generator().manual_seed(0))
    for module in network.modules():
        if isinstance(module, AddedNoise):
            nn.init.constant_(module.strength, strength)
    return network.requires_grad_(False)


def test_the_networks_have_the_published_numbers_of_parameters() -> None:
    with torch.device("meta"):
        assert count(SpadeGenerator(CLASSES, width=768)) == 90_509_044
        assert count(ShadowGenerator()) == 641
        judges = MultiScale(13, 128, (1, 4, 16), selu_patches)
        assert [tuple(part.shape[2:]) for part in judges([torch.empty(1, 13, side, side) for side in (256, 64, 16)])] == [
            (32, 32), (8, 8), (2, 2),
        ]  # fmt: skip


@pytest.mark.parametrize("margin", [1, 2, 3])
def test_borders_are_mirrored_with_the_border_pixel(margin: int) -> None:
    values = torch.rand(1, 1, 4, 1 if margin == 3 else 5)
    padded = np.pad(values[0, 0].numpy(), margin, mode="symmetric")
    assert np.array_equal(mirrored(values, margin)[0, 0].numpy(), padded)


@pytest.mark.parametrize("modulated", [False, True])
@pytest.mark.parametrize("shape", [(64, 64), (32, 96), (70, 41)])
def test_any_size_of_map_gives_four_channels(modulated: bool, shape: tuple[int, int]) -> None:
    made = small(modulated)(torch.rand(2, CLASSES, *shape), torch.rand(2, 16), noise(0))
    assert made.shape == (2, 4, *shape)
    assert made.isfinite().all()


@pytest.mark.parametrize("modulated", [False, True])
def test_seeds_make_variations_and_one_seed_makes_one_map(modulated: bool) -> None:
    network, classes, latent = small(modulated), torch.zeros(1, CLASSES, 64, 64), torch.full((1, 16), 0.5)
    classes[:, 2] = 1.0
    made = torch.stack([network(classes, latent, noise(seed)) for seed in (1, 2, 1)])
    assert float(made[:2].var(0).mean()) > 1e-4
    assert torch.equal(made[0], made[2])


@pytest.mark.parametrize("modulated", [False, True])
def test_one_class_repeats_without_noise_and_does_not_with_it(modulated: bool) -> None:
    """Highest autocorrelation away from the centre: 1 where a map repeats itself."""
    classes, latent = torch.zeros(1, CLASSES, 96, 96), torch.full((1, 16), 0.5)
    classes[:, 4] = 1.0
    if modulated:  # version 1.0 divides by the deviation, which turns rounding on level maps into waves
        silent = small(modulated)(classes, latent, noise(0, strength=0.0))
        assert float(silent.std((2, 3)).max()) < 1e-5, "the same at every pixel"
    made = small(modulated)(classes, latent, noise(0))[0, 3]
    made = made - made.mean()
    assert float(made.std()) > 0.02
    spectrum = torch.fft.fft2(made).abs().square()
    correlation = torch.fft.fftshift(torch.fft.ifft2(spectrum).real / made.square().sum())
    correlation[24:73, 24:73] = 0.0
    assert float(correlation.max()) < 0.5


def test_shading_changes_lightness_alone_and_level_ground_by_one_amount() -> None:
    network = ShadowGenerator()
    glorot(network, torch.Generator().manual_seed(1))
    nn.init.constant_(network.conv.bias, 0.3)
    raw = torch.randn(1, 4, 24, 24, generator=torch.Generator().manual_seed(2)) * 0.5
    with torch.no_grad():
        lit, level = network(raw), network(torch.cat([raw[:, :3], torch.zeros(1, 1, 24, 24)], 1))
    torch.testing.assert_close(lit[:, 1:], torch.tanh(raw[:, 1:]))
    assert (lit[:, 0] - torch.tanh(raw[:, 0])).abs().max() > 1e-3
    shift = torch.atanh(level[:, 0].double()) - raw[:, 0].double()
    assert float(shift.max() - shift.min()) < 1e-4
    assert float(shift.abs().max()) > 1e-3


@pytest.mark.parametrize("axis", [2, 3])
def test_differences_change_sign_where_a_map_is_mirrored(axis: int) -> None:
    height = torch.randn(1, 1, 12, 9)
    straight, mirror = differences(height), differences(height.flip(axis))
    along, across = (0, 1) if axis == 2 else (1, 0)
    torch.testing.assert_close(mirror.narrow(axis, 1, height.shape[axis] - 1)[:, along],
                               -straight.narrow(axis, 1, height.shape[axis] - 1).flip(axis)[:, along])  # fmt: skip
    torch.testing.assert_close(mirror[:, across], straight.flip(axis)[:, across])
    assert torch.equal(differences(torch.full((1, 1, 5, 5), 2.0)), torch.zeros(1, 2, 5, 5))
