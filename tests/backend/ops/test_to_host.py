"""Bands of a map on their way to the host."""

from __future__ import annotations

import pytest
import torch

from backend.ops.to_host import BUFFERS, BandsToHost

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no card"))]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rows", [1, 3 * BUFFERS + 1, 40])
def test_every_band_arrives_where_it_belongs(device: str, rows: int) -> None:
    """More bands than buffers, the last one smaller."""
    given = torch.randn(rows, 1000, device=device)
    made = torch.empty(rows, 1000)
    bands = BandsToHost(made, given.device)
    for top in range(0, rows, 3):
        bands.put(top, given[top : top + 3] * 2.0)
    bands.finish()
    assert torch.equal(made, given.cpu() * 2.0)
