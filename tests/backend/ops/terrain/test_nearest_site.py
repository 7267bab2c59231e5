"""The nearest site to each cell of a grid: exact, the same with and without a compiler; of two the one farther left, then up."""

from __future__ import annotations

import numpy as np
import pytest

from backend.ops.terrain import bands
from backend.ops.terrain.nearest_site import nearest_site


def sites(seed: int, shape: tuple[int, int], share: float) -> np.ndarray:
    generator = np.random.default_rng(seed)
    cells = np.flatnonzero(generator.random(shape).ravel() < share)
    made = np.full(shape, -1, np.int32)
    made.ravel()[cells] = generator.permutation(len(cells))
    made[shape[0] // 2, shape[1] // 3] = len(cells)
    return made


@pytest.mark.parametrize("impl", ["auto", "plain"])
@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (37, 53), (64, 20)])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3])
def test_the_nearest_by_trying_all(
    impl: str, shape: tuple[int, int], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bands, "BAND_PX", 256)
    site = sites(1, shape, share)
    row, column = np.divmod(np.arange(site.size), shape[1])
    kept = np.flatnonzero(site.ravel() >= 0)
    kept = kept[np.lexsort((row[kept], column[kept]))]  # argmin takes the first of equals
    squared = (row[:, None] - row[kept]) ** 2 + (column[:, None] - column[kept]) ** 2
    best = squared.argmin(axis=1)
    found, distance = nearest_site(site, impl=impl)  # pyright: ignore[reportArgumentType]
    np.testing.assert_array_equal(found.ravel(), site.ravel()[kept[best]])
    np.testing.assert_array_equal(distance.ravel(), np.sqrt(squared.min(axis=1)).astype(np.float32))


def test_a_map_without_sites_is_refused() -> None:
    with pytest.raises(ValueError, match="no cell"):
        nearest_site(np.full((3, 4), -1, np.int32))
    with pytest.raises(ValueError, match="int32"):
        nearest_site(np.zeros((3, 4), np.int64))
