"""Training of texture generators: data, the steps of both architectures, resume, what is written, and the options people know."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

import backend
from backend.training import texture
from backend.training.architectures.spatial_gan import MEAN_FACTOR, SpatialGan, SpatialGanParams
from backend.training.architectures.texture_compact import TextureCompact, TextureCompactParams
from backend.training.data import texture_sources
from backend.training.loop import Limits, step_generator, train
from shared import texture_set
from shared.errors import InvalidInput, InvalidParameter

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two pictures of 72 x 64 pixels: red stripes and green dots."""
    path = tmp_path_factory.mktemp("pictures")
    rows, columns = np.mgrid[0:64, 0:72]
    stripes = (np.sin(rows * 0.8) > 0)[..., None] * (200, 60, 40) + 30
    dots = ((rows % 8 < 4) & (columns % 8 < 4))[..., None] * (40, 180, 60) + 20
    for name, picture in (("stripes", stripes), ("dots", dots)):
        noise = np.random.default_rng(0).integers(0, 20, picture.shape)
        Image.fromarray((picture + noise).clip(0, 255).astype(np.uint8)).save(path / f"{name}.png")
    return path


def compact(folder: Path, **values: Any) -> TextureCompactParams:
    small = {"data_dir": str(folder), "side": 64, "width": 0.13, "filters": 4, "banks": 1, "length": 40}
    return TextureCompactParams(**{**small, **values})


def gan(folder: Path, **values: Any) -> SpatialGanParams:
    small = {"data_dir": str(folder), "layers": 3, "z_size": 4, "z_dim": 6, "width": 4, "batch": 3}
    return SpatialGanParams(**{**small, **values})


CASES = {
    "compact": (TextureCompact, compact, {}),
    "gan": (SpatialGan, gan, {"periodic": 2, "around": 2}),
    "reg": (SpatialGan, gan, {"reg": True, "l2": 1e-5}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_run_in_legs_is_the_run_in_one_go(case: str, folder: Path, tmp_path: Path) -> None:
    kind, settings, values = CASES[case]
    params = settings(folder, **values)
    whole, legs = tmp_path / "whole", tmp_path / "legs"
    train(kind, params, whole, Limits(steps=6))
    for _ in range(2):  # a limit that is over after the first step each time
        train(kind, params, legs, Limits(steps=6, minutes=1e-9))
    assert (legs / "weights.safetensors").is_file(), "what an unfinished training has is of use"
    train(kind, params, legs, Limits(steps=6))
    assert (whole / "weights.safetensors").read_bytes() == (legs / "weights.safetensors").read_bytes()
    made = backend.run("texture", model=str(whole / "weights.safetensors"), width=64, height=64, device="cpu")
    maps = texture_set.split(made["material"])
    assert set(maps) == ({"base_color", "height", "normal"} if case == "compact" else {"base_color"})


def test_the_compact_generator_comes_near_its_pictures(folder: Path, tmp_path: Path) -> None:
    train(TextureCompact, compact(folder, banks=3, length=30), tmp_path, Limits(steps=30))
    losses = [json.loads(line)["distance"] for line in (tmp_path / "stats.jsonl").read_text().splitlines()]
    assert losses[-1] < 0.7 * losses[0]
    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        about = json.loads(file.metadata()["relievo"])
    assert about["data"] == "dots.png, stripes.png"
    assert about["sample_px"] == 64
    assert about["estimated"] == ["height"]


def test_plain_steps_take_turns(folder: Path) -> None:
    training = SpatialGan(gan(folder), CPU, step_generator(0, -1))
    before = {name: _weights(part) for name, part in training.parts().items() if isinstance(part, torch.nn.Module)}
    first = training.step(0, step_generator(0, 0))
    assert set(first) == {"discriminator"}
    assert (_weights(training.parts()["generator"]) == before["generator"]).all()
    second = training.step(1, step_generator(0, 1))
    assert set(second) == {"generator"}
    assert not (_weights(training.parts()["generator"]) == before["generator"]).all()


def test_regularised_steps_are_those_that_were_published(folder: Path) -> None:
    training = SpatialGan(gan(folder, reg=True), CPU, step_generator(0, -1))
    moved = []
    for number in range(2):
        before = {name: _weights(part) for name, part in training.parts().items() if isinstance(part, torch.nn.Module)}
        losses = training.step(number, step_generator(0, number))
        assert "reconstruction" in losses
        moved.append({name for name, was in before.items() if not (_weights(training.parts()[name]) == was).all()})
    assert moved[0] == {"generator", "encoder", "diffusion"}, "the first step, an odd one"
    assert moved[1] == {"generator", "encoder", "manifold"}


def test_the_weights_of_the_regularised_variant_are_heard(folder: Path) -> None:
    def reconstruction(**values: Any) -> float:
        training = SpatialGan(gan(folder, reg=True, rate=5e-3, z_size=3, **values), CPU, step_generator(0, -1))
        for number in range(24):
            losses = training.step(number, step_generator(0, number))
        weight = values.get("reconstruction_weight", 1.0)
        pixels = 3 * 17 * 17 if values.get("reconstruction") == "published" else MEAN_FACTOR
        return float(losses["reconstruction"]) / weight / pixels

    free = reconstruction(reconstruction_weight=1e-3)
    assert reconstruction(reconstruction_weight=10.0, manifold_weight=0.0) < 0.7 * free
    assert reconstruction(reconstruction="published") < 0.7 * free, "a sum drowns the rest"


def _weights(module: Any) -> torch.Tensor:
    return torch.cat([tensor.detach().flatten().clone() for tensor in module.parameters()])


def test_sources_are_pictures_sets_or_folders_of_sets(folder: Path, tmp_path: Path) -> None:
    assert texture_sources.read(str(folder), estimate=True).names == ("dots.png", "stripes.png")
    for name in ("wall_albedo", "wall_roughness"):
        Image.open(folder / "dots.png").convert("RGB" if "albedo" in name else "L").save(tmp_path / f"{name}.png")
    found = texture_sources.read(str(tmp_path), estimate=True)
    assert found.names == (tmp_path.name,)
    assert set(found.maps[0]) == {"base_color", "roughness", "height"}
    assert found.estimated == ("height",)
    (tmp_path / "more").mkdir()
    Image.open(folder / "dots.png").save(tmp_path / "more" / "albedo.png")
    with pytest.raises(InvalidInput, match="no folder"):
        texture_sources.read(str(tmp_path / "none"), estimate=True)
    with pytest.raises(InvalidInput, match="holds no picture"):
        texture_sources.read(str(_empty(tmp_path)), estimate=True)
    with pytest.raises(InvalidInput, match="at least 257"):
        SpatialGan(SpatialGanParams(data_dir=str(folder)), CPU, step_generator(0, -1))


def _empty(path: Path) -> Path:
    (path / "empty").mkdir()
    return path / "empty"


def test_the_options_that_people_know(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--num_layers", "3", "--z_size", "4", "--z_dim=6", "--width", "4", "--batch_size", "2", "--quiet"]
    run = ["--dataset", str(folder), "--model_dir", str(tmp_path / "run"), *small, "--max_iterations", "2"]
    assert texture.main([*run, "--reg", "True", "--is_train", "True"]) == 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["model"] == "texture-spatial-gan"
    assert config["reg"] is True
    assert config["steps"] == 2
    weights = load_file(tmp_path / "run" / "weights.safetensors")
    made = [
        "--generate_samples",
        "2",
        "--generate_width",
        "5",
        "--generate_height",
        "4",
        "--sample_dir",
        str(tmp_path / "made"),
    ]
    assert texture.main([*run, "--is_train", "False", *made]) == 0
    assert all((load_file(tmp_path / "run" / "weights.safetensors")[name] == weights[name]).all() for name in weights)
    pictures = [Image.open(next((tmp_path / "made" / f"test_{n}").glob("*.png"))) for n in range(2)]
    assert [picture.size for picture in pictures] == [(33, 25)] * 2
    assert np.abs(np.asarray(pictures[0], float) - np.asarray(pictures[1], float)).max() > 0, (
        "each has a seed of its own"
    )
    capsys.readouterr()
    assert texture.main(["--data_dir", str(folder), "--reg=False", "--dry-run"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "texture"
    with pytest.raises(InvalidParameter, match="must be True or False"):
        texture.without_switch(["--reg", "perhaps"], "--reg", default=False)
