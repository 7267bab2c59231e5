"""Curves: how held-out PSNR falls with highlights, exposure, and pose errors, and what many photographs of coarse pixels show.

The scene of benchmarks/scan_scene.py at 1024², one trouble at a time from nothing to twice what the claim asks, the others
as there; ours beside plain averaging and, where installed, Open3D. Then super-resolution: photographs whose cameras
stand together and differ by fractions of a pixel, and a held-out one with pixels a third as wide; the more of them there are,
the more of what it shows must be found, though each alone cannot show it. Writes a picture.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np

import backend  # noqa: F401 - before torch, which loads OpenMP: it sets how waiting threads wait
from benchmarks import scan_scene, scan_surface
from benchmarks.machine import describe_machine, print_machine, save_result
from benchmarks.peers import open3d_albedo
from benchmarks.peers.averaging import average
from benchmarks.scan_quality import Judge
from benchmarks.scan_scene import Scene, Trouble
from benchmarks.scan_texture import ours
from shared.cameras.camera import Camera

SIZE = 1024
CURVES: dict[str, tuple[float, ...]] = {
    "outliers": (0.0, 0.03, 0.06, 0.1),
    "gain": (0.0, 0.1, 0.2, 0.3),
    "pose_px": (0.0, 0.5, 1.0, 2.0),
}
LABELS = {
    "outliers": "share of pixels under highlights",
    "gain": "exposures from 1 - x to 1 + x",
    "pose_px": "pose error, pixels",
}
SHIFTED = (1, 4, 9, 25)  # photographs of the super-resolution curve
FINER = 3
PICTURE = Path(__file__).resolve().parent.parent / "docs" / "images" / "scan-robustness.png"


def main(argv: list[str] | None = None) -> int:
    """Print the tables, keep the result and the picture; 0 when more photographs show more at every step, else 1."""
    parser = argparse.ArgumentParser(
        prog="relievo.py bench scan-robustness", description=(__doc__ or "").split("\n", 1)[0]
    )
    parser.add_argument("--no-open3d", action="store_true", help="leave Open3D out")
    parser.add_argument(
        "--picture", type=Path, default=PICTURE, help=f"where the curves go (default: docs/images/{PICTURE.name})"
    )
    options = parser.parse_args(argv)
    machine = describe_machine()
    print_machine(machine)
    with_open3d = open3d_albedo.is_installed() and not options.no_open3d
    curves = {name: [measure(name, value, with_open3d) for value in values] for name, values in CURVES.items()}
    detail = super_resolution()
    more = [row["ours"] for row in detail]
    reached = all(later > earlier for earlier, later in itertools.pairwise(more))
    draw(curves, detail, options.picture)
    result: dict[str, Any] = {"size_px": SIZE, "curves": curves, "super_resolution": detail, "reached": reached}
    print(f"\n{save_result('scan-robustness', result, machine).name}: {'reached' if reached else 'NOT reached'}")
    return 0 if reached else 1


def measure(name: str, value: float, with_open3d: bool) -> dict[str, float]:
    """PSNR of each method with one trouble at a value, the others as in the claim."""
    scene = scan_scene.build(SIZE, dataclasses.replace(Trouble(), **{name: value}))
    judge, maps = Judge(scene), [scan_surface.uv_map(camera) for camera in scene.cameras]
    row = {"value": value, "ours": judge(ours(scene.inputs(), SIZE)).best}
    row["averaging"] = judge(average(scene.photographs, [m.uv for m in maps], [m.facing for m in maps], SIZE)).best
    if with_open3d:
        texture, _ = open3d_albedo.project_to_albedo(scene.mesh, scene.cameras, scene.photographs, SIZE)
        row["open3d"] = judge(texture).best
    print(
        f"{name:>9} {value:<6g}" + "".join(f"{key} {row[key]:6.2f} dB   " for key in row if key != "value"), flush=True
    )
    return row


def super_resolution() -> list[dict[str, float]]:
    """PSNR of a view with pixels a third as wide, from 1, 4, ... photographs that see it from within a pixel."""
    base = scan_scene.orbit(1, seed=11)[0]
    fine = dataclasses.replace(
        base, width=base.width * FINER, height=base.height * FINER,
        fx=base.fx * FINER, fy=base.fy * FINER, cx=base.cx * FINER, cy=base.cy * FINER,
    )  # fmt: skip
    mips = scan_scene.mip_chain(np.asarray(scan_scene.truth(SIZE)))
    held, coverage = scan_surface.photograph(fine, mips)
    rows = []
    for count in SHIFTED:
        cameras = shifted(base, count)
        taken = [scan_surface.photograph(camera, mips)[0] for camera in cameras]
        noise = np.random.default_rng(count).normal(0, 0.005, (count, *taken[0].shape))
        photographs = np.rint(np.clip(np.stack(taken) + noise, 0, 1) * 255).astype(np.uint8)
        scene = Scene(
            mesh=scan_surface.mesh(), cameras=cameras, photographs=photographs, true_cameras=cameras,
            gains=np.ones((count, 3)), held_cameras=(fine,), held_photographs=held[None],
            held_masks=coverage[None] >= 0.999,
        )  # fmt: skip
        judge, maps = Judge(scene), [scan_surface.uv_map(camera) for camera in cameras]
        made = ours(scene.inputs(), SIZE, alignment="none", color_correction="none")
        plain = average(photographs, [m.uv for m in maps], [m.facing for m in maps], SIZE)
        rows.append({"photographs": count, "ours": judge(made).best, "averaging": judge(plain).best})
        print(
            f"{count:>4} photographs: ours {rows[-1]['ours']:.2f} dB, averaging {rows[-1]['averaging']:.2f} dB",
            flush=True,
        )
    return rows


def shifted(base: Camera, count: int) -> tuple[Camera, ...]:
    """The camera turned by steps of a pixel / sqrt(count) across and down: a whole grid of sub-pixel shifts."""
    side = round(count**0.5)
    steps = (np.arange(side) / side).tolist()
    made = []
    for index, (right, down) in enumerate((right, down) for down in steps for right in steps):
        made.append(dataclasses.replace(base, name=f"shift_{index:02d}.png", cx=base.cx + right, cy=base.cy + down))
    return tuple(made)


def draw(curves: dict[str, list[dict[str, float]]], detail: list[dict[str, float]], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    colors = {"ours": "#4b7f52", "averaging": "#b5523b", "open3d": "#56749c"}
    names = {"ours": "Relievo", "averaging": "averaging", "open3d": "Open3D"}
    panels = [(LABELS[name], "value", rows) for name, rows in curves.items()]
    panels.append(("photographs a fraction of a pixel apart", "photographs", detail))
    figure, axes = pyplot.subplots(1, len(panels), figsize=(12.5, 3.1), dpi=110)
    for place, (label, key, rows) in zip(axes, panels, strict=True):
        for method in [name for name in names if name in rows[0]]:
            place.plot(
                [row[key] for row in rows],
                [row[method] for row in rows],
                "o-",
                color=colors[method],
                label=names[method],
                markersize=4,
            )
        place.set_xlabel(label)
        place.grid(alpha=0.25)
        place.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel("PSNR of held-out views, dB")
    axes[0].legend(frameon=False, fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)


if __name__ == "__main__":
    raise SystemExit(main())
