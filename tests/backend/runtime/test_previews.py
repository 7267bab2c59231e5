"""Previews: small, of the port's own kind, and reduced as its values allow."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from backend.runtime.context import JobContext
from backend.runtime.previews import MAX_ITEMS, SIDE_PX, Previews, reduce, reduce_map
from shared import texture_set
from shared.arrays import CLASS_MAP, NORMAL_MAP, STROKES, Array, check
from shared.strokes import COLUMNS
from tests.support.toy_engines.catalog import toy_material, toy_terrain


def test_numbers_are_averaged_and_classes_are_picked() -> None:
    heights = np.arange(1024 * 700, dtype=np.float32).reshape(1024, 700)
    reduced, factor = reduce_map(heights)
    assert factor == 2
    assert reduced.shape == (512, 350)
    assert reduced[3, 5] == heights[6:8, 10:12].mean()
    classes = np.random.default_rng(0).integers(0, 5, (1024, 700)).astype(np.uint8)
    picked, _ = reduce(CLASS_MAP, classes)
    np.testing.assert_array_equal(picked, classes[1::2, 1::2])


def test_normals_stay_unit() -> None:
    angles = np.linspace(-1.2, 1.2, 2 * SIDE_PX)
    normals = np.stack([np.sin(angles), 0 * angles, np.cos(angles)], axis=-1)[None].repeat(2 * SIDE_PX, 0)
    reduced, factor = reduce(NORMAL_MAP, normals.astype(np.float32))
    assert factor == 2
    np.testing.assert_allclose(np.linalg.norm(reduced, axis=-1), 1.0, atol=1e-6)


def test_strokes_are_thinned_not_averaged() -> None:
    strokes = np.zeros((MAX_ITEMS + 1, len(COLUMNS)), np.float32)
    strokes[:, -1] = np.arange(len(strokes))
    reduced, factor = reduce(STROKES, strokes)
    assert factor == 2
    np.testing.assert_array_equal(reduced[:, -1], np.arange(0, len(strokes), 2))
    few, factor = reduce(STROKES, strokes[:1])
    assert few.shape == (1, len(COLUMNS))
    assert factor == 1


def test_ports_that_belong_together_come_together_in_their_kinds() -> None:
    shown: list[dict[str, Array]] = []
    job = JobContext(on_preview=Previews(toy_terrain.SPEC, 10.0, shown.append))
    heights = torch.zeros(1, 1, 2 * SIDE_PX, 8)
    job.preview(height=heights, albedo=lambda: torch.full((2 * SIDE_PX, 8, 3), 0.5))
    assert list(shown[0]) == ["height", "albedo"]
    assert shown[0]["height"].values.shape == (SIDE_PX, 4)
    assert shown[0]["height"].pixel_size_m == 20.0
    assert all(check(array) is array for array in shown[0].values())


def test_an_array_keeps_what_it_says_of_itself() -> None:
    shown: list[dict[str, Array]] = []
    made = texture_set.stack({"base_color": np.zeros((4, 4, 3)), "roughness": np.ones((4, 4))})
    JobContext(on_preview=Previews(toy_material.SPEC, 1.0, shown.append)).preview(material=made)
    assert set(texture_set.split(shown[0]["material"])) == {"base_color", "roughness"}


def test_nothing_is_made_where_nobody_looks_or_too_soon() -> None:
    def never() -> Any:
        raise AssertionError("made for nobody")

    JobContext().preview(height=never)
    shown: list[Any] = []
    job = JobContext(on_preview=shown.append)
    job.preview(height=1)
    job.preview(height=never)
    assert shown == [{"height": 1}]
