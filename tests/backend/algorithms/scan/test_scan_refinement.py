"""The refinement's presets through the whole engine, on a small scan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backend
from backend.runtime import weights
from shared.catalog.scan_texture import SPEC
from shared.errors import InvalidInput
from tests.support.small_scan import SmallScan, psnr, small_scan

SIZE = 64
BRIEF = {"size": SIZE, "refinement_epochs": 3, "refinement_decay_epochs": 3}


@pytest.fixture(scope="module")
def scan() -> SmallScan:
    return small_scan()


def values_of(preset: str) -> dict[str, Any]:
    return dict(next(found for found in SPEC.presets if found.name == preset).values)


def run(scan: SmallScan, **params: Any) -> tuple[np.ndarray, np.ndarray]:
    """The texture, and where several photographs have seen it."""
    made = backend.run("scan_texture", device="cpu", **scan.inputs(), **params)
    return made["texture"][0].values, (made["coverage"][0].values >= 3) & (made["confidence"][0].values > 0.3)


@pytest.mark.parametrize("pixel_model", ["area", "point"])
def test_refinement_brings_the_texture_nearer_to_the_truth(scan: SmallScan, pixel_model: str) -> None:
    solved, seen = run(scan, size=SIZE, pixel_model=pixel_model)
    refined, _ = run(scan, **values_of("refined") | BRIEF | {"pixel_model": pixel_model})
    assert not np.array_equal(refined, solved)
    assert psnr(refined, seen) > psnr(solved, seen) + 0.2  # measured: 0.37 dB


def test_neuraltexgen_runs_without_its_network_and_learns_from_grey(scan: SmallScan) -> None:
    whole = values_of("neuraltexgen") | {"size": SIZE, "content_loss": 0.0, "style_loss": 0.0}
    short, seen = run(scan, **whole | BRIEF)
    long, _ = run(scan, **whole)
    assert psnr(long, seen) > psnr(short, seen) + 3
    assert psnr(long, seen) > 25


def test_neuraltexgen_says_where_its_network_comes_from(
    scan: SmallScan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "LOCALAPPDATA", "XDG_CACHE_HOME", "TORCH_HOME", weights.FOLDER_VARIABLE):
        monkeypatch.setenv(name, str(tmp_path))  # every folder where they might lie
    assert all(tmp_path in folder.parents or folder == tmp_path for folder in weights.folders())
    with pytest.raises(InvalidInput, match="VGG-19") as caught:
        run(scan, **values_of("neuraltexgen") | BRIEF)
    assert "download_weights" in caught.value.hint


@pytest.mark.parametrize("batch", [0, 2])
def test_progress_never_runs_backwards(scan: SmallScan, batch: int) -> None:
    """Photographs are read, and report, within the passes of the refinement, which reports as well."""
    reports: list[tuple[float, str]] = []
    backend.run(
        "scan_texture",
        device="cpu",
        on_progress=lambda done, total, stage, left: reports.append((done / total, stage)),
        **scan.inputs(),
        **values_of("refined") | BRIEF | {"refinement_batch": batch},
    )
    shares = [share for share, _ in reports]
    assert shares == sorted(shares)
    refining = list(dict.fromkeys(stage for _, stage in reports if "refining" in stage))
    assert refining == [f"refining, pass {number} of 6" for number in range(1, 7)]
    assert not any("px, pass" in stage for _, stage in reports[[stage for _, stage in reports].index(refining[0]) :])


def test_small_batches_are_drawn_by_the_seed(scan: SmallScan) -> None:
    batches = values_of("refined") | BRIEF | {"refinement_batch": 2}
    first, again, other = (run(scan, **batches, seed=seed)[0] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
