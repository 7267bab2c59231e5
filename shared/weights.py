"""The pretrained weights that engines use, declared once: doctor, `prepare`, Blender's panel and job.weights() read this table.

A declaration only: files are found, checked and fetched in backend/runtime/weights.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class WeightFile:
    """A file of weights.

    origin: "shipped" lies in backend/shipped/weights, made by this project's own training; "fetched" is looked for where the
    user keeps such files and downloaded from `url` when asked to. size_bytes: of the file. sha256: all 64 hexadecimal digits,
    for whoever may choose a file finds one with the same first eight in minutes. licence: as its makers name it.
    """

    name: str
    label: str
    file: str
    origin: Literal["shipped", "fetched"]
    sha256: str
    size_bytes: int
    licence: str
    help: str
    url: str = ""

    @property
    def size(self) -> str:
        """ "548 MiB", for people."""
        return (
            f"{self.size_bytes / 2**20:.0f} MiB" if self.size_bytes >= 2**20 else f"{self.size_bytes / 2**10:.0f} KiB"
        )


VGG19 = WeightFile(
    name="vgg19",
    label="VGG-19",
    file="vgg19-dcbb9e9d.pth",
    origin="fetched",
    url="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
    sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    size_bytes=574_673_361,
    licence="BSD-3-Clause (torchvision); trained on ImageNet",
    help="Features of photographs, for feature losses",
)

TERRAIN_REGIONAL = WeightFile(
    name="terrain-regional",
    label="Terrain, Regional",
    file="terrain-regional.safetensors",
    origin="shipped",
    sha256="16b9e1e465497d54272d6e02fff4815ca46c097099791ab69fb22a85efc5b458",
    size_bytes=4_342_908,
    licence="GPL-3.0-or-later; model card beside it",
    help="Heights from a sketch at 30 to 180 m per pixel",
)

TERRAIN_CONTINENTAL = WeightFile(
    name="terrain-continental",
    label="Terrain, Continental",
    file="terrain-continental.safetensors",
    origin="shipped",
    sha256="d622b280722fcb1b194e5755b5087e2b1621230ab35fd48a31ad472e63817dfb",
    size_bytes=4_345_234,
    licence="GPL-3.0-or-later; model card beside it",
    help="Heights and albedo from a sketch at 4 to 10 km per pixel",
)

WEIGHTS: Mapping[str, WeightFile] = MappingProxyType(
    {entry.name: entry for entry in (VGG19, TERRAIN_REGIONAL, TERRAIN_CONTINENTAL)}
)
