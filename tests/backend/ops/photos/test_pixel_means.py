"""Means of blocks of pixels, against whole numbers added up by Python."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from backend.ops.photos.pixel_means import pixel_means
from tests.support.devices import DEVICES


def by_hand(pixels: np.ndarray, times: int) -> list:
    """[h][w][3] whole numbers: the mean of each block, a half rounded up; rows and columns that fill none are left out."""
    height, width, count = pixels.shape[0] // times, pixels.shape[1] // times, times * times
    blocks = pixels[: height * times, : width * times].reshape(height, times, width, times, 3).tolist()
    return [
        [
            [
                (sum(blocks[i][y][j][x][k] for y in range(times) for x in range(times)) + count // 2) // count
                for k in range(3)
            ]
            for j in range(width)
        ]
        for i in range(height)
    ]


@pytest.mark.parametrize(("impl", "device"), [("cpu", "cpu"), *(("plain", device) for device in DEVICES)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("height", "width", "times"), [(8, 8, 2), (37, 53, 2), (37, 53, 3), (16, 33, 16), (7, 5, 5), (3, 9, 4)]
)
def test_means_are_those_of_whole_numbers(
    impl: Any, device: str, dtype: Any, height: int, width: int, times: int
) -> None:
    top = int(np.iinfo(dtype).max)
    pixels = np.random.default_rng(times).integers(0, top, (height, width, 3), dtype, endpoint=True)
    pixels[: height // 2, : width // 2] = top  # as large as sums become
    found = pixel_means(torch.from_numpy(pixels).to(device), times, impl=impl).cpu().numpy()
    assert found.dtype == dtype
    assert found.shape == (height // times, width // times, 3)
    np.testing.assert_array_equal(found, np.array(by_hand(pixels, times)).reshape(found.shape))


@pytest.mark.parametrize("impl", ["cpu", "plain"])
def test_a_half_is_rounded_up(impl: Any) -> None:
    pixels = torch.tensor([[[0, 1, 254], [1, 2, 255]], [[0, 2, 255], [1, 1, 254]]], dtype=torch.uint8)
    assert pixel_means(pixels, 2, impl=impl).tolist() == [[[1, 2, 255]]]


def test_nothing_is_done_where_nothing_shrinks() -> None:
    pixels = torch.zeros((4, 5, 3), dtype=torch.uint8)
    assert pixel_means(pixels, 1) is pixels
