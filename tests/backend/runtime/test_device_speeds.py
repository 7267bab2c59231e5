"""What "auto" takes where devices have been measured: the file, the line through two sizes, and the order of kinds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from backend.runtime import device_speeds
from backend.runtime.device_speeds import Speeds, key, ordered, seconds, work_pixels
from backend.setup import device_timing
from backend.setup.small_inputs import small_inputs
from shared.algorithm import find
from shared.arrays import COLOR_IMAGE, Array
from shared.catalog import ALGORITHMS
from shared.params import parse

NOISE, TERRAIN, PAINT, MORPHOLOGY = (find(ALGORITHMS, name) for name in ("noise", "terrain", "paint", "morphology"))
CARD = ((96 * 96, 0.1), (256 * 256, 0.11))  # long to begin, quick then
HOST = ((96 * 96, 0.01), (256 * 256, 0.0711))  # a microsecond per pixel


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "speeds.json"
    monkeypatch.setenv(device_speeds.VARIABLE, str(file))
    return file


def keep(file: Path, engines: dict) -> None:
    speeds = Speeds(kinds={"cuda": "A Card", "cpu": "CPU"}, engines=engines)
    file.write_text(json.dumps(device_speeds.to_json(speeds)), encoding="utf-8")
    assert device_speeds.load() == speeds


def test_a_card_wins_large_jobs_and_loses_small_ones(kept: Path) -> None:
    params = parse(NOISE.params, {})
    keep(kept, {key(NOISE, NOISE.devices): {"cuda": CARD, "cpu": HOST}})
    assert ordered(NOISE, params, 128 * 128) == ("cpu", "cuda")
    assert ordered(NOISE, params, 2048 * 2048) == ("cuda", "cpu")
    assert ordered(TERRAIN, parse(TERRAIN.params, {}), 128 * 128) == TERRAIN.devices  # it was not measured


@pytest.mark.parametrize(
    "text", [None, "", "{}", '{"format": 0}', '{"format": 1, "kinds": {}, "engines": {"a": {"cpu": [[0, 1]]}}}']
)
def test_without_measured_speeds_the_declared_order_holds(kept: Path, text: str | None) -> None:
    if text is not None:
        kept.write_text(text, encoding="utf-8")
    assert device_speeds.load() is None
    assert ordered(TERRAIN, parse(TERRAIN.params, {})) == TERRAIN.devices


def test_one_measured_kind_decides_nothing(kept: Path) -> None:
    keep(kept, {key(TERRAIN, TERRAIN.devices): {"cpu": HOST}})
    assert ordered(TERRAIN, parse(TERRAIN.params, {})) == TERRAIN.devices


def test_speeds_of_an_older_version_of_an_engine_are_not_used(kept: Path) -> None:
    keep(kept, {key(TERRAIN, TERRAIN.devices).replace(f" {TERRAIN.version} ", " 0 "): {"cuda": HOST, "cpu": CARD}})
    assert ordered(TERRAIN, parse(TERRAIN.params, {})) == TERRAIN.devices


def test_seconds_follow_the_line_through_both_sizes() -> None:
    assert seconds(((100, 1.0), (400, 1.3)), 1000) == pytest.approx(1.9)
    assert seconds(((100, 1.0), (400, 0.9)), 1000) == pytest.approx(
        1.0
    )  # noise in the measurement: no job takes less than that
    assert seconds(((100, 1.0), (400, 8.0)), 800) == pytest.approx(16.0)  # nor begins before 0
    assert seconds(((100, 1.0),), 300) == pytest.approx(3.0)


def test_work_is_counted_in_pixels_of_the_result() -> None:
    assert work_pixels(NOISE, parse(NOISE.params, {"width_px": 300, "height_px": 200}), {}) == 60000
    image = Array(COLOR_IMAGE, np.zeros((30, 50, 3), np.float32))
    assert work_pixels(PAINT, parse(PAINT.params, {}), {"image": (image,)}) == 1500
    assert work_pixels(TERRAIN, parse(TERRAIN.params, {}), small_inputs(TERRAIN, 64)) == 64 * 64


def test_a_machine_with_one_kind_of_device_measures_nothing(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_timing, "device_names", lambda: ["cpu"])
    assert device_timing.measure_and_keep(lambda done, total, what: None) is None
    assert not kept.exists()


def test_a_device_that_cannot_do_a_job_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_timing, "device_names", lambda: ["cuda:7", "cpu"])
    monkeypatch.setattr(device_timing.registry, "algorithms", lambda: (NOISE,))
    monkeypatch.setattr(device_timing, "describe_device", lambda name: {"label": name})
    measured = device_timing.measure()
    assert measured is not None
    row = measured.engines[key(NOISE, NOISE.devices)]
    assert set(row) == {"cpu"}
    assert [pixels for pixels, _ in row["cpu"]] == [side * side for side in device_timing.SIDES_PX]


def test_a_run_that_takes_too_long_is_stopped_and_counts_as_long_as_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_timing, "MOST_S", 0.001)
    before = time.perf_counter()
    (pixels, spent), *more = device_timing._samples(MORPHOLOGY, {}, "cpu")
    assert (pixels, more) == (96 * 96, [])
    assert 0.001 <= spent <= time.perf_counter() - before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device to measure")
def test_both_kinds_are_measured_on_a_machine_with_cuda(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_timing.registry, "algorithms", lambda: (NOISE,))
    assert device_timing.measure_and_keep(lambda done, total, what: None) == kept
    measured = device_speeds.load()
    assert measured is not None
    row = measured.engines[key(NOISE, NOISE.devices)]
    assert set(row) == {"cuda", "cpu"}
    fastest = min(row, key=lambda kind: seconds(row[kind], 4096 * 4096))
    assert ordered(NOISE, parse(NOISE.params, {}), 4096 * 4096)[0] == fastest
