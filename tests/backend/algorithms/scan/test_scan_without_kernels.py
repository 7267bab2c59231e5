"""A scan textured by plain torch operations alone, in a process that cannot import numba, against the compiled one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import backend
from tests.support.small_scan import SmallScan, psnr, small_scan

ROOT = Path(__file__).resolve().parents[4]
SIZE = 64
# Everything that a scan may ask for: light, displacements, gradients, outliers, held-out photographs, lenses, refinement.
ASKED: dict[str, Any] = {
    "size": SIZE, "hold_out": 5, "gradient_weight": 1.0, "refinement": "refine", "refinement_epochs": 2,
    "refinement_decay_epochs": 1, "content_loss": 0.0, "style_loss": 0.0, "seed": 3,
}  # fmt: skip
RUN = """
import sys
sys.modules |= {"numba": None, "llvmlite": None}
import json
import numpy as np
import backend
from shared.arrays import CAMERAS, MESH, PHOTOGRAPH, Array
given, asked = np.load(sys.argv[1]), json.loads(sys.argv[3])
names = [str(name) for name in given["names"]]
images = [Array(PHOTOGRAPH, given[f"photograph{place}"], {"name": name}) for place, name in enumerate(names)]
made = backend.run("scan_texture", device="cpu", images=images, mesh=Array(MESH, given["mesh"]),
                   cameras=Array(CAMERAS, given["cameras"], {"names": names}), **asked)
assert sys.modules["numba"] is None
np.savez(sys.argv[2], **{name: made[name][0].values if isinstance(made[name], tuple) else made[name].values
                         for name in ("texture", "coverage", "confidence")})
"""


def without_numba(scan: SmallScan, folder: Path, impl: str) -> dict[str, np.ndarray]:
    import json

    inputs = scan.inputs()
    photographs = {f"photograph{place}": image.values for place, image in enumerate(inputs["images"])}
    names, cameras = [camera.name for camera in scan.cameras], inputs["cameras"].values
    np.savez(folder / "scan.npz", mesh=scan.mesh, cameras=cameras, names=names, **photographs)
    done = subprocess.run(
        [sys.executable, "-c", RUN, str(folder / "scan.npz"), str(folder / "made.npz"), json.dumps(ASKED)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "RELIEVO_IMPL": impl},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    with np.load(folder / "made.npz") as file:
        return dict(file)


@pytest.mark.parametrize("impl", ["plain", "auto"])
def test_a_broken_compiler_is_a_slow_down_and_no_outage(impl: str, tmp_path: Path) -> None:
    scan = small_scan(8, gains=np.linspace(0.9, 1.1, 8), poses_px=0.6, outliers=0.01, seed=1)
    made = backend.run("scan_texture", device="cpu", **scan.inputs(), **ASKED)
    compiled = {name: made[name][0].values if isinstance(made[name], tuple) else made[name].values for name in made}
    plain = without_numba(scan, tmp_path, impl)
    seen = compiled["coverage"] >= 3
    assert seen.mean() > 0.5
    gap = (plain["texture"].astype(float) - compiled["texture"])[seen] / 65535
    assert -10 * np.log10(np.mean(gap**2)) > 45, "dB between the two"
    assert psnr(plain["texture"], seen) > psnr(compiled["texture"], seen) - 0.1
    np.testing.assert_allclose(plain["coverage"], compiled["coverage"], atol=1)
    np.testing.assert_allclose(plain["confidence"], compiled["confidence"], atol=0.02)
