"""The texture engine as people call it: nearness to the sample, tiling of every map, several samples, threads, bad input."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

import backend
from backend.ops.patches.sliced_wasserstein import held_out_distance
from shared import texture_set
from shared.arrays import CLASS_MAP, MASK, Array
from shared.errors import InvalidInput, InvalidParameter, RelievoError

SMALL = {"width": 64, "height": 64, "steps": 12, "seed": 1}


def stones(
    rows: int = 80, columns: int = 72, seed: int = 0, tint: tuple[float, ...] = (0.7, 0.5, 0.3)
) -> dict[str, np.ndarray]:
    """Blobs whose colour and height belong together: bright ones stand out."""
    draw = np.random.default_rng(seed).standard_normal((rows, columns))
    wide = gaussian_filter(draw, 2.5, mode="wrap")
    shape = np.clip(wide / wide.std(), -1, 1).astype(np.float32)[..., None] / 2 + 0.5
    return {"base_color": np.ascontiguousarray(0.05 + 0.8 * shape * np.array(tint, np.float32)), "height": shape * 3.0}


def sample(**given: Any) -> Array:
    return texture_set.stack(stones(**given))


def made(*samples: Array, **options: Any) -> dict[str, np.ndarray]:
    return texture_set.split(
        backend.run("texture", exemplar=list(samples), **{"device": "cpu", **SMALL, **options})["material"]
    )


def seam_ratio(values: np.ndarray, axis: int) -> float:
    """Mean step across the wrap against those inside, along an axis."""
    inside = np.abs(np.diff(values, axis=axis)).mean()
    across = np.abs(np.take(values, 0, axis) - np.take(values, -1, axis)).mean()
    return float(across / inside)


def test_the_texture_is_nearer_to_the_sample_than_its_own_pixels_shuffled() -> None:
    maps = stones()
    texture = made(texture_set.stack(maps))
    shuffled = np.random.default_rng(0).permutation(maps["base_color"].reshape(-1, 3)).reshape(80, 72, 3)

    def distance(colors: np.ndarray) -> float:
        return held_out_distance(colors.transpose(2, 0, 1), maps["base_color"].transpose(2, 0, 1))

    assert distance(texture["base_color"]) < 0.25 * distance(shuffled)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no graphics card")
@pytest.mark.parametrize("options", [{}, {"structure": 0.4}, {"tile": "", "height": 63}])
def test_a_texture_on_cuda_is_as_near_to_the_sample_as_on_the_cpu(options: dict[str, Any]) -> None:
    """Steps amplify rounding, so that the pictures differ; how near they come to the sample does not. Two runs give the same
    bytes."""
    maps = stones()
    cpu, card, again = (made(texture_set.stack(maps), device=device, **options) for device in ("cpu", "cuda", "cuda"))
    assert all(np.array_equal(card[name], again[name]) for name in card)
    for name, values in maps.items():
        near, expected = (
            held_out_distance(found[name].transpose(2, 0, 1), values.transpose(2, 0, 1)) for found in (card, cpu)
        )
        assert near < 1.3 * expected
    if not options:
        assert max(seam_ratio(card["base_color"], axis) for axis in (0, 1)) < 1.5


def test_maps_of_a_set_stay_together() -> None:
    texture = made(sample())
    assert set(texture) == {"base_color", "height", "normal"}
    brightness = texture["base_color"].mean(2).ravel()
    assert np.corrcoef(brightness, texture["height"].ravel())[0, 1] > 0.9


@pytest.mark.parametrize("tile", ["xy", "x", "y"])
def test_every_map_wraps_where_it_is_asked_to(tile: str) -> None:
    ratios: dict[int, list[float]] = {0: [], 1: []}
    for seed in range(3):
        texture = made(sample(), tile=tile, seed=seed)
        for values in texture.values():
            for axis in (0, 1):
                ratios[axis].append(seam_ratio(values, axis))
    for axis, name in ((0, "y"), (1, "x")):
        if name in tile:
            assert 0.75 < np.mean(ratios[axis]) < 1.25
        else:
            assert np.mean(ratios[axis]) > 1.5


def test_sizes_that_do_not_tile_may_be_odd() -> None:
    assert made(sample(), tile="none", width=51, height=37)["height"].shape == (37, 51, 1)
    with pytest.raises(InvalidParameter, match="even"):
        made(sample(), width=51)


@pytest.mark.parametrize("by", ["mask", "classes"])
def test_samples_lie_where_they_are_asked_to(by: str) -> None:
    red, green = sample(tint=(0.9, 0.1, 0.1)), sample(seed=5, tint=(0.1, 0.9, 0.1))
    right = np.zeros((32, 32), np.float32)
    right[:, 16:] = 1.0
    given = {"mask": Array(MASK, right)} if by == "mask" else {"classes": Array(CLASS_MAP, right.astype(np.uint8))}
    color = made(red, green, tile="none", transition=4.0, **given)["base_color"]
    bright = color.max(2) > 0.2  # dark places are alike in both
    assert (color[..., 0] > color[..., 1])[:, :26][bright[:, :26]].mean() > 0.98
    assert (color[..., 1] > color[..., 0])[:, 38:][bright[:, 38:]].mean() > 0.98


def test_seeds_differ_and_threads_do_not() -> None:
    before, results = numba.get_num_threads(), []
    try:
        for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
            numba.set_num_threads(count)
            results.append(backend.run("texture", exemplar=[sample()], device="cpu", **SMALL)["material"].values)
    finally:
        numba.set_num_threads(before)
    assert results[0].tobytes() == results[1].tobytes()
    other = backend.run("texture", exemplar=[sample()], device="cpu", **{**SMALL, "seed": 2})["material"].values
    assert np.corrcoef(other[..., 0].ravel(), results[0][..., 0].ravel())[0, 1] < 0.5


def test_transparent_parts_are_left_out() -> None:
    maps = stones(120, 120)
    alpha = np.ones((120, 120, 1), np.float32)
    alpha[40:80, 40:80] = 0.0
    maps["base_color"] = np.where(alpha > 0, maps["base_color"], np.float32([0, 0, 1]))
    holed = texture_set.stack({**maps, "alpha": alpha})
    without = made(holed)
    assert "alpha" not in without
    assert without["base_color"][..., 2].max() < 0.5


def test_a_fence_keeps_its_holes() -> None:
    rows, columns = np.mgrid[0:96, 0:96]
    bars = ((rows % 16 < 6) | (columns % 16 < 6)).astype(np.float32)[..., None]
    fence = texture_set.stack({"base_color": np.repeat(0.1 + 0.4 * bars, 3, axis=2), "alpha": bars})
    texture = made(fence, transparent="keep", estimate=False, steps=30)
    assert float((texture["alpha"] < 0.5).mean()) == pytest.approx(float((bars < 0.5).mean()), abs=0.12)
    assert np.corrcoef(texture["alpha"].ravel(), texture["base_color"][..., 0].ravel())[0, 1] > 0.9


def test_scale_changes_the_size_of_features() -> None:
    def roughness(values: np.ndarray) -> float:
        return float(np.abs(np.diff(values[..., 0], axis=0)).mean() / values[..., 0].std())

    whole, half = made(sample(rows=160, columns=160)), made(sample(rows=160, columns=160), scale=0.5)
    assert roughness(half["height"]) > 1.4 * roughness(whole["height"])


def test_height_and_normals_are_estimated_only_where_they_are_wanted() -> None:
    photograph = texture_set.stack({"base_color": stones()["base_color"]})
    assert set(made(photograph)) == {"base_color", "height", "normal"}
    assert set(made(photograph, estimate=False)) == {"base_color"}


def flat() -> Array:
    return texture_set.stack({"base_color": np.full((40, 40, 3), 0.5, np.float32)})


@pytest.mark.parametrize(
    ("samples", "options", "said"),
    [
        ([sample(rows=18, columns=18)], {"scale": 0.5}, "9 x 9 pixels"),
        ([flat()], {}, "one colour"),
        ([sample(), texture_set.stack({"base_color": stones()["base_color"]})], {"estimate": False}, "height map"),
        ([sample()], {"mask": Array(MASK, np.ones((8, 8), np.float32))}, "one is given"),
        ([sample(), sample()], {"classes": Array(CLASS_MAP, np.full((8, 8), 2, np.uint8))}, "3 samples; 2 are given"),
        (
            [sample(), sample()],
            {"classes": Array(CLASS_MAP, np.zeros((8, 8), np.uint8)), "mask": Array(MASK, np.ones((8, 8), np.float32))},
            "Both",
        ),
    ],
)
def test_input_that_cannot_be_used_is_refused_with_a_sentence(
    samples: list[Array], options: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        made(*samples, **options)
    assert caught.value.hint


def test_a_sample_without_an_opaque_part_is_refused() -> None:
    holed = texture_set.stack({**stones(), "alpha": np.zeros((80, 72, 1), np.float32)})
    with pytest.raises(RelievoError, match="no opaque part"):
        made(holed)
