"""The declaration of the terrain engine: a painted or drawn map of classes becomes ground with water and colour.

Its code: backend/algorithms/terrain.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..algorithm import AlgorithmSpec, Port, Preset
from ..arrays import AREA_MAP, CLASS_MAP, COLOR_IMAGE, CURVES, HEIGHT_MAP, MASK
from ..painted_classes import port_classes
from ..params import param

WEIGHTS = {"regional": "terrain-regional", "continental": "terrain-continental"}


@dataclass(frozen=True, kw_only=True)
class TerrainParams:
    """How large the ground is, which model makes it, and what is done to it afterwards."""

    size_m: float = param(
        20000.0,
        label="Map Size",
        help="Metres along the longer side of the sketch",
        min=10.0,
        max=50_000_000.0,
        soft_min=2000.0,
        soft_max=100_000.0,
        unit="m",
        role="map_size",
    )
    relief: float = param(
        1.0,
        label="Relief",
        help="Vertical scale: 1 is as in nature, 2 twice as high and steep",
        min=0.0,
        max=10.0,
        soft_max=3.0,
        step=0.05,
    )
    seed: int = param(
        0, label="Seed", help="Random seed: another terrain for the same sketch", min=0, max=2147483647, role="seed"
    )
    method: Literal["network", "assemble", "auto"] = param(
        "auto",
        label="Method",
        help="Network: a trained model, fast. Assemble: shipped landforms are laid on heights that follow the classes, slower. "
        "By Scale: the network at regional scale and with weights of your own, otherwise assembled",
        labels={"network": "Network", "assemble": "Assemble", "auto": "By Scale"},
    )
    scale: Literal["auto", "regional", "continental"] = param(
        "auto",
        label="Scale",
        help="Regional: mountains and valleys, trained at 30 to 180 m per pixel. Continental: ranges and plains, at 4 to 10 km",
        labels={"auto": "By Map Size", "regional": "Regional", "continental": "Continental"},
    )
    rivers: float = param(
        0.6,
        label="Drainage",
        group="Water",
        help="How hollows that would hold water are drained: 0 fills them, 1 cuts through what holds the water back",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    drain: bool = param(
        True, label="Drain Hollows", group="Water", help="Lets all water run off to the map's border, seas and lakes"
    )
    base_share: float = param(
        1.0,
        label="Base Strength",
        group="Base",
        help="How firmly the large forms of the Base input are kept; without one this does nothing",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    base_detail: float = param(
        8.0,
        label="Smallest Base Form",
        group="Base",
        help="Forms of the Base input smaller than this share of the map's side are left to the model",
        min=0.5,
        max=50.0,
        unit="%",
    )
    weights_file: str = param(
        "",
        label="Weights",
        group="Model",
        role="file",
        help="A .safetensors file of your own training (train terrain); empty for the weights that ship",
    )


SPEC = AlgorithmSpec(
    name="terrain",
    label="Terrain from a Sketch",
    summary="Turns a painted map of water, sand, grass, forest, hills, rock and snow into ground with water and colour",
    icon="BRUSH_DATA",
    params=TerrainParams,
    number=4,
    makes="terrain",
    devices=("cuda", "cpu"),
    weights=tuple(WEIGHTS.values()),
    inputs=(
        Port(
            name="classes",
            kind=CLASS_MAP,
            label="Sketch",
            help="A picture in the colours of the classes, or class numbers",
            classes=port_classes(),
            least_px=2,
        ),
        Port(
            name="base",
            kind=HEIGHT_MAP,
            label="Base",
            optional=True,
            help="Heights whose large forms the terrain keeps, such as blocked-out meshes; resampled to the sketch",
        ),
        Port(
            name="curves",
            kind=CURVES,
            label="Curves",
            optional=True,
            help="Lines that the terrain obeys: rivers fall, ridges stand, cliffs step, coasts are shores, roads keep a slope",
        ),
    ),
    outputs=(
        Port(name="height", kind=HEIGHT_MAP, label="Height", help="The ground, with beds under water"),
        Port(name="albedo", kind=COLOR_IMAGE, label="Albedo", help="The colour of the ground, without light or shadow"),
        Port(name="water", kind=MASK, label="Water", help="Where seas, lakes and painted rivers are"),
        Port(
            name="water_level",
            kind=HEIGHT_MAP,
            label="Water Level",
            help="The surface of water, level in seas and lakes and falling along painted rivers; the ground elsewhere",
        ),
        Port(
            name="flow",
            kind=AREA_MAP,
            label="Flow",
            help="The area that drains through each cell; its logarithm shows rivers",
        ),
        Port(
            name="density",
            kind=MASK,
            label="Density",
            many=True,
            classes=port_classes(),
            help="How densely what grows on each class can stand, one map per class in their order, for scattering",
        ),
        Port(
            name="classes",
            kind=CLASS_MAP,
            label="Classes",
            classes=port_classes(),
            help="The sketch itself, with lakes and seas as they are in the terrain",
        ),
    ),
    presets=(
        Preset(name="gentle", label="Gentle", help="Half as high and steep as in nature", values={"relief": 0.5}),
        Preset(name="dramatic", label="Dramatic", help="Higher and steeper than in nature", values={"relief": 1.6}),
    ),
)
