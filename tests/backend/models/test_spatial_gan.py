"""The spatial GAN's networks: their size law, what a cell of noise reaches, and fields that move and repeat."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from backend.models.spatial_gan import (
    SpatialGenerator,
    discriminator,
    encoder,
    footprint_px,
    image_side,
    initialise,
    settle,
)


def generator(layers: int = 5, **shape: Any) -> SpatialGenerator:
    """Small, with weights that give contrast and statistics that are settled."""
    draw = torch.Generator().manual_seed(1)
    network = SpatialGenerator(3, **{"layers": layers, "width": 4, "local": 5, **shape})
    initialise(network, draw)
    for module in network.modules():
        if isinstance(module, torch.nn.ConvTranspose2d):
            module.weight.data *= 5.0
    depth = network.local + network.around + network.periodic
    settle(network, [torch.rand(2, depth, 6, 6, generator=draw) * 2 - 1 for _ in range(2)])
    return network.requires_grad_(False)


@pytest.mark.parametrize("layers", [3, 4, 5, 6])
def test_the_size_law_and_the_field_of_judgements(layers: int) -> None:
    cells = 3
    image = generator(layers)(torch.zeros(1, 5, cells, cells + 1))
    assert image.shape == (1, 3, image_side(cells, layers), image_side(cells + 1, layers))
    assert image_side(cells, layers) == 2**layers * (cells - 1) + 1
    assert discriminator(3, layers=layers, width=4)(image).shape == (1, 1, cells, cells + 1)
    assert encoder(3, 5, layers=layers, width=4)(image).shape == (1, 5, cells, cells + 1)


def test_five_layers_as_published() -> None:
    network = SpatialGenerator(3)
    shapes = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, torch.nn.ConvTranspose2d)]
    assert shapes == [(100, 512, 5, 5), (512, 256, 5, 5), (256, 128, 5, 5), (128, 64, 5, 5), (64, 3, 5, 5)]
    judge = [m.weight.shape[0] for m in discriminator(3).modules() if isinstance(m, torch.nn.Conv2d)]
    assert judge == [64, 128, 256, 512, 1]
    assert [footprint_px(n) for n in range(1, 6)] == [5, 13, 29, 61, 125]


def test_a_cell_of_noise_reaches_its_footprint_and_no_farther() -> None:
    network = generator()
    field = torch.rand(1, 5, 9, 9)
    changed = field.clone()
    changed[..., 4, 4] += 0.5
    apart = (network(field) - network(changed)).abs().amax(1)[0]
    rows = torch.nonzero(apart.amax(1) > 0).flatten()
    assert int(rows.max() - rows.min()) + 1 <= footprint_px(5)
    assert abs(int(rows.min() + rows.max()) // 2 - 4 * 32) <= 1


def test_a_field_that_moves_by_a_cell_moves_the_image_by_two_to_the_layers() -> None:
    network = generator(4)
    field = torch.rand(1, 5, 9, 9) * 2 - 1
    image, moved = network(field), network(field[..., 1:])
    inside = slice(32, -32)  # what the edge of a field reaches is less than two cells
    assert torch.allclose(image[..., 16:][..., inside, inside], moved[..., inside, inside], atol=1e-6)


def test_periodic_dimensions_are_waves_that_fit_a_tile() -> None:
    network = generator(3, periodic=3, around=2)
    around, phases = torch.rand(1, 2), torch.rand(1, 3)
    noise = torch.zeros(1, 5, 8, 12)
    field = network.field(noise, around, phases, period=(4, 6))
    waves = field[:, -3:]
    assert torch.allclose(waves[..., :4, :6], waves[..., 4:, 6:], atol=1e-5)
    free = network.field(noise, around, phases)[:, -3:]
    assert not torch.allclose(free[..., :4, :6], free[..., 4:, 6:], atol=1e-2)
    assert torch.allclose(
        free[..., 2:, 3:], network.field(noise[..., 2:, 3:], around, phases, first=(2, 3))[:, -3:], atol=1e-5
    )
    assert field.shape[1] == 10
    assert float(free.abs().max()) <= 1.0
    assert math.isfinite(float(free.sum()))
