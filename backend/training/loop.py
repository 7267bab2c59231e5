"""The training loop, once for every model: steps, logs, sample sheets, checkpoints, resume, a limit in minutes.

A run is the same whether it was trained in one go or in legs: every step draws from a generator seeded with the run's seed, the
step's number and the process's (processes.py), and a checkpoint holds all the rest. Only the first process writes.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from backend.training import checkpoints
from backend.training.interruption import Interruption
from backend.training.processes import ALONE, Processes
from backend.training.run_folder import RunFolder
from backend.training.training import Training
from shared.params import to_json
from shared.version import VERSION

log = logging.getLogger(__name__)

LOG_EVERY_STEPS = 10
_MIX = 0x9E3779B97F4A7C15  # the golden ratio in 64 bits: spreads neighbouring steps over all seeds

Progress = Callable[[int, int, str], None]  # done, total, stage


@dataclass(frozen=True, kw_only=True)
class Limits:
    """steps: of the whole training. minutes: of this leg, 0 for no limit. The intervals are in steps; samples 0 for none."""

    steps: int
    minutes: float = 0.0
    checkpoint_every: int = 500
    sample_every: int = 0


@dataclass(frozen=True, kw_only=True)
class Leg:
    """What a leg has done. finished: whether the whole training is."""

    first_step: int
    last_step: int
    seconds: float
    finished: bool


def configuration(
    training: type[Training], params: Any, *, seed: int, steps: int, processes: int = 1
) -> dict[str, Any]:
    """All that the result depends on, as JSON. The device is left out: a run may go on on another one."""
    return {
        "model": training.name,
        "relievo": VERSION,
        "seed": seed,
        "steps": steps,
        "processes": processes,
        **to_json(params),
    }


def train(
    kind: type[Training],
    params: Any,
    path: Path,
    limits: Limits,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: Progress = lambda done, total, stage: None,
    processes: Processes = ALONE,
) -> Leg:
    """One leg of a training, from the newest checkpoint in the folder `path` or from nothing; ends with a checkpoint.

    Also an interrupt (Ctrl-C, SIGTERM as the command line turns it into one) ends it with a checkpoint after the step that is being
    taken, and is raised again. processes: those that train along, connected. Raises InvalidInput for a folder of another run,
    StorageFull, and WorkerDied where another process has ended; the checkpoint before is then still there.
    """
    device = torch.device(device)
    config = configuration(kind, params, seed=seed, steps=limits.steps, processes=processes.count)
    folder = RunFolder(path, config)
    training = kind(params, device, step_generator(seed, -1))
    training.processes = processes
    processes.share_gradients(training.parts())
    if processes.is_first:
        folder.make()
    step = first = _resume(training, folder, device)
    processes.check_step(step)
    started = time.monotonic()
    saved = step
    with Interruption(at_once=processes.count == 1) as interruption:
        try:
            while step < limits.steps and not processes.any(
                interruption.is_heard or _is_over(limits, started, step - first)
            ):
                losses = training.step(step, step_generator(seed, step, processes.rank))
                processes.share_buffers(training.parts())
                step += 1
                if step % LOG_EVERY_STEPS == 0 or step == limits.steps:
                    _log(training, folder, step, losses)
                progress(step, limits.steps, "training")
                if processes.is_first and limits.sample_every and step % limits.sample_every == 0:
                    folder.write_sample(step, training.sample(step_generator(seed, -2)))
                if step % limits.checkpoint_every == 0:
                    saved = _save(training, folder, step)
        finally:
            if saved != step:
                _save(training, folder, step)
    finished = step >= limits.steps
    if processes.is_first and (finished or kind.keeps_unfinished):
        _finish(training, folder, step, seed)
    return Leg(first_step=first, last_step=step, seconds=time.monotonic() - started, finished=finished)


def step_generator(seed: int, step: int, process: int = 0) -> torch.Generator:
    """The generator of a step, on the CPU. Negative steps are for initial weights (-1), the same in every process, and sample
    sheets (-2)."""
    mixed = seed * _MIX + (step + 2) * 0xD1B54A32D192ED03 + process * 0x8CB92BA72F3D8DD7
    return torch.Generator().manual_seed(mixed % 2**63)


def _is_over(limits: Limits, started: float, done: int) -> bool:
    """Whether the leg's time is up. At least one step is taken: a leg that is too short for one would never end the training."""
    return bool(limits.minutes and done and time.monotonic() - started >= 60.0 * limits.minutes)


def _resume(training: Training, folder: RunFolder, device: torch.device) -> int:
    found = checkpoints.newest(folder.checkpoints)
    if found is None:
        return 0
    step, state = found
    for name, part in training.parts().items():
        part.load_state_dict(checkpoints.to_device(state[name], device))
    if training.processes.is_first:
        folder.rewind(step + 1)
        log.info("continuing after step %d", step)
    return step


def _save(training: Training, folder: RunFolder, step: int) -> int:
    if training.processes.is_first:
        state = {name: part.state_dict() for name, part in training.parts().items()}
        checkpoints.write(folder.checkpoints, step, state)
    return step


def _log(training: Training, folder: RunFolder, step: int, losses: Mapping[str, Tensor]) -> None:
    """The losses of all processes' batches together."""
    whole = {name: float(training.processes.mean(value)) for name, value in losses.items()}
    if training.processes.is_first:
        folder.log(step, whole)


def _finish(training: Training, folder: RunFolder, step: int, seed: int) -> None:
    folder.write_sample(step, training.sample(step_generator(seed, -2)))
    about = {
        "model": training.name,
        "data": training.data,
        "licence": training.licence,
        "steps": step,
        "seed": seed,
        "processes": training.processes.count,
        "settings": to_json(training.params),
        "losses": {key: value for key, value in folder.stats()[-1].items() if key != "step"} if folder.stats() else {},
        "date": datetime.now(UTC).date().isoformat(),
        "relievo": VERSION,
        **training.description(),
    }
    folder.write_weights(training.weights(), about)
