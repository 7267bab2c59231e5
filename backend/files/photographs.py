"""The bytes of a photograph to its pixels: JPEG, PNG, TIFF and WebP, in 8 or 16 bits.

Decoded where it is needed and as small as it is needed, so that photographs can be streamed. Pixels come as the camera stored them:
sRGB values, no colour management, no EXIF orientation unless a camera asks for it. No camera, lens or path is known here.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from backend.files.kinds import Reading
from backend.files.orientation import FORMATS, TAG, UPRIGHT, turned
from shared.arrays import MAX_SIDE, PHOTOGRAPH, Array
from shared.cameras.image_header import image_size
from shared.errors import InvalidInput, OutOfMemory
from shared.plain_files import is_special, require_plain

MAX_PIXELS = 1_000_000_000  # of one photograph: 6 GB in 16 bits
REDUCTIONS = (1, 2, 4, 8)
DENSEST = 1100  # bytes of pixels per byte of a PNG
SMALL_PIXELS = 1 << 22  # below which that is not looked at
ROWS = 256  # of pixels that are copied at a time

Image.MAX_IMAGE_PIXELS = (
    MAX_PIXELS  # Pillow's own limit, meant for untrusted files on servers, is the size of a medium-format camera's
)

_BITS_PER_SAMPLE = 258  # TIFF tag
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type


def read(path: Path, reading: Reading) -> Array:
    """A PHOTOGRAPH: the file's bytes, mapped; the disk's pages come in when they are decoded, and go when memory is short."""
    if is_special(path):
        require_plain(path, field=reading.port.name)
    try:
        if path.stat().st_size == 0:
            raise InvalidInput(f"{path} is empty (0 bytes).", field=reading.port.name)
        return Array(PHOTOGRAPH, np.memmap(path, np.uint8, mode="r"), {"name": reading.name or path.name})
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no photograph {path}.", field=reading.port.name) from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.", field=reading.port.name) from error


def size_of(array: Array) -> tuple[int, int]:
    """(width, height) in pixels as stored, from the header alone. Raises InvalidInput, naming the photograph."""
    name = _name(array)
    size = image_size(array.values, name)
    if max(size) > MAX_SIDE or size[0] * size[1] > MAX_PIXELS:
        raise InvalidInput(
            f"{name} is {size[0]} x {size[1]} px; at most {MAX_PIXELS // 1_000_000} Mpx are supported.",
            hint="Scale it down.",
            field="images",
        )
    _check_claim(name, size, array.values)
    return size


def _check_claim(name: str, size: tuple[int, int], content: np.ndarray) -> None:
    """A PNG is packed by DEFLATE, which makes at most 1032 bytes of one; a header that claims more is not followed."""
    if bytes(content[:8]) != b"\x89PNG\r\n\x1a\n" or content.size < 26 or size[0] * size[1] < SMALL_PIXELS:
        return
    bits = int(content[24]) * _PNG_CHANNELS.get(int(content[25]), 1)
    if size[0] * size[1] * bits / 8 > DENSEST * content.size:
        raise InvalidInput(
            f"{name} is damaged or cut short: its header claims {size[0]} x {size[1]} px, and its {content.size} bytes cannot hold "
            "them.",
            hint="Copy or export it again, or leave it out.",
            field="images",
        )


def decode(array: Array, reduction: int = 1, *, size: tuple[int, int] | None = None) -> np.ndarray:
    """[H, W, 3] uint8, or uint16 where the file has 16 bits; sRGB values, alpha left out, grey in all three channels.

    reduction: 1, 2, 4 or 8: each pixel is the mean of a block of that side; incomplete last blocks are dropped. size: the
    (width, height) that its camera says; a picture that fits it only when turned as its EXIF orientation says is turned. Raises
    InvalidInput, naming the photograph, for what cannot be decoded.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction is {reduction}; it must be one of {REDUCTIONS}")
    name = _name(array)
    stored = size_of(array)
    if min(stored) < reduction:
        raise ValueError(f"{name} of {stored[0]} x {stored[1]} px cannot be reduced by {reduction}")
    with _errors_named(name):
        pixels, orientation = _pixels(array, stored, reduction)
        if pixels.shape[:2] != (stored[1] // reduction, stored[0] // reduction):
            pixels = _block_means(pixels, stored, reduction)
    turn = size is not None and stored != tuple(size) and stored == tuple(size)[::-1]
    return turned(pixels, orientation) if turn and orientation > 4 else pixels


def color_profile(array: Array) -> str:
    """The name of the photograph's ICC profile, "" for none or for sRGB: decode() takes its values as sRGB all the same."""
    with _errors_named(_name(array)), Image.open(_file(array), formats=FORMATS) as picture:
        profile = picture.info.get("icc_profile")
    if not profile:
        return ""
    try:
        found = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(profile))).strip()
    except (OSError, ImageCms.PyCMSError):
        return "unreadable"
    return "" if "srgb" in found.lower() else found


class _Bytes(io.RawIOBase):
    """The bytes of a photograph as a file that is read where they lie, mapped or not."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = np.ascontiguousarray(values, np.uint8)
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._values.size}[whence]
        self._at = max(start + offset, 0)
        return self._at

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]  # typeshed's name for it is private
        taken = self._values[self._at : self._at + len(buffer)]
        buffer[: taken.size] = taken.tobytes()
        self._at += taken.size
        return taken.size


def _file(array: Array) -> io.BufferedReader:
    return io.BufferedReader(_Bytes(array.values), 1 << 16)


def _name(array: Array) -> str:
    return str(array.attributes.get("name") or "The photograph")


@contextmanager
def _errors_named(name: str) -> Iterator[None]:
    """Pillow's and GDAL's many ways of saying that a file is broken, as one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of metadata that nobody reads here
            yield
    except MemoryError as error:
        raise OutOfMemory(f"{name} does not fit into memory.", hint="Scale it down.", field="images") from error
    except (OSError, ValueError, SyntaxError, EOFError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        said = " ".join(str(error).split()).rstrip(".")
        raise InvalidInput(
            f"{name} cannot be decoded: it is damaged, cut short or of an unknown kind ({said}).",
            hint="Copy or export it again, or leave it out.",
            field="images",
        ) from error


def _pixels(array: Array, stored: tuple[int, int], reduction: int) -> tuple[np.ndarray, int]:
    """[h, w, 3], perhaps reduced in part or not at all, and the EXIF orientation. GDAL reads what Pillow cannot."""
    try:
        picture = Image.open(_file(array), formats=FORMATS)
    except UnidentifiedImageError:
        if bytes(array.values[:2]) in (b"II", b"MM"):
            return _bands(array), 1
        raise
    with picture:
        if picture.mode.startswith("I"):
            pixels = _grey_16(picture)
        elif _bits(picture) == 16:
            pixels = _bands(array)
        else:
            pixels = _decode_8(picture, stored, reduction)
        return pixels, int(
            picture.getexif().get(TAG, UPRIGHT)
        )  # last: it may load a PNG, whose bits are then forgotten


def _bits(picture: Image.Image) -> int:
    """Bits a sample in the file; Pillow's own mode hides that it would cut colours of 16 bits down to 8."""
    if picture.format == "TIFF":
        bits = picture.tag_v2.get(_BITS_PER_SAMPLE, (8,))  # type: ignore[attr-defined]
        return int(bits[0] if isinstance(bits, tuple) else bits)
    if picture.format == "PNG":
        return 16 if any("16" in str(tile.args) for tile in getattr(picture, "tile", ())) else 8
    return 8


def _decode_8(picture: Image.Image, stored: tuple[int, int], reduction: int) -> np.ndarray:
    if _bits(picture) not in (1, 2, 4, 8):
        raise ValueError(f"its samples have {_bits(picture)} bits")
    if reduction > 1 and picture.format == "JPEG":
        picture.draft("RGB" if picture.mode != "L" else "L", (stored[0] // reduction, stored[1] // reduction))
    picture.load()
    if reduction > 1 and picture.size == stored:
        picture = picture.crop((0, 0, stored[0] // reduction * reduction, stored[1] // reduction * reduction))
        return _array(_rgb(picture).reduce(reduction))
    return _array(_rgb(picture))


def _array(picture: Image.Image) -> np.ndarray:
    """[H, W, 3] uint8, a few rows at a time: as a whole Pillow would make two copies beside its own four bytes a pixel."""
    pixels = np.empty((picture.height, picture.width, 3), np.uint8)
    for first in range(0, picture.height, ROWS):
        last = min(first + ROWS, picture.height)
        pixels[first:last] = np.asarray(picture.crop((0, first, picture.width, last)))
    return pixels


def _rgb(picture: Image.Image) -> Image.Image:
    """Colour without alpha: Pillow would paint a palette's transparent colour, and keeps what lies under other alpha."""
    if picture.mode in ("P", "PA"):
        picture = picture.convert("RGBA")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


def _grey_16(picture: Image.Image) -> np.ndarray:
    grey = np.asarray(picture)
    if grey.dtype != np.uint16 and (grey.min() < 0 or grey.max() > 65535):
        raise ValueError("its samples have 32 bits")
    return np.repeat(grey.astype(np.uint16)[..., None], 3, axis=2)


def _bands(array: Array) -> np.ndarray:
    """[H, W, 3] uint8 or uint16 by GDAL: Pillow cuts colours of 16 bits down to 8."""
    import rasterio
    from rasterio.io import MemoryFile

    with (
        rasterio.Env(GDAL_PAM_ENABLED="NO", GDAL_NUM_THREADS="1", GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"),
        MemoryFile(array.values.tobytes()) as memory,
        memory.open(driver=["GTiff", "PNG"]) as dataset,
    ):
        if dataset.dtypes[0] not in ("uint8", "uint16"):
            raise ValueError(f"its samples are {dataset.dtypes[0]}")
        bands = dataset.read([1, 2, 3] if dataset.count >= 3 else [1, 1, 1])
    return np.ascontiguousarray(np.moveaxis(bands, 0, 2))


def _block_means(pixels: np.ndarray, stored: tuple[int, int], reduction: int) -> np.ndarray:
    """The rest of a reduction that the decoder has not done, and a last partial block cut away."""
    width, height = stored[0] // reduction, stored[1] // reduction
    left = max(min(pixels.shape[0] // height, pixels.shape[1] // width, reduction), 1)
    if left == 1:
        return np.ascontiguousarray(pixels[:height, :width])
    blocks = pixels[: height * left, : width * left].reshape(height, left, width, left, 3)
    return np.rint(blocks.mean(axis=(1, 3), dtype=np.float32)).astype(pixels.dtype)
