"""Photographs worked on together, as on a card, against one after the other: the same pixels, the same texture."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from backend.algorithms.scan.inputs import open_scan
from backend.algorithms.scan.stacks import Stack, Stacks
from backend.algorithms.scan.views import ViewStream
from backend.algorithms.scan_texture import solve_scan
from backend.ops.photos.alignment import Displacement
from backend.ops.photos.view_weights import WeightSettings
from backend.runtime.context import JobContext
from shared.arrays import MASK, Array
from shared.catalog.scan_texture import ScanTextureParams
from tests.support.devices import DEVICES
from tests.support.small_scan import SmallScan, small_scan

WIDTH, HEIGHT = 60, 50


def scan_with_masks(views: int) -> tuple[SmallScan, dict[str, Any]]:
    scan = small_scan(
        views, width=WIDTH, height=HEIGHT, focal_px=70.0, poses_px=0.6, gains=np.linspace(0.8, 1.2, views)
    )
    mask = np.ones((HEIGHT, WIDTH), np.float32)
    mask[:, :7] = 0.25
    return scan, scan.inputs(masks=[Array(MASK, mask) for _ in range(views)])


@pytest.mark.parametrize(
    "more", [{"hold_out": 3}, {"alignment": "shift", "gradient_weight": 0.5}, {"alignment": "none"}]
)
def test_a_texture_is_the_same_to_the_bit_from_photographs_together(more: dict[str, Any]) -> None:
    _, inputs = scan_with_masks(5)
    params = ScanTextureParams(size=64, **more)
    made = [solve_scan(params, inputs, JobContext(), together=together) for together in (False, True)]
    assert made[0]["coverage"][0].values.max() > 2
    for port in ("texture", "coverage", "confidence"):
        np.testing.assert_array_equal(made[1][port][0].values, made[0][port][0].values)
    np.testing.assert_array_equal(made[1]["report"].values, made[0]["report"].values)


def stream(scan: SmallScan, device: str) -> ViewStream:
    return ViewStream(
        torch.from_numpy(scan.mesh).to(device), None, WeightSettings(), lambda: None, torch.device(device)
    )


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("reduction", [1, 2])
@pytest.mark.parametrize(
    ("budget", "stacks"), [(1 << 30, 1), (3_500_000, 2), (2_000_000, 3)]
)  # the first is drawn once
def test_stacks_have_the_pixels_of_strips(budget: int, stacks: int, reduction: int, device: str) -> None:
    scan, inputs = scan_with_masks(5)
    views = open_scan(ScanTextureParams(size=64), inputs).views
    nodes = np.random.default_rng(1).uniform(-2, 2, (5, 3, 3, 2))
    moved = [Displacement(own, 30.0, rigid=False) for own in nodes]
    together, alone = Stacks(stream(scan, device), budget), stream(scan, device)
    assert together.take(views)
    together.keep(views)
    if stacks == 1:
        alone.keep(views)
    found: list[Stack] = []
    for stack in together.of([views[0], views[2], views[3]], reduction):
        found.append(stack)
        strip = together.strip(stack, reduction, [moved[view.index] for view in stack.views])
        for own, view in enumerate(stack.views):
            frame = next(frame for _, frame in alone.frames([view], reduction))
            (expected,) = alone.strips(frame, reduction, moved[view.index])
            seen = expected.weights > 0
            assert seen.float().mean() > 0.1
            torch.testing.assert_close(strip.weights[own], expected.weights, rtol=1e-6, atol=1e-6)
            assert torch.equal(strip.pixels[own], expected.pixels)
            torch.testing.assert_close(strip.uv[own][seen], expected.uv[seen], rtol=1e-6, atol=1e-6)
    assert [view.index for stack in found for view in stack.views] == [0, 2, 3]
    assert len(found) == stacks or reduction > 1


def test_photographs_that_do_not_fit_are_not_taken() -> None:
    scan, inputs = scan_with_masks(2)
    assert not Stacks(stream(scan, "cpu"), 1 << 18).take(open_scan(ScanTextureParams(size=64), inputs).views)
