"""The sketches of `bench terrain`: ground that no training saw, turned into maps of classes, and maps made by hand.

A sketch of real ground is made as a training makes its own: by backend/training/data/class_maps.py, with its middle strengths.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

from shared.terrain_classes import FOREST, GRASS, HILLS, ROCK, SAND, SNOW, TERRAIN_CLASSES, WATER

SIDE = 512
AVERAGED_PX, BLOB_PX = 3.0, 2.83  # the middles of what backend.training.data.batches.strengths() draws
PIXEL_M = {"regional": 90.0, "continental": 4000.0}
# latitude and longitude of the middles of windows, all of whose land is held out and in the pack; pairs are neighbours
HELD_OUT_PAIRS = (((1.6, -70.0), (1.6, -51.6)), ((-19.0, 122.0), (-19.0, 141.45)))
TRAINING_PLACES = ((42.0, -108.0), (38.0, 68.0), (5.0, 25.0))


@dataclass(frozen=True, kw_only=True)
class Sketch:
    """classes uint8 [H, W]. height_m [H, W] and color (linear RGB [H, W, 3]): of the real ground, where there is one."""

    name: str
    scale: str
    classes: np.ndarray
    pixel_size_m: float
    height_m: np.ndarray | None = None
    color: np.ndarray | None = None
    source: str = ""

    @property
    def size_m(self) -> float:
        return self.pixel_size_m * max(self.classes.shape)


def regional(folder: Path, split: str, names: tuple[str, ...] = ()) -> tuple[list[Sketch], list[tuple[int, int]]]:
    """Windows of the regional maps of a pack, two by two as far as they fit, and the pairs of vertical neighbours among them."""
    from backend.training.data import pack

    sketches: list[Sketch] = []
    pairs = []
    for region in pack.regions(folder):
        if region.scale != "regional" or region.split != split or (names and region.name not in names):
            continue
        height = pack.read(folder, region).height
        classes = _classes_of(height, region.pixel_size_m)
        rows, columns = height.shape
        for left in sorted({0, max(columns - SIDE, 0)} if columns > 1.5 * SIDE else {0}):
            above = None
            for top in range(0, max(rows - SIDE, 0) + 1, SIDE):
                window = slice(top, top + SIDE), slice(left, left + SIDE)
                if above is not None:
                    pairs.append((above, len(sketches)))
                above = len(sketches)
                sketches.append(
                    Sketch(
                        name=f"{region.name} {top},{left}", scale="regional", classes=classes[window],
                        pixel_size_m=region.pixel_size_m, height_m=height[window], source=region.name,
                    )
                )  # fmt: skip
    return sketches, pairs


def _classes_of(height_m: np.ndarray, pixel_size_m: float) -> np.ndarray:
    from backend.training.data import class_maps
    from backend.training.data.batches import without_steps
    from backend.training.data.metric_crops import METRE_STEP_M

    height = without_steps(torch.from_numpy(height_m)[None, None], METRE_STEP_M) / pixel_size_m
    relative = class_maps.relative(height[0, 0])[None, None]
    return class_maps.regional(height, relative, AVERAGED_PX, BLOB_PX)[0].to(torch.uint8).numpy()


def classes_by_rule(scale: str, outputs: Mapping[str, Any], pixel_size_m: float) -> np.ndarray:
    """Classes [H, W] of a result by the rules that make sketches of real ground: from heights, and at continental scale colour."""
    from backend.training.data import class_maps
    from shared.srgb import linear_to_srgb

    surface = np.asarray(outputs["water_level"].values, np.float32)
    if scale == "regional":
        return _classes_of(surface, pixel_size_m)
    color = torch.from_numpy(linear_to_srgb(outputs["albedo"].values)).float().permute(2, 0, 1)[None]
    water = torch.from_numpy(outputs["water"].values)[None, None].float()
    height = torch.from_numpy(surface)[None, None]
    return class_maps.continental(height, color, water, AVERAGED_PX, BLOB_PX)[0].to(torch.uint8).numpy()


def continental(folder: Path, places: tuple[tuple[float, float], ...]) -> list[Sketch]:
    """Windows of a globe around these places (latitude, longitude in degrees)."""
    from backend.training.data.batches import MARGIN_PX, inner
    from backend.training.data.globe_crops import GlobeCrops
    from shared.srgb import srgb_to_linear

    crops = GlobeCrops(folder, SIDE, torch.device("cpu"))
    assert crops.canvas == SIDE + 2 * MARGIN_PX
    found = []
    for place in places:
        batch = crops.at(torch.tensor([place]), PIXEL_M["continental"], AVERAGED_PX, BLOB_PX)
        assert batch.color is not None
        found.append(
            Sketch(
                name=f"earth {place[0]:g},{place[1]:g}", scale="continental", pixel_size_m=PIXEL_M["continental"],
                classes=inner(batch.classes)[0].to(torch.uint8).numpy(), height_m=batch.height_m[0, 0].numpy(),
                color=srgb_to_linear(batch.color[0].permute(1, 2, 0).numpy()), source="earth",
            )
        )  # fmt: skip
    return found


def held_out_continental(folder: Path) -> tuple[list[Sketch], list[tuple[int, int]]]:
    """Windows of South America and Australia, and which of them are neighbours."""
    places = tuple(dict.fromkeys(place for pair in HELD_OUT_PAIRS for place in pair))
    return continental(folder, places), [(places.index(a), places.index(b)) for a, b in HELD_OUT_PAIRS]


def by_hand(scale: str, side: int = SIDE) -> list[Sketch]:
    """Two halves, rings, an island and a river."""
    return [_of(name, scale, make(side)) for name, make in HAND_MADE.items()]


def uniform(scale: str, side: int = SIDE) -> list[Sketch]:
    """One sketch of each class of land alone."""
    return [
        _of(f"only {TERRAIN_CLASSES[number].name.lower()}", scale, np.full((side, side), number, np.uint8))
        for number in range(WATER + 1, len(TERRAIN_CLASSES))
    ]


def patchwork(scale: str, seed: int, side: int = SIDE) -> Sketch:
    """Every class in random patches with wavy borders; for the classifier alone."""
    drawn = np.random.default_rng(seed)
    middles, classes = drawn.uniform(0, side, (28, 2)), np.arange(28) % len(TERRAIN_CLASSES)
    y, x = _wavy(side, drawn, 12.0)
    nearest = ((y[..., None] - middles[:, 0]) ** 2 + (x[..., None] - middles[:, 1]) ** 2).argmin(-1)
    return _of(f"patchwork {seed}", scale, classes[nearest].astype(np.uint8))


def _of(name: str, scale: str, classes: np.ndarray) -> Sketch:
    return Sketch(name=name, scale=scale, classes=classes, pixel_size_m=PIXEL_M[scale])


def _wavy(side: int, drawn: np.random.Generator, strength_px: float) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns [side, side], bent as a hand draws."""
    y, x = np.mgrid[:side, :side].astype(np.float64)
    bent = [gaussian_filter(drawn.standard_normal((side, side)), side / 32) for _ in range(2)]
    return y + bent[0] / bent[0].std() * strength_px, x + bent[1] / bent[1].std() * strength_px


def halves(side: int) -> np.ndarray:
    """Grassland on the left, rock on the right."""
    _, x = _wavy(side, np.random.default_rng(21), side / 40)
    return np.where(x < side / 2, GRASS, ROCK).astype(np.uint8)


def rings(side: int) -> np.ndarray:
    """From the middle outwards: snow, rock, forest, hills, grassland, sand."""
    y, x = _wavy(side, np.random.default_rng(22), side / 40)
    order = np.array((SNOW, ROCK, FOREST, HILLS, GRASS, SAND))
    radius = np.hypot(y - side / 2, x - side / 2) / (side / 2) * 5.2
    return order[np.clip(radius.astype(int), 0, 5)].astype(np.uint8)


def island(side: int) -> np.ndarray:
    """A mountain in the sea, with a lake."""
    y, x = _wavy(side, np.random.default_rng(23), side / 20)
    radius = np.hypot(y - side / 2, (x - side / 2) * 0.85) / (side / 2)
    classes = np.full((side, side), WATER, np.uint8)
    for edge, number in ((0.80, SAND), (0.75, GRASS), (0.60, FOREST), (0.36, HILLS), (0.26, ROCK), (0.12, SNOW)):
        classes[radius < edge] = number
    classes[np.hypot(y - side * 0.60, x - side * 0.28) < side * 0.045] = WATER
    return classes


def river(side: int) -> np.ndarray:
    """A river that winds from forested hills on the left to a sandy coast on the right."""
    y, x = _wavy(side, np.random.default_rng(24), side / 50)
    course = side * (0.5 + 0.12 * np.sin(x / side * 9.0) + 0.05 * np.sin(x / side * 23.0))
    beside = np.abs(y - course)
    classes = np.full((side, side), FOREST, np.uint8)
    classes[beside > side * 0.30] = HILLS
    classes[beside < side * 0.16] = GRASS
    classes[(beside < side * 0.012) & (x < side * 0.92)] = WATER
    classes[x > side * 0.88] = SAND
    classes[x > side * 0.92] = WATER
    return classes


HAND_MADE: dict[str, Callable[[int], np.ndarray]] = {"halves": halves, "rings": rings, "island": island, "river": river}
