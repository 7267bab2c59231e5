"""Compiles every engine's kernels before they are needed: a small job of each, in processes side by side.

numba compiles on one thread, the scan's kernels alone for more than a minute, and keeps the result beside the source for every
process after.
"""

from __future__ import annotations

import io
import multiprocessing
import os
from multiprocessing.connection import wait
from typing import Any

from backend.commands.progress_bar import Bar
from backend.runtime import registry
from shared.algorithm import AlgorithmSpec
from shared.arrays import HEIGHT_MAP, MESH, PHOTOGRAPH, Array, height_map
from shared.cameras import Camera, Distortion, to_array
from shared.errors import InternalError
from shared.params import with_role

MOST_PROCESSES = 4  # each takes some 600 MiB while it compiles
SMALL_PX = 96


def warm(bar: Bar) -> None:
    """One small job of every engine that can be given one. Raises InternalError where one fails."""
    specs = [spec for spec in registry.algorithms() if _small_inputs(spec) is not None]
    specs.sort(key=lambda spec: -len(spec.inputs))  # those that take most have most to compile: they begin
    starting = multiprocessing.get_context("spawn")
    running: dict[int, tuple[AlgorithmSpec, Any]] = {}
    done = 0
    while specs or running:
        while specs and len(running) < min(os.cpu_count() or 1, MOST_PROCESSES):
            spec = specs.pop(0)
            process = starting.Process(target=warm_one, args=(spec.name,))
            process.start()
            running[process.sentinel] = (spec, process)
        names = ", ".join(spec.label.lower() for spec, _ in running.values())
        bar(done, done + len(running) + len(specs), f"compiling {names}")
        for sentinel in wait(list(running)):
            assert isinstance(sentinel, int)
            spec, process = running.pop(sentinel)
            process.join()
            done += 1
            if process.exitcode != 0:
                for _, other in running.values():
                    other.terminate()
                raise InternalError(
                    f"The engine {spec.label} does not run here: its trial ended with status {process.exitcode}.",
                    hint="What it printed stands above.",
                )


def warm_one(name: str) -> None:
    """A small job of the engine of this name, in this process."""
    import backend

    spec = next(spec for spec in registry.algorithms() if spec.name == name)
    values = _small_inputs(spec)
    assert values is not None
    values |= {entry.name: SMALL_PX for entry in with_role(spec.parameters, "size")}
    backend.run(name, **values)


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
