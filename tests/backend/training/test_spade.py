"""SPADE-Terrain-GAN as a training: colours, the gate, flip route, losses, and runs that go on after a kill and a full disk."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from backend.cli import UsageError
from backend.commands import flags
from backend.models.shadow_generator import ShadowGenerator
from backend.models.vgg19 import Vgg19
from backend.ops.terrain.noise import NoiseField, Window, evaluate
from backend.training.architectures import perceptual
from backend.training.architectures.compact import Compact
from backend.training.architectures.gate import Gate
from backend.training.architectures.spade import Spade, SpadeModulated, SpadeParams, one_hot, turned
from backend.training.command_line import Choice, parsed
from backend.training.data import cielab, light, pack
from backend.training.loop import Limits, step_generator, train
from backend.training.terrain import ARCHITECTURES
from shared.classes import class_colors, nearest_class
from shared.errors import InvalidInput
from shared.terrain_classes import TERRAIN_CLASSES

ROOT = Path(__file__).resolve().parents[3]
SIDE = 64


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of one metric map of 140 x 150 px with colours and classes."""
    path = tmp_path_factory.mktemp("pack")
    field = NoiseField(wavelength_px=(50.0, 50.0), octaves=5, seed=3)
    ground = (900.0 + 900.0 * evaluate(field, Window(0, 0, 140, 150)).numpy()[0, 0]).astype(np.float32)
    classes = np.digitize(ground, (500.0, 800.0, 1100.0)).astype(np.uint8)
    color = (np.array([(20, 90, 160), (200, 180, 120), (90, 130, 70), (150, 140, 130)])[classes]).astype(np.uint8)
    region = pack.Region(
        name="here", scale="continental", split="train", pixel_size_m=5000.0, low_m=float(ground.min()),
        high_m=float(ground.max()), source="made in a test", grid="metric",
    )  # fmt: skip
    maps = pack.Maps(height=ground, valid=np.ones(ground.shape, bool), color=color, classes=classes)
    pack.write(path, [(region, maps)])
    return path


def settings(folder: Path, **values: object) -> SpadeParams:
    small: dict[str, object] = {"side": SIDE, "batch": 2, "width": 16, "hidden": 4, "judge_width": 4, "epoch": 3}
    return SpadeParams(data=str(folder), **{**small, **values})  # type: ignore[arg-type]


def test_the_palette_is_a_round_trip_and_any_list_of_classes_does() -> None:
    ours = [(entry.name, tuple(level / 255.0 for level in entry.color)) for entry in TERRAIN_CLASSES]
    for classes in (ours, ours[:2], [("one", (0.1, 0.2, 0.3)), ("two", (0.9, 0.8, 0.1))]):
        numbers = np.arange(len(classes), dtype=np.uint8)
        assert (nearest_class(class_colors(numbers, classes), classes) == numbers).all()


def test_lab_and_srgb_are_a_round_trip() -> None:
    levels = torch.linspace(0.0, 1.0, 18)
    color = torch.cartesian_prod(levels, levels, levels).T[None, :, :, None]
    lab = cielab.from_srgb(color)
    assert (cielab.to_srgb(lab) - color).abs().max() < 1.0 / 255.0
    white, black = lab[0, :, -1, 0], lab[0, :, 0, 0]
    torch.testing.assert_close(white, torch.tensor([1.0, 0.0, 0.0]), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(black, torch.tensor([-1.0, 0.0, 0.0]), atol=1e-3, rtol=0.0)
    red = cielab.from_srgb(torch.tensor([1.0, 0.0, 0.0]).reshape(1, 3, 1, 1)).flatten() * torch.tensor(
        [50, 110, 110]
    ) + torch.tensor([50, 0, 0])
    torch.testing.assert_close(red, torch.tensor([53.24, 80.09, 67.20]), atol=0.05, rtol=0.0)  # CIE's values


def test_the_gate_closes_from_two_and_opens_below_one_and_a_half() -> None:
    gate = Gate()
    seen = []
    for loss in (1.9, 2.0, 1.9, 1.5, 1.49, 1.99, 4.0):
        gate.see(loss)
        seen.append(gate.open)
    assert seen == [True, False, False, False, True, True, False]
    other = Gate()
    other.load_state_dict(gate.state_dict())
    assert not other.open
    other.reset()
    assert other.open


def test_the_flip_route_turns_maps_and_classes_together() -> None:
    classes = torch.arange(4).repeat(64, 1).repeat(1, 2)[None, :, :8].expand(64, -1, -1) % 4
    classes = classes[:, :8].clone()
    classes[:, 0] = 5
    raw = classes[:, None].expand(-1, 4, -1, -1).float()
    turned_raw, turned_classes = turned(raw, one_hot(classes), torch.Generator().manual_seed(1))
    assert torch.equal(turned_raw[:, 0].long(), turned_classes.argmax(1))
    still = (turned_classes == one_hot(classes)).flatten(1).all(1).float().mean()
    assert 0.1 < float(still) < 0.45  # a quarter


def test_light_of_the_shadow_generator_is_seen_and_the_flat_texture_has_none() -> None:
    """Lightness that falls with the differences of the heights is a hillshade from the north-west; the metric tells them apart."""
    network = ShadowGenerator()
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.zero_()
        for filter_, sign in ((0, 1.0), (1, -1.0)):
            network.conv.weight[filter_, :, 1, 1] = 8.0 * sign
            network.head.weight[0, filter_] = sign
    field = NoiseField(wavelength_px=(24.0, 24.0), octaves=4, seed=9)
    height = evaluate(field, Window(0, 0, 96, 96))
    raw = torch.cat([torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0)) * 0.2, height], dim=1)
    shade = light.lambert(torch.tanh(height) * 3.0)[0, 0].flatten()
    with torch.no_grad():
        flat, lit = torch.tanh(raw[:, 0]).flatten(), network(raw)[:, 0].flatten()
    assert abs(float(torch.corrcoef(torch.stack([flat, shade]))[0, 1])) < 0.1
    assert float(torch.corrcoef(torch.stack([lit, shade]))[0, 1]) > 0.6


def test_a_pair_of_discriminator_losses_begins_at_two(folder: Path) -> None:
    spade = Spade(settings(folder), torch.device("cpu"), step_generator(0, -1))
    with torch.no_grad():
        for tensor in spade._judges.parameters():
            tensor.zero_()
    losses = spade.step(0, step_generator(0, 0))
    assert float(losses["judges"]) == 4.0
    assert float(losses["learns"]) == 1.0
    waits = spade.step(1, step_generator(0, 1))
    assert float(waits["learns"]) == 0.0, "the last loss was 4"
    assert "straight" not in waits
    assert float(spade.step(3, step_generator(0, 3))["learns"]) == 1.0, "a new epoch"


def test_gradients_are_cut_per_tensor(folder: Path) -> None:
    spade = Spade(settings(folder), torch.device("cpu"), step_generator(0, -1))
    with torch.no_grad():
        spade._judges.networks[0][-1].weight.mul_(1e6)
    spade.step(0, step_generator(0, 0))
    norms = [float(tensor.grad.norm()) for tensor in spade._makers.parameters() if tensor.grad is not None]
    assert max(norms) == pytest.approx(100.0, rel=1e-3)
    assert sum(norm > 99.0 for norm in norms) > 1, "each by itself, not all together"


@pytest.mark.parametrize("kind", [Spade, SpadeModulated])
def test_a_training_in_legs_is_the_training_in_one_go(kind: type[Spade], folder: Path, tmp_path: Path) -> None:
    params = settings(folder)
    train(kind, params, tmp_path / "whole", Limits(steps=4), seed=2)
    for _ in range(4):
        train(kind, params, tmp_path / "legs", Limits(steps=4, minutes=1e-9), seed=2)
    whole, legs = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "legs"))
    assert all(torch.equal(legs[name], values) for name, values in whole.items())
    assert any(bool(values.float().abs().sum() > 0) for name, values in whole.items() if "noise" in name), (
        "noise is learned"
    )
    with Image.open(next((tmp_path / "whole" / "samples").iterdir())) as sheet:
        assert sheet.size == (6 * SIDE, 3 * SIDE)
    low, high = whole["heights_m"].tolist()
    region = pack.regions(folder)[0]
    assert (low, high) == pytest.approx((region.low_m, region.high_m))


LEGS = """
import os, resource, signal, sys
from pathlib import Path
import torch
from backend.training.architectures.spade import Spade, SpadeParams
from backend.training.loop import Limits, train
from shared.errors import StorageFull

torch.set_num_threads(1)
params = SpadeParams(data=sys.argv[1], side=64, batch=2, width=16, hidden=4, judge_width=4, epoch=3)
limit = int(sys.argv[2])
for folder, action in zip(sys.argv[3:], (signal.SIG_DFL, signal.SIG_IGN)):
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, action)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            train(Spade, params, Path(folder), Limits(steps=3, checkpoint_every=1), seed=2)
        except StorageFull as error:
            print(error, flush=True)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="the limit of a file's size is POSIX's")
def test_a_kill_and_a_full_disk_during_a_checkpoint_keep_the_last_good_one(folder: Path, tmp_path: Path) -> None:
    """One process dies at the middle byte of its second checkpoint, another is refused the space for the rest of it."""
    params, broken = settings(folder), (tmp_path / "killed", tmp_path / "full")
    train(Spade, params, tmp_path / "whole", Limits(steps=3), seed=2)
    for out in broken:
        train(Spade, params, out, Limits(steps=3, minutes=1e-9), seed=2)
    kept = [(out / "checkpoints" / "step-00000001.checkpoint").read_bytes() for out in broken]
    words = [str(folder), str(len(kept[0]) // 2), *map(str, broken)]
    done = subprocess.run([sys.executable, "-c", LEGS, *words], cwd=ROOT, capture_output=True, text=True)
    killed, said, full = done.stdout.splitlines()
    assert (killed, full) == (str(-signal.SIGXFSZ), "0"), done.stderr
    assert "could not be written" in said
    assert "continues from the last checkpoint" in said
    weights = load_file(tmp_path / "whole" / "weights.safetensors")
    for out, before in zip(broken, kept, strict=True):
        assert (out / "checkpoints" / "step-00000001.checkpoint").read_bytes() == before
        train(Spade, params, out, Limits(steps=3, checkpoint_every=1), seed=2)
        other = load_file(out / "weights.safetensors")
        assert all(torch.equal(other[name], values) for name, values in weights.items())
        assert (out / "stats.jsonl").read_text() == (tmp_path / "whole" / "stats.jsonl").read_text()


def test_without_vgg19_the_perceptual_loss_is_off_and_said_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("RELIEVO_WEIGHTS", "XDG_CACHE_HOME", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    assert not perceptual.load(torch.device("cpu"), 1e-3)
    assert "The perceptual loss is off" in caplog.text
    with pytest.raises(InvalidInput, match="begun with the perceptual loss"):
        perceptual.Perceptual(None).load_state_dict({"there": True})


def test_the_perceptual_loss_is_zero_for_the_same_map_and_has_a_gradient_for_another(folder: Path) -> None:
    torch.manual_seed(0)
    loss = perceptual.Perceptual(Vgg19("conv5_1"))
    one = torch.rand(1, 3, 32, 32) * 2.0 - 1.0
    assert float(loss(one, one).detach()) == 0.0
    other = one.flip(3).clone().requires_grad_(True)
    loss(other, one).backward()
    assert other.grad is not None
    assert float(other.grad.abs().sum()) > 0


def test_maps_without_colours_are_refused(folder: Path, tmp_path: Path) -> None:
    region = pack.regions(folder)[0]
    maps = pack.read(folder, region)
    pack.write(tmp_path, [(region, pack.Maps(height=maps.height, valid=maps.valid))])
    with pytest.raises(InvalidInput, match="without colours"):
        Spade(settings(tmp_path), torch.device("cpu"), step_generator(0, -1))


def test_settings_that_cannot_be_trained_leave_no_run_behind(folder: Path, tmp_path: Path) -> None:
    """Or the corrected command would be refused as another run."""
    with pytest.raises(InvalidInput, match="no regional map"):
        train(Spade, settings(folder, scale="regional"), tmp_path / "out" / "run", Limits(steps=1))
    assert not (tmp_path / "out").exists()


def test_the_command_offers_each_architecture_with_its_own_options() -> None:
    choice = Choice(command="terrain", name="architecture", help="", kinds=ARCHITECTURES)
    kind, options = parsed(choice, ["--width", "32", "--architecture", "spade", "--judge-rate", "0.01"])
    assert kind is Spade
    assert flags.given(options, flags.PARAM) == {"width": 32, "judge_rate": 0.01}
    assert parsed(choice, ["--width", "0.5"])[0] is Compact
    with pytest.raises(UsageError, match="choose from 'compact', 'spade', 'spade-modulated'"):
        parsed(choice, ["--architecture", "spaed"])
    with pytest.raises(UsageError, match="Unknown option --judge-rate"):
        parsed(choice, ["--judge-rate", "0.01"])
