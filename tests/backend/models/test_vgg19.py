"""VGG-19 against published weights: a written-out convolution, and decoders that someone else trained on these
very features."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from backend.models.vgg19 import IMAGENET_DEVIATION, IMAGENET_MEAN, LAYERS, Vgg19
from backend.ops.style.features import VggFeatures
from backend.runtime.device import cpu_computes_bfloat16

# index of each convolution in the published files (Li et al. 2017, "Universal style transfer"), and of our layers
PUBLISHED = {"2": "conv1_1", "5": "conv1_2", "9": "conv2_1", "12": "conv2_2", "16": "conv3_1"}


def published(folder: Path, name: str) -> dict[str, torch.Tensor]:
    with np.load(folder / f"{name}.npz") as file:
        return {key: torch.from_numpy(file[key]) for key in file.files}


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "features" / "vgg19_wct"


@pytest.fixture(scope="module")
def network(folder: Path) -> Vgg19:
    """conv1_1 to conv3_1 with the published weights, the first 1x1 convolution and our normalisation folded
    into conv1_1."""
    weights = published(folder, "vgg_normalised_conv3_1")
    mix = weights["0.weight"][:, :, 0, 0].double()  # RGB 0..1 -> BGR 0..255 less the mean
    state = {}
    for index, name in PUBLISHED.items():
        kernel, bias = weights[f"{index}.weight"].double(), weights[f"{index}.bias"].double()
        if name == "conv1_1":
            shift = mix @ torch.tensor(IMAGENET_MEAN).double() + weights["0.bias"].double()
            bias = bias + torch.einsum("oihw,i->o", kernel, shift)
            kernel = torch.einsum("oihw,ic->ochw", kernel, mix * torch.tensor(IMAGENET_DEVIATION).double())
        state[f"features.{LAYERS[name][0]}.weight"] = kernel.float()
        state[f"features.{LAYERS[name][0]}.bias"] = bias.float()
    network = Vgg19("conv3_1", padding="reflect")
    network.load_torchvision(state)
    return network


@pytest.fixture(scope="module")
def image() -> torch.Tensor:
    """RGB 0..1, [1, 3, 64, 64]: smooth forms with edges."""
    rows, columns = torch.meshgrid(torch.linspace(0, 1, 64), torch.linspace(0, 1, 64), indexing="ij")
    disc = ((rows - 0.4) ** 2 + (columns - 0.6) ** 2 < 0.06).float()
    return torch.stack(
        [0.2 + 0.6 * rows, 0.7 - 0.4 * columns + 0.2 * disc, 0.3 + 0.4 * disc * (0.5 + 0.5 * torch.sin(20 * rows))]
    )[None]


def test_layers_stand_where_torchvision_has_them() -> None:
    assert [LAYERS[name][0] for name in ("conv1_1", "conv2_1", "conv3_1", "conv4_1", "conv5_1", "conv5_2")] == [
        0,
        5,
        10,
        19,
        28,
        30,
    ]
    assert {name: (value[1], value[2]) for name, value in LAYERS.items()}["conv4_1"] == (256, 512)
    assert set(Vgg19("conv2_1").state_dict()) == {
        f"features.{index}.{kind}" for index in (0, 2, 5) for kind in ("weight", "bias")
    }
    assert (
        sum(parameter.numel() for parameter in Vgg19("conv5_4").parameters()) == 20_024_384
    )  # of torchvision's vgg19().features


def test_features_equal_a_written_out_convolution(network: Vgg19, folder: Path, image: torch.Tensor) -> None:
    weights = {key: value.double().numpy() for key, value in published(folder, "vgg_normalised_conv3_1").items()}

    def convolve(values: np.ndarray, index: str) -> np.ndarray:
        padded = np.pad(values, ((0, 0), (1, 1), (1, 1)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
        return (
            np.einsum("ihwyx,oiyx->ohw", windows, weights[f"{index}.weight"]) + weights[f"{index}.bias"][:, None, None]
        )

    values = (
        np.einsum("oi,ihw->ohw", weights["0.weight"][:, :, 0, 0], image[0].double().numpy())
        + weights["0.bias"][:, None, None]
    )
    found = network(image, PUBLISHED.values())
    for index, name in PUBLISHED.items():
        if name in ("conv2_1", "conv3_1"):
            channels, height, width = values.shape
            values = values.reshape(channels, height // 2, 2, width // 2, 2).max((2, 4))
        values = np.maximum(convolve(values, index), 0)
        np.testing.assert_allclose(found[name][0].numpy(), values, rtol=1e-3, atol=1e-4 * values.max(), err_msg=name)


@pytest.mark.parametrize(
    ("layer", "steps", "correlation"),
    [
        ("conv1_1", ["1"], 0.98),
        ("conv2_1", ["1", "up", "5", "8"], 0.98),
        ("conv3_1", ["1", "up", "5", "8", "up", "12", "15"], 0.9),
    ],
)
def test_published_decoders_give_the_image_back(
    network: Vgg19, folder: Path, image: torch.Tensor, layer: str, steps: list[str], correlation: float
) -> None:
    weights = published(folder, f"feature_invertor_{layer}")
    values = network(image, [layer])[layer]
    for step in steps:
        if step == "up":
            values = F.interpolate(values, scale_factor=2, mode="nearest")
            continue
        values = F.conv2d(
            F.pad(values, (1, 1, 1, 1), mode="reflect"), weights[f"{step}.weight"], weights[f"{step}.bias"]
        )
        if step != steps[-1]:
            values = F.relu(values)
    assert values.shape == image.shape
    assert np.corrcoef(values.flatten().numpy(), image.flatten().numpy())[0, 1] > correlation


def test_height_gradient_is_the_sum_of_three_equal_channels(network: Vgg19) -> None:
    relief = torch.rand(1, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    three = relief.repeat(1, 3, 1, 1).requires_grad_()
    network(three, ["conv3_1"])["conv3_1"].sum().backward()
    one = relief.clone().requires_grad_()
    network(one.expand(-1, 3, -1, -1), ["conv3_1"])["conv3_1"].sum().backward()
    assert one.grad is not None
    assert three.grad is not None
    torch.testing.assert_close(one.grad, three.grad.sum(1, keepdim=True))


@pytest.mark.skipif(not cpu_computes_bfloat16(), reason="this CPU emulates bfloat16, so it is not used")
def test_bfloat16_features_are_near_float32(network: Vgg19, image: torch.Tensor) -> None:
    exact = network(image[:, :1].expand(-1, 3, -1, -1), ["conv3_1"])["conv3_1"]
    half = Vgg19("conv3_1", padding="reflect")
    half.load_torchvision(network.state_dict())
    found = VggFeatures(half, torch.device("cpu"))(image[:, :1], ["conv3_1"])["conv3_1"]
    assert found.dtype == torch.float32
    assert float((found - exact).norm() / exact.norm()) < 0.02


def test_missing_layer_is_an_error(network: Vgg19) -> None:
    state = network.state_dict()
    state.pop("features.5.weight")
    with pytest.raises(RuntimeError, match=r"features\.5\.weight"):
        Vgg19("conv3_1").load_torchvision(state)
