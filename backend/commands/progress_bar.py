"""The progress bar of the command line: a stage in plain words, how far, how long still.

On a terminal one line that changes; in a log a line when the stage changes or a tenth more is done, at most one every two seconds.
Writes to stderr: stdout belongs to results.
"""

from __future__ import annotations

import sys
import time
from types import TracebackType

LOG_INTERVAL_S = 2.0


class Bar:
    """`with Bar("noise") as bar:` then bar(done, total, stage, remaining_s), which is what JobContext calls."""

    def __init__(self, title: str, *, quiet: bool = False) -> None:
        self._title, self._quiet = title, quiet
        self._progress = None
        self._logged = ("", 0)  # the stage, and how many tenths were done
        self._logged_s = time.monotonic()  # what is done within the interval needs no log

    def __enter__(self) -> Bar:
        if not self._quiet and sys.stderr.isatty():
            self._start()
        return self

    def _start(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

        self._progress = Progress(
            TextColumn("[bold]{task.fields[title]}[/]"),
            BarColumn(bar_width=32),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=Console(stderr=True),
            transient=True,
        )
        self._progress.start()
        self._task = self._progress.add_task("starting", total=1.0, title=self._title)

    def __call__(self, done: int, total: int, stage: str, remaining_s: float | None = None) -> None:
        fraction = done / max(total, 1)
        if self._progress is not None:
            left = f", {remaining_text(remaining_s)} left" if remaining_s is not None else ""
            self._progress.update(self._task, completed=fraction, description=stage + left)
        elif not self._quiet:
            self._log(fraction, stage)

    def _log(self, fraction: float, stage: str) -> None:
        now = time.monotonic()
        new = (stage, int(10 * fraction))
        if new == self._logged or now - self._logged_s < LOG_INTERVAL_S:
            return
        self._logged_s, self._logged = now, new
        sys.stderr.write(f"{self._title}: {stage} ({fraction:.0%})\n")
        sys.stderr.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()


def remaining_text(seconds: float) -> str:
    """Seconds as a person says them: "8 s", "2 min 5 s", "1 h 3 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
