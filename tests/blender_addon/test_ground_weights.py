"""Which ground lies where on a terrain: by class, steepness and streams, and by colours between two classes. Needs no Blender."""

from __future__ import annotations

import numpy as np

from blender_addon.writers.grounds import weights

NAMES = ("Water", "Grassland", "Snow and Ice")
SIDE = 64


def test_steep_ground_and_streams_take_their_share_and_all_is_one() -> None:
    numbers = np.ones((SIDE, SIDE), np.uint8)
    numbers[:, 40:] = 2
    numbers[:8] = 0
    slope, flow = np.zeros((SIDE, SIDE), np.float32), np.ones((SIDE, SIDE), np.float32)
    slope[20:30] = np.radians(60.0)
    flow[50] = 3000.0
    found = weights.of(NAMES, numbers, slope, flow)
    assert set(found) == {"Grassland", "Snow and Ice", weights.STEEP, weights.STREAMS}
    total = np.sum(list(found.values()), axis=0)
    np.testing.assert_allclose(total[10:], 1.0, atol=1e-5)
    np.testing.assert_allclose(total[:6], 0.0, atol=1e-5)
    assert found["Grassland"][35, 10] == found["Snow and Ice"][35, 60] == 1.0
    assert found[weights.STEEP][25, 10] == 1.0
    assert found["Snow and Ice"][25, 60] == 1.0, "snow stays snow"
    assert found[weights.STREAMS][50, 10] > 0.9


def test_near_a_border_the_colour_says_where_a_class_ends() -> None:
    numbers = np.where(np.arange(SIDE) < 30, 1, 2).astype(np.uint8) * np.ones((SIDE, 1), np.uint8)
    shown = np.where(np.arange(SIDE) < 34, 0.1, 0.8)[None, :, None] * np.ones((SIDE, 1, 3))
    flat = np.zeros((SIDE, SIDE), np.float32)
    plain = weights.of(NAMES, numbers, flat, None)["Grassland"][32]
    found = weights.of(NAMES, numbers, flat, None, shown.astype(np.float32))["Grassland"][32]
    assert plain[32] < 0.01
    assert found[32] > 0.98
    assert found[36] < 0.02
    assert found[60] < 0.01 < 0.99 < found[3]
