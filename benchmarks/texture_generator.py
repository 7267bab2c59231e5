"""`bench texture --part generator`: trained generators, how fast they make textures and how near those are to their samples.

The compact generator is trained on each of three samples, beside the spatial GAN as published on one of them. Trainings are kept in
--runs and are not repeated, so that a long one can be done before, in legs; `seconds.json` in a run's folder says how long it took.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
LEARNED = {  # settings that are not the default's
    "sand": ("--structure", "0", "--side", "128", "--steps", "3500", "--length", "3500"),
    "rock": ("--structure", "1", "--steps", "3000", "--length", "3000"),
    "bricks": ("--structure", "1", "--steps", "3000", "--length", "3000"),
}
PEERS = "sand"  # the sample that the spatial GAN learns
SIDE, WIDE, TIMES = 256, 2048, 9
MOST_MINUTES, LEAST_MPX_S = 15.0, 20.0
SEEDS = (1, 2, 3)
CHILD = """
import json, sys, time
import numpy as np
import backend
file, side, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
from pathlib import Path
import torch
from backend.algorithms.textures import trained
from backend.algorithms.textures.decoding import Decoder
from backend.runtime import weights
loaded = weights.load_trained(Path(file))
device = torch.device("cpu")
generator = trained.load(loaded.tensors, loaded.about, device)
decoder = Decoder(generator.channels, device, drop=loaded.about.get("estimated", ()))
place = trained.Place(side, side, (side, side), 1)
def seconds(work):
    work()
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return min(found)
made = {"generator": seconds(lambda: trained.generate(generator, place, decoder, 2))}
for name, estimate in (("run, colours", False), ("run, all maps", True)):
    settings = {"width": side, "height": side, "estimate": estimate, "device": "cpu"}
    made[name] = seconds(lambda: backend.run("texture", model=file, seed=1, **settings))
print(json.dumps({name: side * side / spent / 1e6 for name, spent in made.items()}))
"""


def part(options: argparse.Namespace) -> dict[str, Any]:
    """The result, "reached" among it."""
    runs = options.runs
    rows: dict[str, Any] = {}
    for name, settings in LEARNED.items():
        folder = runs / name
        _trained(folder, "compact", options.data, name, options.minutes, ["--no-estimate", *settings])
        rows[name] = {"minutes": _minutes(folder), **_quality(folder, options.data, name)}
    peer = runs / f"{PEERS}-spatial-gan"
    more = ["--z-size", "5", "--batch", "8", "--half"]
    _trained(peer, "spatial-gan", options.data, PEERS, options.peer_minutes, more)
    rows["spatial GAN"] = {"minutes": _minutes(peer), **_quality(peer, options.data, PEERS)}
    print(f"{'':<14}{'minutes':>10}{'held-out':>12}{'features':>12}{'copies':>10}{'seams':>16}")
    for name, row in rows.items():
        seams = " ".join(f"{value:.2f}" for value in row["seams"])
        print(
            f"{name:<14}{row['minutes']:>10.1f}{row['held_out']:>12.4f}{row['features']:>12.5f}{row['copies']:>10.2f}{seams:>16}"
        )
    speed = _speed(runs / PEERS / "weights.safetensors")
    for name, value in speed.items():
        print(f"  {name}: {value:.1f} Mpx/s")
    if options.sheet:
        draw(options, options.sheet)
    ours, theirs = rows[PEERS], rows["spatial GAN"]
    better = ours["held_out"] < theirs["held_out"] and ours["features"] < theirs["features"]
    reached = better and max(rows[name]["minutes"] for name in LEARNED) <= MOST_MINUTES
    return {
        "rows": rows,
        "mpx_per_s": speed,
        "better_than_the_spatial_gan": better,
        "reached": bool(reached and speed["generator"] >= LEAST_MPX_S),
    }


def _trained(
    folder: Path, architecture: str, data: Path, name: str, minutes: float, more: list[str] | None = None
) -> None:
    """Trains until it is finished or the minutes are over, unless that has been done."""
    if (folder / "weights.safetensors").is_file():
        return
    pictures = folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    from benchmarks.texture import sample

    values = sample(data, name, SIDE).transpose(1, 2, 0)
    Image.fromarray((values * 255).round().clip(0, 255).astype(np.uint8)).save(pictures / f"{name}.png")
    command = [
        sys.executable,
        "-m",
        "backend.training.texture",
        "--architecture",
        architecture,
        "--data-dir",
        str(pictures),
    ]
    command += ["--out", str(folder), "--minutes", str(minutes), "--quiet", *(more or [])]
    began = time.perf_counter()
    subprocess.run(command, cwd=ROOT, check=True)
    (folder / "seconds.json").write_text(json.dumps(time.perf_counter() - began))


def _minutes(folder: Path) -> float:
    return json.loads((folder / "seconds.json").read_text()) / 60


def _quality(folder: Path, data: Path, name: str) -> dict[str, Any]:
    """Means over a few textures."""
    from backend.measures import texture_statistics as measures
    from backend.ops.patches.sliced_wasserstein import held_out_distance
    from benchmarks.texture import sample

    given = sample(data, name, SIDE)
    found = []
    for seed in SEEDS:
        made = picture(folder / "weights.safetensors", SIDE, seed)
        found.append({
            "held_out": held_out_distance(made, given),
            "features": measures.feature_distance(made, given),
            "copies": measures.copied_share(made, given),
            "seams": [measures.seam_ratio(made, axis) for axis in (1, 2)],
        })  # fmt: skip
    return {key: np.mean([one[key] for one in found], axis=0).tolist() for key in found[0]}


def picture(file: Path, side: int, seed: int) -> np.ndarray:
    """Colours [3, side, side] sRGB of a trained generator, through the public call."""
    import backend
    from shared import texture_set
    from shared.srgb import linear_to_srgb

    made = backend.run("texture", model=str(file), width=side, height=side, estimate=False, seed=seed, device="cpu")
    colors = linear_to_srgb(np.clip(texture_set.split(made["material"])["base_color"], 0, 1))
    return np.ascontiguousarray(colors.transpose(2, 0, 1), np.float32)


def _speed(file: Path) -> dict[str, float]:
    """Mpx per second on two threads, in a process of its own; the best of TIMES, for what others do on the machine only adds."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(file), str(WIDE), str(TIMES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.strip().splitlines()[-1])


def draw(options: argparse.Namespace, path: Path) -> None:
    """Each sample beside a texture of twice its side, and the spatial GAN's."""
    from benchmarks.texture import sample

    gap, tall = 6, 2 * SIDE
    rows = [(name, name) for name in LEARNED] + [(PEERS, f"{PEERS}-spatial-gan")]
    sheet = Image.new("RGB", ((SIDE + tall + 3 * gap) * 2, (tall + gap) * 2 + gap), "white")
    for number, (name, run) in enumerate(rows):
        left, top = number % 2 * (SIDE + tall + 3 * gap) + gap, number // 2 * (tall + gap) + gap
        pictures = (
            sample(options.data, name, SIDE)[:, :SIDE, :SIDE],
            picture(options.runs / run / "weights.safetensors", tall, 1),
        )
        for values, place in zip(pictures, (left, left + SIDE + gap), strict=True):
            levels = (np.clip(values, 0, 1).transpose(1, 2, 0) * 255).round().astype(np.uint8)
            sheet.paste(Image.fromarray(levels), (place, top))
    sheet.save(path, quality=88)
