"""The whole recipe: rasters and simulated landscapes become a pack of aligned heights, colours and classes, split by places.

Pieces are written as they are cut, so that memory does not grow with their number; classes are found from a sample of all of them
and added. Where anything fails, nothing is left.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from backend.training.data import pack
from backend.training.data.preparation import naming, overview
from backend.training.data.preparation.classing import ClassRecipe, Progress, classified
from backend.training.data.preparation.pieces import Count, Piece, cut, pixel_size_of
from backend.training.data.preparation.simulation import simulate
from backend.training.data.preparation.sources import Said, Source, load
from backend.training.data.preparation.split import Place, held_out
from backend.training.data.preparation.stage import staged
from shared.errors import InvalidInput

BORDER_M = 900.0  # metres per pixel from which ground is continental, as the engine has it
CLUSTERS, SHEET = "clusters.json", "sheet.png"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """side: least pixels of a piece. pixel_size_m: of the pieces, None for each raster's own. most: pieces at most. clusters: per
    scale. names: a clusters.json with a person's classes. held_out: share kept from training. source: for model cards."""

    said: Said
    side: int = 512
    pixel_size_m: float | None = None
    most: int = 1000
    least_land: float = 0.25
    sea_level_m: float = 0.0
    clusters: int = 12
    names: Path | None = None
    held_out: float = 0.15
    simulated: int = 0
    source: str = ""
    seed: int = 0


@dataclass
class Made:
    """What has become of it. count: pieces that were kept and left out. sheet: to be looked at."""

    regions: list[pack.Region] = field(default_factory=list)
    count: Count = field(default_factory=Count)
    sheet: Path = Path()


def prepare(sources: Sequence[Source], out: Path, recipe: Recipe, progress: Progress) -> Made:
    """A pack in `out`. Raises InvalidInput and StorageFull; there is no pack then, and nothing half-made."""
    given = naming.read(recipe.names) if recipe.names else {}
    with staged(out) as stage:
        made = Made(sheet=out / SHEET)
        entries = _from_rasters(stage, sources, recipe, made.count, progress)
        entries = _chosen(stage, entries, recipe)
        entries += _simulated(stage, recipe, progress)
        if not entries:
            raise _nothing(made.count, recipe)
        document, shown = {}, []
        of_classes = ClassRecipe(clusters=recipe.clusters, sea_level_m=recipe.sea_level_m, seed=recipe.seed)
        for scale in ("regional", "continental"):
            mine = [entry for entry in entries if entry[0].scale == scale]
            if mine:
                mine = _split(mine, recipe)
                made.regions += [region for region, _ in mine]
                document[scale], pieces = classified(
                    stage, [region for region, _ in mine], of_classes, given.get(scale, {}), progress
                )
                shown += pieces
        overview.sheet(shown).save(stage / SHEET)
        (stage / CLUSTERS).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        pack.write_index(stage, made.regions)
    return made


Entry = tuple[pack.Region, Place]


# Pieces --------------------------------------------------------------------------------------------------------------------------


def _from_rasters(
    stage: Path, sources: Sequence[Source], recipe: Recipe, count: Count, progress: Progress
) -> list[Entry]:
    entries: list[Entry] = []
    for number, source in enumerate(sources):
        progress(number, len(sources), f"cutting {source.height.name}")
        ground = load(source, recipe.said)
        pixel_size_m = recipe.pixel_size_m or pixel_size_of(ground)
        for piece in cut(
            ground,
            recipe.side,
            pixel_size_m,
            least_land=recipe.least_land,
            sea_level_m=recipe.sea_level_m,
            count=count,
        ):
            name = f"{re.sub(r'[^A-Za-z0-9_]+', '-', source.name)}-{piece.row}-{piece.column}"
            region = _written(stage, name, piece, pixel_size_m, recipe.source or source.height.name, recipe.sea_level_m)
            entries.append((region, (number, piece.row, piece.column)))
    return entries


def _written(
    stage: Path, name: str, piece: Piece, pixel_size_m: float, source: str, sea_level_m: float = -np.inf
) -> pack.Region:
    """A piece in files; what lies under the sea is level with it, as painted water is."""
    height = np.maximum(piece.height, np.float32(sea_level_m))
    region = pack.Region(
        name=name,
        scale="continental" if pixel_size_m >= BORDER_M else "regional",
        split="train",
        pixel_size_m=round(pixel_size_m, 6),
        low_m=float(height.min()),
        high_m=float(height.max()),
        source=source,
        grid="metric",
    )
    pack.write_maps(stage, region, pack.Maps(height=height, valid=np.ones(height.shape, bool), color=piece.color))
    return region


def _chosen(stage: Path, entries: list[Entry], recipe: Recipe) -> list[Entry]:
    """At most as many pieces as asked for, by chance."""
    if len(entries) <= recipe.most:
        return entries
    kept = np.random.Generator(np.random.PCG64(recipe.seed)).permutation(len(entries))[: recipe.most]
    chosen = {int(number) for number in kept}
    for number, (region, _) in enumerate(entries):
        if number not in chosen:
            for ending in ("height.png", "color.jpg"):
                (stage / f"{region.name}-{ending}").unlink(missing_ok=True)
    return [entry for number, entry in enumerate(entries) if number in chosen]


def _simulated(stage: Path, recipe: Recipe, progress: Progress) -> list[Entry]:
    entries: list[Entry] = []
    for number in range(recipe.simulated):
        progress(number, recipe.simulated, "simulating landscapes")
        made = simulate(recipe.side, recipe.seed + number)
        piece = Piece(made.height, None, 0, 0, 1.0)
        region = _written(stage, f"simulated-{number:04d}", piece, made.pixel_size_m, f"simulated ({made.kind})")
        entries.append((region, (-1, 0, number)))
    return entries


def _nothing(count: Count, recipe: Recipe) -> InvalidInput:
    reasons = []
    if count.too_little_land:
        reasons.append(
            f"{count.too_little_land} have less than {recipe.least_land:.0%} of land above {recipe.sea_level_m:g} m "
            "(--least-land, --sea-level)"
        )
    if count.holes:
        reasons.append(f"{count.holes} have holes")
    if count.too_small:
        reasons.append("some are too small once their pixels are square (--resample takes smaller pixels)")
    return InvalidInput(
        f"None of the pieces of {recipe.side} px can be used: {'; '.join(reasons) or 'there are no rasters'}.",
        hint="Smaller pieces avoid holes and seas: --side.",
        field="heights",
    )


def _split(entries: list[Entry], recipe: Recipe) -> list[Entry]:
    """Simulated landscapes always train: what is measured is likeness to real ground."""
    real = [number for number, (_, place) in enumerate(entries) if place[0] >= 0]
    kept_back = held_out([entries[number][1] for number in real], recipe.held_out, recipe.seed)
    back = {real[number] for number in kept_back}
    return [
        (replace(region, split="held-out") if number in back else region, place)
        for number, (region, place) in enumerate(entries)
    ]
