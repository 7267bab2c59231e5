"""The ground textures that ship: tiles without a seam, small, and of the code that draws them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from backend.training import ground_textures


def shipped(name: str, key: str) -> np.ndarray:
    if key == "height":
        with Image.open(ground_textures.FOLDER / f"{name}-height.png") as image:
            return np.asarray(image, np.float64) / 65535.0
    with Image.open(ground_textures.FOLDER / f"{name}-{key}.jpg") as image:
        return np.asarray(image, np.float64) / 255.0


@pytest.mark.parametrize("name", ground_textures.GROUNDS)
def test_a_ground_tiles_and_has_no_slow_changes(name: str) -> None:
    for key in ("color", "height"):
        values = shipped(name, key)
        assert values.shape[:2] == (ground_textures.SIDE_PX, ground_textures.SIDE_PX)
        for axis in (0, 1):
            inside = np.abs(np.diff(values, axis=axis)).mean()
            across = np.abs(np.take(values, 0, axis) - np.take(values, -1, axis)).mean()
            assert 0.6 < across / inside < 1.6, "the blocks of JPEG are part of it"
    bright = shipped(name, "color").mean(axis=2)
    quarters = bright.reshape(4, 128, 4, 128).mean(axis=(1, 3))
    assert quarters.std() < 0.045, "a tile with a dark corner shows where it is repeated"


def test_they_are_small_and_say_how_wide_they_are() -> None:
    assert sum(path.stat().st_size for path in ground_textures.FOLDER.iterdir()) < 2_500_000
    for name, ground in ground_textures.GROUNDS.items():
        about = json.loads((ground_textures.FOLDER / f"{name}.json").read_text(encoding="utf-8"))
        assert (about["tile_m"], about["relief_m"], about["sight"]) == (ground.tile_m, ground.relief_m, ground.sight)


def test_drawing_one_again_gives_what_ships() -> None:
    made = ground_textures.make("snow")
    assert np.abs(np.clip(made["height"], 0.0, 1.0) - shipped("snow", "height")).max() < 1 / 4000
    for key, values in made.items():
        assert np.abs(values - shipped("snow", key)).max() < 0.2, "only what JPEG leaves out"
        assert np.abs(values - shipped("snow", key)).mean() < 0.02
