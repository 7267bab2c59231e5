"""Paintings as a whole: they come close to the picture, keep to its segments, and say what is wrong with what they are given."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.ndimage
import torch

import backend
from backend.ops.strokes.codec import from_columns
from backend.ops.strokes.compositing import Segments, composite_with_leak
from shared.arrays import CLASS_MAP, COLOR_IMAGE, STROKES, Array
from shared.errors import InvalidInput, InvalidParameter
from shared.srgb import linear_to_srgb, srgb_to_linear
from shared.strokes import INDEX

SIDE = 64
QUICK: dict[str, Any] = {"device": "cpu", "budget": 120, "layers": 3, "steps": 8, "smallest": 5.0, "bristles": 0.0}


def _picture(side: int = SIDE) -> np.ndarray:
    """A disc before a slope with waves, encoded [H, W, 3]."""
    rows, columns = np.mgrid[0:side, 0:side] / side
    disc = (rows - 0.55) ** 2 + (columns - 0.4) ** 2 < 0.08
    waves = 0.5 + 0.2 * np.sin(25 * (rows + 0.4 * columns))
    slope = np.stack([0.2 + 0.6 * rows, 0.5 * columns + 0.2, waves], axis=-1)
    return np.where(disc[..., None], np.array([0.9, 0.5 + 0.0, 0.1]), slope).astype(np.float32)


def _image(encoded: np.ndarray) -> Array:
    return Array(COLOR_IMAGE, srgb_to_linear(encoded).astype(np.float32))


def _disc() -> np.ndarray:
    return (_picture()[..., 0] > 0.89).astype(np.uint8) * 9


def _encoded(made: Array) -> np.ndarray:
    return linear_to_srgb(made.values)


def test_steps_bring_the_painting_closer() -> None:
    errors = []
    for steps in (0, 16):
        made = backend.run("paint", image=_image(_picture()), **(QUICK | {"steps": steps}))
        errors.append(float(np.abs(_encoded(made["painting"]) - _picture()).mean()))
        assert len(made["strokes"].values) == QUICK["budget"]
    assert errors[1] < 0.7 * errors[0] < 0.06


def test_strokes_keep_to_their_segments() -> None:
    classes = _disc()
    made = backend.run("paint", image=_image(_picture()), segments=Array(CLASS_MAP, classes), **QUICK)
    strokes = from_columns(torch.from_numpy(made["strokes"].values), (SIDE, SIDE))
    assert set(strokes.segment.tolist()) == {0, 9}
    labels = torch.from_numpy(classes.astype(np.int32))
    black = torch.zeros(SIDE, SIDE, 3)
    drawn = (strokes.geometry, torch.ones_like(strokes.opacity), strokes.color, black)
    _, leak = composite_with_leak(*drawn, segments=Segments(labels, strokes.segment))
    _, covered = composite_with_leak(*drawn, segments=Segments(torch.full_like(labels, 99), strokes.segment))
    assert float(leak / covered) <= 0.02


def test_canvas_shows_neither_along_the_edges_of_segments_nor_between_hairs() -> None:
    white = {"canvas_color": "white", "segments": Array(CLASS_MAP, _disc()), "bristles": 0.6, "impasto": 0.0}
    made = backend.run("paint", image=_image(_picture()), **(QUICK | {"budget": 240} | white))
    assert len(made["strokes"].values) == 240
    black = made["strokes"].values.copy()
    black[:, INDEX["red"] : INDEX["blue"] + 1] = black[:, INDEX["red2"] :] = 0.0
    strokes = Array(STROKES, black, made["strokes"].attributes)
    shown = backend.run("paint", strokes=strokes, device="cpu", bristles=0.6, impasto=0.0)["painting"].values
    assert _encoded(Array(COLOR_IMAGE, shown)).mean() < 0.004


def test_two_colours_come_closer_and_are_painted_again_as_they_are() -> None:
    errors, made = [], None
    for two in (False, True):
        made = backend.run("paint", image=_image(_picture()), two_colors=two, **QUICK)
        errors.append(np.square(_encoded(made["painting"]) - _picture()).mean())
        start, end = (made["strokes"].values[:, INDEX[one] : INDEX[one] + 3] for one in ("red", "red2"))
        assert bool((start != end).any()) == two
    assert errors[1] < 0.85 * errors[0]
    assert made is not None
    again = backend.run("paint", strokes=made["strokes"], device="cpu", scale=4.0, bristles=0.0)
    small = _encoded(again["painting"]).reshape(SIDE, 4, SIDE, 4, 3).mean((1, 3))
    assert np.abs(small - _encoded(made["painting"])).mean() <= 2 / 255


def test_wet_paint_is_blended_inside_its_segments_and_again_at_another_size() -> None:
    picture = {"image": _image(_picture()), "segments": Array(CLASS_MAP, _disc())}
    few: dict[str, Any] = QUICK | {"smallest": 8.0}
    dry, wet = (backend.run("paint", smudge=amount, **picture, **few) for amount in (0.0, 0.8))
    np.testing.assert_array_equal(wet["strokes"].values, dry["strokes"].values)
    assert "smudge" not in dry["strokes"].attributes
    assert wet["strokes"].attributes["smudge"] == 0.8
    before, after = _encoded(dry["painting"]), _encoded(wet["painting"])
    assert np.abs(after - before).mean() > 0.003
    inner = scipy.ndimage.binary_erosion(_disc() > 0, iterations=2)
    assert after[inner][:, 2].max() < max(0.16, before[inner][:, 2].max() + 0.01), "no blue comes into the disc"
    again = [
        backend.run("paint", strokes=made["strokes"], device="cpu", scale=4.0, bristles=0.0) for made in (dry, wet)
    ]
    small = [_encoded(made["painting"]).reshape(SIDE, 4, SIDE, 4, 3).mean((1, 3)) for made in again]
    assert np.abs(small[1] - after).mean() <= 2 / 255
    assert np.abs((small[1] - small[0]) - (after - before)).mean() < 0.5 * np.abs(after - before).mean()
    assert again[1]["strokes"].attributes["smudge"] == 0.8


def test_saved_strokes_are_smudged_as_the_new_run_asks() -> None:
    saved = backend.run("paint", image=_image(_picture()), **QUICK)["strokes"]
    made = backend.run("paint", strokes=saved, device="cpu", smudge=0.5)["strokes"]
    assert made.attributes["smudge"] == 0.5
    other = backend.run("paint", strokes=made, device="cpu", smudge=0.2)["strokes"]
    assert other.attributes["smudge"] == 0.2
    for wrong in (1.5, -1, float("nan"), "much", True):
        error = _refused(strokes=Array(STROKES, saved.values, {**saved.attributes, "smudge": wrong}))
        assert "it is a number from 0 to 1" in str(error)
    with pytest.raises(InvalidParameter, match="smudge is 2"):
        backend.run("paint", image=_image(_picture()), smudge=2.0)


def test_flow_makes_strokes_on_plain_ground_longer() -> None:
    plain = np.full((SIDE, SIDE, 3), 0.4, np.float32)
    lengths = []
    for flow in (0.0, 1.0):
        made = backend.run("paint", image=_image(plain), flow=flow, **(QUICK | {"steps": 0}))["strokes"].values
        chords = made[:, INDEX["x2"] : INDEX["y2"] + 1] - made[:, INDEX["x0"] : INDEX["y0"] + 1]
        lengths.append(np.linalg.norm(chords, axis=1).mean())
    assert lengths[1] > 1.2 * lengths[0]


def test_colours_stray_less_on_plain_ground() -> None:
    picture = np.full((SIDE, SIDE, 3), 0.4, np.float32)
    picture[:, SIDE // 2 :] = np.random.default_rng(0).choice([0.1, 0.9], (SIDE, SIDE // 2, 1))
    whole = {"segments": Array(CLASS_MAP, (np.arange(SIDE) >= SIDE // 2).astype(np.uint8)[None].repeat(SIDE, 0))}
    plain, varied = (
        backend.run("paint", image=_image(picture), color_variation=variation, **(QUICK | whole))["strokes"].values
        for variation in (0.0, 0.8)
    )
    strayed = np.abs(varied - plain)[:, INDEX["red"] : INDEX["blue"] + 1].mean(1)
    busy = plain[:, INDEX["segment"]] == 1
    assert strayed[busy].mean() > 1.5 * strayed[~busy].mean() > 0


def test_found_regions_are_segments_too() -> None:
    made = backend.run("paint", image=_image(_picture()), **(QUICK | {"regions": 4}))
    found = set(made["strokes"].values[:, INDEX["segment"]].tolist())
    assert found == {0.0, 1.0, 2.0, 3.0}


def test_saved_strokes_are_the_same_painting_at_another_size() -> None:
    made = backend.run("paint", image=_image(_picture()), **QUICK)
    again = backend.run("paint", strokes=made["strokes"], device="cpu", scale=4.0, bristles=0.0)
    assert again["painting"].values.shape == (4 * SIDE, 4 * SIDE, 3)
    small = _encoded(again["painting"]).reshape(SIDE, 4, SIDE, 4, 3).mean((1, 3))
    assert np.abs(small - _encoded(made["painting"])).mean() <= 2 / 255
    np.testing.assert_array_equal(again["strokes"].values, made["strokes"].values)


def test_an_image_of_one_colour_is_painted_plainly() -> None:
    plain = np.full((SIDE, SIDE, 3), 0.4, np.float32)
    made = backend.run("paint", image=_image(plain), canvas_color="white", **(QUICK | {"budget": 60}))
    assert np.abs(_encoded(made["painting"]) - 0.4).mean() < 0.03, "five hundredths of the canvas still white"
    made = backend.run("paint", image=_image(plain), **QUICK)
    np.testing.assert_allclose(_encoded(made["painting"]), plain, atol=2e-3)


def test_one_stroke_is_enough() -> None:
    made = backend.run("paint", image=_image(_picture()), **(QUICK | {"budget": 1}))
    assert len(made["strokes"].values) == 1


def test_colours_vary_only_where_that_is_asked_for() -> None:
    colors = slice(INDEX["red"], INDEX["blue"] + 1)
    plain, varied = (
        backend.run("paint", image=_image(_picture()), **QUICK, color_variation=variation)["strokes"].values
        for variation in (0.0, 0.8)
    )
    np.testing.assert_array_equal(plain[:, :8], varied[:, :8])
    assert np.abs(plain[:, colors] - varied[:, colors]).mean() > 0.03


def test_what_may_thin_comes_no_farther_from_the_picture() -> None:
    errors = []
    for opacity in ("opaque", "varying"):
        made = backend.run("paint", image=_image(_picture()), **QUICK, opacity=opacity)
        errors.append(np.square(_encoded(made["painting"]) - _picture()).mean())
    assert errors[1] < 1.05 * errors[0]


def test_thick_paint_has_a_height_and_normals() -> None:
    made = backend.run("paint", image=_image(_picture()), **(QUICK | {"bristles": 0.6, "impasto": 1.0}))
    height = made["height"]
    assert height.pixel_size_m == 1 / SIDE
    assert height.values.min() >= 0
    assert height.values.max() == pytest.approx(0.01)
    np.testing.assert_allclose(np.linalg.norm(made["normal"].values, axis=2), 1.0, atol=1e-5)
    assert made["normal"].values[..., 2].min() < 0.99 < made["normal"].values[..., 2].max()
    flat = backend.run("paint", image=_image(_picture()), **(QUICK | {"impasto": 0.0}))
    assert "height" not in flat
    assert "normal" not in flat
    rough = np.abs(_encoded(made["painting"]) - _encoded(flat["painting"])).mean()
    assert 0.002 < rough < 0.1, "bristles show in the colours, too"


def _refused(**given: Any) -> InvalidInput:
    with pytest.raises(InvalidInput) as caught:
        backend.run("paint", **(QUICK | given))
    return caught.value


def test_what_does_not_fit_is_refused_in_one_sentence() -> None:
    image = _image(_picture())
    error = _refused(image=image, segments=Array(CLASS_MAP, np.zeros((SIDE, 32), np.uint8)))
    assert str(error).startswith("The segments are 32 x 64 pixels and the image is 64 x 64.")
    many = np.arange(SIDE * SIDE).reshape(SIDE, SIDE) // 64 % 64
    error = _refused(image=image, segments=Array(CLASS_MAP, many.astype(np.uint8)), budget=20)
    assert "There are 64 segments and 20 strokes" in str(error)
    error = _refused(image=image, canvas=_image(np.zeros((8, 8, 3), np.float32)))
    assert "The canvas is 8 x 8 pixels" in str(error)
    assert "15 x 64 pixels; at least 16" in str(_refused(image=_image(_picture()[:, :15])))
    error = _refused()
    assert (error.field, error.hint) == ("image", "Or set strokes, which stands in for it.")


def test_saved_strokes_that_are_broken_or_come_with_more_are_refused() -> None:
    saved = backend.run("paint", image=_image(_picture()), **(QUICK | {"budget": 8}))["strokes"]
    assert _refused(strokes=saved, image=_image(_picture())).field == "image"
    assert _refused(strokes=saved, segments=Array(CLASS_MAP, _disc())).field == "segments"
    broken = saved.values.copy()
    broken[3, 2] = np.nan
    error = _refused(strokes=Array(STROKES, broken, saved.attributes))
    assert "1 of 152" in str(error)
    assert not error.hint, "there is no gap to fill in a list of strokes"
    with pytest.raises(InvalidParameter, match="budget is 0; it must be at least 1"):
        backend.run("paint", image=_image(_picture()), budget=0)
