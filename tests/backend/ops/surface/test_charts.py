"""Charts and tiles: against closed forms, brute force, and themselves on any number of threads."""

from __future__ import annotations

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.ops.surface import charts as tc
from backend.ops.surface.edges import shared_edges
from shared.errors import InvalidInput
from tests.support.devices import DEVICES
from tests.support.seam_mesh import cut_height_field


def mesh_of(uv: np.ndarray, places: np.ndarray | None = None) -> np.ndarray:
    """UV triangles [N, 3, 2] as a MESH, apart from each other in space unless places [N, 3, 3] say otherwise."""
    uv = np.asarray(uv, np.float32)
    if places is None:
        places = np.arange(uv.shape[0] * 9, dtype=np.float32).reshape(-1, 3, 3) ** 2
    return np.concatenate([places, uv], axis=-1).astype(np.float32)


def square(left: float, bottom: float, side: float) -> np.ndarray:
    a, b, c, d = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * side + (left, bottom)
    return np.array([[a, b, c], [a, c, d]])


def test_a_grid_shares_its_inner_edges_and_no_others() -> None:
    cells = 6
    edges = shared_edges(cut_height_field(cells))
    inner = cells * cells + 2 * cells * (cells - 1)  # diagonals, and those between cells
    assert len(edges.seam) == inner
    assert edges.seam.sum() == cells


def test_sides_of_an_edge_run_the_same_way_and_name_the_third_corner() -> None:
    mesh = cut_height_field(4)
    edges = shared_edges(mesh)
    a = mesh[edges.triangle_a[:, None], edges.corners_a]
    b = mesh[edges.triangle_b[:, None], edges.corners_b]
    np.testing.assert_array_equal(a[:, :2, :3], b[:, :2, :3])
    assert not (a[:, 2, :3] == b[:, 2, :3]).all(axis=1).any()
    assert (np.sort(edges.corners_a, axis=1) == np.arange(3)).all()


def test_corners_a_rounding_apart_still_meet_and_short_edges_survive() -> None:
    mesh = cut_height_field(20)
    noisy = mesh.copy()
    noisy[..., :3] += np.random.default_rng(1).uniform(-2e-7, 2e-7, mesh[..., :3].shape).astype(np.float32)
    assert len(shared_edges(noisy).seam) == len(shared_edges(mesh).seam)
    assert len(shared_edges(noisy, tolerance=0.0).seam) < len(shared_edges(mesh).seam)
    tiny = mesh.copy()
    tiny[..., :3] *= 1e-6  # a fine part of a large mesh: its edges are shorter than the tolerance, and meet exactly
    far = np.concatenate([tiny, mesh_of(square(0, 0, 0.01), np.full((2, 3, 3), 5.0))])
    assert len(shared_edges(far).seam) == len(shared_edges(mesh).seam)


def test_triangles_without_uvs_and_empty_meshes_share_nothing() -> None:
    mesh = cut_height_field(4)
    mesh[..., 3] = np.nan
    assert len(shared_edges(mesh).seam) == 0
    assert (tc.chart_numbers(mesh) == 0).all()
    assert (tc.tile_numbers(mesh) == 0).all()
    assert tc.overlap_share(mesh) == 0.0


def test_charts_are_numbered_in_order_and_split_at_the_seam() -> None:
    mesh = cut_height_field(6)
    numbers = tc.chart_numbers(mesh)
    assert set(numbers) == {1, 2}
    np.testing.assert_array_equal(numbers == 2, mesh[..., 0].mean(axis=1) > 0.5)
    assert tc.chart_numbers(mesh[::-1])[0] == 1


def test_tiles_by_number() -> None:
    uv = np.concatenate([square(0, 0, 1.0), square(3, 0, 1.0), square(1.2, 2.3, 0.5)])
    mesh = mesh_of(uv)
    assert tc.tile_numbers(mesh).tolist() == [1001, 1001, 1004, 1004, 1022, 1022]
    moved = tc.in_tile(mesh, tc.tile_numbers(mesh), 1022)
    assert moved.shape == (2, 3, 5)
    np.testing.assert_allclose(moved[..., 3:], square(0.2, 0.3, 0.5), atol=1e-6)
    np.testing.assert_array_equal(tc.tile_origin(np.array([1001, 1010, 1011, 1022])), [[0, 0], [9, 0], [0, 1], [1, 2]])


@pytest.mark.parametrize(
    ("corner", "words"),
    [((-0.5, 0.0), "outside"), ((0.0, -0.5), "outside"), ((10.2, 0.0), "outside"), ((0.8, 0.1), "across")],
)
def test_uvs_that_are_in_no_tile_are_refused_with_their_number(corner: tuple[float, float], words: str) -> None:
    mesh = mesh_of(np.concatenate([square(0.1, 0.1, 0.5), square(*corner, 0.4)]))
    with pytest.raises(InvalidInput, match=rf"[12] of 4 triangles .*{words}") as caught:
        tc.tile_numbers(mesh)
    assert caught.value.field == "mesh"
    assert caught.value.hint


def test_an_odd_triangle_over_the_border_stays_with_the_others() -> None:
    """An artist's slip: u = -0.05, v a little above 1; and one that is far away takes no texture."""
    proper = np.concatenate([square(0.2, 0.2, 0.5)] * 60)
    slips = np.array(
        [
            [[-0.05, 0.3], [0.2, 0.3], [0.2, 0.5]],
            [[-0.08, 0.3], [-0.01, 0.3], [-0.01, 0.5]],
            [[0.4, 0.9], [0.5, 1.0007], [0.3, 1.0007]],
            [[-3.0, 0.3], [-2.9, 0.3], [-2.9, 0.5]],
        ]
    )
    mesh = mesh_of(np.concatenate([proper, slips]))
    numbers, strays = tc.tiles_and_strays(mesh)
    assert numbers[-4:].tolist() == [1001, 1001, 1001, 0]
    assert (numbers[:-4] == 1001).all()
    assert strays == 4
    assert tc.tiles_and_strays(mesh[:-4])[1] == 0
    drawn = tc.chart_map(tc.in_tile(mesh, numbers, 1001), 32) > 0
    assert drawn[32 - 10, 0]  # the first slip goes on to the texture's border, and is cut off there


triangles = st.lists(
    st.lists(st.tuples(st.integers(0, 64), st.integers(0, 64)), min_size=3, max_size=3), min_size=1, max_size=6
)


@given(triangles)
def test_touched_texels_are_those_that_share_area_with_a_triangle(corners: list) -> None:
    """Against clipping each texel's square by each triangle, on a grid of quarter texels."""
    size = 16
    xy = np.array(corners, np.float64) / 4
    uv = np.stack([xy[..., 0] / size, 1 - xy[..., 1] / size], axis=-1)
    mesh = mesh_of(uv)
    found = tc.chart_map(mesh, size, np.arange(1, len(xy) + 1, dtype=np.int32))
    for i in range(size):
        for j in range(size):
            touching = [n + 1 for n, triangle in enumerate(xy) if clipped_area(triangle, j, i) > 1e-9]
            assert found[i, j] in (touching or [0])
    plain = tc.chart_map(mesh, size, np.arange(1, len(xy) + 1, dtype=np.int32), impl="plain")
    np.testing.assert_array_equal(plain, found)
    np.testing.assert_array_equal(tc.cover_counts(mesh, size, impl="plain"), tc.cover_counts(mesh, size))


def clipped_area(triangle: np.ndarray, left: int, top: int) -> float:
    """Area of a triangle within the unit square at (left, top), by Sutherland and Hodgman."""
    polygon = list(triangle)
    for axis, limit, sign in ((0, left, 1), (0, left + 1, -1), (1, top, 1), (1, top + 1, -1)):
        kept = []
        for start, end in zip(polygon, polygon[1:] + polygon[:1], strict=True):
            a, b = sign * (start[axis] - limit), sign * (end[axis] - limit)
            if a >= 0:
                kept.append(start)
            if a * b < 0:
                kept.append(start + (end - start) * a / (a - b))
        polygon = kept
        if len(polygon) < 3:
            return 0.0
    x, y = np.array(polygon).T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


@pytest.mark.parametrize("turn", [0.0, 0.3, 1.1])
def test_a_triangulated_plane_is_covered_exactly_once(turn: float) -> None:
    """A jittered grid, every other triangle turned over: no centre inside is missed or counted twice."""
    rng = np.random.default_rng(3)
    steps = np.linspace(0.2, 0.8, 40)
    x, y = np.meshgrid(steps, steps)
    inner = (slice(1, -1), slice(1, -1))
    x[inner] += rng.uniform(-0.003, 0.003, x[inner].shape)
    y[inner] += rng.uniform(-0.003, 0.003, y[inner].shape)
    p = np.stack([x, y], axis=-1) - 0.5
    p = p @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) + 0.5
    a, b, c, d = p[:-1, :-1], p[:-1, 1:], p[1:, 1:], p[1:, :-1]
    uv = np.stack([np.stack([a, b, c], axis=2), np.stack([a, c, d], axis=2)], axis=2).reshape(-1, 3, 2)
    uv[::2] = uv[::2, ::-1]
    counts = tc.cover_counts(mesh_of(uv), 128)
    assert counts.max() == 1
    assert counts.sum() == pytest.approx(0.36 * 128**2, rel=0.03)
    assert tc.overlap_share(mesh_of(uv)) == 0.0


def test_overlap_is_the_share_of_the_area_claimed_twice() -> None:
    uv = np.concatenate([square(0.0, 0.0, 0.5), square(0.25, 0.0, 0.5)])
    assert tc.overlap_share(mesh_of(uv), 64) == pytest.approx(1 / 3)
    stacked = np.repeat(square(0.1, 0.1, 0.3), 300, axis=0)
    counts = tc.cover_counts(mesh_of(stacked), 32)
    assert set(np.unique(counts)) == {0, 255}
    assert tc.overlap_share(mesh_of(stacked), 32) == 1.0


def test_a_texel_of_two_charts_goes_to_the_one_over_its_centre() -> None:
    size = 8
    uv = np.concatenate([square(0, 0, 2.3 / size), square(2.3 / size, 0, 2.3 / size)])
    charts = tc.chart_map(mesh_of(uv), size, np.array([1, 1, 2, 2], np.int32))
    assert charts[-1].tolist() == [1, 1, 2, 2, 2, 0, 0, 0]
    assert charts[0].max() == 0


def test_the_same_map_on_any_number_of_threads() -> None:
    uv = np.random.default_rng(0).random((400, 3, 2))
    mesh, numbers = mesh_of(uv), np.arange(1, 401, dtype=np.int32)
    maps = []
    before = numba.get_num_threads()
    for threads in (1, before):
        numba.set_num_threads(threads)
        maps.append((tc.chart_map(mesh, 200, numbers), tc.cover_counts(mesh, 200)))
    np.testing.assert_array_equal(maps[0][0], maps[1][0])
    np.testing.assert_array_equal(maps[0][1], maps[1][1])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("size", [37, 300])
def test_the_kernel_is_the_plain_form(device: str, size: int) -> None:
    """Charts that overlap, reach over the border and have no area, over several of the kernel's strips of rows."""
    rng = np.random.default_rng(size)
    uv = rng.uniform(-0.2, 1.2, (80, 1, 2)) + rng.normal(0, 0.1, (80, 3, 2))
    uv[5, 1] = uv[5, 0]
    mesh, numbers = mesh_of(np.concatenate([uv, [uv[0]] * 300])), np.arange(1, 381, dtype=np.int32)
    found = tc.chart_map(mesh, size, numbers)
    assert len(np.unique(found)) > 40
    np.testing.assert_array_equal(tc.chart_map(mesh, size, numbers, device=device, impl="plain"), found)
    counts = tc.cover_counts(mesh, size)
    assert counts.max() == 255
    np.testing.assert_array_equal(tc.cover_counts(mesh, size, device=device, impl="plain"), counts)
