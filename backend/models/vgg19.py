"""VGG-19's convolutions up to block 5 (Simonyan & Zisserman 2015), as a list of layers. Its weights are the
caller's to bring.

Layers are named conv{block}_{index} and always mean the values *after* the ReLU. Parameter names are those of
torchvision's file ("features.N.weight"), so its state dict loads as it is. The classifier is not built.
nn.Module only: no file, no download.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from backend.ops.layers.fixed_convolution import convolve

BLOCKS = ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4))  # (channels, convolutions); a 2x2 max pool between blocks
IMAGENET_MEAN = (0.485, 0.456, 0.406)  # RGB, of images in 0..1: what torchvision's weights were trained with
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def layer_table() -> dict[str, tuple[int, int, int, int]]:
    """Layer name -> (index in torchvision's `features`, channels in, channels out, stride in pixels)."""
    table: dict[str, tuple[int, int, int, int]] = {}
    index, channels = 0, 3
    for block, (width, count) in enumerate(BLOCKS):
        for convolution in range(count):
            table[f"conv{block + 1}_{convolution + 1}"] = (index, channels, width, 2**block)
            index, channels = index + 2, width  # a ReLU stands between
        index += 1  # the pool
    return table


LAYERS = layer_table()


class Vgg19(nn.Module):
    """Features of RGB images in 0..1.

    last: the deepest layer that is built. padding: "zeros" is how the weights were trained; "reflect" and
    "replicate" leave no dark frame around the image, which zeros do.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, last: str = "conv5_2", padding: Literal["zeros", "reflect", "replicate"] = "zeros") -> None:
        super().__init__()
        self.names = tuple(LAYERS)[: tuple(LAYERS).index(last) + 1]
        self.padding = padding
        convolutions = {str(LAYERS[name][0]): nn.Conv2d(*LAYERS[name][1:3], 3) for name in self.names}
        self.features = nn.ModuleDict(convolutions)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", torch.tensor(IMAGENET_DEVIATION).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor, layers: Iterable[str]) -> dict[str, Tensor]:
        """image: [B, 3, H, W] RGB 0..1, H and W at least the stride of the deepest layer asked for. layers:
        names.

        Returns name -> [B, C, H // stride, W // stride], post-ReLU, in the network's own precision.
        """
        wanted = set(layers)
        deepest = max(self.names.index(name) for name in wanted)
        values = ((image - self.mean) / self.deviation).to(next(self.parameters()).dtype)
        found: dict[str, Tensor] = {}
        stride = 1
        for name in self.names[: deepest + 1]:
            index, _, _, layer_stride = LAYERS[name]
            if layer_stride != stride:
                values, stride = F.max_pool2d(values, 2), layer_stride
            mode = "constant" if self.padding == "zeros" else self.padding
            layer = cast(nn.Conv2d, self.features[str(index)])
            values = F.relu(convolve(F.pad(values, (1, 1, 1, 1), mode=mode), layer.weight, layer.bias))
            if name in wanted:
                found[name] = values
        return found

    def load_torchvision(self, state: Mapping[str, Tensor]) -> None:
        """Take the convolutions out of torchvision's state dict. RuntimeError when one is missing or of another
        shape."""
        own = {name: value for name, value in state.items() if name in self.state_dict()}
        self.load_state_dict(own)
        self.requires_grad_(False)
