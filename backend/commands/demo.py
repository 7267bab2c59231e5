"""`demo`: from installation to a rendered terrain, through backend and Blender."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from backend.cli import DONE, PROGRAM, Parser
from backend.commands.progress_bar import Bar
from backend.files.raster_options import parse_size

DESCRIPTION = """Builds the add-on, installs it into a headless Blender, starts the backend from there, and computes noise,
relief transfer and hydrology through it; places the terrain in the scene and renders it with Cycles."""


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog=f"{PROGRAM} demo", usage=f"{PROGRAM} demo [options]", description=DESCRIPTION)
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("out") / "demo",
        metavar="DIR",
        help="folder for the results [default: out/demo]",
    )
    parser.add_argument(
        "--size", type=_side, default=1024, metavar="PX", help="rows and columns of the height map [default: 1024]"
    )
    parser.add_argument(
        "--resolution",
        type=_resolution,
        default=(1600, 900),
        metavar="WxH",
        help="of the rendered image [default: 1600x900]",
    )
    parser.add_argument(
        "--samples", type=int, default=12, metavar="N", help="Cycles samples per pixel, denoised [default: 12]"
    )
    parser.add_argument("--seed", type=int, default=7, metavar="N", help="random seed [default: 7]")
    parser.add_argument("--exemplar", default="glacial", metavar="NAME", help="exemplar, see list [default: glacial]")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    options = parser.parse_args(argv)

    from backend.commands import demo_steps

    settings = demo_steps.Settings(
        out=options.out,
        size_px=options.size,
        resolution_px=options.resolution,
        samples=options.samples,
        seed=options.seed,
        exemplar=options.exemplar,
    )
    with Bar("Demo", quiet=options.quiet) as bar:
        paths = demo_steps.make(settings, bar)
    print("\n".join(str(path) for path in paths))
    return DONE


def _side(text: str) -> int:
    width, height = parse_size(text, "--size")
    if width != height:
        raise argparse.ArgumentTypeError(f"{text!r} has two different sides; the demo's terrain is square")
    return width


def _resolution(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)x(\d+)", text.lower())
    if not found or not all(16 <= int(side) <= 16384 for side in found.groups()):
        raise argparse.ArgumentTypeError(f"{text!r} is not a resolution; write it as 1600x900")
    return int(found[1]), int(found[2])
