"""What a log shows of a long stage."""

from __future__ import annotations

import pytest

from backend.commands import progress_bar
from backend.runtime.kernel_compiler import STAGE


def test_a_log_repeats_a_stage_with_each_tenth_of_it(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.setattr(progress_bar, "LOG_INTERVAL_S", 0.0)
    with progress_bar.Bar("Noise") as bar:
        for done in (1, 2, 8, 9, 21, 56):
            bar(done, 56, STAGE, 12.0)
    assert capsys.readouterr().err.splitlines() == [
        f"Noise: preparing for the first run ({percent}%)" for percent in (2, 14, 38, 100)
    ]


def test_a_log_has_a_line_every_two_seconds_at_most(capsys) -> None:
    with progress_bar.Bar("Noise") as bar:
        for done in range(100):
            bar(done, 100, f"pass {done}")
    assert capsys.readouterr().err == ""
