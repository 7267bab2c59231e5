"""The declaration of procedural noise: a height map out of nothing but a seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..algorithm import AlgorithmSpec, Port, Preset
from ..arrays import HEIGHT_MAP
from ..params import param

_EXPLICIT = "Explicit Noise"
_TILES = "Tiles"


@dataclass(frozen=True, kw_only=True)
class NoiseParams:
    """Lengths in metres; a first octave of feature_m, each further one lacunarity times finer and gain times lower."""

    width_px: int = param(
        512,
        label="Width",
        help="Columns of the height map",
        min=1,
        max=16384,
        soft_min=64,
        unit="px",
        role="size",
    )
    height_px: int = param(
        512,
        label="Height",
        help="Rows of the height map",
        min=1,
        max=16384,
        soft_min=64,
        unit="px",
        role="size",
    )
    pixel_size_m: float = param(
        30.0,
        label="Pixel Size",
        help="Side of the square of ground that one pixel covers",
        min=0.001,
        max=100000.0,
        soft_max=100.0,
        unit="m",
        role="pixel_size",
    )
    relief_m: float = param(
        1500.0,
        label="Relief",
        min=0.0,
        max=20000.0,
        soft_max=9000.0,
        unit="m",
        help="Typical height difference between the highest and lowest points of the whole terrain; a single tile may show less",
    )
    feature_m: float = param(
        6000.0,
        label="Feature Size",
        min=0.01,
        max=10000000.0,
        soft_min=100.0,
        soft_max=50000.0,
        unit="m",
        help="Size of the largest hills: the wavelength of the first octave",
    )
    basis: Literal["perlin", "worley-f1", "worley-f2-f1", "explicit"] = param(
        "perlin",
        label="Basis",
        help="The noise of one octave: Perlin's gradient noise, or Worley's distances to scattered points",
        labels={
            "perlin": "Perlin",
            "worley-f1": "Worley Distance",
            "worley-f2-f1": "Worley Cells",
            "explicit": "Explicit Layers",
        },
    )
    fractal: Literal["fbm", "ridged", "billow"] = param(
        "fbm",
        label="Fractal",
        help="How octaves are added: unchanged, as sharp ridges, or as rounded billows",
        labels={"fbm": "fBm", "ridged": "Ridged", "billow": "Billow"},
    )
    octaves: int = param(
        8,
        label="Octaves",
        help="Layers of detail; those finer than two pixels are left out",
        min=1,
        max=20,
        soft_max=12,
    )
    gain: float = param(
        0.5,
        label="Gain",
        help="Height of each octave relative to the one before; higher is rougher",
        min=0.0,
        max=1.0,
        step=0.05,
    )
    warp: float = param(
        0.0,
        label="Warp",
        min=0.0,
        max=4.0,
        soft_max=0.6,
        step=0.05,
        help="Domain warp strength, in feature sizes: bends ridges and valleys",
    )
    seed: int = param(
        0,
        label="Seed",
        help="Random seed; each number gives a different terrain",
        min=0,
        max=2**31 - 1,
        role="seed",
    )

    lacunarity: float = param(
        2.0,
        label="Lacunarity",
        help="How much finer each octave is than the one before",
        min=1.1,
        max=8.0,
        soft_max=3.0,
        group="Shape",
    )
    stretch: float = param(
        1.0,
        label="Stretch",
        help="Length of features from west to east relative to their length from north to south",
        min=0.05,
        max=20.0,
        soft_min=0.25,
        soft_max=4.0,
        group="Shape",
    )
    lowlands: float = param(
        0.0,
        label="Lowlands",
        help="Flattens low ground and leaves the peaks",
        min=0.0,
        max=1.0,
        step=0.05,
        group="Shape",
    )
    base_m: float = param(
        0.0,
        label="Base Height",
        help="Height of the lowest ground; below zero it lies under the sea",
        min=-20000.0,
        max=20000.0,
        soft_min=-2000.0,
        soft_max=4000.0,
        unit="m",
        group="Shape",
    )
    cells: int = param(
        0,
        label="Cells Across",
        help="Number of features from west to east, in place of a feature size; 0 uses the feature size",
        min=0,
        max=4096,
        soft_max=64,
        group="Shape",
    )

    tileable: bool = param(
        False,
        label="Tileable",
        help="The left edge meets the right and the top meets the bottom without a seam",
        group=_TILES,
    )
    origin_x: int = param(
        0,
        label="Origin X",
        help="Column of the left edge within the whole terrain; tiles of one seed meet exactly",
        min=-(2**31),
        max=2**31 - 1,
        unit="px",
        group=_TILES,
    )
    origin_y: int = param(
        0,
        label="Origin Y",
        help="Row of the top edge within the whole terrain, counted downwards",
        min=-(2**31),
        max=2**31 - 1,
        unit="px",
        group=_TILES,
    )

    kernel: Literal["gaussian", "blackman-harris", "bartlett", "cosine", "bartlett-hann"] = param(
        "gaussian",
        label="Kernel",
        help="Window that smooths each layer",
        group=_EXPLICIT,
        labels={"blackman-harris": "Blackman-Harris", "bartlett-hann": "Bartlett-Hann"},
    )
    kernel_px: int = param(20, label="Kernel Size", help="Number of taps of the window", min=1, max=512, soft_max=64, unit="px",
                           group=_EXPLICIT)  # fmt: skip
    layers: int = param(
        4,
        label="Layers",
        help="Layers of white noise, each twice as coarse as the one before",
        min=1,
        max=12,
        group=_EXPLICIT,
    )
    sigma_1: float = param(1.0, label="Sigma 1", help="Standard deviation of the first layer's Gaussian", min=0.05, max=256.0,
                           soft_max=20.0, unit="px", group=_EXPLICIT)  # fmt: skip
    sigma_2: float = param(1.0, label="Sigma 2", help="Standard deviation of the second layer's Gaussian", min=0.05, max=256.0,
                           soft_max=20.0, unit="px", group=_EXPLICIT)  # fmt: skip
    sigma_3: float = param(3.0, label="Sigma 3", help="Standard deviation of the third layer's Gaussian", min=0.05, max=256.0,
                           soft_max=20.0, unit="px", group=_EXPLICIT)  # fmt: skip
    sigma_4: float = param(4.0, label="Sigma 4", help="Standard deviation of the fourth and all later layers' Gaussians",
                           min=0.05, max=256.0, soft_max=20.0, unit="px", group=_EXPLICIT)  # fmt: skip
    legacy: bool = param(
        False,
        label="As First Published",
        group=_EXPLICIT,
        help="Windows with peak 1 instead of sum 1, four gradients, each map stretched to its own range; tiles do not meet",
    )


def _perlin(cells: int, relief_m: float) -> Preset:
    return Preset(
        name=f"perlin-{cells}", label=f"Perlin {cells}", help=f"One octave of Perlin noise, {cells} cells across",
        values={"basis": "perlin", "octaves": 1, "cells": cells, "relief_m": relief_m},
    )  # fmt: skip


def _explicit(number: int, kernel_px: int, layers: int, sigmas: tuple[float, float, float, float]) -> Preset:
    values = {f"sigma_{i}": sigma for i, sigma in enumerate(sigmas, 1)}
    return Preset(
        name=f"explicit-{number}", label=f"Explicit {number}",
        help=f"{layers} layers of white noise smoothed by a window of {kernel_px} pixels",
        values={"basis": "explicit", "kernel_px": kernel_px, "layers": layers, "relief_m": 120.0} | values,
    )  # fmt: skip


SPEC = AlgorithmSpec(
    name="noise",
    label="Noise",
    icon="MOD_NOISE",
    summary="Generates a height map from a seed: fractal, ridged, cellular or layered noise",
    params=NoiseParams,
    number=0,
    makes="terrain",
    devices=("cpu", "cuda"),
    inputs=(),
    outputs=(Port(name="height", kind=HEIGHT_MAP, label="Height", help="The terrain in metres"),),
    presets=(
        Preset(
            name="alps-base", label="Alps Base", help="High ranges with broad valleys: a layout for relief transfer",
            values={
                "fractal": "ridged", "feature_m": 11000.0, "relief_m": 2600.0, "base_m": 500.0, "gain": 0.45,
                "octaves": 9, "warp": 0.12, "lowlands": 0.4,
            },
        ),
        Preset(
            name="rolling-hills", label="Rolling Hills", help="Soft hills of an old landscape",
            values={
                "feature_m": 2500.0, "relief_m": 260.0, "base_m": 150.0, "gain": 0.36, "octaves": 7, "warp": 0.12,
                "pixel_size_m": 20.0, "lowlands": 0.3,
            },
        ),
        Preset(
            name="ridges", label="Ridges", help="Sharp ridges that branch and cross",
            values={
                "fractal": "ridged", "feature_m": 6000.0, "relief_m": 1500.0, "gain": 0.45, "octaves": 8, "warp": 0.15,
            },
        ),
        Preset(
            name="dunes", label="Dunes", help="Long crests across the wind",
            values={
                "fractal": "ridged", "feature_m": 330.0, "relief_m": 45.0, "gain": 0.12, "octaves": 3, "warp": 0.2,
                "stretch": 2.2, "pixel_size_m": 4.0,
            },
        ),
        Preset(
            name="islands", label="Islands", help="An archipelago with the sea at height zero",
            values={
                "feature_m": 8000.0, "relief_m": 1700.0, "base_m": -900.0, "gain": 0.45, "octaves": 9, "warp": 0.15,
            },
        ),
        Preset(
            name="mesas", label="Mesas", help="Plateaus with worn edges between deep valleys",
            values={
                "basis": "worley-f2-f1", "feature_m": 3500.0, "relief_m": 500.0, "gain": 0.3, "octaves": 6,
                "warp": 0.15, "pixel_size_m": 15.0,
            },
        ),
        Preset(
            name="badlands", label="Badlands", help="Rounded mounds cut by narrow gullies",
            values={
                "fractal": "billow", "feature_m": 900.0, "relief_m": 120.0, "gain": 0.48, "octaves": 7, "warp": 0.15,
                "pixel_size_m": 4.0,
            },
        ),
        Preset(
            name="bowls", label="Bowls", help="Round hollows between sharp rims",
            values={
                "basis": "worley-f1", "feature_m": 3000.0, "relief_m": 600.0, "gain": 0.35, "octaves": 6, "warp": 0.1,
            },
        ),
        _perlin(30, 250.0),
        _perlin(12, 600.0),
        _perlin(6, 1200.0),
        _explicit(1, 20, 4, (1.0, 1.0, 3.0, 4.0)),
        _explicit(2, 20, 2, (4.0, 4.0, 3.0, 4.0)),
        _explicit(3, 2, 4, (3.0, 1.0, 3.0, 1.0)),
        _explicit(4, 40, 4, (6.0, 1.0, 3.0, 1.0)),
    ),
)  # fmt: skip
