"""What a card can do to a job: told from the words of CUDA, and a job that begins again without it."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
import torch

from backend.ops import dispatch
from backend.runtime import compute as compute_module
from backend.runtime import device, device_memory, registry
from backend.runtime.compute import compute
from backend.runtime.context import JobContext
from backend.runtime.device_failures import failure_of
from shared.arrays import height_map
from shared.catalog.noise import SPEC as NOISE
from shared.errors import InternalError, InvalidParameter
from shared.params import parse

CARD = torch.device("cuda:0")
BUSY = (
    "CUDA error: all CUDA-capable devices are busy or unavailable\nCUDA kernel errors might be asynchronously reported"
)


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "has too little free memory"),
        (RuntimeError("CUDA error: out of memory"), "has too little free memory"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), "has too little free memory"),
        (RuntimeError(BUSY), "is in use by another program"),
        (RuntimeError("CUDA error: no kernel image is available"), "is of a kind that this PyTorch was not built for"),
        (RuntimeError("CUDA error: unspecified launch failure\nCUDA kernel errors"), "failed (unspecified launch failure)"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"), "failed (cuDNN error: CUDNN_STATUS_EXECUTION_FAILED)"),
    ],
)  # fmt: skip
def test_the_words_of_cuda_become_a_part_of_a_sentence(
    error: Exception, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.runtime.device_failures.still_works", lambda device: False)
    failed = failure_of(error, CARD)
    assert failed is not None
    assert failed.what == what
    assert failed.is_lost == what.startswith("failed")
    assert failure_of(error, torch.device("cpu")) is None


@pytest.mark.parametrize("error", [RuntimeError("shapes do not match"), ValueError("CUDA error"), MemoryError()])
def test_other_errors_are_not_the_cards(error: Exception) -> None:
    assert failure_of(error, CARD) is None


def run_with(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> tuple[Any, list[str], list[str]]:
    """A job of noise on cuda:0 whose first runs raise these; what compute() returned, the devices of its runs, and its stages."""
    monkeypatch.setattr(device, "device_names", lambda: ["cuda:0", "cpu"])
    monkeypatch.setattr(compute_module.device_failures, "still_works", lambda device: False)
    monkeypatch.setattr(dispatch, "_without_cuda_kernels", False)
    monkeypatch.setattr(torch.cuda, "device", nullcontext)  # a build for the CPU has none
    devices, stages, left = [], [], list(errors)

    def run(params: Any, inputs: Any, job: JobContext) -> dict[str, Any]:
        devices.append(str(job.device))
        drawn = torch.rand(4, 4, generator=job.generator).numpy()
        if left:
            raise left.pop(0)
        return {"height": height_map(drawn, 1.0)}

    monkeypatch.setattr(registry, "implementation", lambda name: run)
    job = JobContext(seed=3, device="cuda:0", on_progress=lambda done, total, stage, left: stages.append(stage))
    return compute(NOISE, parse(NOISE.params, {}), {}, job), devices, stages


def test_a_job_whose_card_fails_begins_again_on_the_cpu_with_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    computed, devices, stages = run_with(monkeypatch, RuntimeError(BUSY))
    said = "cuda:0 is in use by another program; Noise runs on the CPU."
    assert devices == ["cuda:0", "cpu"]
    assert said in stages
    assert (computed.recipe["device"], computed.recipe["device_note"]) == ("cpu", said)
    untroubled = torch.rand(4, 4, generator=torch.Generator().manual_seed(3)).numpy()
    np.testing.assert_array_equal(computed.outputs["height"][0].values, untroubled)


def test_a_job_whose_kernel_does_not_compile_begins_again_on_the_same_card(monkeypatch: pytest.MonkeyPatch) -> None:
    computed, devices, _ = run_with(monkeypatch, dispatch.KernelFailed("blend", TypeError("no")))
    assert devices == ["cuda:0", "cuda:0"]
    assert computed.recipe["device"] == "cuda:0"
    assert dispatch.choose("auto", "cuda", cuda=True) == "plain"


def test_a_bug_on_a_card_stays_a_bug(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InternalError, match="shapes do not match"):
        run_with(monkeypatch, RuntimeError("shapes do not match"))


@pytest.mark.parametrize(("text", "amount"), [("", None), ("6G", 6 * 2**30), ("1.5 GiB", 3 * 2**29), ("512m", 2**29)])
def test_the_limit_of_a_cards_memory_is_read(text: str, amount: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device_memory.VARIABLE, text)
    assert device_memory.wanted_bytes() == amount


@pytest.mark.parametrize("text", ["six", "-1G", "0", "12"])
def test_a_limit_that_is_none_is_refused_with_a_hint(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device_memory.VARIABLE, text)
    with pytest.raises(InvalidParameter, match="RELIEVO_DEVICE_MEMORY") as caught:
        device_memory.wanted_bytes()
    assert "6G" in caught.value.hint


def test_the_cpus_budget_is_below_what_is_free() -> None:
    assert 0 < device_memory.budget(torch.device("cpu")) < 2**45


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cards_budget_keeps_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(device_memory.VARIABLE, "1G")
    assert 0 < device_memory.budget(CARD) <= 2**30
