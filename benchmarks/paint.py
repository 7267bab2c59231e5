"""Claim: a painting of a few thousand strokes is near the photograph within seconds on two cores, and keeps to its segments.

Five parts. `quality`: all photographs at 512 x 512 beside Hertzmann's brush strokes: how near, how fast, what leaves its segment,
borders of patches, painted again at four times the size. `kinds`: 4,000 strokes by kind of picture against what de Guevara et
al. 2023 state, and 1,600 strokes at 1024 x 1024. `renderer`: a small stroke's time for a step against their network (random
numbers: its time does not depend on them) and against the same curves evaluated patch by patch; accuracy against 64 x 64 samples.
`scheme`: equal strokes against their scheme on our renderer (preset de-guevara-2023). `size`: 2048 x 2048, time and memory.
--sheet FILE draws photographs, segments, paintings and their relief instead. Needs the photographs beside the repository
(../shared/data) or --data.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.machine import describe_machine, print_machine, save_result
from shared.arrays import COLOR_IMAGE, Array
from shared.srgb import linear_to_srgb, srgb_to_linear

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "photos"
# What de Guevara et al. 2023 state for the mean absolute error of 4,000 strokes at 512 x 512, by kind of picture.
STATED = {"objects": 0.038, "buildings": 0.026, "streets": 0.031, "animals": 0.016}
KINDS: Mapping[str, tuple[str, ...]] = {
    "objects": ("kodak/kodim03.png", "skimage/rocket.jpg"),
    "buildings": ("kodak/kodim01.png", "kodak/kodim19.png", "misc/sbp_building.png"),
    "streets": ("misc/sbp_paris_river.png", "kodak/kodim05.png"),
    "animals": ("kodak/kodim23.png", "skimage/chelsea.png"),
}
OTHERS = (
    "kodak/kodim07.png", "kodak/kodim09.png", "kodak/kodim11.png", "kodak/kodim13.png", "kodak/kodim15.png",
    "kodak/kodim17.png", "kodak/kodim21.png", "skimage/astronaut.png",
)  # fmt: skip
PHOTOGRAPHS = (*(name for names in KINDS.values() for name in names), *OTHERS)
SIDE = 512
QUICK = {"budget": 5300, "preset": "realistic", "steps": 30, "bristles": 0.0, "impasto": 0.0}  # a third of the style's
LONG = {**QUICK, "steps": 240}
MOST_MEAN = 0.026
TARGETS = {"quick": (27.5, 8.0), "long": (29.0, 20.0)}  # dB, s
PITCH = 108  # px between the patches of de Guevara et al.
REGIONS = 24
SMALL_PX = 4.0  # radius of a small stroke
CHILD = """
import json, resource, sys, time
import numpy as np
import backend
from shared.arrays import COLOR_IMAGE, Array
values = np.load(sys.argv[1])
backend.run("paint", image=Array(COLOR_IMAGE, values[:64, :64].copy()), device="cpu", budget=50, steps=2)
began = time.perf_counter()
backend.run("paint", image=Array(COLOR_IMAGE, values), device="cpu", seed=1, **json.loads(sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps({"seconds": time.perf_counter() - began, "peak_gib": peak / 2**30}))
"""


def main(argv: list[str] | None = None) -> int:
    """Print the tables and keep the result; 0 when everything asked for is reached, else 1."""
    parts: Mapping[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
        "quality": quality, "kinds": kinds, "renderer": renderer, "scheme": scheme, "size": size,
    }  # fmt: skip
    parser = argparse.ArgumentParser(prog="relievo.py bench paint", description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("--part", choices=(*parts, "all"), default="all")
    parser.add_argument("--data", type=Path, default=DATA, help="folder of the photographs")
    parser.add_argument("--only", type=int, metavar="N", help="the first N photographs, to try it out; keeps no result")
    parser.add_argument("--sheet", type=Path, help="draw paintings in all styles to this file, measure nothing")
    options = parser.parse_args(argv)
    if not options.data.is_dir():
        print(f"There is no folder {options.data}; --data names the folder of the photographs.")
        return 2
    if options.sheet:
        from benchmarks import paint_sheet

        paint_sheet.draw(options.sheet, options.data)
        return 0
    machine = describe_machine()
    print_machine(machine)
    ours(np.random.default_rng(0).random((64, 64, 3)), budget=40, steps=2)  # compiles
    reached = True
    for name, part in parts.items():
        if options.part in (name, "all"):
            result = part(options)
            reached = reached and result["reached"]
            kept = "not kept" if options.only else save_result(f"paint-{name}", result, machine).name
            print(f"{kept}: {'reached' if result['reached'] else 'NOT reached'}")
    return 0 if reached else 1


def photograph(data: Path, name: str, side: int = SIDE) -> np.ndarray:
    """The middle of a photograph, sRGB 0..1 [side, side, 3]."""
    picture = Image.open(data / name).convert("RGB")
    least = min(picture.size)
    left, top = (picture.width - least) // 2, (picture.height - least) // 2
    square = picture.crop((left, top, left + least, top + least)).resize((side, side), Image.Resampling.LANCZOS)
    return np.asarray(square, np.float64) / 255


def ours(picture: np.ndarray, **settings: Any) -> tuple[np.ndarray, Array, float]:
    """Through the public call: the painting in sRGB, its strokes, and seconds."""
    import backend

    image = Array(COLOR_IMAGE, srgb_to_linear(picture).astype(np.float32))
    began = time.perf_counter()
    made = backend.run("paint", image=image, device="cpu", **{"seed": 1, **settings})
    spent_s = time.perf_counter() - began
    return encoded(made["painting"]), made["strokes"], spent_s


def encoded(painting: Array) -> np.ndarray:
    return linear_to_srgb(np.clip(painting.values.astype(np.float64), 0, 1))


def psnr(made: np.ndarray, picture: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(made - picture).mean()))


def mean_error(made: np.ndarray, picture: np.ndarray) -> float:
    return float(np.abs(made - picture).mean())


def quality(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.peers import hertzmann

    rows: dict[str, Any] = {}
    print(f"{'':<26}{'L1':>8}{'dB':>8}{'s':>7}{'long':>8}{'s':>7}{'Hertzmann':>13}{'leak %':>8}{'borders':>9}{'4x':>7}")
    for name in PHOTOGRAPHS[: options.only]:
        picture = photograph(options.data, name)
        quick, strokes, quick_s = ours(picture, **QUICK)
        long, _, long_s = ours(picture, **LONG)
        peer, count = hertzmann.paint(picture, len(strokes.values), turns=5)
        row = {
            "strokes": len(strokes.values), "quick": {"db": psnr(quick, picture), "l1": mean_error(quick, picture), "s": quick_s},
            "long": {"db": psnr(long, picture), "l1": mean_error(long, picture), "s": long_s},
            "hertzmann": {"db": psnr(peer, picture), "strokes": count},
            "leak": leak(picture), "borders": borders(quick, picture), "again": painted_again(strokes, quick),
        }  # fmt: skip
        rows[name] = row
        _print_row(name, row)
    return {"photographs": rows, **_verdict(rows)}


def _print_row(name: str, row: Mapping[str, Any]) -> None:
    figures = [
        f"{row[key][what]:>{width}}" for key in ("quick", "long") for what, width in (("db", "8.2f"), ("s", "7.1f"))
    ]
    rest = f"{row['hertzmann']['db']:>13.2f}{100 * row['leak']:>8.2f}{row['borders']:>9.3f}{row['again']:>7.2f}"
    print(f"{name:<26}{row['quick']['l1']:>8.4f}{''.join(figures)}{rest}", flush=True)


def leak(picture: np.ndarray) -> float:
    """The share of the paint that lies outside of its stroke's region, where the picture is divided into REGIONS."""
    import torch

    from backend.algorithms.painting.segmentation import regions
    from backend.measures.stroke_statistics import measure
    from backend.ops.strokes.codec import from_columns
    from backend.ops.strokes.compositing import Segments, composite_with_leak

    _, strokes, _ = ours(picture, **QUICK, regions=REGIONS)
    labels = torch.from_numpy(regions(srgb_to_linear(picture), REGIONS).astype(np.int32))
    found = from_columns(torch.from_numpy(strokes.values), picture.shape[:2])
    with torch.no_grad():
        canvas = torch.zeros(*picture.shape)
        outside = composite_with_leak(
            found.geometry, found.opacity, found.color, canvas, segments=Segments(labels, found.segment)
        )[1]
    return float(outside) / float(measure(strokes.values, picture.shape[1::-1]).area.sum())


def borders(made: np.ndarray, picture: np.ndarray) -> float:
    """Steps of the error across the borders that patches at a pitch of PITCH would have, over those elsewhere."""
    ratios = []
    for axis in (0, 1):
        steps = np.abs(np.diff(made - picture, axis=axis)).mean(axis=(1 - axis, 2))
        at = np.zeros(len(steps), bool)
        at[PITCH - 1 :: PITCH] = True
        ratios.append(steps[at].mean() / steps[~at].mean())
    return float(np.mean(ratios))


def painted_again(strokes: Array, painting: np.ndarray) -> float:
    """Mean difference, in levels of 255, between a painting and its strokes at four times the size, reduced by area."""
    import backend

    large = encoded(
        backend.run("paint", strokes=strokes, device="cpu", scale=4.0, bristles=0.0, impasto=0.0)["painting"]
    )
    height, width = painting.shape[:2]
    small = large.reshape(height, 4, width, 4, 3).mean(axis=(1, 3))
    return 255 * mean_error(small, painting)


def _verdict(rows: Mapping[str, Any]) -> dict[str, Any]:
    checks: dict[str, tuple[float, bool]] = {}
    for name, (least_db, most_s) in TARGETS.items():
        db, seconds = (float(np.mean([row[name][key] for row in rows.values()])) for key in ("db", "s"))
        checks[f"{name}: mean dB"] = (db, db >= least_db)
        checks[f"{name}: mean s"] = (seconds, seconds <= most_s)
    mean = float(np.mean([row["quick"]["l1"] for row in rows.values()]))
    checks["mean L1"] = (mean, mean <= MOST_MEAN)
    gained = float(np.mean([row["quick"]["db"] - row["hertzmann"]["db"] for row in rows.values()]))
    checks["dB over Hertzmann"] = (gained, gained > 0)
    mean = float(np.mean([row["borders"] for row in rows.values()]))  # one picture's few borders are chance
    checks["mean borders"] = (mean, mean <= 1.05)
    for key, most in (("leak", 0.02), ("again", 2.0)):
        worst = max(row[key] for row in rows.values())
        checks[f"worst {key}"] = (worst, worst <= most)
    return _told(checks)


def _told(checks: Mapping[str, tuple[float, bool]]) -> dict[str, Any]:
    for what, (value, passed) in checks.items():
        print(f"  {what}: {value:.4g} {'ok' if passed else 'NOT reached'}")
    return {
        "checks": {what: value for what, (value, _) in checks.items()},
        "reached": all(passed for _, passed in checks.values()),
    }


def kinds(options: argparse.Namespace) -> dict[str, Any]:
    checks: dict[str, tuple[float, bool]] = {}
    for kind, names in KINDS.items():
        errors = []
        for name in names[: options.only]:
            picture = photograph(options.data, name)
            errors.append(mean_error(ours(picture, **{**LONG, "budget": 4000})[0], picture))
        checks[f"{kind}: L1 of {len(errors)}"] = (float(np.mean(errors)), float(np.mean(errors)) < STATED[kind])
    large = photograph(options.data, KINDS["buildings"][-1], 1024)
    spent_s = ours(large, **{**QUICK, "budget": 1600})[2]
    checks["1024², 1,600 strokes, s"] = (spent_s, spent_s <= 10.0)
    return {"stated": STATED, **_told(checks)}


def renderer(options: argparse.Namespace) -> dict[str, Any]:
    from benchmarks.peers import stroke_patches

    ours_s = stroke_step_s(2000)
    network_s = stroke_patches.network_s(16, 8)
    analytic_s = stroke_patches.analytic_s(4, 8, SMALL_PX)
    error = alpha_error()
    times = f"ours {1e6 * ours_s:.1f} µs, network {1e3 * network_s:.2f} ms, patches {1e3 * analytic_s:.2f} ms"
    print(f"  a small stroke's step: {times}")
    checks = {
        "alpha error against 64 x 64 samples": (error, error <= 0.02),
        "network's time over ours": (network_s / ours_s, error <= 0.02 and network_s / ours_s >= 150.0),
        "patches' time over ours": (analytic_s / ours_s, analytic_s > ours_s),
    }
    return {"ours_s": ours_s, "network_s": network_s, "analytic_s": analytic_s, **_told(checks)}


def stroke_step_s(count: int, repeats: int = 5) -> float:
    """Seconds for a small stroke and a step on 512 x 512: painted and differentiated."""
    import torch

    from backend.ops.strokes.compositing import composite

    geometry, opacity, color = small_strokes(count)
    canvas, target = torch.zeros(SIDE, SIDE, 3), torch.rand(SIDE, SIDE, 3)
    spent = []
    for _ in range(repeats + 1):
        shapes, paint = geometry.clone().requires_grad_(True), color.clone().requires_grad_(True)
        began = time.perf_counter()
        torch.nn.functional.l1_loss(composite(shapes, opacity, paint, canvas), target).backward()
        spent.append(time.perf_counter() - began)
    return min(spent[1:]) / count


def small_strokes(count: int) -> tuple[Any, Any, Any]:
    """geometry, opacity and colour of strokes of SMALL_PX, twice as long as wide."""
    import torch

    torch.manual_seed(1)
    start, angle = torch.rand(count, 2) * SIDE, torch.rand(count) * 2 * torch.pi
    along = torch.stack([torch.sin(angle), torch.cos(angle)], dim=1) * 4 * SMALL_PX
    bend = torch.randn(count, 2) * SMALL_PX / 2
    radii = torch.full((count, 2), SMALL_PX)
    return (
        torch.cat([start, start + along / 2 + bend, start + along, radii], dim=1),
        torch.ones(count, 2),
        torch.rand(count, 3),
    )


def alpha_error(count: int = 6, samples: int = 64) -> float:
    """The largest error of a stroke's alpha against so many samples along each side of a pixel."""
    import torch

    from backend.ops.strokes.compositing import composite

    torch.manual_seed(2)
    angle = torch.rand(count) * 2 * torch.pi
    along = torch.stack([torch.sin(angle), torch.cos(angle)], dim=1) * 24.0
    bend = torch.stack([along[:, 1], -along[:, 0]], dim=1) * 0.25  # no tighter than the widest brush
    radii = torch.linspace(1.5, 5.0, count)[:, None] * torch.tensor([1.0, 0.7])
    geometry = torch.cat([24 - along / 2, 24 + bend, 24 + along / 2, radii], dim=1)
    share = torch.linspace(0, 1, 97)[:, None]
    inner = (torch.arange(samples) + 0.5) / samples
    within = torch.cartesian_prod(inner, inner)
    centres = torch.cartesian_prod(torch.arange(48) + 0.5, torch.arange(48) + 0.5)
    worst = 0.0
    for one in geometry:
        curve = (1 - share) ** 2 * one[:2] + 2 * share * (1 - share) * one[2:4] + share**2 * one[4:6]
        radii = torch.lerp(one[6], one[7], share[:, 0])
        edge = (torch.cdist(centres, curve) - radii).amin(1)
        drawn = composite(one[None], torch.ones(1, 2), torch.ones(1, 3), torch.zeros(48, 48, 3))[..., 0].flatten()
        worst = max(worst, float((drawn - (edge < 0).float()).abs()[edge.abs() > 1.2].max()))
        for pixel in torch.nonzero(edge.abs() <= 1.2)[:, 0]:
            inside = ((torch.cdist(centres[pixel] - 0.5 + within, curve) - radii).amin(1) < 0).float().mean()
            worst = max(worst, float((drawn[pixel] - inside).abs()))
    return worst


def scheme(options: argparse.Namespace) -> dict[str, Any]:
    """Their scheme paints first; ours gets as many strokes."""
    rows = {}
    for name in [names[0] for names in KINDS.values()][: options.only]:
        picture = photograph(options.data, name)
        theirs, strokes, theirs_s = ours(picture, preset="de-guevara-2023")
        mine, _, mine_s = ours(picture, **{**QUICK, "budget": len(strokes.values)})
        rows[name] = {"strokes": len(strokes.values), "ours": psnr(mine, picture), "theirs": psnr(theirs, picture)}
        rows[name] |= {"ours_s": mine_s, "theirs_s": theirs_s}
        print(f"  {name}: {len(strokes.values)} strokes, ours {rows[name]['ours']:.2f} dB in {mine_s:.1f} s, "
              f"theirs {rows[name]['theirs']:.2f} dB in {theirs_s:.0f} s", flush=True)  # fmt: skip
    gained = min(row["ours"] - row["theirs"] for row in rows.values())
    return {"photographs": rows, **_told({"least dB over their scheme": (gained, gained >= 2.0)})}


def size(options: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own, so that its peak is the engine's; the larger picture has as many strokes, four times as large."""
    import tempfile

    found = {}
    for side in (1024, 2048):
        values = srgb_to_linear(photograph(options.data, KINDS["buildings"][-1], side)).astype(np.float32)
        with tempfile.NamedTemporaryFile(suffix=".npy") as file:
            np.save(file, values)
            file.flush()
            command = [sys.executable, "-c", CHILD, file.name, json.dumps({**QUICK, "budget": 4000})]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            print(done.stderr)
            return {"reached": False}
        found[str(side)] = json.loads(done.stdout.strip().splitlines()[-1])
        print(
            f"  {side}²: {found[str(side)]['seconds']:.1f} s, peak {found[str(side)]['peak_gib']:.2f} GiB", flush=True
        )
    growth = found["2048"]["seconds"] / found["1024"]["seconds"]
    peak = found["2048"]["peak_gib"]
    return found | _told({"2048², peak GiB": (peak, peak <= 1.0), "time over 1024²'s": (growth, growth <= 4.5)})


if __name__ == "__main__":
    raise SystemExit(main())
