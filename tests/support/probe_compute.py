"""What the probe of probe_algorithms.py does."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from shared.arrays import Array, height_map
from tests.support.probe_algorithms import ProbeParams

MATRIX = torch.ones(512, 512)


def run(params: ProbeParams, inputs: Mapping[str, Any], job: Any) -> dict[str, Array]:
    """The heights, plus the extras, plus noise; after `steps` steps of `step_s` seconds."""
    height = inputs["height"] or height_map(np.zeros((16, 16)), 10.0)
    values = np.array(height.values)
    for step in range(params.steps):
        if not params.deaf:
            job.step(step, params.steps, f"step {step}")
        if params.early and job.finish_early:
            break
        time.sleep(params.step_s)
        if params.spin:
            torch.mm(MATRIX, MATRIX)
        job.preview(height=lambda: values)
    for extra in inputs["extra"]:
        values += extra.values
    values += params.noise * torch.randn(values.shape, generator=job.generator).numpy()
    _end(params.ending)
    if job.device.type == "cuda":
        _fail_on_card(params.ending, job.device)
    outputs = {"height": Array(height.kind, values, height.attributes)}
    if params.ending == "bad-output":
        outputs["height"] = Array(height.kind, values.astype(np.float64), height.attributes)
    if inputs["classes"] is not None:
        outputs["classes"] = inputs["classes"]
    return outputs


def _fail_on_card(ending: str, device: torch.device) -> None:
    if ending == "card-lost":  # a kernel reads beyond its array: no later call of this process works
        torch.zeros(4, device=device)[torch.tensor([2**20], device=device)]
        torch.cuda.synchronize(device)
    if ending == "card-memory":
        torch.empty(2**50, dtype=torch.uint8, device=device)


def _end(ending: str) -> None:
    if ending == "error":
        raise RuntimeError("the probe was told to fail")
    if ending == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if ending == "exit":
        os._exit(3)
    if ending == "memory":
        raise MemoryError
