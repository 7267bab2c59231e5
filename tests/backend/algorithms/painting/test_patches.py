"""The published scheme's parts: a cover whose ramps add up, windows that attend to what differs, and its filter."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from backend.algorithms.painting.patch_cover import OVERLAP, PATCH, STRIDE, Cover, cut, laid_over
from backend.algorithms.painting.patch_renderers import AnalyticRenderer
from backend.algorithms.painting.patch_scheme import Manner, lies_inside, manners, paint
from backend.algorithms.painting.patch_windows import APART_PX, attended
from backend.algorithms.painting.scene import Scene
from backend.algorithms.painting.segments import Segments
from shared.errors import InvalidParameter
from shared.segment_settings import read_settings


@pytest.mark.parametrize("shape", [(128, 128), (236, 344), (129, 301), (40, 500)])
def test_a_pictures_own_patches_give_it_back(shape: tuple[int, int]) -> None:
    image = torch.rand(*shape, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    cover = Cover.of(shape)
    padded = cover.padded(image)
    assert [(side - OVERLAP) % STRIDE for side in padded.shape[:2]] == [0, 0]
    torch.testing.assert_close(cover.composed(cut(padded, cover.corners)), image, atol=1e-6, rtol=0)
    torch.testing.assert_close(laid_over(padded, cut(padded, cover.corners), cover.corners), padded)


def test_windows_attend_to_what_differs_most_and_keep_apart() -> None:
    difference = torch.zeros(452, 452)
    difference[300:428, 20:148] = 1.0
    corners = Cover.of((452, 452)).corners
    windows = attended(difference, corners, 1, None, torch.Generator().manual_seed(2))
    scores = cut(difference[..., None], windows).flatten(1).mean(1)
    assert len(windows) == int(len(corners) * 0.6)
    assert scores[0] == scores.max() > 0.2
    for number, window in enumerate(windows):
        for other in windows[:number]:
            assert (window - other).abs().max() >= APART_PX


def test_windows_of_a_mask_have_their_centres_in_it() -> None:
    mask = torch.zeros(452, 452, dtype=torch.bool)
    mask[100:200, 150:400] = True
    corners = Cover.of((452, 452)).corners
    windows = attended(torch.rand(452, 452), corners, 2, mask, torch.Generator().manual_seed(2))
    assert 1 <= len(windows) <= 10
    centres = windows + PATCH // 2
    assert bool(mask[centres[:, 0], centres[:, 1]].all())
    nowhere = torch.zeros(452, 452, dtype=torch.bool)
    assert len(attended(torch.rand(452, 452), corners, 2, nowhere, torch.Generator().manual_seed(2))) == 0


def test_the_filter_asks_for_area_and_ends() -> None:
    mask = torch.zeros(PATCH, PATCH, dtype=torch.bool)
    mask[:, :64] = True

    def stroke(start: float, end: float, radius: float) -> list[float]:
        return [0.5, start, 0.5, 0.5, 0.5, end, radius, radius, 1, 1, 0.2, 0.2, 0.2]

    strokes = torch.tensor(
        [stroke(0.1, 0.3, 0.1), stroke(0.1, 0.7, 0.1), stroke(0.1, 0.49, 0.1), stroke(0.05, 0.502, 0.0)]
    )
    assert lies_inside(strokes, mask).tolist() == [True, False, False, False]


def test_a_picture_comes_closer_from_pass_to_pass_and_strokes_stay_in_their_segments() -> None:
    rows, columns = torch.meshgrid(torch.arange(128) / 128, torch.arange(128) / 128, indexing="ij")
    picture = torch.stack([rows, columns, (columns > 0.5).float()], dim=2)
    labels = (columns > 0.5).numpy().astype("uint8")
    scene = Scene(picture, torch.zeros_like(picture), Segments.of(labels, torch.device("cpu")))
    seen: list[float] = []

    def progress(_share: float, _stage: str, image: Callable[[], Tensor]) -> bool:
        error = float((image() - picture).abs().mean())
        if not seen or error != seen[-1]:
            seen.append(error)
        return True

    strokes, made = paint(scene, 4, torch.Generator().manual_seed(0), progress, AnalyticRenderer())
    seen.append(float((made - picture).abs().mean()))
    assert seen[-1] < 0.5 * seen[0]
    assert strokes.layer.max() == 3
    later = strokes.layer > 0
    ends = strokes.geometry[later][:, (1, 5)] / 128 > 0.5
    assert bool((ends == (strokes.segment[later] == 1)[:, None]).all())
    assert int((strokes.layer == 0).sum()) == 9


def _named(names: tuple[str, ...]) -> Segments:
    classes = np.repeat(np.arange(len(names), dtype=np.uint8), 8)[:, None].repeat(16, axis=1)
    return Segments.of(classes, torch.device("cpu"), names)


def test_named_segments_are_painted_from_back_to_front_in_their_numbers_of_strokes() -> None:
    segments = _named(("potted plant", "person", "tree-merged", "sky-other-merged", "chair"))
    found = manners(segments, {})
    assert [manner.label for manner in found] == [3, 2, 4, 1, 0]
    assert [manner.strokes for manner in found] == [9, 64, None, 64, None]


def test_settings_go_before_the_schemes_own() -> None:
    segments = _named(("person", "sky"))
    settings = read_settings('{"person": {"order": -1, "strokes": 25}}', segments.numbers, segments.names)
    assert manners(segments, settings) == [Manner(0, 25), Manner(1, 9)]
    for text, said in (('{"sky": {"smallest": 3}}', "'sky' has smallest"), ('{"sky": {"strokes": 5000}}', "5000 str")):
        with pytest.raises(InvalidParameter, match=said):
            manners(segments, read_settings(text, segments.numbers, segments.names))
