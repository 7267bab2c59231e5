"""The classes of ground that a sketch is painted with: number, name, colour, and how each looks without light.

The order is fixed: trained models count on it. Colours to paint with are sRGB; ground colours too. What is painted with on this
machine is in painted_classes.
"""

from __future__ import annotations

from dataclasses import dataclass

RGB = tuple[int, int, int]


@dataclass(frozen=True, kw_only=True)
class TerrainClass:
    """color: what it is painted with. ground, ground_high: its albedo where it is low or moist, and where it is high or dry.

    slope_deg: from which slope on rock comes through. growth: how densely its plants or stones stand, 0..1.
    height_m, relief_m: what `assemble` builds it from on a map 20 km long: typical height above the water and height range.
    """

    name: str
    color: RGB
    ground: RGB
    ground_high: RGB
    slope_deg: float
    growth: float
    height_m: float
    relief_m: float


TERRAIN_CLASSES = (
    TerrainClass(
        name="Water", color=(17, 141, 215), ground=(28, 66, 84), ground_high=(44, 92, 104),
        slope_deg=90.0, growth=0.0, height_m=0.0, relief_m=0.0,
    ),
    TerrainClass(
        name="Beach and Sand", color=(225, 227, 155), ground=(206, 186, 148), ground_high=(190, 164, 126),
        slope_deg=38.0, growth=0.0, height_m=4.0, relief_m=18.0,
    ),
    TerrainClass(
        name="Grassland", color=(127, 173, 123), ground=(102, 112, 64), ground_high=(144, 138, 92),
        slope_deg=36.0, growth=0.7, height_m=60.0, relief_m=100.0,
    ),
    TerrainClass(
        name="Forest", color=(60, 120, 70), ground=(44, 60, 34), ground_high=(68, 80, 48),
        slope_deg=44.0, growth=1.0, height_m=220.0, relief_m=480.0,
    ),
    TerrainClass(
        name="Hills", color=(185, 122, 87), ground=(116, 112, 72), ground_high=(146, 130, 96),
        slope_deg=34.0, growth=0.3, height_m=320.0, relief_m=380.0,
    ),
    TerrainClass(
        name="Rock", color=(150, 150, 150), ground=(112, 106, 98), ground_high=(140, 135, 126),
        slope_deg=0.0, growth=0.1, height_m=620.0, relief_m=1150.0,
    ),
    TerrainClass(
        name="Snow and Ice", color=(245, 245, 250), ground=(228, 233, 240), ground_high=(242, 244, 248),
        slope_deg=48.0, growth=0.0, height_m=1150.0, relief_m=850.0,
    ),
)  # fmt: skip

WATER, SAND, GRASS, FOREST, HILLS, ROCK, SNOW = range(len(TERRAIN_CLASSES))
