"""What the files of the capture "bloster" say: where its photographs and mesh lie, its lens, and where it was taken from.

Its .cam files hold the pose from the world into the camera as "tx ty tz R00 R01 ... R22"; its config counts pixels from their
centres, so that half a pixel is added here. No photograph and no mesh is read. The capture is no part of this repository.
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
    found = dict(re.findall(r"^RGB_(fx|fy|cx|cy): (\S+)", text, re.M))
    return float(found["fx"]), float(found["fy"]), float(found["cx"]) + 0.5, float(found["cy"]) + 0.5


def poses(scan: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Rotation [3, 3] and translation [3] by the photograph's name, in the order of the names."""
    found = {}
    for path in sorted((scan / PHOTOGRAPHS).glob("color_*.cam")):
        numbers = np.array(path.read_text().split(), float)
        found[f"{path.stem}.jpg"] = numbers[3:12].reshape(3, 3), numbers[:3]
    return found
