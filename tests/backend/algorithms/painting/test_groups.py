"""Segments with settings of their own get their strokes, their brushes and their place in the painting order."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import backend
from backend.algorithms.painting.groups import Group, Plan, groups
from backend.algorithms.painting.scene import Scene
from backend.algorithms.painting.segments import Segments
from shared.arrays import CLASS_MAP, COLOR_IMAGE, STROKES, Array
from shared.errors import InvalidInput, InvalidParameter
from shared.segment_settings import read_settings
from shared.srgb import srgb_to_linear
from shared.strokes import INDEX

SIDE = 64
PLAN = Plan(100, 3, (0.2, 0.03), 0.8)
QUICK: dict[str, Any] = {"device": "cpu", "budget": 120, "layers": 3, "steps": 4, "smallest": 5.0, "bristles": 0.0}


def _classes() -> np.ndarray:
    classes = np.zeros((SIDE, SIDE), np.uint8)
    classes[:, 20:40], classes[40:44, 50:54] = 3, 7
    return classes


def _scene() -> Scene:
    random = torch.rand(SIDE, SIDE, 3, generator=torch.Generator().manual_seed(1))
    picture = torch.where(torch.from_numpy(_classes() == 3)[..., None], random, torch.full_like(random, 0.4))
    return Scene(picture, torch.zeros_like(picture), Segments.of(_classes(), torch.device("cpu")))


def _groups(settings: dict[str, Any]) -> list[Group]:
    scene = _scene()
    return groups(scene, PLAN, read_settings(json.dumps(settings), scene.segments.numbers))


def _strokes(group: Group) -> int:
    return sum(layer.count for layer in group.layers)


def test_without_settings_there_is_one_plan_for_all() -> None:
    (whole,) = _groups({})
    assert whole.labels == ()
    assert _strokes(whole) == PLAN.budget


def test_strokes_and_shares_are_kept_to_and_the_rest_goes_to_the_others() -> None:
    rest, third, seventh = _groups({"3": {"strokes": 33}, "7": {"share": 5}})
    assert [_strokes(group) for group in (rest, third, seventh)] == [62, 33, 5]
    assert [group.labels for group in (rest, third, seventh)] == [(0,), (1,), (2,)]


def test_strokes_that_nobody_gives_go_where_the_detail_is() -> None:
    rest, third = _groups({"3": {"smallest": 1.6}})
    assert _strokes(rest) + _strokes(third) == PLAN.budget
    assert _strokes(third) > 2 * _strokes(rest), "a third of the picture, and all of its detail"


def test_brushes_are_a_segments_own_and_no_wider_than_it() -> None:
    rest, third, seventh = _groups({"3": {"largest": 10, "smallest": 5}, "7": {"strokes": 4}})
    assert [layer.radius_px for layer in third.layers] == pytest.approx([3.2, 3.2 / 2**0.5, 1.6])
    assert rest.layers[0].radius_px == pytest.approx(6.4)
    assert max(layer.radius_px for layer in seventh.layers) <= 2.5


def test_a_width_that_is_given_bounds_the_other() -> None:
    (_, fine), (_, coarse) = _groups({"3": {"largest": 2}}), _groups({"3": {"smallest": 30}})
    assert [layer.radius_px for layer in fine.layers] == pytest.approx([0.64] * 3)
    assert [layer.radius_px for layer in coarse.layers] == pytest.approx([9.5] * 3), "half of the strip's 20 px"


def test_no_strokes_leave_a_segment_out() -> None:
    assert [group.labels for group in _groups({"3": {"strokes": 0}})] == [(0, 2)]
    everything = {number: {"strokes": 0} for number in ("0", "3", "7")}
    with pytest.raises(InvalidParameter, match="every segment has 0 strokes"):
        _groups(everything)


def test_more_strokes_than_there_are_cannot_be_given_away() -> None:
    with pytest.raises(InvalidParameter, match="give away 130 strokes, and the painting has 100"):
        _groups({"3": {"strokes": 90}, "7": {"share": 40}})
    with pytest.raises(InvalidInput, match="1 strokes are left for 2 other segments"):
        _groups({"3": {"strokes": 99}})


def _painted(settings: dict[str, Any], **more: Any) -> np.ndarray:
    image = Array(COLOR_IMAGE, srgb_to_linear(_scene().picture.numpy()).astype(np.float32))
    text = json.dumps(settings)
    segments = Array(CLASS_MAP, _classes(), {"names": ["ground", "", "", "wall", "", "", "", "door"]})
    made = backend.run("paint", image=image, segments=segments, segment_settings=text, **(QUICK | more))
    assert made["strokes"].kind is STROKES
    return made["strokes"].values


def test_a_painting_follows_the_settings() -> None:
    settings = {"wall": {"strokes": 50, "largest": 8, "order": -1, "opacity": 0.5}, "door": {"strokes": 6, "order": 4}}
    values = _painted(settings, opacity="varying")
    segment, layer = (values[:, INDEX[name]] for name in ("segment", "layer"))
    assert [(segment == number).sum() for number in (0, 3, 7)] == [64, 50, 6]
    for number in (1, 2):  # the undercoat of all segments lies below the first layer
        inside = segment[layer == number]
        places = [np.flatnonzero(inside == which) for which in (3, 0, 7)]
        assert places[0].max() < places[1].min() < places[1].max() < places[2].min(), "wall, ground, door"
    wall = values[segment == 3]
    assert wall[:, [INDEX["r0"], INDEX["r2"]]].max() <= 1.6 * 0.04 + 1e-6
    assert wall[:, [INDEX["t0"], INDEX["t2"]]].max() <= 0.5
    assert values[segment == 0][:, INDEX["t0"]].max() > 0.9


def test_settings_without_segments_are_refused() -> None:
    image = Array(COLOR_IMAGE, np.full((SIDE, SIDE, 3), 0.2, np.float32))
    with pytest.raises(InvalidParameter, match="There are settings of segments, and the picture has none"):
        backend.run("paint", image=image, segment_settings='{"sky": {"strokes": 2}}', **QUICK)
