"""`bench texture --part generator`: trained generators, how fast they make textures and how near those are to their samples.

The compact generator is trained on some samples that its settings were chosen by and on some that played no part in that, with the
default settings; what it makes is compared with its sample beside image quilting's, by the distances of the part `quality`. The
spatial GAN as published learns one of them. Trainings and their figures are kept in --runs and are not repeated, so that a long
one can be done before, in legs; `seconds.json` in a run's folder says how long it took, in seconds of one processor.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import RESULTS, machine_slug

ROOT = Path(__file__).resolve().parents[1]
TUNED: Mapping[str, tuple[str, ...]] = {  # settings that are not the default's, chosen by looking at these samples
    "sand": ("--structure", "0", "--side", "128", "--steps", "3500", "--length", "3500"),
    "rock roughness": ("--structure", "1", "--steps", "3000", "--length", "3000"),
    "bricks": ("--structure", "1", "--steps", "3000", "--length", "3000"),
}
HELD_OUT: Mapping[str, tuple[str, ...]] = {
    "grass": (),
    "pavement": (),
}  # default settings, which were not chosen by them
LEARNED = {**TUNED, **HELD_OUT}
PEERS = "sand"  # the sample that the spatial GAN learns
DISTANCES = {"held_out": ".4f", "features": ".5f", "perceptual": ".5f"}
BETTER = 4  # of five samples on which a trained generator is to be nearer than quilting, as in the part `quality`
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
    rows: dict[str, Any] = {}
    judge = _Judge(options.data)
    for name, settings in LEARNED.items():
        folder = options.runs / name
        _trained(folder, "compact", options.data, name, options.minutes, ["--no-estimate", *settings])
        rows[name] = {"tuned": name in TUNED, "minutes": _minutes(folder), **_figures(folder, name, judge)}
    kept = _kept() if options.kept else {}
    rows["spatial GAN"] = kept["rows"]["spatial GAN"] if kept else _spatial_gan(options, judge)
    _print(rows)
    speed = kept["mpx_per_s"] if kept else _speed(options.runs / PEERS / "weights.safetensors")
    for name, value in speed.items():
        print(f"  {name}: {value:.1f} Mpx/s")
    if options.sheet:
        draw(options, options.sheet)
    about = {"kept_from": kept["kept_from"]} if kept else {}
    return {"rows": rows, "mpx_per_s": speed, **about, **_verdict(rows, speed["generator"])}


def _figures(folder: Path, name: str, judge: _Judge) -> dict[str, Any]:
    """Distances of what a trained generator makes and of a quilt, kept beside the generator."""
    kept = folder / "figures.json"
    if not kept.is_file():
        found = {**judge.trained(folder, name), "quilting": judge.quilting(name)}
        kept.write_text(json.dumps(found), encoding="utf-8")
    return json.loads(kept.read_text(encoding="utf-8"))


def _kept() -> dict[str, Any]:
    """The newest kept result, with the machine and the day of what is taken from it."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in RESULTS.glob("texture-generator-*.json")]
    if not found:
        raise SystemExit("There is no kept result; without --kept everything is measured.")
    newest = max(found, key=lambda kept: kept["when"])
    result = newest["result"]
    return {"kept_from": f"{machine_slug(newest['machine'])}, {newest['when'][:10]}", **result}


def _spatial_gan(options: argparse.Namespace, judge: _Judge) -> dict[str, Any]:
    """The peer's row."""
    folder = options.runs / f"{PEERS}-spatial-gan"
    more = ["--z-size", "5", "--batch", "8", "--half"]
    _trained(folder, "spatial-gan", options.data, PEERS, options.peer_minutes, more)
    return {"minutes": _minutes(folder), **judge.trained(folder, PEERS)}


def _print(rows: Mapping[str, Any]) -> None:
    print(f"{'':<26}{'minutes':>8}" + "".join(f"{key + ' / quilting':>24}" for key in DISTANCES) + f"{'copies':>8}")
    for name, row in rows.items():
        title = name if "tuned" not in row else f"{name}, {'tuned' if row['tuned'] else 'held out'}"
        beside = row.get("quilting", {})
        pairs = (
            f"{format(row[key], form) if key in row else '-'} / {format(beside[key], form) if key in beside else '-'}"
            for key, form in DISTANCES.items()
        )
        print(
            f"{title:<26}{row['minutes']:>8.1f}" + "".join(f"{pair:>24}" for pair in pairs) + f"{row['copies']:>8.2f}"
        )


def _verdict(rows: Mapping[str, Any], mpx_per_s: float) -> dict[str, Any]:
    """The claims: nearer to the samples than quilting by the looks of pictures, than the spatial GAN, in time, and fast."""
    ours, theirs = rows[PEERS], rows["spatial GAN"]
    nearer = {
        name: all(rows[name][key] < rows[name]["quilting"][key] for key in ("features", "perceptual"))
        for name in LEARNED
    }
    checks = {
        "nearer than quilting": (nearer, sum(nearer.values()) >= BETTER),
        "nearer than the spatial GAN": (None, all(ours[key] < theirs[key] for key in ("held_out", "features"))),
        "minutes of training, most": (
            longest := max(rows[name]["minutes"] for name in LEARNED),
            longest <= MOST_MINUTES,
        ),
        "Mpx/s": (mpx_per_s, mpx_per_s >= LEAST_MPX_S),
    }
    for what, (value, passed) in checks.items():
        print(f"  {what}: {'' if value is None else value} {'ok' if passed else 'NOT reached'}")
    return {
        "nearer_than_quilting": nearer,
        "better_than_the_spatial_gan": checks["nearer than the spatial GAN"][1],
        "reached": all(passed for _, passed in checks.values()),
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
    before = _processor_s()
    subprocess.run(command, cwd=ROOT, check=True)
    (folder / "seconds.json").write_text(json.dumps(_processor_s() - before))


def _processor_s() -> float:
    """Seconds of a processor that finished processes have taken: unlike the clock's, not more where others use the machine."""
    import resource  # there is none on Windows

    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    return spent.ru_utime + spent.ru_stime


def _minutes(folder: Path) -> float:
    return json.loads((folder / "seconds.json").read_text()) / 60


class _Judge:
    """Distances of pictures to the samples in a folder."""

    def __init__(self, data: Path) -> None:
        from benchmarks.perceptual import PerceptualDistance

        self._data = data
        features = data.parent / "features"
        self._perceptual = PerceptualDistance(features) if features.is_dir() else None

    def trained(self, folder: Path, name: str) -> dict[str, Any]:
        """Means over a few textures of the generator in a folder of a training."""
        return self._means(name, [picture(folder / "weights.safetensors", SIDE, seed) for seed in SEEDS])

    def quilting(self, name: str) -> dict[str, Any]:
        """The same of one quilt, as in the part `quality`."""
        from benchmarks.peers.quilting import quilt
        from benchmarks.texture import sample
        from benchmarks.texture_quality import BLOCK_PX

        given = sample(self._data, name, SIDE)
        return self._means(name, [quilt(given, SIDE, block_px=BLOCK_PX, seed=1)])

    def _means(self, name: str, pictures: Sequence[np.ndarray]) -> dict[str, Any]:
        from backend.measures import texture_statistics as measures
        from backend.ops.patches.sliced_wasserstein import held_out_distance
        from benchmarks.texture import perceptual_distance, sample

        given = sample(self._data, name, SIDE)
        found = []
        for made in (np.ascontiguousarray(values, np.float32) for values in pictures):
            one: dict[str, Any] = {
                "held_out": held_out_distance(made, given),
                "features": measures.feature_distance(made, given),
                "copies": measures.copied_share(made, given),
                "seams": [measures.seam_ratio(made, axis) for axis in (1, 2)],
            }
            if self._perceptual:
                one["perceptual"] = perceptual_distance(self._perceptual, made, given)
            found.append(one)
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
    """Each sample beside a texture of twice its side, and the spatial GAN's where it has been trained."""
    from benchmarks.texture import sample

    gap, tall = 6, 2 * SIDE
    rows = [(name, name) for name in LEARNED] + [(PEERS, f"{PEERS}-spatial-gan")]
    rows = [(name, run) for name, run in rows if (options.runs / run / "weights.safetensors").is_file()]
    sheet = Image.new("RGB", ((SIDE + tall + 3 * gap) * 2, (tall + gap) * -(-len(rows) // 2) + gap), "white")
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
