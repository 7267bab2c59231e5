"""The maps of a material from files and to files: one image per map, or all of them in one .npz.

material.base_color.png, material.roughness.png ... A folder of images as texture libraries ship them is read by the words in
their names (albedo, rough, nrm, disp ...). A normal map is taken as OpenGL's, y up, unless its name says DirectX.
"""

from __future__ import annotations

import io
import itertools
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from backend.files import rasters
from backend.files.kinds import ENDINGS, Reading, Writing
from backend.files.whole_files import write_bytes
from shared import texture_set
from shared.arrays import COLOR_IMAGE, MASK, NORMAL_MAP, Array, ArrayKind, check
from shared.errors import InvalidInput
from shared.read_files import check_plain

IMAGES = (".png", ".jpg", ".jpeg", ".exr", ".tif", ".tiff")
WORDS = {
    "base_color": ("basecolor", "albedo", "diffuse", "diff", "color", "colour", "col"),
    "roughness": ("roughness", "rough"),
    "metallic": ("metallic", "metalness", "metal"),
    "specular": ("specular", "spec"),
    "alpha": ("alpha", "opacity"),
    "normal": ("normal", "normals", "nrm", "nor", "norm", "normalgl", "normaldx"),
    "height": ("height", "displacement", "disp", "bump"),
    "ambient_occlusion": ("ambientocclusion", "occlusion", "ao"),
    "emission": ("emission", "emissive", "emit"),
}
_LEVELS = ArrayKind(name="LEVELS", dtype="float32", axes=("H", "W"), unit="", help="Numbers over their own range.")


def write(array: Array, path: Path, writing: Writing) -> dict[str, dict[str, Any]]:
    maps = texture_set.split(array)
    if writing.format == "npz":
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **maps)  # pyright: ignore[reportArgumentType]  # no map is called allow_pickle
        write_bytes(path, buffer.getvalue())
        return {path.name: {}}
    made = {}
    stem = path.name.removesuffix(ENDINGS[writing.format])
    for name, values in maps.items():
        file = path.with_name(f"{stem}.{name}{ENDINGS[writing.format]}")
        single = values[..., 0] if values.shape[2] == 1 else values
        one = Array(_kind_of(name, single), np.ascontiguousarray(single))
        bits = 8 if writing.format == "png8" and name != "height" else 16  # 8 bits of height show as terraces
        made[file.name] = rasters.write(one, file, bits=bits)
    return made


def _kind_of(name: str, values: np.ndarray) -> ArrayKind:
    if name in texture_set.COLORS:
        return COLOR_IMAGE
    if name == "normal":
        return NORMAL_MAP
    return MASK if float(values.min()) >= 0.0 and float(values.max()) <= 1.0 else _LEVELS


def read(path: Path, reading: Reading) -> Array:
    """A TEXTURE_SET from a folder of images, from an .npz that Relievo wrote, or from one image, which is its base colour.

    Raises InvalidInput: no map in the folder, two files for one map, maps of different sizes.
    """
    port = reading.port.name
    if path.suffix.lower() == ".npz":
        return _npz(path, port)
    files = {"base_color": path} if not path.is_dir() else _files_in(path, port)
    maps: dict[str, np.ndarray] = {}
    for name, file in files.items():
        maps |= _read_map(name, file, wants_alpha="alpha" not in files)
    sizes = {values.shape[:2] for values in maps.values()}
    if len(sizes) > 1:
        sizes = ", ".join(f"{files[name].name} is {v.shape[1]} x {v.shape[0]}" for name, v in maps.items())
        raise InvalidInput(f"The maps in {path} differ in size: {sizes}.", hint="Scale them to one size.", field=port)
    return check(texture_set.stack(maps), port)


def files_of(folder: Path) -> tuple[Path, ...]:
    """The images of a folder that are maps of a material. Raises InvalidInput where there are none or two of one map."""
    return tuple(_files_in(folder, "").values())


def _npz(path: Path, port: str) -> Array:
    try:
        check_plain(path, field=port)
        with np.load(path, allow_pickle=False) as archive:
            maps = {name: archive[name] for name in archive.files}
    except FileNotFoundError as error:
        raise InvalidInput(f"{path} does not exist.", field=port) from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise InvalidInput(f"{path} cannot be read: it is damaged or another file ({error}).", field=port) from error
    if not maps or len({values.shape[:2] for values in maps.values()}) > 1:
        raise InvalidInput(f"{path} holds no maps of one size.", field=port)
    return check(texture_set.stack(maps), port)


def _files_in(folder: Path, port: str) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        name = map_name(file.stem) if file.suffix.lower() in IMAGES else ""
        if not name:
            continue
        if name in found:
            raise InvalidInput(
                f"{found[name].name} and {file.name} are both the {name.replace('_', ' ')} of the set in {folder}.",
                hint="Leave one of them in the folder.",
                field=port,
            )
        found[name] = file
    if not found:
        raise InvalidInput(
            f"{folder} holds no image whose name says which map it is.",
            hint="Name them like this: base_color.png, roughness.png, normal.png, height.png.",
            field=port,
        )
    return found


def map_name(stem: str) -> str:
    """Which map a file is by the words in its name, the last one that is known; "" for none."""
    split = re.sub(r"([a-z])([A-Z])", r"\1 \2", stem)
    words = [word for word in re.split(r"[^a-z]+", split.lower()) if word]
    candidates = [
        *enumerate(words),
        *enumerate(map("".join, itertools.pairwise(words))),
    ]  # "base color" is one word of two
    hits = [(place, name) for place, word in candidates for name, known in WORDS.items() if word in known]
    return max(hits)[1] if hits else ""


def _read_map(name: str, file: Path, *, wants_alpha: bool) -> dict[str, np.ndarray]:
    """The map, and the alpha map that a base colour with transparent pixels brings along where it is wanted."""
    if name == "base_color" and wants_alpha:
        color, hole = rasters.read_with_holes(COLOR_IMAGE, file)
        return {name: color.values} | ({"alpha": (~hole).astype(np.float32)} if hole.any() else {})
    if name in texture_set.COLORS:
        return {name: rasters.read(COLOR_IMAGE, file).values}
    if name == "normal":
        values = rasters.read(NORMAL_MAP, file).values
        return {name: values * np.array([1, -1, 1], np.float32) if _is_directx(file.stem) else values}
    return {name: rasters.read(_LEVELS, file).values}


def _is_directx(stem: str) -> bool:
    return bool(re.search(r"(directx|normal.?dx|_dx)", stem.lower()))
