"""Posed photographs: what a camera is, how a lens bends its picture, and the files that other programs keep them in.

Both sides read these files: Blender to make cameras of them, the command line to compute. NumPy and the standard library only.
"""

from __future__ import annotations

from .camera import FISHEYE, PERSPECTIVE, Camera, Distortion, from_array, to_array
from .reading import Cameras, files_of, read
from .relievo_json import write

__all__ = [
    "FISHEYE",
    "PERSPECTIVE",
    "Camera",
    "Cameras",
    "Distortion",
    "files_of",
    "from_array",
    "read",
    "to_array",
    "write",
]
