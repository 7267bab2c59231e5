"""Regions of pictures whose parts are known: found, in full size too, and always the same."""

from __future__ import annotations

import numpy as np
import pytest

from backend.algorithms.painting.segmentation import block_means, oklab, regions


def picture(side: int, noise: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Linear RGB [side, side, 3] and its parts [side, side]: sky, ground, a disc, a bar, a striped field, each with noise."""
    row, column = (np.mgrid[0:side, 0:side] + 0.5) / side
    parts = np.where(row < 0.45, 0, 1)
    parts[(row > 0.6) & (column > 0.55)] = 4
    parts[(row - 0.35) ** 2 + (column - 0.3) ** 2 < 0.04] = 2
    parts[(abs(column - 0.75) < 0.05) & (row > 0.1) & (row < 0.52)] = 3
    colors = np.array([(0.3, 0.5, 0.8), (0.15, 0.3, 0.08), (0.8, 0.2, 0.05), (0.06, 0.05, 0.05), (0.5, 0.45, 0.2)])
    image = colors[parts] * (0.8 + 0.4 * row)[..., None]  # light falls off
    image[parts == 4] *= (0.8 + 0.4 * (np.floor(30 * column[parts == 4]) % 2))[:, None]
    rng = np.random.default_rng(seed)
    return np.clip(image + noise * rng.normal(size=image.shape), 0, None).astype(np.float32), parts


def agreement(found: np.ndarray, parts: np.ndarray) -> float:
    """The adjusted Rand index: 1 for the same partition, 0 for chance."""
    counts = np.zeros((int(found.max()) + 1, int(parts.max()) + 1))
    np.add.at(counts, (found, parts), 1)

    def pairs(values: np.ndarray) -> float:
        return float((values * (values - 1) / 2).sum())

    both, one, other = pairs(counts), pairs(counts.sum(1)), pairs(counts.sum(0))
    expected = one * other / pairs(np.array([parts.size]))
    return (both - expected) / ((one + other) / 2 - expected)


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.05])
def test_parts_are_found_in_noise_and_changing_light(noise: float) -> None:
    image, parts = picture(192, noise)
    assert agreement(regions(image, 5), parts) > 0.95


def test_borders_of_a_large_picture_are_refined_to_its_pixels() -> None:
    image, parts = picture(960, 0.01)
    found = regions(image, 5)
    assert found.shape == parts.shape
    assert agreement(found, parts) > 0.99


def test_more_regions_refine_and_do_not_cross_edges() -> None:
    image, parts = picture(192, 0.02)
    found = regions(image, 20)
    assert found.max() == 19
    counts = np.zeros((20, 5))
    np.add.at(counts, (found, parts), 1)
    assert counts.max(axis=1).sum() > 0.97 * parts.size, "each region lies within one part"
    sizes = np.bincount(found.ravel())
    assert (np.diff(sizes) <= 0).all(), "the largest comes first"


def test_the_same_picture_has_the_same_regions() -> None:
    image, _ = picture(100, 0.05)
    np.testing.assert_array_equal(regions(image, 12), regions(image.copy(), 12))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (3, 3), (17, 5)])
@pytest.mark.parametrize("count", [1, 2, 255])
def test_small_and_plain_pictures_have_regions_too(shape: tuple[int, int], count: int) -> None:
    found = regions(np.full((*shape, 3), 0.4, np.float32), count)
    assert found.shape == shape
    assert found.dtype == np.uint8
    assert found.max() < count
    np.testing.assert_array_equal(np.unique(found), np.arange(found.max() + 1))


def test_block_means_and_oklab_are_what_their_definitions_say() -> None:
    values = np.random.default_rng(1).random((7, 5, 3))
    means = block_means(values, 3)
    np.testing.assert_allclose(means[1, 0], values[3:6, 0:3].mean(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(means[2, 1], values[6:, 3:].mean(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(oklab(np.ones(3)), [1.0, 0.0, 0.0], atol=1e-6)
    np.testing.assert_allclose(oklab(np.array([1.0, 0.0, 0.0])), [0.6280, 0.2249, 0.1258], atol=1e-3)  # sRGB's red
