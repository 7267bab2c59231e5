"""What a file of a trained texture generator holds: its weights, its shape, and the way from its channels to maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from backend.algorithms.textures.channels import Channels
from backend.algorithms.textures.trained import CHANNELS, FORMAT


def file_tensors(network: nn.Module, channels: Channels) -> dict[str, Tensor]:
    """All tensors of the file, by name."""
    weights = {f"network.{name}": tensor for name, tensor in network.state_dict().items()}
    return weights | {f"channels.{name}": getattr(channels, name) for name in CHANNELS}


def described(channels: Channels, shape: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """What the file's header says beside the settings of the training. shape: arguments of the network."""
    return {"format": FORMAT, "maps": list(channels.names), "network": dict(shape), **more}
