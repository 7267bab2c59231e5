"""Classes beside the maps of a pack: clusters of a sample of all their pixels, named, and drawn over every map. Where the rules of
naming.py see water there is water, whatever the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from backend.training.data import pack
from backend.training.data.preparation import features, naming, overview
from backend.training.data.preparation.clusters import Clusters
from shared.terrain_classes import WATER

SAMPLED = 6000  # pixels of all pieces, of which clusters are made
SHOWN = 8  # pieces on the sheet

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, kw_only=True)
class ClassRecipe:
    """clusters: how many kinds of ground to look for."""

    clusters: int
    sea_level_m: float
    seed: int


def classified(
    stage: Path, regions: Sequence[pack.Region], recipe: ClassRecipe, given: Mapping[int, int], progress: Progress
) -> tuple[list[dict[str, object]], list[overview.Shown]]:
    """Classes beside each map of one scale; what the clusters are, for clusters.json, and some pieces for the sheet."""
    colored = all((stage / f"{region.name}-color.jpg").is_file() for region in regions)
    rng = np.random.Generator(np.random.PCG64(recipe.seed))
    samples, rules = [], []
    per_piece = max(64, -(-SAMPLED // len(regions)))
    for number, region in enumerate(regions):
        progress(number, 2 * len(regions), "looking for kinds of ground")
        values, by_rules = _looked_at(stage, region, recipe, colored)
        land = np.flatnonzero(by_rules != WATER)
        chosen = rng.choice(land, min(per_piece, len(land)), replace=False)
        samples.append(values.flatten(1).T.numpy()[chosen])
        rules.append(by_rules.ravel()[chosen])
    sample, by_rules = np.concatenate(samples), np.concatenate(rules)
    count = max(2, min(recipe.clusters, len(sample) // 50))
    clusters = Clusters(sample, count, recipe.seed)
    numbers = clusters.of(torch.from_numpy(sample.T[:, :, None].copy()))[:, 0]
    votes = np.zeros((count, len(naming.NAMES)), np.int64)
    np.add.at(votes, (numbers, by_rules), 1)
    names = naming.named(votes)
    for cluster, name in given.items():
        if cluster < count:
            names[cluster] = name
    shown = []
    picked = set(np.linspace(0, len(regions) - 1, min(SHOWN, len(regions))).round().astype(int).tolist())
    for number, region in enumerate(regions):
        progress(len(regions) + number, 2 * len(regions), "drawing classes")
        piece = _drawn(stage, region, recipe, colored, clusters, names)
        if number in picked:
            shown.append(piece)
    return _described(numbers, sample, names, features.names(colored=colored)), shown


def _looked_at(stage: Path, region: pack.Region, recipe: ClassRecipe, colored: bool) -> tuple[torch.Tensor, np.ndarray]:
    """Features [n, H, W] and the rules' classes [H, W] of a map."""
    maps = pack.read(stage, region)
    height = torch.from_numpy(maps.height)
    color = None
    if maps.color is not None and colored:
        color = torch.from_numpy(maps.color).permute(2, 0, 1).float() / 255.0
    by_rules = naming.by_rules(height, region.pixel_size_m, color, recipe.sea_level_m, region.scale)
    return features.of(height, region.pixel_size_m, color), by_rules


def _drawn(
    stage: Path, region: pack.Region, recipe: ClassRecipe, colored: bool, clusters: Clusters, names: np.ndarray
) -> overview.Shown:
    values, by_rules = _looked_at(stage, region, recipe, colored)
    numbers = clusters.of(values)
    classes = np.where(by_rules == WATER, WATER, names[numbers]).astype(np.uint8)
    pack.write_layer(stage, region, "classes", classes)
    maps = pack.read(stage, region)
    title = f"{region.name}  {region.pixel_size_m:.0f} m  {region.low_m:.0f} to {region.high_m:.0f} m  {region.split}"
    return overview.Shown(title, maps.height, region.pixel_size_m, region.scale, maps.color, numbers, classes)


def _described(
    numbers: np.ndarray, sample: np.ndarray, names: np.ndarray, of_features: Sequence[str]
) -> list[dict[str, object]]:
    """An entry per cluster: its class, its share of the land, and the mean of each feature."""
    return [
        {
            "cluster": cluster,
            "class": naming.NAMES[name],
            "share": round(float((numbers == cluster).mean()), 4),
            "means": {
                key: round(float(value), 3)
                for key, value in zip(of_features, sample[numbers == cluster].mean(0), strict=True)
            }
            if (numbers == cluster).any()
            else {},
        }
        for cluster, name in enumerate(names)
    ]
