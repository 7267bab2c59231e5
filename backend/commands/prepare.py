"""`prepare`: does ahead of time what the first use would wait for: environments, compiled kernels, weights on request.

`prepare terrain-data` makes training data instead, see terrain_data.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from backend.cli import DONE, PROGRAM, Parser
from backend.commands import terrain_data
from backend.commands.progress_bar import Bar
from backend.setup import environment, installing
from backend.setup.kernel_warmup import warm
from shared.errors import InvalidParameter
from shared.params import suggestion
from shared.weights import WEIGHTS, WeightFile

DESCRIPTION = """Makes the environments of headless Blenders and compiles the kernels, so that the first use
does not wait; with a graphics card, times each engine on each device. The backend's own environment is
there when this runs.

`prepare terrain-data` makes a pack to train terrain from; see prepare terrain-data --help."""


def main(argv: Sequence[str]) -> int:
    if argv and argv[0] == terrain_data.NAME:
        return terrain_data.main(argv[1:])
    parser = Parser(prog=f"{PROGRAM} prepare", usage=f"{PROGRAM} prepare [options]", description=DESCRIPTION)
    parser.add_argument(
        "--blender",
        action="append",
        metavar="VERSION",
        choices=[*environment.BLENDERS, "all", "none"],
        help=f"{', '.join(environment.BLENDERS)}, all or none; may be repeated [default: 4.5]",
    )
    fetched = {entry.name: entry for entry in WEIGHTS.values() if entry.origin == "fetched"}
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        metavar="NAME[=FILE]",
        help="install pretrained weights, downloaded or from your file; may be repeated: "
        + ", ".join(f"{entry.name} ({entry.size}; {entry.licence})" for entry in fetched.values()),
    )
    parser.add_argument("--vgg19", nargs="?", const="", metavar="FILE", help="the same as --weights vgg19")
    options = parser.parse_args(argv)
    brought = [_entry(fetched, text) for text in options.weights]
    if options.vgg19 is not None:
        brought.append(_entry(fetched, f"vgg19={options.vgg19}"))
    wanted = options.blender or ["4.5"]
    versions = environment.BLENDERS if "all" in wanted else tuple(version for version in wanted if version != "none")
    for version in versions:
        with Bar(f"Blender {version}") as bar:
            python = installing.ensure(environment.blender_environment(version), _report(bar))
        print(python)
    for entry, file in brought:
        print(f"{entry.label}: {_bring(entry, file)} ({entry.size}; {entry.licence})")
    with Bar("Kernels") as bar:
        warm(bar)
    _measure_devices()
    return DONE


def _measure_devices() -> None:
    from backend.setup import device_timing  # brings PyTorch

    with Bar("Devices") as bar:
        device_timing.measure_and_keep(bar)


def _report(bar: Bar) -> installing.Report:
    return lambda stage, fraction, line: bar(round(fraction * 1000), 1000, stage)


def _entry(fetched: Mapping[str, WeightFile], text: str) -> tuple[WeightFile, str]:
    """NAME or NAME=FILE as an entry of the table and a path, "" for none."""
    name, _, file = text.partition("=")
    if name not in fetched:
        raise InvalidParameter(
            f"There are no weights {name!r} to download.", hint=suggestion(name, fetched), field="weights"
        )
    return fetched[name], file


def _bring(entry: WeightFile, file: str) -> Path:
    """Downloads the weights, or takes the user's file over; either way the digest is checked. Returns where they lie."""
    from backend.runtime import weights

    if file:
        return weights.keep(entry, Path(file))
    with Bar(entry.label) as bar:
        return weights.download(entry, lambda done, total: bar(done, total, "downloading"))
