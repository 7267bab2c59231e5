"""`prepare terrain-data` on rasters made here: projection, pairs, land, clusters, split, bad input, nothing left behind."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import torch
from PIL import Image
from rasterio.transform import Affine, from_origin

from backend.commands import prepare
from backend.ops.terrain.noise import NoiseField, Window, evaluate
from backend.training.architectures.compact import Compact, CompactParams
from backend.training.data import metric_crops, pack
from backend.training.data.preparation import clusters, naming, packing, pieces, simulation, sources
from backend.training.data.preparation.split import held_out
from backend.training.data.preparation.stage import staged
from backend.training.loop import step_generator
from shared.errors import InvalidInput, InvalidParameter, StorageFull
from shared.terrain_classes import TERRAIN_CLASSES, WATER

SIDE = 128


def ground(rows: int, columns: int, seed: int) -> np.ndarray:
    field = NoiseField(wavelength_px=(70.0, 70.0), octaves=6, seed=seed)
    return (700.0 + 1500.0 * evaluate(field, Window(0, 0, columns, rows)).numpy()[0, 0]).clip(0.0).astype(np.float32)


def write(path: Path, values: np.ndarray, transform: Affine | None = None, crs: str = "EPSG:32632") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    bands = values[None] if values.ndim == 2 else np.moveaxis(values, 2, 0)
    count, rows, columns = bands.shape
    transform = transform or from_origin(500_000.0, 5_000_000.0, 90.0, 90.0)
    with rasterio.open(
        path, "w", driver="GTiff", width=columns, height=rows, count=count, dtype=bands.dtype, crs=crs, transform=transform
    ) as file:  # fmt: skip
        file.write(bands)
    return path


def colors_of(height: np.ndarray) -> np.ndarray:
    table = np.array([(17, 90, 160), (210, 190, 140), (90, 130, 70), (150, 140, 130), (240, 242, 245)], np.uint8)
    return table[np.digitize(height, (1e-3, 400.0, 900.0, 1400.0))]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two rasters of 270 x 290 px at 90 m, each with its colours."""
    base = tmp_path_factory.mktemp("rasters")
    for number in range(2):
        height = ground(270, 290, number)
        write(base / "heights" / f"valley{number}_height.tif", height)
        write(base / "colors" / f"valley{number}_colour.tif", colors_of(height))
    return base / "heights", base / "colors"


def made(out: Path, *words: object) -> Path:
    assert prepare.main(["terrain-data", "--quiet", "--side", str(SIDE), "--out", str(out), *map(str, words)]) == 0
    return out


@pytest.fixture(scope="module")
def folder(folders: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    heights, colors = folders
    return made(
        tmp_path_factory.mktemp("packs") / "pack",
        "--heights",
        heights,
        "--colors",
        colors,
        "--source",
        "made in a test",
    )


def test_a_pack_has_aligned_triples_and_keeps_neighbours_together(folder: Path) -> None:
    regions = pack.regions(folder)
    assert len(regions) == 8
    assert {region.source for region in regions} == {"made in a test"}
    back = [region.name for region in regions if region.split == "held-out"]
    assert len(back) == 1
    for region in regions:
        maps = pack.read(folder, region)
        assert maps.color is not None
        assert maps.classes is not None
        assert maps.classes.shape == maps.height.shape == maps.color.shape[:2]
        assert region.pixel_size_m == pytest.approx(90.0)
        blue = (maps.color[..., 2] > 140) & (maps.color[..., 0] < 60)
        assert (maps.classes[blue] == WATER).mean() > 0.9, "colours and classes lie on the heights"
    assert not list(folder.parent.glob(".*"))


def test_heights_keep_sixteen_bits_and_more_of_their_range(folders: tuple[Path, Path], folder: Path) -> None:
    with rasterio.open(folders[0] / "valley0_height.tif") as file:
        whole = file.read(1)
    region = next(region for region in pack.regions(folder) if region.name == "valley0_height-0-0")
    piece = pack.read(folder, region).height
    step = (region.high_m - region.low_m) / 65535.0
    assert np.abs(piece - whole[: piece.shape[0], : piece.shape[1]]).max() < 0.51 * step + 1e-3
    assert len(np.unique(piece)) > 256


def test_the_sheet_shows_pieces_and_classes(folder: Path) -> None:
    with Image.open(folder / "sheet.png") as picture:
        sheet = np.asarray(picture.convert("RGB"))
    assert sheet.shape[1] == 6 * 192
    seen = {tuple(color) for color in sheet[40:200, 3 * 192 : 4 * 192].reshape(-1, 3)}
    assert len(seen & {entry.color for entry in TERRAIN_CLASSES}) >= 3


def test_the_pack_trains(folder: Path) -> None:
    params = CompactParams(data=str(folder), side=64, batch=2, width=0.1, judge_width=4)
    training = Compact(params, torch.device("cpu"), step_generator(0, -1))
    losses = training.step(0, step_generator(0, 0))
    assert all(bool(torch.isfinite(value)) for value in losses.values())
    crops = metric_crops.MetricCrops(folder, 64, torch.device("cpu"))
    assert crops.colored
    batch = crops.batch(3, torch.Generator().manual_seed(0))
    assert batch.color is not None
    water = (batch.color[:, 2] - batch.color[:, 0] > 0.3) & (batch.height_m[:, 0] < 1.0)
    high = (batch.color.amin(1) > 0.9) & (batch.height_m[:, 0] < 1000.0)
    assert bool(water.any())
    assert not bool(high.any()), "colours are turned as their heights are"


def test_crops_of_open_sea_are_hardly_ever_drawn(folder: Path, tmp_path: Path) -> None:
    region = replace(pack.regions(folder)[0], split="train")
    maps = pack.read(folder, region)
    shape = (130, 400)
    classes = np.full(shape, WATER, np.uint8)
    classes[:, :90] = 3
    height = np.where(classes == WATER, region.low_m, region.high_m).astype(np.float32)
    pack.write(
        tmp_path, [(region, replace(maps, height=height, valid=np.ones(shape, bool), color=None, classes=classes))]
    )
    batch = metric_crops.MetricCrops(tmp_path, 64, torch.device("cpu")).batch(32, torch.Generator().manual_seed(0))
    assert float((batch.classes != WATER).flatten(1).float().mean(1).min()) > 0.1


def test_a_person_may_rename_clusters(folders: tuple[Path, Path], folder: Path, tmp_path: Path) -> None:
    document = json.loads((folder / "clusters.json").read_text())
    for entry in document["regional"]:
        entry["class"] = "Rock"
    (tmp_path / "mine.json").write_text(json.dumps(document))
    out = made(tmp_path / "pack", "--heights", folders[0], "--colors", folders[1], "--names", tmp_path / "mine.json")
    classes = np.concatenate([pack.read(out, region).classes.ravel() for region in pack.regions(out)])  # type: ignore[union-attr]
    assert {TERRAIN_CLASSES[number].name for number in np.unique(classes)} == {"Water", "Rock"}
    document["regional"][0]["class"] = "Rocks"
    (tmp_path / "mine.json").write_text(json.dumps(document))
    with pytest.raises(InvalidInput, match=r"no class 'Rocks'\. Did you mean 'Rock'"):
        naming.read(tmp_path / "mine.json")


def test_geographic_grids_are_as_wide_in_the_north_as_at_the_equator(tmp_path: Path) -> None:
    """Discs of 60 km at three latitudes of a map in degrees come out as circles of 60 km."""
    degrees = 0.01
    rows, columns = np.meshgrid(np.arange(2000), np.arange(400), indexing="ij")
    latitude, longitude = 75.0 - (rows + 0.5) * degrees, (columns + 0.5) * degrees - 2.0
    height = np.full(rows.shape, 10.0, np.float32)
    for middle in (74.17, 65.83, 59.15):
        east, north = longitude * 111.32 * np.cos(np.radians(latitude)), (latitude - middle) * 111.32
        height[np.hypot(east, north) < 30.0] = 1000.0
    path = write(tmp_path / "map.tif", height, from_origin(-2.0, 75.0, degrees, degrees), "EPSG:4326")
    raster = sources.load(sources.Source(path, None), sources.Said())
    count = pieces.Count()
    found = list(pieces.cut(raster, 256, 700.0, least_land=0.0, sea_level_m=0.0, count=count))
    discs = [piece.height > 500.0 for piece in found]
    discs = [disc for disc in discs if disc.any() and not (disc[[0, -1]].any() or disc[:, [0, -1]].any())]
    assert len(discs) == 3, "each lies in the middle of a piece"
    for disc in discs:
        tall, wide = np.ptp(np.nonzero(disc.any(1))[0]) + 1, np.ptp(np.nonzero(disc.any(0))[0]) + 1
        assert abs(wide / tall - 1.0) < 0.03
        assert tall == pytest.approx(60_000.0 / 700.0, rel=0.03)


def test_pieces_with_holes_or_without_land_are_left_out_and_counted(tmp_path: Path) -> None:
    height = ground(260, 390, 4) + 1.0
    height[20, 20] = np.nan
    height[130:, 130:260] = -50.0
    raster = sources.load(sources.Source(write(tmp_path / "a.tif", height), None), sources.Said())
    count = pieces.Count()
    found = list(pieces.cut(raster, 130, 90.0, least_land=0.25, sea_level_m=0.0, count=count))
    assert {(piece.row, piece.column) for piece in found} == {(0, 1), (0, 2), (1, 0), (1, 2)}
    assert (count.kept, count.holes, count.too_little_land) == (4, 1, 1)


@pytest.mark.parametrize(
    ("prepare_files", "words", "sentence"),
    [
        (lambda base: write(base / "h" / "a.tif", ground(150, 150, 1)), (), r"a\.tif has no partner of colours"),
        (lambda base: write(base / "c" / "b.tif", colors_of(ground(150, 150, 1))), (), r"b\.tif has no partner of heights"),
        (lambda base: write(base / "c" / "ok.tif", colors_of(ground(150, 160, 1))), (),
         r"ok\.tif is 160x150 px; its heights, ok\.tif, are 150x150 px"),
        (lambda base: write(base / "h" / "ok.tif", (ground(150, 150, 1) / 20).astype(np.uint8)), (), "ok.tif has 8 bits"),
        (lambda base: (base / "h" / "ok.tif").write_bytes(b"II*\0" + bytes(50)), (), r"ok\.tif cannot be read"),
        (lambda base: write(base / "h" / "ok.tif", np.zeros((150, 150), np.float32)), (), "1 have less than 25% of land"),
        (lambda base: write(base / "h" / "ok.tif", np.full((150, 150), np.nan, np.float32)), (), "1 have holes"),
        (lambda base: None, ("--side", 100), "--side is 100"),
        (lambda base: None, ("--simulate", 1), "Simulated landscapes have no colours"),
        (lambda base: None, ("--names", "none.json"), r"There is no none\.json"),
        (lambda base: (base / "pack").mkdir() or (base / "pack" / "mine.txt").touch(), (), "pack is there already"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_leaves_nothing(prepare_files, words, sentence: str, tmp_path: Path) -> None:
    height = ground(150, 150, 1)
    write(tmp_path / "h" / "ok.tif", height)
    write(tmp_path / "c" / "ok.tif", colors_of(height))
    prepare_files(tmp_path)
    before = sorted(path for path in tmp_path.rglob("*"))
    with pytest.raises((InvalidInput, InvalidParameter), match=sentence):
        made(tmp_path / "pack", "--heights", tmp_path / "h", "--colors", tmp_path / "c", *words)
    assert sorted(path for path in tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.name == "nt", reason="the limit of a file's size is POSIX's")
@pytest.mark.parametrize("limit", [9_000, 70_000])
def test_a_disk_that_fills_leaves_nothing(limit: int, folders: tuple[Path, Path], tmp_path: Path) -> None:
    """The system refuses the rest of the first map, or of the sheet when all maps are written."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(StorageFull, match=r"pack could not be written: the disk is full"):
            made(tmp_path / "new" / "pack", "--heights", folders[0])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_the_making_is_removed_by_an_interrupt(tmp_path: Path) -> None:
    def interrupted() -> None:
        with staged(tmp_path / "out") as stage:
            (stage / "half").touch()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_clusters_follow_the_bends_of_the_data_and_not_straight_lines() -> None:
    """Two crescents that hold each other, which k-means in the features themselves cannot tell apart."""
    angles = np.random.default_rng(0).uniform(0.0, np.pi, (2, 600))
    noise = np.random.default_rng(1).normal(0.0, 0.06, (2, 600, 2))
    upper = np.stack([np.cos(angles[0]), np.sin(angles[0])], 1) + noise[0]
    lower = np.stack([1.0 - np.cos(angles[1]), 0.5 - np.sin(angles[1])], 1) + noise[1]
    sample = np.concatenate([upper, lower]).astype(np.float32)
    found = [clusters.Clusters(sample, 2, seed=3) for _ in range(2)]
    numbers, again = (one.of(torch.from_numpy(sample.T[:, :, None].copy()))[:, 0] for one in found)
    assert np.array_equal(numbers, again)
    right = (numbers[:600] == np.bincount(numbers[:600]).argmax()).mean()
    assert right > 0.97
    assert (numbers[600:] != np.bincount(numbers[:600]).argmax()).mean() > 0.97


def test_every_notable_class_gets_a_cluster_where_one_can_be_spared() -> None:
    votes = np.array([[0, 90, 10, 0], [0, 80, 20, 0], [0, 5, 5, 90], [0, 51, 49, 0]])
    assert naming.named(votes).tolist() == [1, 1, 3, 2]


def test_the_split_keeps_whole_neighbourhoods() -> None:
    places = [(raster, row, column) for raster in range(2) for row in range(8) for column in range(8)]
    back = held_out(places, 0.15, seed=1)
    blocks = {(places[n][0], places[n][1] // 4, places[n][2] // 4) for n in back}
    assert len(back) == 16 * len(blocks)
    assert 16 <= len(back) <= 32
    assert held_out(places, 0.15, seed=1) == back
    assert held_out(places[:3], 0.15, seed=1) == set()


def test_simulated_landscapes_are_many_kinds_and_drain(tmp_path: Path) -> None:
    landscapes = [simulation.simulate(128, seed) for seed in range(2)]
    assert len({landscape.kind for landscape in landscapes}) > 1
    for landscape in landscapes:
        assert landscape.height.shape == (128, 128)
        assert np.isfinite(landscape.height).all()
        assert 100.0 < np.ptp(landscape.height) < 6000.0
    out = made(tmp_path / "pack", "--simulate", 2, "--held-out", 0.5)
    regions = pack.regions(out)
    assert [region.split for region in regions] == ["train"] * 2
    assert all(region.source.startswith("simulated (") for region in regions)
    again = pack.read(out, regions[0]).height
    assert np.abs(again - landscapes[0].height).max() < 0.1, "the same seed makes the same landscape"
    assert max(region.pixel_size_m for region in regions) < packing.BORDER_M
