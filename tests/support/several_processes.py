"""Started as a program it forks processes that train together, as torchrun would start them, and prints as JSON what each has seen.

A process of its own, because it forks before any thread runs, and because importing torch once serves all of them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch._dynamo  # what an optimizer imports, seconds before its first step; here once for all
from PIL import Image
from torch import Tensor

from backend.training.architectures.compact import Compact, CompactParams
from backend.training.architectures.spade import Spade, SpadeParams
from backend.training.architectures.spatial_gan import SpatialGan, SpatialGanParams
from backend.training.command_line import main
from backend.training.data import pack
from backend.training.loop import Limits, step_generator, train
from backend.training.processes import of_environment
from backend.training.training import Training
from shared.errors import InvalidInput, StorageFull
from tests.support.toy_training import Toy, ToyParams

CPU = torch.device("cpu")
STEPS = 20
SMALL = ToyParams(width=3)


def environment(rank: int, count: int, port: int) -> dict[str, str]:
    """What torchrun sets."""
    return {
        "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
    }  # fmt: skip


def together(
    folder: Path, task: Callable[[], Any], meanwhile: Callable[[list[int]], None] = lambda children: None
) -> list[dict[str, Any]]:
    """What `task` returns, prints to standard error and exits with in each of two forked processes. meanwhile: gets their ids."""
    folder.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    children, ends = [], []
    for rank in range(2):
        reads, writes = os.pipe()
        child = os.fork()
        if not child:
            os.environ |= environment(rank, 2, port)
            printed = os.open(folder / f"{rank}.txt", os.O_CREAT | os.O_WRONLY)
            os.dup2(printed, 2)
            os.dup2(printed, 1)
            _be(task, writes)
        os.close(writes)
        children.append(child)
        ends.append(reads)
    meanwhile(children)
    seen = []
    for rank, (child, reads) in enumerate(zip(children, ends, strict=True)):
        with open(reads) as file:
            said = file.read()
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        printed = (folder / f"{rank}.txt").read_text()
        seen.append({"told": json.loads(said or "null"), "code": code, "printed": printed})
    return seen


def _be(task: Callable[[], Any], writes: int) -> None:
    code = 1
    try:
        with open(writes, "w") as file:
            told = task()
            code = told if isinstance(told, int) else 0
            file.write(json.dumps(told))
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


# What the processes do ----------------------------------------------------------------------------------------------


def shared_numbers() -> dict[str, Any]:
    processes = of_environment()
    with processes.connected(CPU):
        rank = float(processes.rank)
        here, absent = (torch.nn.Parameter(torch.zeros(2)) for _ in range(2))
        statistics = torch.nn.BatchNorm1d(2)
        statistics(torch.arange(4.0).reshape(2, 2) * (rank + 1.0))
        optimizer = torch.optim.SGD([here, absent], lr=1.0)
        processes.share_gradients({"optimizer": optimizer})
        here.grad = torch.tensor([rank, 3.0])
        absent.grad = torch.ones(2) if rank else None
        optimizer.step()
        processes.share_buffers({"statistics": statistics})
        told = {
            "mean": float(processes.mean(torch.tensor(rank))),
            "any": [processes.any(rank == 1.0), processes.any(False)],
            "moved": [here.tolist(), absent.tolist()],
            "running_mean": statistics.running_mean.tolist(),  # type: ignore[union-attr]
            "batches": int(statistics.num_batches_tracked),  # type: ignore[arg-type]
            "refused": "",
        }
        try:
            processes.check_step(40 + processes.rank)
        except InvalidInput as error:
            told["refused"] = error.message
    return told


def leg(folder: Path, limits: Limits) -> dict[str, Any]:
    """One leg by one of the processes: a digest of all that its checkpoint would hold, its weights and losses."""
    made, losses = [], []

    class Seen(Toy):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            made.append(self)

        def step(self, *arguments: Any) -> Any:
            found = super().step(*arguments)
            losses.append(float(found["loss"]))
            return found

    processes = of_environment()
    with processes.connected(CPU):
        end = train(Seen, SMALL, folder, limits, seed=5, processes=processes)
    return {"step": end.last_step, "losses": losses, "digest": _digest(_state(made[0])), "weights": _weights(made[0])}


def _weights(training: Toy) -> dict[str, Any]:
    return {name: tensor.tolist() for name, tensor in training.weights().items()}


def some_steps(kind: type[Training], params: Any) -> dict[str, Any]:
    """Digests of all that a checkpoint would hold at the beginning and after four steps, and the losses."""
    processes = of_environment()
    training = kind(params, CPU, step_generator(5, -1))
    training.processes = processes
    processes.share_gradients(training.parts())
    losses, first = [], _digest(_state(training))
    with processes.connected(CPU):
        for number in range(4):
            found = training.step(number, step_generator(5, number, processes.rank))
            processes.share_buffers(training.parts())
            losses.append([float(value) for value in found.values()])
    return {"losses": losses, "first": first, "last": _digest(_state(training))}


def _state(training: Training) -> dict[str, Any]:
    return {name: part.state_dict() for name, part in training.parts().items()}


def _digest(state: Any) -> str:
    if isinstance(state, Tensor):
        return hashlib.sha256(state.detach().float().contiguous().numpy().tobytes()).hexdigest()
    if isinstance(state, dict):
        return _digest([[str(key), _digest(part)] for key, part in state.items()])
    if isinstance(state, (list, tuple)):
        return hashlib.sha256("".join(_digest(part) for part in state).encode()).hexdigest()
    return str(state)


def without_writing(task: Callable[[], Any]) -> Any:
    """The system kills a process other than the first at the first byte that it writes to a file."""
    if not of_environment().is_first:
        sys.stderr.flush()
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    return task()


def command(folder: Path, kind: type[Training] = Toy, **words: Any) -> int:
    options = [f"--{name.replace('_', '-')}={value}" for name, value in words.items()]
    return main(kind, ["--out", str(folder), "--quiet", "--width=3", *options])


class FullDisk(Toy):
    """Ends in the second process at the fifth step."""

    def step(self, number: int, generator: torch.Generator) -> Any:
        if number == 5 and not self.processes.is_first:
            raise StorageFull("The disk of the second process is full.")
        return super().step(number, generator)


class Killed(Toy):
    """The second process is killed at the fifth step, as by a system that is short of memory."""

    def step(self, number: int, generator: torch.Generator) -> Any:
        if number == 5 and not self.processes.is_first:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().step(number, generator)


def interrupt_both(folder: Path) -> Callable[[list[int]], None]:
    def wait(children: list[int]) -> None:
        deadline = time.monotonic() + 60
        while not (folder / "stats.jsonl").is_file() and time.monotonic() < deadline:
            time.sleep(0.02)
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGINT)

    return wait


# The architectures --------------------------------------------------------------------------------------------------


def architectures(folder: Path) -> dict[str, tuple[type[Training], Any]]:
    """Those with more than one optimizer, small, on data that are made here."""
    pictures, ground = folder / "pictures", folder / "ground"
    pictures.mkdir(parents=True)
    rows, columns = np.mgrid[0:150, 0:150]
    picture = np.stack([rows * 3 % 255, columns * 5 % 255, (rows * columns) % 255], axis=-1).astype(np.uint8)
    Image.fromarray(picture[:72, :72]).save(pictures / "one.png")
    height = (900.0 + 500.0 * np.sin(rows / 9.0) * np.cos(columns / 11.0)).astype(np.float32)
    classes = np.digitize(height, (600.0, 900.0, 1200.0)).astype(np.uint8)
    region = pack.Region(
        name="here", scale="continental", split="train", pixel_size_m=5000.0, low_m=float(height.min()),
        high_m=float(height.max()), source="made in a test", grid="metric",
    )  # fmt: skip
    maps = pack.Maps(height=height, valid=np.ones(height.shape, bool), color=picture, classes=classes)
    pack.write(ground, [(region, maps)])
    gan: dict[str, Any] = {"data_dir": str(pictures), "layers": 3, "z_size": 4, "z_dim": 6, "width": 4, "batch": 3}
    small: dict[str, Any] = {"data": str(ground), "scale": "continental", "side": 64, "batch": 2, "judge_width": 4}
    return {
        "compact": (Compact, CompactParams(**small, width=0.1)),
        "spade": (Spade, SpadeParams(**small, width=16, hidden=4, epoch=3)),
        "regularised": (SpatialGan, SpatialGanParams(**gan, periodic=2, around=2, reg=True, l2=1e-5)),
    }


def report(folder: Path) -> dict[str, Any]:
    whole, short = Limits(steps=STEPS, checkpoint_every=7), Limits(steps=STEPS, minutes=1e-9)
    out = folder / "interrupted"
    return {
        "numbers": together(folder / "1", shared_numbers),
        "whole": together(folder / "2", lambda: without_writing(lambda: leg(folder / "whole", whole))),
        "legs": [
            together(folder / f"3-{number}", lambda limits=limits: leg(folder / "legs", limits))
            for number, limits in enumerate((short, short, whole))
        ],
        "interrupted": together(folder / "4", lambda: command(out, steps=10**6), interrupt_both(out)),
        "full": together(folder / "5", lambda: command(folder / "full", FullDisk)),
        "killed": together(folder / "6", lambda: command(folder / "killed", Killed)),
        "one card": together(folder / "7", lambda: command(folder / "none", device="cuda:1")),
        "wrong": together(folder / "8", lambda: command(folder / "none", rate=0)),
        "architectures": {
            name: together(folder / f"9-{name}", lambda kind=kind, params=params: some_steps(kind, params))
            for name, (kind, params) in architectures(folder).items()
        },
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps(report(Path(sys.argv[1]))))
