"""What an algorithm is given beside its arrays: a device, seeded randomness, and the duty to report.

The same JobContext serves a worker process, the command line and a Python call; only its callbacks differ. It knows
no socket, no file and no Blender.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from backend.runtime import device as devices
from shared.errors import JobCancelled

PREVIEW_SIDE_PX = 512
PREVIEW_INTERVAL_S = 0.1
PROGRESS_INTERVAL_S = 0.02  # the server thins this further; a person's eye needs no more
ESTIMATE_AFTER_S = 0.5

ProgressCallback = Callable[[int, int, str, "float | None"], None]  # done, total, stage, remaining seconds
PreviewCallback = Callable[
    [str, np.ndarray, int], None
]  # port, reduced values, pixels of the map a pixel of the preview


class JobContext:
    """One run of one algorithm.

    device: where tensors belong. generator: seeded with the job's seed; on the CPU, so that the same seed draws the
    same numbers whatever the device. threads: how many threads the run may use.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        threads: int | None = None,
        on_progress: ProgressCallback | None = None,
        on_preview: PreviewCallback | None = None,
        is_cancelled: Callable[[], bool] | None = None,
        is_kept: Callable[[], bool] | None = None,
    ) -> None:
        """is_cancelled: whether somebody wants the run to stop. is_kept: whether they want what there is by then."""
        self.device = torch.device(device)
        self.threads = threads or devices.default_threads()
        self.generator = torch.Generator().manual_seed(seed)
        self._on_progress = on_progress
        self._on_preview = on_preview
        self._is_cancelled = is_cancelled or (lambda: False)
        self._is_kept = is_kept or (lambda: False)
        self._heeds_finish_early = False
        self._started_s: float | None = None
        self._reported_s = -1.0
        self._reported_stage = ""
        self._previewed_s = -1.0

    def step(self, done: int, total: int, stage: str) -> None:
        """Report that `done` of `total` steps of the whole job are behind us, and stop here if somebody has cancelled.

        Call it at least every 100 ms. Raises JobCancelled: let it pass. stage: what happens now, in a few words for
        people.
        """
        if self._is_cancelled() and not (self._heeds_finish_early and self._is_kept()):
            raise JobCancelled("The job was cancelled.")
        if self._on_progress is None:
            return
        now = time.monotonic()
        if self._started_s is None:
            self._started_s = now
        total = max(int(total), 1)
        done = min(max(int(done), 0), total)
        if now - self._reported_s < PROGRESS_INTERVAL_S and stage == self._reported_stage and done < total:
            return
        self._reported_s, self._reported_stage = now, stage
        elapsed_s = now - self._started_s
        remaining_s = elapsed_s * (total - done) / done if done and elapsed_s >= ESTIMATE_AFTER_S else None
        self._on_progress(done, total, stage, remaining_s)

    @property
    def finish_early(self) -> bool:
        """True once somebody has asked for the result as it stands: break out of the loop, and return it.

        Ask in every turn of the main loop. An algorithm that never asks is cancelled instead, for it cannot finish
        early.
        """
        self._heeds_finish_early = True
        return self._is_cancelled() and self._is_kept()

    @property
    def has_viewer(self) -> bool:
        """Whether anybody looks at previews."""
        return self._on_preview is not None

    def preview(self, port: str, values: Any | Callable[[], Any]) -> None:
        """Show an output port as it stands: an array or tensor [..., H, W], or a function that makes one.

        Costs nothing when nobody looks or when the last preview is less than 0.1 s old: then a function is not called.
        """
        now = time.monotonic()
        if self._on_preview is None or now - self._previewed_s < PREVIEW_INTERVAL_S:
            return
        self._previewed_s = now
        made = values() if callable(values) else values
        reduced, factor = reduce_for_preview(_to_map(made))
        self._on_preview(port, reduced, factor)


def _to_map(values: Any) -> np.ndarray:
    """Values as a NumPy array [H, W] or [H, W, C]; leading axes of length one (torch's batch and channel) fall away."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().numpy()
    values = np.asarray(getattr(values, "values", values))
    while values.ndim > 2 and values.shape[0] == 1:
        values = values[0]
    return values


def reduce_for_preview(values: np.ndarray, side_px: int = PREVIEW_SIDE_PX) -> tuple[np.ndarray, int]:
    """A map [H, W, ...] with no side above side_px, and the whole factor it was reduced by.

    Real numbers are averaged over factor² pixels; class numbers are picked, for their mean means nothing. Rows and
    columns that do not fill a last block fall away.
    """
    height, width = values.shape[:2]
    factor = -(-max(height, width) // side_px)
    if factor <= 1:
        return np.ascontiguousarray(values), 1
    if values.dtype.kind != "f":
        return np.ascontiguousarray(values[factor // 2 :: factor, factor // 2 :: factor]), factor
    rows, columns = max(height // factor, 1), max(width // factor, 1)
    deep, wide = min(height, factor), min(width, factor)  # a strip may be narrower than one block
    blocks = values[: rows * deep, : columns * wide].reshape(rows, deep, columns, wide, *values.shape[2:])
    return np.ascontiguousarray(blocks.mean(axis=(1, 3), dtype=np.float32)), factor
