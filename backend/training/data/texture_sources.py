"""What a texture model learns from: the pictures of a folder, each a source; or material sets, each in a folder of its own.

A folder whose images are the maps of one material (base_color.png, roughness.png, ...) is one source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from backend.algorithms.textures import relief
from backend.algorithms.textures.channels import Channels
from backend.files import texture_sets
from backend.files.kinds import Reading
from shared import texture_set
from shared.algorithm import Port
from shared.arrays import TEXTURE_SET
from shared.errors import InvalidInput

FIELD = "data_dir"
_PORT = Port(name=FIELD, kind=TEXTURE_SET, label="Data", help="Pictures to learn")

Maps = dict[str, np.ndarray]


@dataclass(frozen=True, kw_only=True)
class Sources:
    """names: of the files or folders. maps: of each source, linear, [H, W, C] float32, the same maps for all. estimated: which of
    them are guessed."""

    names: tuple[str, ...]
    maps: tuple[Maps, ...]
    estimated: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """For the model card."""
        return ", ".join(self.names)


def read(folder: str, *, estimate: bool) -> Sources:
    """The sources of a folder. estimate: a height from brightness for those that have colours and no height.

    Raises InvalidInput: no folder, nothing to read in it, sources with different maps, a picture that cannot be read.
    """
    path = Path(folder)
    if not folder or not path.is_dir():
        raise InvalidInput(
            f"There is no folder {folder!r}." if folder else "No folder of pictures is given.",
            hint="Name a folder of pictures with --data-dir.",
            field=FIELD,
        )
    places = _places(path)
    if not places:
        raise InvalidInput(
            f"{path} holds no picture.", hint=f"Put images there: {', '.join(texture_sets.IMAGES)}.", field=FIELD
        )
    maps = [_maps(place) for place in places]
    estimated = ("height",) if estimate and any("base_color" in some and "height" not in some for some in maps) else ()
    for some in maps if estimated else ():
        if "base_color" in some and "height" not in some:
            some["height"] = relief.height_of(some["base_color"])[..., None]
    for place, some in zip(places[1:], maps[1:], strict=True):
        if set(some) != set(maps[0]):
            raise InvalidInput(
                f"{place.name} has the maps {', '.join(sorted(some))}, {places[0].name} has {', '.join(sorted(maps[0]))}.",
                hint="Give sources with the same maps.",
                field=FIELD,
            )
    return Sources(names=tuple(place.name for place in places), maps=tuple(maps), estimated=estimated)


def _places(path: Path) -> list[Path]:
    """Files and folders, each one source, in the order of their names."""
    entries = [entry for entry in sorted(path.iterdir()) if not entry.name.startswith(".")]
    images = [entry for entry in entries if entry.is_file() and entry.suffix.lower() in texture_sets.IMAGES]
    kinds = [texture_sets.map_name(image.stem) for image in images]
    if len(images) > 1 and "base_color" in kinds and len({kind for kind in kinds if kind}) == len(images):
        return [path]
    folders = [entry for entry in entries if entry.is_dir() and any(
        file.suffix.lower() in texture_sets.IMAGES for file in entry.iterdir()
    )]  # fmt: skip
    return [*images, *folders]


def _maps(place: Path) -> Maps:
    return {
        name: np.ascontiguousarray(values, np.float32)
        for name, values in texture_set.split(texture_sets.read(place, Reading(port=_PORT))).items()
        if name != "alpha" or place.is_dir()  # transparent parts of a picture are learned with the colours under them
    }


def colors(sources: Sources) -> Sources:
    """The base colours alone. Raises InvalidInput where there are none."""
    if "base_color" not in sources.maps[0]:
        raise InvalidInput(f"{sources.names[0]} has no colours.", hint="Add a base colour.", field=FIELD)
    return Sources(names=sources.names, maps=tuple({"base_color": some["base_color"]} for some in sources.maps))


def spread(maps: Sequence[Mapping[str, np.ndarray]]) -> Channels:
    """Channels that are the values themselves, from -1 at black to 1 at white: what tanh makes."""
    fitted = Channels.of(maps)
    count = len(fitted.mean)
    middle = torch.full((count,), 0.5)
    return Channels(
        names=fitted.names,
        mixing=2.0 * torch.eye(count),
        inverse=0.5 * torch.eye(count),
        mean=middle,
        low=torch.zeros(count),
        high=torch.ones(count),
    )


def crops(images: Sequence[Tensor], count: int, side: int, generator: torch.Generator) -> Tensor:
    """Squares [count, C, side, side] at random places of random images [C, H, W]."""
    made = []
    for number in torch.randint(len(images), (count,), generator=generator).tolist():
        image = images[number]
        top, left = (int(torch.randint(length - side + 1, (), generator=generator)) for length in image.shape[1:])
        made.append(image[:, top : top + side, left : left + side])
    return torch.stack(made)


def check_sides(sources: Sources, side: int, hint: str) -> None:
    """Raises InvalidInput for a source that is smaller than a crop."""
    for name, maps in zip(sources.names, sources.maps, strict=True):
        rows, columns = next(iter(maps.values())).shape[:2]
        if min(rows, columns) < side:
            raise InvalidInput(
                f"{name} has {columns} x {rows} pixels; at least {side} on each side are needed.",
                hint=hint,
                field=FIELD,
            )
