"""The rasteriser against ray casting and closed forms, and the kernel against the plain form."""

from __future__ import annotations

from dataclasses import fields

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from backend.ops.surface import fragments, rasterization_plain
from shared.cameras.camera import Camera
from shared.errors import InvalidInput
from tests.support.devices import DEVICES
from tests.support.drawn import Drawn, draw, project

FIELDS = [field.name for field in fields(Drawn)]
EXACT = ("uv", "depth", "facing", "triangle")


def camera(
    width: int = 64,
    height: int = 48,
    *,
    focal: tuple[float, float] = (60.0, 63.0),
    center: tuple[float, float] | None = None,
    turn: np.ndarray | None = None,
    shift: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> Camera:
    rotation = np.eye(3) if turn is None else turn
    cx, cy = center or (width / 2, height / 2)
    return Camera(
        name="view",
        width=width,
        height=height,
        fx=focal[0],
        fy=focal[1],
        cx=cx,
        cy=cy,
        rotation=rotation,
        translation=np.array(shift),
    )


def quad(corners: list[tuple[float, float, float]], uvs: list[tuple[float, float]]) -> np.ndarray:
    """Two triangles of four corners."""
    rows = np.concatenate([np.array(corners, float), np.array(uvs, float)], axis=1)
    return rows[[[0, 1, 2], [0, 2, 3]]].astype(np.float32)


UNIT = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]


def wall(half: float, depth: float, uvs: list[tuple[float, float]] | None = None) -> np.ndarray:
    """A square across the camera's axis."""
    corners = [(-half, -half, depth), (half, -half, depth), (half, half, depth), (-half, half, depth)]
    return quad(corners, uvs or UNIT)


def rays(view: Camera) -> np.ndarray:
    """Directions [H, W, 3] in camera space through pixel centres, of depth 1."""
    y, x = np.mgrid[: view.height, : view.width] + 0.5
    return np.stack([(x - view.cx) / view.fx, (y - view.cy) / view.fy, np.ones_like(x)], -1)


def scene(seed: int, triangles: int = 60, spread: float = 1.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(triangles, 1, 3)) * spread + [0.0, 0.0, 3.0]
    places = middles + rng.normal(size=(triangles, 3, 3)) * 0.5
    return np.concatenate([places, rng.random((triangles, 3, 2))], -1).astype(np.float32)


def cast(view: Camera, mesh: np.ndarray, near_m: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest triangle, its uv and the barycentric distance from its border, by Möller and Trumbore's intersection in the
    world: another formula, in another space, than the rasteriser's."""
    origin, directions = view.center, rays(view) @ np.asarray(view.rotation)
    depth = np.full(directions.shape[:2], np.inf)
    owner = np.full(depth.shape, -1)
    uv, margin = np.full((*depth.shape, 2), np.nan), np.full(depth.shape, np.inf)
    for index, corners in enumerate(mesh.astype(np.float64)):
        p, edge_1, edge_2 = corners[0, :3], corners[1, :3] - corners[0, :3], corners[2, :3] - corners[0, :3]
        cross = np.cross(directions, edge_2)
        determinant = cross @ edge_1
        with np.errstate(all="ignore"):
            b1 = cross @ (origin - p) / determinant
            across = np.cross(origin - p, edge_1)
            b2 = directions @ across / determinant
            t = (edge_2 @ across) / determinant
        inner = np.min([b1, b2, 1.0 - b1 - b2], axis=0)
        margin = np.where(t > 0, np.minimum(margin, np.abs(inner)), margin)
        hit = (inner >= 0) & (t >= near_m) & (t < depth)
        depth[hit], owner[hit] = t[hit], index
        shares = np.stack([1.0 - b1 - b2, b1, b2], -1)
        uv[hit] = (shares @ corners[:, 3:])[hit]
    return owner, uv, margin


def same(first: Drawn, second: Drawn) -> None:
    for name in FIELDS:
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), err_msg=name)


# Against other ways to the same answer --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_every_pixel_sees_what_a_ray_meets(seed: int) -> None:
    turn = Rotation.from_rotvec([0.3, -0.2 * seed, 0.1]).as_matrix()
    view = camera(center=(27.3, 30.1), turn=turn, shift=(0.4, -0.2, 0.5 * seed))
    mesh = scene(seed)
    drawn = draw(project(mesh, view))
    owner, uv, margin = cast(view, mesh, 1e-4)
    decided = margin > 1e-9  # rounding may decide otherwise on an edge
    assert decided.mean() > 0.999
    assert (drawn.triangle >= 0).any()
    np.testing.assert_array_equal(drawn.triangle[decided], owner[decided])
    np.testing.assert_allclose(drawn.uv[decided], uv[decided], atol=2e-6, rtol=1e-6)


def test_a_tilted_plane_is_seen_as_geometry_says() -> None:
    """The issue's plane test (1e-3 in UV), at a thousandth of that: uv, depth, facing, footprint and stretch in closed form."""
    view = camera(200, 160, focal=(180.0, 170.0), center=(90.0, 95.5))
    across, up = np.array([2.0, 0.3, 0.9]), np.array([-0.2, -1.5, 0.7])
    start = np.array([-0.9, 0.8, 2.6])
    mesh = quad([tuple(start), tuple(start + across), tuple(start + across + up), tuple(start + up)], UNIT)
    p0, p1, p3 = mesh[0, 0, :3].astype(float), mesh[0, 1, :3].astype(float), mesh[1, 2, :3].astype(float)
    mesh[0, 2, :3] = mesh[1, 1, :3] = p1 + p3 - p0
    drawn = draw(project(mesh, view))

    def plane(directions: np.ndarray) -> np.ndarray:
        """u, v, depth along the rays."""
        system = np.stack([p1 - p0, p3 - p0], -1)
        columns = np.concatenate([np.broadcast_to(-system, (*directions.shape[:-1], 3, 2)), directions[..., None]], -1)
        return np.linalg.solve(columns, np.broadcast_to(p0, directions.shape)[..., None])[..., 0]

    directions = rays(view)
    exact = plane(directions)
    inside = (exact[..., :2] > 1e-6).all(-1) & (exact[..., :2] < 1 - 1e-6).all(-1)
    assert 0.1 < inside.mean() < 0.9
    np.testing.assert_array_equal(np.isfinite(drawn.depth), inside)
    np.testing.assert_allclose(drawn.uv[inside], exact[inside][:, :2], atol=1e-6)
    np.testing.assert_allclose(drawn.depth[inside], exact[inside][:, 2], rtol=1e-6)
    normal = np.cross(p1 - p0, p3 - p0)
    cosine = -(directions @ normal) / np.linalg.norm(directions, axis=-1) / np.linalg.norm(normal)
    np.testing.assert_allclose(drawn.facing[inside], cosine[inside], atol=1e-6)
    step = 1e-4
    aside, down = np.array([step / view.fx, 0, 0]), np.array([0, step / view.fy, 0])
    by_x = (plane(directions + aside) - plane(directions - aside)) / (2 * step)
    by_y = (plane(directions + down) - plane(directions - down)) / (2 * step)
    jacobian = np.stack([by_x[..., :2], by_y[..., :2]], -1)[inside]
    singular = np.linalg.svd(jacobian, compute_uv=False)
    np.testing.assert_allclose(drawn.footprint[inside], np.sqrt(singular.prod(-1)), rtol=1e-5)
    np.testing.assert_allclose(drawn.stretch[inside], singular[:, 0] / singular[:, 1], rtol=1e-4)


def test_a_floor_that_runs_under_the_camera_is_cut_at_the_near_plane_only() -> None:
    view = camera(64, 64, center=(32.0, 20.0))
    mesh = quad([(-50, 1, -50), (-50, 1, 50), (50, 1, 50), (50, 1, -50)], [(-50, -50), (-50, 50), (50, 50), (50, -50)])
    drawn = draw(project(mesh, view))
    directions = rays(view)
    below = directions[..., 1] > 1.0 / 50.0 + 1e-9
    with np.errstate(divide="ignore"):
        expected = directions[..., [0, 2]] / directions[..., 1:2]
    below &= np.abs(expected[..., 0]) < 50.0
    np.testing.assert_array_equal(np.isfinite(drawn.depth), below)
    np.testing.assert_allclose(drawn.uv[below], expected[below], rtol=1e-5, atol=1e-6)
    nearer = draw(project(mesh, view, near_m=3.0)).depth
    np.testing.assert_array_equal(np.isfinite(nearer), below & (expected[..., 1] >= 3.0))


def test_nothing_behind_the_camera_is_seen() -> None:
    mesh = scene(1)
    mesh[..., 2] = -np.abs(mesh[..., 2]) - 0.1
    for impl in ("cpu", "plain"):
        projection = project(mesh, camera(), impl=impl)
        assert projection.is_empty
        assert (draw(projection).triangle == -1).all()


def test_places_far_from_the_origin_keep_their_uv() -> None:
    """Coordinates of a national grid: float32 holds them to 3 cm, and the arithmetic loses no more."""
    offset = np.array([512_000.0, 5_403_000.0, 400.0])
    mesh = wall(2.0, 0.0)
    mesh[:, :, :3] += offset.astype(np.float32)
    view = camera(shift=tuple(-offset + [0, 0, 4.0]))
    drawn = draw(project(mesh, view))
    _, uv, margin = cast(view, mesh, 1e-4)
    inside = margin > 1e-6
    np.testing.assert_allclose(drawn.uv[inside], uv[inside], atol=1e-6)


# The fill rule --------------------------------------------------------------------------------------------------------------------


def coverage(mesh: np.ndarray, view: Camera) -> np.ndarray:
    """How many triangles draw each pixel, each of them alone."""
    return sum((draw(project(triangle[None], view)).triangle == 0).astype(int) for triangle in mesh)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("turned", [False, True])
def test_neighbours_draw_each_pixel_once_even_where_edges_run_through_centres(seed: int, turned: bool) -> None:
    """A net of 8 x 8 cells whose corners lie on pixel centres and half-way between, cut along either diagonal."""
    rng = np.random.default_rng(seed)
    view = camera(32, 32, focal=(32.0, 32.0), center=(16.0, 16.0))
    step = np.arange(9) * 4.0
    places = np.stack(np.meshgrid(step, step), -1)
    places[1:-1, 1:-1] += rng.integers(-2, 3, (7, 7, 2)) * 0.5
    places = np.concatenate([(places - 16.0) / 32.0, np.ones((9, 9, 1)), np.zeros((9, 9, 2))], -1)
    triangles = []
    for row in range(8):
        for column in range(8):
            a, b = places[row, column], places[row, column + 1]
            c, d = places[row + 1, column + 1], places[row + 1, column]
            triangles += [[a, b, c], [a, c, d]] if rng.random() < 0.5 else [[a, b, d], [b, c, d]]
    mesh = np.array(triangles, np.float32)
    if turned:
        mesh = mesh[:, ::-1]
    np.testing.assert_array_equal(coverage(mesh, view), 1)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_a_fan_of_any_triangles_leaves_no_gap(seed: int) -> None:
    """A disc of triangles round one point, seen in perspective: every pixel inside is drawn exactly once."""
    rng = np.random.default_rng(seed)
    view = camera(40, 40, turn=Rotation.from_rotvec(rng.normal(size=3) * 0.2).as_matrix())
    angles = (np.arange(12) + rng.random(12)) * np.pi / 6.0
    rim = np.stack([np.cos(angles), np.sin(angles), rng.normal(size=12) * 0.1], -1) * 5.0 + [0, 0, 4]
    middle = np.array([0.1, -0.2, 3.5])
    mesh = np.zeros((12, 3, 5), np.float32)
    mesh[:, 0, :3], mesh[:, 1, :3], mesh[:, 2, :3] = middle, rim, np.roll(rim, -1, axis=0)
    drawn = coverage(mesh, view)
    pixels = rays(view) @ view.rotation
    towards = pixels / pixels[..., 2:]
    near_the_axis = np.linalg.norm(towards[..., :2], axis=-1) < 0.5
    np.testing.assert_array_equal(drawn[near_the_axis], 1)


# What hides what ------------------------------------------------------------------------------------------------------------------


def test_the_nearer_surface_hides_and_the_first_of_two_equals_stays() -> None:
    view = camera()
    far = wall(3.0, 4.0)
    near = wall(0.3, 2.0)
    drawn = draw(project(np.concatenate([far, near, near]), view))
    assert set(np.unique(drawn.triangle)) == {0, 1, 2, 3}
    assert (drawn.depth[drawn.triangle >= 2] == 2.0).all()


def test_occluders_have_a_depth_and_nothing_else() -> None:
    view = camera()
    mesh = wall(3.0, 4.0)
    occluder = wall(0.3, 2.0)
    drawn = draw(project(mesh, view, occluder))
    hidden = drawn.depth == 2.0
    assert 0.05 < hidden.mean() < 0.5
    for name in ("uv", "facing", "footprint", "stretch"):
        values = getattr(drawn, name)
        assert np.isnan(values[hidden]).all(), name
        assert np.isfinite(values[~hidden]).all(), name
    assert (drawn.triangle[hidden] == -1).all()
    same(drawn, draw(project(mesh, view, occluder[..., :3])))


def test_backs_hide_and_say_so() -> None:
    mesh = wall(3.0, 4.0)
    one, other = draw(project(mesh, camera())), draw(project(mesh[:, ::-1], camera()))
    np.testing.assert_allclose(other.facing, -one.facing)
    np.testing.assert_allclose(other.uv, one.uv, atol=1e-6)
    assert (one.facing < 0).all()  # counter-clockwise with y down is seen from behind


def test_a_mesh_without_uvs_is_drawn_without() -> None:
    mesh = wall(3.0, 4.0)
    mesh[0, :, 3:] = np.nan
    drawn = draw(project(mesh, camera()))
    bare = drawn.triangle == 0
    assert np.isnan(drawn.uv[bare]).all()
    assert np.isnan(drawn.footprint[bare]).all()
    assert np.isfinite(drawn.facing).all()
    assert np.isfinite(drawn.uv[~bare]).all()


def test_collapsed_uvs_have_no_footprint_and_infinite_stretch() -> None:
    mesh = wall(3.0, 4.0, [(0.5, 0.5)] * 4)
    drawn = draw(project(mesh, camera()))
    assert (drawn.footprint == 0).all()
    assert np.isinf(drawn.stretch).all()
    np.testing.assert_allclose(drawn.uv, 0.5, atol=1e-7)


# Parts of the whole ---------------------------------------------------------------------------------------------------------------


def part(drawn: Drawn, rows: slice) -> Drawn:
    return Drawn(**{name: getattr(drawn, name)[rows] for name in FIELDS})


@given(first=st.integers(0, 74), rows=st.integers(1, 75), threads=st.integers(1, 2))
@settings(max_examples=30)
def test_neither_strips_nor_threads_change_a_bit(first: int, rows: int, threads: int) -> None:
    projection = project(scene(7, 300), camera(90, 75))
    rows, before = min(rows, 75 - first), numba.get_num_threads()
    whole = draw(projection)
    try:
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        same(draw(projection, first, rows), part(whole, slice(first, first + rows)))
    finally:
        numba.set_num_threads(before)


def test_a_map_drawn_before_lends_its_memory() -> None:
    projection = project(scene(3, 200), camera())
    whole, lent = draw(projection), draw(projection, 0, 20)
    again = draw(projection, 31, 17, out=lent)
    same(again, part(whole, slice(31, 48)))
    assert all(np.shares_memory(getattr(again, name), getattr(lent, name)) for name in FIELDS)
    with pytest.raises(ValueError, match="fit"):
        draw(projection, 0, 21, out=lent)


def test_windows_of_uv_share_out_what_is_seen() -> None:
    projection = project(scene(3, 200), camera())
    whole, seen = draw(projection), 0
    for u in (0.0, 0.5):
        for v in (0.0, 0.5):
            block = draw(projection, uv_window=(u, v, u + 0.5, v + 0.5))
            inside = np.isfinite(block.uv[..., 0])
            np.testing.assert_array_equal(block.uv[inside], whole.uv[inside])
            np.testing.assert_array_equal(block.depth, whole.depth)
            np.testing.assert_array_equal(block.triangle, whole.triangle)
            np.testing.assert_array_equal(np.isfinite(block.footprint), inside)
            assert ((block.uv[inside] >= [u, v]) & (block.uv[inside] < [u + 0.5, v + 0.5])).all()
            seen = seen + inside.astype(int)
    np.testing.assert_array_equal(seen, np.isfinite(whole.uv[..., 0]).astype(int))


@pytest.mark.parametrize(("first", "rows"), [(-1, 4), (0, 49), (48, 1), (5, 0)])
def test_rows_outside_the_picture_are_refused(first: int, rows: int) -> None:
    with pytest.raises(ValueError, match="rows"):
        draw(project(scene(0), camera()), first, rows)


def test_what_is_no_mesh_is_refused() -> None:
    broken = scene(0)
    broken[3, 1, 2], broken[9, 0, 0] = np.nan, np.inf
    with pytest.raises(InvalidInput, match="2 of 60 triangles"):
        project(broken, camera())
    with pytest.raises(InvalidInput, match="shape"):
        project(np.zeros((4, 5)), camera())


# The plain form and its twin -----------------------------------------------------------------------------------------


def hold(
    mesh: np.ndarray, view: Camera, occluders: np.ndarray | None = None, *, device: str = "cpu", near_m: float = 1e-4,
    window: tuple[float, float, float, float] | None = None,
) -> Drawn:  # fmt: skip
    fast = draw(project(mesh, view, occluders, near_m=near_m), uv_window=window)
    projection = project(mesh, view, occluders, near_m=near_m, device=device, impl="plain")
    plain = draw(projection, uv_window=window)
    for name in FIELDS:
        if name in EXACT and device == "cpu":
            np.testing.assert_array_equal(getattr(fast, name), getattr(plain, name), err_msg=name)
        else:  # float32 square roots differ by a bit between libraries
            np.testing.assert_allclose(getattr(fast, name), getattr(plain, name), rtol=1e-4, atol=1e-6, err_msg=name)
    cut = max(view.height // 3, 1)
    strips = [
        draw(projection, first, min(cut, view.height - first), uv_window=window) for first in range(0, view.height, cut)
    ]
    same(plain, Drawn(**{name: np.concatenate([getattr(strip, name) for strip in strips]) for name in FIELDS}))
    return fast


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_is_the_plain_form(device: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rasterization_plain, "TRIANGLES", 50)  # several batches of each
    monkeypatch.setattr(fragments, "FRAGMENTS", 1000)
    rng = np.random.default_rng(seed)
    view = camera(61, 47, turn=Rotation.from_rotvec(rng.normal(size=3)).as_matrix(), shift=tuple(rng.normal(size=3)))
    mesh = np.concatenate([scene(seed, 150, 2.0), scene(seed + 10, 20, 3.0) * [1, 1, -1, 1, 1]])
    window = (0.1, 0.2, 0.7, 0.9) if seed % 2 else None
    drawn = hold(mesh, view, scene(seed + 20, 10), device=device, window=window)
    assert (drawn.triangle >= 0).any()


GRID = st.integers(-3, 3).map(float)
CORNER = st.tuples(GRID, GRID, st.integers(-2, 6).map(float), st.sampled_from([0.0, 0.5, 1.0, 2.5, float("nan")]), GRID)


@given(
    mesh=st.lists(st.tuples(CORNER, CORNER, CORNER), min_size=0, max_size=12),
    scale=st.sampled_from([1.0, 1e-4, 3e5, 1e9]),
    turn=st.booleans(),
)
@settings(max_examples=150)
def test_no_triangle_is_too_odd(mesh: list[tuple[tuple[float, ...], ...]], scale: float, turn: bool) -> None:
    """Corners on a coarse grid: edges through pixel centres, triangles without area, one in another, through and behind the
    camera, without UVs; tiny and huge."""
    triangles = np.array(mesh, np.float32).reshape(-1, 3, 5)
    triangles[:, :, :3] *= np.float32(scale)
    view = camera(
        13,
        9,
        focal=(4.0, 4.0),
        center=(6.5, 4.5),
        turn=Rotation.from_rotvec([0.1, 0.2, 0.3]).as_matrix() if turn else None,
    )
    drawn = hold(triangles, view, near_m=1e-4 * scale)
    seen = np.isfinite(drawn.depth)
    np.testing.assert_array_equal(seen, drawn.triangle >= 0)
    assert (drawn.depth[seen] > 0).all()
    assert (np.abs(drawn.facing[seen]) <= 1.0 + 1e-6).all()


CUDA = DEVICES[-1]  # without a card the CPU's tensors in numba's simulator


@pytest.mark.parametrize("windowed", [False, True])
def test_the_cuda_twin_is_the_plain_form(windowed: bool) -> None:
    """Triangles that cross, reach behind the camera or have no area; occluders; two at one depth; rows drawn apart."""
    turn = Rotation.from_rotvec([0.2, -0.3, 0.5]).as_matrix()
    view = camera(21, 17, focal=(9.0, 9.0), center=(10.5, 8.5), turn=turn, shift=(0.1, 0.2, 0.4))
    mesh = np.concatenate([scene(3, 60, 2.0), scene(13, 6, 3.0) * [1, 1, -1, 1, 1]]).astype(np.float32)
    mesh[4] = mesh[3]
    mesh[5, 2] = mesh[5, 1]
    occluders = scene(23, 3, 0.5)
    window = (0.2, 0.1, 0.8, 0.9) if windowed else None
    plain, twin = (
        project(mesh, view, occluders, near_m=0.3, device=CUDA, impl=impl)  # type: ignore[arg-type]
        for impl in ("plain", "cuda")
    )
    whole, made = (draw(one, uv_window=window) for one in (plain, twin))
    assert (whole.triangle >= 0).mean() > 0.15
    assert len(np.unique(whole.triangle)) > 8
    for name in FIELDS:
        if name in EXACT and CUDA == "cpu":
            np.testing.assert_array_equal(getattr(made, name), getattr(whole, name), err_msg=name)
        else:
            np.testing.assert_allclose(getattr(made, name), getattr(whole, name), rtol=1e-4, atol=1e-6, err_msg=name)
    same(made, Drawn(**{name: np.concatenate([getattr(draw(twin, *rows, uv_window=window), name)
                                              for rows in ((0, 6), (6, 11))]) for name in FIELDS}))  # fmt: skip


def test_the_cuda_twin_sees_nothing_behind_the_camera_and_no_gap_on_an_edge() -> None:
    mesh = scene(1, 12, 2.0)
    mesh[..., 2] = -np.abs(mesh[..., 2]) - 0.1
    projection = project(mesh, camera(9, 8), device=CUDA, impl="cuda")
    assert projection.is_empty
    assert (draw(projection).triangle == -1).all()
    edges = project(wall(2.0, 0.0), camera(16, 16, shift=(0.0, 0.0, 4.0)), device=CUDA, impl="cuda")
    expected = draw(project(wall(2.0, 0.0), camera(16, 16, shift=(0.0, 0.0, 4.0)), device=CUDA, impl="plain"))
    assert (expected.triangle >= 0).any()
    np.testing.assert_array_equal(draw(edges).triangle, expected.triangle)
