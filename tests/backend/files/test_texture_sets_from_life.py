"""Maps of a material as people have them: a picture with transparent parts, a folder whose colours have some."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from backend.files import texture_sets
from backend.files.kinds import Reading
from shared import texture_set
from shared.algorithm import Port
from shared.arrays import TEXTURE_SET

READING = Reading(port=Port(name="exemplar", kind=TEXTURE_SET, label="Samples", help="Samples"))


def picture(bits: int = 8) -> np.ndarray:
    """RGBA levels whose middle is transparent."""
    most = 2**bits - 1
    values = np.full((24, 30, 4), most, np.uint8 if bits == 8 else np.uint16)
    values[..., 0] = np.linspace(0, most, 30).astype(values.dtype)
    values[8:16, 10:20, 3] = 0
    return values


@pytest.mark.parametrize("as_folder", [False, True])
def test_transparent_parts_of_the_colour_come_as_an_alpha_map(tmp_path: Path, as_folder: bool) -> None:
    Image.fromarray(picture()).save(tmp_path / "albedo.png")
    Image.fromarray(picture()[..., 0]).save(tmp_path / "height.png")
    maps = texture_set.split(texture_sets.read(tmp_path if as_folder else tmp_path / "albedo.png", READING))
    assert set(maps) == {"base_color", "alpha"} | ({"height"} if as_folder else set())
    np.testing.assert_array_equal(maps["alpha"][..., 0], picture()[..., 3] > 0)
    assert maps["base_color"][0, -1, 0] == pytest.approx(1.0)


def test_an_alpha_map_of_the_folder_counts_and_an_opaque_picture_has_none(tmp_path: Path) -> None:
    Image.fromarray(picture()[..., :3]).save(tmp_path / "albedo.png")
    assert set(texture_set.split(texture_sets.read(tmp_path, READING))) == {"base_color"}
    Image.fromarray(picture()[..., 3]).save(tmp_path / "opacity.png")
    maps = texture_set.split(texture_sets.read(tmp_path, READING))
    assert 0.0 == maps["alpha"][12, 15, 0] < maps["alpha"][0, 0, 0]
