"""Training data and training of the terrain generators, on a pack made here: class maps, crops, light, losses, resuming."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from backend.models.patch_discriminator import discriminator_loss
from backend.models.terrain_generator import STRIDE, TerrainGenerator, initialise, reach
from backend.ops.terrain import generator_units
from backend.ops.terrain.noise import NoiseField, Window, evaluate
from backend.training.architectures.compact import Compact, CompactParams
from backend.training.data import class_maps, light, pack
from backend.training.data.batches import without_steps
from backend.training.data.globe_crops import EQUATOR_M, GlobeCrops
from backend.training.data.globe_crops import Window as Part
from backend.training.data.metric_crops import MetricCrops
from backend.training.loop import Limits, train
from shared.errors import InvalidInput
from shared.terrain_classes import FOREST, ROCK, SAND, WATER

CLASSES = class_maps.CLASSES


def hills(rows: int, columns: int, seed: int, wavelength_px: float = 60.0) -> np.ndarray:
    """Fractal heights of deviation 1, the same on every machine."""
    field = NoiseField(wavelength_px=(wavelength_px, wavelength_px), octaves=6, seed=seed)
    return evaluate(field, Window(0, 0, rows, columns)).numpy()[0, 0] / 0.35


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of one region with a lake, and a globe of 256 x 512 pixels with an ocean."""
    path = tmp_path_factory.mktemp("pack")
    ground = 900.0 + 500.0 * hills(160, 170, 1)
    ground = np.maximum(ground, 600.0).astype(np.float32)
    globe = np.maximum(400.0 + 900.0 * hills(256, 512, 2), 0.0).astype(np.float32)
    water = np.where(globe > 0, 0, 255).astype(np.uint8)
    color = np.where(water[..., None] > 0, (20, 90, 160), (120, 150, 90)).astype(np.uint8)
    region = pack.Region(
        name="here", scale="regional", split="train", pixel_size_m=90.0,
        low_m=float(ground.min()), high_m=float(ground.max()), source="made in a test",
    )  # fmt: skip
    earth = replace(
        region, name="globe", scale="continental", pixel_size_m=EQUATOR_M / 512,
        low_m=0.0, high_m=float(globe.max()),
    )  # fmt: skip
    whole = np.ones(globe.shape, bool)
    pack.write(
        path,
        [
            (region, pack.Maps(height=ground, valid=np.ones(ground.shape, bool))),
            (earth, pack.Maps(height=globe, valid=whole, color=color, water=water)),
        ],
    )
    return path


def settings(folder: Path, **values: object) -> CompactParams:
    small: dict[str, object] = {"side": 64, "batch": 2, "width": 0.1, "judge_width": 4}
    return CompactParams(data=str(folder), **{**small, **values})  # type: ignore[arg-type]


def test_a_pack_keeps_heights_to_a_part_in_65535(folder: Path) -> None:
    region = next(entry for entry in pack.regions(folder) if entry.scale == "regional")
    ground = np.maximum(900.0 + 500.0 * hills(160, 170, 1), 600.0)
    assert np.abs(pack.read(folder, region).height - ground).max() <= (region.high_m - region.low_m) / 65535.0


def test_a_pack_that_is_damaged_is_refused_by_name(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no pack\.json"):
        pack.regions(tmp_path)
    entry = json.loads((folder / "pack.json").read_text())[0]
    (tmp_path / "pack.json").write_text(json.dumps([entry]))
    region = pack.regions(tmp_path)[0]
    with pytest.raises(InvalidInput, match=r"lacks here-height\.png"):
        pack.read(tmp_path, region)
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "here-height.png")
    with pytest.raises(InvalidInput, match="16-bit"):
        pack.read(tmp_path, region)


def test_classes_follow_slope_and_still_water() -> None:
    along = torch.arange(128.0)
    tilt = {SAND: 0.02, FOREST: 0.35, ROCK: 0.8}
    for expected, slope in tilt.items():
        height = (slope * along).expand(1, 1, 128, 128)
        classes = class_maps.regional(height, torch.full_like(height, 0.3), 2.0, 0.0)
        assert (classes[0, 8:-8, 8:-8] == expected).all(), expected
    still = torch.zeros(1, 1, 128, 128)
    assert (class_maps.regional(still, still, 2.0, 0.0) == WATER).all()


def test_shares_add_up_and_are_soft_only_where_classes_meet() -> None:
    classes = torch.zeros(1, 20, 20, dtype=torch.int64)
    classes[:, :, 10:] = 3
    shares = generator_units.class_shares(classes, CLASSES)
    torch.testing.assert_close(shares.sum(1), torch.ones(1, 20, 20))
    assert (shares[0, 0, :, :8] == 1).all()
    assert 0 < float(shares[0, 0, 5, 9]) < 1


def test_continental_units_are_a_round_trip() -> None:
    heights = torch.tensor([-120.0, 0.0, 2.0, 300.0, 8000.0])
    torch.testing.assert_close(generator_units.from_continental(generator_units.to_continental(heights)), heights)


def test_rounding_to_metres_leaves_no_terraces() -> None:
    smooth = (0.13 * torch.arange(96.0)).expand(1, 1, 96, 96)
    found = without_steps(smooth.round(), 1.0)
    assert (found - smooth.round()).abs().max() <= 0.5
    steps = found[0, 0, 48, 8:-8].diff()
    assert float(steps.std()) < 0.4 * float(smooth.round()[0, 0, 48, 8:-8].diff().std())


def test_crops_are_level_on_average_and_square_on_the_ground(folder: Path) -> None:
    regional = MetricCrops(folder, 64, torch.device("cpu"))
    batch = regional.batch(3, torch.Generator().manual_seed(1))
    assert batch.height.shape == (3, 1, 64, 64)
    assert batch.shares.shape == (3, CLASSES, 128, 128)
    assert batch.height.mean((2, 3)).abs().max() < 1e-4


@pytest.mark.parametrize("kind", [MetricCrops, GlobeCrops])
def test_a_batch_is_drawn_from_its_generator_alone(kind: type, folder: Path) -> None:
    source = kind(folder, 64, torch.device("cpu"))
    one, other = (source.batch(3, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(one.height, other.height)
    assert torch.equal(one.shares, other.shares)


def test_what_is_left_out_of_the_globe_is_never_seen(folder: Path) -> None:
    half = Part(south=-90.0, north=90.0, west=-180.0, east=0.0)
    globe = GlobeCrops(folder, 64, torch.device("cpu"), leave_out=(half,))
    places = globe._choose(12, 5000.0, torch.Generator().manual_seed(4))
    assert (places[:, 1] > 0).all()


def test_leak_finds_light_in_an_albedo_and_nothing_in_one_without() -> None:
    height = torch.from_numpy(hills(96, 96, 5, 20.0))[None, None].float() * 0.2
    plain = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.1 + 0.4
    lit = (plain * light.lambert(height).sqrt()).clamp(0, 1)
    assert float(light.leak(plain, height)) < 0.02
    assert float(light.leak(lit, height)) > 0.3
    assert torch.allclose(light.lambert(torch.zeros(1, 1, 8, 8)), torch.ones(1, 1, 8, 8))


def test_hinge_loss_is_two_where_every_logit_is_zero() -> None:
    logits = [torch.zeros(2, 1, 4, 4), torch.zeros(2, 1, 2, 2)]
    assert float(discriminator_loss(logits, logits)) == 2.0


def test_what_is_beyond_the_reach_changes_nothing() -> None:
    """So that tiles agree with the whole."""
    network = TerrainGenerator(CLASSES, color=True, widths=(8, 8, 8, 8, 8, 8)).eval()
    initialise(network, torch.Generator().manual_seed(0))
    side = (2 * reach() // STRIDE + 2) * STRIDE
    classes = torch.zeros(1, side, side, dtype=torch.int64)
    other = classes.clone()
    other[:, :, : side - reach() - 8] = 5

    def made(values: torch.Tensor) -> torch.Tensor:
        shares = generator_units.class_shares(values, CLASSES)
        height, _ = network(shares, torch.zeros(1), lambda number, channels, size: torch.zeros(1, channels, *size))
        return height[..., -4:]

    with torch.no_grad():
        assert torch.equal(made(classes), made(other))


@pytest.mark.parametrize("scale", ["regional", "continental"])
def test_a_training_in_legs_is_the_training_in_one_go(scale: str, folder: Path, tmp_path: Path) -> None:
    params = settings(folder, scale=scale)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        train(Compact, params, tmp_path / "whole", Limits(steps=3), seed=2)
        for _ in range(3):
            train(Compact, params, tmp_path / "legs", Limits(steps=3, minutes=1e-9), seed=2)
    finally:
        torch.set_num_threads(threads)
    whole, legs = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "legs"))
    assert all(torch.equal(legs[name], values) for name, values in whole.items())
    assert "| data | made in a test |" in (tmp_path / "whole" / "card.md").read_text()
    with Image.open(next((tmp_path / "whole" / "samples").iterdir())) as sheet:
        assert sheet.size == (64 * (3 if scale == "regional" else 5), 64 * 4)


def test_no_crop_touches_a_hole(folder: Path, tmp_path: Path) -> None:
    region = next(entry for entry in pack.regions(folder) if entry.scale == "regional")
    maps = pack.read(folder, region)
    valid = np.ones(maps.height.shape, bool)
    valid[140] = False
    pack.write(tmp_path, [(region, replace(maps, valid=valid))])
    found = MetricCrops(tmp_path, 64, torch.device("cpu"))
    assert len(found._origins)
    assert (found._origins[:, 1] + found.canvas <= 140).all()
    valid[70] = False
    pack.write(tmp_path, [(region, replace(maps, valid=valid))])
    with pytest.raises(InvalidInput, match="without holes"):
        MetricCrops(tmp_path, 64, torch.device("cpu"))


def test_a_pack_without_a_map_that_is_large_enough_is_told(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="no regional map with 576 x 576 px"):
        Compact(settings(folder, side=512), torch.device("cpu"), torch.Generator())
