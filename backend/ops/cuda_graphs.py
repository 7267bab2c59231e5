"""Loops whose steps are alike, as a CUDA graph: launched once by the host instead of once per operation.

On other devices, and where a step cannot be captured, the steps run as they are written: one way to write a loop for all devices.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

log = logging.getLogger(__name__)

WARM_UP = 2  # steps before the capture: libraries choose their algorithms, and kernels are compiled


class RepeatedStep:
    """A step that is called many times, on a CUDA device replayed from a graph from the third time on.

    step: works in place on tensors that stay where they are, with no decision on the host and no value that changes but those in
    tensors; it must not read from the device (`.item()`, `.cpu()`, boolean indexing). Numbers that differ from step to step lie in
    a tensor that the caller writes to between the calls. Each call is one step, whether it is replayed or not.
    """

    def __init__(self, step: Callable[[], None], device: torch.device) -> None:
        self._step, self._device = step, device
        self._taken = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._captures = device.type == "cuda"

    def __call__(self) -> None:
        if self._captures and self._graph is None and self._taken >= WARM_UP:
            self._graph = self._captured()
            self._captures = self._graph is not None
        self._taken += 1
        if self._graph is not None:
            self._graph.replay()
        else:
            self._step()

    def _captured(self) -> torch.cuda.CUDAGraph | None:
        """The step as a graph, which has not run yet; None where it does something that a graph cannot hold."""
        graph = torch.cuda.CUDAGraph()
        try:
            with torch.cuda.device(self._device), torch.cuda.graph(graph, capture_error_mode="thread_local"):
                self._step()
        except RuntimeError as error:
            log.warning("A loop runs without a CUDA graph, which is slower: %s", error)
            return None
        return graph
