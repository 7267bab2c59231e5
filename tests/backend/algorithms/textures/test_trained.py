"""Textures of trained generators: pieces that agree, tiles that wrap exactly, seeds, threads, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import backend
from backend.algorithms.textures import trained
from backend.algorithms.textures.channels import Channels
from backend.algorithms.textures.decoding import Decoder
from backend.models import spatial_gan, texture_generator
from backend.training.architectures.texture_files import described, file_tensors
from backend.training.data.texture_sources import spread
from shared import texture_set
from shared.errors import InvalidInput, InvalidParameter
from shared.srgb import srgb_to_linear

CPU = torch.device("cpu")
MAPS = {
    "base_color": np.random.default_rng(0).random((24, 24, 3), np.float32),
    "normal": np.random.default_rng(1).random((24, 24, 3), np.float32) - 0.5,
    "height": np.random.default_rng(2).random((24, 24, 1), np.float32) * 3,
}


def compact() -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    channels = Channels.of([MAPS])
    shape = {"widths": [8, 8, 8], "noises": [4, 4, 4]}
    network = texture_generator.TextureGenerator(channels.count, **shape)
    texture_generator.initialise(network, torch.Generator().manual_seed(0))
    about = described(channels, shape, sample_px=24)
    return file_tensors(network, channels), {"model": "texture", **about}


def gan(**more: Any) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    shape: dict[str, Any] = {"layers": 3, "width": 4, "local": 6, **more}
    channels = spread([{"base_color": MAPS["base_color"]}])
    network = spatial_gan.SpatialGenerator(3, **shape)
    draw = torch.Generator().manual_seed(0)
    spatial_gan.initialise(network, draw)
    for module in network.modules():
        if isinstance(module, torch.nn.ConvTranspose2d):
            module.weight.data *= 10.0
    depth = network.local + network.around + network.periodic
    spatial_gan.settle(network, [torch.rand(2, depth, 6, 6, generator=draw) * 2 - 1])
    return file_tensors(network, channels), {"model": "texture-spatial-gan", **described(channels, shape)}


FILES: dict[str, Callable[[], tuple[dict[str, torch.Tensor], dict[str, Any]]]] = {
    "compact": compact,
    "gan": gan,
    "psgan": lambda: gan(periodic=3, around=2),
}


@pytest.fixture(autouse=True)
def exact(monkeypatch: pytest.MonkeyPatch) -> None:
    """float32: eight bits of bfloat16 may be rounded differently in pieces of another shape."""
    monkeypatch.setattr(trained, "cpu_computes_bfloat16", lambda: False)


def made(
    kind: str, rows: int, columns: int, period: tuple[int, int] = (0, 0), *, piece_px: int = 512, count: int = 1
) -> np.ndarray:
    generator = trained.load(*FILES[kind](), CPU)
    place = trained.Place(rows, columns, period, 3)
    return trained.generate(generator, place, Decoder(generator.channels, CPU), count, piece_px=piece_px)


@pytest.mark.parametrize("kind", FILES)
def test_pieces_are_the_whole(kind: str) -> None:
    whole = made(kind, 70, 93)
    assert whole.std() > 0.01
    for piece_px in (16, 40):
        assert np.abs(made(kind, 70, 93, piece_px=piece_px, count=2) - whole).max() < 1e-5
    assert np.abs(made(kind, 45, 61) - whole[:45, :61]).max() < 1e-5, "a smaller one is a part of the larger one"


@pytest.mark.parametrize("kind", FILES)
def test_a_tile_repeats_exactly(kind: str) -> None:
    tile, mosaic = made(kind, 48, 64, period=(48, 64)), made(kind, 96, 192, period=(48, 64), piece_px=40)
    assert np.abs(mosaic - np.tile(tile, (2, 3, 1))).max() < 1e-5
    across = made(kind, 48, 128, period=(0, 64))
    assert np.abs(across[:, 64:] - across[:, :64]).max() < 1e-5
    assert np.abs(tile - made(kind, 48, 64)).max() > 0.01, "free ones have other noise beyond their edges"


def test_the_published_networks_whole_field_is_what_pieces_make(monkeypatch: pytest.MonkeyPatch) -> None:
    tensors, about = gan()
    generator = trained.load(tensors, about, CPU)
    assert isinstance(generator, trained.SpatialGan)
    fields: list[torch.Tensor] = []
    original = generator.network.forward

    def noted(field: torch.Tensor) -> torch.Tensor:
        fields.append(field)
        return original(field)

    monkeypatch.setattr(generator.network, "forward", noted)
    whole = trained.generate(generator, trained.Place(64, 64, (0, 0), 3), Decoder(generator.channels, CPU), 1)
    edge = generator.margin * generator.stride
    image = original(fields[0])[0, :, edge : edge + 64, edge : edge + 64].detach().numpy() * 0.5 + 0.5
    linear = whole.transpose(2, 0, 1)
    assert np.abs(srgb_to_linear(image.clip(0, 1)) - linear).max() < 1e-4


def test_memory_is_that_of_a_few_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = trained.load(*compact(), CPU)
    sizes: list[tuple[int, int]] = []
    piece = generator.piece

    def noted(top: int, left: int, rows: int, columns: int, place: trained.Place) -> torch.Tensor:
        sizes.append((rows, columns))
        return piece(top, left, rows, columns, place)

    monkeypatch.setattr(generator, "piece", noted)
    trained.generate(generator, trained.Place(120, 200, (0, 0), 0), Decoder(generator.channels, CPU), 2, piece_px=32)
    assert len(sizes) == 4 * 7
    assert max(max(size) for size in sizes) == 32


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "weights.safetensors"
    tensors, about = compact()
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path, {"relievo": json.dumps(about)})
    return path


def texture(file: Path, **values: Any) -> dict[str, np.ndarray]:
    small = {"width": 48, "height": 32, "seed": 1, "device": "cpu"}
    return texture_set.split(backend.run("texture", model=str(file), **{**small, **values})["material"])


def test_the_engine_makes_all_maps_without_a_sample(file: Path) -> None:
    maps = texture(file)
    assert {name: values.shape for name, values in maps.items()} == {
        "base_color": (32, 48, 3), "normal": (32, 48, 3), "height": (32, 48, 1),
    }  # fmt: skip
    assert np.allclose(np.linalg.norm(maps["normal"], axis=2), 1.0, atol=1e-4)
    again, other = texture(file), texture(file, seed=2)
    assert all((maps[name] == again[name]).all() for name in maps)
    assert np.abs(maps["height"] - other["height"]).mean() > 0.05


def test_a_side_that_tiles_is_a_multiple_of_the_stride(file: Path) -> None:
    with pytest.raises(InvalidParameter, match="multiple of 8 pixels") as caught:
        texture(file, width=50)
    assert caught.value.hint == "48 is the nearest."
    assert texture(file, width=50, tile="y")["height"].shape == (32, 50, 1)


def test_a_model_and_a_sample_are_not_both_taken(file: Path) -> None:
    sample = texture_set.stack({"base_color": np.full((32, 32, 3), 0.5, np.float32)})
    with pytest.raises(InvalidInput, match="model is set, so the input 'exemplar' would not be read"):
        backend.run("texture", model=str(file), exemplar=sample, width=64, height=64)


def test_without_a_model_a_sample_is_needed() -> None:
    with pytest.raises(InvalidInput, match="needs the input 'exemplar'") as caught:
        backend.run("texture", device="cpu")
    assert "model" in caught.value.hint


def test_files_that_are_no_texture_model_are_refused(file: Path, tmp_path: Path) -> None:
    content = file.read_bytes()
    cut, spoiled, other, newer, strange, ground = (tmp_path / f"{name}.safetensors" for name in "abcdef")
    cut.write_bytes(content[:-40])
    tensors, about = load_file(file), compact()[1]
    save_file(tensors, spoiled, {"relievo": json.dumps({**about, "tensors_sha256": "0" * 64})})
    save_file(tensors, other)
    save_file(tensors, newer, {"relievo": json.dumps({**about, "format": 9})})
    save_file(tensors, strange, {"relievo": json.dumps({**about, "network": {"widths": [8], "noises": [4]}})})
    save_file(tensors, ground, {"relievo": json.dumps({**about, "model": "terrain"})})
    for path, said in (
        (tmp_path / "none", "There is no file"), (cut, "damaged"), (spoiled, "damaged"), (other, "does not say what model"),
        (newer, "format 9"), (strange, "do not fit together"), (ground, "makes no textures"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=said) as caught:
            texture(path)
        assert caught.value.hint, path
        assert caught.value.field == "model", path
