"""The declaration of the texture engine: samples of a material become a texture of any size that tiles.

Its code: backend/algorithms/texture.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..algorithm import AlgorithmSpec, Port, Preset
from ..arrays import CLASS_MAP, MASK, TEXTURE_SET
from ..params import param

_BLEND = "Several Samples"
_ESTIMATE = "Height and Normal"
_METHOD = "Method"


@dataclass(frozen=True, kw_only=True)
class TextureParams:
    """How large the texture is, how it repeats, and how it is put together."""

    width: int = param(
        512, label="Width", help="Columns of the texture", min=16, max=4096, soft_min=128, unit="px", role="size"
    )
    height: int = param(
        512, label="Height", help="Rows of the texture", min=16, max=4096, soft_min=128, unit="px", role="size"
    )
    tile: Literal["none", "x", "y", "xy"] = param(
        "xy",
        label="Tiling",
        help="In which directions the texture repeats without a seam",
        labels={"none": "None", "x": "Across", "y": "Down", "xy": "Both"},
        role="tiling",
    )
    scale: float = param(
        1.0,
        label="Scale",
        help="Size of the samples' features in the texture: 0.5 makes them half as large",
        min=0.05,
        max=4.0,
        soft_min=0.25,
        step=0.05,
    )
    structure: float = param(
        1.0,
        label="Structure",
        help="How large pieces of the samples are kept: 1 keeps bricks and leaves whole, 0 keeps only grain and hardly copies",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    straight_rows: bool = param(
        True,
        label="Straight Rows",
        help="Keep rows of bricks, tiles or planks straight and as wide as they are, if a sample has any along one of its sides",
    )
    seed: int = param(
        0, label="Seed", help="Random seed: another texture of the same material", min=0, max=2147483647, role="seed"
    )
    transition: float = param(
        24.0,
        label="Transition",
        group=_BLEND,
        help="Width of the band in which two samples grow into each other",
        min=0.0,
        max=1024.0,
        soft_max=128.0,
        unit="px",
    )
    transparent: Literal["exclude", "keep"] = param(
        "exclude",
        label="Transparent Parts",
        group=_BLEND,
        help="Leave out the transparent parts of a sample, or make transparency a part of the texture, as for leaves and fences",
        labels={"exclude": "Leave Out", "keep": "Keep"},
    )
    estimate: bool = param(
        True,
        label="Estimate Height",
        group=_ESTIMATE,
        help="Where samples have no height, guess it from their brightness, darker being deeper; add normals where there are none",
    )
    depth: float = param(
        1.0,
        label="Depth",
        group=_ESTIMATE,
        help="Height from the deepest to the highest point for an added normal map, as a share of the sample's shorter side",
        min=0.0,
        max=25.0,
        soft_max=5.0,
        unit="%",
    )
    model: str = param(
        "",
        label="Trained Model",
        group=_METHOD,
        role="file",
        help="A .safetensors file that train texture has written, which makes the texture without samples; empty to use samples",
    )
    steps: int = param(
        30,
        label="Steps",
        group=_METHOD,
        help="Steps of transport that bring the texture's statistics to those of the samples; more is slower and closer",
        min=1,
        max=1000,
        soft_max=100,
        role="count",
    )


SPEC = AlgorithmSpec(
    name="texture",
    label="Texture from a Sample",
    summary="Makes a texture of any size, tiling if wanted, from samples of a material, all of its maps together",
    icon="TEXTURE",
    params=TextureParams,
    number=5,
    makes="surface",
    devices=("cpu", "cuda"),
    inputs=(
        Port(
            name="exemplar",
            kind=TEXTURE_SET,
            label="Samples",
            help="Photographs, or folders with the maps of a material; several mix, or lie where Mask or Classes say",
            many=True,
            least_px=16,
            unless="model",
        ),
        Port(
            name="mask",
            kind=MASK,
            label="Mask",
            help="Where the second sample lies (white) and where the first (black)",
            optional=True,
        ),
        Port(
            name="classes",
            kind=CLASS_MAP,
            label="Classes",
            help="Which sample lies where: the first where the class is 0, the second where it is 1, and so on",
            optional=True,
        ),
    ),
    outputs=(
        Port(
            name="material",
            kind=TEXTURE_SET,
            label="Material",
            help="The maps of the texture; they belong and tile together",
        ),
    ),
    presets=(
        Preset(name="default", label="Default", help="Whole features, tiling both ways", values={}),
        Preset(
            name="grain",
            label="Grain",
            help="For sand, plaster and other surfaces without objects: hardly copies",
            values={"structure": 0.0, "steps": 40},
        ),
        Preset(name="fine", label="Fine", help="More steps: closer to the samples, slower", values={"steps": 80}),
    ),
)
