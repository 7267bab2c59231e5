"""The network that draws strokes has the published layers, and draws alphas of a patch."""

from __future__ import annotations

import torch
from torch import nn

from backend.models.stroke_renderer import StrokeRenderer, initialise


def test_the_layers_are_the_published_ones() -> None:
    network = StrokeRenderer()
    linear = [tuple(layer.weight.shape) for layer in network.linear if isinstance(layer, nn.Linear)]
    assert linear == [(512, 10), (1024, 512), (2048, 1024), (4096, 2048)]
    convolutions = [tuple(layer.weight.shape[:2]) for layer in network.conv if isinstance(layer, nn.Conv2d)]
    assert convolutions == [(32, 16), (32, 32), (16, 8), (16, 16), (8, 4), (4, 8)]
    assert sum(tensor.numel() for tensor in network.parameters()) == 11_040_812


def test_it_draws_a_patch_for_every_stroke() -> None:
    network = StrokeRenderer(hidden=(16, 16, 16))
    initialise(network, torch.Generator().manual_seed(0))
    shapes = torch.rand(3, 10, generator=torch.Generator().manual_seed(1))
    made = network(shapes)
    assert made.shape == (3, 128, 128)
    assert bool(((made > 0) & (made < 1)).all())
    torch.testing.assert_close(network(shapes[1:2])[0], made[1])
    again = StrokeRenderer(hidden=(16, 16, 16))
    initialise(again, torch.Generator().manual_seed(0))
    assert bool((again(shapes) == made).all())
