"""Which option was meant by one that does not exist: first by what the word means, then by a slip of the keys.

Near in letters is seldom near in meaning: --size is no slip of --seed. Works on the options of any parser; nothing is
imported but the standard library, so that the command line stays quick.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping

SLIP = 0.75  # how alike two words are that differ by a slip (difflib's ratio)
LONG = 4  # letters of a part that is looked for in other names

MEANINGS: Mapping[str, tuple[str, ...]] = {
    "out": (
        "output",
        "output-dir",
        "output-folder",
        "outdir",
        "o",
        "dest",
        "destination",
        "folder",
        "dir",
        "save",
        "results",
    ),
    "height FILE": (
        *(
            "heightmap",
            "height-map",
            "heights",
            "dem",
            "dtm",
            "dsm",
            "elevation",
            "terrain",
            "input",
            "in",
            "i",
            "map",
            "file",
        ),
        *("source", "src", "landscape"),
    ),
    "height": ("rows", "h"),
    "width": ("columns", "cols", "w"),
    "size": (
        *(
            "resolution",
            "res",
            "dimensions",
            "dims",
            "shape",
            "texture-size",
            "texture-resolution",
            "image-size",
            "side",
        ),
        *("map-size", "grid-size", "pixels"),
    ),
    "pixel-size": (
        *("cell-size", "cellsize", "cell", "gsd", "resolution", "res", "spacing", "pixelsize", "pixel-scale", "mpp"),
        *(
            "metres-per-pixel",
            "meters-per-pixel",
            "grid-spacing",
            "ground-resolution",
            "tr",
            "pixel",
            "metres",
            "meters",
        ),
    ),
    "exemplar": ("style", "example", "examples", "reference", "exemplars", "sample", "landforms", "source-terrain"),
    "landform": ("landscape", "biome", "kind"),
    "seed": ("random-seed", "random", "rng", "variation", "rand"),
    "format": ("type", "ext", "extension", "formats", "output-format", "filetype", "file-format", "of"),
    "fill-nodata": ("fill", "fill-holes", "fill-voids", "fill-gaps", "holes", "voids", "inpaint", "interpolate"),
    "nodata": ("no-data", "nodata-value", "srcnodata", "ndv", "void-value", "missing-value", "dstnodata"),
    "height-unit": ("unit", "units", "feet", "z-unit", "zunits", "z-units", "vertical-unit", "vertical-units"),
    "height-range": (
        *("range", "min-max", "minmax", "z-range", "elevation-range", "min-height", "max-height", "min-elevation"),
        *("max-elevation", "black", "white", "z-scale", "height-scale", "vertical-scale"),
    ),
    "layer": ("band", "bands", "bidx", "channel", "part", "subimage", "render-pass", "b"),
    "encoding": ("decode", "rgb", "terrarium", "terrain-rgb", "mapbox", "mapzen"),
    "raw-size": ("raw-width", "raw-height", "raw-resolution"),
    "raw-type": ("dtype", "data-type", "endian", "byte-order", "bit-depth", "bits"),
    "device": ("gpu", "cuda", "cpu", "accelerator", "torch-device"),
    "threads": ("jobs", "j", "cores", "workers", "cpus", "processes", "num-threads", "n-jobs", "parallel"),
    "quiet": ("silent", "q", "no-progress"),
    "debug": ("verbose", "v", "traceback", "log"),
    "preset": ("presets", "profile", "template", "style"),
    "recipe": ("replay", "repeat", "rerun", "config", "settings", "from-json"),
    "dry-run": ("plan", "simulate", "check", "n"),
    "images": ("photos", "photographs", "pictures", "image", "photo"),
    "cameras": ("camera", "poses", "sfm", "colmap", "bundle", "sparse", "calibration"),
    "mesh": ("model", "obj", "geometry", "scan", "ply", "input", "in", "i"),
    "model": ("renderer", "renderer-ckpt-path", "network", "weights", "checkpoint"),
    "masks": ("mask",),
    "mask": ("masks",),
    "classes": ("class-map", "labels", "segmentation", "biomes"),
    "steps": ("iterations", "iters", "iteration", "epochs", "passes", "n-iter", "generations", "step"),
    "epochs": ("iterations", "iters", "passes"),
    "sea-level": ("water-level", "ocean", "sea"),
}
"""Other words for options, the best known first. A word may stand for several; the first that the command has is meant.
"height FILE" is the option of that name whose value is a FILE."""


def nearest(word: str, options: Mapping[str, str]) -> str:
    """The option that was meant by `word`, "" where none is near.

    options: by the name of each option with its dashes ("--pixel-size") the word that stands for its value in the help, such as
    FILE. Another word for an option means it, then one that is spelled nearly like it, then one that shares a part with it.
    """
    plain = word.lstrip("-").replace("_", "-").lower()
    names = {name.lstrip("-"): name for name in options}
    if plain in names:
        return names[plain]
    for meant, others in MEANINGS.items():
        name, _, value = meant.partition(" ")
        if plain in others and name in names and (not value or value == options[names[name]]):
            return names[name]
    slips = difflib.get_close_matches(plain, names, n=1, cutoff=SLIP)
    return names[slips[0]] if slips else _by_parts(plain, names)


def _by_parts(plain: str, names: Mapping[str, str]) -> str:
    """The option whose name shares most parts with the word, or has other words for them."""
    parts = [part for part in plain.split("-") if len(part) >= LONG]
    best, most = "", 0.0
    for name, option in names.items():
        if name.startswith("raw-") and "raw" not in plain:
            continue  # of one rare format
        known = {*name.split("-"), *(other for key in name.split("-") for other in MEANINGS.get(key, ()))}
        shared = sum(part in known for part in parts)
        score = shared + difflib.SequenceMatcher(None, plain, name).ratio() if shared else 0.0
        if score > most:
            best, most = option, score
    return best
