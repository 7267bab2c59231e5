"""NeuralTexGen's ready views: images/ID.jpg or .png with uvs/ID.exr, where R is u and G is 1 - v.

Which photograph belongs to which UV map is found here, and what the two channels mean; the pixels of an EXR are read by whoever
has a reader for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import InvalidInput
from .photographs import list_images, match_by_name

LAYOUT = "Views are images/ID.jpg or .png with uvs/ID.exr, and masks/ID.png if there are any."


@dataclass(frozen=True)
class View:
    """A photograph and the map of where each of its pixels looks in the texture."""

    name: str
    photograph: Path
    uv_map: Path


def find_views(folder: Path | str) -> tuple[View, ...]:
    """The views of a folder in the order of their photographs' names; numbers count as numbers.

    Raises InvalidInput where folders are missing or empty, a photograph or UV map lacks its other half, or two photographs have
    the same one.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InvalidInput(f"There is no folder {folder}.", hint=LAYOUT, field="views")
    for name in ("images", "uvs"):
        if not (folder / name).is_dir():
            raise InvalidInput(f"{folder} has no folder {name}.", hint=LAYOUT, field="views")
    photographs = sorted(list_images(folder / "images"), key=_order)
    maps = sorted((folder / "uvs").rglob("*.exr"), key=_order)
    if not photographs or not maps:
        what = "photograph" if not photographs else "UV map"
        raise InvalidInput(f"{folder} has no {what}.", hint=LAYOUT, field="views")
    matched = match_by_name([path.relative_to(folder / "images").as_posix() for path in photographs], maps, "UV map")
    taken: dict[Path, Path] = {}
    for photograph, uv_map in zip(photographs, matched, strict=True):
        if uv_map is None:
            raise InvalidInput(
                f"The photograph {photograph} has no UV map in {folder / 'uvs'}.", hint=LAYOUT, field="views"
            )
        if uv_map in taken:
            raise InvalidInput(
                f"The photographs {taken[uv_map]} and {photograph} have the same UV map {uv_map}.",
                hint="Leave one of them out.",
                field="views",
            )
        taken[uv_map] = photograph
    rest = set(maps) - set(matched)
    if rest:
        raise InvalidInput(
            f"The UV map {min(rest)} has no photograph in {folder / 'images'}.", hint=LAYOUT, field="views"
        )
    pairs = zip(photographs, matched, strict=True)
    return tuple(View(path.name, path, uv_map) for path, uv_map in pairs if uv_map is not None)


def uv_from_channels(red: np.ndarray, green: np.ndarray) -> np.ndarray:
    """A UV_MAP [H, W, 2] float32 from the channels [H, W] of such an EXR: u = R, v = 1 - G.

    A pixel with either value outside 0..1, or not finite, shows no surface and becomes NaN in both.
    """
    made = np.stack([red, 1.0 - green.astype(np.float32)], axis=-1).astype(np.float32)
    with np.errstate(invalid="ignore"):
        surface = (red >= 0) & (red <= 1) & (green >= 0) & (green <= 1)
    made[~surface] = np.nan
    return made


def uv_to_channels(uv: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The channels R and G of such an EXR, float32 [H, W]; a pixel that sees no surface is -1 in both."""
    seen = np.isfinite(uv).all(axis=-1)
    red, green = np.where(seen, uv[..., 0], -1.0), np.where(seen, 1.0 - uv[..., 1], -1.0)
    return red.astype(np.float32), green.astype(np.float32)


def _order(path: Path) -> tuple[str, int, str]:
    return (str(path.parent), int(path.stem) if path.stem.isdigit() else -1, path.stem)
