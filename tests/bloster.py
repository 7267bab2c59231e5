"""The scan "bloster" of the real data as a COLMAP model: what its own files say, in a format that is read.

Its .cam files hold the pose from the world into the camera as "tx ty tz R00 R01 ... R22"; its config counts pixels from their
centres, so that half a pixel is added here.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 1920, 1080
PHOTOGRAPHS = "Data/bloster/textureimages"
MESH = "Data/bloster/bloster.ply"


def intrinsics(scan: Path) -> tuple[float, float, float, float]:
    """fx, fy, cx, cy in pixels from the outer corner."""
    text = (scan / "Config/config.yml").read_text()
    fx, fy, cx, cy = (float(re.search(rf"^RGB_{name}: (\S+)", text, re.M)[1]) for name in ("fx", "fy", "cx", "cy"))
    return fx, fy, cx + 0.5, cy + 0.5


def poses(scan: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rotation [3, 3] and translation [3] by the photograph's name."""
    found = {}
    for path in sorted((scan / PHOTOGRAPHS).glob("color_*.cam")):
        numbers = np.array(path.read_text().split(), float)
        found[f"{path.stem}.jpg"] = numbers[3:12].reshape(3, 3), numbers[:3]
    return found


def write_colmap(scan: Path, folder: Path) -> Path:
    """cameras.txt and images.txt of the 14 photographs; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    fx, fy, cx, cy = intrinsics(scan)
    (folder / "cameras.txt").write_text(f"1 PINHOLE {WIDTH} {HEIGHT} {fx!r} {fy!r} {cx!r} {cy!r}\n")
    lines = []
    for number, (name, (rotation, translation)) in enumerate(poses(scan).items(), 1):
        values = " ".join(repr(float(value)) for value in (*quaternion(rotation), *translation))
        lines += [f"{number} {values} 1 {name}", ""]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    return folder


def quaternion(rotation: np.ndarray) -> np.ndarray:
    """w, x, y, z of the rotation nearest to a matrix, by Bar-Itzhack's eigenvector (2000)."""
    m = rotation
    k = np.array(
        [
            [m[0, 0] - m[1, 1] - m[2, 2], m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[2, 1] - m[1, 2]],
            [m[0, 1] + m[1, 0], m[1, 1] - m[0, 0] - m[2, 2], m[1, 2] + m[2, 1], m[0, 2] - m[2, 0]],
            [m[0, 2] + m[2, 0], m[1, 2] + m[2, 1], m[2, 2] - m[0, 0] - m[1, 1], m[1, 0] - m[0, 1]],
            [m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1], m[0, 0] + m[1, 1] + m[2, 2]],
        ]
    )
    x, y, z, w = np.linalg.eigh(k)[1][:, -1]
    return np.array([w, x, y, z]) * (1.0 if w >= 0 else -1.0)
