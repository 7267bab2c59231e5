"""Normal equations of scan textures: against matrices built row by row, the adjoint of the look-up, bytes and threads."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
import pytest
import scipy.sparse as sparse
import torch

from backend.ops.texels import pyramid as texel_pyramid
from backend.ops.texels.pyramid import build_pyramid, sample
from backend.ops.texels.solver_plain import multiply_level
from backend.ops.texels.stencil import accumulate
from backend.ops.texels.system import TexelSystem
from shared.errors import InvalidInput
from tests.support.devices import DEVICES

GAIN, OFFSET = (1.1, 0.9, 1.0), (0.01, 0.0, -0.02)
Strip = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


def strip(size: int, rows: int = 40, columns: int = 50, texels: float = 1.5, seed: int = 0) -> Strip:
    """A bent view of the texture: uv [rows, W, 2], footprint, weight, color uint8; holes, zero weights, a fold."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
    u = 0.5 + (0.9 * (x - columns / 2) + 0.3 * (y - rows / 2)) * texels / size + 0.01 * torch.sin(0.3 * y)
    v = 0.5 - (0.8 * (y - rows / 2) - 0.2 * (x - columns / 2)) * texels / size
    uv = torch.stack((u + 0.2 * (x > 0.7 * columns), v), -1).contiguous()
    uv[3:6, 4:9] = torch.nan
    footprint = texels / size * (0.8 + torch.rand(rows, columns, generator=generator))
    weight = torch.rand(rows, columns, generator=generator)
    weight[10:12, 20:30] = 0
    color = (torch.rand(rows, columns, 3, generator=generator) * 255).to(torch.uint8)
    return uv, footprint, weight, color


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("gradient", [0.0, 2.0])
@pytest.mark.parametrize("loss", ["l2", "l1", "geman-mcclure"])
@pytest.mark.parametrize(("size", "texels"), [(40, 0.7), (61, 1.5), (150, 3.0), (300, 14.0)])
def test_the_kernel_equals_the_plain_form(device: str, size: int, texels: float, loss: Any, gradient: float) -> None:
    fast, slow = TexelSystem(size), TexelSystem(size, device=device)
    texture = torch.rand(3, size, size, generator=torch.Generator().manual_seed(1))
    pixels = strip(size, texels=texels)
    residuals, expected = (
        accumulate(
            system, *(part.to(system.device) for part in pixels), gain=GAIN, offset=OFFSET, loss=loss, threshold=0.1,
            pyramid=build_pyramid(texture.to(system.device), system.levels), gradient=gradient, photograph=4, impl=impl,
        )
        for system, impl in ((fast, "cpu"), (slow, "plain"))
    )  # fmt: skip
    assert slow.cells[:, 0].count_nonzero() > 100
    torch.testing.assert_close(fast.cells, slow.cells.cpu(), atol=2e-5 * float(slow.cells.abs().max()), rtol=0)
    torch.testing.assert_close(residuals.sums, expected.sums.cpu(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(fast.coverage(), slow.coverage())


def rows_of(system: TexelSystem, uv: np.ndarray, footprint: np.ndarray) -> list[tuple[np.ndarray, sparse.csr_matrix]]:
    """For every level the pixels' shares and their weights on the texels of level 0, from the definition, in float64."""
    size = system.size
    width = footprint.astype(np.float64) * size / np.sqrt(3)
    octave = np.clip(np.floor(np.log2(width)), 0, system.levels)
    share = np.where(octave < system.levels, ((np.maximum(width, 1) / 2**octave) ** 2 - 1) / 3, 0)
    means, found = sparse.eye(size * size, format="csr"), []
    for level, side in enumerate(system.sides):
        if level:
            finer = system.sides[level - 1]
            axis = sparse.lil_matrix((side, finer))
            for parent in range(side):
                children = range(2 * parent, min(2 * parent + 2, finer))
                for child in children:
                    axis[parent, child] = 1 / len(children)
            means = sparse.kron(axis, axis, format="csr") @ means
        x = np.clip(uv[:, 0].astype(np.float64) * size / 2**level - 0.5, 0, side - 1)
        y = np.clip((1 - uv[:, 1].astype(np.float64)) * size / 2**level - 0.5, 0, side - 1)
        looks = sparse.lil_matrix((len(uv), side * side))
        for p in range(len(uv)):
            column, row = min(int(x[p]), side - 2), min(int(y[p]), side - 2)
            for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
                weight = (1 - abs(x[p] - column - dx)) * (1 - abs(y[p] - row - dy))
                looks[p, (row + dy) * side + column + dx] = weight
        amount = np.where(octave == level, 1 - share, np.where(octave == level - 1, share, 0))
        found.append((amount, sparse.csr_matrix(looks) @ means))
    return found


def matrix_of(system: TexelSystem) -> tuple[np.ndarray, np.ndarray]:
    """The whole matrix [n, n] and right side [n, 3] that the planes of all levels stand for, from unit vectors."""
    size = system.size
    units = torch.eye(size * size).reshape(-1, size, size)
    total, right = torch.zeros_like(units), torch.zeros(3, size, size)
    for level in range(system.levels + 1):
        pyramid = units
        sides = [size]
        for _ in range(level):
            pyramid = texel_pyramid.halve(pyramid)
            sides.append(pyramid.shape[-1])
        result = multiply_level(system.level(level), pyramid)
        right_side = system.level(level)[..., 5:].permute(2, 0, 1)
        for side in sides[-2::-1]:
            result = texel_pyramid.spread(result, side)
            right_side = texel_pyramid.spread(right_side, side)
        total += result
        right += right_side
    return total.reshape(size * size, -1).numpy(), right.reshape(3, -1).T.numpy()


@pytest.mark.parametrize("size", [16, 21])
def test_planes_are_the_normal_equations_of_the_rows(size: int) -> None:
    uv, footprint, weight, color = strip(size, rows=12, columns=14, texels=1.2)
    system = TexelSystem(size, 2)
    accumulate(system, uv, footprint, weight, color)
    seen = ((uv >= 0) & (uv <= 1)).all(-1) & (weight > 0)
    targets = color[seen].numpy().astype(np.float64) / 255
    matrix, right = np.zeros((size**2, size**2)), np.zeros((size**2, 3))
    for amount, looks in rows_of(system, uv[seen].numpy(), footprint[seen].numpy()):
        weighted = looks.T @ sparse.diags(amount * weight[seen].numpy())
        matrix += (weighted @ looks).toarray()
        right += weighted @ targets
    found_matrix, found_right = matrix_of(system)
    np.testing.assert_allclose(found_matrix, matrix, atol=3e-5 * np.abs(matrix).max())
    np.testing.assert_allclose(found_right, right, atol=3e-5 * np.abs(right).max())
    np.testing.assert_allclose(system.observation_weight().numpy().ravel(), matrix.sum(1), atol=1e-4 * matrix.max())


def test_accumulation_is_the_adjoint_of_the_look_up() -> None:
    """sum w c . sample(T) = right side . T, in float64."""
    size = 50
    uv, footprint, weight, color = strip(size, texels=2.5)
    system = TexelSystem(size)
    system.cells = system.cells.double()
    expected_of = color.double() / 255 * torch.tensor(GAIN) + torch.tensor(OFFSET)
    accumulate(system, uv, footprint, weight, color, gain=GAIN, offset=OFFSET, impl="plain")
    texture = torch.rand(3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    pyramid = build_pyramid(texture, system.levels)
    seen = sample(pyramid, uv.double(), footprint.double()).nan_to_num()
    used = ((uv >= 0) & (uv <= 1)).all(-1) & (weight > 0)
    left = float((seen * expected_of * (weight * used)[..., None]).sum())
    right = sum(float((system.level(k)[..., 5:].permute(2, 0, 1) * pyramid[k]).sum()) for k in range(system.levels + 1))
    assert left == pytest.approx(right, rel=1e-6)  # gains and weights are float32


def test_a_texture_that_explains_all_has_no_residual_and_its_own_right_side() -> None:
    size = 60
    texture = torch.rand(3, size, size, generator=torch.Generator().manual_seed(7))
    system = TexelSystem(size)
    pyramid = build_pyramid(texture, system.levels)
    uv, footprint, weight, _ = strip(size, texels=3.0)
    color = sample(pyramid, uv, footprint).nan_to_num().contiguous()
    residuals = accumulate(system, uv, footprint, weight, color, pyramid=pyramid, loss="l1")
    assert residuals.count > 300
    assert residuals.squared / residuals.weight < 1e-12
    for level in range(system.levels + 1):  # A_k R_k T = b_k in every level: the texture is a fixed point
        planes = system.level(level)
        torch.testing.assert_close(
            multiply_level(planes, pyramid[level]), planes[..., 5:].permute(2, 0, 1), atol=2e-5, rtol=1e-5
        )


@pytest.mark.parametrize("solve", [True, False])
def test_pixels_that_count_tell_what_the_texture_shows_them(solve: bool) -> None:
    size = 90
    system = TexelSystem(size)
    pyramid = build_pyramid(torch.rand(3, size, size, generator=torch.Generator().manual_seed(5)), system.levels)
    uv, footprint, weight, color = strip(size, texels=2.5)
    uv[20:22, :5] += 2.0  # of another tile
    fast, slow = torch.full(color.shape, torch.nan), torch.full(color.shape, torch.nan)
    accumulate(system, uv, footprint, weight, color, pyramid=pyramid, loss="l1", solve=solve, shown=fast)
    asked: dict[str, Any] = {"pyramid": pyramid, "loss": "l1", "solve": solve}
    accumulate(TexelSystem(size), uv, footprint, weight, color, **asked, shown=slow, impl="plain")
    counts = ((uv >= 0) & (uv <= 1)).all(-1) & (weight > 0)
    assert counts.sum() > 1000
    assert torch.equal(fast.isnan(), ~counts[..., None].expand_as(fast))
    torch.testing.assert_close(fast, slow, atol=2e-6, rtol=0, equal_nan=True)
    torch.testing.assert_close(fast[counts], sample(pyramid, uv, footprint)[counts], atol=2e-6, rtol=0)


def test_residuals_fit_the_gain_and_offset_of_a_photograph() -> None:
    size = 64
    system = TexelSystem(size)
    pyramid = build_pyramid(torch.rand(3, size, size, generator=torch.Generator().manual_seed(8)), system.levels)
    uv, footprint, weight, _ = strip(size)
    model = sample(pyramid, uv, footprint).nan_to_num()
    color = ((model * torch.tensor([0.7, 0.8, 0.9]) + torch.tensor([0.05, 0.0, 0.02])) * 65535).round().to(torch.uint16)
    before = system.cells.clone()
    halves = [(uv[:15], footprint[:15], weight[:15], color[:15]), (uv[15:], footprint[15:], weight[15:], color[15:])]
    residuals = accumulate(system, *halves[0], pyramid=pyramid, solve=False) + accumulate(
        system, *halves[1], pyramid=pyramid, solve=False
    )
    assert torch.equal(system.cells, before)
    w, m, c = residuals.weight, residuals.model, residuals.photograph
    gain = (w * residuals.product - m * c) / (w * residuals.photograph_squared - c * c)
    np.testing.assert_allclose(gain, 1 / np.array([0.7, 0.8, 0.9]), rtol=1e-3)
    np.testing.assert_allclose((m - gain * c) / w, -np.array([0.05, 0.0, 0.02]) / [0.7, 0.8, 0.9], atol=1e-3)


@pytest.mark.parametrize("number", [0, 1])
def test_a_gradient_row_of_one_cell_is_the_difference_of_its_pixels(number: int) -> None:
    """Two pixels, one beside or below the other, in one cell of four texels: (w_a - w_b) and nothing else."""
    size = 16
    inside = torch.tensor([[[7.6, 5.7], [8.3, 6.1]]])
    inside = inside if number == 0 else inside.transpose(0, 1)
    uv = torch.stack((inside[..., 0] / size, 1 - inside[..., 1] / size), -1).contiguous()
    shape = uv.shape[:2]
    footprint, weight = torch.full(shape, 0.7 / size), torch.ones(shape)
    color = torch.tensor([0.2, 0.5, 0.9, 0.7, 0.4, 0.1]).reshape(*shape, 3)
    with_rows, without = TexelSystem(size, 0), TexelSystem(size, 0)
    accumulate(with_rows, uv, footprint, weight, color, gradient=3.0)
    accumulate(without, uv, footprint, weight, color)
    looks = rows_of(without, uv.reshape(-1, 2).numpy(), footprint.reshape(-1).numpy())[0][1].toarray()
    difference = looks[1] - looks[0]
    step = (color.reshape(2, 3)[1] - color.reshape(2, 3)[0]).numpy()
    matrix, right = (a - b for a, b in zip(matrix_of(with_rows), matrix_of(without)))
    np.testing.assert_allclose(matrix, 3 * np.outer(difference, difference), atol=1e-5)
    np.testing.assert_allclose(right, 3 * np.outer(difference, step), atol=1e-5)


def test_gradient_rows_are_silent_across_folds_and_exact_on_slopes() -> None:
    size = 120
    system, bare = TexelSystem(size), TexelSystem(size)
    x = (torch.arange(size) + 0.5) / size
    texture = torch.stack((x.expand(size, size), x[:, None].expand(size, size), (x + x[:, None]) / 2)).contiguous()
    pyramid = build_pyramid(texture, system.levels)
    uv, footprint, weight, _ = strip(size, texels=1.3)
    color = torch.stack((uv[..., 0], 1 - uv[..., 1], (uv[..., 0] + 1 - uv[..., 1]) / 2), -1).nan_to_num().contiguous()
    accumulate(system, uv, footprint, weight, color, gradient=5.0)
    accumulate(bare, uv, footprint, weight, color)
    for level in range(system.levels + 1):
        planes = system.level(level) - bare.level(level)
        torch.testing.assert_close(
            multiply_level(planes, pyramid[level]), planes[..., 5:].permute(2, 0, 1), atol=2e-4, rtol=0
        )


@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16, torch.float32])
def test_colors_are_decoded_alike_from_any_type(dtype: torch.dtype) -> None:
    uv, footprint, weight, color = strip(48)
    decoded = color.to(torch.float32) / 255
    given = {torch.uint8: color, torch.uint16: (color.to(torch.int32) * 257).to(torch.uint16), torch.float32: decoded}
    system, expected = TexelSystem(48), TexelSystem(48)
    accumulate(system, uv, footprint, weight, given[dtype])
    accumulate(expected, uv, footprint, weight, decoded)
    torch.testing.assert_close(system.cells, expected.cells, atol=1e-5, rtol=0)


def test_coverage_counts_photographs_not_pixels_or_strips() -> None:
    size = 64
    system = TexelSystem(size)
    uv, footprint, weight, color = strip(size, texels=0.6)
    for photograph in (7, 7, 9):
        accumulate(system, uv, footprint, weight, color, photograph=photograph)
    counts = system.coverage()
    assert counts.shape == (size, size)
    assert counts.to(torch.int32).unique().tolist() == [0, 2]
    seen = system.observation_weight() > 0.2
    assert (
        float((counts[seen].to(torch.int32) == 2).double().mean()) > 0.97
    )  # beside the last ones a look-up reaches out
    system.reset()
    assert not system.coverage().to(torch.int32).any()
    assert not system.cells.any()


def test_bytes_do_not_depend_on_threads() -> None:
    size, made = 500, []
    pixels = [strip(size, rows=90, columns=200, texels=texels, seed=int(texels)) for texels in (1.0, 2.0, 6.0)]
    pyramid = build_pyramid(
        torch.rand(3, size, size, generator=torch.Generator().manual_seed(9)), TexelSystem(size).levels
    )
    threads = numba.get_num_threads()
    for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(count)
        system = TexelSystem(size)
        residuals = [
            accumulate(system, *part, pyramid=pyramid, loss="l1", gradient=1.0, photograph=number)
            for number, part in enumerate(pixels)
        ]
        sums = (residuals[0] + residuals[1] + residuals[2]).sums
        made.append((system.cells.numpy().tobytes(), sums.numpy().tobytes(), system.coverage().numpy().tobytes()))
    numba.set_num_threads(threads)
    assert made[0] == made[1]


def test_a_released_system_measures_and_can_start_again() -> None:
    size = 48
    pixels = strip(size)
    system = TexelSystem(size)
    pyramid = build_pyramid(torch.rand(3, size, size, generator=torch.Generator().manual_seed(3)), system.levels)
    first = accumulate(system, *pixels, pyramid=pyramid, loss="l1")
    gathered = system.cells.clone()
    system.release()
    assert system.cells.nbytes == 0
    with pytest.raises(ValueError, match="released"):
        accumulate(system, *pixels, pyramid=pyramid)
    again = accumulate(system, *pixels, pyramid=pyramid, loss="l1", solve=False)
    assert torch.equal(again.sums, first.sums)
    system.reset()
    assert not system.cells.any()
    accumulate(system, *pixels, pyramid=pyramid, loss="l1")
    assert torch.equal(system.cells, gathered)


def test_what_does_not_go_together_is_refused() -> None:
    uv, footprint, weight, color = strip(32)
    system = TexelSystem(32)
    with pytest.raises(ValueError, match="go together"):
        accumulate(system, uv, footprint[1:], weight, color)
    with pytest.raises(ValueError, match="uint8"):
        accumulate(system, uv, footprint, weight, color.to(torch.int64))
    with pytest.raises(ValueError, match="float32"):
        accumulate(system, uv.double(), footprint, weight, color)
    with pytest.raises(ValueError, match="pyramid"):
        accumulate(system, uv, footprint, weight, color, loss="l1")
    with pytest.raises(ValueError, match="nothing is shown"):
        accumulate(system, uv, footprint, weight, color, shown=torch.empty(color.shape))
    pyramid = build_pyramid(torch.rand(3, 32, 32), system.levels)
    with pytest.raises(ValueError, match="shown"):
        accumulate(system, uv, footprint, weight, color, pyramid=pyramid, shown=torch.empty(color.shape[1:]))
    with pytest.raises(ValueError, match="rows and columns"):
        accumulate(system, uv[0], footprint[0], weight[0], color[0], gradient=1.0)
    with pytest.raises(InvalidInput):
        TexelSystem(32, 6)


CUDA = DEVICES[-1]  # without a card the CPU's tensors in numba's simulator


@pytest.mark.parametrize(
    ("size", "texels", "loss", "gradient"),
    [(21, 1.4, "geman-mcclure", 2.0), (30, 6.0, "huber", 0.0), (16, 0.6, "l2", 0.0)],
)
def test_the_cuda_twin_takes_photographs_together_as_the_plain_form_takes_each(
    size: int, texels: float, loss: Any, gradient: float
) -> None:
    """Rows in any order give the same bytes: a second run is compared, too."""
    views = [strip(size, rows=9, columns=11, texels=texels, seed=seed) for seed in (0, 1)]
    pixels = [torch.stack(parts).to(CUDA) for parts in zip(*views, strict=True)]
    texture = torch.rand(3, size, size, generator=torch.Generator().manual_seed(1)).to(CUDA)
    gains = np.array([GAIN, (0.8, 1.0, 1.2)])
    made = []
    for impl in ("plain", "cuda", "cuda"):
        system, shown = TexelSystem(size, device=CUDA), torch.full((2, 9, 11, 3), torch.nan, device=CUDA)
        residuals = accumulate(
            system, *pixels, gain=gains, offset=0.1 * gains, loss=loss, threshold=0.1, gradient=gradient, shown=shown,
            pyramid=build_pyramid(texture, system.levels), photograph=(4, 7), impl=impl,
        )  # fmt: skip
        made.append((system.cells, residuals.sums, shown, system.coverage()))
    assert made[0][0][:, 0].count_nonzero() > 50
    torch.testing.assert_close(made[1][0], made[0][0], atol=2e-5 * float(made[0][0].abs().max()), rtol=0)
    torch.testing.assert_close(made[1][1], made[0][1], rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(made[1][2], made[0][2], rtol=0, atol=1e-6, equal_nan=True)
    assert torch.equal(made[1][3], made[0][3])
    assert torch.equal(made[2][0], made[1][0])
    assert torch.equal(made[2][1], made[1][1])


def test_the_cuda_twin_counts_a_photograph_of_two_strips_once_and_takes_sixteen_bits() -> None:
    size = 16
    uv, footprint, weight, color = (part.to(CUDA) for part in strip(size, rows=8, columns=7, texels=1.0))
    deep = (color.to(torch.int32) * 257).to(torch.uint16)
    systems = [TexelSystem(size, device=CUDA) for _ in range(2)]
    for system, impl in zip(systems, ("plain", "cuda"), strict=True):
        for rows in (slice(0, 4), slice(4, 8)):
            part = (uv[rows], footprint[rows], weight[rows], deep[rows])
            accumulate(system, *part, photograph=0, impl=impl)  # type: ignore[arg-type]
    assert systems[0].coverage().numpy().max() == 1
    assert torch.equal(systems[1].coverage(), systems[0].coverage())
    torch.testing.assert_close(systems[1].cells, systems[0].cells, atol=1e-5, rtol=0)
