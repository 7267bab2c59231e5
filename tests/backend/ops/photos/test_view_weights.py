"""Weights of a photograph's pixels, and where they look once it is bent, against their definitions pixel by pixel."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numba
import numpy as np
import pytest
import torch

from backend.ops.photos import bending, surface_maps, view_weights
from backend.ops.photos.surface_maps import SAME_CHART
from backend.ops.photos.view_weights import (
    BREAK,
    LEAST_AT_SILHOUETTE,
    SATURATED,
    SATURATED_WEIGHT,
    WeightSettings,
)
from backend.ops.surface.rasterization import SurfaceMap
from tests.support.devices import DEVICES
from tests.support.drawn import Drawn

CUDA = DEVICES[-1]  # without a card the CPU's tensors in numba's simulator
FORMS = pytest.mark.parametrize(("impl", "device"), [("cpu", "cpu"), *(("plain", device) for device in DEVICES)])


def bent(
    drawn: Drawn, weights: np.ndarray, *where: Any, impl: Any = "auto", device: str = "cpu"
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """With NumPy arrays."""
    made = bending.bent(drawn.on(device), torch.from_numpy(weights).to(device), *where, impl=impl)
    uv, footprint, moved = (part.cpu().numpy() for part in made)
    return uv, footprint, moved


def surface(height: int, width: int, seed: int) -> tuple[Drawn, np.ndarray]:
    """Two charts side by side with holes, and weights [h, W]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    chart = x > 0.55 * width + 3 * np.sin(y / 5)
    uv = np.stack([0.01 * x + 2e-4 * y + 1e-5 * x * y + 3.0 * chart, 0.3 - 0.009 * y + 1e-4 * x], -1).astype(np.float32)
    hole = rng.random((height, width)) < 0.03
    hole[:, width // 4 : width // 4 + 3] = True
    uv[hole] = np.nan
    footprint = np.where(hole, np.nan, rng.uniform(0.009, 0.011, hole.shape)).astype(np.float32)
    stretch = np.where(hole, np.nan, rng.uniform(1, 1.3, hole.shape)).astype(np.float32)
    weights = np.where(hole | (rng.random(hole.shape) < 0.1), 0, rng.random(hole.shape)).astype(np.float32)
    return Drawn(uv, footprint, footprint, footprint, stretch, np.zeros(hole.shape, np.int32)), weights


def looked_up(
    drawn: Drawn,
    weights: np.ndarray,
    nodes: np.ndarray,
    cell: float,
    row: int,
    column: int,
    first_row: int,
    above: int,
) -> tuple[float, float, float, float]:
    """u, v, footprint and weight of one pixel."""
    height, width = weights.shape
    gy, gx = min((first_row + row + 0.5) / cell, len(nodes) - 1), min((column + 0.5) / cell, nodes.shape[1] - 1)
    y0, x0 = min(int(gy), len(nodes) - 2), min(int(gx), nodes.shape[1] - 2)
    fy, fx = gy - y0, gx - x0
    moved = np.einsum("i,j,ijk->k", [1 - fy, fy], [1 - fx, fx], nodes[y0 : y0 + 2, x0 : x0 + 2].astype(np.float64))
    sx, sy = column - moved[0], row + above - moved[1]
    x, y = int(np.floor(sx + 0.5)), int(np.floor(sy + 0.5))
    if not (0 <= x < width and 0 <= y < height) or weights[y, x] <= 0:
        return np.nan, np.nan, np.nan, 0.0
    reach = SAME_CHART * drawn.footprint[y, x] * np.sqrt(drawn.stretch[y, x])
    here = drawn.uv[y, x].astype(np.float64)
    there = here.copy()
    for offset, step in ((sx - x, (0, 1)), (sy - y, (1, 0))):
        first = 1 if offset >= 0 else -1
        for side in (first, -first):
            b, a = y + side * step[0], x + side * step[1]
            if 0 <= b < height and 0 <= a < width and np.abs(drawn.uv[b, a] - here).max() <= reach:
                there += side * offset * (drawn.uv[b, a] - here)
                break
    return there[0], there[1], drawn.footprint[y, x], weights[y, x]


@pytest.mark.parametrize(
    ("height", "width", "cell", "most", "first_row", "above"),
    [
        (24, 60, 16.0, 2.5, 0, 0), (15, 33, 3.0, 6.0, 9, 4),
        (9, 20, 64.0, 30.0, 0, 0), (3, 1, 8.0, 0.4, 0, 1), (8, 40, 7.3, 0.3, 5, 2),
    ],
)  # fmt: skip
@FORMS
def test_bent_pixels_look_where_their_displacement_says(
    height: int, width: int, cell: float, most: float, first_row: int, above: int, impl: Any, device: str
) -> None:
    drawn, weights = surface(height, width, seed=height)
    rows = height - 2 * above if height > 2 * above else height - above
    gy, gx = int(np.ceil((first_row + rows) / cell)) + 1, int(np.ceil(width / cell)) + 1
    nodes = np.random.default_rng(width).uniform(-most, most, (gy, gx, 2)).astype(np.float32)
    uv, footprint, moved = bent(drawn, weights, nodes, cell, first_row, above, rows, impl=impl, device=device)
    expected = np.array(
        [
            [looked_up(drawn, weights, nodes, cell, row, column, first_row, above) for column in range(width)]
            for row in range(rows)
        ]
    )
    np.testing.assert_allclose(uv, expected[..., :2], atol=1e-6, rtol=1e-6)
    np.testing.assert_array_equal(footprint, expected[..., 2].astype(np.float32))
    np.testing.assert_array_equal(moved, expected[..., 3].astype(np.float32))
    assert width == 1 or most > width or (moved > 0).mean() > 0.3


def test_no_number_of_threads_bends_otherwise() -> None:
    drawn, weights = surface(50, 64, seed=3)
    nodes, before, made = np.random.default_rng(1).uniform(-2, 2, (5, 5, 2)), numba.get_num_threads(), []
    for threads in (1, before):
        numba.set_num_threads(threads)
        try:
            made.append(bent(drawn, weights, nodes, 16.0, 0, 0, 50))
        finally:
            numba.set_num_threads(before)
    for one, other in zip(*made, strict=True):
        np.testing.assert_array_equal(one, other)


# Weights --------------------------------------------------------------------------------------------------------------


def steps_and_slopes(height: int, width: int, seed: int) -> Drawn:
    """A tilted plane with boxes in front of it, a hole, and backs; odd footprints here and there."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    depth = 1.0 / (0.4 + 0.004 * x - 0.002 * y)
    for _ in range(4):
        top, left = rng.integers(0, height), rng.integers(0, width)
        depth[top : top + 6, left : left + 9] *= rng.uniform(0.6, 0.99)
    facing, footprint = rng.uniform(0.05, 1.0, depth.shape), rng.uniform(0.001, 0.01, depth.shape)
    facing[height // 3 : height // 3 + 3, width // 2 :] *= -1
    footprint[rng.random(depth.shape) < 0.03] = 0
    hole = (y - 5) ** 2 + (x - width // 3) ** 2 < 12
    for values in (depth, facing, footprint):
        values[hole] = np.nan
    depth, facing, footprint = (values.astype(np.float32) for values in (depth, facing, footprint))
    uv, triangle = np.zeros((height, width, 2), np.float32), np.zeros((height, width), np.int32)
    return Drawn(uv, depth, facing, footprint, footprint, triangle)


def ends(drawn: Drawn, y: int, x: int, dy: int, dx: int) -> bool:
    """Whether a seen pixel's surface ends before a neighbour that lies in the picture."""
    height, width = drawn.depth.shape
    if not drawn.facing[y + dy, x + dx] > 0:
        return True

    def inverse(b: int, a: int) -> float:
        inside = 0 <= b < height and 0 <= a < width
        return 1.0 / float(drawn.depth[b, a]) if inside else np.nan

    here, beside = inverse(y, x), inverse(y + dy, x + dx)
    slopes = [abs(here - inverse(y - dy, x - dx)), abs(beside - inverse(y + 2 * dy, x + 2 * dx))]
    steepest = max([slope for slope in slopes if not np.isnan(slope)], default=0.0)
    largest = max(here, beside)
    return abs(here - beside) > 2 * steepest + BREAK * largest and abs(1 / here - 1 / beside) > BREAK / largest


@pytest.mark.parametrize(("power", "radius"), [(1.0, 2.0), (2.5, 2.0), (1.0, 3.4), (1.0, 0.0), (0.0, 0.5)])
@FORMS
def test_surfaces_weigh_by_their_angle_and_fade_towards_where_they_end(
    power: float, radius: float, impl: Any, device: str
) -> None:
    drawn = steps_and_slopes(30, 45, seed=7)
    settings = WeightSettings(power=power, silhouette_px=radius)
    height, width = drawn.depth.shape
    rims = [
        (y, x)
        for y in range(height)
        for x in range(width)
        if drawn.facing[y, x] > 0
        and any(
            0 <= y + dy < height and 0 <= x + dx < width and ends(drawn, y, x, dy, dx)
            for dy, dx in ((0, 1), (0, -1), (1, 0), (-1, 0))
        )
    ]
    expected = np.zeros((height, width))
    for y, x in np.ndindex(height, width):
        cosine = float(drawn.facing[y, x])
        if cosine > np.cos(np.radians(settings.steepest_deg)) and 0 < drawn.footprint[y, x] < 1:
            rows = int(np.ceil(radius))
            near = min([(y - b) ** 2 + (x - a) ** 2 for b, a in rims if abs(y - b) <= rows], default=np.inf)
            fade = max(near / (radius + 1) ** 2, LEAST_AT_SILHOUETTE) if near < (radius + 1) ** 2 else 1.0
            expected[y, x] = cosine**power * (fade if radius > 0 else 1.0)
    assert len(rims) > 60
    found = view_weights.surface_weights(drawn.on(device), settings, impl=impl).cpu().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize(
    ("height", "width", "first_row", "border"),
    [(20, 31, 4, 4.0), (20, 5, 0, 4.0), (9, 40, 0, 0.0), (12, 30, 0, 2.5)],
)
@FORMS
def test_borders_masks_and_full_sensors_take_weight_away(
    dtype: type, height: int, width: int, first_row: int, border: float, impl: Any, device: str
) -> None:
    rng, top, rows = np.random.default_rng(height), np.iinfo(dtype).max, height - first_row
    pixels = rng.integers(0, top, (rows, width, 3), dtype)
    pixels[rng.random(pixels.shape) < 0.05] = round(0.998 * top)
    pixels = np.asfortranarray(pixels)  # as pixels cut out of wider ones, it has no rows in one piece
    before = rng.random((rows, width)).astype(np.float32)
    mask = rng.random((rows, width)).astype(np.float32)
    y, x = np.mgrid[first_row:height, :width]
    inside = np.minimum.reduce([y, height - 1 - y, x, width - 1 - x]) + 0.5
    expected = before * np.minimum(inside / border, 1.0) if border else before.astype(float)
    expected = expected * np.where(pixels.max(axis=2) >= SATURATED * top, SATURATED_WEIGHT, 1.0)
    for given, masked in ((None, expected), (mask, expected * mask)):
        weights, shown = torch.tensor(before, device=device), torch.from_numpy(pixels).to(device)
        own = None if given is None else torch.from_numpy(given).to(device)
        settings = WeightSettings(border_px=border)
        view_weights.frame_weights(weights, shown, own, first_row, height, settings, impl=impl)
        np.testing.assert_allclose(weights.cpu().numpy(), masked, rtol=1e-6)


# The plain forms -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", DEVICES)
def test_bending_is_the_same_by_both_forms(device: str) -> None:
    """To the bit on a CPU."""
    drawn, weights = surface(60, 80, seed=12)
    nodes = np.random.default_rng(2).uniform(-3, 3, (5, 6, 2))
    fast = bent(drawn, weights, nodes, 17.0, 3, 4, 52, impl="cpu")
    plain = bent(drawn, weights, nodes, 17.0, 3, 4, 52, impl="plain", device=device)
    for one, other in zip(fast, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=0 if device == "cpu" else 1e-6)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("known", [False, True])
def test_weights_are_the_same_by_both_forms(device: str, known: bool) -> None:
    drawn = steps_and_slopes(70, 90, seed=3)
    if not known:
        drawn.depth[:] = np.nan
    settings = WeightSettings(silhouette_px=5.0)
    fast = view_weights.surface_weights(drawn.on(), settings, impl="cpu")
    plain = view_weights.surface_weights(drawn.on(device), settings, impl="plain").cpu()
    assert (fast > 0).float().mean() > 0.5
    torch.testing.assert_close(fast, plain, rtol=0 if device == "cpu" else 1e-6, atol=0)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_given_maps_and_their_means_are_the_same_by_both_forms(device: str, times: int) -> None:
    drawn, _ = surface(36, 51, seed=5)
    uv, made = drawn.uv.copy(), []
    uv[20:, 30:] = uv[20, 30]  # nothing changes there: no area
    for impl, on in (("cpu", "cpu"), ("plain", device)):
        whole = surface_maps.surface_of_maps(torch.from_numpy(uv).to(on), None, None, impl=impl)
        made.append(surface_maps.reduced_surface(whole, times, 36 // times, 51 // times, impl=impl))
    assert made[0].footprint.isfinite().float().mean() > 0.3
    for name in ("uv", "depth", "facing", "footprint", "stretch"):
        one, other = getattr(made[0], name), getattr(made[1], name).cpu()
        torch.testing.assert_close(one, other, rtol=2e-7, atol=0, equal_nan=True)


# On a card -----------------------------------------------------------------------------------------------------------


def stacked(maps: list[SurfaceMap]) -> SurfaceMap:
    return SurfaceMap(
        **{field.name: torch.stack([getattr(one, field.name) for one in maps]).to(CUDA) for field in fields(SurfaceMap)}
    )


@pytest.mark.parametrize(("cell", "first_row", "above"), [(5.3, 3, 2), (64.0, 0, 0)])
def test_the_cuda_twin_bends_photographs_together_as_the_plain_form_each(
    cell: float, first_row: int, above: int
) -> None:
    drawn = [surface(15, 19, seed) for seed in (12, 13)]
    weights = torch.from_numpy(np.stack([own for _, own in drawn])).to(CUDA)
    nodes = np.random.default_rng(2).uniform(-3, 3, (2, int((first_row + 15) / cell) + 2, int(19 / cell) + 2, 2))
    together = stacked([own.on() for own, _ in drawn])
    made = [
        bending.bent(together, weights, nodes, cell, first_row, above, 12, impl=impl)  # type: ignore[arg-type]
        for impl in ("plain", "cuda")
    ]
    alone = bending.bent(together.of(1), weights[1], nodes[1], cell, first_row, above, 12, impl="cuda")
    assert (made[0][2] > 0).float().mean() > 0.4
    for plain, twin, one in zip(*made, alone, strict=True):
        torch.testing.assert_close(twin, plain, rtol=1e-6, atol=1e-7, equal_nan=True)
        assert torch.equal(one.nan_to_num(nan=-1), twin[1].nan_to_num(nan=-1))


@pytest.mark.parametrize(("power", "radius"), [(1.0, 2.0), (2.5, 3.4), (0.0, 0.0)])
def test_the_cuda_twin_weighs_surfaces_together_as_the_plain_form_each(power: float, radius: float) -> None:
    together = stacked([steps_and_slopes(14, 22, seed=seed).on() for seed in (3, 4)])
    together.depth[1, :, 11:] = torch.nan  # not known
    settings = WeightSettings(power=power, silhouette_px=radius)
    plain, twin = (view_weights.surface_weights(together, settings, impl=impl) for impl in ("plain", "cuda"))  # type: ignore[arg-type]
    assert ((plain > 0) & (plain < 0.3)).any() == (power > 0)
    torch.testing.assert_close(twin, plain, rtol=1e-6, atol=0)
    assert torch.equal(view_weights.surface_weights(together.of(1), settings, impl="cuda"), twin[1])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_cuda_twin_frames_photographs_together_as_the_plain_form_each(dtype: type) -> None:
    rng, top = np.random.default_rng(5), np.iinfo(dtype).max
    pixels = rng.integers(0, top, (2, 9, 13, 3)).astype(dtype)
    pixels[rng.random(pixels.shape) < 0.1] = top
    mask, made = torch.from_numpy(rng.random((2, 9, 13)).astype(np.float32)).to(CUDA), []
    for impl in ("plain", "cuda"):
        weights = torch.ones(2, 9, 13, device=CUDA)
        given = torch.from_numpy(pixels).to(CUDA)
        view_weights.frame_weights(weights, given, mask, 2, 20, WeightSettings(border_px=3.0), impl=impl)  # type: ignore[arg-type]
        made.append(weights)
    assert (made[0] < 0.1 * mask).any()
    torch.testing.assert_close(made[1], made[0], rtol=1e-6, atol=0)
