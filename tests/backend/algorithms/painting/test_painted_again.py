"""Saved strokes painted again without the picture: on the canvas that they were painted on."""

from __future__ import annotations

import numpy as np

import backend
from shared.arrays import COLOR_IMAGE, Array


def test_strokes_know_the_colour_of_their_canvas() -> None:
    rows, columns = np.mgrid[0:24, 0:32] / 32
    image = Array(COLOR_IMAGE, np.stack([rows, columns, np.full_like(rows, 0.7)], axis=-1).astype(np.float32))
    settings = {"budget": 6, "layers": 1, "steps": 2, "largest": 20.0, "smallest": 20.0, "bristles": 0.0}
    made = backend.run("paint", image=image, device="cpu", **settings)
    color = made["strokes"].attributes["canvas_color"]
    assert 0.6 < color[2] < 1.0, "the picture's average is bluish"
    again = backend.run("paint", strokes=made["strokes"], device="cpu", bristles=0.0)
    np.testing.assert_allclose(again["painting"].values, made["painting"].values, atol=1e-5)
    on_white = backend.run("paint", strokes=made["strokes"], device="cpu", bristles=0.0, canvas_color="white")
    assert on_white["painting"].values.mean() > again["painting"].values.mean() + 0.05
