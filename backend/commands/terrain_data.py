"""`prepare terrain-data`: a person's rasters, and simulated landscapes, become a pack that `train terrain --data` takes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from backend.cli import DONE, PROGRAM, Parser
from backend.commands.progress_bar import Bar
from backend.files.raster_options import ENCODINGS, UNITS, RasterOptions
from shared.errors import InvalidParameter

NAME = "terrain-data"
DESCRIPTION = """Makes a pack to train terrain from: pieces of your rasters with land in them, on square pixels in metres whatever
their projection, with a class per pixel found by clustering, some neighbourhoods kept back for judging, and a sheet to look at."""


def main(argv: Sequence[str]) -> int:
    options = parser().parse_args(argv)
    if not options.heights and not options.simulate:
        raise InvalidParameter(
            "Nothing to make a pack of.", hint="Name --heights FOLDER, or --simulate N.", field="heights"
        )
    if options.colors and options.simulate:
        raise InvalidParameter(
            "Simulated landscapes have no colours.",
            hint="Make a pack of them and your heights alone: it trains heights from more ground.",
            field="simulate",
        )
    from backend.training.data.preparation import packing, sources

    logging.getLogger("backend.files").setLevel(logging.WARNING)
    recipe = packing.Recipe(
        said=sources.Said(
            pixel_size_m=options.pixel_size,
            height_range_m=tuple(options.height_range) if options.height_range else None,
            options=RasterOptions(
                encoding=options.encoding or "", height_unit=options.height_unit or "", nodata=options.nodata or ""
            ),
        ),
        side=_within(options.side, 128, 4096, "--side"),
        pixel_size_m=options.resample,
        most=_within(options.most, 1, 100_000, "--most"),
        least_land=_within(options.least_land, 0.0, 1.0, "--least-land"),
        sea_level_m=options.sea_level,
        clusters=_within(options.clusters, 2, 64, "--clusters"),
        names=options.names,
        held_out=_within(options.held_out, 0.0, 0.9, "--held-out"),
        simulated=_within(options.simulate, 0, 100_000, "--simulate"),
        source=options.source,
        seed=_within(options.seed, 0, 2**31 - 1, "--seed"),
    )
    found = sources.find(options.heights, options.colors) if options.heights else []
    with Bar(NAME, quiet=options.quiet) as bar:
        made = packing.prepare(found, options.out, recipe, bar)
    _report(made, options.out)
    return DONE


Number = TypeVar("Number", int, float)


def _within(value: Number, low: Number, high: Number, name: str) -> Number:
    if not low <= value <= high:
        raise InvalidParameter(f"{name} is {value:g}; it must be from {low:g} to {high:g}.", field=name)
    return value


def _report(made, out: Path) -> None:
    for scale in ("regional", "continental"):
        mine = [region for region in made.regions if region.scale == scale]
        if mine:
            back = sum(region.split == "held-out" for region in mine)
            print(f"{out}: {len(mine)} {scale} maps, {back} of them held out")
    left_out = {"too little land": made.count.too_little_land, "holes": made.count.holes}
    said = ", ".join(f"{number} with {reason}" for reason, number in left_out.items() if number)
    if said:
        print(f"Left out: {said}")
    print(f"Look at {made.sheet}; classes are renamed in {out / 'clusters.json'} (--names).")
    scale = made.regions[0].scale
    print(f"Train with: {PROGRAM} train terrain --data {out} --scale {scale}")


def parser() -> Parser:
    made = Parser(
        prog=f"{PROGRAM} prepare {NAME}", usage=f"{PROGRAM} prepare {NAME} [options]", description=DESCRIPTION
    )
    add = made.add_argument
    paths = {"type": Path, "nargs": "+", "action": "extend", "default": [], "metavar": "PATH"}
    add("--heights", help="folders or files of heights", **paths)
    add("--colors", help="folders or files of colours on the same grids, paired by name; optional", **paths)
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the pack; must not exist")
    add("--simulate", type=int, default=0, metavar="N", help="add N simulated landscapes, without colours [default: 0]")
    _add_pieces(made.add_argument_group("pieces"))
    _add_classes(made.add_argument_group("classes"))
    _add_files(made.add_argument_group("files"))
    add(
        "--source",
        default="",
        metavar="TEXT",
        help="what the data are and their licence, for model cards [default: file names]",
    )
    add("--seed", type=int, default=0, metavar="N", help="random seed [default: 0]")
    add("--quiet", action="store_true", help="no progress")
    return made


def _add_pieces(group) -> None:
    add = group.add_argument
    add("--side", type=int, default=512, metavar="N", help="least pixels along a side of a piece [default: 512]")
    add("--resample", type=float, metavar="M", help="metres per pixel of the pieces [default: each raster's own]")
    add("--most", type=int, default=1000, metavar="N", help="pieces at most, chosen by chance [default: 1000]")
    add("--least-land", type=float, default=0.25, metavar="X", help="share of a piece above the sea [default: 0.25]")
    add("--sea-level", type=float, default=0.0, metavar="M", help="metres up to which ground is sea [default: 0]")
    add("--held-out", type=float, default=0.15, metavar="X", help="share that no training sees [default: 0.15]")


def _add_classes(group) -> None:
    group.add_argument("--clusters", type=int, default=12, metavar="N", help="kinds of ground to find [default: 12]")
    group.add_argument("--names", type=Path, metavar="FILE", help="a pack's clusters.json with classes of your own")


def _add_files(group) -> None:
    add = group.add_argument
    add("--pixel-size", type=float, metavar="M", help="metres per pixel, for files that do not say")
    add("--height-range", type=float, nargs=2, metavar=("LOW", "HIGH"), help="heights of black and white, for images")
    add(
        "--height-unit",
        choices=UNITS,
        metavar="UNIT",
        help=f"of heights, for files that do not say: {', '.join(UNITS)}",
    )
    add("--encoding", choices=ENCODINGS, metavar="NAME", help=f"heights in colours: {', '.join(ENCODINGS)}")
    add("--nodata", metavar="VALUE", help="the value that stands for no data; none takes every value as a height")
