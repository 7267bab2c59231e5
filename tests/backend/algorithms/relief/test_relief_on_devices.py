"""Relief transfer from end to end, on every device, in plain torch and with a card's kernels: as good as with those of the CPU."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from torch import Tensor

from backend.algorithms.relief.relief_transfer import TransferSettings, transfer_relief
from backend.measures import terrain_statistics as statistics
from backend.ops import dispatch
from backend.ops.terrain.depressions import pit_fraction
from backend.runtime.threads import torch_threads

WAYS = [("cpu", "plain"), *([("cuda", "plain"), ("cuda", "")] if torch.cuda.is_available() else [])]


def hills(rows: int, columns: int, seed: int, sigma: float) -> Tensor:
    values = gaussian_filter(np.random.default_rng(seed).standard_normal((rows, columns)), sigma)
    return torch.from_numpy(((values - values.min()) / np.ptp(values) * 800).astype(np.float32))


@pytest.mark.parametrize(("device", "impl"), WAYS)
@pytest.mark.parametrize("classes", [False, True])
def test_relief_transfer_on_a_device(device: str, impl: str, classes: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, exemplars = hills(64, 70, 1, 7.0), [hills(70, 80, 2, 2.5), hills(70, 60, 3, 4.0)]
    labels = None
    if classes:
        labels = torch.zeros(layout.shape, dtype=torch.uint8)
        labels[:, 35:] = 1
    used = exemplars if classes else exemplars[:1]

    def run(place: str) -> Tensor:
        with torch_threads(1):  # at this size threads wait for each other
            made = transfer_relief(
                layout.to(place), [exemplar.to(place) for exemplar in used], TransferSettings(steps=4, filters=12),
                torch.Generator().manual_seed(4), classes=None if labels is None else labels.to(place),
            )  # fmt: skip
        assert made.device.type == place
        assert made.dtype == torch.float32
        return made.cpu()

    compiled = run("cpu")
    monkeypatch.setenv(dispatch.VARIABLE, impl)
    other = run(device)
    assert pit_fraction(other) == 0.0
    found, expected = (
        statistics.compare(made.numpy(), used[0].numpy(), 30.0, layout.numpy()) for made in (other, compiled)
    )
    assert found.slope == pytest.approx(expected.slope, abs=0.05)
    assert found.held_out == pytest.approx(expected.held_out, rel=0.1)
    assert found.layout == pytest.approx(expected.layout, abs=0.02)
