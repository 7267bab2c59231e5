"""The normal equations of a photograph's displacement against their definition, pixel by pixel."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
import torch

from backend.ops.photos.alignment import KNEE, Displacement, Evidence, Evidences
from backend.ops.photos.displacement_step import node_step
from tests.support.devices import DEVICES


def strip(height: int, width: int, dtype: type, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A model [h, W, 3] with holes, pixels near it, weights [h, W] with holes of their own."""
    rng = np.random.default_rng(seed)
    model = rng.random((height, width, 3)).astype(np.float32)
    model[rng.random((height, width)) < 0.02] = np.nan
    top = np.iinfo(dtype).max
    shown = np.nan_to_num(model, nan=0.5) + rng.normal(0, 0.06, model.shape)
    weights = rng.random((height, width)).astype(np.float32)
    weights[rng.random((height, width)) < 0.2] = 0
    weights[:, width // 2 : width // 2 + 9] = 0
    return model, (np.clip(shown, 0, 1) * top).astype(dtype), weights


def equations(
    model: np.ndarray, pixels: np.ndarray, gain: np.ndarray, offset: np.ndarray, weights: np.ndarray, cell: float,
    first_row: int, first: int, last: int, nodes: tuple[int, int],
) -> tuple[np.ndarray, np.ndarray, float, float]:  # fmt: skip
    """Matrix, right side, total weight and weighted square over all nodes, from each pixel's own row of the Jacobian."""
    color = gain * (pixels / np.iinfo(pixels.dtype).max) + offset
    size = 2 * nodes[0] * nodes[1]
    matrix, side, total, squared = np.zeros((size, size)), np.zeros(size), 0.0, 0.0
    height, width = weights.shape
    for i in range(max(first, 1), min(last, height - 1)):
        for j in range(1, width - 1):
            cross = model[[i, i, i, i - 1, i + 1], [j, j - 1, j + 1, j, j]]
            if weights[i, j] <= 0 or np.isnan(cross).any():
                continue
            gx = (model[i, j + 1] - model[i, j - 1] + color[i, j + 1] - color[i, j - 1]) / 4
            gy = (model[i + 1, j] - model[i - 1, j] + color[i + 1, j] - color[i - 1, j]) / 4
            gap = model[i, j] - color[i, j]
            weight = weights[i, j] * min(1.0, KNEE / max(np.sqrt(gap @ gap), 1e-30))
            y, x = (first_row + i + 0.5) / cell, (j + 0.5) / cell
            row, column = min(int(y), nodes[0] - 2), min(int(x), nodes[1] - 2)
            bilinear = np.zeros(nodes)
            fy, fx = y - row, x - column
            bilinear[row : row + 2, column : column + 2] = np.outer([1 - fy, fy], [1 - fx, fx])
            jacobian = np.stack([gx[:, None] * bilinear.ravel(), gy[:, None] * bilinear.ravel()], -1).reshape(3, size)
            matrix += weight * jacobian.T @ jacobian
            side += weight * jacobian.T @ gap
            total += weight
            squared += weight * (gap @ gap)
    return matrix, side, total, squared


def assembled(cells: np.ndarray) -> tuple[np.ndarray, np.ndarray, float, float]:
    """The same from the kernel's cells."""
    nodes = (cells.shape[0] + 1, cells.shape[1] + 1)
    matrix, side = np.zeros((nodes[0] * nodes[1], 2, nodes[0] * nodes[1], 2)), np.zeros((nodes[0] * nodes[1], 2))
    for y, x in np.ndindex(*cells.shape[:2]):
        here = y * nodes[1] + x
        corners = [here, here + 1, here + nodes[1], here + nodes[1] + 1]
        pairs = [(a, b) for a in range(4) for b in range(a, 4)]
        for pair, (a, b) in enumerate(pairs):
            xx, xy, yy = cells[y, x, 3 * pair : 3 * pair + 3]
            block = np.array([[xx, xy], [xy, yy]])
            matrix[corners[a], :, corners[b]] += block
            if a != b:
                matrix[corners[b], :, corners[a]] += block
        side[corners] += cells[y, x, 30:38].reshape(4, 2)
    size = 2 * nodes[0] * nodes[1]
    return matrix.reshape(size, size), side.ravel(), cells[..., 38].sum(), cells[..., 39].sum()


@pytest.mark.parametrize(
    ("height", "width", "cell", "first_row", "first", "last", "dtype"),
    [
        (37, 150, 24.0, 0, 0, 37, np.uint8),
        (50, 67, 100.0, 0, 0, 50, np.uint8),
        (20, 41, 2.6, 30, 2, 19, np.uint16),  # cells smaller than what is summed at a time
        (3, 3, 2.0, 4, 0, 3, np.uint8),
        (2, 40, 8.0, 0, 0, 2, np.uint8),  # no row has both neighbours
    ],
)
@pytest.mark.parametrize(("impl", "device"), [("cpu", "cpu"), *(("plain", device) for device in DEVICES)])
def test_the_sums_are_each_pixels_own(
    height: int, width: int, cell: float, first_row: int, first: int, last: int, dtype: type, impl: Any, device: str
) -> None:
    model, pixels, weights = strip(height, width, dtype, seed=height)
    gain, offset = np.array([0.9, 1.0, 1.2]), np.array([0.02, -0.01, 0.0])
    rows, columns = int(np.ceil((first_row + height) / cell)), int(np.ceil(width / cell))
    evidence = Evidence(Displacement(np.zeros((rows + 1, columns + 1, 2)), cell, rigid=False), 1, device)
    given = [torch.from_numpy(values).to(device) for values in (model, pixels, weights)]
    evidence.add(*given[:2], gain, offset, given[2], first_row, first, last, impl=impl)
    expected = equations(
        model.astype(float), pixels, gain, offset, weights, cell, first_row, first, last, (rows + 1, columns + 1)
    )
    for got, wanted in zip(assembled(evidence.cells.cpu().numpy()), expected, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-6 * max(float(np.abs(wanted).max()), 1e-6))


def test_no_number_of_threads_changes_a_bit() -> None:
    model, pixels, weights = strip(150, 90, np.uint8, seed=1)
    made, before = [], numba.get_num_threads()
    for threads in (1, before):
        numba.set_num_threads(threads)
        try:
            evidence = Evidence(Displacement(np.zeros((7, 5, 2)), 25.0, rigid=False), 1)
            given = [torch.from_numpy(values) for values in (model, pixels, weights)]
            evidence.add(*given[:2], np.ones(3), np.zeros(3), given[2], 0, 0, 150)
        finally:
            numba.set_num_threads(before)
        made.append(evidence.cells.numpy())
    assert made[0].any()
    np.testing.assert_array_equal(*made)


def bends(nodes: np.ndarray) -> np.ndarray:
    """All second differences of nodes [gy, gx, 2], the mixed ones twice (as their root)."""
    across, down = np.diff(nodes, 2, axis=1), np.diff(nodes, 2, axis=0)
    mixed = np.sqrt(2.0) * np.diff(np.diff(nodes, axis=0), axis=1)
    return np.concatenate([part.ravel() for part in (across, down, mixed)])


@pytest.mark.parametrize(("rows", "columns"), [(2, 2), (2, 5), (6, 3), (7, 9)])
def test_a_step_is_the_least_of_what_it_minimises(rows: int, columns: int) -> None:
    """Against dense algebra: the matrix from the cells as the sums' own test reads them, bending from differences of unit steps."""
    model, pixels, weights = strip(80, 120, np.uint8, seed=rows)
    rng, cell = np.random.default_rng(columns), 120.0 / (columns - 1)
    nodes = rng.normal(size=(rows, columns, 2))
    evidence = Evidence(Displacement(nodes, cell, rigid=False), 1)
    given = [torch.from_numpy(values) for values in (model, pixels, weights)]
    evidence.add(*given[:2], np.ones(3), np.zeros(3), given[2], 0, 0, 80)
    data, force, _, _ = assembled(evidence.cells.numpy())
    unit = np.eye(nodes.size)
    bending = np.stack([bends(step.reshape(nodes.shape)) for step in unit], axis=1)
    matrix = 2.5 * data + 4.0 * bending.T @ bending + 0.3 * unit
    side = 2.5 * force - 4.0 * bending.T @ bends(nodes) - 0.3 * nodes.ravel()
    wanted = np.linalg.solve(matrix, side)
    step, quadratic, linear = node_step(evidence.cells.numpy(), nodes, 2.5, 4.0, 0.3)
    np.testing.assert_allclose(step.ravel(), wanted, rtol=1e-8, atol=1e-10)
    assert quadratic == pytest.approx(wanted @ data @ wanted, rel=1e-8)
    assert linear == pytest.approx(force @ wanted, rel=1e-8)


CUDA = DEVICES[-1]  # without a card the CPU's tensors in numba's simulator


@pytest.mark.parametrize(("cell", "dtype"), [(6.5, np.uint8), (40.0, np.uint16)])
def test_the_cuda_twin_gathers_photographs_together_as_the_plain_form_each(cell: float, dtype: type) -> None:
    views = [strip(9, 20, dtype, seed) for seed in (1, 2)]
    model, pixels, weights = (torch.from_numpy(np.stack(parts)).to(CUDA) for parts in zip(*views, strict=True))
    shape = (int(np.ceil(9 / cell)) + 1, int(np.ceil(20 / cell)) + 1, 2)
    moved = [Displacement(np.zeros(shape), cell, rigid=False) for _ in views]
    gains, offsets = np.array([(0.9, 1.0, 1.2), (1.0, 1.1, 1.0)]), np.array([(0.02, -0.01, 0.0), (0.0, 0.0, 0.1)])
    made = []
    for impl in ("plain", "cuda", "cuda"):
        evidence = Evidences(moved, 1, CUDA)
        evidence.add(model, pixels, gains, offsets, weights, impl=impl)  # type: ignore[arg-type]
        made.append(evidence.cells)
    assert made[0][..., -1].min() >= 0
    assert made[0].any(-1).sum() > 1
    torch.testing.assert_close(made[1], made[0], rtol=2e-5, atol=1e-5)
    assert torch.equal(made[1], made[2])


def test_the_cuda_twin_takes_a_strip_of_a_photograph() -> None:
    model, pixels, weights = (torch.from_numpy(values).to(CUDA) for values in strip(10, 17, np.uint8, 4))
    made = []
    for impl in ("plain", "cuda"):
        evidence = Evidence(Displacement(np.zeros((5, 4, 2)), 7.0, rigid=False), 1, CUDA)
        evidence.add(model, pixels, np.ones(3), np.zeros(3), weights, 12, 2, 9, impl=impl)  # type: ignore[arg-type]
        made.append(evidence.cells)
    assert made[0].any()
    torch.testing.assert_close(made[1], made[0], rtol=2e-5, atol=1e-5)
