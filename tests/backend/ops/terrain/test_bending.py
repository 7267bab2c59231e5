"""What drawn lines do to a terrain: each type is obeyed on its pixels, on rough ground and for lines drawn at random."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter, maximum_filter1d

from backend.ops.terrain import bands
from backend.ops.terrain.curves import profiles, samples
from backend.ops.terrain.curves.bending import Bent, bend
from backend.ops.terrain.curves.displacement import Membrane
from backend.ops.terrain.drainage import drain
from backend.ops.terrain.routing import route
from shared.curves import Line
from shared.errors import InvalidInput

ROOT = Path(__file__).parents[4]
PIXEL_M = 30.0


def rough(seed: int, shape: tuple[int, int] = (128, 160), relief_m: float = 600.0) -> np.ndarray:
    """Hills with forms of every size, float32, lowest at 0."""
    generator = np.random.default_rng(seed)
    made = sum(
        gaussian_filter(generator.normal(size=shape), size, mode="reflect") * size**1.8 for size in (1, 2, 4, 8, 16, 32)
    )
    made = np.asarray(made)
    return ((made - made.min()) / np.ptp(made) * relief_m).astype(np.float32)


def wandering(seed: int, start: tuple[float, float], end: tuple[float, float], bends: float = 0.06) -> np.ndarray:
    """Points [40, 2] from one place of the map to another, as a person might draw them."""
    share = np.linspace(0, 1, 40)[:, None]
    straight = np.array(start) + (np.array(end) - start) * share
    steps = gaussian_filter(np.random.default_rng(seed).normal(size=(40, 2)), (4, 0)) * np.sin(np.pi * share)
    return straight + bends * steps / np.abs(steps).max()


def bent(height: np.ndarray, *lines: Line) -> Bent:
    return bend(torch.from_numpy(height), lines, PIXEL_M)


def course(line: Line, height: np.ndarray, result: Bent) -> np.ndarray:
    """The result's heights from pixel to pixel under a line, in the direction of its points."""
    (run,) = samples.runs([line], height.shape, PIXEL_M)  # pyright: ignore[reportArgumentType]
    pixels = run.pixels(height.shape)  # pyright: ignore[reportArgumentType]
    pixels = pixels[np.flatnonzero(np.diff(pixels, prepend=-1))]
    return result.height.numpy().ravel()[pixels]


# Rivers --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width_m", [10.0, 200.0])
def test_a_river_falls_from_pixel_to_pixel(seed: int, width_m: float) -> None:
    height = rough(seed)
    line = Line(type="river", points=wandering(seed, (0.1, 0.2), (0.9, 0.7)), width_m=width_m)
    fall = np.diff(course(line, height, bent(height, line)))
    assert (fall < 0).all() or (fall > 0).all(), "from its higher end to its lower"


def test_a_river_flows_as_it_was_drawn_on_request() -> None:
    height = np.tile(np.linspace(0, 500, 160, dtype=np.float32), (128, 1))
    points = wandering(1, (0.1, 0.5), (0.9, 0.5))
    for as_drawn, rises in ((False, True), (True, False)):
        line = Line(type="river", points=points, as_drawn=as_drawn)
        steps = np.diff(course(line, height, bent(height, line)))
        assert ((steps > 0) == rises).all()


@pytest.mark.parametrize("seed", range(4))
def test_water_stays_in_the_river_when_the_land_is_drained(seed: int) -> None:
    height = rough(seed)
    line = Line(type="river", points=wandering(seed, (0.15, 0.2), (1.2, 0.8)), width_m=120.0, as_drawn=True)
    made = bent(height, line)
    drained = drain(made.height, cut_share=0.6, drop=1e-3)
    receiver = route(drained, PIXEL_M).receiver.numpy()
    river = made.river.numpy().ravel()
    (run,) = samples.runs([line], height.shape, PIXEL_M)  # pyright: ignore[reportArgumentType]
    pixels = run.pixels(height.shape)  # pyright: ignore[reportArgumentType]
    here, way = int(pixels[0]), []
    while receiver[here] != here:
        way.append(here)
        here = int(receiver[here])
    assert here % 160 == 159, "it leaves the map where the river does"
    assert river[way].mean() > 0.98
    assert river[here]
    assert (np.diff(drained.numpy().ravel()[way]) < 0).all()


def test_rivers_that_join_and_cross_agree_and_fall() -> None:
    height = rough(3)
    trunk = Line(type="river", points=wandering(5, (-0.1, 0.3), (1.1, 0.6)), width_m=60.0)
    side = Line(type="river", points=wandering(6, (0.3, 0.95), tuple(trunk.points[24])), width_m=30.0)
    across = Line(type="river", points=wandering(7, (0.7, -0.1), (0.6, 1.1)), width_m=30.0)
    made = bent(height, trunk, side, across)
    for line in (trunk, side, across):
        steps = np.diff(course(line, height, made))
        assert min((steps > 0).mean(), (steps < 0).mean()) < 0.02, "but for a pixel that two beds share"
        assert min(steps[steps > 0].sum(), -steps[steps < 0].sum()) < 3.0


# Roads ---------------------------------------------------------------------------------------------------------------


def test_a_tributary_drawn_beyond_its_river_ends_there() -> None:
    height = rough(8)
    trunk = Line(type="river", points=np.array([(0.5, -0.1), (0.52, 1.1)]), width_m=60.0, as_drawn=True)
    ends = {}
    for name, end in (("short", 0.506), ("over", 0.535), ("across", 0.7)):
        side = Line(type="river", points=np.array([(0.1, 0.4), (end, 0.42)]), width_m=30.0, as_drawn=True)
        ends[name] = bent(height, trunk, side).river.numpy()
    beyond = np.s_[45:60, 84:110]
    assert ends["across"][beyond].any(), "a river that goes on is no tributary"
    assert not ends["over"][beyond].any()
    np.testing.assert_array_equal(ends["over"][beyond], ends["short"][beyond])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("slope", [0.03, 0.12])
def test_a_road_is_nowhere_steeper_than_its_slope(seed: int, slope: float) -> None:
    """At every two neighbouring pixels of it, at a hairpin and where it crosses another road as well."""
    height = rough(seed)
    hairpin = np.array([(0.2, 0.2), (0.8, 0.22), (0.83, 0.25), (0.8, 0.28), (0.2, 0.3), (0.4, 0.95)])
    lines = [
        Line(type="road", points=wandering(seed, (-0.1, 0.4), (1.1, 0.6)), width_m=90.0, slope=slope),
        Line(type="road", points=hairpin, slope=slope),
    ]
    made = bent(height, *lines)
    road, heights = made.road.numpy(), made.height.numpy().astype(np.float64)
    assert road.sum() > 500
    for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
        first = (slice(0, 128 - down), slice(max(-right, 0), 160 - max(right, 0)))
        second = (slice(down, 128), slice(max(right, 0), 160 + min(right, 0)))
        both = road[first] & road[second]
        rises = np.abs(heights[first] - heights[second])[both]
        assert rises.max() <= slope * PIXEL_M * np.hypot(down, right) + 1e-3
    assert np.abs(heights - height)[road].max() > 1.0


def test_a_road_is_level_across() -> None:
    height = np.tile(np.linspace(300, 0, 128, dtype=np.float32)[:, None], (1, 160))
    made = bent(height, Line(type="road", points=np.array([(-0.1, 0.5), (1.1, 0.5)]), width_m=150.0))
    across = made.height.numpy()[made.road.numpy().any(axis=1)]
    assert np.ptp(across[:, 20:-20], axis=0).max() < 0.02 * np.ptp(height[made.road.numpy().any(axis=1)], axis=0).max()


def test_a_road_fords_a_river_without_damming_it() -> None:
    height = rough(2)
    river = Line(type="river", points=wandering(2, (0.5, -0.1), (0.5, 1.1)), width_m=60.0)
    road = Line(type="road", points=wandering(3, (-0.1, 0.5), (1.1, 0.5)), width_m=60.0, slope=0.15)
    steps = np.diff(course(river, height, bent(height, river, road)))
    assert (steps < 0).all() or (steps > 0).all()


# Landforms -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_a_ridge_stands_above_the_ground_beside_it(seed: int) -> None:
    height = rough(seed)
    line = Line(type="ridge", points=wandering(seed, (0.15, 0.7), (0.85, 0.3)))
    made = bent(height, line)
    (run,) = samples.runs([line], height.shape, PIXEL_M)  # pyright: ignore[reportArgumentType]
    heights = made.height.numpy()
    middle = slice(len(run.row) // 5, -len(run.row) // 5)
    rows, columns = run.row[middle], run.column[middle]
    crest = heights[np.rint(rows).astype(int), np.rint(columns).astype(int)]
    around = maximum_filter1d(crest, 9)  # a pixel beside a curved line is beside several of its pixels
    normal = np.stack([-np.gradient(columns), np.gradient(rows)])
    normal /= np.hypot(*normal)
    for side in (-2.0, 2.0, -5.0, 5.0):
        beside = heights[np.rint(rows + side * normal[0]).astype(int), np.rint(columns + side * normal[1]).astype(int)]
        assert (beside <= around + 0.5).mean() > (0.99 if abs(side) < 3 else 0.95)
    assert (crest > height[np.rint(rows).astype(int), np.rint(columns).astype(int)]).mean() > 0.9


def test_a_cliff_is_high_on_its_left_and_low_on_its_right() -> None:
    height = rough(1, relief_m=200.0)
    made = bent(height, Line(type="cliff", points=np.array([(0.1, 0.5), (0.9, 0.5)]), amount_m=120.0)).height.numpy()
    middle = slice(60, 100)
    np.testing.assert_array_less(119.0, made[62, middle] - made[65, middle])


@pytest.mark.parametrize("level", [0.0, 40.0])
def test_a_coast_is_at_its_level_with_land_on_its_left(level: float) -> None:
    height = rough(4) - 300.0
    line = Line(type="coast", points=wandering(4, (-0.1, 0.5), (1.1, 0.5)), amount_m=level)
    made = bent(height, line)
    heights = made.height.numpy()
    assert (course(line, height, made) == level).all()
    (run,) = samples.runs([line], height.shape, PIXEL_M)  # pyright: ignore[reportArgumentType]
    rows, columns = np.rint(run.row[2:-2]).astype(int), np.rint(run.column[2:-2]).astype(int)
    for off, share in ((2, 1.0), (4, 0.97), (8, 0.85)):
        assert (heights[rows - off, columns] >= level).mean() >= share
        assert (heights[rows + off, columns] <= level).mean() >= share


# Any line ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("type", ["river", "ridge", "cliff", "coast", "road"])
def test_ground_out_of_reach_keeps_its_bits_and_no_spike_is_made(type: str) -> None:
    height = rough(5)
    line = Line(type=type, points=wandering(5, (0.2, 0.2), (0.6, 0.3)), reach_m=150.0, amount_m=30.0)
    made = bent(height, line).height.numpy()
    assert (made[100:] == height[100:]).all()
    assert made.max() <= height.max() + 60.0
    assert made.min() >= height.min() - 60.0
    assert (made != height).any()


def test_strength_goes_from_the_ground_to_the_line() -> None:
    height = rough(6)
    points = wandering(6, (0.1, 0.5), (0.9, 0.5))
    made = [bent(height, Line(type="ridge", points=points, strength=s)).height.numpy() for s in (0.0, 0.5, 1.0)]
    assert (made[0] == height).all()
    moved = [np.abs(entry - height).sum() for entry in made]
    assert 0.3 * moved[2] < moved[1] < 0.7 * moved[2]


def test_heights_of_points_are_taken_where_they_are_given() -> None:
    height = rough(7)
    points = np.array([(0.2, 0.5), (0.8, 0.5)])
    for type in ("ridge", "road"):
        line = Line(type=type, points=points, z_m=np.array([900.0, 950.0]), slope=1.0)
        made = course(line, height, bent(height, line))
        np.testing.assert_allclose(made[[0, -1]], [900.0, 950.0], atol=3.0)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (9, 70), (257, 64)])
def test_maps_of_any_shape(shape: tuple[int, int]) -> None:
    height = np.random.default_rng(0).normal(0, 5, shape).astype(np.float32)
    lines = [
        Line(type=type, points=np.array([(-0.1, 0.4), (1.1, 0.6)])) for type in ("river", "ridge", "cliff", "road")
    ]
    made = bend(torch.from_numpy(height), lines, PIXEL_M).height
    assert made.shape == height.shape
    assert torch.isfinite(made).all()


def test_lines_that_miss_the_map_change_nothing() -> None:
    height = rough(8)
    points = np.array([(-0.5, -0.5), (1.5, -0.2), (1.5, -0.2), (2.0, 3.0)])
    assert (bent(height, Line(type="river", points=points)).height.numpy() == height).all()
    still = Line(type="road", points=np.full((3, 2), 0.5))
    assert (bent(height, still).height.numpy() == height).all()


def test_endless_lines_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST_SAMPLES", 1000)
    zigzag = np.tile([(0.0, 0.1), (1.0, 0.9)], (20, 1))
    with pytest.raises(InvalidInput, match="longer than 500 pixels"):
        bent(rough(0), Line(type="river", points=zigzag))


def test_heights_between_envelopes_of_a_grade() -> None:
    """The largest change is the smallest possible: half the part of a step that the slope cannot take."""
    pixels = np.arange(100)
    wanted = np.where(pixels < 50, 0.0, 100.0)
    free = np.full(100, np.nan)
    made = profiles.graded(pixels, wanted, np.full(100, 0.5), (1, 100), 1.0, free)
    rise = 0.5 / profiles.OCTILE
    assert np.abs(np.diff(made)).max() <= rise + 1e-9
    assert np.abs(made - wanted).max() == pytest.approx((100.0 - rise) / 2.0, abs=1e-6)


def test_the_number_of_threads_changes_no_byte() -> None:
    code = (
        "import sys, torch, hashlib\n"
        "from tests.backend.ops.terrain.test_bending import *\n"
        "torch.set_num_threads(int(sys.argv[1]))\n"
        "lines = [Line(type=t, points=wandering(n, (-.1, .1 + .2 * n), (1.1, .9 - .2 * n))) for n, t in\n"
        "         enumerate(('river', 'ridge', 'cliff', 'coast', 'road'))]\n"
        "print(hashlib.sha256(bent(rough(1, (300, 400)), *lines).height.numpy().tobytes()).hexdigest())\n"
    )
    made = {
        subprocess.run([sys.executable, "-c", code, n], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for n in ("1", "2")
    }
    assert len(made) == 1


@pytest.mark.parametrize("shape", [(128, 160), (121, 77)])
def test_bands_of_rows_change_nothing_but_rounding(shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    height = rough(9, shape)
    lines = [
        Line(type=t, points=wandering(n, (-0.1, 0.1 + 0.2 * n), (1.1, 0.9 - 0.2 * n)))
        for n, t in enumerate(("river", "ridge", "cliff", "coast", "road"))
    ]
    whole = bent(height, *lines)
    monkeypatch.setattr(bands, "BAND_PX", 9 * shape[1])
    parts = bent(height, *lines)
    np.testing.assert_allclose(parts.height.numpy(), whole.height.numpy(), atol=1e-3)
    for name in ("river", "road", "land"):
        assert (getattr(parts, name) == getattr(whole, name)).all()
    np.testing.assert_allclose(parts.sea_m.numpy(), whole.sea_m.numpy(), atol=1e-3)


def test_memory_is_a_few_maps() -> None:
    """Of a process that bends a map of 4 MiB: in bands, the whole of it is never in memory as doubles or many at a time."""
    pytest.importorskip("resource")
    code = (
        "import resource, sys, torch\n"
        "from tests.backend.ops.terrain.test_bending import *\n"
        "bands.BAND_PX = 1 << 14\n"
        "lines = [Line(type=t, points=wandering(n, (-.1, .1 + .2 * n), (1.1, .9 - .2 * n))) for n, t in\n"
        "         enumerate(('river', 'ridge', 'cliff', 'coast', 'road'))]\n"
        "small = torch.from_numpy(rough(1, (256, 256)))\n"
        "bend(small, lines, 60.0)\n"
        "large = torch.nn.functional.interpolate(small[None, None], size=(1024, 1024), mode='bilinear')[0, 0]\n"
        "def most():\n"
        "    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)\n"
        "before = most()\n"
        "bend(large, lines, 15.0)\n"
        "print((most() - before) / large.nbytes)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert float(done.stdout) < 24.0


def test_what_a_membrane_has_forgotten_is_nothing() -> None:
    """Under a strong pull values sink below what processors are quick with; they end at 0 instead."""
    fixed = torch.zeros(256, 256, dtype=torch.bool)
    fixed[:, 100] = True
    values = torch.full((1, 256, 256), 5.0)
    made = Membrane(lambda w: (values[:, w[0], w[1]], fixed[w], torch.full_like(values[0], 3.0)[w]), (256, 256)).at(
        (slice(0, 256), slice(0, 256))
    )
    assert (made[0, :, 100] == 5.0).all()
    assert (made[0, :, 101] > 0).all()
    assert (made[0, :, 220:] == 0).all()
    assert not ((made != 0) & (made.abs() < torch.finfo(torch.float32).tiny)).any()
