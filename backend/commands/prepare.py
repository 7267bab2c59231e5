"""`prepare`: does ahead of time what the first use would wait for: environments, compiled kernels, weights on request."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from backend import environment, registry
from backend.cli import DONE, PROGRAM, Parser
from backend.progress import Bar
from shared.algorithm import AlgorithmSpec
from shared.arrays import HEIGHT_MAP, MESH, PHOTOGRAPH, Array, height_map
from shared.cameras import Camera, Distortion, to_array
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
            python = environment.ensure(environment.blender_environment(version), _report(bar))
        print(python)
    if options.vgg19 is not None:
        print(_vgg19(Path(options.vgg19) if options.vgg19 else None))
    with Bar("Kernels") as bar:
        warm(bar)
    return DONE


def _report(bar: Bar) -> environment.Report:
    return lambda stage, fraction, line: bar(round(fraction * 1000), 1000, stage)


def _vgg19(file: Path | None) -> Path:
    """Downloads the weights, or takes a file over; either way the digest is checked. Returns where they lie."""
    from backend import weights

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


def warm(bar: Bar) -> None:
    """One small job of every algorithm that can be given one: numba compiles, and keeps what it compiled."""
    import backend

    specs = registry.algorithms()
    for index, spec in enumerate(specs):
        bar(index, len(specs), f"compiling {spec.label.lower()}")
        values = _small_inputs(spec)
        if values is not None:
            values |= {p.name: 96 for p in spec.parameters if p.name in ("width_px", "height_px", "size")}
            backend.run(spec.name, **values)


def _small_inputs(spec: AlgorithmSpec) -> dict[str, Any] | None:
    """A hill where heights are needed, three photographs of a square where photographs are; None where other things are."""
    needed = [port for port in spec.inputs if not port.optional]
    if any(port.kind is PHOTOGRAPH for port in needed):
        scan = _small_scan()
        return {
            port.name: scan[port.kind.name]
            for port in spec.inputs
            if port.kind.name in scan and port.name != "occluders"
        }
    if all(port.kind is HEIGHT_MAP for port in needed):
        return {port.name: [_small_hill()] if port.many else _small_hill() for port in needed}
    return None


def _small_hill() -> Array:
    import numpy as np

    rows, columns = np.mgrid[0:96, 0:96]
    return height_map(500.0 * np.exp(-((rows - 48.0) ** 2 + (columns - 40.0) ** 2) / 800.0), 30.0)


def _small_scan() -> dict[str, Any]:
    """By kind: a square with UVs, cameras with a lens above it, and what they photograph: enough for every kernel to run."""
    import numpy as np
    from PIL import Image

    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    points = np.concatenate([corners, np.zeros((4, 1), np.float32), corners], axis=1)
    rows, columns = np.mgrid[0:96, 0:128]
    picture = np.stack([columns * 2, rows * 2, 128 + 100 * np.sin(columns / 7) * np.cos(rows / 9)], axis=-1).astype(
        np.uint8
    )
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    down = np.diag([1.0, -1.0, -1.0])
    cameras = [
        Camera(
            name=f"{number}.png",
            width=128,
            height=96,
            fx=110.0,
            fy=110.0,
            cx=64.0,
            cy=48.0,
            rotation=down,
            translation=-down @ np.array([0.4 + 0.1 * number, 0.5, 1.2]),
            distortion=Distortion(coefficients=(-0.05, 0.01)),
        )
        for number in range(3)
    ]
    data = np.frombuffer(buffer.getvalue(), np.uint8)
    return {
        "MESH": Array(MESH, points[[[0, 1, 2], [0, 2, 3]]]),
        "CAMERAS": to_array(cameras),
        "PHOTOGRAPH": [Array(PHOTOGRAPH, data, {"name": camera.name}) for camera in cameras],
    }
