"""The ops of a module called with NumPy arrays: tests of numbers need no tensors, ops take nothing else."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

import numpy as np
import torch


class OnArrays:
    """A module whose functions take arrays for tensors and give arrays back; everything else is the module's own."""

    def __init__(self, module: str) -> None:
        self._module = importlib.import_module(module)

    def __getattr__(self, name: str) -> Any:
        op = getattr(self._module, name)
        if not inspect.isfunction(op):
            return op

        def call(*given: Any, **options: Any) -> Any:
            return _arrays(op(*map(_tensor, given), **{key: _tensor(value) for key, value in options.items()}))

        return call


def _tensor(value: Any) -> Any:
    return torch.from_numpy(value) if isinstance(value, np.ndarray) else value


def _arrays(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_arrays(part) for part in value)
    return value.numpy() if isinstance(value, torch.Tensor) else value
