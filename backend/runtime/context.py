"""What an algorithm is given beside its arrays: a device, seeded randomness, and the duty to report.

The same JobContext serves a worker process, the command line and a Python call; only its callbacks differ. It knows
no socket and no Blender; files of weights are weights.py's.
"""

from __future__ import annotations

import logging
import math
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from backend.runtime import device as devices
from backend.runtime.kernel_compiler import STAGE
from shared.errors import InternalError, JobCancelled
from shared.weights import WEIGHTS

log = logging.getLogger(__name__)

PREVIEW_INTERVAL_S = 0.1
PROGRESS_INTERVAL_S = 0.02  # the server thins this further; a person's eye needs no more
ESTIMATE_AFTER_S = 0.5
STEPS_AHEAD = 3  # that the host may be ahead of a card
PREPARING, FINE = 0.5, 10_000  # share of a bar that compiling kernels may take, and the steps of such a bar

ProgressCallback = Callable[[int, int, str, "float | None"], None]  # done, total, stage, remaining seconds
PreviewCallback = Callable[[Mapping[str, Any]], None]  # what preview() was given, by port


class JobContext:
    """One run of one algorithm.

    device: where tensors belong; compute() decides it, and device_note is a sentence where that is not what was asked for.
    device_is_lost: whether this process can use its cards no more. generator: seeded with the job's seed; on the CPU, so that the
    same seed draws the same numbers whatever the device. threads: how many threads the run uses.
    """

    def __init__(
        self,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        usable_devices: Sequence[str] = (),
        threads: int | None = None,
        implementation: str = "",
        on_progress: ProgressCallback | None = None,
        on_preview: PreviewCallback | None = None,
        is_cancelled: Callable[[], bool] | None = None,
        is_kept: Callable[[], bool] | None = None,
    ) -> None:
        """device: what is asked for, "auto" or a device's name. usable_devices: what this process may use; () for all there is.
        implementation: "plain" to run without compiled kernels, "" as RELIEVO_IMPL says. is_cancelled: whether somebody wants the
        run to stop. is_kept: whether they want what there is by then.
        """
        self.wanted_device = str(device)
        self.usable_devices = tuple(usable_devices)
        self.device = device if isinstance(device, torch.device) else torch.device("cpu")
        self.device_note = ""
        self.device_is_lost = False
        self._sent: deque[torch.cuda.Event] = deque()  # to the card, at the latest steps
        self.implementation = implementation
        self.declared_weights: tuple[str, ...] | None = None  # compute() sets them; None allows all
        self.used_weights: dict[str, str] = {}  # by name the SHA-256 of the file
        self.threads = threads or devices.default_threads()
        self.generator = torch.Generator().manual_seed(seed)
        self._on_progress = on_progress
        self._on_preview = on_preview
        self._is_cancelled = is_cancelled or (lambda: False)
        self._is_kept = is_kept or (lambda: False)
        self._heeds_finish_early = False
        self._has_begun = False  # whether a step of its own is behind it
        self._own = (0, 1)  # steps of its own: done, in all
        self._prepared: float | None = None  # share of the kernels that are compiled; None where none had to be
        self._started_s: float | None = None
        self._reported_s = -1.0
        self._reported_stage = ""
        self._previewed_s = -1.0

    def step(self, done: int, total: int, stage: str) -> None:
        """Report that `done` of `total` steps of the whole job are behind us, and stop here if somebody has cancelled.

        Call it at least every 100 ms. Raises JobCancelled: let it pass. stage: what happens now, in a few words for
        people.
        """
        self._keep_pace()
        self._stop_if_cancelled()
        total = max(int(total), 1)
        done = min(max(int(done), 0), total)
        self._own, self._has_begun = (done, total), self._has_begun or done > 0
        if self._on_progress is None:
            return
        now = time.monotonic()
        if self._started_s is None:
            self._started_s = now
        if now - self._reported_s < PROGRESS_INTERVAL_S and stage == self._reported_stage and done < total:
            return
        self._reported_s, self._reported_stage = now, stage
        elapsed_s = now - self._started_s
        remaining_s = elapsed_s * (total - done) / done if done and elapsed_s >= ESTIMATE_AFTER_S else None
        self._on_progress(*self._shown(), stage, remaining_s)

    def say_where(self, note: str) -> None:
        """Tell why the job does not run on the device that was asked for; nothing for ""."""
        if note:
            self.device_note = note
            log.warning("%s", note)
            self.step(0, 1, note)

    def _keep_pace(self) -> None:
        """Wait until the card has done what it was given STEPS_AHEAD steps ago: launches only queue up there, and a cancel or a
        progress bar that runs ahead of the card by seconds is wrong."""
        if self.device.type != "cuda":
            return
        sent = torch.cuda.Event()
        sent.record(torch.cuda.current_stream(self.device))
        self._sent.append(sent)
        if len(self._sent) > STEPS_AHEAD:
            self._sent.popleft().synchronize()

    def compiling(self, done: int, total: int, remaining_s: float | None) -> None:
        """Report that the job waits for kernels to be compiled: parts done and in all. Raises JobCancelled as step() does.

        The bar goes on from there: compiling takes its first part, and the job's own steps share what is left.
        """
        self._stop_if_cancelled()
        self._prepared = max(self._prepared or 0.0, min(done / max(total, 1), 1.0))  # more may be wanted later
        now = time.monotonic()
        if self._started_s is not None:  # what is estimated of the job's own steps leaves this out
            self._started_s += now - max(self._reported_s, self._started_s)
        self._reported_s = now
        if self._on_progress is not None:
            self._on_progress(*self._shown(), STAGE, remaining_s)

    def _stop_if_cancelled(self) -> None:
        """Raises JobCancelled, but not where what there is shall be kept and the algorithm heeds that or has not begun: then it may
        still ask for it in its first step."""
        if self._is_cancelled() and not (self._is_kept() and (self._heeds_finish_early or not self._has_begun)):
            raise JobCancelled("The job was cancelled.")

    def _shown(self) -> tuple[int, int]:
        """Steps done and in all of the bar, which never runs backwards: the job's own, or with what was compiled before them."""
        done, total = self._own
        if self._prepared is None or done == total:
            return done, total
        behind = PREPARING * self._prepared
        return min(math.ceil(FINE * (behind + (1 - behind) * done / total)), FINE - 1), FINE

    @property
    def finish_early(self) -> bool:
        """True once somebody has asked for the result as it stands: break out of the loop, and return it.

        Ask in every turn of the main loop. An algorithm that never asks is cancelled instead, for it cannot finish
        early.
        """
        self._heeds_finish_early = True
        return self._is_cancelled() and self._is_kept()

    def weights(self, name: str, *, file: str = "", fetch: bool = False) -> dict[str, torch.Tensor]:
        """The tensors of pretrained weights by their name in shared/weights.py, on the CPU, mapped from disk.

        file: the user's own file, "" for the one that is shipped or found on this machine. fetch: download it where it is not
        there, which is reported as progress. Raises InvalidInput, with a hint for the user, where there are none, and
        InternalError for weights that the algorithm's declaration does not name.
        """
        from backend.runtime import weights

        if self.declared_weights is not None and name not in self.declared_weights:
            raise InternalError(f"The algorithm asks for the weights {name!r}, which its declaration does not list.")
        entry = WEIGHTS[name]
        if fetch and not file and entry.url and weights.find(entry) is None:
            stage = f"downloading the {entry.label} weights"
            weights.download(entry, lambda there, total: self.step(there >> 20, total >> 20, stage))
        loaded = weights.load(entry, Path(file) if file else None)
        self.used_weights[name] = loaded.sha256
        return loaded.tensors

    def trained(self, file: str) -> tuple[dict[str, torch.Tensor], Mapping[str, Any]]:
        """The tensors of a model that the user has trained, on the CPU, and what the file's header says of it.

        Raises InvalidInput where the file is none that `train` has written, or damaged.
        """
        from backend.runtime import weights

        loaded = weights.load_trained(Path(file))
        self.used_weights["model"] = loaded.sha256
        return loaded.tensors, loaded.about

    @property
    def has_viewer(self) -> bool:
        """Whether anybody looks at previews."""
        return self._on_preview is not None

    def preview(self, **ports: Any | Callable[[], Any]) -> None:
        """Show output ports as they stand, by name: each an Array, an array or tensor [..., H, W], or a function that makes one.

        Costs nothing when nobody looks or when the last preview is less than 0.1 s old: then no function is called. Ports that
        belong together go into one call.
        """
        now = time.monotonic()
        if self._on_preview is None or now - self._previewed_s < PREVIEW_INTERVAL_S:
            return
        self._previewed_s = now
        self._on_preview({port: values() if callable(values) else values for port, values in ports.items()})
