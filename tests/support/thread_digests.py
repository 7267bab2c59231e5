"""Runs every engine with several numbers of threads and prints digests of what it makes: python -m tests.support.thread_digests.

In a process of its own, because numba takes at most NUMBA_NUM_THREADS threads, which is read once.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import backend
from backend.setup.small_inputs import small_array, small_inputs
from shared.arrays import Array
from shared.catalog import ALGORITHMS
from tests.support import trained_texture

THREADS = (1, 2, 16)
SIDE_PX = 192  # more than 32768 pixels: below, PyTorch adds a whole map up on one thread
PORTS = {spec.name: small_inputs(spec, SIDE_PX) for spec in ALGORITHMS}
EXEMPLAR = [small_array(port, 160, 7) for spec in ALGORITHMS for port in spec.inputs if port.name == "exemplar"][:1]
MANY = {spec.name: {port.name for port in spec.inputs if port.many} for spec in ALGORITHMS}
SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "noise": ({}, {"basis": "explicit"}, {"basis": "worley-f1", "warp": 0.1}),
    "terrain": ({"method": "network"}, {"method": "assemble"}),
    "morphology": (
        {"steps": 4},
        {"steps": 4, "rivers": "cut"},
        *(
            {"method": method, "feature_iterations": 2}
            for method in ("gram", "channel-statistics", "histogram", "spatial")
        ),
        {"method": "gram", "parametrisation": "deep-image-prior", "feature_iterations": 1, "drainage": False},
    ),
    "hydrology": ({"steps": 4}, {"steps": 4, "channels": "cut", "depressions": "fill", "flow_model": "single"}),
    "scan_texture": (
        {"size": 256},
        {"size": 128, "refinement": "refine", "refinement_epochs": 1, "refinement_decay_epochs": 1},
        {"size": 128, "gradient_weight": 1.0, "alignment": "shift", "robustness": "huber"},
    ),
    "texture": ({"width": 144, "height": 144, "steps": 2}, {"width": 96, "height": 128, "model": "model"}),
    "paint": (
        {"budget": 200, "steps": 5, "layers": 2, "smudge": 0.5, "two_colors": True},
        {"budget": 150, "steps": 5, "layers": 2, "method": "patches", "regions": 4},
    ),
}


def jobs(folder: Path) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Every engine's name, settings and inputs."""
    model = trained_texture.write(folder / "model.safetensors")
    for engine, several in SETTINGS.items():
        for settings in several:
            inputs = {name: list(a) if name in MANY[engine] else a[0] for name, a in PORTS[engine].items()}
            if engine == "morphology":
                inputs["exemplar"] = EXEMPLAR
            if engine == "noise":
                settings = settings | {"width_px": SIDE_PX, "height_px": SIDE_PX}
            if "model" in settings:
                settings, inputs = settings | {"model": str(model)}, {}
            yield engine, settings, inputs


def digest(outputs: dict[str, Any]) -> str:
    """Of every output's shape, type and bytes."""
    whole = hashlib.sha256()
    for name, given in sorted(outputs.items()):
        for array in given if isinstance(given, tuple) else (given,):
            assert isinstance(array, Array)
            whole.update(f"{name} {array.values.shape} {array.values.dtype}".encode())
            whole.update(np.ascontiguousarray(array.values).tobytes())
    return whole.hexdigest()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for engine, settings, inputs in jobs(Path(folder)):
            made = [digest(backend.run(engine, device="cpu", threads=n, **settings, **inputs)) for n in THREADS]
            print(json.dumps({"engine": engine, "settings": settings, "digests": made}), flush=True)


if __name__ == "__main__":
    main()
