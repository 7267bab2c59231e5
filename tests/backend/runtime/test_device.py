"""Which device a job runs on, and that the recipe says so: rules, then real runs."""

from __future__ import annotations

import logging
import os
import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch

import backend
from backend.runtime import compute as compute_module
from backend.runtime import device as devices
from backend.runtime.compute import Computed, compute
from backend.runtime.context import JobContext
from shared.arrays import height_map
from shared.catalog.hydrology import SPEC as HYDROLOGY
from shared.catalog.morphology import SPEC as MORPHOLOGY
from shared.catalog.noise import SPEC as NOISE
from shared.devices import check_name
from shared.errors import DeclarationError, InvalidParameter, JobCancelled
from shared.params import parse
from tests.shared.test_declarations import declare

CARD = ["cuda:0", "cuda:1", "cpu"]


@pytest.fixture
def machine_with_a_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "device_names", lambda: CARD)


@pytest.mark.usefixtures("machine_with_a_card")
@pytest.mark.parametrize(
    ("wanted", "kinds", "usable", "device"),
    [
        ("auto", ("cpu", "cuda"), (), "cpu"),
        ("auto", ("cuda", "cpu"), (), "cuda:0"),
        ("auto", ("mps", "cuda"), (), "cuda:0"),
        ("auto", ("cuda", "cpu"), ("cpu",), "cpu"),
        ("auto", ("cuda", "cpu"), ("cuda:1", "cpu"), "cuda:1"),
        ("cuda", ("cpu", "cuda"), (), "cuda:0"),
        ("cuda:1", ("cpu", "cuda"), ("cuda:1", "cpu"), "cuda:1"),
        ("cpu", ("cuda", "cpu"), (), "cpu"),
    ],
)
def test_a_device_that_can_be_used_is_used_in_silence(wanted: str, kinds, usable, device: str) -> None:
    assert devices.resolve(wanted, kinds, "Probe", usable) == devices.Resolved(device=torch.device(device))


@pytest.mark.usefixtures("machine_with_a_card")
def test_a_device_that_the_algorithm_does_not_use_gives_the_cpu_and_a_sentence() -> None:
    assert devices.resolve("cuda", ("cpu",), "Hydrology") == devices.Resolved(
        device=torch.device("cpu"), note="Hydrology does not use cuda:0 for this job; it runs on the CPU."
    )
    assert devices.resolve("cuda:1", ("cuda", "cpu"), "Probe", ("cpu",)).note == (
        "This backend was not started with the device cuda:1; it runs on the CPU."
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a card")
def test_a_card_that_is_not_there_is_explained() -> None:
    with pytest.raises(InvalidParameter) as caught:
        devices.pick_device("cuda:1")
    assert caught.value.message == "This machine has no device 'cuda:1'."
    assert caught.value.hint.startswith(
        ("The PyTorch that is installed computes on the CPU alone", "No driver of a card")
    )


@pytest.mark.parametrize(
    ("build", "warned", "said"),
    [
        (None, "", "computes on the CPU alone"),
        ("13.0", "", "No driver of a card answers"),
        (
            "13.0",
            "CUDA initialization: The NVIDIA driver on your system is too old (found version 11040). Please update",
            "The NVIDIA driver, for CUDA 11.4, is too old for this PyTorch, which needs CUDA 13.0: install a newer one.",
        ),
    ],
)
def test_why_there_is_no_card(build, warned: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def is_available() -> bool:
        if warned:
            warnings.warn(warned, stacklevel=1)
        return False

    monkeypatch.setattr(torch.version, "cuda", build)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.cuda, "is_available", is_available)
    assert said in devices.why_no_cuda()


@pytest.mark.usefixtures("machine_with_a_card")
@pytest.mark.parametrize(
    ("wanted", "kinds", "said"),
    [
        ("cuda:7", ("cpu", "cuda"), "no device 'cuda:7'"),
        ("mps", ("cpu",), "no device 'mps'"),
        ("banana", ("cpu",), "no device 'banana'"),
        ("auto", ("mps",), "Probe runs on mps; this machine has cuda:0, cuda:1, cpu."),
        ("cpu", ("cuda",), "Probe runs on cuda; this machine has"),
    ],
)
def test_what_is_not_there_is_refused(wanted: str, kinds, said: str) -> None:
    with pytest.raises(InvalidParameter, match=said) as caught:
        devices.resolve(wanted, kinds, "Probe")
    assert caught.value.field == "device"
    assert caught.value.hint


@pytest.mark.parametrize(
    "name", ["", "gpu", "cuda:", "cuda:-1", "cuda:0;rm", "CUDA", "cpu:0", "cuda:0000", "x" * 10_000]
)
def test_names_of_no_device_are_refused(name: str) -> None:
    with pytest.raises(InvalidParameter, match="There is no device") as caught:
        check_name(name)
    assert len(caught.value.message) < 200


def test_auto_is_the_cpu_where_no_card_pays_and_the_networks_take_the_card() -> None:
    default = {spec.name: spec.job_devices(parse(spec.params, {})) for spec in (NOISE, HYDROLOGY, MORPHOLOGY)}
    assert {name: kinds[0] for name, kinds in default.items()} == dict.fromkeys(default, "cpu")
    assert default["morphology"] == ("cpu",), "the transport uses no card, and must not say so"
    assert MORPHOLOGY.job_devices(parse(MORPHOLOGY.params, {"method": "gram"})) == ("cuda", "cpu")


def test_devices_by_parameters_are_among_the_devices() -> None:
    with pytest.raises(DeclarationError, match="gives 'cuda', which is not in devices"):
        declare(devices=("cpu",), devices_for=lambda params: ("cuda", "cpu"))


# Real runs ----------------------------------------------------------------------------------------------------------


def noise(**options) -> tuple[Computed, JobContext, list[str]]:
    stages: list[str] = []
    job = JobContext(on_progress=lambda done, total, stage, left: stages.append(stage), **options)
    return compute(NOISE, parse(NOISE.params, {"width_px": 64, "height_px": 64}), {}, job), job, stages


def test_the_recipe_says_what_was_used() -> None:
    computed, job, _ = noise(device="auto")
    assert computed.recipe["device"] == "cpu" == str(job.device)
    assert not {"device_note", "implementation", "weights"} & computed.recipe.keys()


def test_a_device_that_is_not_used_is_told(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """The machine's list and what hydrology runs on are all that is made up; it runs on this machine's CPU."""
    monkeypatch.setattr(devices, "device_names", lambda: CARD)
    stages: list[str] = []
    job = JobContext(device="cuda", on_progress=lambda done, total, stage, left: stages.append(stage))
    hill = height_map(np.add.outer(np.arange(48.0), np.arange(48.0)), 30.0)
    with caplog.at_level(logging.WARNING):
        spec = replace(HYDROLOGY, devices=("cpu",))
        computed = compute(spec, parse(spec.params, {"steps": 1}), {"height": (hill,)}, job)
    said = "Hydrology does not use cuda:0 for this job; it runs on the CPU."
    assert (computed.recipe["device"], computed.recipe["device_note"]) == ("cpu", said)
    assert stages[0] == said
    assert said in caplog.text


def test_a_missing_device_is_refused_by_a_python_call() -> None:
    with pytest.raises(InvalidParameter, match="no device 'cuda:77'"):
        backend.run("noise", device="cuda:77", width_px=64, height_px=64)


def test_the_plain_implementation_is_recorded_and_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RELIEVO_IMPL", raising=False)
    compiled, plain = noise()[0], noise(implementation="plain")[0]
    assert plain.recipe["implementation"] == "plain"
    assert "implementation" not in compiled.recipe
    assert "RELIEVO_IMPL" not in os.environ, "as before afterwards"
    monkeypatch.setenv("RELIEVO_IMPL", "plain")
    forced = noise()[0]
    assert forced.recipe == plain.recipe
    assert forced.outputs["height"][0].values.tobytes() == plain.outputs["height"][0].values.tobytes()
    assert os.environ["RELIEVO_IMPL"] == "plain"


def test_a_wrong_implementation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RELIEVO_IMPL", "fast")
    with pytest.raises(InvalidParameter, match="RELIEVO_IMPL is 'fast'"):
        noise()


def test_threads_are_the_jobs_while_it_runs_and_the_processs_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    import numba

    seen: list[tuple[int, int]] = []
    original = compute_module.registry.implementation

    def watched(name: str):
        run = original(name)

        def look(*given):
            seen.append((torch.get_num_threads(), numba.get_num_threads()))
            return run(*given)

        return look

    monkeypatch.setattr(compute_module.registry, "implementation", watched)
    most = numba.config.NUMBA_NUM_THREADS
    before = (torch.get_num_threads(), numba.get_num_threads())
    for threads in (1, 2, 3):
        noise(threads=threads)
    assert seen == [(threads, min(threads, most)) for threads in (1, 2, 3)]
    cancelled = JobContext(threads=3, is_cancelled=lambda: True)
    with pytest.raises(JobCancelled):  # which leaves the algorithm in the middle
        compute(NOISE, parse(NOISE.params, {}), {}, cancelled)
    assert len(seen) == 4
    assert (torch.get_num_threads(), numba.get_num_threads()) == before
