"""The scan texture engine on a scan whose texture is known: what it recovers, what it reports, what it leaves alone."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch

import backend
from backend.algorithms.scan import plan
from backend.runtime import registry
from backend.runtime.context import JobContext
from backend.runtime.previews import Previews
from shared.algorithm import check_inputs
from shared.arrays import DEPTH_MAP, MASK, MESH, TEXTURE, UV_MAP, Array
from shared.catalog.scan_texture import SPEC, ScanTextureParams
from shared.errors import JobCancelled
from shared.params import parse
from tests.support.small_scan import SmallScan, hills, paint, png, psnr, small_scan

SIZE = 96


def texture(scan: SmallScan, *, more: dict[str, Any] | None = None, **params: Any) -> tuple[dict[str, Any], dict]:
    """Outputs and report of a run in this process, on the CPU."""
    made = backend.run("scan_texture", device="cpu", **scan.inputs(**(more or {})), **({"size": SIZE} | params))
    return made, report_of(made)


def report_of(made: dict[str, Any]) -> dict[str, Any]:
    return json.loads(made["report"].values.tobytes())


def only(arrays: tuple[Array, ...]) -> np.ndarray:
    assert len(arrays) == 1
    return arrays[0].values


def well_seen(made: dict[str, Any], views: int = 3) -> np.ndarray:
    """Texels [S, S] that several photographs see, away from the chart's border."""
    return (only(made["coverage"]) >= views) & (only(made["confidence"]) > 0.3)


@pytest.fixture(scope="module")
def plain() -> tuple[SmallScan, dict[str, Any], dict]:
    scan = small_scan()
    return scan, *texture(scan)


# What is recovered ----------------------------------------------------------------------------------------------------


def test_the_texture_is_recovered(plain: tuple[SmallScan, dict[str, Any], dict]) -> None:
    _, made, report = plain
    seen = well_seen(made)
    assert seen.mean() > 0.5
    assert psnr(only(made["texture"]), seen) > 34
    assert report["coverage"] > 0.9
    assert all(photograph["used"] and photograph["reason"] == "" for photograph in report["photographs"])


def test_outputs_say_what_is_known(plain: tuple[SmallScan, dict[str, Any], dict]) -> None:
    scan, made, report = plain
    coverage, confidence = only(made["coverage"]), only(made["confidence"])
    assert coverage.max() <= len(scan.cameras)
    assert (confidence[coverage == 0] == 0).all()
    assert confidence[coverage >= 4].mean() > confidence[coverage == 1].mean()
    np.testing.assert_array_equal(made["mesh"].values, scan.mesh)
    assert report["seen_texels"] == np.count_nonzero(coverage)


def test_exposures_and_white_balance_are_found() -> None:
    rng = np.random.default_rng(5)
    gains = rng.uniform(0.75, 1.15, (8, 1)) * rng.uniform(0.95, 1.05, (8, 3))
    made, report = texture(small_scan(gains=gains), alignment="none")
    found = np.array([photograph["gain"] for photograph in report["photographs"]])
    ratio = found / gains
    np.testing.assert_allclose(ratio / ratio.mean(axis=0), 1.0, atol=0.02)
    assert np.exp(np.log(found).mean()) == pytest.approx(1.0, abs=0.05), "the gauge"
    uncorrected, _ = texture(small_scan(gains=gains), alignment="none", color_correction="none")
    seen = well_seen(made) & well_seen(uncorrected)
    scale = np.exp(np.log(gains).mean())  # what all photographs have in common is nobody's to know
    spread = [np.std((only(m["texture"]) / 65535.0 / scale - exact())[seen]) for m in (made, uncorrected)]
    assert spread[0] < 0.6 * spread[1]


def exact() -> np.ndarray:
    from tests.support.small_scan import truth

    return truth(SIZE)


def test_outliers_are_outvoted() -> None:
    scan = small_scan(10, outliers=0.03)
    robust, _ = texture(scan, alignment="none", color_correction="none")
    averaged, _ = texture(scan, alignment="none", color_correction="none", robustness="none")
    seen = well_seen(robust)
    assert psnr(only(robust["texture"]), seen) > psnr(only(averaged["texture"]), seen) + 3


@pytest.mark.parametrize("alignment", ["shift", "warp"])
def test_poses_a_pixel_off_are_mended(alignment: str) -> None:
    scan = small_scan(10, poses_px=1.2, seed=3)
    aligned, report = texture(scan, alignment=alignment)
    blurred, before = texture(scan, alignment="none")
    seen = well_seen(aligned)
    assert psnr(only(aligned["texture"]), seen) > psnr(only(blurred["texture"]), seen) + 1  # all may slide together
    residuals = [np.mean([photograph["residual"] for photograph in r["photographs"]]) for r in (report, before)]
    assert residuals[0] < 0.6 * residuals[1]
    assert max(np.hypot(*photograph["shift_px"]) for photograph in report["photographs"]) > 0.5


def test_alignment_leaves_exact_poses_alone() -> None:
    scan = small_scan(8, noise=0.01)
    aligned, report = texture(scan)
    still, _ = texture(scan, alignment="none")
    seen = well_seen(aligned)
    assert psnr(only(aligned["texture"]), seen) > psnr(only(still["texture"]), seen) - 0.3
    assert max(photograph["warp_px"] for photograph in report["photographs"]) < 0.5


def test_what_stands_in_front_takes_no_part() -> None:
    """A red plate hides part of the ground from every camera; where it is known to be there nothing turns red."""
    plate = hills(2, height=0.0, side=0.35)[..., :].copy()
    plate[..., 2] += 0.35
    plate[..., 3:] = np.nan
    scan = small_scan(10, occluders=plate)
    with_plate, _ = texture(scan, more={"occluders": Array(MESH, plate)}, alignment="none")
    untold, _ = texture(scan, alignment="none")
    red = [float((only(m["texture"])[..., 0] / 65535.0 - exact()[..., 0] > 0.2).mean()) for m in (with_plate, untold)]
    assert red[0] < 0.01 < red[1]


def test_masks_keep_pixels_out() -> None:
    scan = small_scan()
    height, width = scan.photographs[0].shape[:2]
    spoilt = [pixels.copy() for pixels in scan.photographs]
    for pixels in spoilt:
        pixels[: height // 2] = (0.0, 1.0, 0.0)
    mask = np.ones((height, width), np.float32)
    mask[: height // 2 + 1] = 0
    scan = SmallScan(scan.mesh, scan.cameras, spoilt)
    masks = [Array(MASK, mask)] * len(spoilt)
    made, _ = texture(scan, more={"masks": masks}, alignment="none")
    seen = only(made["coverage"]) >= 2
    assert psnr(only(made["texture"]), seen) > 27
    everything, _ = texture(small_scan(), more={"masks": [Array(MASK, np.ones((1, 1), np.float32))] * 8})
    np.testing.assert_array_equal(only(everything["texture"]), only(texture(small_scan())[0]["texture"]))


def test_held_out_photographs_are_predicted() -> None:
    _, report = texture(small_scan(9), hold_out=3)
    held = [photograph for photograph in report["photographs"] if photograph["held_out"]]
    assert [photograph["name"] for photograph in held] == ["02.png", "05.png", "08.png"]
    assert not any(photograph["used"] for photograph in held)
    assert report["hold_out_psnr"] > 28
    assert report["hold_out_psnr_own_gain"] >= report["hold_out_psnr"] - 0.5
    assert any("held-out" in sentence for sentence in report["summary"])


def test_a_photograph_of_something_else_is_set_aside_and_named() -> None:
    scan = small_scan(9)
    pictures = list(scan.photographs)
    pictures[4] = np.random.default_rng(0).random(pictures[4].shape)
    _, report = texture(SmallScan(scan.mesh, scan.cameras, pictures))
    aside = [photograph["name"] for photograph in report["photographs"] if not photograph["used"]]
    assert aside == ["04.png"]
    assert "does not fit" in report["photographs"][4]["reason"]
    assert any("04.png" in sentence for sentence in report["summary"])


def test_uv_maps_do_as_well_as_cameras(plain: tuple[SmallScan, dict[str, Any], dict]) -> None:
    from tests.support.drawn import draw, project

    scan, made, _ = plain
    drawn = [draw(project(scan.mesh, camera)) for camera in scan.cameras]
    inputs = scan.inputs()
    mapped = backend.run(
        "scan_texture", device="cpu", size=SIZE, images=inputs["images"], mesh=inputs["mesh"],
        uv_maps=[Array(UV_MAP, surface.uv) for surface in drawn],
        depth_maps=[Array(DEPTH_MAP, surface.depth) for surface in drawn],
        facing_maps=[Array(MASK, np.clip(np.nan_to_num(surface.facing), 0, 1)) for surface in drawn],
    )  # fmt: skip
    seen = well_seen(made) & well_seen(mapped)
    assert psnr(only(mapped["texture"]), seen) > psnr(only(made["texture"]), seen) - 1.5


def test_uv_maps_larger_than_their_photographs_are_read_at_the_photographs_size() -> None:
    from dataclasses import replace

    from tests.support.drawn import draw, project

    scan = small_scan()
    fine = [
        replace(c, width=4 * c.width, height=4 * c.height, fx=4 * c.fx, fy=4 * c.fy, cx=4 * c.cx, cy=4 * c.cy)
        for c in scan.cameras
    ]
    maps = [Array(UV_MAP, draw(project(scan.mesh, camera)).uv) for camera in fine]
    made = backend.run("scan_texture", device="cpu", size=SIZE, images=scan.inputs()["images"], uv_maps=maps)
    assert psnr(only(made["texture"]), only(made["coverage"]) >= 3) > 30


# Tiles, blocks, sizes -------------------------------------------------------------------------------------------------


def test_udim_tiles_get_a_texture_each() -> None:
    left, right = hills(side=0.8), hills(tile=(1, 0), side=0.8)
    left[..., 0] -= 0.42
    right[..., 0] += 0.42
    scan = small_scan(10, mesh=np.concatenate([left, right]), distance=1.8)
    made, report = texture(scan, size=64)
    assert [array.attributes["tile"] for array in made["texture"]] == [1001, 1002]
    assert report["tiles"] == [1001, 1002]
    for kind in ("texture", "coverage", "confidence"):
        assert len(made[kind]) == 2
    for tile, array in enumerate(made["texture"]):
        seen = made["coverage"][tile].values >= 3
        error = array.values / 65535.0 - exact_at(64)
        assert seen.mean() > 0.4
        assert -10 * np.log10(np.mean(error[seen] ** 2)) > 24


def exact_at(size: int) -> np.ndarray:
    from tests.support.small_scan import truth

    return truth(size)


def test_blocks_agree_with_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = small_scan(6, width=160, height=128, focal_px=180.0)
    params = {"size": 512, "alignment": "none", "color_correction": "none", "robustness": "none"}
    whole, _ = texture(scan, **params)
    monkeypatch.setattr(
        plan, "memory_plan", lambda params, *_: plan.Plan(params.size, largest_live=256, block_side=320)
    )
    blocks, report = texture(scan, **params)
    assert report["blocks"] == 9
    seen = only(whole["coverage"]) >= 2
    np.testing.assert_array_equal(only(blocks["coverage"]) > 0, only(whole["coverage"]) > 0)
    gap = np.abs(only(blocks["texture"])[seen] / 65535.0 - only(whole["texture"])[seen] / 65535.0)
    assert np.quantile(gap, 0.99) < 0.01


def test_texels_finer_than_pixels_gain_detail_from_several_photographs() -> None:
    """Super-resolution by geometry: with one photograph the fine waves are lost, with many they are there."""

    def fine(uv: np.ndarray) -> np.ndarray:
        return np.repeat((0.5 + 0.3 * np.sin(2 * np.pi * 30 * uv[..., 0]))[..., None], 3, axis=-1)

    from tests.support.small_scan import photograph, ring, truth

    mesh = hills(height=0.02)
    cameras = ring(16, width=64, height=52, focal_px=62.0, distance=1.3)  # a pixel is 1/45 of the texture or wider
    pictures = [photograph(mesh, camera, fine) for camera in cameras]
    errors = []
    for count in (1, 16):
        scan = SmallScan(mesh, cameras[:count], pictures[:count])
        made, _ = texture(scan, size=128, alignment="none", color_correction="none", smoothness=1e-4)
        inner = np.s_[40:88, 40:88]
        errors.append(float(np.std((only(made["texture"]) / 65535.0 - truth(128, fine))[inner])))
    assert errors[1] < 0.6 * errors[0]


# Being a job ----------------------------------------------------------------------------------------------------------


def run_job(scan: SmallScan, job: JobContext, **params: Any) -> dict[str, Any]:
    inputs = check_inputs(
        SPEC, {name: tuple(value) if isinstance(value, list) else (value,) for name, value in scan.inputs().items()}
    )
    return dict(
        registry.implementation("scan_texture")(parse(ScanTextureParams, {"size": SIZE, **params}), inputs, job)
    )


def test_cancelling_stops_it_in_every_stage() -> None:
    scan, stages = small_scan(5), set()
    run_job(scan, JobContext(threads=1, on_progress=lambda done, total, stage, left: stages.add(stage)), hold_out=5)
    assert len(stages) >= 4
    for wanted in stages - {"done"}:
        seen = []

        def watch(done: int, total: int, stage: str, left: float | None, seen: list = seen) -> None:
            seen.append(stage)

        job = JobContext(threads=1, on_progress=watch, is_cancelled=lambda seen=seen, wanted=wanted: wanted in seen)
        with pytest.raises(JobCancelled):
            run_job(scan, job, hold_out=5)


def test_finishing_early_gives_the_texture_as_it_stands() -> None:
    scan, turns = small_scan(6), []
    job = JobContext(
        threads=1, on_progress=lambda done, total, stage, left: turns.append(stage),
        is_cancelled=lambda: len(turns) > 40, is_kept=lambda: True,
    )  # fmt: skip
    made = run_job(scan, job, size=256, passes=20)
    assert made["texture"][0].values.shape == (256, 256, 3)
    assert (made["coverage"][0].values > 0).mean() > 0.5
    whole_run = len(turns)
    assert psnr(made["texture"][0].values, made["coverage"][0].values > 0) > 15
    assert whole_run < 2000


def test_previews_are_small_textures() -> None:
    shown = []
    job = JobContext(threads=1, on_preview=Previews(SPEC, 1.0, shown.append))
    run_job(small_scan(4), job)
    assert shown
    for ports in shown:
        assert list(ports) == ["texture"]
        assert ports["texture"].kind is TEXTURE
        assert ports["texture"].values.dtype == np.uint16
        assert max(ports["texture"].values.shape) <= 512


def test_refinement_starts_from_the_solution() -> None:
    scan = small_scan(6)
    solved, _ = texture(scan, size=64)
    refined, _ = texture(scan, size=64, refinement="refine", refinement_epochs=2, refinement_decay_epochs=2)
    seen = well_seen(solved)
    assert psnr(only(refined["texture"]), seen) > psnr(only(solved["texture"]), seen) - 2
    assert not np.array_equal(only(refined["texture"]), only(solved["texture"]))


def test_a_mesh_without_uvs_is_unwrapped() -> None:
    scan = small_scan(6)
    bare = scan.mesh.copy()
    bare[..., 3:] = np.nan
    made, report = texture(SmallScan(bare, scan.cameras, scan.photographs))
    assert report["unwrapped"]
    uv = made["mesh"].values[..., 3:]
    assert np.isfinite(uv).all()
    np.testing.assert_array_equal(made["mesh"].values[..., :3], bare[..., :3])
    place = np.clip((uv.mean(axis=1) * (1, -1) + (0, 1)) * SIZE, 0, SIZE - 1).astype(int)
    shown = only(made["texture"])[place[:, 1], place[:, 0]] / 65535.0
    assert np.abs(shown - paint(scan.mesh[..., 3:].mean(axis=1))).mean() < 0.08


def test_sixteen_bit_photographs_and_names_are_taken() -> None:
    scan = small_scan(4)
    inputs = scan.inputs()
    order = [2, 0, 3, 1]  # photographs find their cameras by name
    shuffled = backend.run(
        "scan_texture", device="cpu", size=SIZE, **(inputs | {"images": [inputs["images"][k] for k in order]})
    )
    straight = backend.run("scan_texture", device="cpu", size=SIZE, **inputs)
    np.testing.assert_array_equal(only(shuffled["texture"]), only(straight["texture"]))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_same_texture() -> None:
    scan = small_scan()
    cpu, _ = texture(scan)
    cuda = backend.run("scan_texture", device="cuda:0", size=SIZE, **scan.inputs())
    seen = well_seen(cpu)
    gap = np.abs(only(cuda["texture"]).astype(float) - only(cpu["texture"]))[seen] / 65535.0
    assert np.quantile(gap, 0.99) < 0.01


def test_png_helper_is_what_the_engine_decodes() -> None:
    from backend.files.photographs import decode
    from shared.arrays import PHOTOGRAPH

    pixels = np.random.default_rng(0).random((7, 9, 3))
    np.testing.assert_array_equal(decode(Array(PHOTOGRAPH, png(pixels), {"name": "x.png"})), np.rint(pixels * 255))
