"""`run ALGORITHM`: files in, files out, and a recipe that repeats it to the byte. Needs no server and no Blender."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.cli import DONE, PROGRAM, Parser, UsageError
from backend.commands import flags, formats, posed_photographs, preset_files, recipe_files
from backend.commands.interruption import ended_promptly
from backend.commands.progress_bar import Bar, remaining_text
from backend.files import raster_options
from backend.runtime import registry
from shared.algorithm import AlgorithmSpec, Arrays, Port
from shared.arrays import CAMERAS, CURVES, PHOTOGRAPH, REPORT, Array
from shared.cameras.flips import FLIPS, apply_flip
from shared.errors import InvalidInput, InvalidParameter
from shared.params import completed, parse, to_json, with_role

if TYPE_CHECKING:
    from backend.runtime.compute import Computed

logger = logging.getLogger(__name__)

NO_READING = {
    "pixel_size_m": None,
    "pixel_size_wins": False,  # in recipes that do not say, where a file's own size came first
    "fill_nodata": False,
    "height_range_m": None,
    "flip": "",
    "skip_missing": False,
    "options": {},
}


def main(argv: Sequence[str]) -> int:
    recipe = _recipe_of(argv)
    name = recipe["algorithm"] if recipe else ""
    if argv and not argv[0].startswith("-"):
        if name and argv[0] != name:
            raise UsageError(f"The recipe is for {name}, not for {argv[0]}.")
        name, argv = argv[0], argv[1:]
    if not name:
        if not argv or "-h" in argv or "--help" in argv:
            print(_overview())
            return DONE if argv else 2
        raise UsageError("Name an algorithm.", hint=f"{PROGRAM} list shows them.")
    spec = registry.find_algorithm(name)
    options = parser(spec).parse_args(argv)
    request = _resolve(spec, options, recipe)
    if options.dry_run:
        print(json.dumps(request, indent=1))
        return DONE
    return _run(spec, request, quiet=options.quiet)


def _overview() -> str:
    lines = [
        f"usage: {PROGRAM} run ALGORITHM [options]",
        f"       {PROGRAM} run --recipe recipe.json [options]",
        "",
        "algorithms:",
    ]
    lines += [
        textwrap.fill(spec.summary, 100, initial_indent=f"  {spec.name:<12}", subsequent_indent=" " * 14)
        for spec in registry.algorithms()
    ]
    lines += ["", f"{PROGRAM} run ALGORITHM --help shows its inputs, settings and presets."]
    return "\n".join(lines)


def parser(spec: AlgorithmSpec) -> Parser:
    """Every option of `run` for this algorithm: its own from its declaration, then the command's."""
    made = Parser(
        prog=f"{PROGRAM} run {spec.name}",
        usage=f"{PROGRAM} run {spec.name} [options]",
        description=spec.summary,
        epilog=_epilog(spec),
    )
    flags.add_ports(made, spec)
    flags.add_parameters(made, spec.parameters)
    flags.add_size(made, spec.parameters)
    group = made.add_argument_group("this run")
    if spec.presets:
        names = ", ".join(preset.name for preset in spec.presets)
        group.add_argument(
            "--preset",
            metavar="NAME",
            help=flags._escape(f"named settings: {names}, or a JSON file of your own; options override them"),
        )
    group.add_argument(
        "--recipe", type=Path, metavar="FILE", help="repeat a recipe.json to the byte; options override it"
    )
    group.add_argument(
        "--out",
        type=Path,
        default=Path("out") / spec.name,
        metavar="DIR",
        help="folder for the results [default: %(default)s]",
    )
    group.add_argument(
        "--format",
        nargs="+",
        action="extend",
        metavar="FORMAT",
        help=_format_help(spec),
    )
    _add_reading(made, spec)
    group.add_argument("--device", default="auto", metavar="NAME", help=_device_help(spec))
    group.add_argument("--threads", type=int, metavar="N", help="threads to use [default: every core]")
    group.add_argument("--dry-run", action="store_true", help="print the resolved configuration as JSON and stop")
    group.add_argument("--quiet", action="store_true", help="no progress, no summary")
    return made


def _device_help(spec: AlgorithmSpec) -> str:
    names = ", ".join(["auto", *spec.devices])
    more = "; cuda:1 is the second CUDA device [default: auto, the one that the engine prefers]"
    return names + (more if "cuda" in spec.devices else "")


def _format_help(spec: AlgorithmSpec) -> str:
    return f"one or more of {', '.join(formats.of_spec(spec))} [default: {' '.join(formats.defaults(spec))}]"


def _add_reading(made: Parser, spec: AlgorithmSpec) -> None:
    kinds = {port.kind.name: port.kind for port in spec.inputs}
    if CAMERAS.name in kinds:
        group = made.add_argument_group("reading files")
        text = "convert cameras of another convention: " + "; ".join(f"{name}: {said}" for name, said in FLIPS.items())
        group.add_argument("--flip", metavar="NAME", help=flags._escape(text))
        group.add_argument(
            "--skip-missing",
            action="store_true",
            help="leave out cameras whose photograph is missing instead of stopping",
        )
    if any(port.classes or port.any_colors for port in spec.inputs):
        raster_options.add_class_options(made.add_argument_group("reading classes"))
    if not any(kind.attributes for kind in kinds.values()):
        return
    group = made.add_argument_group("reading files")
    if "--pixel-size" not in made._option_string_actions:  # where the algorithm has one, that is it
        text = "metres per pixel, for files that do not say; it overrides what the main input says"
        group.add_argument("--pixel-size", type=float, metavar="M", help=text)
    group.add_argument(
        "--fill-nodata", action="store_true", help="fill cells without data instead of reporting an error"
    )
    group.add_argument(
        "--height-range",
        nargs=2,
        type=float,
        metavar=("LOW", "HIGH"),
        help="heights of black and white, for images that do not store them",
    )
    raster_options.add_options(group, made._option_string_actions)


def _epilog(spec: AlgorithmSpec) -> str:
    lines = []
    if spec.presets:
        lines += ["presets:", *(_row(preset.name, preset.help) for preset in spec.presets), ""]
    lines += ["outputs:", *(_row(port.name, port.help) for port in spec.outputs)]
    kinds = {port.kind.name for port in spec.inputs}
    lines += [""] if kinds else []
    if CAMERAS.name in kinds:
        lines += [
            "Supported cameras: COLMAP, Bundler, Meshroom (.sfm), NeRF (transforms.json), OpenMVS (.mvs),",
            "texrecon (.cam), Relievo's cameras.json.",
        ]
        lines += ["Supported photographs: JPEG, PNG, TIFF, WebP; meshes: OBJ, PLY, OFF, glTF, STL."]
    if any(port.kind.attributes for port in spec.inputs):
        lines += ["Supported files: GeoTIFF, SRTM .hgt, PNG, EXR, ESRI ASCII grid, ENVI .bil, .npy, .r16."]
        lines += ["An exemplar can be given by its name (see list) in place of a file."]
    return "\n".join(lines)


def _row(name: str, text: str) -> str:
    return textwrap.fill(text, 108, initial_indent=f"  {name:<22}", subsequent_indent=" " * 24)


def _recipe_of(argv: Sequence[str]) -> dict[str, Any] | None:
    """The recipe, read before anything else: it may name the algorithm, whose options decide how the rest is read."""
    for index, word in enumerate(argv):
        if word.startswith("--recipe="):
            return recipe_files.load(Path(word.partition("=")[2]))
        if word == "--recipe" and index + 1 < len(argv):
            return recipe_files.load(Path(argv[index + 1]))
    return None


def _resolve(spec: AlgorithmSpec, options: argparse.Namespace, recipe: dict[str, Any] | None) -> dict[str, Any]:
    """What will be done, as JSON: everything decided, nothing read yet."""
    values = {**flags.sides(options, spec.parameters), **flags.given(options, flags.PARAM)}
    preset = getattr(options, "preset", None)
    base = preset_files.values(spec, preset) if preset else {}
    if recipe:
        recorded = completed(spec.params, recipe["params"])
        base = {**recorded, **base}
        for name in [name for name, value in values.items() if recorded.get(name) != value]:
            logger.warning("%s is %s in this run; the recipe has %s.", name, values[name], recorded.get(name))
    params = to_json(parse(spec.params, base | values))
    if recipe:
        recipe_files.check_version(spec, recipe)
    reading = _reading(spec, options, recipe)
    inputs = recipe_files.inputs(spec, _files(spec, options), recipe, options.recipe)
    words = options.format or (recipe or {}).get("formats")
    formats.resolve(spec, words)
    return {
        "algorithm": spec.name,
        "params": params,
        "inputs": posed_photographs.arrange(spec, inputs, skip_missing=reading["skip_missing"]),
        "reading": reading,
        "formats": list(words or ()),
        "out": str(options.out),
        "device": options.device,
        "threads": _threads(options.threads),
        "implementation": recipe_files.implementation(recipe),
    }


def _reading(spec: AlgorithmSpec, options: argparse.Namespace, recipe: dict[str, Any] | None) -> dict[str, Any]:
    """How files are read: what was said here, else what the recipe says."""
    before = (recipe or {}).get("reading", {})
    given = flags.given(options, flags.PARAM)
    own = next((given[entry.name] for entry in with_role(spec.parameters, "pixel_size") if entry.name in given), None)
    now_m = getattr(options, "pixel_size", None)
    now_m = own if now_m is None else now_m
    pixel_size_m = before.get("pixel_size_m") if now_m is None else now_m
    if pixel_size_m is not None and not 0 < pixel_size_m < 1e6:
        raise InvalidParameter(
            f"--pixel-size is {pixel_size_m:g}; it must be a number of metres above 0.", field="pixel_size"
        )
    height_range_m = getattr(options, "height_range", None) or before.get("height_range_m")
    if height_range_m and not height_range_m[0] < height_range_m[1]:
        raise InvalidParameter("--height-range needs the lower height first.", field="height_range")
    flip = getattr(options, "flip", None) or before.get("flip") or ""
    apply_flip((), flip)  # raises for a name that is none
    return {
        "pixel_size_m": pixel_size_m,
        "pixel_size_wins": bool(now_m is not None or recipe is None or before.get("pixel_size_wins")),
        "fill_nodata": bool(getattr(options, "fill_nodata", False) or before.get("fill_nodata")),
        "height_range_m": list(height_range_m) if height_range_m else None,
        "flip": flip,
        "skip_missing": bool(getattr(options, "skip_missing", False) or before.get("skip_missing")),
        "options": raster_options.given(options, before.get("options")).to_json(),
    }


def _files(spec: AlgorithmSpec, options: argparse.Namespace) -> dict[str, Any]:
    """The files that were named, by port; --views stands for those in its folder."""
    given = flags.given(options, flags.PORT)
    folder = getattr(options, "views", None)
    if not folder:
        return given
    found = posed_photographs.views(spec, folder)
    for port in found:
        if port in given:
            raise UsageError(f"{flags.flag(port)} cannot be combined with --views, which brings the {port}.")
    return {**given, **found}


def _threads(wanted: int | None) -> int | None:
    if wanted is not None and not 0 < wanted <= 1024:
        raise InvalidParameter(f"--threads is {wanted}; it must be 1 or more.", field="threads")
    return wanted


def _run(spec: AlgorithmSpec, request: dict[str, Any], *, quiet: bool) -> int:
    from backend.commands.output_folder import OutputFolder
    from backend.runtime.kernel_compiler import STAGE, compiling_aside

    opened, bar = OutputFolder(Path(request["out"])), Bar(spec.label, quiet=quiet)
    with opened as folder, ended_promptly(folder.stage, folder.made), bar:
        with compiling_aside(report=lambda done, total, left: bar(done, total, STAGE, left)):
            computed, arrays, seconds = _compute(spec, request, bar, folder.scratch)
        bar(1, 1, "writing files")
        paths = folder.write(spec, request, computed, arrays)
    print("\n".join(str(path) for path in paths))
    if not quiet:
        print(_end(spec, computed, seconds), file=sys.stderr)
        for sentence in _summary(computed):
            print(f"  {sentence}", file=sys.stderr)
    return DONE


def _end(spec: AlgorithmSpec, computed: Computed, seconds: float) -> str:
    """How long it took and where it ran, and why there where another device was meant."""
    took = remaining_text(seconds) if seconds >= 1 else f"{seconds:.2f} s"
    note = computed.recipe.get("device_note", "")
    return f"{spec.label}: {took} on {computed.recipe['device']}" + (f" ({note.rstrip('.')})" if note else "")


def _summary(computed: Computed) -> list[str]:
    """What the run's reports say in sentences."""
    reports = [array for given in computed.outputs.values() for array in given if array.kind is REPORT]
    return [str(line) for array in reports for line in json.loads(array.values.tobytes()).get("summary", [])]


def _compute(spec: AlgorithmSpec, request: dict[str, Any], bar: Bar, scratch: Path) -> tuple[Computed, Arrays, float]:
    from backend.commands.input_files import tell_profiles

    bar(0, 1, "reading files")
    arrays: dict[str, tuple[Array, ...]] = {}
    for port in sorted(spec.inputs, key=lambda port: port.kind is CURVES):  # lines may lie on a map's coordinates
        arrays[port.name] = _inputs(spec, port, request, bar, scratch, _georeferenced(arrays))
    arrays = {port.name: arrays[port.name] for port in spec.inputs if arrays[port.name]}
    tell_profiles(arrays)
    bar(0, 1, "loading the engine")
    from backend.runtime.kernel_compiler import signals_held

    with signals_held():  # torch starts in C++, where an exception of a signal handler can abort the process
        from backend.runtime.compute import compute, job_seed
        from backend.runtime.context import JobContext
    params = parse(spec.params, completed(spec.params, request["params"]))
    job = JobContext(
        seed=job_seed(params),
        device=request["device"],
        threads=request["threads"],
        implementation=request["implementation"],
        on_progress=bar,
    )
    start = time.perf_counter()
    sources = {port: [Path(item.get("path", "")).name for item in items] for port, items in request["inputs"].items()}
    computed = compute(spec, params, arrays, job, sources=sources)
    return computed, arrays, time.perf_counter() - start


def _georeferenced(arrays: Arrays) -> Array | None:
    """The first map that says where on the ground it lies."""
    return next((array for given in arrays.values() for array in given if "transform" in array.attributes), None)


def _inputs(
    spec: AlgorithmSpec, port: Port, request: dict[str, Any], bar: Bar, scratch: Path, ground: Array | None
) -> tuple[Array, ...]:
    from backend.commands.input_files import read_item

    items = request["inputs"].get(port.name, [])
    if len(items) > 1 and not port.many:
        raise InvalidInput(f"Input {port.name!r} takes one file; {len(items)} were given.", field=port.name)
    given = [request["inputs"].get(other.name, []) for other in spec.inputs if other.kind is PHOTOGRAPH]
    photographs = [item for items in given for item in items]
    return tuple(
        _repeated(item, request, bar, scratch)
        if "recipe" in item
        else read_item(port, item, request["reading"], photographs, scratch, ground)
        for item in items
    )


def _repeated(item: dict[str, Any], request: dict[str, Any], bar: Bar, scratch: Path) -> Array:
    """An input that a recipe carries the recipe of: computed again, and held to its digest."""
    recipe = item["recipe"]
    spec = registry.find_algorithm(recipe["algorithm"])
    recipe_files.check_version(spec, recipe)
    reading = {**NO_READING, **recipe.get("reading", {})}
    inputs = recipe_files.inputs(spec, {}, recipe, None)
    inner = {
        **request,
        "params": recipe["params"],
        "inputs": posed_photographs.arrange(spec, inputs, skip_missing=reading["skip_missing"]),
        "reading": reading,
        "implementation": recipe_files.implementation(recipe),
    }
    given = _compute(spec, inner, bar, scratch)[0].outputs.get(item["port"])
    if not given:
        raise InvalidInput(f"The recipe names no output {item['port']!r} of {spec.name}.", field="recipe")
    made = given[0]
    if item["array_sha256"] and made.sha256 != item["array_sha256"]:
        logger.warning("%s gives other bytes now than when the recipe was written; the result may differ.", spec.label)
    return made
