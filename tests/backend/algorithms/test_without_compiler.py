"""A broken compiler is a slow-down, not an outage: terrain engines in a process that cannot import numba, against this one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backend
from backend.measures import terrain_statistics as statistics
from shared.arrays import CLASS_MAP, MASK, Array, height_map

ROOT = Path(__file__).resolve().parents[3]
PIXEL_M = 30.0


def landscape(rows: int, columns: int, seed: int) -> np.ndarray:
    """Random walks along both axes: valleys, ridges and pits, 800 m from 0, float32 [rows, columns]."""
    z = np.random.default_rng(seed).normal(size=(rows, columns)).cumsum(0).cumsum(1)
    z -= np.linspace(0, 1, columns) * z[:, -1:]
    return (z / np.abs(z).max() * 800).astype(np.float32)


def jobs() -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Name, engine and what it takes: each way through the engines that has kernels of its own."""
    height = height_map(landscape(60, 52, 1), PIXEL_M)
    mask, classes = np.ones((60, 52), np.float32), np.zeros((60, 52), np.uint8)
    mask[:, :20], classes[:, 26:] = 0.0, 1
    exemplars = [height_map(landscape(70, 66, 2), PIXEL_M), height_map(landscape(64, 80, 3), PIXEL_M)]
    for basis in ("perlin", "worley-f2-f1", "explicit"):
        yield f"noise {basis}", "noise", {"basis": basis, "width_px": 40, "height_px": 30, "warp": 0.3, "octaves": 3}
    for way, model in (("breach", "multiple"), ("fill", "single"), ("keep", "single")):
        law = {"steps": 4, "deposition": 0.5, "uplift": 0.2, "wander": 0.6, "smoothing": 0.4}
        yield f"hydrology {way}", "hydrology", {"height": height, "depressions": way, "flow_model": model, **law}
    bent = {"steps": 3, "slope_exponent": 1.4, "mask": Array(MASK, mask)}
    yield "hydrology bent", "hydrology", {"height": height, **bent}
    quick = {"height": height, "steps": 6, "filters": 12}
    yield "relief", "morphology", {**quick, "exemplar": exemplars[:1]}
    yield "relief classes", "morphology", {**quick, "exemplar": exemplars, "classes": Array(CLASS_MAP, classes)}
    features = {"height": height, "exemplar": exemplars[:1], "method": "gram", "feature_iterations": 4}
    yield "features", "morphology", features


def run_all() -> dict[str, np.ndarray]:
    """Every output of every job, by "job/port"."""
    found = {}
    for name, engine, values in jobs():
        for port, made in backend.run(engine, device="cpu", **values).items():
            array = made[0] if isinstance(made, tuple) else made
            found[f"{name}/{port}"] = array.values
    return found


if __name__ == "__main__":  # the process without a compiler
    sys.modules["numba"] = sys.modules["llvmlite"] = None  # type: ignore[assignment]
    np.savez(sys.argv[1], **run_all())
    sys.exit()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    path = tmp_path_factory.mktemp("plain") / "outputs.npz"
    environment = {name: value for name, value in os.environ.items() if name != "RELIEVO_IMPL"}
    done = subprocess.run(
        [sys.executable, "-m", "tests.backend.algorithms.test_without_compiler", str(path)],
        cwd=ROOT, env=environment | {"RELIEVO_THREADS": "1"}, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "numba does not work here" in done.stderr
    with np.load(path) as made:
        return dict(made)


@pytest.fixture(scope="module")
def compiled() -> dict[str, np.ndarray]:
    return run_all()


def test_noise_is_the_same_to_the_rounding(plain: dict[str, np.ndarray], compiled: dict[str, np.ndarray]) -> None:
    assert np.array_equal(plain["noise perlin/height"], compiled["noise perlin/height"])
    assert np.array_equal(plain["noise explicit/height"], compiled["noise explicit/height"])
    np.testing.assert_allclose(plain["noise worley-f2-f1/height"], compiled["noise worley-f2-f1/height"], atol=2e-3)


@pytest.mark.parametrize("way", ["breach", "fill", "keep", "bent"])
def test_hydrology_is_the_same_to_the_rounding(
    way: str, plain: dict[str, np.ndarray], compiled: dict[str, np.ndarray]
) -> None:
    for port in ("height", "flow", "sediment", "wear"):
        found, expected = plain[f"hydrology {way}/{port}"], compiled[f"hydrology {way}/{port}"]
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * float(np.abs(expected).max()))


@pytest.mark.parametrize("name", ["relief", "relief classes"])
def test_relief_transfer_is_as_near_to_its_exemplar(
    name: str, plain: dict[str, np.ndarray], compiled: dict[str, np.ndarray]
) -> None:
    """Turns of transport and drainage magnify the last bit, so statistics are compared, not heights."""
    found, expected = plain[f"{name}/height"], compiled[f"{name}/height"]
    layout = landscape(60, 52, 1)
    ours, theirs = (statistics.compare(z, landscape(70, 66, 2), PIXEL_M, layout) for z in (found, expected))
    assert ours.pits == theirs.pits == 0.0
    assert statistics.layout_correlation(found, expected, 4.0) > 0.97
    assert ours.slope == pytest.approx(theirs.slope, abs=0.05)
    assert ours.held_out == pytest.approx(theirs.held_out, rel=0.1)
    assert ours.layout == pytest.approx(theirs.layout, abs=0.02)


def test_feature_transfer_is_the_same(plain: dict[str, np.ndarray], compiled: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(plain["features/height"], compiled["features/height"], atol=1e-2)
