"""What the sidebar says fits its width when Blender has just been installed: measured with the interface's font."""

from __future__ import annotations

from types import SimpleNamespace

import bpy
import pytest

from backend.runtime.kernel_compiler import STAGE
from blender_addon.link.job_records import Job
from blender_addon.shared.jobs import JobState
from blender_addon.ui import text_fit
from tests.blender.support import paper

SIDEBAR_PX = 280  # of a new Blender, at scale 1
BAR_PX = SIDEBAR_PX - text_fit.BAR_MARGIN


@pytest.fixture
def sidebar(empty_file, monkeypatch):
    """The region that panels ask for is the sidebar in its first width."""
    context = SimpleNamespace(region=SimpleNamespace(width=SIDEBAR_PX), preferences=bpy.context.preferences)
    monkeypatch.setattr(text_fit, "bpy", SimpleNamespace(context=context, types=bpy.types))


def running(stage: str, *, remaining_s: float | None = None, fed: bool = False) -> Job:
    feeds = {"height": ("earlier", "height")} if fed else {}
    job = Job(id="1", algorithm="noise", label="Noise 1", params={}, accepted=True, state=JobState.RUNNING, feeds=feeds)
    job.stage, job.done, job.total, job.remaining_s = stage, 23, 56, remaining_s
    return job


def test_a_first_run_is_said_in_full(sidebar) -> None:
    assert text_fit.on_a_bar(running(STAGE).sentences) == "Preparing for the first run, 41 %"
    assert text_fit.on_a_bar(running(STAGE, fed=True).sentences) == "Input: preparing for the first run, 41 %"


def test_the_time_that_remains_is_left_out_before_anything_is_cut(sidebar) -> None:
    short, long = running("refining", remaining_s=8.0), running(STAGE, remaining_s=125.0)
    assert text_fit.on_a_bar(short.sentences) == "Refining, 41 %, 8 s left"
    assert text_fit.on_a_bar(long.sentences) == "Preparing for the first run, 41 %"
    assert long.sentence == "preparing for the first run, 41 %, 2 min 5 s left"


def test_what_has_no_shorter_wording_ends_with_an_ellipsis(sidebar) -> None:
    said = text_fit.on_a_bar(["analysing " + "very " * 20 + "large photographs"])
    assert said.startswith("Analysing very")
    assert said.endswith("…")
    assert 0.8 * BAR_PX < text_fit.measure(said) <= 1.05 * BAR_PX  # the capital letter is wider


def test_a_sentence_is_wrapped_and_none_of_its_words_is_lost(sidebar) -> None:
    text = "The map is only 2.71 m wide; True Metres needs 480 m. Set Scale to Fit to Map."
    layout = paper.Layout()
    layout.scale_y = 1.0
    text_fit.wrapped(layout, text, "ERROR")
    assert " ".join(layout.lines) == text
    assert len(layout.lines) <= 3
    assert all(text_fit.measure(line) <= SIDEBAR_PX - text_fit.LABEL_MARGIN for line in layout.lines)
