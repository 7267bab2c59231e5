"""A model small enough to be trained in seconds: a network that learns a picture of waves. Started as a program it trains."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from backend.training.command_line import main
from backend.training.training import Stateful, Training
from shared.params import param

SIDE = 32


@dataclass(frozen=True, kw_only=True)
class ToyParams:
    """How large the network is and how fast it learns."""

    width: int = param(48, label="Width", help="Neurons per layer", min=1, max=4096)
    rate: float = param(3e-3, label="Learning Rate", help="Of Adam", min=1e-6, max=1.0)


class Toy(Training):
    """A network that learns a picture of waves."""

    name = "toy"
    params_type = ToyParams
    data = "A formula"
    licence = "GPL-3.0-or-later"
    steps = 200

    def __init__(self, params: ToyParams, device: torch.device, generator: torch.Generator) -> None:
        super().__init__(params, device, generator)
        self.network = nn.Sequential(nn.Linear(2, params.width), nn.Tanh(), nn.Linear(params.width, 1))
        for tensor in self.network.parameters():
            tensor.data = torch.empty_like(tensor).uniform_(-0.7, 0.7, generator=generator)
        self.network.to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=params.rate)

    def parts(self) -> Mapping[str, Stateful]:
        return {"network": self.network, "optimizer": self.optimizer}

    def step(self, number: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        points = (torch.rand(128, 2, generator=generator) * 2 - 1).to(self.device)
        loss = (self.network(points) - waves(points)).square().mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def sample(self, generator: torch.Generator) -> np.ndarray:
        axis = torch.linspace(-1, 1, SIDE, device=self.device)
        points = torch.cartesian_prod(axis, axis)
        with torch.no_grad():
            values = torch.cat([self.network(points), waves(points)], dim=1).reshape(SIDE, SIDE, 2)
        levels = (values.permute(0, 2, 1).reshape(SIDE, 2 * SIDE).clamp(-1, 1) * 127.5 + 127.5).byte().cpu().numpy()
        return np.repeat(levels[..., None], 3, axis=2)

    def weights(self) -> Mapping[str, Tensor]:
        return dict(self.network.state_dict())


def waves(points: Tensor) -> Tensor:
    return torch.sin(3 * points[:, :1]) * torch.cos(2 * points[:, 1:])


def arguments(*words: Any) -> list[str]:
    return [str(word) for word in words]


if __name__ == "__main__":
    raise SystemExit(main(Toy))
