"""A trained network in place of the renderer: its blending and gradients, the painting, and files that are refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import backend
from backend.algorithms.painting.patch_renderers import AnalyticRenderer, NetworkRenderer
from backend.models.stroke_renderer import StrokeRenderer, initialise
from backend.runtime import threads
from shared.arrays import COLOR_IMAGE, Array
from shared.errors import InvalidInput, InvalidParameter

CPU = torch.device("cpu")
HIDDEN = (12, 16, 20)


def network(seed: int = 0) -> StrokeRenderer:
    made = StrokeRenderer(HIDDEN)
    initialise(made, torch.Generator().manual_seed(seed))
    return made


def numbers(patches: int, budget: int) -> torch.Tensor:
    return torch.rand(patches, budget, 13, generator=torch.Generator().manual_seed(4))


def test_strokes_are_blended_in_their_order_and_those_that_are_not_kept_leave_no_paint() -> None:
    drawn, strokes = network(), numbers(2, 3)
    base = torch.rand(2, 128, 128, 3, generator=torch.Generator().manual_seed(5))
    kept = torch.tensor([[True, True, True], [True, False, True]])
    made = NetworkRenderer(drawn, CPU).patches(strokes, kept, base)
    for patch in range(2):
        expected = base[patch]
        for stroke in range(3):
            if kept[patch, stroke]:
                alpha = drawn(strokes[patch, stroke, None, :10])[0, ..., None]
                expected = expected * (1 - alpha) + alpha * strokes[patch, stroke, 10:]
        torch.testing.assert_close(made[patch], expected, atol=1e-6, rtol=0)


def test_gradients_go_through_the_network() -> None:
    renderer = NetworkRenderer(network().double(), CPU)
    strokes, kept, base = (
        numbers(1, 2).double(),
        torch.ones(1, 2, dtype=torch.bool),
        torch.zeros(1, 128, 128, 3).double(),
    )
    weight = torch.rand(1, 128, 128, 3, generator=torch.Generator().manual_seed(6)).double()

    def loss(values: torch.Tensor) -> torch.Tensor:
        return (renderer.patches(values, kept, base) * weight).sum()

    own = strokes.clone().requires_grad_(True)
    loss(own).backward()
    assert own.grad is not None
    for place in ((0, 0, 0), (0, 0, 3), (0, 1, 6), (0, 1, 9), (0, 0, 12)):
        step = torch.zeros_like(strokes)
        step[place] = 1e-6
        slope = float(loss(strokes + step) - loss(strokes - step)) / 2e-6
        assert float(own.grad[place]) == pytest.approx(slope, rel=1e-3, abs=1e-6)


def test_parts_of_patches_come_in_their_order_whatever_the_threads() -> None:
    renderer, strokes = NetworkRenderer(network(), CPU), numbers(5, 2)
    kept, base, seen = torch.ones(5, 2, dtype=torch.bool), torch.zeros(5, 128, 128, 3), []
    made = []
    for count in (1, 2):
        with threads.using(count):
            parts = renderer.each(
                lambda part: renderer.patches(strokes[part], kept[part], base[part]), 5, lambda *at: seen.append(at)
            )
        made.append(torch.cat(parts))
    assert bool((made[0] == made[1]).all())
    torch.testing.assert_close(made[0], renderer.patches(strokes, kept, base))
    assert seen[0] == (0, 5)
    (whole,) = AnalyticRenderer().each(lambda part: torch.arange(5)[part], 5, lambda *at: None)
    assert whole.tolist() == [0, 1, 2, 3, 4]


# In the engine ------------------------------------------------------------------------------------------------------


ABOUT = {"model": "stroke-renderer", "format": 1, "network": {"hidden": HIDDEN}}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("model") / "weights.safetensors", ABOUT)


def written(path: Path, about: dict[str, Any], **changes: torch.Tensor) -> Path:
    tensors = {name: tensor.contiguous() for name, tensor in network().state_dict().items()}
    save_file(tensors | changes, path, {"relievo": json.dumps(about)})
    return path


def picture() -> Array:
    rows, columns = np.mgrid[0:96, 0:110] / 110
    return Array(COLOR_IMAGE, np.stack([rows, columns, 0.5 * rows], axis=2).astype(np.float32))


def paint(file: Path | str, **values: Any) -> dict[str, Array]:
    small = {"image": picture(), "preset": "de-guevara-2023", "steps": 1, "impasto": 0.0, "device": "cpu"}
    return backend.run("paint", **{**small, **values}, model=str(file))


def test_the_scheme_paints_with_a_network(file: Path) -> None:
    made, other = paint(file, seed=1), paint("", seed=1)
    again = paint(file, seed=1)
    assert made["painting"].values.shape == (96, 110, 3)
    assert (made["painting"].values == again["painting"].values).all()
    assert len(made["strokes"].values) == len(other["strokes"].values) == 203
    assert np.abs(made["painting"].values - other["painting"].values).mean() > 0.01


def test_a_network_without_patches_is_refused(file: Path) -> None:
    strokes = paint("")["strokes"]
    for values in ({"method": "canvas"}, {"image": None, "strokes": strokes}):
        with pytest.raises(InvalidParameter, match="only where an image is painted in patches") as caught:
            paint(file, **values)
        assert caught.value.field == "model"
        assert caught.value.hint


def test_files_that_hold_no_renderer_are_refused(file: Path, tmp_path: Path) -> None:
    cut, other, newer, strange, endless = (tmp_path / f"{name}.safetensors" for name in "abcde")
    cut.write_bytes(file.read_bytes()[:-40])
    written(other, {**ABOUT, "model": "texture"})
    written(newer, {**ABOUT, "format": 2})
    written(strange, {**ABOUT, "network": {"hidden": (12, 16, 24)}})
    written(endless, ABOUT, **{"conv.0.bias": torch.full((32,), torch.nan)})
    for path, said in (
        (tmp_path / "none", "There is no file"), (cut, "damaged"), (other, "'texture', which draws no strokes"),
        (newer, "format 2, and this version of Relievo reads 1"), (strange, "do not fit together"), (endless, "not finite"),
    ):  # fmt: skip
        with pytest.raises(InvalidInput, match=said) as caught:
            paint(path)
        assert caught.value.hint, path
        assert caught.value.field == "model", path
