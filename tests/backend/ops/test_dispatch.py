"""Which implementation runs: by device, by name, by RELIEVO_IMPL, and without a compiler."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from backend.ops import dispatch
from backend.ops.dispatch import choose, kernel_threads
from backend.ops.terrain import noise

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("impl", "device", "cuda", "chosen"),
    [
        ("auto", "cpu", False, "cpu"), ("auto", "cuda", False, "plain"), ("auto", "cuda:1", True, "cuda"),
        ("auto", "mps", True, "plain"), ("plain", "cpu", False, "plain"), ("plain", "cuda", True, "plain"),
        ("cpu", "cpu", False, "cpu"), ("cuda", "cuda", True, "cuda"),
    ],
)  # fmt: skip
def test_the_twin_of_the_device_is_taken_where_there_is_one(impl, device: str, cuda: bool, chosen: str) -> None:
    assert choose(impl, device, cuda=cuda) == chosen


@pytest.mark.parametrize(("impl", "device"), [("cpu", "cuda"), ("cuda", "cpu"), ("cuda", "cuda"), ("fast", "cpu")])
def test_a_twin_that_cannot_run_is_refused(impl, device: str) -> None:
    with pytest.raises(ValueError, match="impl"):
        choose(impl, device)


def test_cuda_kernels_run_in_the_simulator_on_the_cpu_only_where_it_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NUMBA_ENABLE_CUDASIM", "1")
    assert choose("cuda", "cpu", cuda=True) == "cuda"
    assert choose("auto", "cpu", cuda=True) == "cpu"
    monkeypatch.setenv(dispatch.VARIABLE, "cuda")
    assert (choose("auto", "cpu", cuda=True), choose("auto", "cpu")) == ("cuda", "cpu")
    monkeypatch.delenv("NUMBA_ENABLE_CUDASIM")
    assert choose("auto", "cpu", cuda=True) == "cpu"
    with pytest.raises(ValueError, match="impl"):
        choose("cuda", "cpu", cuda=True)


def test_after_a_kernel_that_does_not_compile_the_card_runs_plain_forms(
    monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    monkeypatch.setattr(dispatch, "_without_cuda_kernels", False)
    for _ in range(2):
        dispatch.give_up_cuda_kernels(dispatch.KernelFailed("blend", TypeError("no such type")))
        assert choose("auto", "cuda", cuda=True) == "plain"
    assert sum("blend: TypeError: no such type" in record.message for record in caplog.records) == 1


def test_the_variable_makes_auto_plain_and_leaves_what_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(dispatch.VARIABLE, "plain")
    assert choose("auto", "cpu") == "plain"
    assert choose("auto", "cuda", cuda=True) == "plain"
    assert choose("cpu", "cpu") == "cpu"
    monkeypatch.setenv(dispatch.VARIABLE, "auto")
    assert choose("auto", "cpu") == "cpu"
    monkeypatch.setenv(dispatch.VARIABLE, "fast")
    with pytest.raises(ValueError, match="RELIEVO_IMPL is 'fast'"):
        choose("auto")


def test_without_a_compiler_libraries_still_run_and_kernels_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "compiler_works", lambda: False)
    assert choose("auto", "cpu") == "plain"
    assert choose("auto", "cpu", compiled=False) == "cpu"
    with kernel_threads(1):
        pass


@pytest.mark.parametrize("count", [1, 10_000])
def test_threads_of_kernels_are_put_back(count: int) -> None:
    import numba

    before = numba.get_num_threads()
    with kernel_threads(count):
        assert numba.get_num_threads() == min(count, numba.config.NUMBA_NUM_THREADS)
    assert numba.get_num_threads() == before


def test_importing_ops_loads_no_compiler() -> None:
    code = (
        "import sys\nimport backend.algorithms.noise, backend.algorithms.hydrology, backend.algorithms.morphology\n"
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_broken_compiler_is_logged_once_and_the_op_still_runs(monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    monkeypatch.setitem(sys.modules, "numba", None)
    dispatch.compiler_works.cache_clear()
    try:
        for _ in range(2):
            values = noise.evaluate(noise.NoiseField(octaves=2), noise.Window(0, 0, 20, 10))
            assert bool(torch.isfinite(values).all())
    finally:
        dispatch.compiler_works.cache_clear()
    assert sum("numba does not work" in record.message for record in caplog.records) == 1
