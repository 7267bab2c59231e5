"""How evenly ridges follow one another: a washboard is found, and so is the landscape that looked like a fingerprint."""

from __future__ import annotations

import numpy as np

from backend.files import exemplars
from backend.measures.landform_spacing import combing


def test_a_washboard_is_combed_and_noise_is_not() -> None:
    rows, columns = np.indices((256, 256))
    washboard = np.sin((0.6 * rows + 0.8 * columns) * 2.0 * np.pi / 17.0)
    noise = np.cumsum(np.cumsum(np.random.default_rng(1).normal(size=(256, 256)), 0), 1)
    assert combing(washboard) > 0.9
    assert combing(noise) < 0.45


def test_it_does_not_depend_on_height_or_direction() -> None:
    z = exemplars.load("alpine").values[:256, :256].astype(np.float64)
    assert abs(combing(z) - combing(3.0 * z + 500.0)) < 1e-6
    assert abs(combing(z) - combing(np.rot90(z))) < 1e-6


def test_the_alpine_exemplar_is_less_combed_than_its_first_edition() -> None:
    assert combing(exemplars.load("alpine").values) < 0.35 < combing(exemplars.load("alpine", 1).values)


def test_a_map_smaller_than_a_window_has_no_spacing() -> None:
    assert np.isnan(combing(np.zeros((50, 50))))
