"""Depressions, routing, erosion and the hydrology engine: properties, closed forms, and foreign references."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as float_arrays
from skimage.morphology import reconstruction

from backend.algorithms import hydrology as engine
from backend.ops.terrain import depressions_cpu, hillslope_cpu, routing_cpu, stream_power_cpu
from backend.ops.terrain.erosion import ErosionLaw
from backend.ops.terrain.routing import Flow
from backend.runtime.context import JobContext
from benchmarks.hydrology import without_tied_passes
from shared.arrays import CURVES, MASK, Array, check, height_map
from shared.catalog.hydrology import SPEC, HydrologyParams
from shared.errors import InvalidInput, JobCancelled
from tests.support.on_arrays import OnArrays

ROOT = Path(__file__).resolve().parents[4]
depressions, erosion, routing = (
    OnArrays(f"backend.ops.terrain.{name}") for name in ("depressions", "erosion", "routing")
)


def rough(side: int, seed: int = 1, power: float = 3.0) -> np.ndarray:
    """A random surface [side, side] float64 in metres whose spectrum falls with `power`; full of pits."""
    random = np.random.default_rng(seed)
    fx, fy = np.fft.rfftfreq(side)[None], np.fft.fftfreq(side)[:, None]
    square = fx * fx + fy * fy
    square[0, 0] = 1.0
    surface = np.fft.irfft2(np.fft.rfft2(random.normal(size=(side, side))) * square ** (-power / 4), s=(side, side))
    return surface / surface.std() * 200.0 + 1000.0


def falls_to_edge(height: np.ndarray) -> bool:
    """Whether every inner cell has a strictly lower neighbour, so that a falling path leads from it to the edge."""
    inner = height[1:-1, 1:-1]
    lowest = np.full(inner.shape, np.inf)
    for r in range(3):
        for c in range(3):
            if (r, c) != (1, 1):
                lowest = np.minimum(lowest, height[r : r + inner.shape[0], c : c + inner.shape[1]])
    return bool((lowest < inner).all())


def edge_sum(values: np.ndarray) -> float:
    return float(values.sum() - values[1:-1, 1:-1].sum())


# ---------------------------------------------------------------- depressions

SMALL = float_arrays(
    np.float32,
    st.tuples(st.integers(1, 12), st.integers(1, 12)),
    elements=st.one_of(st.integers(-3, 3).map(float), st.floats(-500, 9000, width=32)),
)


@given(SMALL)
@settings(max_examples=150, deadline=None)
def test_fill_is_the_reconstruction_by_erosion_from_the_edge(height: np.ndarray) -> None:
    seed = np.full(height.shape, height.max())
    seed[0], seed[-1], seed[:, 0], seed[:, -1] = height[0], height[-1], height[:, 0], height[:, -1]
    expected = reconstruction(seed, height, method="erosion", footprint=np.ones((3, 3)))
    np.testing.assert_array_equal(depressions.fill_depressions(height), expected)


@given(SMALL)
@settings(max_examples=150, deadline=None)
def test_no_pit_is_left_by_a_breach_or_by_a_fill_with_tilt(height: np.ndarray) -> None:
    breached = depressions.breach_depressions(height)
    assert falls_to_edge(breached)
    assert falls_to_edge(depressions.fill_depressions(height, epsilon_m=1e-3))
    assert depressions.pit_fraction(breached) == 0.0


def test_fill_never_lowers_and_keeps_what_drains() -> None:
    height = rough(96).astype(np.float32)
    filled = depressions.fill_depressions(height)
    assert (filled >= height).all()
    assert np.array_equal(depressions.fill_depressions(filled), filled)
    assert np.array_equal(depressions.pit_mask(height), filled > height)


def test_breach_cuts_the_cheapest_channel_through_a_dam() -> None:
    height = np.full((7, 9), 10.0, np.float32)
    height[3, 2] = 0.0  # a pit, with two ways out: three cells of 2 m to the right, one cell of 10 m to the left
    height[3, 3:6] = 2.0
    height[3, 6:] = [-1.0, -2.0, -3.0]
    result = depressions.breach_depressions(height, epsilon_m=0.01, fill_rest=False)
    expected = np.zeros(height.shape, bool)
    expected[3, 3:6] = True
    assert np.array_equal(result != height, expected)
    np.testing.assert_allclose(result[3, 3:6], [-0.01, -0.02, -0.03], atol=1e-6)


def test_breach_heeds_its_limits_and_leaves_the_rest_when_told() -> None:
    height = np.full((9, 9), 5.0, np.float32)
    height[4, 4] = 0.0
    unlimited = depressions.breach_depressions(height)
    assert (unlimited < height).any()
    for limit in ({"max_cost": 1.0}, {"max_length": 1}):
        filled = depressions.breach_depressions(height, **limit)
        assert falls_to_edge(filled)
        assert filled[4, 4] >= 5.0
        assert np.array_equal(depressions.breach_depressions(height, fill_rest=False, **limit), height)


def test_breach_with_wander_leaves_no_pit_and_follows_its_seed() -> None:
    height = rough(96).astype(np.float32)
    first = depressions.breach_depressions(height, wander=1.0, seed=1)
    assert falls_to_edge(first)
    assert np.array_equal(first, depressions.breach_depressions(height, wander=1.0, seed=1))
    assert not np.array_equal(first, depressions.breach_depressions(height, wander=1.0, seed=2))


@pytest.mark.parametrize("name", ["srtm3/N46E008.tif", "oggm/hef_srtm.tif"])
def test_breach_moves_less_ground_than_fill_on_real_land(shared_data: Path, name: str) -> None:
    import rasterio

    with rasterio.open(shared_data / "elevation" / name) as file:
        height = file.read(1)[:400, :400].astype(np.float32)
    filled, breached = depressions.fill_depressions(height), depressions.breach_depressions(height)
    assert falls_to_edge(breached)
    assert np.abs(breached - height).sum() < 0.5 * np.abs(filled - height).sum()


def test_heights_beyond_float32_steps_of_epsilon_still_drain() -> None:
    height = (rough(40) * 1e4).astype(np.float32)  # one float32 step is a metre here
    assert falls_to_edge(depressions.breach_depressions(height, epsilon_m=1e-6))


def test_depressions_refuse_nonsense() -> None:
    with pytest.raises(InvalidInput, match="non-empty"):
        depressions.fill_depressions(np.zeros((0, 4), np.float32))
    with pytest.raises(InvalidInput, match="at most"):
        routing.route(torch.zeros(()).expand(65536, 65536), 1.0)
    with pytest.raises(ValueError, match="epsilon_m"):
        depressions.breach_depressions(np.zeros((4, 4), np.float32), epsilon_m=0.0)


# -------------------------------------------------------------------- routing


def receiver_indices(flow: Flow) -> np.ndarray:
    rows, cols = flow.codes.shape
    return np.arange(rows * cols) + routing_cpu.offsets(cols)[flow.codes.numpy().ravel()]


@pytest.mark.parametrize("jitter", [0.0, 1.0])
def test_every_cell_drains_to_the_edge_and_areas_add_up(jitter: float) -> None:
    height = rough(80)
    flow = routing.route(height, 10.0, jitter=jitter, seed=3)
    assert flow.pits > 50
    receivers = receiver_indices(flow)
    cell = np.arange(height.size)
    for _ in range(height.size):
        if np.array_equal(receivers[cell], cell):
            break
        cell = receivers[cell]
    row, col = np.divmod(cell, 80)
    assert ((row == 0) | (col == 0) | (row == 79) | (col == 79)).all()
    assert edge_sum(flow.area_m2.numpy()) == height.size * 100.0
    assert np.array_equal(np.sort(flow.order.numpy()), np.arange(height.size))
    position = np.empty(height.size, np.int64)
    position[flow.order.numpy()] = np.arange(height.size)
    inner = receivers != np.arange(height.size)
    assert (position[inner] < position[receivers[inner]]).all()


def test_drainage_counts_are_those_of_a_plain_recursion() -> None:
    flow = routing.route(rough(24), 1.0)
    receivers = receiver_indices(flow)

    def upstream(cell: int) -> int:
        return 1 + sum(upstream(int(d)) for d in np.flatnonzero(receivers == cell) if d != cell)

    assert [upstream(cell) for cell in range(receivers.size)] == flow.upstream.tolist()
    for impl in ("cpu", "plain"):
        assert np.array_equal(routing.accumulate(flow, np.ones(receivers.size), impl=impl), flow.upstream.numpy())


def test_steepest_descent_counts_the_length_of_a_diagonal() -> None:
    height = np.full((3, 3), 10.0)
    height[0, 0], height[0, 1] = 10.0 - 1.3, 10.0 - 1.0  # 1.3 / sqrt(2) < 1
    assert routing_cpu.steepest_receivers(height, 1.0)[1, 1] == 1
    height[0, 0] = 10.0 - 1.5
    assert routing_cpu.steepest_receivers(height, 1.0)[1, 1] == 0


def test_random_receivers_fall_and_keep_the_mean_direction_of_a_plane() -> None:
    rows, cols = np.mgrid[0:200, 0:200]
    angle = np.radians(20.0)
    height = -(np.cos(angle) * cols + np.sin(angle) * rows)
    step = np.array([[-1, -1], [-1, 0], [-1, 1], [0, -1], [0, 1], [1, -1], [1, 0], [1, 1]])
    codes = routing_cpu.random_receivers(height, 1.0, 1.0, 5)[1:-1, 1:-1]
    moves = step[codes].reshape(-1, 2)
    assert (np.cos(angle) * moves[:, 1] + np.sin(angle) * moves[:, 0] > 0).all()
    drawn = np.degrees(np.arctan2(*moves.mean(axis=0)))
    assert abs(drawn - 20.0) < 6.0  # D8 gives 0 here: every cell the same


def test_spread_water_is_conserved_and_smooth_on_a_cone() -> None:
    rows, cols = np.mgrid[-40:41, -40:41]
    cone = (100.0 - np.hypot(rows, cols)).astype(np.float32)
    area = routing.spread_area(cone, 5.0)
    assert edge_sum(area.astype(np.float64)) == pytest.approx(area.size * 25.0, rel=1e-6)
    ring = np.abs(np.hypot(rows, cols) - 30.0) < 0.7
    spread, single = area[ring], routing.drainage_area(cone, 5.0)[ring]
    assert spread.std() / spread.mean() < 0.3 * single.std() / single.mean()
    np.testing.assert_allclose(area, area[::-1, ::-1], rtol=1e-5)


# -------------------------------------------------------------------- erosion


def river_line(length: int) -> tuple[Flow, np.ndarray]:
    """A straight river down the middle row of a valley, one cell wide; its flow and the cells drained along it."""
    height = np.full((3, length), 1e4)
    height[1] = np.arange(length, dtype=float)
    flow = routing.route(height, 100.0)
    assert (flow.codes[1, 1:-1] == 3).all()
    return flow, flow.upstream.numpy().reshape(3, length)[1].astype(float)


@pytest.mark.parametrize(("m", "n"), [(0.5, 1.0), (0.4, 1.5), (0.45, 0.7)])
def test_steady_river_has_the_slope_of_the_closed_form(m: float, n: float) -> None:
    flow, cells = river_line(40)
    law = ErosionLaw(erodibility=2e-5, area_exponent=m, slope_exponent=n, uplift=1e-3)
    area = cells * 1e4
    years = 5000.0
    height = np.zeros((3, 40))
    height[1] = np.arange(40)
    rate = erosion.stream_rate(flow, law, years)
    for _ in range(4000):
        height[1, 1:-1] += law.uplift * years
        height = erosion.incise(height, flow, law, rate)
    slope = np.diff(height[1])[:-1] / 100.0
    expected = (law.uplift / law.erodibility) ** (1 / n) * area[1:-1] ** (-m / n)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)


@pytest.mark.parametrize("n", [1.0, 1.4])
def test_many_implicit_steps_near_many_explicit_ones(n: float) -> None:
    flow, cells = river_line(30)
    law = ErosionLaw(erodibility=3e-6, area_exponent=0.5, slope_exponent=n)
    start = np.zeros((3, 30))
    start[1] = 20.0 * np.sqrt(np.arange(30.0))
    implicit, explicit = start.copy(), start.copy()
    years, count = 2e5, 4000
    rate = erosion.stream_rate(flow, law, years / count)
    for _ in range(count):
        implicit = erosion.incise(implicit, flow, law, rate)
        for _ in range(4):
            slope = np.diff(explicit[1]) / 100.0
            k = law.erodibility * (cells[1:] * 1e4) ** law.area_exponent
            change = k * slope**n * (years / count / 4)
            explicit[1, 1:-1] -= change[:-1]
    assert np.abs(implicit - start).max() > 5.0
    np.testing.assert_allclose(implicit[1, :-1], explicit[1, :-1], atol=0.02)


@given(st.floats(1e-6, 1e4), st.floats(1e-9, 1e6), st.floats(0.3, 3.0))
@settings(max_examples=200, deadline=None)
def test_newton_solves_the_fall_for_any_exponent(before: float, factor: float, n: float) -> None:
    fall = stream_power_cpu.solve_fall(before, factor, n)
    assert 0.0 <= fall <= before
    slack = 1e-9 * before
    above, below = fall + slack, max(fall - slack, 0.0)
    assert below + factor * below**n <= before * (1 + 1e-12)
    assert above + factor * above**n >= before


def test_erosion_makes_no_new_pit_and_keeps_outlets_and_protected_ground() -> None:
    height = depressions.fill_depressions(rough(64).astype(np.float32), epsilon_m=0.01).astype(np.float64)
    flow = routing.route(height, 30.0)
    law = ErosionLaw(erodibility=1e-3, steepest=0.8)
    strength = np.ones((64, 64), np.float32)
    strength[20:40, 20:40] = 0.0
    after = erosion.incise(height, flow, law, erosion.stream_rate(flow, law, 1e4, strength=strength))
    assert (after <= height).all()
    assert edge_sum(np.abs(after - height)) == 0.0
    assert np.array_equal(after[20:40, 20:40], height[20:40, 20:40])
    receivers = receiver_indices(flow)
    free = (strength.ravel() > 0) & (receivers != np.arange(receivers.size))
    fall = after.ravel() - after.ravel()[receivers]
    assert (fall >= 0).all()
    length = 30.0 * np.where(np.isin(flow.codes.numpy().ravel(), [0, 2, 5, 7]), np.sqrt(2.0), 1.0)
    assert (fall[free] <= 0.8 * length[free] * (1 + 1e-12)).all()


def test_sediment_that_settles_satisfies_the_equation_and_less_leaves() -> None:
    height = depressions.fill_depressions(rough(64).astype(np.float32), epsilon_m=0.01).astype(np.float64)
    flow = routing.route(height, 30.0)
    bare = ErosionLaw(erodibility=2e-5)
    law = ErosionLaw(erodibility=2e-5, deposition=0.8)
    rate = erosion.stream_rate(flow, law, 1e4)
    after, settled = erosion.incise_and_settle(height, flow, law, rate)
    assert settled is not None
    lost = (height - after).ravel()
    upstream = routing.accumulate(flow, lost) - lost
    expected = np.clip(upstream, 0.0, None) * 0.8 / flow.upstream.numpy()
    expected[receiver_indices(flow) == np.arange(height.size)] = 0.0
    np.testing.assert_allclose(settled, expected, atol=0.05 * np.abs(lost).max())
    assert 0.0 < lost.sum() < (height - erosion.incise(height, flow, bare, rate)).sum()


def test_lake_beds_are_spared_unless_asked_otherwise() -> None:
    height = 10.0 + np.arange(12.0)[None, :] * np.ones((12, 1))
    height[3:9, 3:9] = 2.0 + 0.1 * np.hypot(*np.mgrid[-3:3, -3:3])
    flow = routing.route(height, 10.0)
    law = ErosionLaw(erodibility=1e-2)
    rate = erosion.stream_rate(flow, law, 100.0)
    wet = depressions.fill_depressions(height.astype(np.float32)) > height + 0.5
    assert np.array_equal(erosion.incise(height, flow, law, rate)[wet], height[wet])
    assert not np.array_equal(erosion.incise(height, flow, law, rate, lakes=False)[wet], height[wet])


def test_creep_decays_a_cosine_as_the_closed_form() -> None:
    side, size = 65, 10.0
    x = np.arange(side) * size
    wave = np.pi / x[-1]
    height = np.sin(2 * wave * x)[:, None] * np.sin(3 * wave * x)[None, :]
    diffusivity, years, steps = 0.5, 4000.0, 40
    after = height
    for _ in range(steps):
        after = erosion.creep(after, size, diffusivity, years / steps)
    decay = np.exp(-diffusivity * years * wave**2 * (2**2 + 3**2))
    np.testing.assert_allclose(after, decay * height, atol=2e-3)
    assert decay < 0.95


def test_creep_is_stable_for_any_step_and_keeps_a_plane() -> None:
    plane = np.add.outer(2.0 * np.arange(20), -3.0 * np.arange(31))
    np.testing.assert_allclose(hillslope_cpu.diffuse(plane, 50.0), plane, atol=1e-9)
    bumpy = rough(40)
    assert np.ptp(hillslope_cpu.diffuse(bumpy, 1e4)) <= 2.0 * np.ptp(bumpy)


def test_rim_follows_the_ground_inside_but_outlets_stay() -> None:
    before = np.full((5, 5), 10.0)
    before[2, 0] = 1.0
    after = before.copy()
    after[1:-1, 1:-1] = 4.0
    erosion.lower_rim(before, after)
    assert after[2, 0] == 1.0
    assert (np.delete(after.ravel(), 10) == 4.0).all()


def test_law_refuses_constants_without_meaning() -> None:
    with pytest.raises(ValueError, match="erodibility"):
        ErosionLaw(erodibility=-1.0)
    with pytest.raises(ValueError, match="slope_exponent"):
        ErosionLaw(erodibility=1.0, slope_exponent=0.0)


# -------------------------------------------------------------- fastscapelib


def fastscape_step(height: np.ndarray, size: float, k: float, m: float, years: float) -> tuple[np.ndarray, np.ndarray]:
    """Heights after one step, and receivers, of fastscapelib's steepest descent, spanning tree and stream power."""
    fs = pytest.importorskip("fastscapelib")
    grid = fs.RasterGrid(list(height.shape), [size, size], fs.NodeStatus.FIXED_VALUE)
    graph = fs.FlowGraph(grid, [fs.SingleFlowRouter(), fs.MSTSinkResolver()])
    graph.update_routes(height)
    area = graph.accumulate(np.ones_like(height))
    receivers = np.asarray(graph.impl().receivers).reshape(height.size, -1)[:, 0].astype(np.int64)
    return height - fs.SPLEroder(graph, k, m, 1.0, 1e-5).erode(height, area, years), receivers


def test_a_step_without_pits_equals_fastscapelib() -> None:
    height = depressions.breach_depressions(rough(128).astype(np.float32)).astype(np.float64)
    expected, receivers = fastscape_step(height, 30.0, 2e-4, 0.4, 1e4)
    flow = routing.route(height, 30.0)
    law = ErosionLaw(erodibility=2e-4, area_exponent=0.4)
    assert np.array_equal(receiver_indices(flow), receivers)
    after = erosion.incise(height, flow, law, erosion.stream_rate(flow, law, 1e4), lakes=False)
    np.testing.assert_allclose(after, expected, atol=1e-8)


def test_a_step_over_hundreds_of_pits_equals_fastscapelib_where_its_answer_is_unique() -> None:
    height = without_tied_passes(rough(160))
    expected, receivers = fastscape_step(height, 30.0, 2e-4, 0.4, 1e4)
    flow = routing.route(height, 30.0)
    assert flow.pits > 300
    assert np.array_equal(receiver_indices(flow), receivers)
    law = ErosionLaw(erodibility=2e-4, area_exponent=0.4)
    after = erosion.incise(height, flow, law, erosion.stream_rate(flow, law, 1e4), lakes=False)
    np.testing.assert_allclose(after, expected, atol=1e-8)


def test_tied_passes_are_all_that_fastscapelib_decides_otherwise() -> None:
    height = rough(160)
    flow = routing.route(height, 30.0)
    _, receivers = fastscape_step(height, 30.0, 2e-4, 0.4, 1e4)
    assert (receiver_indices(flow) != receivers).mean() < 0.003


# --------------------------------------------------------------- the engine


def run(height: np.ndarray, size: float = 30.0, mask: np.ndarray | None = None, **params: object) -> dict[str, Array]:
    inputs = {"height": height_map(height, size), "mask": None if mask is None else Array(MASK, mask)}
    return engine.run(HydrologyParams(**params), inputs, JobContext(seed=int(params.get("seed", 0))))


@pytest.mark.parametrize("shape", [(1, 1), (2, 2), (1, 9), (3, 3), (4, 17), (33, 20)])
@pytest.mark.parametrize("way", ["breach", "fill", "keep"])
def test_engine_answers_for_any_size_and_way(shape: tuple[int, int], way: str) -> None:
    height = np.random.default_rng(0).normal(0, 20, shape)
    outputs = run(height, steps=3, depressions=way, deposition=0.5, uplift=0.2)
    assert set(outputs) == {port.name for port in SPEC.outputs}
    for port in SPEC.outputs:
        array = check(outputs[port.name], port.name)
        assert array.kind is port.kind
        assert array.kind is CURVES or array.values.shape == shape
    if way != "keep" and min(shape) > 2:
        assert falls_to_edge(outputs["height"].values)


def concavity(height: np.ndarray) -> float:
    """How fast slope falls with drained area along rivers (Flint's law, S ~ A^-concavity), by least squares."""
    flow = routing.route(height, 30.0)
    fall = (height.ravel() - height.ravel()[receiver_indices(flow)]) / 30.0
    upstream = flow.upstream.numpy()
    rivers = (upstream > 8) & (fall > 1e-4)
    return -float(np.polyfit(np.log(upstream[rivers]), np.log(fall[rivers]), 1)[0])


@pytest.mark.parametrize("preset", SPEC.presets, ids=lambda preset: preset.name)
def test_presets_cut_valleys_and_drain(preset: object) -> None:
    height = rough(96, power=4.0).astype(np.float32)
    outputs = run(height, **preset.values)  # type: ignore[attr-defined]
    assert depressions.pit_fraction(outputs["height"].values) == 0.0
    if preset.name != "drain":  # type: ignore[attr-defined]
        assert concavity(outputs["height"].values) > concavity(height) + 0.05
        assert outputs["wear"].values.mean() > 0.02


def test_one_setting_gives_one_look_at_any_scale() -> None:
    height = rough(64, power=4.0)
    near = run(height, 10.0, depressions="keep", talus_angle=90.0)["height"].values
    far = run(height * 8.0, 80.0, depressions="keep", talus_angle=90.0)["height"].values
    np.testing.assert_allclose(far, near * 8.0, rtol=1e-4, atol=1e-2)


def test_no_erosion_changes_nothing_and_a_mask_protects_to_the_byte() -> None:
    height = rough(48).astype(np.float32)
    assert np.array_equal(run(height, amount=0.0, smoothing=0.0, depressions="keep")["height"].values, height)
    mask = np.ones((48, 48), np.float32)
    mask[:, :24] = 0.0
    outputs = run(height, mask=mask)
    assert np.array_equal(outputs["height"].values[:, :24], height[:, :24])
    assert not np.array_equal(outputs["height"].values[:, 24:], height[:, 24:])
    assert outputs["sediment"].values[:, 26:].max() > 0.1


def test_engine_leaves_its_input_alone_and_can_be_cancelled() -> None:
    height = rough(48).astype(np.float32)
    source = height_map(height, 30.0)
    before = source.values.copy()
    engine.run(HydrologyParams(steps=2), {"height": source, "mask": None}, JobContext())
    assert np.array_equal(source.values, before)
    with pytest.raises(JobCancelled):
        engine.run(HydrologyParams(), {"height": source, "mask": None}, JobContext(is_cancelled=lambda: True))


HASH = """
import hashlib, numpy as np
from backend.algorithms.hydrology import run
from backend.runtime.context import JobContext
from shared.arrays import height_map
from shared.catalog.hydrology import HydrologyParams
z = np.random.default_rng(1).normal(0, 50, (70, 90)).cumsum(0)
out = run(HydrologyParams(steps=5, uplift=0.3), {"height": height_map(z, 30.0), "mask": None}, JobContext(seed=4))
print(hashlib.sha256(b"".join(out[name].values.tobytes() for name in sorted(out))).hexdigest())
"""


def test_same_seed_same_bytes_for_any_number_of_threads() -> None:
    def digest(threads: int) -> str:
        environment = os.environ | {"NUMBA_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
        done = subprocess.run(
            [sys.executable, "-c", HASH], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    assert digest(1) == digest(2)


def test_keys_of_the_heap_sort_as_the_heights_do() -> None:
    height = np.array([[3.5, -0.0, -2.25, 0.0, 1e-30, -1e30]], np.float32)
    keys = depressions_cpu.order_bits(height)
    assert np.array_equal(height.ravel()[np.argsort(keys)], np.sort(height.ravel()))
    assert keys[1] >> 32 == keys[3] >> 32
