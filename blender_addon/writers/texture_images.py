"""Maps over UV space -> packed image datablocks: one image, or a tiled one where there are UDIM tiles.

Images are always new: a result that replaces another must come back whole with one undo, and pixels written over are not
what undo remembers.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import bpy
import numpy as np

from .. import typed
from ..shared import png
from ..shared.arrays import COLOR_IMAGE, COUNT_MAP, HEIGHT_MAP, MASK, NORMAL_MAP, TEXTURE, Array
from ..shared.errors import InvalidInput, InvalidParameter
from . import images

DEPTHS = ("BYTE", "SHORT", "FLOAT")  # 8-bit and 16-bit PNG in sRGB, 32-bit EXR in linear light
FIRST_TILE = 1001
WHITE_KEY = "relievo_white"  # custom property of an image of counts: how many white stands for


def build(name: str, given: Sequence[Array], *, depth: str = "BYTE", mask_depth: str = "BYTE") -> bpy.types.Image:
    """A packed image of one array, or a tiled one of several.

    given: of one kind, one for each UDIM tile (attribute tile). Colours (TEXTURE, COLOR_IMAGE) and normals are written as depth
    says, masks as mask_depth says, heights always as 32-bit floats; counts are grey in 8 bits, as shares of the highest (custom
    property WHITE_KEY). All but colours are Non-Color. Raises InvalidInput, InvalidParameter.
    """
    if depth not in DEPTHS:
        raise InvalidParameter(f"There is no depth {depth!r}.", hint=f"There are: {', '.join(DEPTHS)}.", field="output")
    tiles = {tile_of(array): array for array in given}
    if not given or len(tiles) != len(given):
        raise InvalidInput(f"{name}: there are {len(given)} arrays for {len(tiles)} tiles.", field=name)
    white = max(1, *(int(array.values.max()) for array in given)) if given[0].kind is COUNT_MAP else 0
    if given[0].kind is MASK:
        depth = mask_depth
    elif given[0].kind is HEIGHT_MAP:
        depth = "FLOAT"
    if list(tiles) == [FIRST_TILE]:
        image = _single(name, given[0], depth, white)
    else:
        image = _tiled(name, {tile: tiles[tile] for tile in sorted(tiles)}, depth, white)
    images.mark(image, given[0].kind)
    if white:
        image[WHITE_KEY] = white
    space = _color_space(given[0], depth)
    if typed.color_space(image) != space:  # setting it, even to the same, loads the packed pixels again
        typed.set_color_space(image, space)
    return image


def tile_of(array: Array) -> int:
    """UDIM number of an array; 1001 is the unit square."""
    return int(array.attributes.get("tile", FIRST_TILE))


def show(image: bpy.types.Image, array: Array) -> None:
    """Write colours, a TEXTURE or a COLOR_IMAGE, into an 8-bit sRGB image of their size without packing it: for previews."""
    values = array.values[::-1]
    pixels = np.ones((*values.shape[:2], 4), np.float32)
    if array.kind is TEXTURE:
        np.multiply(values, np.float32(1.0 / 65535.0), out=pixels[..., :3])
    else:
        pixels[..., :3] = encoded(values)
    typed.write_pixels(image, pixels)
    image.update()


def _color_space(array: Array, depth: str) -> str:
    if array.kind not in (TEXTURE, COLOR_IMAGE):
        return "Non-Color"
    return "Linear Rec.709" if depth == "FLOAT" else "sRGB"


def _single(name: str, array: Array, depth: str, white: int) -> bpy.types.Image:
    rows, columns = array.values.shape[:2]
    if _is_float(array, depth):
        return _float_image(name, array)
    image = bpy.data.images.new(name, 1, 1)
    file = png.encoded(_levels(array, depth, white), level=png.FAST)
    image.pack(data=file, data_len=len(file))
    image.source = "FILE"
    if typed.size(image) != (columns, rows):
        bpy.data.images.remove(image)
        raise InvalidInput(
            f"Blender could not read the {columns} x {rows} px of {name} back.", hint="Choose a smaller size."
        )
    return image


def _tiled(name: str, tiles: dict[int, Array], depth: str, white: int) -> bpy.types.Image:
    """Blender makes tiled images out of files alone, so these exist until they are packed."""
    extension = "exr" if _is_float(next(iter(tiles.values())), depth) else "png"
    with tempfile.TemporaryDirectory() as folder:
        stem = Path(folder) / bpy.path.clean_name(name)
        for tile, array in tiles.items():
            path = Path(f"{stem}.{tile}.{extension}")
            if extension == "exr":
                _save_float(path, array)
            else:
                path.write_bytes(png.encoded(_levels(array, depth, white), level=png.FAST))
        first, *others = tiles
        image = bpy.data.images.load(f"{stem}.{first}.{extension}")
        image.name = name
        image.source = "TILED"
        image.filepath = f"{stem}.<UDIM>.{extension}"
        if image.tiles[0].number != first:
            image.tiles[0].number = first
        for tile in others:
            image.tiles.new(tile_number=tile)
        image.pack()
    image.filepath_raw = f"//textures/{stem.name}.<UDIM>.{extension}"  # where unpacking puts them
    return image


def _is_float(array: Array, depth: str) -> bool:
    return array.kind is not COUNT_MAP and depth == "FLOAT"


def _levels(array: Array, depth: str, white: int) -> np.ndarray:
    """What a PNG holds of an array: uint8 or uint16."""
    values = array.values
    if array.kind is TEXTURE:
        return values if depth == "SHORT" else _eight_bits(values)
    if white:
        return np.rint(values * np.float32(255.0 / white)).astype(np.uint8)
    dtype, most = (np.uint16, 65535.0) if depth == "SHORT" else (np.uint8, 255.0)
    if array.kind is COLOR_IMAGE:
        values = encoded(values)
    elif array.kind is NORMAL_MAP:
        values = 0.5 * values + 0.5
    return np.rint(np.clip(values, 0.0, 1.0) * np.float32(most)).astype(dtype)


def _eight_bits(values: np.ndarray) -> np.ndarray:
    """uint16 -> uint8, to the nearest: 65535 / 255 = 257."""
    made = np.empty(values.shape, np.uint8)
    for row in range(0, len(values), 256):
        made[row : row + 256] = (values[row : row + 256].astype(np.uint32) + 128) // 257
    return made


def _float_image(name: str, array: Array) -> bpy.types.Image:
    image = _unpacked_float_image(name, array)
    image.pack()
    return image


def _save_float(path: Path, array: Array) -> None:
    image = _unpacked_float_image(path.stem, array)
    try:
        image.filepath_raw, image.file_format = str(path), "OPEN_EXR"
        image.save()
    finally:
        bpy.data.images.remove(image)


def _unpacked_float_image(name: str, array: Array) -> bpy.types.Image:
    rows, columns = array.values.shape[:2]
    image = bpy.data.images.new(name, columns, rows, alpha=False, float_buffer=True)
    typed.set_color_space(image, _color_space(array, "FLOAT"))
    image.use_half_precision = array.kind is not HEIGHT_MAP
    values = linear(array.values) if array.kind is TEXTURE else array.values
    if array.kind is NORMAL_MAP:
        values = 0.5 * values + 0.5
    pixels = np.ones((rows, columns, 4), np.float32)
    pixels[..., :3] = (values if values.ndim == 3 else values[..., None])[::-1]
    typed.write_pixels(image, pixels)
    image.update()
    return image


def linear(values: np.ndarray) -> np.ndarray:
    """sRGB in 16 bits -> linear light, float32 (IEC 61966-2-1)."""
    encoded = np.arange(65536) / 65535.0
    table = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    return table.astype(np.float32)[values]


def encoded(values: np.ndarray) -> np.ndarray:
    """Linear light -> sRGB, 0..1 (IEC 61966-2-1); what is brighter than white is white."""
    light = np.clip(values, 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
