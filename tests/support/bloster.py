"""The capture "bloster" of the real data as a COLMAP model: what its own files say, in a format that is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.bloster_capture import HEIGHT, WIDTH, intrinsics, poses


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
