"""The processes that train one model together, one per card: torchrun starts them, and says to each which of them it is.

All hold the same parameters. Each draws crops and noise of its own, and before any optimizer's step the gradients become their
mean over the processes, so that N processes learn from an N-fold batch. What else a step changes stays equal as well: buffers
are those of the first process (running statistics of batch normalisation, which itself sees the process's own batch alone), and a
number that decides about later steps goes through mean(). Where a training limits gradients, each process limits its own, before
the mean.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from backend.runtime.device import pick_device
from shared.devices import check_name, kind_of
from shared.errors import InvalidInput, InvalidParameter, WorkerDied

BACKENDS = {"cpu": "gloo", "cuda": "cpu:gloo,cuda:nccl"}  # flags and step numbers stay on the CPU: no wait for a card


@dataclass(frozen=True, kw_only=True)
class Processes:
    """rank: number of this process; 0 writes the run folder. local_rank and local_count: among those of this machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def device(self, wanted: str) -> torch.device:
        """The device of this process: of that name where it trains alone, else the CPU or, for "cuda", its own card.

        Raises InvalidParameter for a device that is not there, for one card by number, and for more processes than cards.
        """
        if self.count == 1:
            return pick_device(wanted)
        kind = kind_of(check_name(wanted))
        if wanted not in ("cpu", "cuda"):
            raise InvalidParameter(
                f"{self.count} processes cannot train on {wanted}.",
                hint="Use --device cuda, of which each takes a card of its own, or --device cpu.",
                field="device",
            )
        pick_device(wanted)
        cards = torch.cuda.device_count()
        if kind == "cuda" and self.local_count > cards:
            raise InvalidParameter(
                f"{self.local_count} processes were started on a machine with {cards} card{'' if cards == 1 else 's'}.",
                hint=f"Start one per card with torchrun --nproc-per-node {cards}, or train on the CPU with --device cpu.",
                field="device",
            )
        return torch.device(f"cuda:{self.local_rank}" if kind == "cuda" else "cpu")

    def described(self, device: torch.device) -> str:
        """What the training runs on, for a sentence."""
        if self.count == 1:
            return str(device)
        return f"{self.count} {'cards' if device.type == 'cuda' else 'processes'}"

    def tells_of_a_failure(self) -> bool:
        """Whether it is this process that tells the user what went wrong: the first that asks, for the others end because of it."""
        if self.count == 1:
            return True
        try:
            return self._store.add("relievo/failed", 1) == 1
        except RuntimeError:  # torchrun has gone
            return False

    # Working together -----------------------------------------------------------------------------------------------

    @contextmanager
    def connected(self, device: torch.device) -> Iterator[None]:
        """Within, the processes hear each other. Raises InvalidParameter where PyTorch cannot connect such devices."""
        if self.count == 1:
            yield
            return
        if device.type == "cuda":
            if not dist.is_nccl_available():
                raise InvalidParameter(
                    "Several cards train together by NCCL, which this build of PyTorch does not have.",
                    hint="Train on one card without torchrun, or in several processes on the CPU with --device cpu.",
                    field="device",
                )
            torch.cuda.set_device(device)
        with _others():
            dist.init_process_group(BACKENDS[device.type], store=self._store, rank=self.rank, world_size=self.count)
        yield
        self.any(False)  # the first may still be writing
        dist.destroy_process_group()

    @cached_property
    def _store(self) -> Any:
        """A few words that all processes can read, whether they are connected yet or not."""
        from torch.distributed.rendezvous import rendezvous  # missing where is_available() is false

        with _others():
            return next(iter(rendezvous("env://")))[0]

    def share_gradients(self, parts: Mapping[str, Any]) -> None:
        """From now on every step of the optimizers among the parts is taken with the mean of all processes' gradients."""
        if self.count == 1:
            return
        for part in parts.values():
            if isinstance(part, torch.optim.Optimizer):
                part.register_step_pre_hook(lambda optimizer, args, kwargs: self._average_gradients(optimizer))

    def _average_gradients(self, optimizer: torch.optim.Optimizer) -> None:
        """One message for all; a parameter without a gradient here counts as one of 0, as another process may have one."""
        learned = [tensor for group in optimizer.param_groups for tensor in group["params"] if tensor.requires_grad]
        for tensor in learned:
            if tensor.grad is None:
                tensor.grad = torch.zeros_like(tensor)
        gradients = [tensor.grad for tensor in learned]
        for gradient, mean in zip(gradients, self._as_one(gradients), strict=True):
            gradient.copy_(mean)  # in its own memory format, which a fused optimizer goes by

    def _as_one(self, tensors: list[Tensor]) -> Iterator[Tensor]:
        """The mean of each over the processes."""
        whole = self.mean(torch.cat([tensor.flatten() for tensor in tensors]))
        for tensor, part in zip(tensors, whole.split([tensor.numel() for tensor in tensors]), strict=True):
            yield part.view(tensor.shape)

    def share_buffers(self, parts: Mapping[str, Any]) -> None:
        """The buffers of all modules among the parts become those of the first process."""
        if self.count == 1:
            return
        for part in parts.values():
            for buffer in part.buffers() if isinstance(part, torch.nn.Module) else ():
                with _others():
                    dist.broadcast(buffer, 0)

    def mean(self, value: Tensor) -> Tensor:
        """Its mean over the processes, the same bytes in each."""
        if self.count == 1:
            return value
        whole = value.detach().clone()
        with _others():
            dist.all_reduce(whole)
        return whole.div_(self.count)

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process; each must ask."""
        if self.count == 1:
            return flag
        heard = torch.tensor(int(flag))
        with _others():
            dist.all_reduce(heard, dist.ReduceOp.MAX)
        return bool(heard)

    def check_step(self, step: int) -> None:
        """Raises InvalidInput where the processes continue from different steps."""
        if self.count == 1:
            return
        ends = torch.tensor([step, -step])
        with _others():
            dist.all_reduce(ends, dist.ReduceOp.MAX)
        if int(ends[0]) != -int(ends[1]):
            raise InvalidInput(
                f"The processes found different checkpoints: of step {-int(ends[1])}, and of step {int(ends[0])}.",
                hint="All of them must see the same run folder.",
                field="out",
            )


ALONE = Processes()


def of_environment(environ: Mapping[str, str] = os.environ) -> Processes:
    """The processes that torchrun has started, or ALONE. Raises InvalidInput where half of what it sets is missing."""
    count = environ.get("WORLD_SIZE") or "1"
    if count == "1":
        return ALONE
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "MASTER_PORT")
    wrong = [name for name in names if not environ.get(name, "").isdigit()]
    if wrong or not environ.get("MASTER_ADDR"):
        raise InvalidInput(
            f"WORLD_SIZE is {count}, as of several processes, but {wrong[0] if wrong else 'MASTER_ADDR'} is not set.",
            hint="Start several processes with torchrun; unset WORLD_SIZE to train in one.",
        )
    if not dist.is_available():
        raise InvalidInput(
            "This build of PyTorch cannot train in several processes.", hint="Train without torchrun, in one process."
        )
    rank, of_all, local_rank, local_count = (int(environ[name]) for name in names[:4])
    return Processes(rank=rank, count=of_all, local_rank=local_rank, local_count=local_count)


@contextmanager
def _others() -> Iterator[None]:
    """What PyTorch raises when another process does not answer becomes WorkerDied."""
    try:
        yield
    except RuntimeError as error:
        raise WorkerDied(
            "Another process of this training has ended or does not answer.",
            hint="Run the same command again to continue from the last checkpoint.",
        ) from error
