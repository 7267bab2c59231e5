"""Claim: relief transfer keeps more of its noise than the loop of 2024, in a fifteenth of an adversarial network's memory.

Those are the two figures that Merizzi 2024 (arXiv 2403.08782) is known by: structural similarity, of which its program has no
definition, and memory "15 times lower than GANs". Here similarity is SSIM (Wang et al. 2004: Gaussian window of deviation 1.5, K
0.01 and 0.03) of a result with its content, as 8-bit grey pictures stretched from their lowest to their highest point, which is how
that program sees both. Content is its own noise (Perlin, 6 cells across, 512 x 512), the style a real terrain. The loop starts from
its content and is told to keep it, and so are we: layout 1, which holds all that is wider than 16 pixels. What each has of the
style is said beside it: the distance of hillshades (backend/measures/shading.py), and SSIM with the real map.

Memory: resident memory at its peak beyond what the imports take, each in a process of its own: relief transfer with its defaults,
and one training step, with Adam, of the generator of SPADE-Terrain-GAN on one map of 512 x 512; also one picture of it without
training. Needs the elevation data beside the repository (../shared/data) or --data.
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

import backend  # before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks import morphology_peers
from benchmarks import morphology_structure as terrains
from benchmarks.machine import describe_machine, print_machine, save_result

GAIN, SMALLER = 1.017, 15.0  # of SSIM, of memory
LAYOUT = 1.0
TILES = ("ticino", "fuji")
CHILD = """
import json, resource, sys
import backend
from backend.files import exemplars
import torch
def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
what, side = sys.argv[1], int(sys.argv[2])
if what == "ours":
    layout = backend.run("noise", seed=1, width_px=side, height_px=side, pixel_size_m=30.0)["height"]
    before = peak()
    backend.run("morphology", height=layout, seed=1, device="cpu")
else:
    from backend.models.spade_generator import LATENT, WIDTH, SpadeGenerator
    network = SpadeGenerator(7, width=WIDTH)
    classes = torch.zeros(1, 7, side, side)
    classes[:, 0] = 1
    before = peak() - 4 * sum(p.numel() for p in network.parameters())
    with torch.set_grad_enabled(what == "training"):
        made = network(classes, torch.rand(1, LATENT), lambda number, channels, size: torch.randn(1, channels, *size))
        if what == "training":
            made.square().mean().backward()
            torch.optim.Adam(network.parameters()).step()
print(json.dumps({"peak": peak(), "own": peak() - before}))
"""


def main(argv: list[str] | None = None) -> int:
    """Print both tables, keep the result; 0 when both claims hold, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench morphology-2024", description=(__doc__ or "").split("\n\n", 1)[0]
    )
    parser.add_argument("--data", type=Path, default=terrains.DATA, help="folder of the elevation data")
    parser.add_argument("--tiles", nargs="+", choices=terrains.TILES, default=list(TILES), help="styles (default: two)")
    parser.add_argument(
        "--loop-steps", type=int, default=2000, help="of the loop of 2024 (default: 2000, as published)"
    )
    parser.add_argument("--device", default="cpu", help="where the loop runs")
    parser.add_argument("--made", type=Path, help="folder where what the loop makes is kept, and not made again")
    options = parser.parse_args(argv)
    if not options.data.is_dir():
        print(f"There is no folder {options.data}; --data names the folder of the elevation data.")
        return 2
    if sys.platform == "win32":
        print("Peak memory is read with getrusage, which Windows does not have.")
        return 2
    machine = describe_machine()
    print_machine(machine)
    memory = memories()
    rows = [row for name in options.tiles for row in similarities(name, options)]
    ours, theirs = (sum(row["content"] for row in rows if row["method"] == method) for method in ("ours", "loop"))
    gain, smaller = ours / theirs, memory["training"]["own"] / memory["ours"]["own"]
    print(
        f"SSIM with the content: {gain:.3f} of the loop's (asked {GAIN}); memory: 1/{smaller:.1f} (asked 1/{SMALLER:g})"
    )
    result = {"rows": rows, "gain": gain, "asked_gain": GAIN, "memory": memory, "smaller": smaller,
              "asked_smaller": SMALLER, "reached": gain >= GAIN and smaller >= SMALLER}  # fmt: skip
    print(
        f"{save_result('morphology-2024', result, machine).name}: {'reached' if result['reached'] else 'NOT reached'}"
    )
    return 0 if result["reached"] else 1


def similarities(name: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """What ours and the loop keep of the noise and have of one terrain."""
    from backend.measures.shading import shading_distance

    tile = terrains.TILES[name]
    real = terrains.load(options.data / tile.file, tile.corner, terrains.SIDE)
    size = {"width_px": terrains.SIDE, "height_px": terrains.SIDE, "pixel_size_m": tile.pixel_size_m}
    content = backend.run("noise", preset="perlin-6", seed=1, **size)["height"].values
    rows = []

    def loop() -> tuple[np.ndarray, dict[str, Any]]:
        began = time.perf_counter()
        made, features = morphology_peers.loop(content, real, tile.pixel_size_m, options.loop_steps, options.device)
        about = {"features": features, "steps": options.loop_steps, "device": options.device}
        return made, about | {"seconds": time.perf_counter() - began}

    for method, (made, about) in {
        "ours": _ours(content, real, tile.pixel_size_m),
        "loop": morphology_peers.kept(f"perlin-{name}", options.made, loop),
    }.items():
        row: dict[str, Any] = {"terrain": name, "method": method} | about
        row |= {"content": ssim(made, content), "real": ssim(made, real), "content_real": ssim(content, real)}
        row["hillshade"] = shading_distance(made, real, tile.pixel_size_m)
        print(f"{name:<13}{method:<6} SSIM with content {row['content']:.4f}, with the real map {row['real']:.4f} (content"
              f" {row['content_real']:.4f}), hillshade {row['hillshade']:.5f}, {row['seconds']:.1f} s", flush=True)  # fmt: skip
        rows.append(row)
    return rows


def _ours(content: np.ndarray, real: np.ndarray, pixel_size_m: float) -> tuple[np.ndarray, dict[str, Any]]:
    began = time.perf_counter()
    given: dict[str, Any] = {"height": content, "exemplar": [real], "pixel_size_m": pixel_size_m, "level": "exemplar"}
    made = backend.run("morphology", seed=1, device="cpu", layout=LAYOUT, **given)["height"].values
    return made, {"seconds": time.perf_counter() - began, "device": "cpu"}


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """Of two maps [H, W] as 8-bit pictures, each stretched over its own range."""
    from skimage.metrics import structural_similarity

    pictures = [np.rint((z - z.min()) * (255.0 / np.ptp(z))).astype(np.uint8) for z in (first, second)]
    found: Any = structural_similarity(
        pictures[0], pictures[1], data_range=255, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
    )
    return float(found)


def memories() -> dict[str, dict[str, float]]:
    """Peak resident bytes of each, the whole process and beyond its imports."""
    found = {}
    for what in ("ours", "ours", "inference", "training"):  # the first time only compiles
        command = [sys.executable, "-c", CHILD, what, str(terrains.SIDE)]
        root = Path(__file__).resolve().parents[1]
        done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
        found[what] = json.loads(done.stdout.strip().splitlines()[-1])
        print(
            f"{what:<10} {found[what]['own'] / 2**20:8.0f} MiB beyond imports, {found[what]['peak'] / 2**20:8.0f} MiB in all"
        )
    return found


if __name__ == "__main__":
    raise SystemExit(main())
