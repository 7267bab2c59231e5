"""A pack: the maps that a terrain model learns from, once resampled to square metres, in one folder of small files.

pack.json                   one entry per region: name, scale, split, pixel size, range of heights, source
NAME-height.png             uint16 over the entry's range of heights (0 = its lowest, 65535 = its highest)
NAME-valid.png              8-bit, where a region has holes
NAME-color.jpg              sRGB with its baked light, where there are colours
NAME-classes.png            8-bit numbers of classes, where they were made ahead of the training; not yet smoothed into blobs
NAME-water.png              the share of water on a globe

Maps are metric, or equirectangular over the whole globe, which globe_crops.py undoes for each crop.
No licence is decided here: `source` says what the file was, and the split whether a training may see it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from backend.files.whole_files import storage_error, write_bytes
from shared.errors import InvalidInput
from shared.terrain_classes import TERRAIN_CLASSES

Split = Literal["train", "held-out"]
Scale = Literal["regional", "continental"]
Grid = Literal["metric", "globe"]
JPEG_QUALITY = 92
INDEX = "pack.json"
Image.MAX_IMAGE_PIXELS = None  # packs are our own; an 8192 x 4096 globe is more than Pillow expects


@dataclass(frozen=True, kw_only=True)
class Region:
    """One map of a pack. low_m, high_m: heights of the values 0 and 65535. pixel_size_m: of a globe, at its equator.

    grid: where an entry has none, a continental map is a globe.
    """

    name: str
    scale: Scale
    split: Split
    pixel_size_m: float
    low_m: float
    high_m: float
    source: str
    grid: Grid | None = None

    @property
    def is_globe(self) -> bool:
        return self.grid == "globe" or (self.grid is None and self.scale == "continental")


@dataclass(frozen=True, kw_only=True)
class Maps:
    """height: float32 [H, W] m. valid: bool [H, W]. color: uint8 [H, W, 3] sRGB, water: uint8 [H, W], 255 = all water, classes:
    uint8 [H, W], or None."""

    height: np.ndarray
    valid: np.ndarray
    color: np.ndarray | None = None
    water: np.ndarray | None = None
    classes: np.ndarray | None = None


def write(folder: Path, entries: Sequence[tuple[Region, Maps]]) -> None:
    """A pack of these regions. Raises StorageFull."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for region, maps in entries:
            write_maps(folder, region, maps)
    except OSError as error:
        raise storage_error(folder, error) from error
    write_index(folder, [region for region, _ in entries])


def write_index(folder: Path, entries: Sequence[Region]) -> None:
    """pack.json, which makes a pack of a folder with the maps of these regions. Raises StorageFull."""
    document = [asdict(region) for region in entries]
    write_bytes(folder / INDEX, (json.dumps(document, indent=1) + "\n").encode())


def write_maps(folder: Path, region: Region, maps: Maps) -> None:
    """The files of one region. Raises OSError."""
    span = max(region.high_m - region.low_m, 1e-6)
    levels = np.round(np.clip((maps.height - region.low_m) / span, 0.0, 1.0) * 65535.0).astype(np.uint16)
    Image.fromarray(levels).save(folder / f"{region.name}-height.png", compress_level=9)
    if not maps.valid.all():
        Image.fromarray(maps.valid.astype(np.uint8) * 255).save(folder / f"{region.name}-valid.png")
    if maps.color is not None:
        Image.fromarray(maps.color).save(folder / f"{region.name}-color.jpg", quality=JPEG_QUALITY, subsampling=0)
    for layer, name in ((maps.water, "water"), (maps.classes, "classes")):
        if layer is not None:
            write_layer(folder, region, name, layer)


def write_layer(folder: Path, region: Region, name: str, layer: np.ndarray) -> None:
    """One 8-bit map of a region, such as its classes. Raises OSError."""
    Image.fromarray(layer).save(folder / f"{region.name}-{name}.png")


def regions(folder: Path) -> list[Region]:
    """What a pack holds. InvalidInput where the folder is none."""
    try:
        return [Region(**entry) for entry in json.loads((folder / INDEX).read_text(encoding="utf-8"))]
    except FileNotFoundError as error:
        raise InvalidInput(
            f"{folder} is not a terrain data pack: it has no pack.json.",
            hint="Make one with: relievo.py prepare terrain-data",
            field="data",
        ) from error
    except (OSError, ValueError, TypeError) as error:
        raise InvalidInput(f"{folder / 'pack.json'} cannot be read: {error}.", field="data") from error


def read(folder: Path, region: Region) -> Maps:
    """The maps of one region. InvalidInput for a missing or damaged file, one of another size or bit depth."""
    levels = _image(folder, f"{region.name}-height.png", None)
    if levels.dtype != np.uint16:
        raise InvalidInput(
            f"{folder / region.name}-height.png holds {levels.dtype} values; a pack's heights are 16-bit.",
            hint="Make the pack again: relievo.py prepare terrain-data",
            field="data",
        )
    height = levels.astype(np.float32) * ((region.high_m - region.low_m) / 65535.0) + region.low_m
    valid = _optional(folder, f"{region.name}-valid.png", height.shape)
    classes = _optional(folder, f"{region.name}-classes.png", height.shape)
    if classes is not None and (classes.dtype != np.uint8 or classes.max() >= len(TERRAIN_CLASSES)):
        raise InvalidInput(
            f"{folder / region.name}-classes.png holds {classes.dtype} values up to {classes.max()}; classes are 8-bit, 0 to "
            f"{len(TERRAIN_CLASSES) - 1}.",
            hint="Make the pack again: relievo.py prepare terrain-data",
            field="data",
        )
    colored = _image if region.is_globe else _optional
    return Maps(
        height=height,
        valid=np.ones(height.shape, bool) if valid is None else valid > 127,
        color=colored(folder, f"{region.name}-color.jpg", height.shape),
        water=_image(folder, f"{region.name}-water.png", height.shape) if region.is_globe else None,
        classes=classes,
    )


def _optional(folder: Path, name: str, shape: tuple[int, ...]) -> np.ndarray | None:
    return _image(folder, name, shape) if (folder / name).is_file() else None


def _image(folder: Path, name: str, shape: tuple[int, ...] | None) -> np.ndarray:
    path = folder / name
    try:
        with Image.open(path) as image:
            values = np.array(image)
    except FileNotFoundError as error:
        raise InvalidInput(
            f"The terrain data pack {folder} lacks {name}.",
            hint="Make the pack again: relievo.py prepare terrain-data",
            field="data",
        ) from error
    except (OSError, ValueError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.", field="data") from error
    if shape is not None and values.shape[:2] != shape:
        raise InvalidInput(
            f"{path} is {values.shape[1]}x{values.shape[0]} px; its heights are {shape[1]}x{shape[0]} px.", field="data"
        )
    return values
