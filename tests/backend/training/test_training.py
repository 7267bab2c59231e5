"""The training loop on a toy model, end to end: it learns, ends on time, resumes to the same curve, survives kills at any byte."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from backend.training import checkpoints
from backend.training.loop import Limits, train
from backend.training.run_folder import RunFolder
from shared.errors import InvalidInput
from tests.support.toy_training import Toy, ToyParams

ROOT = Path(__file__).resolve().parents[3]
COMMAND = [sys.executable, "-m", "tests.support.toy_training", "--quiet"]
ENVIRON = {**os.environ, "OMP_NUM_THREADS": "1"}


def curve(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / "stats.jsonl").read_text().splitlines()
    return [(entry["step"], entry["loss"]) for entry in map(json.loads, lines)]


def run(folder: Path, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [*COMMAND, "--out", str(folder), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, env=ENVIRON, capture_output=True, text=True, **options)  # type: ignore[call-overload]


@pytest.fixture(scope="module")
def in_one_go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    torch.set_num_threads(1)
    train(Toy, ToyParams(), folder, Limits(steps=300, checkpoint_every=40), seed=5)
    return folder


def test_it_learns_and_leaves_all_that_belongs_to_a_run(in_one_go: Path) -> None:
    losses = [loss for _, loss in curve(in_one_go)]
    assert losses[-1] < 0.25 * losses[0]
    assert [step for step, _ in curve(in_one_go)] == list(range(10, 301, 10))
    weights = load_file(in_one_go / "weights.safetensors")
    assert weights["0.weight"].shape == (48, 2)
    card = (in_one_go / "card.md").read_text()
    assert "GPL-3.0-or-later" in card
    assert "| steps | 300 |" in card
    with Image.open(in_one_go / "samples" / "step-00000300.png") as sheet:
        assert sheet.size == (64, 32)
    assert json.loads((in_one_go / "config.json").read_text())["seed"] == 5
    assert len(list((in_one_go / "checkpoints").iterdir())) == checkpoints.KEPT


def test_legs_make_the_same_curve_and_weights(in_one_go: Path, tmp_path: Path) -> None:
    limits = Limits(steps=300, minutes=1e-9, checkpoint_every=1000)
    for expected in (1, 2, 3):
        assert train(Toy, ToyParams(), tmp_path, limits, seed=5).last_step == expected
    assert train(Toy, ToyParams(), tmp_path, Limits(steps=300, checkpoint_every=70), seed=5).finished
    assert curve(tmp_path) == curve(in_one_go)
    one, other = (load_file(folder / "weights.safetensors") for folder in (in_one_go, tmp_path))
    assert all(torch.equal(one[name], other[name]) for name in one)


KILLED_AT = """
import os, resource, signal, sys
from pathlib import Path
import torch
from backend.training.loop import Limits, train
from tests.support.toy_training import Toy, ToyParams

torch.set_num_threads(1)
folder, bytes_written, minutes = Path(sys.argv[1]), [int(word) for word in sys.argv[2:]], 1e-9
limits = Limits(steps=44, checkpoint_every=2)
for number, limit in enumerate(bytes_written):
    child = os.fork()
    if not child:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        train(Toy, ToyParams(width=1500), folder, limits)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    if number % 4 == 0:  # two steps between, so that there is something to lose
        for _ in range(2):
            train(Toy, ToyParams(width=1500), folder, Limits(steps=44, checkpoint_every=2, minutes=1e-9))
print(train(Toy, ToyParams(width=1500), folder, limits).last_step)
"""


def test_kills_at_random_bytes_of_a_checkpoint_lose_nothing(tmp_path: Path) -> None:
    """The system kills the process at exactly the n-th byte of a file that it writes (SIGXFSZ), twenty times."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    torch.set_num_threads(1)
    train(Toy, ToyParams(width=1500), whole, Limits(steps=44, checkpoint_every=2))
    size = max(path.stat().st_size for path in (whole / "checkpoints").iterdir())
    rng = random.Random(3)
    places = [str(rng.randrange(4000, size)) for _ in range(20)]
    command = [sys.executable, "-c", KILLED_AT, str(killed), *places]
    done = subprocess.run(command, cwd=ROOT, env=ENVIRON, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(-signal.SIGXFSZ)] * 20 + ["44"]
    assert curve(killed) == curve(whole)
    one, other = (load_file(folder / "weights.safetensors") for folder in (whole, killed))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_saves_the_step_that_was_reached(number: signal.Signals, tmp_path: Path) -> None:
    command = [*COMMAND, "--out", str(tmp_path), "--steps", "1000000", "--checkpoint-every", "1000000"]
    process = subprocess.Popen(command, cwd=ROOT, env=ENVIRON, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not (tmp_path / "stats.jsonl").is_file() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(number)
    _, printed = process.communicate(timeout=60)
    assert process.returncode == 130, printed
    assert "Run the same command again" in printed
    found = checkpoints.newest(tmp_path / "checkpoints")
    assert found is not None
    assert found[0] >= 10


class Interrupted(Toy):
    """Ctrl-C as many times as `presses` in the middle of the tenth step: the network has moved, the step is not done."""

    presses = 1

    def step(self, number: int, generator: torch.Generator) -> Mapping[str, torch.Tensor]:
        losses = super().step(number, generator)
        for _ in range(self.presses if number == 9 else 0):
            signal.raise_signal(signal.SIGINT)
        return losses


class InterruptedTwice(Interrupted):
    presses = 2


@pytest.mark.parametrize(("kind", "saved"), [(Interrupted, 10), (InterruptedTwice, 9)])
def test_no_step_is_saved_by_half_unless_ctrl_c_is_pressed_twice(
    kind: type[Toy], saved: int, in_one_go: Path, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(kind, ToyParams(), tmp_path, Limits(steps=300), seed=5)
    found = checkpoints.newest(tmp_path / "checkpoints")
    assert found is not None
    assert found[0] == saved
    train(Toy, ToyParams(), tmp_path, Limits(steps=300), seed=5)
    assert (curve(tmp_path) == curve(in_one_go)) == (saved == 10)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_spoiled_checkpoint_is_passed_over_and_all_spoiled_is_told(tmp_path: Path) -> None:
    train(Toy, ToyParams(), tmp_path, Limits(steps=8, checkpoint_every=4), seed=1)
    older, newer = sorted((tmp_path / "checkpoints").iterdir())
    content = bytearray(newer.read_bytes())
    content[len(content) // 2] ^= 1
    newer.write_bytes(content)
    found = checkpoints.newest(tmp_path / "checkpoints")
    assert found is not None
    assert found[0] == 4
    older.write_bytes(older.read_bytes()[:100])
    with pytest.raises(InvalidInput, match="None of the 2 checkpoints"):
        checkpoints.newest(tmp_path / "checkpoints")


def test_a_folder_of_another_run_is_refused(in_one_go: Path) -> None:
    done = run(in_one_go, "--steps", 300, "--seed", 6)
    assert done.returncode == 2
    assert "seed is 5 there and 6 here" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dry_run_tells_the_configuration_and_makes_nothing(tmp_path: Path) -> None:
    done = run(tmp_path / "none", "--dry-run", "--width", 7, "--minutes", 9)
    printed = json.loads(done.stdout)
    assert (printed["width"], printed["minutes"], printed["device"]) == (7, 9.0, "cpu")
    assert not (tmp_path / "none").exists()


def test_wrong_settings_are_told_in_a_sentence(tmp_path: Path) -> None:
    for words, sentence in ((("--width", 0), "width is 0"), (("--widht", 3), "--width"), (("--steps", 0), "--steps")):
        done = run(tmp_path, *words)
        assert done.returncode == 2
        assert sentence in done.stderr
        assert "Traceback" not in done.stderr


def test_a_half_line_of_stats_is_dropped(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path, {"a": 1})
    folder.log(10, {"loss": 1.0})
    with open(tmp_path / "stats.jsonl", "a") as file:
        file.write('{"step": 20, "lo')
    assert folder.stats() == [{"step": 10, "loss": 1.0}]
    folder.rewind(11)
    assert (tmp_path / "stats.jsonl").read_text() == '{"step": 10, "loss": 1.0}\n'
