"""Writes the scan that drive_scan.py takes: a hilly square whose texture is a formula, its photographs, and its cameras as COLMAP's
text files. Not a pytest file.

    PYTHONPATH=. .venv/bin/python tests/blender/window/write_small_scan.py FOLDER

makes FOLDER/hills.obj, FOLDER/sparse and FOLDER/images.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from tests.support.bloster import quaternion
from tests.support.small_scan import SmallScan, small_scan

VIEWS, WIDTH, HEIGHT, FOCAL_PX, DISTANCE = 12, 480, 360, 420.0, 1.6


def write(scan: SmallScan, folder: Path) -> None:
    for name in ("images", "sparse"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    corners = scan.mesh.reshape(-1, 5)
    places, vertex = np.unique(corners[:, :3], axis=0, return_inverse=True)
    lines = [f"v {x:.6f} {y:.6f} {z:.6f}" for x, y, z in places] + [f"vt {u:.6f} {v:.6f}" for u, v in corners[:, 3:]]
    numbered = [f"{v + 1}/{i + 1}" for i, v in enumerate(vertex.ravel())]
    lines += ["f " + " ".join(numbered[i : i + 3]) for i in range(0, len(numbered), 3)]
    (folder / "hills.obj").write_text("\n".join(lines) + "\n")
    cameras, images = [], []
    for number, (camera, photograph) in enumerate(zip(scan.cameras, scan.inputs()["images"], strict=True), start=1):
        (folder / "images" / camera.name).write_bytes(photograph.values.tobytes())
        lens = f"{camera.fx} {camera.fy} {camera.cx} {camera.cy}"
        cameras.append(f"{number} PINHOLE {camera.width} {camera.height} {lens}")
        pose = " ".join(repr(float(value)) for value in (*quaternion(camera.rotation), *camera.translation))
        images.append(f"{number} {pose} {number} {camera.name}\n")
    (folder / "sparse" / "cameras.txt").write_text("\n".join(cameras) + "\n")
    (folder / "sparse" / "images.txt").write_text("\n".join(images) + "\n")
    (folder / "sparse" / "points3D.txt").write_text("")


if __name__ == "__main__":
    write(small_scan(VIEWS, width=WIDTH, height=HEIGHT, focal_px=FOCAL_PX, distance=DISTANCE), Path(sys.argv[1]))
