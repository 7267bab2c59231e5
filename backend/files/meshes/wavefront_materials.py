"""Where the materials of an OBJ place their textures: the options -s, -o, -t and -clamp of the maps in its .mtl files.

Only what moves a texture on the surface is read; pictures are not opened, colours not looked at. Nothing is opened but plain files
in the mesh's own folder or below.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from backend.files.meshes.gltf_uvs import NEAR, in_one_square
from backend.files.meshes.plain_text import with_newlines
from backend.files.meshes.polygons import BrokenMesh, Polygons
from shared.errors import InvalidInput
from shared.read_files import MIB, read_bytes

logger = logging.getLogger(__name__)

MOST_BYTES = 16 * MIB
BASE_COLOR = "map_kd"
_VALUES = {  # options of a map, and how many values follow at most
    "-s": 3, "-o": 3, "-t": 3, "-mm": 2, "-clamp": 1, "-blendu": 1, "-blendv": 1, "-cc": 1, "-bm": 1, "-boost": 1,
    "-texres": 1, "-imfchan": 1, "-type": 1,
}  # fmt: skip
_WORDS = {"-clamp", "-blendu", "-blendv", "-cc", "-imfchan", "-type"}  # whose value is a word, not numbers
_MAPS = ("map_", "bump", "norm", "disp", "decal", "refl")  # that a line of a map begins with


@dataclass(frozen=True)
class Placement:
    """UVs (v up) are multiplied by scale and then shifted by offset, as Blender, three.js and Assimp do. is_clamped: the texture
    ends at its border; is_turbulent: it is distorted at random."""

    scale: tuple[float, float] = (1.0, 1.0)
    offset: tuple[float, float] = (0.0, 0.0)
    is_clamped: bool = False
    is_turbulent: bool = False


def placements(libraries: Sequence[str], folder: Path) -> dict[str, Placement]:
    """By material, of those that move their textures. libraries: what stands after each mtllib; folder: the mesh's.

    Raises BrokenMesh for a material file that is a pipe, a device or too large.
    """
    found: dict[str, Placement] = {}
    for library in libraries:
        for path in _files(library, folder):
            found = {**_placements(path), **found}  # the first of two materials with one name counts
    return {name: placement for name, placement in found.items() if placement != Placement()}


def placed(polygons: Polygons, names: Sequence[str], numbers: np.ndarray, found: Mapping[str, Placement]) -> Polygons:
    """The polygons with the UVs at which their materials show their textures; what cannot be applied is named in a warning.

    names: of the materials; numbers: [F] into them, of each face. found: what placements() gives.
    """
    of_corner = np.repeat(numbers, polygons.sizes) if found else numbers
    uv_corners, uvs, count = polygons.uv_corners.copy(), [polygons.uvs], len(polygons.uvs)
    for number, name in enumerate(names):
        if name not in found:
            continue
        own = (of_corner == number) & (polygons.uv_corners >= 0) & (polygons.uv_corners < len(polygons.uvs))
        used, places = np.unique(polygons.uv_corners[own], return_inverse=True)
        made = in_one_square(polygons.uvs[used] * found[name].scale + found[name].offset)
        _warn(name, found[name], made)
        uv_corners[own] = count + places.reshape(-1)
        uvs.append(made)
        count += len(made)
    return replace(polygons, uvs=np.concatenate(uvs), uv_corners=uv_corners)


def _warn(name: str, placement: Placement, uvs: np.ndarray) -> None:
    if placement.is_turbulent:
        logger.warning("The material %s distorts its texture (-t), which is not applied.", name)
    known = uvs[np.isfinite(uvs).all(axis=1)]
    if not len(known) or (known.min() >= -NEAR and known.max() <= 1 + NEAR):
        return
    logger.warning(
        "The material %s shows its texture at UVs from %.3g to %.3g (-s %g %g -o %g %g): beyond 0..1, where it %s, they are "
        "taken for UDIM tiles.",
        name, known.min(), known.max(), *placement.scale, *placement.offset,
        "ends (-clamp on)" if placement.is_clamped else "is repeated",
    )  # fmt: skip


def _files(library: str, folder: Path) -> Iterator[Path]:
    """The plain files that an mtllib line names: one name with spaces, or several names."""
    whole = _inside(library, folder)
    for name in [library] if whole is not None and whole.exists() else library.split():
        path = _inside(name, folder)
        if path is None:
            logger.warning("The material file %s is outside of the mesh's folder and is not read.", name[:60])
        elif path.exists():
            yield path


def _inside(name: str, folder: Path) -> Path | None:
    try:
        folder = folder.resolve()
        path = (folder / name.strip('"').replace("\\", "/")).resolve()
        return path if path.is_relative_to(folder) else None
    except (OSError, ValueError, RuntimeError) as error:
        raise BrokenMesh(f"refers to the material file {name[:60]!r}, which cannot be one ({error})") from error


def _placements(path: Path) -> dict[str, Placement]:
    """Of each material in a file: of its base colour's texture, else of the first of its maps."""
    try:
        data = read_bytes(path, field=path.name, most=MOST_BYTES)
    except InvalidInput as error:
        raise BrokenMesh(f"refers to the material file {path.name}: {error.message.rstrip('.')}") from error
    text = with_newlines(data).decode("utf-8", "replace").replace("\r", "").replace("\\\n", " ")
    maps: dict[str, dict[str, Placement]] = {}
    name = ""
    for line in text.split("\n"):
        word, _, rest = line.replace("\t", " ").strip().partition(" ")
        if word.lower() == "newmtl":
            name = rest.strip()
        elif word.lower().startswith(_MAPS):
            maps.setdefault(name, {}).setdefault(
                word.lower(), _placement(rest.split(), f"{path.name}, material {name}")
            )
    return {name: _chosen(name, own) for name, own in maps.items()}


def _chosen(name: str, maps: dict[str, Placement]) -> Placement:
    which = BASE_COLOR if BASE_COLOR in maps else next(iter(maps))
    others = [other for other, placement in maps.items() if _moves(placement) != _moves(maps[which])]
    if others:
        logger.warning(
            "The material %s places its maps differently: the UVs taken are those of %s, not of %s.",
            name,
            which,
            ", ".join(others),
        )
    return maps[which]


def _moves(placement: Placement) -> tuple[tuple[float, float], tuple[float, float]]:
    return placement.scale, placement.offset


def _placement(words: list[str], where: str) -> Placement:
    """From the words after map_Kd: options, then a file's name, which may have spaces."""
    found, at = Placement(), 0
    while at < len(words) and words[at].startswith("-"):
        option = words[at].lower()
        most = _VALUES.get(option)
        if most is None:
            logger.warning("The option %s of a map in %s is not known and is not applied.", words[at], where)
            return found
        values: list[str] = []
        while len(values) < most and at + 1 + len(values) < len(words):
            word = words[at + 1 + len(values)]
            if option not in _WORDS and _number(word) is None:
                break
            values.append(word)
        at += 1 + len(values)
        found = _with_option(found, option, values)
    return found


def _with_option(placement: Placement, option: str, values: list[str]) -> Placement:
    if option == "-clamp":
        return replace(placement, is_clamped=values[:1] == ["on"])
    numbers = [number for number in map(_number, values) if number is not None]
    if option == "-t":
        return replace(placement, is_turbulent=any(numbers))
    if option not in ("-s", "-o") or not numbers:
        return placement
    standard = 1.0 if option == "-s" else 0.0
    pair = (numbers[0], numbers[1] if len(numbers) > 1 else standard)
    return replace(placement, scale=pair) if option == "-s" else replace(placement, offset=pair)


def _number(word: str) -> float | None:
    try:
        number = float(word.replace(",", "."))
    except ValueError:
        return None
    return number if np.isfinite(number) else None
