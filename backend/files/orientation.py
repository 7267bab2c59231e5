"""How a camera held what it took: the EXIF orientation of a picture, and its pixels as they are to be seen (Exif 2.3, table 6)."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image

UPRIGHT = 1
TAG = 0x0112
FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")  # of Pillow; some others run programs


def of_file(path: Path) -> int:
    """1 to 8; 1, as stored, where the file says nothing that can be read. Looks at headers only."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that nobody reads here
            with Image.open(path, formats=FORMATS) as picture:
                exif = picture.getexif() if picture.format != "PNG" else _png_exif(picture)
                found = exif.get(TAG, UPRIGHT)
    except Exception:  # of any kind where tags are damaged; whoever reads the pixels says what is wrong with the file
        return UPRIGHT
    return found if isinstance(found, int) and 1 <= found <= 8 else UPRIGHT


def _png_exif(picture: Image.Image) -> Image.Exif:
    """Of a PNG only what stands before its pixels: getexif() would decode them to look behind."""
    exif = Image.Exif()
    if data := picture.info.get("exif"):
        exif.load(data)
    return exif


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels [H, W, ...] as stored, turned and mirrored as the orientation says: [H, W, ...], or [W, H, ...] from 5 on."""
    if orientation >= 5:
        pixels = np.swapaxes(pixels, 0, 1)
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    if upside_down:
        pixels = pixels[::-1]
    if mirrored:
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
