"""`bench texture --part quality`: how near textures of ten samples are to them beside image quilting's, over several seeds.

Single seeds are chance: distances of one sample's textures differ by up to a factor of three, ours and quilting's alike. Means over
SEEDS are compared, and what each seed gave is kept. Quilts take longer than all else: they are kept in --runs and not laid again.

How much is chance in a sample itself, its halves show: their distance, and the share that one half has of the other.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SIDE, BLOCK_PX = 256, 36
SEEDS = (1, 2, 3)
TUNED = ("water", "sand", "bricks", "rock roughness", "straw")  # settings were chosen by looking at these
SEAM, COPIES, REPETITION = (0.9, 1.1), 0.05, 0.1
INSIDE, MOST_OUTSIDE = (0.025, 0.975), 0.125  # of the ranks of seams; 0.05 lie outside by chance
MEANT = ("held_out", "features", "perceptual", "copies", "repetition")
Row = dict[str, Any]


def part(options: argparse.Namespace) -> dict[str, Any]:
    from backend.measures import texture_statistics as measures
    from benchmarks.perceptual import PerceptualDistance
    from benchmarks.texture import SAMPLES, ours, sample

    features = options.data.parent / "features"
    perceptual = PerceptualDistance(features) if features.is_dir() else None
    rows, pictures = {}, []
    print(f"{'':<14}{'held-out':>18}{'features':>18}{'perceptual':>18}{'seams':>7}{'copies':>20}{'repeats':>20}")
    for name in SAMPLES:
        given = sample(options.data, name, SIDE)
        made = [ours(given, SIDE, seed=seed) for seed in SEEDS]
        quilts = [_quilt(options.runs / "quilts", name, given, seed) for seed in SEEDS]
        rows[name] = {
            "tuned on": name in TUNED,
            "repetition of the sample": measures.repetition(given, wraps=False),
            "copies of one half in the other": copies_of_halves(given),
            "perceptual of one half to the other": distance_of_halves(given, perceptual) if perceptual else None,
            "ours": _meant([{**_figures(one, given, perceptual, wraps=True), **_seams(one)} for one in made]),
            "quilting": _meant([_figures(one, given, perceptual, wraps=False) for one in quilts]),
        }
        _print_row(name, rows[name])
        pictures.append((given, made[0], quilts[0]))
    if options.sheet:
        _draw(pictures, options.sheet)
    return {"seeds": len(SEEDS), "samples": rows, **_verdict(rows)}


def copies_of_halves(given: np.ndarray) -> float:
    """The share of one half of a sample [3, h, w] that is copied from the other: what is alike without having been copied."""
    from backend.measures import texture_statistics as measures

    half = given.shape[2] // 2
    return measures.copied_share(given[:, :, :half], given[:, :, half:])


def distance_of_halves(given: np.ndarray, perceptual: Any) -> float:
    """The mean of the distances between upper and lower, left and right half of a sample [3, h, w]."""
    from benchmarks.texture import perceptual_distance

    rows, columns = (side // 2 for side in given.shape[1:])
    down = perceptual_distance(perceptual, given[:, :rows], given[:, rows:])
    across = perceptual_distance(perceptual, given[:, :, :columns], given[:, :, columns:])
    return (across + down) / 2


def _quilt(folder: Path, name: str, given: np.ndarray, seed: int) -> np.ndarray:
    from benchmarks.peers.quilting import quilt

    kept = folder / f"{name}-{seed}.npy"
    if not kept.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        np.save(kept, quilt(given, SIDE, block_px=BLOCK_PX, seed=seed))
    return np.load(kept)


def _figures(made: np.ndarray, given: np.ndarray, perceptual: Any, *, wraps: bool) -> Row:
    from backend.measures import texture_statistics as measures
    from backend.ops.patches.sliced_wasserstein import held_out_distance
    from benchmarks.texture import perceptual_distance

    return {
        "held_out": held_out_distance(np.ascontiguousarray(made, np.float32), given),
        "features": measures.feature_distance(made, given),
        "perceptual": perceptual_distance(perceptual, made, given) if perceptual else None,
        "copies": measures.copied_share(made, given),
        "repetition": measures.repetition(made, wraps=wraps),
    }


def _seams(made: np.ndarray) -> Row:
    """Down and across, of colours and of their gradient along the seam."""
    from backend.measures import texture_statistics as measures

    both = [(values, axis) for axis in (1, 2) for values in (made, np.diff(made, axis=3 - axis))]
    return {
        "seams": [measures.seam_ratio(values, axis) for values, axis in both],
        "seam_ranks": [measures.seam_rank(values, axis) for values, axis in both],
    }


def _meant(seeds: list[Row]) -> Row:
    """The means of what each seed gave, None where nothing was measured, and all of it."""
    row: Row = {key: None if seeds[0][key] is None else float(np.mean([one[key] for one in seeds])) for key in MEANT}
    if "seams" in seeds[0]:
        row["seam"] = float(np.mean([one["seams"] for one in seeds]))
    return {**row, "seeds": seeds}


def _print_row(name: str, row: Row) -> None:
    a, b = row["ours"], row["quilting"]

    def pair(key: str, form: str) -> str:
        return " / ".join("-" if who[key] is None else format(who[key], form) for who in (a, b))

    copies = f"{pair('copies', '.2f')} ({row['copies of one half in the other']:.2f})"
    repeats = f"{pair('repetition', '.2f')} ({row['repetition of the sample']:.2f})"
    print(f"{name:<14}{pair('held_out', '.4f'):>18}{pair('features', '.5f'):>18}{pair('perceptual', '.5f'):>18}{a['seam']:>7.2f}"
          f"{copies:>20}{repeats:>20}", flush=True)  # fmt: skip


def _verdict(rows: Mapping[str, Row]) -> dict[str, Any]:
    better = {key: _better(rows, key) for key in ("held_out", "features", "perceptual")}
    apart = {name: row for name, row in rows.items() if not row["tuned on"]}
    seams = [row["ours"]["seam"] for row in rows.values()]
    ranks = [rank for row in rows.values() for seed in row["ours"]["seeds"] for rank in seed["seam_ranks"]]
    outside = sum(not INSIDE[0] <= rank <= INSIDE[1] for rank in ranks)
    copies = [row["ours"]["copies"] for row in rows.values()]
    repeats = [row["ours"]["repetition"] - row["repetition of the sample"] for row in rows.values()]
    checks = {
        "better than quilting": (better, min(better["features"], better["perceptual"]) >= 8),
        "seam ratios": ((min(seams), max(seams)), SEAM[0] <= min(seams) and max(seams) <= SEAM[1]),
        "seam ratio, mean": (float(np.mean(seams)), SEAM[0] <= np.mean(seams) <= SEAM[1]),
        "seams unlike 95 % of the steps inside": (outside, outside <= MOST_OUTSIDE * len(ranks)),
        "copies, worst": (max(copies), max(copies) <= COPIES),
        "repetition over the sample's, worst": (max(repeats), max(repeats) <= REPETITION),
    }
    for what, (value, passed) in checks.items():
        print(f"  {what}: {value} {'ok' if passed else 'NOT reached'}")
    untuned = {key: _better(apart, key) for key in better}
    print(f"  better than quilting on the {len(apart)} samples that settings were not chosen on: {untuned}")
    return {
        "checks": {what: value for what, (value, _) in checks.items()},
        "seam ranks": len(ranks),
        "better than quilting, not tuned on": {"of": len(apart), **untuned},
        "reached": all(passed for _, passed in checks.values()),
    }


def _better(rows: Mapping[str, Row], key: str) -> int:
    return sum(row["ours"][key] < row["quilting"][key] for row in rows.values() if row["ours"][key] is not None)


def _draw(pictures: list[tuple[np.ndarray, ...]], path: Path) -> None:
    """Five samples a column: sample, ours, quilting."""
    gap, column = 6, 5
    wide = 3 * SIDE + 4 * gap
    sheet = Image.new("RGB", (wide * -(-len(pictures) // column), (SIDE + gap) * column + gap), "white")
    for number, row in enumerate(pictures):
        for place, values in enumerate(row):
            picture = Image.fromarray(
                (np.clip(values[:, :SIDE, :SIDE], 0, 1).transpose(1, 2, 0) * 255).round().astype(np.uint8)
            )
            sheet.paste(
                picture, (number // column * wide + gap + place * (SIDE + gap), gap + number % column * (SIDE + gap))
            )
    sheet.save(path, quality=88)
