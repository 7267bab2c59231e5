"""A class map in, heights and colours out."""

from __future__ import annotations

from dataclasses import dataclass

from shared.algorithm import AlgorithmSpec, Port
from shared.arrays import CLASS_MAP, COLOR_IMAGE, HEIGHT_MAP
from shared.params import param

CLASSES = (
    ("Water", (0.1, 0.3, 0.8)),
    ("Sand", (0.9, 0.8, 0.5)),
    ("Grass", (0.3, 0.6, 0.2)),
    ("Rock", (0.5, 0.5, 0.5)),
    ("Snow", (1.0, 1.0, 1.0)),
)


@dataclass(frozen=True, kw_only=True)
class ToyTerrainParams:
    """How the classes become land."""

    step_m: float = param(100.0, label="Step", help="Height from one class to the next", min=0.0, max=1000.0, unit="m")
    ground_m: float = param(
        20.0, label="Pixel Size", help="Ground that a pixel covers", min=0.1, max=1000.0, unit="m", role="pixel_size"
    )
    chance: int = param(0, label="Seed", help="Random seed of the roughness", min=0, max=2**31 - 1, role="seed")


SPEC = AlgorithmSpec(
    name="toy_terrain",
    label="Toy Terrain",
    summary="Raises each class to a height of its own and paints it",
    icon="RNDCURVE",
    params=ToyTerrainParams,
    number=2001,
    makes="terrain",
    inputs=(Port(name="sketch", kind=CLASS_MAP, label="Sketch", help="A class for each pixel", classes=CLASSES),),
    outputs=(
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="The terrain in metres"),
        Port(name="albedo", kind=COLOR_IMAGE, label="Albedo", help="The colours of the ground"),
    ),
)
