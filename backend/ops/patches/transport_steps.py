"""What differs from step to step of transport: the bank of filters, the rows that are counted, the rate.

On a card with kernels these lie in tensors that stay where they are, so that all steps of a level are one CUDA graph, whatever
their number; elsewhere they are the banks and plain numbers. The step itself belongs to who calls.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields

import torch
from torch import Tensor

from backend.ops.cuda_graphs import RepeatedStep
from backend.ops.dispatch import choose
from backend.ops.patches.sliced_wasserstein import FilterBank


class TransportSteps:
    """banks: of the step, one for each source. row_first, rate: of the step, as sliced_wasserstein.ascent() and Adam.step() take
    them. set() brings them to the next step.
    """

    def __init__(
        self, banks: Sequence[Sequence[FilterBank]], device: torch.device, *, stay: bool | None = None
    ) -> None:
        """banks: by number, one for each source, alike in shape. stay: whether numbers stay where they are; None where that
        pays."""
        self._all, self._device = banks, device
        self.banks: Sequence[FilterBank] = banks[0]
        self.row_first: int | Tensor = 0
        self.rate: float | Tensor = 0.0
        self._stay = choose("auto", device, cuda=True) == "cuda" if stay is None else stay
        if self._stay:
            self._rows = torch.stack([_flat(some) for some in banks])
            self._row = self._rows[0].clone()
            self.banks = _views(self._row, banks[0])
            self.row_first = torch.zeros(1, dtype=torch.int64, device=device)
            self.rate = torch.zeros(1, device=device)

    def repeated(self, step: Callable[[], None]) -> Callable[[], None]:
        """The step, as a graph where that can be; it reads banks, row_first and rate from here each time."""
        return RepeatedStep(step, self._device) if self._stay else step

    def set(self, bank: int, row_first: int, rate: float) -> None:
        """The numbers of the next step. bank: which of them."""
        if isinstance(self.row_first, Tensor) and isinstance(self.rate, Tensor):
            self._row.copy_(self._rows[bank])
            self.row_first.fill_(row_first)
            self.rate.fill_(rate)
        else:
            self.banks, self.row_first, self.rate = self._all[bank], row_first, rate


def _parts(bank: FilterBank) -> list[Tensor]:
    return [getattr(bank, field.name) for field in fields(bank)]


def _flat(banks: Sequence[FilterBank]) -> Tensor:
    return torch.cat([part.flatten() for bank in banks for part in _parts(bank)])


def _views(row: Tensor, like: Sequence[FilterBank]) -> list[FilterBank]:
    """Banks shaped like those, whose numbers lie in the row."""
    made, at = [], 0
    for bank in like:
        parts = []
        for part in _parts(bank):
            parts.append(row[at : at + part.numel()].view(part.shape))
            at += part.numel()
        made.append(FilterBank(*parts))
    return made
