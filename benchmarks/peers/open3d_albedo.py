"""Open3D's `TriangleMesh.project_images_to_albedo`, in a process of its own, so that neither's threads or memory touch ours.

Needs the group `peers` of pyproject.toml. Open3D's wheel asks for a libusb that many systems lack; libusb-package brings
one, which is loaded first. Only the call itself is timed, not the import and not the hand-over of the arrays.
"""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.machine import versions
from shared.cameras.camera import Camera

# Open3D counts from the centre of the top left pixel, we from its corner: without this it would score a decibel less.
HALF_A_PIXEL = np.array([[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]])


class NotInstalled(Exception):
    """Open3D is not in this environment."""


def is_installed() -> bool:
    return importlib.util.find_spec("open3d") is not None


def version() -> str:
    return versions("open3d")["open3d"]


def project_to_albedo(
    mesh: np.ndarray, cameras: Sequence[Camera], photographs: np.ndarray, size: int, repeats: int = 1
) -> tuple[np.ndarray, float]:
    """Texture uint8 [size, size, 3], the top row first, and the median seconds of the calls.

    mesh: float32 [N, 3, 5]. photographs: uint8 [V, H, W, 3]. Raises NotInstalled.
    """
    if not is_installed():
        raise NotInstalled("Open3D is missing: install the group peers of pyproject.toml.")
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npy"
        np.savez(
            given, mesh=mesh, photographs=photographs, size=size, repeats=repeats,
            intrinsics=np.stack([camera.intrinsics - HALF_A_PIXEL for camera in cameras]),
            extrinsics=np.stack([_extrinsic(camera) for camera in cameras]),
        )  # fmt: skip
        command = [sys.executable, "-m", "benchmarks.peers.open3d_albedo", str(given), str(made)]
        environ = dict(os.environ, OPEN3D_DISABLE_WEB_VISUALIZER="true")
        done = subprocess.run(
            command, cwd=Path(__file__).resolve().parents[2], env=environ, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"Open3D failed: {done.stderr.strip()[-600:]}")
        return np.load(made), float(json.loads(done.stdout.strip().splitlines()[-1])["seconds"])


def _extrinsic(camera: Camera) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = camera.rotation, camera.translation
    return matrix


def _child(given: Path, made: Path) -> None:
    import libusb_package

    ctypes.CDLL(str(libusb_package.get_library_path()), mode=ctypes.RTLD_GLOBAL)
    import open3d as o3d

    arrays = np.load(given)
    soup = arrays["mesh"]
    points, corners = np.unique(soup[..., :3].reshape(-1, 3), axis=0, return_inverse=True)
    mesh = o3d.t.geometry.TriangleMesh(
        o3d.core.Tensor(np.ascontiguousarray(points)), o3d.core.Tensor(corners.reshape(-1, 3).astype(np.int64))
    )
    mesh.triangle.texture_uvs = o3d.core.Tensor(np.ascontiguousarray(soup[..., 3:]))
    images = [o3d.t.geometry.Image(o3d.core.Tensor(np.ascontiguousarray(pixels))) for pixels in arrays["photographs"]]
    intrinsics = [o3d.core.Tensor(matrix) for matrix in arrays["intrinsics"]]
    extrinsics = [o3d.core.Tensor(matrix) for matrix in arrays["extrinsics"]]
    times = []
    for _ in range(int(arrays["repeats"])):
        began = time.perf_counter()
        albedo = mesh.project_images_to_albedo(images, intrinsics, extrinsics, int(arrays["size"]), False)
        times.append(time.perf_counter() - began)
    np.save(made, np.ascontiguousarray(albedo.as_tensor().numpy()[..., :3]))
    print(json.dumps({"seconds": float(np.median(times))}))


if __name__ == "__main__":
    _child(Path(sys.argv[1]), Path(sys.argv[2]))
