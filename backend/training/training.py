"""What a model has to say to be trained: its settings, its parts, one step, a sheet of samples, and what is shipped of it.

loop.py does the rest: run folder, checkpoints, resume, limits, several processes. A training draws all its random numbers from the
generator that it is given for a step, so that a run that was broken off goes on as if nothing had happened. Where several processes
train along, each takes its steps on numbers of its own; what those decide about later steps (whether a part learns) must be the
same in all, and goes through self.processes.mean().
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from backend.training.processes import ALONE, Processes


class Stateful(Protocol):
    """A module or an optimizer: anything with PyTorch's state_dict()."""

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: Any, /) -> Any: ...


class Training(ABC):
    """The training of one model. params: a frozen dataclass of shared.params.param() fields, which become command-line options.

    name: of the model and of its run folder. data and licence: for the model card, in plain words.
    """

    name: ClassVar[str]
    params_type: ClassVar[type]
    data: str
    licence: ClassVar[str]
    steps: ClassVar[int] = 1000
    """How many steps the whole training has where --steps says nothing."""
    keeps_unfinished: ClassVar[bool] = False
    """Whether a leg that ends before the last step leaves weights, too: where they are of use by then."""
    processes: Processes = ALONE
    """Those that train along; the loop sets them."""

    def __init__(self, params: Any, device: torch.device, generator: torch.Generator) -> None:
        """Makes the modules and optimizers on `device`. generator: for initial weights, on the CPU."""
        self.params = params
        self.device = device

    @abstractmethod
    def parts(self) -> Mapping[str, Stateful]:
        """Everything that a checkpoint must hold, by name."""

    @abstractmethod
    def step(self, number: int, generator: torch.Generator) -> Mapping[str, Tensor]:
        """One step of optimisation; its losses as 0-d tensors, which are read only when they are logged.

        number: of this step, from 0. generator: seeded for this very step, on the CPU.
        """

    @abstractmethod
    def sample(self, generator: torch.Generator) -> np.ndarray:
        """A sheet that shows what the model makes: uint8 [H, W, 3], sRGB."""

    @abstractmethod
    def weights(self) -> Mapping[str, Tensor]:
        """What ships: tensors by name."""

    def description(self) -> Mapping[str, Any]:
        """What the file of weights says of itself beside the settings, as JSON: what its reader has to know."""
        return {}
