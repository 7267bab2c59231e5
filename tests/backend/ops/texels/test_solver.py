"""The solver of scan textures: against dense algebra and its plain twin, and what a texture must be like."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from backend.ops.texels import solver, solver_blocks, solver_plain
from backend.ops.texels.observations import Loss
from backend.ops.texels.pyramid import build_pyramid, sample
from backend.ops.texels.solver import NO_SEAMS, Seams, mean_weight, solve
from backend.ops.texels.stencil import accumulate
from backend.ops.texels.system import TexelSystem
from tests.backend.ops.texels.test_stencil import matrix_of
from tests.support.devices import DEVICES


def pattern(size: int, seed: int = 0, blur: int = 2) -> torch.Tensor:
    """A texture with structure at every scale, 0..1."""
    texture = torch.rand(3, size, size, generator=torch.Generator().manual_seed(seed))
    for _ in range(blur):
        texture = F.avg_pool2d(F.pad(texture[None], (1, 1, 1, 1), mode="replicate"), 3, 1)[0]
    return (texture - texture.min()) / (texture.max() - texture.min())


def scatter(size: int, count: int, texels: tuple[float, float], seed: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Pixels anywhere: uv [n, 2] and footprints between so many texels."""
    generator = torch.Generator().manual_seed(seed)
    uv = torch.rand(count, 2, generator=generator)
    share = torch.rand(count, generator=generator)
    return uv, (texels[0] * (texels[1] / texels[0]) ** share) / size


def observed(
    size: int, count: int, *, texels: tuple[float, float] = (0.5, 5.0), hole: float = 0.0, seed: int = 1
) -> TexelSystem:
    """A system that has seen noise, but for a disc of the radius `hole` about the middle."""
    uv, footprint = scatter(size, count, texels, seed)
    weight = (((uv - 0.5) ** 2).sum(-1).sqrt() > hole).to(torch.float32)
    system = TexelSystem(size)
    accumulate(system, uv, footprint, weight, torch.rand(count, 3, generator=torch.Generator().manual_seed(seed)))
    return system


def some_seams(count: int, seed: int = 2, weight: float = 0.5) -> Seams:
    rng = np.random.default_rng(seed)
    return Seams(
        rng.random((count, 2), np.float32), rng.random((count, 2), np.float32), np.full(count, weight, np.float32)
    )


@pytest.mark.parametrize("size", [16, 19])
def test_solution_is_that_of_the_dense_equations(size: int) -> None:
    system = observed(size, 400, texels=(0.5, 3.0), hole=0.2)
    charts = (np.arange(size)[:, None] // 8 + np.arange(size)[None] // 10 * 7).astype(np.uint16)
    seams = some_seams(9)
    matrix, right = (part.astype(np.float64) for part in matrix_of(system))
    weight = mean_weight(system)
    seen = matrix.sum(1) > 1e-6 * matrix.sum(1).max()
    assert weight == pytest.approx(matrix.sum() / seen.sum(), rel=1e-4)
    numbers = np.arange(size * size).reshape(size, size)
    for first, second in ((numbers[:, :-1], numbers[:, 1:]), (numbers[:-1], numbers[1:])):
        for i, j in zip(first.ravel(), second.ravel()):
            if charts.ravel()[i] == charts.ravel()[j]:
                matrix[np.ix_((i, j), (i, j))] += 0.05 * weight * np.array([[1, -1], [-1, 1]])
    for uv_a, uv_b, strength in zip(seams.uv_a, seams.uv_b, seams.weight):
        row = np.zeros(size * size)
        for uv, sign in ((uv_a, 1), (uv_b, -1)):
            x, y = np.clip(uv[0] * size - 0.5, 0, size - 1), np.clip((1 - uv[1]) * size - 0.5, 0, size - 1)
            column, line = min(int(x), size - 2), min(int(y), size - 2)
            for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
                row[(line + dy) * size + column + dx] += sign * (1 - abs(x - column - dx)) * (1 - abs(y - line - dy))
        matrix += strength * weight * np.outer(row, row)
    found = solve(system, smoothness=0.05, charts=charts, seams=seams, iterations=400, tolerance=1e-7)
    np.testing.assert_allclose(found.reshape(3, -1).T.numpy(), np.linalg.solve(matrix, right), atol=2e-4)


@pytest.mark.parametrize("level", [0, 1])
@pytest.mark.parametrize(("charted", "seams"), [(False, NO_SEAMS), (True, some_seams(40))])
def test_blocks_equal_conjugate_gradients_over_the_whole(
    monkeypatch: pytest.MonkeyPatch, level: int, charted: bool, seams: Seams
) -> None:
    """With blocks of 32 a grid of 99 has phases, margins and seams between blocks."""
    monkeypatch.setattr(solver_blocks, "BLOCK", 32)
    size = 99
    system = observed(size, 4 * size * size, hole=0.1)
    side = system.sides[level]
    cells = solver.coarser_grids(system)[level]
    weight = mean_weight(system)
    charts = (np.arange(size)[:, None] // 40 + np.zeros((1, size))).astype(np.uint8) if charted else None
    corners, amounts = (torch.from_numpy(part) for part in seams.rows(size, level, side, weight))
    grid = solver_plain.Grid(
        [cells.unflatten(0, (side, side)), *(system.level(k) for k in range(level + 1, system.levels + 1))],
        0.02 * weight,
        *solver_plain.ties_between(
            None if charts is None else torch.from_numpy(charts), side, level, torch.device("cpu")
        ),
        corners,
        amounts,
    )
    start = torch.full((3, side, side), 0.5)
    whole = solver_plain.conjugate_gradients(grid, start, 2000, 1e-7)
    problem = solver.Problem(
        smoothness=0.02 * weight,
        charts=solver.ONE_CHART if charts is None else charts,
        seams=seams,
        seam_scale=weight,
        sweeps=20,
        iterations=40,
        tolerance=1e-7,
        alive=lambda: None,
    )
    solver.relax(system, cells, level, start, problem)
    torch.testing.assert_close(start, whole, atol=5e-4, rtol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("started", [False, True])
def test_the_blocks_find_what_the_plain_form_finds(device: str, started: bool) -> None:
    """Both run until nothing moves, coarse to fine or from a given texture, with charts and seams."""
    size = 150
    system, other = observed(size, 4 * size * size, hole=0.1), TexelSystem(size, device=device)
    other.cells.copy_(system.cells)
    charts = (np.arange(size)[:, None] // 40 + np.zeros((1, size))).astype(np.uint8)
    start = pattern(size) if started else None
    fast, plain = (
        solve(
            equations, None if start is None else start.clone().to(equations.device), smoothness=0.05, charts=charts,
            seams=some_seams(40), sweeps=10, iterations=100, tolerance=1e-6, impl=impl,
        )
        for equations, impl in ((system, "cpu"), (other, "plain"))
    )  # fmt: skip
    torch.testing.assert_close(fast, plain.cpu(), atol=1e-3, rtol=0)
    assert mean_weight(system, impl="cpu") == pytest.approx(mean_weight(other, impl="plain"), rel=1e-6)


@pytest.mark.parametrize("size", [100, 131])
def test_coarser_grids_are_galerkin_products(size: int) -> None:
    """P' A P, P repeating values in 2 x 2: the same energy for a texture that is constant there; kernel equals plain op."""
    system = observed(size, 3 * size * size)
    grids = solver.coarser_grids(system)
    assert len(grids) > 1
    for level in range(1, len(grids)):
        finer, side = system.sides[level - 1], system.sides[level]
        fine, coarse = grids[level - 1].unflatten(0, (finer, finer)), grids[level].unflatten(0, (side, side))
        plain = solver_plain.coarsen(fine, system.level(level))
        torch.testing.assert_close(coarse, plain, atol=1e-5 * float(plain.max()), rtol=0)
        values = pattern(side, seed=level, blur=0)
        repeated = values.repeat_interleave(2, 1).repeat_interleave(2, 2)[:, :finer, :finer]
        fine_energy = (solver_plain.multiply_level(fine, repeated) * repeated).sum(dtype=torch.float64)
        own = (solver_plain.multiply_level(system.level(level), values) * values).sum(dtype=torch.float64)
        energy = (solver_plain.multiply_level(coarse, values) * values).sum(dtype=torch.float64)
        assert float(energy) == pytest.approx(float(fine_energy + own), rel=1e-4)


def test_a_texture_comes_back_from_pixels_of_its_own_width() -> None:
    size = 96
    texture = pattern(size)
    uv, footprint = scatter(size, 12 * size * size, (0.5, 1.0))
    system = TexelSystem(size)
    color = sample(build_pyramid(texture, system.levels), uv, footprint)
    accumulate(system, uv, footprint, torch.ones(len(uv)), color)
    found = solve(system, smoothness=1e-6, iterations=300, tolerance=1e-6)
    assert float((found - texture).abs().max()) < 2e-3


def test_passes_make_the_blend_of_levels_exact() -> None:
    """The rows split by level are a majoriser: each pass with the present texture comes nearer to the exact model."""
    size = 96
    texture = pattern(size)
    uv, footprint = scatter(size, 12 * size * size, (0.8, 5.0))
    system = TexelSystem(size)
    color = sample(build_pyramid(texture, system.levels), uv, footprint)
    found, errors = None, []
    for _ in range(5):
        pyramid = None if found is None else build_pyramid(found, system.levels)
        system.reset()
        accumulate(system, uv, footprint, torch.ones(len(uv)), color, pyramid=pyramid)
        found = solve(system, found, smoothness=1e-6, iterations=200, tolerance=1e-6)
        errors.append(float((found - texture).square().mean().sqrt()))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.2 * errors[0]


def photograph_of(scene: torch.Tensor, size: int, ratio: float, shift: tuple[float, float]) -> tuple[torch.Tensor, ...]:
    """A scene [3, n, n] seen through square pixels of `ratio` texels of an S-texture, shifted by parts of a pixel; exact areas."""
    fine = scene.shape[-1]
    wide = round(ratio * fine / size)  # of a pixel, in the scene's pixels
    count = fine // wide - 1
    top, left = round(shift[0] * wide), round(shift[1] * wide)
    cut = scene[:, top : top + count * wide, left : left + count * wide]
    color = F.avg_pool2d(cut[None], wide)[0].permute(1, 2, 0).contiguous()
    y, x = torch.meshgrid(torch.arange(count), torch.arange(count), indexing="ij")
    u, v = (left + (x + 0.5) * wide) / fine, 1 - (top + (y + 0.5) * wide) / fine
    uv = torch.stack((u, v), -1).to(torch.float32).contiguous()
    return uv, torch.full(u.shape, wide / fine), torch.ones(u.shape), color


def test_shifted_photographs_tell_more_than_one() -> None:
    """Pixels of two texels, the scene at eight times the texture's resolution: nine shifts against one, and no inverse crime."""
    size = 96
    scene = pattern(8 * size, seed=3, blur=0)
    scene = F.avg_pool2d(F.pad(scene[None], (12,) * 4, mode="replicate"), 25, 1)[0]  # detail of about three texels
    scene = (scene - scene.mean()) / scene.std() * 0.15 + 0.5
    truth = F.avg_pool2d(scene[None], 8)[0]
    errors = []
    for shifts in ([(0.0, 0.0)], [(i / 3, j / 3) for i in range(3) for j in range(3)]):
        system, found = TexelSystem(size), None
        views = [photograph_of(scene, size, 2.0, shift) for shift in shifts]
        for _ in range(4):
            pyramid = None if found is None else build_pyramid(found, system.levels)
            system.reset()
            for view in views:
                accumulate(system, *view, pyramid=pyramid)
            found = solve(system, found, smoothness=1e-3, iterations=100)
        assert found is not None
        inner = (slice(None), slice(8, -8), slice(8, -8))
        errors.append(float((found[inner] - truth[inner]).square().mean().sqrt()))
    assert errors[1] < 0.65 * errors[0]


@pytest.mark.parametrize("share", [0.05, 0.1])
@pytest.mark.parametrize("loss", ["l1", "geman-mcclure"])
def test_outliers_are_ignored(share: float, loss: Loss) -> None:
    size = 64
    texture = 0.3 + 0.4 * pattern(size)
    uv, footprint = scatter(size, 12 * size * size, (0.5, 1.0))
    system = TexelSystem(size)
    color = sample(build_pyramid(texture, system.levels), uv, footprint)
    generator = torch.Generator().manual_seed(4)
    color[torch.rand(len(uv), generator=generator) < share] = 1.0  # highlights
    found, errors = None, []
    for turn in range(6):
        pyramid = None if found is None else build_pyramid(found, system.levels)
        system.reset()
        kind = "l2" if turn == 0 else "l1" if turn < 3 else loss
        accumulate(system, uv, footprint, torch.ones(len(uv)), color, pyramid=pyramid, loss=kind, threshold=0.02)
        found = solve(system, found, smoothness=1e-4, iterations=100)
        errors.append(float((found - texture).square().mean().sqrt()))
    assert errors[0] > 0.02
    assert errors[-1] < 0.1 * errors[0]


def test_what_nobody_saw_is_filled_smoothly_from_its_edge() -> None:
    """On a slope the fill of a large hole is the slope: the Laplacian's solution."""
    size = 300
    ramp = ((torch.arange(size) + 0.5) / size).expand(3, size, size)
    uv, footprint = scatter(size, 4 * size * size, (0.5, 1.0))
    weight = (((uv - 0.5) ** 2).sum(-1).sqrt() > 0.25).to(torch.float32)
    system = TexelSystem(size)
    accumulate(system, uv, footprint, weight, uv[:, :1].repeat(1, 3).clamp(0.5 / size, 1 - 0.5 / size))
    found = solve(system, smoothness=0.002)
    unseen = system.observation_weight() == 0
    assert int(unseen.sum()) > 10000
    assert float((found - ramp)[:, unseen].abs().max()) < 0.02
    assert float((found - ramp).abs().max()) < 0.02


def test_a_system_that_saw_nothing_is_grey() -> None:
    torch.testing.assert_close(solve(TexelSystem(40)), torch.full((3, 40, 40), 0.5), atol=1e-5, rtol=0)


def test_charts_do_not_run_into_each_other() -> None:
    size = 128
    uv, footprint = scatter(size, 4 * size * size, (0.5, 1.0))
    weight = ((uv[:, 0] < 0.4) | (uv[:, 0] > 0.6)).to(torch.float32)
    color = (uv[:, :1] > 0.5).to(torch.float32).repeat(1, 3)
    system = TexelSystem(size)
    accumulate(system, uv, footprint, weight, color)
    charts = np.zeros((size, size), np.uint8)
    charts[:, size // 2 :] = 1
    found = solve(system, charts=charts, iterations=100)
    assert float(found[:, :, : size // 2].max()) < 0.01
    assert float(found[:, :, size // 2 :].min()) > 0.99
    tied = solve(system, iterations=100)
    assert float(tied[0, 64, 55]) > 0.1


def test_seams_bring_their_two_sides_together() -> None:
    """Two halves of different brightness whose columns 40 and 210 are the same line on the surface."""
    size = 300
    uv, footprint = scatter(size, 4 * size * size, (0.5, 1.0))
    system = TexelSystem(size)
    color = (0.4 + 0.2 * (uv[:, :1] > 0.5).to(torch.float32)).repeat(1, 3)
    accumulate(system, uv, footprint, torch.ones(len(uv)), color)
    v = np.linspace(0.02, 0.98, 2 * size, dtype=np.float32)
    uv_a, uv_b = (np.stack((np.full_like(v, (column + 0.5) / size), v), -1) for column in (40, 210))
    loose = solve(system)
    tied = solve(system, seams=Seams(uv_a, uv_b, np.full(len(v), 30.0, np.float32)), iterations=100)
    rows = slice(10, -10)
    assert float((loose[:, rows, 210] - loose[:, rows, 40]).mean()) == pytest.approx(0.2, abs=0.01)
    assert float((tied[:, rows, 210] - tied[:, rows, 40]).abs().max()) < 0.02
    torch.testing.assert_close(tied[:, rows, 60:140], loose[:, rows, 60:140], atol=0.01, rtol=0)


@pytest.mark.parametrize("factor", [1e-3, 100.0])
def test_smoothness_means_the_same_for_any_weight_of_photographs(factor: float) -> None:
    size = 80
    uv, footprint = scatter(size, 2 * size * size, (0.5, 3.0))
    color = torch.rand(len(uv), 3, generator=torch.Generator().manual_seed(5))
    found = []
    for weight in (1.0, factor):
        system = TexelSystem(size)
        accumulate(system, uv, footprint, torch.full((len(uv),), weight), color)
        found.append(solve(system, smoothness=0.05, iterations=200, tolerance=1e-6))
    torch.testing.assert_close(found[0], found[1], atol=1e-3, rtol=0)


def test_a_start_is_changed_in_place_and_kept_where_it_is_right() -> None:
    system = observed(100, 40000, texels=(0.5, 1.0))
    first = solve(system, iterations=200, tolerance=1e-6)
    again = first.clone()
    assert solve(system, again, iterations=200, tolerance=1e-6) is again
    torch.testing.assert_close(again, first, atol=1e-4, rtol=0)


def test_bytes_do_not_depend_on_threads() -> None:
    system = observed(600, 600 * 600, hole=0.1)
    threads, made = numba.get_num_threads(), []
    for count in (1, min(2, numba.config.NUMBA_NUM_THREADS)):
        numba.set_num_threads(count)
        made.append(solve(system, seams=some_seams(300), iterations=10).numpy().tobytes())
    numba.set_num_threads(threads)
    assert made[0] == made[1]


def test_it_can_be_stopped_between_blocks() -> None:
    class Enough(Exception):
        pass

    calls = []

    def alive() -> None:
        calls.append(len(calls))
        if len(calls) == 3:
            raise Enough

    with pytest.raises(Enough):
        solve(observed(400, 40000), alive=alive)


# On a card ------------------------------------------------------------------------------------------------------------

CUDA = DEVICES[-1]  # without a card the CPU's tensors in numba's simulator


@pytest.mark.parametrize(
    ("size", "level", "seams"), [(19, 0, some_seams(25)), (22, 1, NO_SEAMS), (17, 2, some_seams(3))]
)
def test_the_cuda_twin_multiplies_as_the_plain_form(size: int, level: int, seams: Seams) -> None:
    from backend.ops.texels.solver_cuda import Product

    system = observed(size, 300, hole=0.2)
    side = system.sides[level]
    charts = torch.from_numpy((np.arange(size)[:, None] // 5 + np.arange(size)[None] // 7 * 4).astype(np.uint8))
    corners, amounts = (torch.from_numpy(part).to(CUDA) for part in seams.rows(size, level, side, 2.0))
    planes = [system.level(k).to(CUDA) for k in range(level, system.levels + 1)]
    ties = solver_plain.ties_between(charts, side, level, torch.device(CUDA))
    grid = solver_plain.Grid(planes, 0.7, *ties, corners, amounts)
    twin = Product(planes, 0.7, *ties, corners, amounts)
    for seed in (1, 2):  # its memory is used again
        texture = pattern(side, seed, blur=0).to(CUDA)
        expected = grid.multiply(texture)
        torch.testing.assert_close(twin(texture), expected, rtol=0, atol=2e-6 * float(expected.abs().max()))


def test_the_cuda_twin_finds_what_the_plain_form_finds() -> None:
    found = []
    for impl in ("plain", "cuda"):
        system = observed(12, 200, texels=(0.5, 2.0))
        system.cells, system.device = system.cells.to(CUDA), torch.device(CUDA)
        found.append(solve(system, seams=some_seams(4), sweeps=1, iterations=25, impl=impl))  # type: ignore[arg-type]
    assert float(found[0].std()) > 0.05
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=2e-4)
