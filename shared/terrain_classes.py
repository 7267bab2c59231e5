"""The classes of ground that a sketch is painted with: number, name and the sRGB colour of the brush.

The order is fixed: trained models and saved sketches count on it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class TerrainClass:
    """color: sRGB, 0 to 255."""

    name: str
    color: tuple[int, int, int]


TERRAIN_CLASSES = (
    TerrainClass(name="Water", color=(17, 141, 215)),
    TerrainClass(name="Beach and Sand", color=(225, 227, 155)),
    TerrainClass(name="Grassland", color=(127, 173, 123)),
    TerrainClass(name="Forest", color=(60, 120, 70)),
    TerrainClass(name="Hills", color=(185, 122, 87)),
    TerrainClass(name="Rock", color=(150, 150, 150)),
    TerrainClass(name="Snow and Ice", color=(245, 245, 250)),
)

WATER, SAND, GRASS, FOREST, HILLS, ROCK, SNOW = range(len(TERRAIN_CLASSES))
