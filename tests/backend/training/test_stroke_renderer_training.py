"""Training of the network that draws strokes: the strokes that it learns, its steps, resume, and what is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from backend.algorithms.painting.patch_scheme import BRUSHES, LEAST_RADIUS
from backend.models.stroke_renderer import SIDE
from backend.training import stroke_renderer
from backend.training.architectures.stroke_renderer import SHOWN, StrokeRendererParams, StrokeRenderers
from backend.training.data.random_strokes import alphas, shapes
from backend.training.loop import Limits, step_generator, train

SMALL = StrokeRendererParams(width=0.02, batch=6, scheme=0.0, rate=5e-3, length=30)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_strokes_are_uniform_or_as_the_scheme_begins_them() -> None:
    anything, begun = shapes(2000, 0.0, generator()), shapes(2000, 1.0, generator())
    assert float((anything.mean(0) - 0.5).abs().max()) < 0.03
    assert float(anything.min()) >= 0.0
    assert float(anything.max()) <= 1.0
    assert bool((begun[:, 8:] == 1).all())
    assert float(begun[:, 6:8].min()) >= LEAST_RADIUS
    assert float(begun[:, 6:8].max()) <= BRUSHES[0]
    thin = (begun[:, 6:8].amax(1) < BRUSHES[-1]).float().mean()
    assert float(thin) == pytest.approx(81 / 203, abs=0.05), "as many as the last pass has"
    length = (begun[:, 4:6] - begun[:, :2]).norm(dim=1).mean()
    assert float(length) < 0.3 < float((anything[:, 4:6] - anything[:, :2]).norm(dim=1).mean())
    mixed = (shapes(2000, 0.5, generator())[:, 8:] == 1).all(1).float().mean()
    assert float(mixed) == pytest.approx(0.5, abs=0.04)


def test_alphas_are_those_of_the_stroke() -> None:
    across = torch.tensor(
        [[0.5, 0.2, 0.5, 0.5, 0.5, 0.8, 0.25, 0.25, 1.0, 1.0], [0.5, 0.2, 0.5, 0.5, 0.5, 0.8, 0.25, 0.25, 0.0, 1.0]]
    )
    plain, fading = alphas(across, 0.0)
    assert plain.shape == (SIDE, SIDE)
    inside, outside = plain[60:68, 30:98], torch.cat([plain[:50], plain[78:]])
    assert bool((inside == 1).all())
    assert bool((outside == 0).all()), "the radius is 0.5 + 32 / 4 px"
    assert float(fading[64, 35]) < 0.3 < 0.7 < float(fading[64, 93])
    hairy, _ = alphas(across, 0.8)
    assert float(hairy.max()) <= 1.0
    assert float(hairy.min()) >= 0.0
    assert float(hairy.sum()) < 0.95 * float(plain.sum())
    assert float((hairy - plain).clamp_min(0).max()) < 1e-3, "hairs leave no paint beside the stroke"
    assert bool((alphas(across.flip(0), 0.8)[1] == hairy).all()), "a stroke has the same hairs wherever it stands"


def test_a_short_training_comes_nearer(tmp_path: Path) -> None:
    train(StrokeRenderers, SMALL, tmp_path, Limits(steps=30))
    first = StrokeRenderers(SMALL, torch.device("cpu"), step_generator(0, -1)).step(0, step_generator(0, 0))["loss"]
    last = json.loads((tmp_path / "stats.jsonl").read_text().splitlines()[-1])["loss"]
    assert last < 0.5 * float(first)
    with Image.open(tmp_path / "samples" / "step-00000030.png") as sheet:
        assert sheet.size == (SHOWN * SIDE, 3 * SIDE)
    with safe_open(tmp_path / "weights.safetensors", "pt") as file:
        about = json.loads(file.metadata()["relievo"])
    assert (about["model"], about["format"], about["settings"]["batch"]) == ("stroke-renderer", 1, 6)
    assert about["network"] == {"hidden": [10, 20, 41]}
    assert 0.0 < about["alpha_error"] < 0.5 < about["alpha_error_by_area"]


def test_a_run_in_legs_is_the_run_in_one_go(tmp_path: Path) -> None:
    whole, legs = tmp_path / "whole", tmp_path / "legs"
    train(StrokeRenderers, SMALL, whole, Limits(steps=4), seed=3)
    train(StrokeRenderers, SMALL, legs, Limits(steps=4, minutes=1e-9), seed=3)  # over after its first step
    assert (legs / "weights.safetensors").is_file(), "what an unfinished training has is of use"
    train(StrokeRenderers, SMALL, legs, Limits(steps=4), seed=3)
    assert (whole / "weights.safetensors").read_bytes() == (legs / "weights.safetensors").read_bytes()


def test_the_command_tells_its_settings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        stroke_renderer.main(["--dry-run", "--bristles", "0.5", "--steps", "7", "--out", str(tmp_path / "none")]) == 0
    )
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["bristles"], told["steps"], told["width"]) == ("stroke-renderer", 0.5, 7, 1.0)
    assert not (tmp_path / "none").exists()
    assert stroke_renderer.main(["--bristles", "2"]) == 2
    assert "bristles is 2" in capsys.readouterr().err
