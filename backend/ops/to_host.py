"""A map that is made on a device band by band and ends on the host: each band is copied while the next ones are computed.

On a card a band goes to one of a few page-locked buffers on a stream of its own, and from there to the map, by all the host's
threads, once the card has begun on a later band. PyTorch keeps such buffers for the next map; to lock the pages of a whole result
would cost more than the copy gains. Elsewhere a band is copied at once."""

from __future__ import annotations

import torch
from torch import Tensor

BUFFERS = 3  # one that the card writes to, one that waits for it, one that the host reads


class BandsToHost:
    """Writes bands of rows into a map [H, W] on the host."""

    def __init__(self, made: Tensor, device: torch.device) -> None:
        self._made = made
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None
        self._buffers: list[Tensor] = []
        self._waiting: list[
            tuple[int, Tensor, torch.cuda.Event]
        ] = []  # first row, what is copied there, the end of that copy

    def put(self, top: int, band: Tensor) -> None:
        """band [rows, W], none larger than the first; it begins at row `top` of the map and must not change any more."""
        if self._stream is None:
            self._made[top : top + len(band)] = band
            return
        if len(self._waiting) == BUFFERS:
            self._take()
        if len(self._buffers) == len(self._waiting):
            self._buffers.append(torch.empty(band.numel(), dtype=band.dtype, pin_memory=True))
        buffer = self._buffers[len(self._waiting)][: band.numel()].view(band.shape)
        self._stream.wait_stream(torch.cuda.current_stream(band.device))
        with torch.cuda.stream(self._stream):
            buffer.copy_(band, non_blocking=True)
            band.record_stream(self._stream)
            copied = torch.cuda.Event()
            copied.record()
        self._waiting.append((top, buffer, copied))

    def finish(self) -> None:
        """Wait until every band is in the map."""
        while self._waiting:
            self._take()

    def _take(self) -> None:
        """Empty the oldest buffer in use; the next band gets it."""
        top, buffer, copied = self._waiting.pop(0)
        copied.synchronize()
        self._made[top : top + len(buffer)] = buffer
        self._buffers.append(self._buffers.pop(0))
