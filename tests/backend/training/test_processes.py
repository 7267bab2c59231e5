"""Training in several processes, as torchrun starts them: what they share, who writes, how they end, and how a run goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from backend.training import checkpoints, loop
from backend.training.loop import Limits, step_generator, train
from backend.training.processes import ALONE, Processes, of_environment
from shared.errors import InvalidInput, InvalidParameter
from tests.support.toy_training import Toy, ToyParams

ROOT = Path(__file__).resolve().parents[3]
ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1"}
STEPS, SMALL = 20, ToyParams(width=3)
ARCHITECTURES = ("compact", "spade", "regularised")

pytestmark = pytest.mark.skipif(
    os.name == "nt" or not torch.distributed.is_available(), reason="forks processes that connect by gloo"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def seen(folder: Path) -> dict[str, Any]:
    """By case, what each of two processes has told, printed and ended with (tests/support/several_processes.py)."""
    command = [sys.executable, "-m", "tests.support.several_processes", str(folder)]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def told(case: list[dict[str, Any]]) -> list[Any]:
    assert [process["code"] for process in case] == [0, 0], [process["printed"] for process in case]
    return [process["told"] for process in case]


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "stats.jsonl").read_text().splitlines()]


def test_gradients_flags_and_buffers_are_shared(seen: dict[str, Any]) -> None:
    first, second = told(seen["numbers"])
    assert first == second
    assert first["mean"] == 0.5
    assert first["any"] == [True, False]
    assert first["moved"] == [[-0.5, -3.0], [-0.5, -0.5]], "no gradient counts as one of 0"
    assert first["running_mean"] == pytest.approx([0.1, 0.2]), "of the first process's batch"
    assert first["refused"] == "The processes found different checkpoints: of step 40, and of step 41."


def test_both_take_the_step_of_the_mean_gradient(seen: dict[str, Any], folder: Path) -> None:
    """By hand: the gradients on either process's numbers, averaged, and one optimizer."""
    training = Toy(SMALL, torch.device("cpu"), step_generator(5, -1))
    losses = []
    for number in range(STEPS):
        means = [torch.zeros_like(tensor) for tensor in training.network.parameters()]
        for rank in range(2):
            training.optimizer.zero_grad()
            points = torch.rand(128, 2, generator=step_generator(5, number, rank)) * 2 - 1
            target = torch.sin(3 * points[:, :1]) * torch.cos(2 * points[:, 1:])
            loss = (training.network(points) - target).square().mean()
            loss.backward()
            losses.append(loss.item())
            for mean, tensor in zip(means, training.network.parameters(), strict=True):
                assert tensor.grad is not None
                mean += tensor.grad / 2
        for mean, tensor in zip(means, training.network.parameters(), strict=True):
            tensor.grad = mean
        training.optimizer.step()
    first, second = told(seen["whole"])
    assert first["digest"] == second["digest"], "parameters and moments, to the byte"
    assert sum(zip(first["losses"], second["losses"], strict=True), ()) == pytest.approx(losses, rel=1e-4)
    for name, tensor in training.weights().items():
        torch.testing.assert_close(torch.tensor(first["weights"][name]), tensor, rtol=1e-4, atol=1e-5)
    last = curve(folder / "whole")[-1]
    assert last["loss"] == pytest.approx((losses[-2] + losses[-1]) / 2, rel=1e-4), "the loss of both batches"


def test_only_the_first_writes(seen: dict[str, Any], folder: Path) -> None:
    """The system would have killed the second at its first byte; what the first leaves is what one process leaves."""
    told(seen["whole"])
    assert [entry["step"] for entry in curve(folder / "whole")] == [10, 20]
    names = sorted(path.name for path in (folder / "whole").iterdir())
    assert names == ["card.md", "checkpoints", "config.json", "samples", "stats.jsonl", "weights.safetensors"]
    assert len(list((folder / "whole" / "checkpoints").iterdir())) == 2
    assert json.loads((folder / "whole" / "config.json").read_text())["processes"] == 2
    assert "| processes | 2 |" in (folder / "whole" / "card.md").read_text()


def test_legs_make_the_same_curve_and_weights(seen: dict[str, Any], folder: Path) -> None:
    """A limit of time ends both after the same step."""
    steps = [[process["step"] for process in told(leg)] for leg in seen["legs"]]
    assert steps == [[1, 1], [2, 2], [STEPS, STEPS]]
    assert curve(folder / "legs") == curve(folder / "whole")
    weights = [load_file(folder / name / "weights.safetensors") for name in ("legs", "whole")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[1])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_two_optimizers_gates_and_buffers_stay_equal_in_all_processes(name: str, seen: dict[str, Any]) -> None:
    first, second = told(seen["architectures"][name])
    assert first["losses"] != second["losses"], "each draws numbers of its own"
    assert first["first"] == second["first"] != first["last"]
    assert first["last"] == second["last"]


def test_an_interrupt_ends_both_after_the_same_step(seen: dict[str, Any], folder: Path) -> None:
    assert [process["code"] for process in seen["interrupted"]] == [130, 130]
    printed = [process["printed"] for process in seen["interrupted"]]
    assert "interrupted, and saved. Run the same command again to continue." in printed[0]
    assert printed[1] == ""
    found = checkpoints.newest(folder / "interrupted" / "checkpoints")
    assert found is not None
    assert found[0] >= 10


@pytest.mark.parametrize(
    ("case", "codes", "sentence"),
    [
        ("full", {1}, "relievo: The disk of the second process is full.\n"),
        ("killed", {1, -signal.SIGKILL}, "relievo: Another process of this training has ended or does not answer.\n"),
        ("one card", {1, 2}, "relievo: 2 processes cannot train on cuda:1.\n"),
        ("wrong", {1, 2}, "relievo: rate is 0"),
    ],
)
def test_a_failure_ends_all_and_is_told_once(case: str, codes: set[int], sentence: str, seen: dict[str, Any]) -> None:
    assert {process["code"] for process in seen[case]} == codes
    printed = sorted(process["printed"] for process in seen[case])
    assert printed[0] == ""
    assert printed[1].startswith(sentence)
    assert "Traceback" not in printed[1]


def test_the_step_before_a_failure_is_saved(seen: dict[str, Any], folder: Path) -> None:
    for case in ("full", "killed"):
        found = checkpoints.newest(folder / case / "checkpoints")
        assert found is not None
        assert found[0] == 5, seen[case]


def test_a_run_goes_on_in_as_many_processes(seen: dict[str, Any], folder: Path, tmp_path: Path) -> None:
    told(seen["whole"])
    with pytest.raises(InvalidInput, match="processes is 2 there and 1 here"):
        train(Toy, SMALL, folder / "whole", Limits(steps=STEPS), seed=5)
    train(Toy, SMALL, tmp_path, Limits(steps=STEPS, minutes=1e-9), seed=5)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("processes") == 1
    (tmp_path / "config.json").write_text(json.dumps(config))  # as it was before there was this
    assert train(Toy, SMALL, tmp_path, Limits(steps=STEPS), seed=5).first_step == 1


def test_numbers_differ_by_step_and_process_and_one_process_draws_as_ever() -> None:
    first = {
        (step, rank): int(torch.randint(2**62, (), generator=step_generator(3, step, rank)))
        for step in range(-2, 30)
        for rank in range(8)
    }
    assert len(set(first.values())) == len(first)
    as_ever = torch.Generator().manual_seed((3 * loop._MIX + 9 * 0xD1B54A32D192ED03) % 2**63)
    assert first[7, 0] == int(torch.randint(2**62, (), generator=as_ever))


def test_the_environment_says_which_process_this_is() -> None:
    environ = {
        "RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "a", "MASTER_PORT": "1"
    }  # fmt: skip
    assert of_environment({}) is ALONE
    assert of_environment({"WORLD_SIZE": "1"}) is ALONE
    assert of_environment(environ) == Processes(rank=3, count=4, local_rank=1, local_count=2)
    for missing in ("RANK", "MASTER_ADDR", "LOCAL_RANK"):
        with pytest.raises(InvalidInput, match=f"WORLD_SIZE is 4.*{missing} is not set"):
            of_environment({name: value for name, value in environ.items() if name != missing})


def test_each_process_has_a_device_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    second = Processes(rank=1, count=2, local_rank=1, local_count=2)
    assert second.device("cpu") == torch.device("cpu")
    cards = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cards > 1:
        assert second.device("cuda") == torch.device("cuda:1")
        assert second.described(torch.device("cuda:1")) == "2 cards"
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    with pytest.raises(InvalidParameter, match="2 processes cannot train on mps"):
        second.device("mps")
    many = Processes(rank=0, count=64, local_rank=0, local_count=64)
    with pytest.raises(InvalidParameter, match=r"64 processes were started|no device 'cuda'"):
        many.device("cuda")


def test_torchrun_and_ctrl_c(tmp_path: Path) -> None:
    """The command of the guide: torchrun starts both, passes the signal on, and the same command goes on."""
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "-m", "backend", "train"]
    command += ["stroke-renderer", "--width", "0.02", "--batch", "1", "--out", str(tmp_path), "--steps", "100000"]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRON, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "stats.jsonl").is_file() and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, printed = process.communicate(timeout=120)
    assert printed.count("interrupted, and saved. Run the same command again to continue.") == 1, printed
    found = checkpoints.newest(tmp_path / "checkpoints")
    assert found is not None
    assert found[0] >= 10
    assert json.loads((tmp_path / "config.json").read_text())["processes"] == 2
