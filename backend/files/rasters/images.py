"""What a file means to the kinds that are no heights: masks, classes, colours, normals, counts, UV and depth maps.

Bands have their scale and offset already. Pixels are taken as they are; nothing is resampled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from backend.files.rasters.bands import one_band
from backend.files.rasters.pixels import Pixels, full_level
from shared.arrays import CLASS_MAP, COLOR_IMAGE, COUNT_MAP, DEPTH_MAP, MASK, NORMAL_MAP, TEXTURE, UV_MAP, ArrayKind
from shared.cameras.views import uv_from_channels
from shared.classes import Classes, class_numbers, part_numbers
from shared.errors import InvalidInput
from shared.srgb import linear_to_srgb, srgb_to_linear


def values_of(
    kind: ArrayKind, path: Path, pixels: Pixels, classes: Classes, *, snap: bool = False, any_colors: bool = False
) -> np.ndarray:
    """The array's values. classes: the palette of a class map; snap: whether a colour that is none of them counts as the nearest;
    any_colors: whether each colour stands for a class of its own. Raises InvalidInput.
    """
    if kind is CLASS_MAP:
        return _parts(path, pixels, snap) if any_colors else _classes(path, pixels, classes, snap)
    return {**WITH_HOLES, **_IMAGES}.get(kind, _numbers)(path, pixels)


def _mask(path: Path, pixels: Pixels) -> np.ndarray:
    """0..1: integer levels over their full range, float values as they are."""
    band = one_band(path, pixels)
    if band.dtype.kind == "f":
        return band.astype(np.float32)
    return (band / full_level(pixels, band.dtype)).astype(np.float32)


def _classes(path: Path, pixels: Pixels, classes: Classes, snap: bool) -> np.ndarray:
    """Class numbers as they stand in the file; colours by those of the port's classes, where it declares some."""
    if classes and (pixels.palette or pixels.values.shape[2] >= 3):
        hint = "Paint with the exact colours and no soft edges, or add --snap-classes to take the nearest class."
        return class_numbers(_encoded(path, pixels), classes, snap=snap, what=str(path), hint=hint, field=str(path))
    band = pixels.values[..., 0] if pixels.palette else one_band(path, pixels)
    if classes and band.max() >= len(classes):
        raise InvalidInput(
            f"{path} holds the class {band.max()}; there are {len(classes)}, numbered from 0: "
            f"{', '.join(name for name, _ in classes)}.",
            hint="Give class numbers, or a colour image in the classes' colours.",
            field=str(path),
        )
    if band.min() < 0 or band.max() > 255 or not np.array_equal(band, np.rint(band)):
        raise InvalidInput(
            f"{path} runs from {band.min()} to {band.max()}; a class map holds whole numbers from 0 to 255.",
            field=str(path),
        )
    return band.astype(np.uint8)


def _parts(path: Path, pixels: Pixels, snap: bool) -> np.ndarray:
    """A class for each colour of a picture; numbers as they stand where it holds some."""
    values = pixels.values
    if pixels.palette or values.shape[2] >= 3:
        values = _rgb(path, pixels)
        if values.dtype.kind == "f":
            values = np.rint(np.clip(values, 0.0, 1.0) * 65535.0).astype(np.uint16)
        values = values[..., 0] if (values == values[..., :1]).all() else values
    else:
        values = one_band(path, pixels)
        if values.dtype.kind == "f" and not np.array_equal(values, np.rint(values)):
            raise InvalidInput(f"{path} has fractions; the numbers of parts are whole.", field=str(path))
        if values.min() < 0 or values.max() >= 1 << 32:
            raise InvalidInput(
                f"{path} runs from {values.min():g} to {values.max():g}; the numbers of parts start at 0.",
                field=str(path),
            )
    hint = "Save it as PNG with one colour for each part and no soft edges, or add --snap-classes to take the nearest."
    numbers = part_numbers(values, snap=snap, what=str(path), hint=hint, field=str(path))
    if pixels.palette and len(np.unique(pixels.values)) == len(np.unique(numbers)):
        return pixels.values[..., 0].astype(np.uint8)  # as the palette numbers them
    return numbers


def _color(path: Path, pixels: Pixels) -> np.ndarray:
    """Linear RGB: float values as they are, integer levels taken for sRGB."""
    values = _rgb(path, pixels)
    if values.dtype.kind == "f":
        return np.ascontiguousarray(values, dtype=np.float32)
    return srgb_to_linear(values / full_level(pixels, values.dtype)).astype(np.float32)


def color_over_white(path: Path, pixels: Pixels) -> np.ndarray:
    """Linear RGB of an image with levels of colour, its transparent parts laid over white as viewers do: in sRGB."""
    values = _rgb(path, pixels)
    opacity = np.ones(values.shape[:2], np.float32) if pixels.opacity is None else pixels.opacity
    opacity = np.where(pixels.hole, np.float32(0.0), opacity)[..., None]
    return srgb_to_linear(1.0 - opacity * (1.0 - values / full_level(pixels, values.dtype))).astype(np.float32)


def _encoded(path: Path, pixels: Pixels) -> np.ndarray:
    """sRGB 0..1: integer levels as they are, float values encoded."""
    values = _rgb(path, pixels)
    if values.dtype.kind == "f":
        return linear_to_srgb(np.clip(values, 0.0, 1.0))
    return values / np.float32(full_level(pixels, values.dtype))


def levels(path: Path, pixels: Pixels) -> np.ndarray | None:
    """Colours in 8 bits [H, W, 3] of a picture in colour or with a palette; None for one of numbers or grey."""
    if not (pixels.palette or pixels.values.shape[2] == 3):
        return None
    values = _rgb(path, pixels)
    if values.dtype.kind == "f":
        return np.rint(255.0 * np.clip(values, 0.0, 1.0)).astype(np.uint8)
    return np.rint(values * (255.0 / full_level(pixels, values.dtype))).astype(np.uint8)


def _rgb(path: Path, pixels: Pixels) -> np.ndarray:
    """[H, W, 3] in the file's own type: a palette's colours looked up, grey in all three channels."""
    values = pixels.values
    if pixels.colormap is not None:
        return pixels.colormap[values[..., 0]]
    if values.shape[2] == 1:
        values = np.repeat(values, 3, axis=2)
    if values.shape[2] != 3:
        raise InvalidInput(f"{path} has {values.shape[2]} bands; a colour image has R, G and B.", field=str(path))
    return values


def _texture(path: Path, pixels: Pixels) -> np.ndarray:
    """sRGB in 16 bits."""
    return np.rint(_encoded(path, pixels).astype(np.float64) * 65535.0).astype(np.uint16)


def _normals(path: Path, pixels: Pixels) -> np.ndarray:
    """Unit vectors: float values as they are, integer levels from -1 to 1. Lengths that compression has changed are mended."""
    values = _rgb(path, pixels)
    if values.dtype.kind != "f":
        values = values.astype(np.float32) * np.float32(2.0 / full_level(pixels, values.dtype)) - np.float32(1.0)
    length = np.linalg.norm(values, axis=-1, keepdims=True)
    if float(np.median(np.abs(length - 1.0))) > 0.2:
        raise InvalidInput(
            f"{path} is not a normal map: its vectors have a median length of {float(np.median(length)):.2f}, not 1.",
            hint="Is it a bump or a colour map?",
            field=str(path),
        )
    return (values / np.maximum(length, 1e-6)).astype(np.float32)


def _counts(path: Path, pixels: Pixels) -> np.ndarray:
    band = one_band(path, pixels)
    if band.min() < 0 or band.max() > 65535 or not np.array_equal(band, np.rint(band)):
        raise InvalidInput(
            f"{path} runs from {band.min()} to {band.max()}; counts must be whole numbers from 0 to 65535.",
            field=str(path),
        )
    return band.astype(np.uint16)


def _numbers(path: Path, pixels: Pixels) -> np.ndarray:
    """Float values as they are; integer levels as Relievo wrote them, else over 0..1."""
    band = one_band(path, pixels)
    if band.dtype.kind == "f":
        return band.astype(np.float32)
    if pixels.levels:
        return (pixels.levels[0] + pixels.levels[1] * band.astype(np.float64)).astype(np.float32)
    return _mask(path, pixels)


def _uv(path: Path, pixels: Pixels) -> np.ndarray:
    """[H, W, 2], v up: an EXR holds u and 1 - v (shared/cameras/views.py), .npy the map as it is."""
    values = pixels.values
    if values.dtype.kind != "f" or values.shape[2] < 2:
        raise InvalidInput(
            f"{path} is not a UV map: it has {values.shape[2]} channels of {values.dtype}.",
            hint="A UV map is an EXR with R = u and G = 1-v, or .npy [rows, columns, 2] with u and v.",
            field=str(path),
        )
    if pixels.format == "npy":
        return np.where(pixels.hole[..., None], np.float32(np.nan), values[..., :2]).astype(np.float32)
    return uv_from_channels(values[..., 0], values[..., 1])


def _depth(path: Path, pixels: Pixels) -> np.ndarray:
    """Metres in front of the camera; what is 0, negative or not finite shows no surface."""
    band = one_band(path, pixels).astype(np.float32)
    with np.errstate(invalid="ignore"):
        return np.where(pixels.hole | ~(band > 0), np.float32(np.nan), band)


WITH_HOLES: dict[ArrayKind, Callable[[Path, Pixels], np.ndarray]] = {UV_MAP: _uv, DEPTH_MAP: _depth}
_IMAGES: dict[ArrayKind, Callable[[Path, Pixels], np.ndarray]] = {
    MASK: _mask,
    COLOR_IMAGE: _color,
    COUNT_MAP: _counts,
    NORMAL_MAP: _normals,
    TEXTURE: _texture,
}
