"""`prepare`: does ahead of time what the first use would wait for: environments, compiled kernels, weights on request."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from backend.cli import DONE, PROGRAM, Parser
from backend.commands.progress_bar import Bar
from backend.setup import environment, installing
from backend.setup.kernel_warmup import warm
from shared.errors import StorageFull

DESCRIPTION = """Makes the environments of headless Blenders, and compiles the kernels, so that the first use
does not wait. The backend's own environment is there when this runs."""


def main(argv: Sequence[str]) -> int:
    parser = Parser(prog=f"{PROGRAM} prepare", usage=f"{PROGRAM} prepare [options]", description=DESCRIPTION)
    parser.add_argument(
        "--blender",
        action="append",
        metavar="VERSION",
        choices=[*environment.BLENDERS, "all", "none"],
        help=f"{', '.join(environment.BLENDERS)}, all or none; may be repeated [default: 4.5]",
    )
    parser.add_argument(
        "--vgg19",
        nargs="?",
        const="",
        metavar="FILE",
        help="put VGG-19's weights where relief transfer and scans find them: torchvision's file, or downloaded (548 MiB)",
    )
    options = parser.parse_args(argv)
    wanted = options.blender or ["4.5"]
    versions = environment.BLENDERS if "all" in wanted else tuple(version for version in wanted if version != "none")
    for version in versions:
        with Bar(f"Blender {version}") as bar:
            python = installing.ensure(environment.blender_environment(version), _report(bar))
        print(python)
    if options.vgg19 is not None:
        print(_vgg19(Path(options.vgg19) if options.vgg19 else None))
    with Bar("Kernels") as bar:
        warm(bar)
    return DONE


def _report(bar: Bar) -> installing.Report:
    return lambda stage, fraction, line: bar(round(fraction * 1000), 1000, stage)


def _vgg19(file: Path | None) -> Path:
    """Downloads the weights, or takes a file over; either way the digest is checked. Returns where they lie."""
    from backend.runtime import weights

    if file is None:
        with Bar("VGG-19") as bar:
            return weights.download(weights.VGG19, lambda done, total: bar(done, total, "downloading"))
    source = weights.find(weights.VGG19, file)
    assert source is not None, "find() refuses an explicit path without the file"
    target = weights.folders()[0] / weights.VGG19.file
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(target.name + ".part")
        shutil.copyfile(source, part)
        os.replace(part, target)
    except OSError as error:
        raise StorageFull(
            f"{target} could not be written: {error.strerror or error}.",
            hint=f"Make room there, or set ${weights.FOLDER_VARIABLE} to another folder.",
        ) from error
    return target
