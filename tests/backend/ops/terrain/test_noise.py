"""Noise: the op against its CPU twin, tiles, periods, exact zeros, smoothness, statistics, and the seven
presets of S0."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from backend.algorithms.noise import run
from backend.ops.hashing import mix32
from backend.ops.terrain import explicit_noise, noise
from backend.ops.terrain.explicit_noise import ExplicitNoise
from backend.ops.terrain.lattice import cell_keys, make_lattice, stream_key
from backend.ops.terrain.noise import BASES, KINDS, NoiseField, Window
from backend.runtime.context import JobContext
from shared.catalog.noise import SPEC, NoiseParams
from shared.errors import InvalidParameter, JobCancelled
from shared.params import parse

DEVICES = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
SMALL = NoiseField(wavelength_px=(31.7, 22.3), octaves=5, seed=3)
windows_anywhere = st.builds(
    Window, st.integers(-(10**7), 10**7), st.integers(-(10**7), 10**7), st.integers(1, 50), st.integers(1, 50)
)
fields = st.builds(
    NoiseField,
    basis=st.sampled_from(list(BASES)),
    kind=st.sampled_from(list(KINDS)),
    wavelength_px=st.tuples(st.floats(2.0, 300.0), st.floats(2.0, 300.0)),
    octaves=st.integers(1, 8),
    lacunarity=st.floats(1.2, 3.5),
    gain=st.floats(0.0, 1.0),
    warp=st.sampled_from([0.0, 0.2, 1.5]),
    seed=st.integers(0, 2**31 - 1),
    axes_only=st.booleans(),
)


def values(field: NoiseField, window: Window, **options: object) -> np.ndarray:
    return noise.evaluate(field, window, **options)[0, 0].cpu().numpy()  # type: ignore[arg-type]


def height(**parameters: object) -> np.ndarray:
    return run(NoiseParams(**parameters), {}, JobContext())["height"].values  # type: ignore[arg-type]


@pytest.mark.parametrize("device", DEVICES)
@settings(max_examples=30, deadline=None)
@given(field=fields, window=windows_anywhere)
def test_twin_equals_op(device: str, field: NoiseField, window: Window) -> None:
    plain = values(field, window, impl="plain", device=device)
    twin = values(field, window)
    if field.basis == "perlin":
        assert np.array_equal(twin, plain)
    else:  # torch's square root may differ in its last bit
        np.testing.assert_allclose(twin, plain, rtol=0, atol=4e-6)


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")  # hashes wrap around, in the simulator too
@pytest.mark.parametrize(
    ("basis", "warp", "kind", "axes_only", "period"),
    [
        ("perlin", 0.0, "fbm", False, None),
        ("perlin", 0.0, "ridged", True, (5, 17)),
        ("perlin", 0.4, "billow", False, (5, 3)),
        ("worley-f1", 0.0, "ridged", False, None),
        ("worley-f2-f1", 0.4, "fbm", False, (5, 3)),
    ],
)
def test_cuda_twin_equals_op_to_rounding(basis: str, warp: float, kind: str, axes_only: bool, period: object) -> None:
    """19 rows are two runs of a thread; the window crosses cells of every octave, the origin and the end of a period."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    field = replace(SMALL, wavelength_px=(9.7, 12.3), octaves=3, basis=basis, kind=kind, warp=warp)  # type: ignore[arg-type]
    field = replace(field, axes_only=axes_only, period_px=period)  # type: ignore[arg-type]
    window = Window(-3, -3, 6, 19) if basis == "perlin" and not warp else Window(-3, -2, 5, 4)
    made = values(field, window, scale=2.0, offset=0.25, impl="cuda", device=device)
    plain = values(field, window, scale=2.0, offset=0.25, impl="plain")
    np.testing.assert_allclose(made, plain, rtol=0, atol=2e-5)


@settings(max_examples=25, deadline=None)
@given(field=fields, window=windows_anywhere, cut=st.tuples(st.integers(0, 49), st.integers(0, 49)))
def test_a_window_inside_another_has_the_same_bytes(field: NoiseField, window: Window, cut: tuple[int, int]) -> None:
    left, top = cut[0] % window.width, cut[1] % window.height
    inside = Window(window.x + left, window.y + top, window.width - left, window.height - top)
    assert values(field, inside).tobytes() == np.ascontiguousarray(values(field, window)[top:, left:]).tobytes()


@pytest.mark.parametrize("basis", list(BASES))
@pytest.mark.parametrize("warp", [0.0, 0.4])
def test_period_repeats_exactly_and_has_no_seam(basis: str, warp: float) -> None:
    field = replace(SMALL, basis=basis, warp=warp, period_px=(150, 131))  # type: ignore[arg-type]
    first = values(field, Window(-40, 7, 150, 131))
    assert np.array_equal(first, values(field, Window(-40 + 300, 7 - 131, 150, 131)))
    across = np.abs(np.diff(np.concatenate([first, first], axis=1), axis=1))
    assert across[:, 149].max() <= 1.5 * np.delete(across, 149, axis=1).max()


def test_perlin_is_zero_at_lattice_points_and_twice_smooth_across_them() -> None:
    field = NoiseField(wavelength_px=(16.0, 16.0), octaves=1, seed=9)
    z = values(field, Window(-64, -64, 129, 129))
    assert not z[::16, ::16].any()
    fine = values(replace(field, wavelength_px=(512.0, 512.0)), Window(0, 200, 1025, 1)).astype(np.float64)[0]
    curvature = np.diff(fine, 2) * 512.0**2
    assert np.abs(np.diff(curvature[480:544])).max() < 0.2 * np.abs(curvature).max()  # no jump at the lattice line


def test_large_coordinates_keep_their_precision() -> None:
    field = NoiseField(wavelength_px=(64.0, 64.0), octaves=1, seed=1)
    far = values(field, Window(10**10, -(10**10), 128, 128))
    assert np.abs(np.diff(far, axis=1)).max() < 0.12  # no steps from rounded coordinates
    assert not np.array_equal(far, values(field, Window(0, 0, 128, 128)))


@pytest.mark.parametrize("kind", list(KINDS))
def test_same_bytes_for_any_number_of_threads(kind: str) -> None:
    before = numba.get_num_threads()
    field = replace(SMALL, kind=kind)  # type: ignore[arg-type]
    try:
        results = set()
        for threads in {1, before}:
            numba.set_num_threads(threads)
            for warp in (0.0, 0.3):
                results.add((warp, values(replace(field, warp=warp), Window(5, 5, 200, 190)).tobytes()))
    finally:
        numba.set_num_threads(before)
    assert len(results) == 2


def test_octave_has_the_deviation_of_the_closed_form() -> None:
    nodes, weights = np.polynomial.legendre.leggauss(24)
    t, weights = (nodes + 1) / 2, weights / 2
    fade = t**3 * (t * (t * 6 - 15) + 10)
    variance = 0.0
    for dx in (0, 1):
        for dy in (0, 1):
            corner = np.outer(fade if dy else 1 - fade, fade if dx else 1 - fade) ** 2
            distance2 = (t[None, :] - dx) ** 2 + (t[:, None] - dy) ** 2
            variance += float(np.sum(np.outer(weights, weights) * corner * distance2))  # · sqrt(2)² / 2 components
    z = values(NoiseField(wavelength_px=(11.3, 11.3), octaves=1), Window(0, 0, 1500, 1500))
    assert z.std() == pytest.approx(variance**0.5, rel=0.02)
    assert abs(z.mean()) < 0.005
    assert np.abs(z).max() <= 1.001


def test_directions_are_equal_and_the_spectrum_falls_as_the_gain_says() -> None:
    n = 1024
    z = values(NoiseField(wavelength_px=(128.0, 128.0), octaves=7, gain=0.5, seed=4), Window(0, 0, n, n)).astype(float)
    gy, gx = np.gradient(z)
    assert gx.std() == pytest.approx(gy.std(), rel=0.06)
    power = np.abs(np.fft.fft2((z - z.mean()) * np.outer(np.hanning(n), np.hanning(n)))) ** 2
    radius = np.hypot(*np.meshgrid(np.fft.fftfreq(n), np.fft.fftfreq(n)))
    bands = [power[(radius >= low) & (radius < 2 * low)].mean() for low in (1 / 64, 1 / 32, 1 / 16, 1 / 8)]
    slope = np.diff(np.log2(bands))
    np.testing.assert_allclose(slope, -4.0, atol=0.6)  # gain 1/2: amplitude² / 4 and bandwidth² · 4, hence f^-4


def test_lattices_hash_well() -> None:
    keys = cell_keys(np.arange(-5000, 5000, dtype=np.int64), stream_key(1, 0, 0), None)
    bits = (keys[:, None] >> np.arange(32, dtype=np.uint32)) & 1
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.02
    assert np.abs(np.corrcoef(bits.T) - np.eye(32)).max() < 0.06
    here = Window(0, 0, 500, 500)
    octaves = [values(replace(SMALL, octaves=1, seed=stream_key(5, i) & 0xFFFF), here) for i in range(3)]
    assert np.abs(np.corrcoef([z.ravel() for z in octaves]) - np.eye(3)).max() < 0.2
    assert make_lattice(10.0, 0.0, 1, 95).cells == 10


@pytest.mark.parametrize("second", [False, True])
def test_worley_finds_the_nearest_points(second: bool) -> None:
    """Against all points of a wide neighbourhood, placed with the op's own hash."""
    field = NoiseField(basis="worley-f2-f1" if second else "worley-f1", wavelength_px=(9.0, 9.0), octaves=1, seed=2)
    (along_x, along_y), = noise.lattices(field)[0]  # fmt: skip
    cells = np.arange(-6, 14, dtype=np.int64)
    key = (along_x.keys(cells)[None, :] ^ along_y.keys(cells)[:, None]).astype(np.int64)
    hashed = mix32(torch.from_numpy(key)).numpy()
    x = (cells[None, :] + (hashed & 0xFFFF) / 65536).ravel()
    y = (cells[:, None] + (hashed >> 16) / 65536).ravel()
    pixels = np.arange(60) / 9.0
    distance = np.sort(np.hypot(pixels[None, :, None] - x, pixels[:, None, None] - y), axis=2)
    expected = distance[..., 1] - distance[..., 0] if second else distance[..., 0]
    np.testing.assert_allclose(values(field, Window(0, 0, 60, 60)), expected, atol=2e-5)


# ---- explicit noise ----


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kernel", ["gaussian", "blackman-harris", "bartlett", "cosine", "bartlett-hann"])
def test_explicit_noise_is_repeated_white_noise_under_its_windows(kernel: str, legacy: bool) -> None:
    spec = ExplicitNoise(kernel=kernel, kernel_px=14, sigmas_px=(2.0, 1.0, 3.0), seed=8, legacy=legacy)  # type: ignore[arg-type]
    raw = replace(spec, kernel="gaussian", kernel_px=1, legacy=False)
    expected = np.zeros((90, 77))
    for layer, sigma in enumerate(spec.sigmas_px):
        along_x, along_y = (explicit_noise._layer_lattice(raw, layer, axis) for axis in range(2))
        wide = Window(-32, -32, 77 + 64, 90 + 64)
        one = explicit_noise._layer(np.ones(1), along_x, along_y, wide, torch.device("cpu")).numpy().astype(float)
        taps = explicit_noise.window_taps(spec.kernel, 14, sigma, legacy)
        expected += ndimage.convolve(one, np.outer(taps, taps))[32:-32, 32:-32] / 3
        assert one.min() >= 0
        assert one.max() < 1
        assert np.unique(one).size > 100
    found = explicit_noise.evaluate(spec, Window(0, 0, 77, 90))[0, 0].numpy()
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_explicit_noise_has_the_deviation_of_its_closed_form_and_meets_at_tiles() -> None:
    spec = ExplicitNoise(sigmas_px=(1.0, 1.0, 3.0, 4.0), seed=4)
    whole = explicit_noise.evaluate(spec, Window(0, 0, 700, 700))[0, 0].numpy()
    assert whole.std() == pytest.approx(explicit_noise.deviation(spec), rel=0.03)
    assert whole.mean() == pytest.approx(0.5, abs=0.01)
    part = explicit_noise.evaluate(spec, Window(311, 40, 97, 101))[0, 0].numpy()
    assert np.array_equal(part, whole[40:141, 311:408])
    tile = replace(spec, period_px=(150, 131))
    first = explicit_noise.evaluate(tile, Window(0, 0, 150, 131))
    assert torch.equal(first, explicit_noise.evaluate(tile, Window(300, -131, 150, 131)))


# ---- the algorithm ----


@pytest.mark.parametrize("preset", [preset.name for preset in SPEC.presets])
def test_every_preset_gives_a_terrain_of_about_its_relief(preset: str) -> None:
    params = parse(NoiseParams, dict(SPEC.preset(preset).values) | {"width_px": 250, "height_px": 203})
    array = run(params, {}, JobContext())["height"]
    z = array.values
    assert z.shape == (203, 250)
    assert z.dtype == np.float32
    assert np.isfinite(z).all()
    assert array.pixel_size_m == params.pixel_size_m
    assert 0.1 * params.relief_m < np.ptp(z) < 1.6 * params.relief_m
    assert np.array_equal(z, run(params, {}, JobContext())["height"].values)
    assert not np.array_equal(z, run(replace(params, seed=1), {}, JobContext())["height"].values)


def test_the_seven_presets_of_the_source_are_there() -> None:
    names = {preset.name for preset in SPEC.presets}
    assert {"perlin-30", "perlin-12", "perlin-6", *(f"explicit-{i}" for i in range(1, 5))} <= names


@pytest.mark.parametrize("basis", [*BASES, "explicit"])
def test_tiles_of_one_terrain_meet_exactly_in_metres(basis: str) -> None:
    shape = {"basis": basis, "warp": 0.2, "lowlands": 0.4, "seed": 5, "feature_m": 3000.0, "width_px": 140}
    whole = height(**shape, height_px=300, origin_x=9_999_900, origin_y=-77)
    below = height(**shape, height_px=171, origin_x=9_999_900, origin_y=-77 + 129)
    assert np.array_equal(whole[129:], below)


def test_resolutions_show_the_same_terrain() -> None:
    coarse = height(width_px=128, height_px=128, pixel_size_m=80.0, octaves=6, seed=2)
    fine = height(width_px=512, height_px=512, pixel_size_m=20.0, octaves=6, seed=2)
    assert np.abs(fine[::4, ::4] - coarse).max() < 0.05 * 1500.0  # but for octaves below two coarse pixels
    assert np.corrcoef(fine[::4, ::4].ravel(), coarse.ravel())[0, 1] > 0.999


def test_legacy_stretches_to_the_map_and_a_zero_window_is_refused() -> None:
    z = height(basis="explicit", legacy=True, width_px=97, height_px=64, relief_m=100.0, base_m=5.0)
    assert z.min() == 5.0
    assert z.max() == pytest.approx(105.0)
    with pytest.raises(InvalidParameter, match="zero everywhere") as caught:
        height(basis="explicit", kernel="bartlett", kernel_px=2)
    assert caught.value.field == "kernel_px"


def test_cancel_is_heard() -> None:
    with pytest.raises(JobCancelled):
        run(NoiseParams(), {}, JobContext(is_cancelled=lambda: True))
