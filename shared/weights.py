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

WEIGHTS: Mapping[str, WeightFile] = MappingProxyType({entry.name: entry for entry in (VGG19,)})
