"""Draining towards lakes: what may end inside the map."""

from __future__ import annotations

import pytest
import torch

from backend.ops.terrain.drainage import drain


def crater(side: int = 41) -> tuple[torch.Tensor, torch.Tensor]:
    """A bowl inside a rim, and its floor."""
    axis = torch.arange(side) - side // 2
    distance = torch.hypot(axis[:, None].float(), axis[None].float())
    return torch.where(distance < 15.0, 10.0 + distance, 40.0 - distance), distance < 4.0


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_a_lake_spares_the_rim(impl: str) -> None:
    height, lake = crater()
    made = drain(height, cut_share=1.0, drop=1e-3, outlets=lake, impl=impl)  # pyright: ignore[reportArgumentType]
    assert torch.equal(made, drain(height, cut_share=1.0, drop=1e-3, outlets=lake))
    torch.testing.assert_close(made, height, rtol=0.0, atol=0.1)  # a bowl drains to its lake as it is
    cut = drain(height, cut_share=1.0, drop=1e-3, impl=impl)  # pyright: ignore[reportArgumentType]
    assert float((height - cut).max()) > 5.0, "without the lake the rim is cut through"


def test_outlets_keep_their_heights() -> None:
    height = torch.rand(30, 30, generator=torch.Generator().manual_seed(0))
    lake = torch.zeros(30, 30, dtype=torch.bool)
    lake[10:14, 5:9] = True
    height[lake] = 0.5
    for impl in ("cpu", "plain"):
        made = drain(height, cut_share=0.4, drop=1e-4, outlets=lake, impl=impl)  # pyright: ignore[reportArgumentType]
        assert torch.equal(made[lake], height[lake])
        lowest = -torch.nn.functional.max_pool2d(-made[None], 3, 1, 1)[0]
        inside = torch.zeros_like(lake)
        inside[1:-1, 1:-1] = True
        assert (lowest < made)[inside & ~lake].all(), "all other cells have a lower neighbour"


def test_outlets_of_another_size_are_refused() -> None:
    with pytest.raises(ValueError, match="outlets"):
        drain(torch.zeros(4, 4), outlets=torch.zeros(3, 4, dtype=torch.bool))
